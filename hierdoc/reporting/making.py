"""A report's sections on how arms were made: learning curves, costs, provenance."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from hierdoc.comparison.parts import answering_seconds, cpu_seconds, training_seconds
from hierdoc.comparison.summary import DatasetSummary
from hierdoc.reporting import figures
from hierdoc.reporting.sections import Section, Table, mean_cell


def curves(summary: DatasetSummary) -> list[Section]:
    """Return how trainings went, epoch by epoch, each named by the arms that share it; none where none has several epochs."""
    trainings: dict[str, tuple[str, list[dict[str, Any]]]] = {}  # by fingerprint
    arms_of: dict[str, list[str]] = {}
    with_encoder = [arm.name for arm in summary.arms if arm.has_chunks]
    for arm in summary.arms:
        for part in (part for result in arm.results for part in result.facts["parts"]):
            for stage, epochs in part["history"].items():
                key = part["fingerprints"][stage]
                trainings[key] = stage, epochs
                arms_of.setdefault(key, [])
                arms_of[key] += [arm.name] if arm.name not in arms_of[key] else []
    histories: dict[str, list[list[dict[str, Any]]]] = {}
    for key, (stage, epochs) in trainings.items():
        if len(epochs) > 1:
            name = _training(stage, arms_of[key], with_encoder, summary.featured.name)
            histories.setdefault(name, []).append(epochs)
    if not histories:
        return []
    shown = dict(list(histories.items())[: figures.MOST_ARMS])
    caption = "A thin line for each split and seed, a thick one for their mean as far as all of them go." + (
        "" if len(shown) == len(histories) else f" {len(shown)} of {len(histories)} trainings are drawn."
    )
    return [Section(f"{summary.name}: learning curves", 3, figure=figures.curves(shown), caption=caption)]


def _training(stage: str, arms: Sequence[str], with_encoder: Sequence[str], featured: str) -> str:
    """Return what to call a training that these arms share: by the stage alone where all share it that could."""
    if len(arms) == len(with_encoder) > 1:
        return stage
    name = featured if featured in arms else arms[0]
    others = f" and {len(arms) - 1} more" if len(arms) > 1 else ""
    return f"{stage} of {name}{others}"


def costs(summary: DatasetSummary) -> Section:
    """Return the time and memory that each arm took."""
    rows = []
    for arm in summary.arms:
        parts = [part for result in arm.results for part in result.facts["parts"]]
        training = [training_seconds(part) for part in parts]
        encode = [part["timings"].get("embed", {}) for part in parts]
        documents = [sum(part["documents_by_split"].values()) for part in parts]
        per_1000 = [
            1000 * timing["cpu_seconds"] / count
            for timing, count in zip(encode, documents, strict=True)
            if "cpu_seconds" in timing
        ]
        answering = [answering_seconds(part) for part in parts]
        working = [cpu_seconds(part) for part in parts]
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
                mean_cell([seconds / 60 for seconds in working if seconds is not None], 1),
                f"{peak / 1024:.1f}",
            ]
        )
    header = [
        "arm", "training, minutes", "fine-tuning, chunks/s", "encoding, chunks/s", "encoding, CPU-seconds per 1,000 documents",
        "fitting and answering, seconds", "training, encoding and answering, CPU-minutes", "peak memory, GiB",
    ]  # fmt: skip
    notes = [
        f"Means over splits and seeds, wall time on {' and '.join(_machines(summary))}, which may have had other work"
        f"{_shares(summary)}. What arms "
        "share (encoder, vectors) is counted for each. A classifier that is not a head is fitted while it answers; own code's "
        "training is what it says. Empty where a stage has none, or was made before it was counted. Peak memory is that of the "
        "hungriest stage.",
    ]
    return Section(f"{summary.name}: costs", 3, tables=[Table(header, rows)], notes=notes)


def provenance(summary: DatasetSummary) -> Section:
    """Return what the results were made from and with."""
    result = summary.baseline.results[0]
    commits = sorted({commit for arm in summary.arms for found in arm.results for commit in found.facts["commits"]})
    dirty = sorted({found.path.name for arm in summary.arms for found in arm.results if found.facts["dirty"]})
    splits = [[split["file"], split["sha256"]] for split in result.facts["splits"]]
    data = [["data", sha256] for sha256 in result.facts["data_sha256"]]
    made_from: dict[tuple[str, ...], list[str]] = {}  # arms by the fingerprints of what they share
    for arm in summary.arms:
        for seed, found in zip(arm.seeds, arm.results, strict=True):
            prints = tuple(
                " ".join(sorted({part["fingerprints"].get(stage, "")[:12] for part in found.facts["parts"]}))
                for stage in ("chunk", "finetune", "embed")
            )
            made_from.setdefault(prints, []).append(f"{arm.name} {seed}")
    paragraphs = [
        f"Commits: {', '.join(commits)}.",
        f"Versions: {_all_versions(summary)}.",
        f"Made with: {result.facts['command']}",
        f"SHA-256 of the SHA-256s of all predictions: {_digest(summary)}.",
    ]
    if dirty:
        paragraphs.insert(0, f"Not from committed code: {', '.join(dirty)}.")
    tables = [
        Table(["file", "SHA-256"], splits + data),
        Table(
            ["arms and seeds", "chunk", "finetune", "embed"],
            [[", ".join(arms), *prints] for prints, arms in made_from.items()],
        ),
    ]
    return Section(
        f"{summary.name}: provenance", 3, paragraphs=paragraphs, tables=tables,
        notes=["The last table holds the beginnings of the stages' fingerprints, one for each split file."],
    )  # fmt: skip


def _machines(summary: DatasetSummary) -> list[str]:
    found = [result.facts["machine"] for arm in summary.arms for result in arm.results]
    return sorted({f"a machine of {machine['cores']} cores ({machine['architecture']})" for machine in found})


def _shares(summary: DatasetSummary) -> str:
    """Return what to say where stages had some of the machine's cores only, as with several jobs at once."""
    found = [result.facts for arm in summary.arms for result in arm.results]
    timings = [(facts["machine"]["cores"], part["timings"].values()) for facts in found for part in facts["parts"]]
    counts = {of["num_cores"] for cores, stages in timings for of in stages if of.get("num_cores", cores) < cores}
    return f"; some stages had {' or '.join(map(str, sorted(counts)))} of the cores to themselves" if counts else ""


def _all_versions(summary: DatasetSummary) -> str:
    found: dict[str, set[str]] = {}
    for arm in summary.arms:
        for result in arm.results:
            for name, version in result.facts["versions"].items():
                found.setdefault(name, set()).add(version)
    return ", ".join(f"{name} {' and '.join(sorted(versions))}" for name, versions in found.items())


def _digest(summary: DatasetSummary) -> str:
    """Return a hash of all predictions that a page is made from."""
    found = sorted(result.facts["predictions"]["sha256"] for arm in summary.arms for result in arm.results)
    return hashlib.sha256("".join(found).encode()).hexdigest()
