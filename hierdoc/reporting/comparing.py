"""A report's sections on all arms beside one another."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

import numpy as np

from hierdoc.comparison.summary import LONG, ArmSummary, DatasetSummary, mean_and_spread
from hierdoc.evaluation.calibration import reliability
from hierdoc.evaluation.significance import Interval, SignTest, wilson
from hierdoc.reporting import figures
from hierdoc.reporting.sections import Section, Table, mean_cell

FAR = 0.2  # below the baseline: drawn, it would leave no room to tell the others apart


def headline(summaries: Sequence[DatasetSummary]) -> Section:
    """Return the accuracy of each arm on each data set, or its mean F1 of a document."""
    names = list(dict.fromkeys(arm.name for summary in summaries for arm in summary.arms))
    rows = []
    for name in names:
        cells = []
        for summary in summaries:
            found = [arm for arm in summary.arms if arm.name == name]
            mark = " *" * (summary.chosen is not None and summary.chosen.name == name)
            cells.append(mean_and_spread(found[0].accuracy()) + mark if found else "")
        rows.append([name, *cells])
    measures = {summary.measure for summary in summaries}
    several = len(measures) > 1
    names_of = [f"{summary.name}, {summary.measure}" if several else summary.name for summary in summaries]
    header = ["on test" if several else f"{measures.pop()} on test", *names_of]
    note = "Mean ± standard deviation over seeds (their number). * is the arm that dev prefers"
    ties = [f"on {summary.name} {' and '.join(summary.tied)} did as well" for summary in summaries if summary.tied]
    note += f"; {', and '.join(ties)}, and config.yaml names it first." if ties else "."
    return Section("All data sets", tables=[Table(header, rows)], notes=[note])


def overview(summary: DatasetSummary) -> Section:
    """Return how right each arm is, beside the baseline."""
    f1s = {"document_macro_f1": "macro F1"}
    of_probabilities = {"expected_calibration_error": "calibration error"}
    if summary.has_label_lists:
        f1s = {"document_micro_f1": "micro F1", **f1s, "exact_match": "exact match"}
        of_probabilities = {"ranking_precision": "ranking precision"}
    rows = []
    for arm in summary.arms:
        difference = summary.difference(arm)
        is_baseline = arm is summary.baseline
        rows.append(
            [
                arm.name,
                f"{summary.dev[arm.name]:.3f}",
                mean_and_spread(arm.accuracy()),
                *(mean_and_spread(arm.values(metric)) for metric in f1s),
                "" if is_baseline else _signed(difference.interval),
                "" if is_baseline else ", ".join(map(_p_value, difference.tests)),
                *(mean_cell(arm.values(metric)) for metric in of_probabilities),
                mean_cell(arm.values("log_loss")),
            ]
        )
    header = [
        "arm",
        "on dev",
        summary.measure,
        *f1s.values(),
        "difference",
        _p_of(summary),
        *of_probabilities.values(),
        "log loss",
    ]
    tables = [Table(header, rows)]
    notes = [
        "Dev has chosen epochs and penalties, too: what it says of an arm is too good, most where there was most to choose from.",
        "A label's log loss is 16 at most; a document's is the sum over labels. On dev: the micro F1."
        if summary.has_label_lists
        else "Log loss counts a document with 16 at most.",
    ]
    if any(not arm.values("log_loss") for arm in summary.arms):
        notes.append(f"An arm without {next(iter(of_probabilities.values()))} has no probabilities.")
    notes += _what_own_code_chose(summary)
    near = np.asarray(summary.documents["near_duplicate_of_train"].to_pylist(), bool)
    if near.any() and not near.all():
        without = [
            [arm.name, mean_and_spread(arm.accuracy(~near)),
             "" if arm is summary.baseline else _signed(summary.difference(arm, ~near).interval)]
            for arm in summary.arms
        ]  # fmt: skip
        heading = f"{summary.measure} without {near.sum():,} near-duplicates of training documents"
        tables.append(Table(["arm", heading, "difference"], without))
    return Section(summary.name, paragraphs=_what_is_compared(summary), tables=tables, notes=notes)


def _what_own_code_chose(summary: DatasetSummary) -> list[str]:
    """Return a sentence for each arm of own code, seed and split file that says what dev decided there."""
    return [
        f"{arm.name}, seed {result.facts['seed']}, {part['split']}: dev decided for "
        + ", ".join(f"{name} {value}" for name, value in part["chosen"].items())
        for arm in summary.arms if arm.own_code
        for result in arm.results
        for part in result.facts["parts"] if part["chosen"]
    ]  # fmt: skip


def _what_is_compared(summary: DatasetSummary) -> list[str]:
    num_splits, name = len(summary.by_part()), summary.baseline.name
    pooled = f" in {num_splits} folds, each in the test of one; their predictions are pooled" if num_splits > 1 else ""
    if summary.clusters is None:
        drawn, varies = "documents", "documents vary"
        tested = (
            "McNemar's exact p, seed by seed, with the documents that only the arm and only the baseline has right"
            + ", label for label" * summary.has_label_lists
        )
        dependent = (
            "Near-duplicates among the test documents are drawn as if they were independent, which makes intervals a little "
            "too narrow."
        )
    else:
        num = len(set(summary.clusters))
        drawn, varies = f"the {num} clusters that they are in", "clusters vary"
        tested = (
            "an exact sign test's p, seed by seed, with the clusters in which the arm and in which the baseline has more "
            f"{'label lists' if summary.has_label_lists else 'documents'} right"
        )
        dependent = (
            f"Documents of one cluster resemble each other; an interval of {num} clusters is a little too narrow."
        )
    paragraphs = [
        f"{len(summary.documents):,} test documents{pooled}.",
        f"Compared with {name}: the difference of {summary.measure} on the same documents with its 95 % interval (paired bootstrap "
        f"over {drawn}; an arm's seeds are averaged first), and {tested}.",
        f"The interval is of these trained models: {varies} in it, trainings do not, and where there is one seed nobody "
        f"knows how far another would have come. {len(summary.arms) - 1} arms are compared with {name} and nothing is corrected "
        f"for that: of arms that are no better, one interval in twenty excludes zero all the same. {dependent}",
    ]
    if summary.chosen is None:
        paragraphs.append("Which arm dev prefers is not known: the best figure of this table was picked on test.")
    else:
        tied = (
            f" (and as much {' and '.join(summary.tied)}, of which config.yaml names it first)" if summary.tied else ""
        )
        when = (
            "but test had been read when that was written down"
            if summary.test_was_read
            else "that was written down before this experiment read test"
        )
        paragraphs.append(f"Dev prefers {summary.chosen.name}{tied}; {when}.")
    if own := [f"{arm.name} ({code})" for arm in summary.arms if (code := arm.own_code)]:
        paragraphs.append(f"Answered by own code of the experiment's folder: {', '.join(own)}.")
    if summary.late:
        paragraphs.append(f"Added or changed after test was read: {', '.join(summary.late)}.")
    if summary.missing:
        paragraphs.append(f"Not there yet: {'; '.join(summary.missing)}.")
    return paragraphs


def differences(summary: DatasetSummary) -> Section:
    """Return each arm's difference from the baseline, as a figure."""
    rows = {arm.name: summary.difference(arm) for arm in summary.arms if arm is not summary.baseline}
    intervals = {name: (difference.interval, difference.is_clear) for name, difference in rows.items()}
    far = {name: interval for name, (interval, _) in intervals.items() if interval.high < -FAR}
    near = {name: shown for name, shown in intervals.items() if name not in far}
    chosen = summary.chosen.name if summary.chosen else ""
    figure = figures.forest(near, summary.baseline.name, chosen, summary.measure) if near else ""
    caption = (
        f"Green and red: the interval excludes zero, and an exact sign test of the {'documents' if summary.clusters is None else 'clusters'} "
        "that differ agrees (p < 0.05). Grey: these documents can't tell. * is the arm that dev prefers."
    )
    if far:
        caption += f" Too far off to be drawn: {', '.join(f'{name} {_signed(found)}' for name, found in far.items())}."
    return Section(f"{summary.name}: against {summary.baseline.name}", 3, figure=figure, caption=caption)


