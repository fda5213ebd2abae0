"""A report as data: sections of paragraphs, tables and figures, that a page is made of."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hierdoc.comparison.summary import LONG, ArmSummary, DatasetSummary, mean_and_spread
from hierdoc.evaluation.calibration import reliability
from hierdoc.evaluation.significance import Interval, wilson
from hierdoc.reporting import figures

NUM_MISTAKES = 20
CLEAREST = 6  # arms in a figure of lines; the others are in the tables
TEXT_SHOWN = 300  # characters of a document


@dataclass(frozen=True)
class Table:
    """A table; cells are text or numbers, and every row is as long as the header."""

    header: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it, in this order: paragraphs, figure (SVG), tables, notes."""

    heading: str
    level: int = 2
    paragraphs: Sequence[str] = ()
    figure: str = ""
    caption: str = ""
    tables: Sequence[Table] = ()
    notes: Sequence[str] = field(default_factory=tuple)


def report_sections(
    summaries: Sequence[DatasetSummary], texts: Mapping[str, Mapping[tuple[int, str], str]]
) -> list[Section]:
    """Return the sections of a report.

    Args:
        summaries: of the datasets, in order.
        texts: for datasets whose texts may be shown, {(part, doc_id): text}.
    """
    sections = [headline(summaries)]
    for summary in summaries:
        sections += [
            _overview(summary),
            _differences(summary),
            _by_length(summary),
            _classes(summary),
            *_curves(summary),
            *_calibration(summary),
            _coverage(summary),
            _mistakes(summary, texts.get(summary.name, {})),
            _costs(summary),
            _provenance(summary),
        ]
    return sections


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


def _overview(summary: DatasetSummary) -> Section:
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
                _mean(arm.values("expected_calibration_error")),
                _mean(arm.values("log_loss")),
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


def _differences(summary: DatasetSummary) -> Section:
    others = [arm for arm in summary.arms if arm is not summary.baseline]
    rows = [(arm.name, summary.difference(arm).interval) for arm in others]
    figure = figures.forest(rows, summary.baseline.name, summary.chosen.name if summary.chosen else "") if rows else ""
    caption = (
        "Green and red: the interval excludes zero. Grey: these documents can't tell. * is the arm that dev prefers."
    )
    return Section(f"{summary.name}: against {summary.baseline.name}", 3, figure=figure, caption=caption)


def _by_length(summary: DatasetSummary) -> Section:
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


def _classes(summary: DatasetSummary) -> Section:
    featured = summary.featured
    results = featured.results
    labels = sorted({label for result in results for label in result.facts["metrics"]["labels"]})
    place = {label: at for at, label in enumerate(labels)}
    matrix = np.zeros((len(labels), len(labels)), np.int64)
    for result in results:
        table = result.predictions
        for true, answer in zip(table["true_label"].to_pylist(), table["label"].to_pylist(), strict=True):
            matrix[place[true], place[answer]] += 1
    arms = list(dict.fromkeys([featured.name, summary.baseline.name]))
    by_name = {arm.name: arm for arm in summary.arms}
    rows = []
    for label in labels:
        count = results[0].facts["metrics"]["per_class"].get(label, {}).get("num_documents", 0)
        rows.append([label, count, *(_f1(by_name[name], label) for name in arms)])
    caption = (
        f"{featured.name}: rows are true classes, the colour is the share of the row"
        + (f"; counts of {len(results)} seeds together" if len(results) > 1 else "") + "."
    )  # fmt: skip
    header = ["class", "documents", *(f"F1 of {name}" for name in arms)]
    return Section(
        f"{summary.name}: classes", 3, figure=figures.confusion(labels, matrix), caption=caption,
        tables=[Table(header, rows)],
    )  # fmt: skip


def _f1(arm: ArmSummary, label: str) -> float:
    return statistics.mean(result.facts["metrics"]["per_class"].get(label, {"f1": 0.0})["f1"] for result in arm.results)


