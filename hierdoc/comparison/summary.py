"""What the results of an experiment say together: arms over seeds, against the baseline, on the same documents."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from hierdoc.comparison.config import Experiment, read_config
from hierdoc.comparison.results import SELECTION, Result, read_results
from hierdoc.errors import HierdocError
from hierdoc.evaluation.metrics import CHUNK_BINS
from hierdoc.evaluation.significance import Interval, McNemar, bootstrap_mean, mcnemar
from hierdoc.stages import files

LONG = 4  # chunks; a long document has as many or more


@dataclass(frozen=True)
class ArmSummary:
    """One arm on one dataset.

    Attributes:
        name: of the arm.
        results: one for each seed, in their order.
        hits: float64 (B,): the share of seeds that have each document right.
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

    def accuracy(self, members: np.ndarray | None = None) -> list[float]:
        """Return the accuracy for each seed, on all documents or on `members`, bool (B,)."""
        return [float(result.correct[slice(None) if members is None else members].mean()) for result in self.results]


@dataclass(frozen=True)
class Difference:
    """An arm's accuracy minus the baseline's, on the same documents.

    Attributes:
        interval: 95 %, paired.
        tests: McNemar's for each of the arm's seeds, against the baseline's result of that seed or else its first.
    """

    interval: Interval
    tests: Sequence[McNemar]


@dataclass(frozen=True)
class DatasetSummary:
    """All arms on one dataset.

    Attributes:
        name: of the dataset.
        arms: in the order of the experiment.
        baseline: one of them.
        chosen: the arm that dev prefers; None where that was not recorded.
        late: names of arms that were added after test was read.
        num_chunks: int (B,), as the baseline's documents were cut.
    """

    name: str
    arms: Sequence[ArmSummary]
    baseline: ArmSummary
    chosen: ArmSummary | None
    late: Sequence[str]
    num_chunks: np.ndarray

    @property
    def documents(self) -> pa.Table:
        return self.baseline.results[0].predictions

    @property
    def featured(self) -> ArmSummary:
        """The arm that is looked at more closely: what dev prefers, or else the first."""
        return self.chosen or self.arms[0]

    def difference(self, arm: ArmSummary, members: np.ndarray | None = None) -> Difference:
        """Return how an arm differs from the baseline, on all documents or on `members`, bool (B,)."""
        inside = slice(None) if members is None else members
        interval = bootstrap_mean((arm.hits - self.baseline.hits)[inside])
        of_seed = {result.facts["seed"]: result for result in self.baseline.results}
        tests = [
            mcnemar(result.correct[inside], of_seed.get(result.facts["seed"], self.baseline.results[0]).correct[inside])
            for result in arm.results
        ]
        return Difference(interval, tests)

    def by_chunks(self) -> list[tuple[str, np.ndarray]]:
        """Return (name, members as bool (B,)) of each range of numbers of chunks that has documents."""
        found = []
        for low, high in CHUNK_BINS:
            members = (self.num_chunks >= low) & (self.num_chunks <= (high or np.inf))
            if members.any():
                name = f"{low}+" if high is None else str(low) if low == high else f"{low}-{high}"
                found.append((name, members))
        return found

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
    selection_path = folder / "results" / SELECTION
    selection = files.read_object(selection_path) if selection_path.exists() else {}
    arms, datasets = ([entry.name for entry in entries] for entries in (experiment.arms, experiment.datasets))
    return experiment, summarise(read_results(folder), arms, datasets, experiment.baseline, selection)


def summarise(
    results: Sequence[Result], arms: Sequence[str], datasets: Sequence[str], baseline: str, selection: dict[str, dict]
) -> list[DatasetSummary]:
    """Return a summary of each dataset that has results.

    Args:
        results: those of one experiment, checked against each other.
        arms, datasets: their names, in the order to show them.
        baseline: the name of the arm to compare with.
        selection: what selection.json holds.

    Raises:
        HierdocError: a result is of an arm or a dataset that is not named; the baseline's result is missing.
    """
    for result in results:
        for what, known in (("arm", arms), ("dataset", datasets)):
            if result.facts[what] not in known:
                raise HierdocError(
                    f"{result.path}: is of {what} {result.facts[what]!r}, which config.yaml does not name"
                )
    summaries = []
    for dataset in datasets:
        by_arm = {
            arm: [result for result in results if (result.facts["dataset"], result.facts["arm"]) == (dataset, arm)]
            for arm in arms
        }
        found = [_summary(arm, its) for arm, its in by_arm.items() if its]
        if not found:
            continue
        if not by_arm[baseline]:
            raise HierdocError(
                f"{found[0].results[0].path.parent}: {dataset} has no result of the baseline {baseline!r}"
            )
        of_name = {arm.name: arm for arm in found}
        recorded = selection.get(dataset, {})
        late = [arm.name for arm in found if recorded and arm.name not in recorded["mean_dev_accuracy"]]
        num_chunks = by_arm[baseline][0].predictions["num_chunks"].to_numpy()
        chosen = of_name.get(recorded.get("chosen", ""))
        summaries.append(DatasetSummary(dataset, found, of_name[baseline], chosen, late, num_chunks))
    return summaries


def _summary(name: str, results: Sequence[Result]) -> ArmSummary:
    ordered = sorted(results, key=lambda result: result.facts["seed"])
    return ArmSummary(name, ordered, np.mean([result.correct for result in ordered], axis=0))


def mean_and_spread(values: Sequence[float]) -> str:
    """Return the mean with its standard deviation over seeds, and their number: "0.837 ± 0.004 (3)", "0.837 (1)"."""
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread} ({len(values)})"
