"""From evidence to a diagnosis: what was found, how right the models are, and what could not be looked at."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hierdoc.diagnosis.accuracies import chunk_rate, guessing_rates, held_out_rate, rate_of
from hierdoc.diagnosis.catalogue import CATALOGUE
from hierdoc.diagnosis.checks import find, sort
from hierdoc.diagnosis.evidence import UNKNOWN, Evidence, Training
from hierdoc.diagnosis.findings import CAUSE, NOTE, SYMPTOM, Finding
from hierdoc.diagnosis.statistics import Rate


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor says of a run or of traces.

    Attributes:
        source: the path that was examined.
        accuracies: dicts of `model`, `data`, `accuracy`, `low` and `high` (the 95 % interval), `num_documents`, and for the
            models whose held-out labels are known `uniform`, `majority`, `class_0` and `p_guessing`, the probability that
            guessing gives as much; where documents have any number of labels, of `model`, `data`, `micro_f1`, `guessing` and `words`
            (see `Run.label_f1s`) instead.
        findings: causes first, the most directly proven first; then symptoms; then notes.
        not_looked_at: what is not in the traces, a line each.
    """

    source: str
    accuracies: Sequence[dict[str, Any]]
    findings: Sequence[Finding]
    not_looked_at: Sequence[str]

    def of_weight(self, weight: str) -> list[Finding]:
        """Return the findings that are a cause, a symptom or a note."""
        return [finding for finding in self.findings if finding.weight == weight]

    @property
    def causes(self) -> list[Finding]:
        return self.of_weight(CAUSE)


def diagnose(source: str, found: Sequence[Evidence]) -> Diagnosis:
    """Return the diagnosis of the evidence, one for each document model, taken together."""
    findings: dict[str, Finding] = {}
    accuracies: list[dict[str, Any]] = []
    missing: list[str] = []
    for evidence in found:
        for finding in find(evidence):
            findings[finding.code] = _join(findings.get(finding.code), finding)
        accuracies += [row for row in _accuracies(evidence) if row not in accuracies]
        missing += [line for line in _not_looked_at(evidence) if line not in missing]
    return Diagnosis(source, accuracies, sort(list(findings.values())), missing)


def _join(one: Finding | None, other: Finding) -> Finding:
    """Return two findings of one code as one, the heavier one's with the other's lines."""
    if one is None:
        return other
    heavier, lighter = sort([one, other])
    lines = [*heavier.evidence, *(line for line in lighter.evidence if line not in heavier.evidence)]
    return Finding(heavier.code, heavier.title, lines, heavier.weight, heavier.directness)


def _accuracies(evidence: Evidence) -> list[dict[str, Any]]:
    rows = list(evidence.label_f1s)
    if evidence.documents is not None:
        rows += _rows(evidence, evidence.documents)
    chunk = chunk_rate(evidence)
    if chunk is not None:
        name = evidence.chunks.name if evidence.chunks is not None else "chunk model"
        rows.append(_row(name, "single chunks", chunk))
    return rows


def _rows(evidence: Evidence, training: Training) -> list[dict[str, Any]]:
    held_out, rows = training.held_out, []
    for split in sorted(set(held_out.splits.tolist())):
        of_split = (held_out.splits == split) & (held_out.label_ids != UNKNOWN)
        right = (held_out.predicted == held_out.label_ids)[of_split]
        rate = rate_of(right, held_out.doc_ids[of_split], training.name)
        if rate is not None:
            rates = _guessing(evidence, training, of_split)
            best = max(rates["uniform"], rates["majority"])
            rows.append(_row(training.name, split, rate) | rates | {"p_guessing": rate.above(best)})
    rate = held_out_rate(training)
    return rows or ([_row(training.name, "last reading", rate)] if rate is not None else [])


def _guessing(evidence: Evidence, training: Training, chosen: np.ndarray) -> dict[str, float]:
    """Return what guessing gives on some of the held-out predictions."""
    held_out = training.held_out
    columns = (held_out.doc_ids, held_out.label_ids, held_out.mask_sums)
    part = type(held_out)(
        *(column[chosen] for column in columns), held_out.hashes, held_out.probs[chosen], held_out.splits[chosen]
    )
    rates = guessing_rates(evidence, dataclasses.replace(training, held_out=part))
    return {name.replace(" ", "_"): value for name, value in rates.items()}


