"""A report's sections on all arms beside one another."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

import numpy as np

from hierdoc.comparison.summary import LONG, ArmSummary, DatasetSummary, mean_and_spread
from hierdoc.evaluation.calibration import reliability
from hierdoc.evaluation.significance import Interval, wilson
from hierdoc.reporting import figures
from hierdoc.reporting.sections import Section, Table, mean_cell


def headline(summaries: Sequence[DatasetSummary]) -> Section:
    """Return the accuracy of each arm on each data set."""
    names = list(dict.fromkeys(arm.name for summary in summaries for arm in summary.arms))
    rows = []
    for name in names:
        cells = []
        for summary in summaries:
            found = [arm for arm in summary.arms if arm.name == name]
            mark = " *" * (summary.chosen is not None and summary.chosen.name == name)
            cells.append(mean_and_spread(found[0].accuracy()) + mark if found else "")
        rows.append([name, *cells])
    header = ["accuracy on test", *(summary.name for summary in summaries)]
    note = "Mean ± standard deviation over seeds (their number). * is the arm that dev prefers."
    return Section("All data sets", tables=[Table(header, rows)], notes=[note])


def overview(summary: DatasetSummary) -> Section:
    """Return how right each arm is, beside the baseline."""
    rows = []
    for arm in summary.arms:
        difference = summary.difference(arm)
        is_baseline = arm is summary.baseline
        rows.append(
            [
                arm.name,
                mean_and_spread(arm.accuracy()),
                mean_and_spread(arm.values("document_macro_f1")),
                "" if is_baseline else _signed(difference.interval),
                "" if is_baseline else ", ".join(_p(test.p_value) for test in difference.tests),
                mean_cell(arm.values("expected_calibration_error")),
                mean_cell(arm.values("log_loss")),
            ]
        )
    documents, result = summary.documents, summary.baseline.results[0]
    num_splits = len(result.facts["splits"])
    paragraphs = [
        f"{len(documents):,} test documents"
        + (
            f" in {num_splits} folds, each in the test of one; their predictions are pooled." if num_splits > 1 else "."
        ),
        f"Compared with {summary.baseline.name}: the difference of accuracy on the same documents with its 95 % interval "
        "(paired bootstrap over documents; an arm's seeds are averaged first), and McNemar's exact p, seed by seed.",
    ]
    if summary.chosen is not None:
        paragraphs.append(f"Dev prefers {summary.chosen.name}; that was written down before test was read.")
    else:
        paragraphs.append("Which arm dev prefers was not recorded: the best figure of this table was picked on test.")
    if own := [f"{arm.name} ({code})" for arm in summary.arms if (code := arm.own_code)]:
        paragraphs.append(f"Answered by own code of the experiment's folder: {', '.join(own)}.")
    if summary.late:
        paragraphs.append(f"Added after test was read: {', '.join(summary.late)}.")
    header = ["arm", "accuracy", "macro F1", "difference", "McNemar p", "calibration error", "log loss"]
    near = np.asarray(documents["near_duplicate_of_train"].to_pylist(), bool)
    tables, notes = [Table(header, rows)], []
    if near.any() and not near.all():
        without = [[arm.name, mean_and_spread(arm.accuracy(~near))] for arm in summary.arms]
        tables.append(Table(["arm", f"accuracy without {near.sum():,} near-duplicates of training documents"], without))
    if any(not arm.values("log_loss") for arm in summary.arms):
        notes.append("An arm without calibration error has no probabilities.")
    return Section(summary.name, paragraphs=paragraphs, tables=tables, notes=notes)


def differences(summary: DatasetSummary) -> Section:
    """Return each arm's difference from the baseline, as a figure."""
    others = [arm for arm in summary.arms if arm is not summary.baseline]
    rows = [(arm.name, summary.difference(arm).interval) for arm in others]
    figure = figures.forest(rows, summary.baseline.name, summary.chosen.name if summary.chosen else "") if rows else ""
    caption = (
        "Green and red: the interval excludes zero. Grey: these documents can't tell. * is the arm that dev prefers."
    )
    return Section(f"{summary.name}: against {summary.baseline.name}", 3, figure=figure, caption=caption)


def by_length(summary: DatasetSummary) -> Section:
    """Return each arm's accuracy by the documents' number of chunks."""
    bins = summary.by_chunks()
    rows = [[arm.name, *(statistics.mean(arm.accuracy(members)) for _, members in bins)] for arm in summary.arms]
    counted = ["documents", *(int(members.sum()) for _, members in bins)]
    tables = [Table(["chunks", *(name for name, _ in bins)], [counted, *rows])]
    shown = _clearest(summary)
    values = {
        arm.name: [wilson(float(arm.hits[members].mean()), int(members.sum())) for _, members in bins] for arm in shown
    }
    figure = figures.lines_by_bin([name for name, _ in bins], [int(members.sum()) for _, members in bins], values)
    notes = [f"Chunks as {summary.baseline.name}'s stage cut them."]
    if 0 < summary.long.sum() < len(summary.long):
        long_rows = [
            [arm.name, mean_and_spread(arm.accuracy(summary.long)),
             "" if arm is summary.baseline else _signed(summary.difference(arm, summary.long).interval)]
            for arm in summary.arms
        ]  # fmt: skip
        header = [f"long documents only ({LONG} chunks or more: {summary.long.sum():,})", "accuracy", "difference"]
        tables.append(Table(header, long_rows))
    caption = "Accuracy by length with 95 % intervals (Wilson's)" + _of_some(shown, summary)
    return Section(f"{summary.name}: by length", 3, figure=figure, caption=caption, tables=tables, notes=notes)


def calibration(summary: DatasetSummary) -> list[Section]:
    """Return how far each arm's probabilities mean what they say; no section where no arm has any."""
    shown = {}
    for arm in _clearest(summary, of=[arm for arm in summary.arms if arm.values("log_loss")]):
        confidence = np.concatenate([result.predictions["probability"].to_numpy() for result in arm.results])
        correct = np.concatenate([result.correct for result in arm.results])
        shown[arm.name] = reliability(confidence, correct)
    if not shown:
        return []
    caption = (
        "On the diagonal a probability means what it says; below it, the arm is surer than it is right. Bars: the share of "
        "documents. The error is the mean gap, weighted by documents (15 bins)."
    )
    figure = figures.reliability_diagram(shown)
    return [Section(f"{summary.name}: calibration", 3, figure=figure, caption=caption)]


def _clearest(summary: DatasetSummary, of: Iterable[ArmSummary] | None = None) -> list[ArmSummary]:
    """Return the arms for a figure: the featured one, the baseline, then the most accurate on test, in their order."""
    arms = list(summary.arms if of is None else of)
    first = [arm for arm in arms if arm in (summary.featured, summary.baseline)]
    others = sorted((arm for arm in arms if arm not in first), key=lambda arm: -float(arm.hits.mean()))
    kept = (first + others)[: figures.MOST_ARMS]
    return [arm for arm in arms if arm in kept]


def _of_some(shown: Sequence[ArmSummary], summary: DatasetSummary) -> str:
    return "." if len(shown) == len(summary.arms) else f", of {len(shown)} arms; the table has all."


def _signed(interval: Interval) -> str:
    return f"{interval.estimate:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"
