"""What the commands share: the `hierdoc` entry point, exit codes and common flags."""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hierdoc.errors import HierdocError, HierdocFailure
from hierdoc.progress import say

COMMANDS = {
    "chunk": "cut documents into chunks of token ids",
    "finetune": "fine-tune the encoder on the chunks",
    "embed": "turn every chunk into its vector ([CLS])",
    "train_lstm": "train the LSTM that reads a document's vectors",
    "train_head": "train another head on them",
    "tune": "search for the head that dev likes best",
    "evaluate": "measure on the test split, beside baselines",
    "predict": "label new documents",
    "export": "write encoder and head as ONNX",
    "run": "chunk, finetune, embed, train_head and evaluate in a row",
    "experiment": "compare ways to answer: run what is missing of an experiment",
    "report": "write an experiment's report",
    "doctor": "say why a model sits at chance",
    "splits": "make split files, or check one against the data",
    "datasets": "make a CSV to try hierdoc on",
}

OK, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130


def make_parser(command: str, description: str, example: str) -> argparse.ArgumentParser:
    """Return an argument parser for `python -m hierdoc.<command>` that shows defaults and one example to copy."""
    return argparse.ArgumentParser(
        prog=f"python -m hierdoc.{command}",
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=_HelpFormatter,
        allow_abbrev=False,
    )


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False:
            return action.help
        return super()._get_help_string(action)


def arguments_of(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of `given` that `function` has an argument of the name for."""
    return {name: given[name] for name in inspect.signature(function).parameters if name in given}


def add_overwrite(
    parser: argparse.ArgumentParser, help_text: str = "make the stage again where it is already finished"
) -> None:
    """Add the flag that every stage has; a stage goes on where it was interrupted."""
    parser.add_argument("--overwrite", action="store_true", help=help_text)
    parser.set_defaults(goes_on=True)


def add_deterministic(parser: argparse.ArgumentParser) -> None:
    """Add the flag that every training has."""
    parser.add_argument(
        "--deterministic", action="store_true", help="use only operations that give the same bytes each time"
    )


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add the flag of whatever encodes chunks."""
    parser.add_argument(
        "--engine", default="auto", metavar="NAME", help="openvino, onnxruntime or tensorflow; auto is the fastest"
    )


DATA_HELP = (
    "CSV, TSV, JSONL or Parquet (also with .gz or .zst): one row is one document; "
    "or a folder of text files: one file is; or - for stdin"
)


def reading(found: Mapping[str, Any], prefix: str) -> str:
    """Return "<prefix> accuracy 0.9000" of figures, or where documents have any number of labels their micro-F1."""
    measure = "accuracy" if f"{prefix}_accuracy" in found else "micro_f1"
    return (
        f"{prefix.replace('_', ' ')} {measure.replace('_', '-').replace('f1', 'F1')} {found[f'{prefix}_{measure}']:.4f}"
    )


def add_labels(parser: argparse.ArgumentParser) -> None:
    """Add the flags of documents that have several labels."""
    parser.add_argument(
        "--multi-label",
        action="store_true",
        help="a document has any number of labels: a|b in a cell, or a list in JSONL and Parquet",
    )
    parser.add_argument("--label-separator", default="|", metavar="TEXT", help="what stands between them in a cell")


def add_losses(parser: argparse.ArgumentParser) -> None:
    """Add the flags of every training's loss."""
    parser.add_argument(
        "--class-weight",
        default="none",
        metavar="NAME",
        help="none, or balanced: rare classes count more (not with the SVM on words); it cost 3.7 points of accuracy in a head on complaints (in the encoder perhaps 2), and 8 of F1 with any of 90 labels",
    )
    parser.add_argument(
        "--focal-gamma",
        type=float,
        default=0.0,
        metavar="GAMMA",
        help="count less what is answered well already; 2 can't be told from 0 on complaints (+0.7 points, -1.3 to +2.7)",
    )
    parser.add_argument(
        "--label-smoothing",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="of a label that is spread over all classes; of many labels, over yes and no; 0.1 can't be told from 0 on complaints (0.0 and, in a head, +0.7 points, -1.0 to +2.5)",
    )
    parser.add_argument(
        "--gradient-penalty", type=float, default=0.0, metavar="SHARE",
        help="of half the squared norm of a step's loss' gradient by the inputs' embeddings, added to the loss; larger steps weaken it; 1 takes twice the time and is no better on complaints (-1.8 points, -4.0 to +0.3)",
    )  # fmt: skip
    parser.add_argument(
        "--r-drop", type=float, default=0.0, metavar="SHARE",
        help="of half the disagreement of two passes with different dropout, added to the loss; 1 takes twice the time and is no better on complaints (-1.0 points, -2.7 to +0.7)",
    )  # fmt: skip


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add the flags of commands that read documents."""
    parser.add_argument(
        "--format",
        metavar="NAME",
        help="csv, tsv, jsonl or parquet, or where no classes are asked for txt: of stdin (without it: csv) and of files whose "
        "suffix names none",
    )
    parser.add_argument("--encoding", default="utf-8", metavar="NAME", help="of all that is text")


def run_command(parser: argparse.ArgumentParser, argv: Sequence[str] | None = None) -> int:
    """Parse `argv`, call the parser's `function` with the arguments, print what its `describe` makes of the result.

    Returns:
        0 done or already done, 2 wrong input, 1 failure, 130 interrupted; errors are one line on stderr.
    """
    arguments: dict[str, Any] = vars(parser.parse_args(argv))
    if hasattr(sys.stdout, "reconfigure"):
        # Predictions go into a file as they are, in any locale; what a terminal can't show must not end the work.
        sys.stdout.reconfigure(encoding=None if sys.stdout.isatty() else "utf-8", errors="backslashreplace")
    function, describe = arguments.pop("function"), arguments.pop("describe", None)
    goes_on = arguments.pop("goes_on", False)
    try:
        result = function(**arguments)
        if describe is not None:
            print(describe(result), flush=True)
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except HierdocError as error:
        say(f"error: {error}")
        return WRONG_INPUT
    except (PermissionError, IsADirectoryError, NotADirectoryError) as error:  # of a path that was asked for
        say(f"error: {error.filename}: {error.strerror}" if error.filename else f"error: {error}")
        return WRONG_INPUT
    except (HierdocFailure, OSError) as error:
        say(f"failed: {error}")
        return FAILED
    except KeyboardInterrupt:
        say("interrupted" + "; the same command, without --overwrite, goes on from what it has kept" * goes_on)
        return INTERRUPTED
    return OK


def main(argv: Sequence[str] | None = None) -> int:
    """Run `hierdoc <command> …`, which is `python -m hierdoc.<command> …`."""
    words = list(sys.argv[1:] if argv is None else argv)
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:<{width}}  {help_text}" for name, help_text in COMMANDS.items())
    usage = f"usage: hierdoc COMMAND …\n\ncommands (each has --help):\n{listing}"
    if words and words[0] in COMMANDS:
        return importlib.import_module(f"hierdoc.{words[0]}").main(words[1:])
    if words in (["--help"], ["-h"]):
        print(usage)
        return OK
    if words in (["--version"],):
        from hierdoc import __version__

        print(f"hierdoc {__version__}")
        return OK
    say(f"error: {words[0]!r} is not one of hierdoc's commands\n\n{usage}" if words else usage)
    return WRONG_INPUT
