"""A report's figures, as SVG text that stands inside a page."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hierdoc.evaluation.calibration import Reliability
from hierdoc.evaluation.significance import Interval

INK, QUIET, BAD = "#1f2937", "#9ca3af", "#b91c1c"
COLOURS = ("#2563eb", "#d97706", "#059669", "#7c3aed", "#dc2626", "#0891b2", "#65a30d", "#db2777", "#78716c", "#111827")
MARKERS = "osD^vP*X<>"
MOST_ARMS = 6  # in a figure of lines; the others are in the tables


def forest(rows: Mapping[str, tuple[Interval, bool]], baseline: str, chosen: str, measure: str = "accuracy") -> str:
    """Return each arm's difference from the baseline with its interval, best first; those that are clear in colour."""
    ordered = sorted(rows.items(), key=lambda row: row[1][0].estimate)
    figure, axes = _axes(6.4, 0.9 + 0.3 * len(ordered))
    axes.axvline(0, color=INK, linewidth=1)
    for at, (_, (interval, is_clear)) in enumerate(ordered):
        colour = QUIET if not is_clear else COLOURS[2] if interval.low > 0 else BAD
        axes.plot([interval.low, interval.high], [at, at], color=colour, linewidth=2.5, solid_capstyle="round")
        axes.plot(interval.estimate, at, "o", color=colour, markersize=6)
    axes.set_yticks(range(len(ordered)), [name + " *" * (name == chosen) for name, _ in ordered])
    axes.set_xlabel(f"{measure} minus that of {baseline} (95 % paired interval)")
    axes.grid(axis="y", visible=False)
    return _svg(figure)


def lines_by_bin(
    names: Sequence[str], counts: Sequence[int], values: Mapping[str, Sequence[Interval]], measure: str = "accuracy"
) -> str:
    """Return each arm's accuracy (or what `measure` is) in each bin with its interval; `names` and `counts` are the bins'."""
    figure, axes = _axes(6.4, 3.6)
    width = 0.5 / max(1, len(values))
    for at, (arm, intervals) in enumerate(values.items()):
        places = np.arange(len(names)) + (at - (len(values) - 1) / 2) * width
        estimates = np.array([interval.estimate for interval in intervals])
        low, high = (np.array([getattr(interval, end) for interval in intervals]) for end in ("low", "high"))
        axes.errorbar(
            places, estimates, [estimates - low, high - estimates], label=arm, color=_colour(at), marker=MARKERS[at % 10],
            linewidth=1.4, elinewidth=1, markersize=5,
        )  # fmt: skip
    axes.set_xticks(range(len(names)), [f"{name}\n{count:,} docs" for name, count in zip(names, counts, strict=True)])
    axes.set_xlabel("chunks of the document")
    axes.set_ylabel(measure)
    _legend(axes)
    return _svg(figure)


def confusion(labels: Sequence[str], matrix: np.ndarray) -> str:
    """Return the confusion matrix, int (C, C), as shares of each true class with the counts written in."""
    size = max(4.2, 0.42 * len(labels) + 2.2)
    figure, axes = _axes(size, size * 0.86)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=0.5)
    axes.invert_yaxis()
    small = 8 if len(labels) <= 12 else 6.5
    for row, column in zip(*np.nonzero(matrix), strict=True):
        colour = "white" if shares[row, column] > 0.55 else INK
        count = f"{matrix[row, column]}"
        axes.text(column + 0.5, row + 0.5, count, ha="center", va="center", fontsize=small, color=colour)
    short = shortened(labels)
    middles = np.arange(len(labels)) + 0.5
    axes.set_xticks(middles, short, rotation=45, ha="right", fontsize=small + 0.5)
    axes.set_yticks(middles, short, fontsize=small + 0.5)
    axes.set_xlabel("answered")
    axes.set_ylabel("true class")
    axes.grid(visible=False)
    return _svg(figure)


def shortened(labels: Sequence[str]) -> list[str]:
    """Return labels of 28 characters at most, as matplotlib takes them; those that come out the same are numbered."""
    found: list[str] = []
    for label in labels:
        text = label if len(label) <= 28 else label[:27] + "…"
        again = sum(other == text or other.startswith(f"{text} (") for other in found)
        found.append(f"{text} ({again + 1})" if again else text)
    return [text.replace("$", r"\$") for text in found]  # a dollar begins a formula