def pairs(summary: DatasetSummary) -> list[Section]:
    """Return the differences of the pairs of arms that the experiment asks for; no section where it asks for none."""
    rows = []
    for first, second in summary.pairs:
        difference = summary.difference(first, other=second)
        long = _signed(summary.difference(first, summary.long, second).interval) if summary.long.any() else ""
        tests = ", ".join(map(_p_value, difference.tests))
        rows.append([first.name, second.name, _signed(difference.interval), tests, long])
    if not rows:
        return []
    header = ["arm", "against", "difference", _p_of(summary), f"on long documents ({summary.long.sum():,})"]
    return [Section(f"{summary.name}: one arm against another", 3, tables=[Table(header, rows)])]


def by_fold(summary: DatasetSummary) -> list[Section]:
    """Return each arm's accuracy on the test of each split file; no section where there is one."""
    parts = summary.by_part()
    if len(parts) == 1:
        return []
    rows = [[arm.name, *(statistics.mean(arm.accuracy(members)) for _, members in parts)] for arm in summary.arms]
    counted = ["documents", *(int(members.sum()) for _, members in parts)]
    table = Table([summary.measure, *(name for name, _ in parts)], [counted, *rows])
    return [Section(f"{summary.name}: by fold", 3, tables=[table])]


def by_length(summary: DatasetSummary) -> Section:
    """Return each arm's accuracy by the documents' number of chunks."""
    bins = summary.by_chunks()
    rows = [[arm.name, *(statistics.mean(arm.accuracy(members)) for _, members in bins)] for arm in summary.arms]
    counted = ["documents", *(int(members.sum()) for _, members in bins)]
    tables = [Table(["chunks", *(name for name, _ in bins)], [counted, *rows])]
    by_bootstrap = summary.has_label_lists or summary.clusters is not None
    shown, whose = _clearest(summary), "bootstrap" if by_bootstrap else "Wilson's"
    values = {
        arm.name: [
            summary.interval(arm.hits, members)
            if by_bootstrap
            else wilson(float(arm.hits[members].mean()), int(members.sum()))
            for _, members in bins
        ]
        for arm in shown
    }
    figure = figures.lines_by_bin(
        [name for name, _ in bins], [int(members.sum()) for _, members in bins], values, summary.measure
    )
    notes = [f"Chunks as {summary.baseline.name}'s stage cut them."]
    if 0 < summary.long.sum() < len(summary.long):
        long_rows = [
            [arm.name, mean_and_spread(arm.accuracy(summary.long)),
             "" if arm is summary.baseline else _signed(summary.difference(arm, summary.long).interval)]
            for arm in summary.arms
        ]  # fmt: skip
        header = [f"long documents only ({LONG} chunks or more: {summary.long.sum():,})", summary.measure, "difference"]
        tables.append(Table(header, long_rows))
    caption = f"{summary.measure[0].upper()}{summary.measure[1:]} by length with 95 % intervals ({whose})" + _of_some(
        shown, summary
    )
    return Section(f"{summary.name}: by length", 3, figure=figure, caption=caption, tables=tables, notes=notes)


