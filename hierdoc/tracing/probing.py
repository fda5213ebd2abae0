"""Whether an example's probabilities depend on its company, on padding, or on chance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hierdoc.tracing.batches import make_batch, split_inputs
from hierdoc.tracing.predictions import cut_rows, each_array, first_output, to_probs

MOST_EXAMPLES = 8
MORE_PADDING = 8  # tokens or chunks
Predict = Callable[[Any], Any]


def probe(
    predict: Predict, inputs: Any, pad_value: float | None = None, pad_id: int = 0, most_examples: int = MOST_EXAMPLES
) -> dict[str, Any]:
    """Return trace.json's `probe` of a batch's first examples.

    Each stands alone first, padded as it is in the batch. Then it stands in the batch, is asked again, is padded further
    and not at all; the largest differences of a probability are told, and None for what the model does not take.

    Args:
        predict: a batch's x to what the model puts out, as in training's x.
        inputs: the x of a batch: token ids, vectors, or [either, mask].
        pad_value, pad_id: see `hierdoc.trace.Recorder`.
        most_examples: at most so many are tried.
    """
    num = min(most_examples, len(np.asarray(split_inputs(inputs)[0])))
    rows = [cut_rows(inputs, at, at + 1) for at in range(num)]
    outputs = {
        "alone": _ask(predict, rows),
        "company": _ask(predict, [cut_rows(inputs, 0, num)]),
        "repeat": _ask(predict, rows),
    }
    for name, change in (("further", _padded_further), ("not at all", _not_padded)):
        changed = [change(row, pad_value, pad_id) for row in rows]
        outputs[name] = None if any(row is None for row in changed) else _ask(predict, changed)
    answered = {name: output for name, output in outputs.items() if output is not None}
    # together, so that all are taken for logits or none
    probs = to_probs(np.concatenate(list(answered.values()))) if answered else np.zeros((0, 2))
    parts = dict(zip(answered, np.split(probs, len(answered) or 1)))

    def difference(*names: str) -> float | None:
        found = [np.abs(parts[name] - parts["alone"]).max() for name in names if name in parts and "alone" in parts]
        return float(max(found)) if found and num else None

    return {
        "num_examples": num,
        "company": difference("company") if num > 1 else None,
        "padding": difference("further", "not at all"),
        "repeat": difference("repeat"),
    }


def _ask(predict: Predict, batches: list[Any]) -> np.ndarray | None:
    try:
        parts = [first_output(predict(batch)) for batch in batches]
        return np.concatenate([part.reshape(len(part), -1) for part in parts])
    except Exception:  # someone else's model: whatever it raises, it does not take this shape
        return None


def _padded_further(row: Any, pad_value: float | None, pad_id: int) -> Any:
    """Return x of one example with more padding behind; None where nobody says what padding is."""
    main, mask = split_inputs(row)
    is_vectors = make_batch(main, mask, np.zeros(1)).values.ndim == 3
    if is_vectors and (main.ndim == 2 or (mask is None and pad_value is None)):
        return None
    filler = (0 if pad_value is None else pad_value) if is_vectors else pad_id

    def pad(array: np.ndarray, is_main: bool, is_mask: bool) -> np.ndarray:
        if array.ndim < 2:
            return array
        more = np.full_like(array, filler if is_main else 0, shape=(1, MORE_PADDING, *array.shape[2:]))
        return np.concatenate([array, more], axis=1)

    return each_array(row, pad)


def _not_padded(row: Any, pad_value: float | None, pad_id: int) -> Any:
    """Return x of one example without the padding behind it; all of it where there is nothing else."""
    main, mask = split_inputs(row)
    real = make_batch(main, mask, np.zeros(1), pad_value=pad_value, pad_id=pad_id).real[0]
    if len(real) != main.shape[1]:
        return None
    length = int(np.flatnonzero(real)[-1]) + 1 if real.any() else len(real)
    return each_array(row, lambda array, is_main, is_mask: array[:, :length] if array.ndim > 1 else array)
