"""What is added to a training's loss: a penalty on its gradient, and the disagreement of two passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hierdoc.encoders import compat

SECOND_PASS = 2**40  # beyond the numbers of steps, which dropout's masks are made by


@dataclass(frozen=True)
class Regularisation:
    """What is added to a loss.

    Attributes:
        gradient_penalty: this share of half the squared norm of the gradient of a batch's mean loss with respect to `shift`: as each row
            of N has 1 / N of that loss, a share of half the mean of the rows' own squared norms, over N. Miyato et al. 2017, Adversarial
            Training Methods, is its relative: they add the loss at a shift of fixed length along each row's own gradient, of which the
            first-order term is the norm, not its square. With `r_drop`, of the first pass' loss.
        shift_of: a batch's inputs to zeros that `forward` adds to its embeddings, as its argument `shift`.
        r_drop: half this share of the `disagreement` of two passes with different dropout, and the loss is the mean of both
            (Liang et al. 2021, R-Drop, whose loss is their sum and twice that).
        disagreement: of two passes' logits and the weights of rows.
    """

    gradient_penalty: float = 0.0
    shift_of: Callable[..., Any] | None = None
    r_drop: float = 0.0
    disagreement: Callable[[Any, Any, Any], Any] | None = None

    def loss(
        self,
        forward: Callable[..., Any],
        loss_of: Callable[..., Any],
        inputs: tuple[Any, ...],
        label_ids: Any,
        weights: Any,
        dropout_seed: Any,
    ) -> Any:
        """Return the whole loss of a batch, inside a tape; see `make_trained` for the arguments."""
        tf = compat.load_tensorflow()
        if self.gradient_penalty:
            shift = self.shift_of(*inputs)
            with tf.GradientTape() as of_shift:
                of_shift.watch(shift)
                logits = forward(*inputs, dropout_seed=dropout_seed, shift=shift)
                loss = loss_of(logits, label_ids, weights)
            added = self.gradient_penalty / 2 * tf.reduce_sum(tf.square(of_shift.gradient(loss, shift)))
        else:
            logits = forward(*inputs, dropout_seed=dropout_seed)
            loss = loss_of(logits, label_ids, weights)
            added = 0.0
        if self.r_drop:
            again = forward(*inputs, dropout_seed=dropout_seed + tf.constant([0, SECOND_PASS], tf.int64))
            loss = (loss + loss_of(again, label_ids, weights)) / 2
            added += self.r_drop / 2 * self.disagreement(logits, again, weights)
        return loss + added