def calibration(summary: DatasetSummary) -> list[Section]:
    """Return how far each arm's probabilities mean what they say; no section where no arm has any."""
    shown = {}
    if summary.has_label_lists:
        return []
    able = [arm for arm in summary.arms if arm.values("log_loss")]
    for arm in _clearest(summary, of=able):
        confidence = np.concatenate([result.predictions["probability"].to_numpy() for result in arm.results])
        correct = np.concatenate([result.correct for result in arm.results])
        error = mean_cell(arm.values("expected_calibration_error"))
        shown[f"{arm.name}: error {error}"] = reliability(confidence, correct)
    if not shown:
        return []
    caption = (
        "On the diagonal a probability means what it says; below it, the arm is surer than it is right. Bars: the share of "
        "documents. The error is the mean gap, weighted by documents (15 bins); the mean over seeds"
    )
    figure = figures.reliability_diagram(shown)
    caption += "." if len(shown) == len(able) else f". {len(shown)} of {len(able)} arms are drawn."
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


def _p_of(summary: DatasetSummary) -> str:
    return "McNemar p" if summary.clusters is None else "sign test p (clusters)"


def _p_value(test: SignTest) -> str:
    p_value = f"{test.p_value:.3f}" if test.p_value >= 0.001 else "< 0.001"
    return f"{p_value} ({test.only_first}:{test.only_second})"
