"""python -m hierdoc.export: write a trained encoder and head as ONNX, for people who serve elsewhere.

python -m hierdoc.export runs/complaints exported
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from hierdoc import cli
from hierdoc.answers.thresholds import FILE as THRESHOLDS
from hierdoc.errors import HierdocError
from hierdoc.heads import find_head
from hierdoc.stages import files
from hierdoc.stages.finished import FinishedStage, read_stage
from hierdoc.words.classifier import FILE as WORDS

CONFIG = "config.json"
TOKENIZER = ("vocab.txt", "tokenizer_config.json")


def export_run(
    run: str | PathLike[str], out: str | PathLike[str], head: str | None = None, overwrite: bool = False
) -> Path:
    """Write a folder with encoder.onnx, head.onnx, the tokenizer's files and config.json, whole or not at all; return it.

    encoder.onnx takes `token_ids` int32 (N, T) and `mask` bool (N, T) and gives `vectors` float32 (N, D), the last layer's
    [CLS] or what finetune's pooling made of the layers; head.onnx takes `vectors` float32 (B, S, D) and `mask` bool (B, S) and gives `logits` float32 (B, C), whose softmax
    are the probabilities of config.json's `labels`. Both are of opset 20, hold their weights in float32, and have been
    through ONNX's checker and loaded by ONNX Runtime. config.json says how a text is cut into chunks, too. No text is in them; but of
    a head that is joined with words, the words and pairs of words and what they say are in words.parquet (docs/serving.md).
    Where documents have any number of labels, the logits' sigmoids are the probabilities, and thresholds.json says from which on a
    label is given.

    Args:
        run: a run directory with RUN/finetune and RUN/heads/<head>.
        out: a folder that is not there yet.
        head: which trained head; by default the one there is.
        overwrite: replace an earlier export in `out`.

    Raises:
        HierdocError: a stage is missing or has changed; the head can't be exported; `out` exists.
    """
    import onnx

    from hierdoc.engines import RUNTIMES
    from hierdoc.graphs import HEAD_GRAPHS
    from hierdoc.graphs.writer import OPSET

    head = find_head(run, head)
    out = Path(out)
    _check_out(out, overwrite)
    finetune, trained = read_stage(run, "finetune"), read_stage(run, f"heads/{head}")
    if head not in HEAD_GRAPHS:
        raise HierdocError(f"`head` {head} can't be exported; these can: {', '.join(sorted(HEAD_GRAPHS))}")
    graphs = _graphs(finetune, trained.path)
    for graph in graphs.values():
        onnx.checker.check_model(graph)
        RUNTIMES["onnxruntime"](graph, "float32")  # it can be loaded
    config = files.read_object(finetune.path / CONFIG)
    kept = ("labels", "multi_label", "chunk_size", "overlap", "max_chunks", "respect_sentences")
    partial, earlier = (out.with_name(f".{out.name}.{os.getpid()}{end}") for end in (files.PARTIAL, ".earlier"))
    try:
        partial.mkdir()
        for name, graph in graphs.items():
            (partial / f"{name}.onnx").write_bytes(graph)
        for name in TOKENIZER:
            shutil.copyfile(finetune.path / name, partial / name)
        for name in (WORDS, THRESHOLDS):
            if (trained.path / name).exists():
                shutil.copyfile(trained.path / name, partial / name)
        files.write_json(
            partial / CONFIG,
            {"hierdoc_export": 1, "opset": OPSET, **{key: config[key] for key in kept if key in config}},
        )
        if out.exists():
            out.rename(earlier)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if out.exists():
            shutil.rmtree(earlier, ignore_errors=True)
        elif earlier.exists():
            earlier.rename(out)
    return out


def _check_out(out: Path, overwrite: bool) -> None:
    if not out.parent.is_dir():
        raise HierdocError(f"{out.parent}: no such directory")
    if not out.exists():
        return
    if not overwrite:
        raise HierdocError(f"{out}: exists; --overwrite replaces an earlier export")
    if not (out / CONFIG).is_file() or "hierdoc_export" not in files.read_object(out / CONFIG):
        raise HierdocError(f"{out}: is not an earlier export, and is left alone")
    ours = {"encoder.onnx", "head.onnx", CONFIG, *TOKENIZER, WORDS, THRESHOLDS}
    if others := sorted(path.name for path in out.iterdir() if path.name not in ours):
        raise HierdocError(f"{out / others[0]}: is not of the export in {out}, which is left alone; move it elsewhere")


def _graphs(finetune: FinishedStage, trained: Path) -> dict[str, bytes]:
    """Return the encoder's and the head's graph, by the names of their files."""
    from hierdoc.encoders.finetuned import load_encoder
    from hierdoc.graphs import ENCODER_GRAPHS, HEAD_GRAPHS
    from hierdoc.heads.document_probs import check_made_for, check_reads_vectors, load_head_config
    from hierdoc.stages.weights import load_weights

    config, arrays = load_encoder(finetune.path)
    of_head, weights = load_head_config(trained), trained / "weights.safetensors"
    check_reads_vectors(of_head, trained, "only heads on vectors can be exported")
    check_made_for(of_head, trained, finetune)
    head = HEAD_GRAPHS[of_head["head"]](of_head["dim"], len(of_head["labels"]), load_weights(weights), str(weights))
    return {"encoder": ENCODER_GRAPHS[config["name"]](config, arrays), "head": head}


def build_parser() -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "export",
        "Write a trained encoder and head as ONNX, with the tokenizer and the labels.",
        "python -m hierdoc.export runs/complaints exported",
    )
    parser.add_argument("run", metavar="RUN", help="the run directory")
    parser.add_argument("out", metavar="DIR", help="a folder that is not there yet")
    parser.add_argument("--head", metavar="NAME", help="which trained head (default: the one there is)")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier export")
    parser.set_defaults(function=export_run, describe=describe)
    return parser


def describe(out: Path) -> str:
    """Return the line that says what was made."""
    sizes: Any = {path.name: path.stat().st_size for path in sorted(out.iterdir())}
    return f"{out}: " + ", ".join(f"{name} {size / 2**20:.1f} MiB" for name, size in sizes.items())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `hierdoc.cli.run_command` for the exit codes."""
    return cli.run_command(build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