def _curves(summary: DatasetSummary) -> list[Section]:
    histories: dict[str, list[list[dict[str, Any]]]] = {}
    seen = set()
    for arm in summary.arms:
        for result in arm.results:
            for part in result.facts["parts"]:
                for stage, epochs in part["history"].items():
                    key = part["fingerprints"][stage]
                    if key in seen or (stage != "finetune" and arm is not summary.featured and arm.name not in stage):
                        continue
                    seen.add(key)
                    name = f"{stage}" if stage == "finetune" else f"{arm.name}: {stage}"
                    name = (
                        name
                        if stage != "finetune" or not arm.results[0].facts["configuration"]["finetune"]
                        else f"{arm.name}: {stage}"
                    )
                    histories.setdefault(name, []).append(epochs)
    histories = {name: runs for name, runs in histories.items() if any(len(run) > 1 for run in runs)}
    if not histories:
        return []
    shown = dict(list(histories.items())[:CLEAREST])
    caption = "A thin line for each split and seed, a thick one for their mean as far as all of them go."
    return [Section(f"{summary.name}: learning curves", 3, figure=figures.curves(shown), caption=caption)]


def _calibration(summary: DatasetSummary) -> list[Section]:
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


def _coverage(summary: DatasetSummary) -> Section:
    result = summary.featured.results[0]
    coverage = result.facts["parts"][0]["coverage"]
    rows = [[label, *_covered(counts)] for label, counts in coverage.items()]
    total = {
        key: sum(counts[key] for counts in coverage.values()) for key in ("documents", "tokens", "kept", "unknown")
    }
    rows.append(["all", *_covered(total)])
    paragraph = f"Of all documents of {summary.name}, whatever their split, as {summary.featured.name} reads them."
    header = ["class", "documents", "tokens", "kept", "capped", "unknown"]
    return Section(f"{summary.name}: coverage", 3, paragraphs=[paragraph], tables=[Table(header, rows)])


def _covered(counts: Mapping[str, int]) -> list[Any]:
    tokens = max(1, counts["tokens"])
    capped = counts["tokens"] - counts["kept"]
    return [
        counts["documents"],
        counts["tokens"],
        f"{counts['kept'] / tokens:.1%}" if counts["tokens"] else "",
        capped,
        f"{counts['unknown'] / tokens:.2%}" if counts["tokens"] else "",
    ]


def _mistakes(summary: DatasetSummary, texts: Mapping[tuple[int, str], str]) -> Section:
    arm = summary.featured
    result = arm.results[0]
    rows = [row for row in result.predictions.to_pylist() if row["label"] != row["true_label"]]
    rows.sort(key=lambda row: (-(row["probability"] or 0), row["part"], row["doc_id"]))
    header = ["document", "true class", "answer", "probability", "of the true class", "chunks"]
    shown = []
    for row in rows[:NUM_MISTAKES]:
        probability, true_probability = row["probability"], row["true_probability"]
        cells = [
            row["doc_id"],
            row["true_label"],
            row["label"],
            _or_empty(probability),
            _or_empty(true_probability),
            row["num_chunks"],
        ]
        if texts:
            cells.append(_beginning(texts.get((row["part"], row["doc_id"]), "")))
        shown.append(cells)
    header += ["text"] if texts else []
    paragraph = (
        f"The {len(shown)} surest of {len(rows):,} wrong answers of {arm.name}, seed {result.facts['seed']}: where the "
        "labels, the classes or the model should be looked at first."
    )
    return Section(f"{summary.name}: most confident mistakes", 3, paragraphs=[paragraph], tables=[Table(header, shown)])


