"""python -m hierdoc.evaluate: measure a trained head on the test documents, beside its baselines.

python -m hierdoc.evaluate runs/complaints
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np

from hierdoc import cli
from hierdoc.errors import HierdocError
from hierdoc.heads import check_head
from hierdoc.stages import files, store, tables


def evaluate_head(
    run: str | PathLike[str], head: str = "lstm", split: str = "test", overwrite: bool = False
) -> store.FinishedStage:
    """Write RUN/evaluate/<head>: metrics.json and predictions.parquet for the test documents.

    metrics.json holds document_accuracy, document_macro_f1, chunk_accuracy, average_accuracy (mean of chunk
    probabilities), first_chunk_accuracy, tfidf_svm_accuracy, majority_accuracy, num_documents, num_chunks, per_class,
    confusion_matrix (rows are true classes, in the order of `labels`) and accuracy_by_chunks. Documents of a class that
    train never saw are wrong for everyone. Where documents are near-duplicates of training documents, it also holds
    num_near_duplicates_of_train and, unless all are, document_, average_ and tfidf_svm_accuracy_without_near_duplicates.

    Args:
        run: a run directory with the stages up to the head.
        head: the head's name.
        split: test, or dev for a look while choosing (in RUN/evaluate/<head>-dev).
        overwrite: make the stage again.

    Raises:
        HierdocError: a stage is missing or does not fit the others; the split has no documents.
    """
    if split not in ("test", "dev"):
        raise HierdocError(f"`split` must be test or dev, but is {split!r} instead")
    check_head(head)
    parents = {name: store.read(run, name) for name in ("chunk", "finetune", "embed", f"heads/{head}")}
    name = f"evaluate/{head}" if split == "test" else f"evaluate/{head}-{split}"
    stage = store.begin(run, name, {"head": head, "split": split}, parents, overwrite)
    if isinstance(stage, store.FinishedStage):
        return stage
    from hierdoc.heads.document_probs import compile_head, load_head
    from hierdoc.sequences.reading import read_split

    chunk = parents["chunk"]
    held_out = read_split(chunk, parents["embed"], split)
    if not len(held_out):
        raise HierdocError(f"{chunk.path}: has no {split} documents")
    model, config = load_head(parents[f"heads/{head}"].path)
    probs = compile_head(model, len(config["labels"]))(held_out.documents)
    metrics = {"head": head, "split": split, **_measure(held_out, probs, config["labels"], chunk, split)}
    files.write_json(stage.path / "metrics.json", metrics)
    table = tables.predictions_table(
        held_out.documents.doc_ids, probs, held_out.documents.num_chunks, config["labels"], held_out.labels
    )
    tables.write_table(stage.path / "predictions.parquet", table)
    return stage.finish({key: value for key, value in metrics.items() if isinstance(value, (int, float))})


def _measure(
    held_out: Any, probs: np.ndarray, labels: Sequence[str], chunk: store.FinishedStage, split: str
) -> dict[str, Any]:
    from hierdoc.corpus.labels import label_ids
    from hierdoc.evaluation import baselines
    from hierdoc.evaluation.metrics import accuracy_by_chunks, confusion_matrix, macro_f1, per_class
    from hierdoc.sequences.reading import read_documents

    train = read_documents(chunk, "train", ["text", "labels"])
    train_labels = [labels[0] for labels in train["labels"].to_pylist()]
    columns = read_documents(chunk, split, ["doc_id", "text", "near_duplicate_of_train"])
    truth, documents = held_out.label_ids, held_out.documents
    by_id = dict(
        zip(
            columns["doc_id"].to_pylist(),
            zip(columns["text"].to_pylist(), columns["near_duplicate_of_train"].to_pylist(), strict=True),
            strict=True,
        )
    )
    texts, near_duplicates = zip(*(by_id[doc_id] for doc_id in documents.doc_ids), strict=True)
    svm = label_ids(baselines.tfidf_svm(train["text"].to_pylist(), train_labels, texts), labels)
    average = baselines.average_probs(documents).argmax(axis=1)
    chunk_truth = np.repeat(truth, documents.num_chunks)
    predicted = probs.argmax(axis=1)

    def accuracy(predicted_ids: Any, true_ids: np.ndarray = truth) -> float:
        return float((np.asarray(predicted_ids) == true_ids).mean())

    return {
        "document_accuracy": accuracy(predicted),
        "document_macro_f1": macro_f1(truth, predicted, labels),
        "chunk_accuracy": accuracy(documents.probs.argmax(axis=1), chunk_truth),
        "average_accuracy": accuracy(average),
        "first_chunk_accuracy": accuracy(baselines.first_chunk_probs(documents).argmax(axis=1)),
        "tfidf_svm_accuracy": accuracy(svm),
        "majority_accuracy": accuracy(baselines.majority_class(label_ids(train_labels, labels))),
        **_without_near_duplicates(
            np.asarray(near_duplicates), truth, {"document": predicted, "average": average, "tfidf_svm": svm}
        ),
        "num_documents": len(documents),
        "num_chunks": len(documents.vectors),
        "labels": list(labels),
        "per_class": per_class(truth, predicted, labels),
        "confusion_matrix": confusion_matrix(truth, predicted, len(labels)).tolist(),
        "accuracy_by_chunks": accuracy_by_chunks(predicted == truth, documents.num_chunks),
    }


def _without_near_duplicates(
    near_duplicates: np.ndarray, truth: np.ndarray, predicted: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Return how many documents are near-duplicates of training documents, and accuracies on the others; {} for none."""
    if not near_duplicates.any():
        return {}
    others = ~near_duplicates
    accuracies = {
        f"{name}_accuracy_without_near_duplicates": float((ids[others] == truth[others]).mean())
        for name, ids in predicted.items()
        if others.any()
    }
    return {"num_near_duplicates_of_train": int(near_duplicates.sum()), **accuracies}


def build_parser() -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "evaluate",
        "Measure a head on the test documents, beside its baselines.",
        "python -m hierdoc.evaluate runs/complaints",
    )
    parser.add_argument("run", metavar="RUN", help="the run directory")
    parser.add_argument("--head", default="lstm", metavar="NAME", help="which trained head")
    parser.add_argument("--split", default="test", metavar="NAME", help="test, or dev for a look while choosing")
    cli.add_overwrite(parser)
    parser.set_defaults(function=evaluate_head, describe=describe)
    return parser


def describe(stage: store.FinishedStage) -> str:
    """Return evaluate's tables and the line that says what was made."""
    from hierdoc.reporting.tables import metrics_text

    metrics = json.loads((stage.path / "metrics.json").read_text(encoding="utf-8"))
    return f"{metrics_text(metrics)}\n\n{stage.path / 'metrics.json'}: document accuracy {metrics['document_accuracy']:.4f}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `hierdoc.cli.run_command` for the exit codes."""
    return cli.run_command(build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
