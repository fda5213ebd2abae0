"""A report's sections on how arms were made: learning curves, costs, provenance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hierdoc.comparison.summary import DatasetSummary
from hierdoc.reporting import figures
from hierdoc.reporting.sections import Section, Table, mean_cell


def curves(summary: DatasetSummary) -> list[Section]:
    """Return how trainings went, epoch by epoch; no section where none has several epochs."""
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
                    is_shared = stage == "finetune" and not arm.results[0].facts["configuration"]["finetune"]
                    name = stage if is_shared else f"{arm.name}: {stage}"
                    histories.setdefault(name, []).append(epochs)
    histories = {name: runs for name, runs in histories.items() if any(len(run) > 1 for run in runs)}
    if not histories:
        return []
    shown = dict(list(histories.items())[: figures.MOST_ARMS])
    caption = "A thin line for each split and seed, a thick one for their mean as far as all of them go."
    return [Section(f"{summary.name}: learning curves", 3, figure=figures.curves(shown), caption=caption)]


def costs(summary: DatasetSummary) -> Section:
    """Return the time and memory that each arm took."""
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
                mean_cell([seconds / 60 for seconds in training], 1),
                mean_cell([rate for rate in rates if rate], 1),
                mean_cell([speed for speed in speeds if speed], 1),
                mean_cell(per_1000, 0),
                mean_cell(answering, 1),
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


def provenance(summary: DatasetSummary) -> Section:
    """Return what the results were made from and with."""
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


def _sum(part: Mapping[str, Any], *prefixes: str) -> float:
    return sum(timing["seconds"] for name, timing in part["timings"].items() if name.startswith(prefixes))
