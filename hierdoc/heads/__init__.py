"""The heads by name: each is a function of D and the number of classes C that returns a tf-keras model.

The model takes (vectors float32 (B, S, D), mask bool (B, S)) and gives logits float32 (B, C). To add a head, write its
`build_…` in a file of this folder and name it here: training, evaluation, prediction and the contract test follow.
"""

from hierdoc.errors import HierdocError
from hierdoc.heads.lstm import build_lstm

HEADS = {"lstm": build_lstm}


def check_head(head: str) -> None:
    """Check the name of a head.

    Raises:
        HierdocError: there is no such head; the message lists those there are.
    """
    if head not in HEADS:
        raise HierdocError(f"`head` must be one of {', '.join(sorted(HEADS))}, but is {head!r} instead")
