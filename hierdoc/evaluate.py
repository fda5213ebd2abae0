"""python -m hierdoc.evaluate: measure a trained head on the test documents, beside its baselines.

python -m hierdoc.evaluate runs/complaints
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from hierdoc import cli
from hierdoc.errors import HierdocError
from hierdoc.heads import find_head
from hierdoc.stages import files, store, tables
from hierdoc.stages.finished import OWN, FinishedStage, read_stage
from hierdoc.stages.provenance import cpu_seconds


def stage_name(answerer: str, split: str) -> str:
    """Return the name of the stage that holds the answers of a head, a baseline or `OWN` code to a split."""
    return f"evaluate/{answerer}" if split == "test" else f"evaluate/{answerer}-{split}"


def evaluate_head(
    run: str | PathLike[str],
    head: str | None = None,
    baseline: str | None = None,
    split: str = "test",
    overwrite: bool = False,
) -> FinishedStage:
    """Write RUN/evaluate/<head>: metrics.json and predictions.parquet for the test documents.

    metrics.json holds document_accuracy, document_macro_f1, expected_calibration_error (15 bins), log_loss (nats),
    chunk_accuracy, average_accuracy (mean of chunk probabilities), first_chunk_accuracy, tfidf_svm_accuracy,
    majority_accuracy, num_documents, num_chunks, per_class, confusion_matrix (rows are true classes, in the order of
    `labels`) and accuracy_by_chunks. Documents of a class that train never saw are wrong for everyone. Where documents
    are near-duplicates of training documents, it also holds num_near_duplicates_of_train and, unless all are, document_,
    average_ and tfidf_svm_accuracy_without_near_duplicates. Of any number of labels it holds document_micro_f1 and all else
    of `hierdoc.evaluation.multi_label`, and micro_f1 stands for accuracy in the other names.

    Args:
        run: a run directory with the stages up to the head; for a baseline of words the chunk stage is enough.
        head: the head's name; by default the one there is.
        baseline: one of `hierdoc.evaluation.baselines.RULES` and `BASELINES`, to be measured instead of a head, in
            RUN/evaluate/<baseline>, without the others beside it.
        split: test, or dev for a look while choosing (in RUN/evaluate/<head>-dev).
        overwrite: make the stage again.

    Raises:
        HierdocError: a stage is missing or does not fit the others; the split has no documents, or dev none to choose by; an
            unknown name; a head and a baseline.
    """
    _check_split(split)
    if baseline is not None:
        if head is not None:
            raise HierdocError(f"`head` {head} and `baseline` {baseline} can't both be measured at once; leave one out")
        return _evaluate_baseline(run, baseline, split, overwrite)
    head = find_head(run, head)
    parents = {name: read_stage(run, name) for name in ("chunk", "finetune", "embed", f"heads/{head}")}
    _check_documents(parents["chunk"], split)
    stage = store.begin(run, stage_name(head, split), {"head": head, "split": split}, parents, overwrite)
    if isinstance(stage, FinishedStage):
        return stage
    from hierdoc.evaluation import baselines
    from hierdoc.heads.document_probs import answers_of, load_document_probs
    from hierdoc.sequences.reading import read_split

    held_out = read_split(parents["chunk"], parents["embed"], split)
    texts = _texts(parents["chunk"], split)
    document_probs, config = load_document_probs(parents[f"heads/{head}"].path)
    probs = document_probs(held_out.documents, texts.texts)
    answers = baselines.Answers(answers_of(parents[f"heads/{head}"].path, config)(probs), probs)
    started, started_cpu = time.monotonic(), cpu_seconds()
    beside = _beside(parents, held_out.documents, texts, split, answers.label_ids)
    timings = {
        "beside_seconds": round(time.monotonic() - started, 3),
        "beside_cpu_seconds": round(cpu_seconds() - started_cpu, 3),
    }
    about = {"head": head, "words": config["words"], "split": split}
    return _write(stage, about, answers, texts, config["labels"], beside, timings)


def _evaluate_baseline(run: str | PathLike[str], baseline: str, split: str, overwrite: bool) -> FinishedStage:
    from hierdoc.evaluation import baselines
    from hierdoc.sequences.reading import has_label_lists, read_split

    baselines.check_baseline(baseline)
    of_vectors = baseline in baselines.OF_VECTORS
    parents = {name: read_stage(run, name) for name in (("chunk", "finetune", "embed") if of_vectors else ("chunk",))}
    chunk = parents["chunk"]
    _check_documents(chunk, split)
    if baselines.chooses_by_dev(baseline, has_label_lists(chunk)):
        _check_documents(chunk, "dev", f", by which {baseline} chooses")
    stage = store.begin(run, stage_name(baseline, split), {"baseline": baseline, "split": split}, parents, overwrite)
    if isinstance(stage, FinishedStage):
        return stage
    texts = _texts(chunk, split)
    materials = []
    for part in ("train", "dev", split):
        read = texts if part == split else _texts(chunk, part)
        documents = read_split(chunk, parents["embed"], part).documents if of_vectors else None
        materials.append(baselines.Material(read.label_ids, read.texts, documents))
    labels = chunk.details["labels"]
    answers = baselines.answer(baseline, *materials, len(labels))
    about = {"baseline": baseline, "split": split, "chosen": answers.chosen}
    return _write(stage, about, answers, texts, labels)


def evaluate_own(
    run: str | PathLike[str],
    code: str | PathLike[str],
    seed: int = 0,
    split: str = "test",
    arguments: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> FinishedStage:
    """Write RUN/evaluate/own: as `evaluate_head`, for answers by somebody's own code, without the others beside it.

    Args:
        run: a run directory with the stages up to embed.
        code: a Python file with a function `answer(run, split, seed, **arguments)` that returns
            `hierdoc.evaluation.baselines.Answers` of the documents of `split`, in the order of their ids. An experiment
            asks for dev, and for test in another process; what is trained for both may be kept in RUN/own, and what that
            took is told in `training_seconds`.
        seed: for the code.
        split: test or dev.
        arguments: for the code; JSON values.
        overwrite: make the stage again.

    Raises:
        HierdocError: a stage is missing or does not fit the others; the split has no documents; the code has no such
            function, or returns another number of answers, or one that is none of the classes.
    """
    _check_split(split)
    parents = {name: read_stage(run, name) for name in ("chunk", "finetune", "embed")}
    asked = {
        "code_sha256": files.sha256_of(Path(code)),
        "arguments": dict(arguments or {}),
        "seed": seed,
        "split": split,
    }
    _check_documents(parents["chunk"], split)
    answer = _load_own(Path(code))
    stage = store.begin(run, stage_name(OWN, split), asked, parents, overwrite)
    if isinstance(stage, FinishedStage):
        return stage
    texts = _texts(parents["chunk"], split)
    answers = answer(Path(run), split, seed, **asked["arguments"])
    _check_answers(code, answers, texts, len(parents["chunk"].details["labels"]), split)
    about = {"own_code": Path(code).name, "split": split, "chosen": answers.chosen}
    seconds = answers.training_seconds
    timings = {} if seconds is None else {"training_seconds": round(seconds, 3)}
    return _write(stage, about, answers, texts, parents["chunk"].details["labels"], timings=timings)


ROUNDING = 1e-3  # what own code's probabilities may be off by


def _check_answers(code: str | PathLike[str], answers: Any, texts: Any, num_classes: int, split: str) -> None:
    """Check the answers of own code: their number, shape and kind."""
    from hierdoc.evaluation import baselines

    if not isinstance(answers, baselines.Answers):
        raise HierdocError(f"{code}: `answer` must return Answers, but has returned {type(answers).__name__} instead")
    given, probs = np.asarray(answers.label_ids), np.asarray(answers.probs)
    if len(given) != len(texts.doc_ids):
        raise HierdocError(f"{code}: gives {len(given)} answers to {len(texts.doc_ids)} {split} documents")
    kind, wanted = ("bool", "b") if texts.label_ids.ndim == 2 else ("integers", "iu")
    if given.shape != texts.label_ids.shape or given.dtype.kind not in wanted:
        raise HierdocError(
            f"{code}: its label_ids must be {kind} of shape {texts.label_ids.shape}, but are {given.dtype} of {given.shape} instead"
        )
    if kind == "integers" and len(wrong := given[(given < 0) | (given >= num_classes)]):
        raise HierdocError(f"{code}: its label_ids must be from 0 to {num_classes - 1}, but one is {wrong[0]}")
    if probs.shape != (len(given), num_classes):
        raise HierdocError(
            f"{code}: its probs must have shape {(len(given), num_classes)}, but have {probs.shape} instead"
        )
    known = probs[~np.isnan(probs).all(axis=1)]
    if not ((known >= -ROUNDING) & (known <= 1 + ROUNDING)).all() or (
        kind == "integers" and not np.allclose(known.sum(axis=1), 1, atol=ROUNDING)
    ):
        raise HierdocError(f"{code}: its probs must be from 0 to 1, in each row 1 together, or NaN where it has none")


def _load_own(code: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"hierdoc_own_{code.stem}", code)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # where dataclasses look for it
    spec.loader.exec_module(module)
    if not callable(getattr(module, "answer", None)):
        raise HierdocError(f"{code}: must have a function `answer`, but has none")
    return module.answer


def _check_split(split: str) -> None:
    if split not in ("test", "dev"):
        raise HierdocError(f"`split` must be test or dev, but is {split!r} instead")


def _texts(chunk: FinishedStage, split: str) -> Any:
    from hierdoc.sequences.reading import read_texts

    return read_texts(chunk, split)


def _check_documents(chunk: FinishedStage, split: str, why: str = "") -> None:
    if not chunk.details["documents_by_split"].get(split):
        raise HierdocError(f"{chunk.path}: has no {split} documents{why}")


def _write(
    stage: store.OpenStage,
    about: dict[str, Any],
    answers: Any,
    texts: Any,
    labels: Sequence[str],
    beside: Mapping[str, Any] | None = None,
    timings: Mapping[str, float] | None = None,
) -> FinishedStage:
    found = _truth(texts, labels).scores(answers.label_ids, answers.probs, texts.num_chunks)
    metrics = {**about, **found, **(beside or {})}
    files.write_json(stage.path / "metrics.json", metrics)
    table = tables.predictions_table(
        texts.doc_ids, answers.label_ids, answers.probs, texts.num_chunks, labels, texts.labels
    )
    tables.write_table(stage.path / "predictions.parquet", table)
    return stage.finish({key: value for key, value in metrics.items() if isinstance(value, (int, float))}, timings)


def _truth(texts: Any, labels: Sequence[str]) -> Any:
    from hierdoc.evaluation.truth import Truth

    return Truth(texts.label_ids, texts.labels, labels)


def _beside(
    parents: Mapping[str, FinishedStage], documents: Any, texts: Any, split: str, predicted: np.ndarray
) -> dict[str, Any]:
    """Return how right the chunks are, and the baselines that everyone sees beside a head."""
    from hierdoc.answers.thresholds import tune_thresholds
    from hierdoc.evaluation import baselines
    from hierdoc.evaluation.truth import Truth
    from hierdoc.objectives import objective_of
    from hierdoc.sequences.reading import has_label_lists, read_split

    chunk = parents["chunk"]
    objective, truth = objective_of(has_label_lists(chunk)), _truth(texts, chunk.details["labels"])
    train, dev = _texts(chunk, "train"), texts if split == "dev" else _texts(chunk, "dev")
    of_dev = read_split(chunk, parents["embed"], "dev").documents if objective.multi_label else None
    materials = [baselines.Material(train.label_ids, train.texts), baselines.Material(dev.label_ids, dev.texts, of_dev)]
    materials.append(baselines.Material(texts.label_ids, texts.texts, documents))
    answers = {
        name: baselines.answer(name, *materials, len(truth.order)).label_ids
        for name in ("average", "first_chunk", "tfidf_svm", "majority")
    }
    owners = np.repeat(np.arange(len(documents)), documents.num_chunks)
    of_chunks = Truth(texts.label_ids[owners], [texts.labels[owner] for owner in owners], truth.order)
    thresholds: Any = 0.5
    if of_dev is not None:
        thresholds = tune_thresholds(of_dev.probs, np.repeat(dev.label_ids, of_dev.num_chunks, axis=0))
    return {
        f"chunk_{truth.measure}": of_chunks.judge(objective.answers(documents.probs, thresholds)),
        **{f"{name}_{truth.measure}": truth.judge(given) for name, given in answers.items()},
        "num_chunks": len(documents.vectors),
        **_without_near_duplicates(
            texts.near_duplicate_of_train,
            truth,
            {"document": predicted, "average": answers["average"], "tfidf_svm": answers["tfidf_svm"]},
        ),
    }


def _without_near_duplicates(
    near_duplicates: np.ndarray, truth: Any, predicted: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Return how many documents are near-duplicates of training documents, and how right the others are; {} for none."""
    if not near_duplicates.any():
        return {}
    others = ~near_duplicates
    found = {
        f"{name}_{truth.measure}_without_near_duplicates": truth.judge(given, others)
        for name, given in predicted.items()
        if others.any()
    }
    return {"num_near_duplicates_of_train": int(near_duplicates.sum()), **found}