def _row(model: str, data: str, rate: Rate) -> dict[str, Any]:
    low, high = rate.interval() if rate.num else (None, None)
    return {
        "model": model,
        "data": data,
        "accuracy": rate.accuracy,
        "low": low,
        "high": high,
        "num_documents": rate.num_documents if rate.num else None,  # nobody has said how many a reading is of
    }


def _not_looked_at(evidence: Evidence) -> list[str]:
    """Return what the doctor had no data for, a line each."""
    lines = (
        [f"what {name} had not done yet: it is not finished" for name in evidence.run.unfinished]
        if evidence.run
        else []
    )
    if evidence.multi_label:
        lines.append("what is asked of one class for each document (labels, loss): these have any number of labels")
    if evidence.documents is None:
        lines.append("a document model: there is none here")
    elif evidence.run is not None and evidence.documents.name in evidence.run.with_words:
        lines.append(
            f"{evidence.documents.name} together with the words it is joined with: all of this is of the head alone; evaluate says how "
            "right both are"
        )
    if evidence.chunks is None:
        lines.append("the chunk model: without it nothing says what the vectors are worth")
    if evidence.made is None:
        lines.append(
            "the vectors as they were made (note_made, or embed): grouping, order, stale vectors, chunks left out"
        )
    elif not len(evidence.made.held_out):
        lines.append("the held-out vectors as they were made: whether they are of the same encoder as training's")
    elif (evidence.made.predicted == UNKNOWN).all():
        lines.append("the chunk model's classes for the vectors (`predicted`)")
    for training in evidence.trainings:
        if not training.has_trace:
            lines.append(
                f"{training.name}: its steps, order, learning rate, weights and probe; it left no trace ({'a joint training, or an older hierdoc' if training.finished else 'it is not finished'})"
            )
            continue
        lines += [f"{training.name}: {what}" for what in _missing_of(training)]
    return lines


def _missing_of(training: Training) -> list[str]:
    """Return what a trace does not hold."""
    steps, examples, probe = training.steps, training.examples, training.probe or {}
    none_said = len(examples) > 0 and all(doc_id is None for doc_id in examples.doc_ids)
    untried = [name for name in ("company", "padding", "repeat") if probe.get(name) is None]
    found = {
        "its steps: loss, learning rate, order": not len(steps),
        "which examples each step held (watch): order, and documents never seen": len(steps) > 0
        and not len(steps.examples.values),
        "its examples: labels and inputs": not len(examples),
        "of which documents its examples are (doc_ids)": none_said,
        "its held-out predictions (dev)": not len(training.held_out),
        "how far its weights moved": not training.weights,
        "how many weights it loaded": training.kind == "chunks" and training.weights_expected is None,
        f"whether an answer depends on {' or '.join(_ON[name] for name in untried)} (probe)": bool(untried),
    }
    return [what for what, is_missing in found.items() if is_missing]


_ON = {"company": "the rest of its batch", "padding": "padding", "repeat": "chance"}


def as_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return a diagnosis as JSON values: `source`, `accuracies`, `causes`, `symptoms`, `notes` and `not_looked_at`.

    A finding is `code`, `title`, `evidence` (lines), `mend` and `directness` (proven, measured or inferred).
    """
    directness = ("proven", "measured", "inferred")
    parts = {"causes": CAUSE, "symptoms": SYMPTOM, "notes": NOTE}
    return {
        "source": diagnosis.source,
        "accuracies": list(diagnosis.accuracies),
        **{
            name: [
                {
                    "code": finding.code,
                    "title": finding.title,
                    "evidence": list(finding.evidence),
                    "mend": CATALOGUE[finding.code].mend,
                    "directness": directness[finding.directness],
                }
                for finding in diagnosis.of_weight(weight)
            ]
            for name, weight in parts.items()
        },
        "not_looked_at": list(diagnosis.not_looked_at),
    }
