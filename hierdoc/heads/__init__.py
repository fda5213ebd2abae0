"""The heads by name: each is a function of D and the number of classes C that returns a tf-keras model.

The model takes (vectors float32 (B, S, D), mask bool (B, S)) and gives logits float32 (B, C). To add a head, write its
`build_…` in a file of this folder and name it here: training, evaluation, prediction and the contract test follow.
"""

from os import PathLike
from pathlib import Path

from hierdoc.errors import HierdocError
from hierdoc.heads.lstm import build_lstm
from hierdoc.heads.pooling import build_attention, build_max_pool, build_mean_pool, build_mean_probs
from hierdoc.heads.recurrent import build_bilstm, build_gru
from hierdoc.heads.textcnn import build_textcnn
from hierdoc.heads.transformer import build_transformer
from hierdoc.stages.finished import is_begun, is_finished

HEADS = {
    "lstm": build_lstm,
    "bilstm": build_bilstm,
    "gru": build_gru,
    "transformer": build_transformer,
    "attention": build_attention,
    "textcnn": build_textcnn,
    "mean_pool": build_mean_pool,
    "max_pool": build_max_pool,
    "mean_probs": build_mean_probs,
}


DEFAULT_HEAD = "mean_pool"  # what dev liked best of all, with words, in experiments/013-which-head


def check_head(head: str, argument: str = "head") -> None:
    """Check the name of a head, which the caller's own `argument` was given.

    Raises:
        HierdocError: there is no such head; the message lists those there are.
    """
    if head not in HEADS:
        raise HierdocError(f"`{argument}` must be one of {', '.join(sorted(HEADS))}, but is {head!r} instead")


def can_answer(head: str, multi_label: bool) -> bool:
    """Return whether a head can answer with any number of labels, if it is to: the mean of softmaxes can't."""
    return not multi_label or head != "mean_probs"


def check_answers(head: str, multi_label: bool) -> None:
    """Check that a head can answer with any number of labels, if it is to.

    Raises:
        HierdocError: it can't.
    """
    if not can_answer(head, multi_label):
        raise HierdocError("`head` mean_probs gives each document one class, and these have any number of labels")


def find_head(run: str | PathLike[str], head: str | None = None, argument: str = "head") -> str:
    """Return the name of a run's trained head: the one that is asked for, or else the one there is (or `DEFAULT_HEAD`).

    Args:
        argument: what the caller's own argument for `head` is called, to be named when it is needed.

    Raises:
        HierdocError: there is no head of that name; or none was named, and `run` has several.
    """
    if head is not None:
        check_head(head, argument)
        return head
    begun = [name for name in sorted(HEADS) if is_begun(Path(run, "heads", name))]
    trained = [name for name in begun if is_finished(run, f"heads/{name}")] or begun
    if len(trained) > 1:
        raise HierdocError(f"{Path(run) / 'heads'}: has {', '.join(trained)}; say by `{argument}` which one")
    return trained[0] if trained else DEFAULT_HEAD
