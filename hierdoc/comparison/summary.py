"""What the results of an experiment say together: arms over seeds, against the baseline, on the same documents."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hierdoc.comparison.config import Experiment, read_config
from hierdoc.comparison.results import SELECTION, Result, check_configured, is_chosen_on, read_results
from hierdoc.comparison.runnable import check_split_files
from hierdoc.errors import HierdocError
from hierdoc.evaluation.metrics import bins_of_chunks
from hierdoc.evaluation.significance import Interval, SignTest, bootstrap_mean, by_cluster, sign_test
from hierdoc.stages import files

LONG = 4  # chunks; a long document has as many or more


@dataclass(frozen=True)
class ArmSummary:
    """One arm on one dataset.

    Attributes:
        name: of the arm.
        results: one for each seed, in their order.
        hits: float64 (B,): the share of seeds that have each document right; of any number of labels its mean F1.
    """

    name: str
    results: Sequence[Result]
    hits: np.ndarray

    @property
    def seeds(self) -> list[int]:
        return [result.facts["seed"] for result in self.results]

    @property
    def own_code(self) -> str:
        """The name of the file of the experiment's folder that answers; empty where hierdoc does."""
        configuration = self.results[0].facts["configuration"]
        return configuration["answers"] if "code_sha256" in configuration else ""

    def values(self, metric: str) -> list[float]:
        """Return a metric for each seed; none where the arm does not have it."""
        return [result.facts["metrics"][metric] for result in self.results if metric in result.facts["metrics"]]

    @property
    def has_chunks(self) -> bool:
        """Whether it reads chunks' vectors, and not whole texts."""
        return "embed" in self.results[0].facts["parts"][0]["fingerprints"]

    def accuracy(self, members: np.ndarray | None = None) -> list[float]:
        """Return the accuracy (or mean F1 of a document) for each seed, on all documents or on `members`, bool (B,)."""
        return [float(result.hits[slice(None) if members is None else members].mean()) for result in self.results]


