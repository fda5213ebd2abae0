"""python -m hierdoc.train_lstm: train the LSTM that reads each document's chunk vectors in order.

python -m hierdoc.train_lstm runs/complaints
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from os import PathLike

from hierdoc import cli
from hierdoc.stages.finished import FinishedStage
from hierdoc.train_head import add_arguments, add_words, describe, train_sequence_head


def train_lstm_head(
    run: str | PathLike[str],
    inputs: str = "vectors",
    words: bool = False,
    epochs: int = 50,
    learning_rate: float = 1e-3,
    input_dropout: float = 0.0,
    class_weight: str = "none",
    focal_gamma: float = 0.0,
    label_smoothing: float = 0.0,
    gradient_penalty: float = 0.0,
    r_drop: float = 0.0,
    deterministic: bool = False,
    seed: int = 0,
    overwrite: bool = False,
) -> FinishedStage:
    """Write RUN/heads/lstm: LSTM 100, dense 30 with ReLU, dense C; see `hierdoc.train_head.train_sequence_head`."""
    return train_sequence_head(head="lstm", **locals())


def build_parser() -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "train_lstm",
        "Train the LSTM that reads each document's chunk vectors in order.",
        "python -m hierdoc.train_lstm runs/complaints",
    )
    parser.add_argument("run", metavar="RUN", help="the run directory")
    add_words(parser, words=False)
    add_arguments(parser)
    parser.set_defaults(function=train_lstm_head, describe=describe)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `hierdoc.cli.run_command` for the exit codes."""
    return cli.run_command(build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
