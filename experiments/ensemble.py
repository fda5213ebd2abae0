"""What it brings to average the probabilities of several seeds of an arm, or of several arms of one seed.

    python experiments/ensemble.py experiments/016-newsgroups --runs build/runs OUT.json [--together lstm,mean_pool,attention]

Needs the run directories that the experiment's results were made in, of one class for each document. The documents' probabilities
of each arm's seeds are averaged; or, with `--together`, those of several arms, seed by seed. Beside their accuracy, on dev and on
test, stands the mean accuracy of those averaged, and the difference on test, on the same documents, with its 95 % interval
(bootstrap over documents, or over the clusters that config.yaml says they are in).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hierdoc.comparison.config import Arm, Dataset, Experiment, read_config
from hierdoc.comparison.results import result_path
from hierdoc.comparison.runs import answerer, arm_directory
from hierdoc.evaluation.significance import bootstrap_mean
from hierdoc.stages import files
from hierdoc.stages.finished import read_stage

FACTS = ["doc_id", "label", "true_label"]


Said = tuple[np.ndarray, pa.Table]


def said(runs: Path, experiment: Experiment, dataset: Dataset, arm: Arm, seed: int, of: str) -> Said:
    """Return (the probabilities (B, C) of all folds' documents; doc_id, label and true_label of these, by their own order).

    `of` is "" for test or "-dev".
    """
    parts = []
    result = files.read_object(result_path(experiment.folder, dataset.name, arm.name, seed))
    name = f"evaluate/{answerer(arm)}{of}"
    for split, part in zip(dataset.splits, result["parts"], strict=True):
        stage = read_stage(arm_directory(runs, experiment, dataset, arm, seed, split), name)
        if stage.fingerprint != part["fingerprints"][name]:
            raise SystemExit(f"{stage.path}: is not what the result of {arm.name}, seed {seed}, was made of")
        parts.append(pq.read_table(stage.path / "predictions.parquet"))
    if "label" not in parts[0].column_names:
        raise SystemExit(f"{dataset.name}: its documents have any number of labels, and these are not averaged here")
    names = [name for name in parts[0].column_names if name.startswith("probability:")]
    table = pa.concat_tables([part.select([*FACTS, *names]) for part in parts])
    probs = np.stack([table[name].to_numpy() for name in names], axis=1)
    if np.isnan(probs).any():
        raise SystemExit(f"{arm.name}: has no probabilities to be averaged")
    return probs, table


def rights(answers: Sequence[Said]) -> tuple[np.ndarray, np.ndarray]:
    """Return whether the average of several answers is right, bool (B,), and how often they are by themselves, float (B,)."""
    table = answers[0][1]
    if any(not other["doc_id"].equals(table["doc_id"]) for _, other in answers):
        raise SystemExit("the arms have not answered for the same documents")
    truth = table["true_label"].to_numpy()
    hits = np.stack([other["label"].to_numpy() == truth for _, other in answers])
    labels = [name.removeprefix("probability:") for name in table.column_names if name not in FACTS]
    averaged = np.asarray(labels, object)[np.mean([probs for probs, _ in answers], axis=0).argmax(axis=1)] == truth
    return averaged, hits.mean(axis=0)


def case(dataset: Dataset, on_dev: Sequence[Said], on_test: Sequence[Said]) -> dict[str, object]:
    """Return how right the average of several answers is, and how right they are by themselves."""
    (averaged_dev, alone_dev), (averaged, alone) = rights(on_dev), rights(on_test)
    clusters = dataset.clusters_of(on_test[0][1]["doc_id"].to_pylist())
    found = bootstrap_mean(averaged.astype(float) - alone, clusters=clusters)
    return {
        "averaged": len(on_test),
        "on dev": round(float(averaged_dev.mean()), 4),
        "alone on dev": round(float(alone_dev.mean()), 4),
        "on test": round(float(averaged.mean()), 4),
        "alone on test": round(float(alone.mean()), 4),
        "difference in points": f"{100 * found.estimate:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})",
        "documents": len(averaged),
    }


def main() -> None:
    """Write the cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("build/runs"))
    parser.add_argument("--together", default="", metavar="ARMS", help="with commas between them")
    arguments = parser.parse_args()
    experiment = read_config(arguments.folder)
    together = [name for name in arguments.together.split(",") if name]
    cases = {}
    there = [
        dataset for dataset in experiment.datasets if any((arguments.folder / "results").glob(f"{dataset.name}.*"))
    ]
    for dataset in there:
        by_arm = {
            arm.name: [
                [said(arguments.runs, experiment, dataset, arm, seed, of) for of in ("-dev", "")]
                for seed in arm.seeds(dataset)
            ]
            for arm in experiment.arms
            if (not arm.reads_words_only and not together) or arm.name in together
        }
        if unknown := set(together) - set(by_arm):
            raise SystemExit(f"there is no arm {min(unknown)!r}")
        for name, answers in by_arm.items():
            if len(answers) > 1 and not together:
                cases[f"{dataset.name}, {name}, all seeds"] = case(dataset, *zip(*answers))
        for number, seed in enumerate(dataset.seeds if together else ()):
            chosen = [by_arm[name][min(number, len(by_arm[name]) - 1)] for name in together]
            cases[f"{dataset.name}, {', '.join(together)}, seed {seed}"] = case(dataset, *zip(*chosen))
    files.write_json(arguments.out, {"cases": cases})
    print(f"{arguments.out}: {len(cases)} cases")


if __name__ == "__main__":
    main()