@dataclass(frozen=True)
class Difference:
    """An arm's accuracy minus the baseline's, or another's, on the same documents.

    Attributes:
        interval: 95 %, paired.
        tests: McNemar's for each of the arm's seeds, against the other's result of that seed or else its first; where there
            are clusters, of how many the arm has more documents right, and in how many fewer.
        sign: of the documents' (or clusters') mean differences over the seeds; with one seed the same as McNemar's.
    """

    interval: Interval
    tests: Sequence[SignTest]
    sign: SignTest

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes zero and enough documents differ for the exact test to say so, too."""
        return self.interval.excludes_zero and self.sign.p_value < 0.05


@dataclass(frozen=True)
class DatasetSummary:
    """All arms on one dataset.

    Attributes:
        name: of the dataset.
        arms: in the order of the experiment.
        baseline: one of them.
        chosen: the arm that dev prefers; None where that was not recorded.
        tied: names of arms that did as well on dev, and stand after it in config.yaml.
        late: names of arms that were added, changed or given more seeds, data or split files after that was recorded.
        dev: the mean dev accuracy (or micro-F1) of each arm over its seeds and split files, by name.
        test_was_read: before it was recorded.
        missing: names of what config.yaml asks for and there is no result of: "lstm, seed 1".
        num_chunks: int (B,), as the baseline's documents were cut.
        pairs: arms that are also compared with each other, the first with the second.
        clusters: str (B,), of documents that belong together (see `Dataset.clusters`); None where they are independent.
    """

    name: str
    arms: Sequence[ArmSummary]
    baseline: ArmSummary
    chosen: ArmSummary | None
    tied: Sequence[str]
    late: Sequence[str]
    dev: Mapping[str, float]
    test_was_read: bool
    missing: Sequence[str]
    num_chunks: np.ndarray
    pairs: Sequence[tuple[ArmSummary, ArmSummary]] = ()
    clusters: np.ndarray | None = None

    @property
    def documents(self) -> pa.Table:
        return self.baseline.results[0].predictions

    @property
    def has_label_lists(self) -> bool:
        """Whether documents have any number of labels."""
        return self.baseline.results[0].has_label_lists

    @property
    def measure(self) -> str:
        """What `ArmSummary.accuracy` is here."""
        return "F1 of a document" if self.has_label_lists else "accuracy"

    @property
    def featured(self) -> ArmSummary:
        """The arm that is looked at more closely: what dev prefers, or else the first."""
        return self.chosen or self.arms[0]

    def difference(
        self, arm: ArmSummary, members: np.ndarray | None = None, other: ArmSummary | None = None
    ) -> Difference:
        """Return how an arm differs from the baseline, or from another, on all documents or on `members`, bool (B,)."""
        other = other or self.baseline
        inside = slice(None) if members is None else members
        of_seed = {result.facts["seed"]: result for result in other.results}
        differing = [
            result.correct.astype(float) - of_seed.get(result.facts["seed"], other.results[0]).correct
            for result in arm.results
        ]

        def sign_of(values: np.ndarray) -> SignTest:
            return sign_test(by_cluster(values[inside], None if self.clusters is None else self.clusters[inside]))

        values = arm.hits - other.hits
        return Difference(self.interval(values, members), [sign_of(each) for each in differing], sign_of(values))

    def interval(self, values: np.ndarray, members: np.ndarray | None = None) -> Interval:
        """Return the 95 % interval of the mean of `values`, float (B,), or of those of `members`, bool (B,)."""
        inside = slice(None) if members is None else members
        clusters = None if self.clusters is None else self.clusters[inside]
        return bootstrap_mean(values[inside], clusters=clusters)

    def by_chunks(self) -> list[tuple[str, np.ndarray]]:
        """Return (name, members as bool (B,)) of each range of numbers of chunks that has documents."""
        return bins_of_chunks(self.num_chunks)

    def by_part(self) -> list[tuple[str, np.ndarray]]:
        """Return (split file's stem, members as bool (B,)) of each split file."""
        part = self.documents["part"].to_numpy()
        splits = self.baseline.results[0].facts["splits"]
        return [(Path(split["file"]).stem, part == number) for number, split in enumerate(splits)]

    @property
    def long(self) -> np.ndarray:
        """bool (B,): documents of `LONG` chunks or more."""
        return self.num_chunks >= LONG


def read_summaries(folder: Path) -> tuple[Experiment, list[DatasetSummary]]:
    """Return an experiment's configuration and the summaries of its results.

    Raises:
        HierdocError: the configuration or a result is damaged; results do not fit together or are not of it.
    """
    experiment = read_config(folder)
    check_split_files(experiment)
    selection_path = folder / "results" / SELECTION
    selection = files.read_object(selection_path) if selection_path.exists() else {}
    for dataset, recorded in selection.items():
        for key in ("chosen", "configurations", "seeds"):
            if not isinstance(recorded, dict) or key not in recorded:
                raise HierdocError(f"{selection_path}: {dataset!r} must have a key `{key}`")
    return experiment, summarise(experiment, read_results(folder), selection)


def summarise(experiment: Experiment, results: Sequence[Result], selection: Mapping[str, Any]) -> list[DatasetSummary]:
    """Return a summary of each dataset that has results, in the order of the experiment.

    Args:
        experiment: as config.yaml says it.
        results: checked against each other.
        selection: what selection.json holds.

    Raises:
        HierdocError: a result is of an arm, a dataset, a configuration or a seed that config.yaml does not name; the
            baseline's result is missing.
    """
    datasets = {dataset.name: dataset for dataset in experiment.datasets}
    arms = {arm.name: arm for arm in experiment.arms}
    for result in results:
        for what, known in (("arm", arms), ("dataset", datasets)):
            if result.facts[what] not in known:
                raise HierdocError(
                    f"{result.path}: is of {what} {result.facts[what]!r}, which config.yaml does not name"
                )
        dataset, arm = datasets[result.facts["dataset"]], arms[result.facts["arm"]]
        check_configured(result.path, result.facts, experiment, dataset, arm)
    summaries = []
    for dataset in experiment.datasets:
        by_arm = {
            name: [
                result for result in results if (result.facts["dataset"], result.facts["arm"]) == (dataset.name, name)
            ]
            for name in arms
        }
        found = {name: _summary(name, its) for name, its in by_arm.items() if its}
        if not found:
            continue
        if experiment.baseline not in found:
            folder = next(iter(found.values())).results[0].path.parent
            raise HierdocError(f"{folder}: {dataset.name} has no result of the baseline {experiment.baseline!r}")
        recorded = selection.get(dataset.name, {})
        baseline = found[experiment.baseline]
        summaries.append(
            DatasetSummary(
                dataset.name, list(found.values()), baseline, found.get(recorded.get("chosen", "")), _tied(recorded),
                [name for name, arm in found.items() if recorded and any(_is_late(result, recorded) for result in arm.results)],
                {name: _on_dev(arm.results) for name, arm in found.items()}, recorded.get("test_was_read", False),
                [
                    f"{arm.name}, seed {seed}" for arm in experiment.arms for seed in arm.seeds(dataset)
                    if arm.name not in found or seed not in found[arm.name].seeds
                ],
                baseline.results[0].predictions["num_chunks"].to_numpy(),
                [(found[first], found[second]) for first, second in experiment.pairs if first in found and second in found],
                dataset.clusters_of(baseline.results[0].predictions["doc_id"].to_pylist()),
            )
        )  # fmt: skip
    return summaries


def _tied(recorded: Mapping[str, Any]) -> list[str]:
    """Return the arms that had on dev what the chosen one had."""
    means = recorded.get("mean_dev_accuracy", recorded.get("mean_dev_micro_f1", {}))
    chosen = recorded.get("chosen")
    return [name for name, mean in means.items() if name != chosen and mean == means.get(chosen)]


def _is_late(result: Result, recorded: Mapping[str, Any]) -> bool:
    configuration = recorded["configurations"].get(result.facts["arm"])
    splits = [split["sha256"] for split in result.facts["splits"]]
    if not is_chosen_on(recorded, splits, result.facts["data_sha256"]):
        return True
    return configuration != result.facts["configuration"] or result.facts["seed"] not in recorded["seeds"]


def _on_dev(results: Sequence[Result]) -> float:
    readings = [part["dev"] for result in results for part in result.facts["parts"]]
    return statistics.mean(dev.get("document_micro_f1", dev.get("document_accuracy")) for dev in readings)


def _summary(name: str, results: Sequence[Result]) -> ArmSummary:
    ordered = sorted(results, key=lambda result: result.facts["seed"])
    return ArmSummary(name, ordered, np.mean([result.hits for result in ordered], axis=0))


def mean_and_spread(values: Sequence[float]) -> str:
    """Return the mean with its standard deviation over seeds, and their number: "0.837 ± 0.004 (3)", "0.837 (1)"."""
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread} ({len(values)})"