def curves(histories: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]) -> str:
    """Return the learning curves: for each training's name, its histories (of splits and seeds) as lists of epochs.

    On the left of each training stands its loss on train and on dev, on the right its accuracy on dev; each thin line is
    one history, the thick one their mean where all go as far.
    """
    figure, grid = _grid(len(histories), 2, 6.8, 2.5)
    for row, (name, runs) in zip(grid, histories.items(), strict=True):
        prefix = "dev_chunk_" if any("dev_chunk_loss" in epoch for epoch in runs[0]) else "dev_"
        measure = "micro_f1" if f"{prefix}micro_f1" in runs[0][0] else "accuracy"
        for axes, series in ((row[0], ("train_loss", f"{prefix}loss")), (row[1], (f"{prefix}{measure}",))):
            for at, key in enumerate(series):
                found = [[epoch[key] for epoch in run if key in epoch] for run in runs]
                found = [values for values in found if values]
                for values in found:
                    axes.plot(range(1, len(values) + 1), values, color=_colour(at), alpha=0.3, linewidth=1)
                shared = min(map(len, found), default=0)
                if shared:
                    mean = np.mean([values[:shared] for values in found], axis=0)
                    marker = "o" if shared < 6 else None
                    axes.plot(
                        range(1, shared + 1), mean, color=_colour(at), linewidth=2.2, label=_spoken(key), marker=marker
                    )
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            _legend(axes)
        row[0].set_title(name, loc="left", fontsize=10)
    return _svg(figure)


def reliability_diagram(arms: Mapping[str, Reliability]) -> str:
    """Return, for each arm by its title, the accuracy of its answers by their probability, and how many there are."""
    columns = min(3, len(arms))
    figure, grid = _grid(-(-len(arms) // columns), columns, 2.5 * columns, 2.7)
    for axes in grid.flat[len(arms) :]:
        axes.set_visible(False)
    for axes, (title, found) in zip(grid.flat, arms.items(), strict=False):
        width = 1 / len(found.lows)
        axes.bar(found.lows + width / 2, found.counts / found.counts.sum(), width * 0.9, color="#dbe4f3", zorder=1)
        axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, zorder=2)
        seen = found.counts > 0
        axes.plot(
            found.confidence[seen], found.accuracy[seen], "o-", color=COLOURS[0], markersize=4, linewidth=1.4, zorder=3
        )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_title(title, fontsize=9, loc="left")
        axes.set_xlabel("probability of the answer")
        axes.set_ylabel("share that is right")
    return _svg(figure)


def _spoken(key: str) -> str:
    return key.replace("_", " ")


def _colour(at: int) -> str:
    return COLOURS[at % len(COLOURS)]


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _axes(width: float, height: float) -> tuple[Any, Any]:
    figure = _figure(width, height)
    axes = figure.subplots()
    _plain(axes)
    return figure, axes


def _grid(rows: int, columns: int, width: float, height_of_row: float) -> tuple[Any, Any]:
    figure = _figure(width, height_of_row * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        _plain(axes)
    return figure, grid


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9, color=QUIET, labelcolor=INK)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_size(9.5)


def _legend(axes: Any) -> None:
    if len(axes.get_legend_handles_labels()[0]) > 1:
        axes.legend(fontsize=8, frameon=False)
    elif axes.get_legend_handles_labels()[1]:
        axes.set_ylabel(axes.get_legend_handles_labels()[1][0])


def _svg(figure: Any) -> str:
    """Return the figure's <svg> element: no date, ids that its content decides, text as text, as wide as there is room."""
    import matplotlib

    out = io.StringIO()
    settings = {"svg.fonttype": "none", "svg.hashsalt": "hierdoc", "font.family": "sans-serif"}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the browser's fonts draw them
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    width = text.split('width="', 1)[1].split('pt"', 1)[0]
    element = text[text.index("<svg") :]
    head, rest = element.split(">", 1)
    kept = " ".join(
        word for word in head.split() if not word.startswith(("width=", "height=", "version=", "xmlns:xlink"))
    )
    return f'{kept} xmlns:xlink="http://www.w3.org/1999/xlink" style="max-width:{float(width) * 4 / 3:.0f}px" role="img">{rest}'