def build_parser() -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "evaluate",
        "Measure a head on the test documents, beside its baselines; or one baseline alone.",
        "python -m hierdoc.evaluate runs/complaints",
    )
    parser.add_argument("run", metavar="RUN", help="the run directory")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--head", metavar="NAME", help="which trained head (default: the one there is)")
    which.add_argument(
        "--baseline",
        metavar="NAME",
        help="instead of a head: average, max, vote, first_chunk, last_chunk, first_and_last_chunk (of the chunks' "
        "probabilities), mean_logistic (of the mean vector), tfidf_svm, tfidf_logistic (of the text) or majority",
    )
    parser.add_argument("--split", default="test", metavar="NAME", help="test, or dev for a look while choosing")
    cli.add_overwrite(parser)
    parser.set_defaults(function=evaluate_head, describe=describe)
    return parser


def describe(stage: FinishedStage) -> str:
    """Return evaluate's tables and the line that says what was made."""
    from hierdoc.reporting.tables import metrics_text

    metrics = json.loads((stage.path / "metrics.json").read_text(encoding="utf-8"))
    return f"{metrics_text(metrics)}\n\n{stage.path / 'metrics.json'}: {cli.reading(metrics, 'document')}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `hierdoc.cli.run_command` for the exit codes."""
    return cli.run_command(build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