def _beginning(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= TEXT_SHOWN else plain[: TEXT_SHOWN - 1] + "…"


def _costs(summary: DatasetSummary) -> Section:
    rows = []
    for arm in summary.arms:
        parts = [part for result in arm.results for part in result.facts["parts"]]
        training = [_sum(part, "finetune", "heads/") for part in parts]
        encode = [part["timings"].get("embed", {}) for part in parts]
        documents = [sum(part["documents_by_split"].values()) for part in parts]
        per_1000 = [
            1000 * timing["cpu_seconds"] / count
            for timing, count in zip(encode, documents, strict=True)
            if "cpu_seconds" in timing
        ]
        answering = [
            timing["seconds"]
            for part in parts
            for name, timing in part["timings"].items()
            if name.startswith("evaluate/")
        ]
        peak = max(timing["peak_memory_mib"] for part in parts for timing in part["timings"].values())
        rates = [part["timings"].get("finetune", {}).get("train_chunks_per_second") for part in parts]
        speeds = [timing.get("chunks_per_second") for timing in encode]
        rows.append(
            [
                arm.name,
                _mean([seconds / 60 for seconds in training], 1),
                _mean([rate for rate in rates if rate], 1),
                _mean([speed for speed in speeds if speed], 1),
                _mean(per_1000, 0),
                _mean(answering, 1),
                f"{peak / 1024:.1f}",
            ]
        )
    header = [
        "arm", "training, minutes", "fine-tuning, chunks/s", "encoding, chunks/s", "encoding, CPU-seconds per 1,000 documents",
        "fitting and answering, seconds", "peak memory, GiB",
    ]  # fmt: skip
    machine = summary.baseline.results[0].facts["machine"]
    notes = [
        f"Means over splits and seeds, wall time on a machine of {machine['cores']} cores ({machine['architecture']}). What arms "
        "share (encoder, vectors) is counted for each. Empty where a stage has none, or was made before it was counted. "
        "Peak memory is that of the hungriest stage.",
    ]
    return Section(f"{summary.name}: costs", 3, tables=[Table(header, rows)], notes=notes)


def _sum(part: Mapping[str, Any], *prefixes: str) -> float:
    return sum(timing["seconds"] for name, timing in part["timings"].items() if name.startswith(prefixes))


def _provenance(summary: DatasetSummary) -> Section:
    result = summary.baseline.results[0]
    commits = sorted({commit for arm in summary.arms for found in arm.results for commit in found.facts["commits"]})
    dirty = sorted({found.path.name for arm in summary.arms for found in arm.results if found.facts["dirty"]})
    splits = [[split["file"], split["sha256"]] for split in result.facts["splits"]]
    data = [["data", sha256] for sha256 in result.facts["data_sha256"]]
    prints = [
        [arm.name, seed, *(" ".join(sorted({part["fingerprints"].get(stage, "")[:12] for part in found.facts["parts"]})) for stage in ("chunk", "finetune", "embed"))]
        for arm in summary.arms for seed, found in zip(arm.seeds, arm.results, strict=True)
    ]  # fmt: skip
    versions = ", ".join(f"{name} {version}" for name, version in result.facts["versions"].items())
    paragraphs = [f"Commits: {', '.join(commits)}.", f"Versions: {versions}.", f"Made with: {result.facts['command']}"]
    if dirty:
        paragraphs.insert(0, f"Not from committed code: {', '.join(dirty)}.")
    tables = [
        Table(["file", "SHA-256"], splits + data),
        Table(["arm", "seed", "chunk", "finetune", "embed"], prints),
    ]
    return Section(
        f"{summary.name}: provenance", 3, paragraphs=paragraphs, tables=tables,
        notes=["The last table holds the beginnings of the stages' fingerprints, one for each split file."],
    )  # fmt: skip


def _clearest(summary: DatasetSummary, of: Iterable[ArmSummary] | None = None) -> list[ArmSummary]:
    """Return the arms for a figure: the featured one, the baseline, then the most accurate on test, in their order."""
    arms = list(summary.arms if of is None else of)
    first = [arm for arm in arms if arm in (summary.featured, summary.baseline)]
    others = sorted((arm for arm in arms if arm not in first), key=lambda arm: -float(arm.hits.mean()))
    kept = (first + others)[:CLEAREST]
    return [arm for arm in arms if arm in kept]


def _of_some(shown: Sequence[ArmSummary], summary: DatasetSummary) -> str:
    return "." if len(shown) == len(summary.arms) else f", of {len(shown)} arms; the table has all."


def _signed(interval: Interval) -> str:
    return f"{interval.estimate:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def _mean(values: Sequence[float], digits: int = 3) -> str:
    return f"{statistics.mean(values):.{digits}f}" if values else ""


def _or_empty(value: float | None) -> Any:
    return "" if value is None else float(value)
