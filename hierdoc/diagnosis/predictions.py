"""What the models answer: on what an answer depends besides its example, and whether the answers look like answers."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from hierdoc.diagnosis.accuracies import (
    chunk_rate,
    guessing_rates,
    held_out_rate,
    is_at_chance,
    train_labels,
)
from hierdoc.diagnosis.evidence import UNKNOWN, Evidence, Training
from hierdoc.diagnosis.findings import CAUSE, INFERRED, MEASURED, NOTE, PROVEN, SYMPTOM, Finding, percent, share
from hierdoc.diagnosis.losses import course_of
from hierdoc.diagnosis.pairs import training_features
from hierdoc.diagnosis.statistics import shares
from hierdoc.diagnosis.thresholds import (
    AT_THE_BOUND,
    CONSTANT_ANSWER,
    FAR_BELOW_CHUNKS,
    FEWEST_OTHERS,
    FEWEST_STEPS,
    IMBALANCE,
    LABELS_AT_CHANCE,
    LOSS_APART,
    OVER_REPEAT,
    PROBED,
    SIGNIFICANT,
    SOFTMAX_ROOM,
    SURE,
)


def _probe(training: Training) -> dict[str, float | None]:
    """Return what the probe measured."""
    return {key: (training.probe or {}).get(key) for key in ("company", "padding", "repeat")}


def answers_by_chance(evidence: Evidence) -> Finding | None:
    """The same example gets another answer when it is asked again."""
    lines = []
    for training in evidence.trainings:
        probe = _probe(training)
        if (probe["repeat"] or 0) > PROBED:
            lines.append(f"{training.name}: asked twice, a probability differs by {probe['repeat']:.4f}")
    title = "Predictions depend on chance"
    return Finding("answers-by-chance", title, lines) if lines else None


def padding_attended(evidence: Evidence) -> Finding | None:
    """Padding changes the answer; or token ids are padded and no mask is given."""
    lines, directness = [], PROVEN
    for training in evidence.trainings:
        probe = _probe(training)
        difference = probe["padding"]
        if difference is not None:
            if difference > max(PROBED, OVER_REPEAT * (probe["repeat"] or 0)):
                lines.append(f"{training.name}: padded further, a probability differs by {difference:.4f}")
            continue
        padded, num = _padded_without_mask(training)
        if training.kind == "chunks" and padded:
            lines.append(f"{training.name}: {share(padded, num, 'steps')} hold padding and give the model no mask")
            directness = MEASURED
    if not lines:
        return None
    return Finding("padding-attended", "The model reads padding as if it were text", lines, CAUSE, directness)


def _padded_without_mask(training: Training) -> tuple[int, int]:
    """Return (steps with padding and without a mask, steps)."""
    steps, sums = training.steps, training.examples.mask_sums
    shortest = np.full(len(steps), np.iinfo(np.int64).max)
    known = sums[steps.examples.values] != UNKNOWN
    np.minimum.at(shortest, steps.examples.rows[known], sums[steps.examples.values[known]])
    padded = (shortest < steps.padded_lengths) & (steps.padded_lengths != UNKNOWN) & (steps.mask_given == 0)
    return int(padded.sum()), len(steps)


def company_matters(evidence: Evidence) -> Finding | None:
    """The answer depends on the other examples of the batch, and padding is not why."""
    lines = []
    for training in evidence.trainings:
        probe = _probe(training)
        noise = max(PROBED, OVER_REPEAT * (probe["repeat"] or 0), OVER_REPEAT * (probe["padding"] or 0))
        if (probe["company"] or 0) > noise:
            lines.append(f"{training.name}: in another batch, a probability differs by {probe['company']:.4f}")
    return Finding("company-matters", "Predictions depend on the rest of the batch", lines) if lines else None


def no_probabilities(evidence: Evidence) -> Finding | None:
    """Answers that are no probabilities of classes: negative, or not adding up to 1."""
    for training in evidence.trainings:
        probs = training.held_out.probs
        if not len(training.held_out) or not np.isfinite(probs).all():
            continue
        wrong = (np.abs(probs.sum(axis=1) - 1) > 0.01) | (probs < -1e-6).any(axis=1)
        if wrong.mean() > 0.5:
            line = (
                f"{training.name}: {share(int(wrong.sum()), len(wrong), 'held-out answers')} do not add up to 1; they run "
                f"from {probs.min():.3g} to {probs.max():.3g}"
            )
            lines = [line]
            weight = NOTE
            course = course_of(training)
            if course is not None and _loss_of(training, softmax(probs, axis=1)) > course.last + np.log(
                training.num_classes
            ):
                lines.append(f"{training.name}: and the training loss, {course.last:.3f}, is not that of their softmax")
            if (probs >= 0).all() or len(lines) > 1:
                weight = CAUSE
            return Finding("no-probabilities", "Answers are no probabilities", lines, weight, MEASURED)
    return None


def softmax_twice(evidence: Evidence) -> Finding | None:
    """Answers, or a loss, held off certainty by the bound that a second softmax sets."""
    for training in evidence.trainings:
        num = training.num_classes
        surest = float(np.e / (np.e + num - 1))  # the softmax of (1, 0, 0, …)
        held_out = training.held_out
        lines = []
        if len(held_out) and np.isfinite(held_out.probs).all() and np.abs(held_out.probs.sum(axis=1) - 1).max() < 0.01:
            best = held_out.probs.max(axis=1)
            near = best > surest * (1 - SOFTMAX_ROOM)
            if best.max() <= surest * 1.0005 and near.mean() > AT_THE_BOUND:
                lines.append(
                    f"{training.name}: no answer is surer than {best.max():.3f}, and {percent(near.mean())} are that sure; "
                    f"a second softmax allows {surest:.3f} at most"
                )
        if not lines and (line := _loss_at_the_bound(training, surest)):
            lines.append(line)
        if lines:
            return Finding("softmax-twice", "A softmax is applied twice", lines, CAUSE, MEASURED)
    return None


def _loss_at_the_bound(training: Training, surest: float) -> str:
    """Return a line about a training loss that a second softmax keeps up, while the answers are as sure as can be; or ""."""
    course, held_out = course_of(training), training.held_out
    if course is None or not course.by_step or course.num < FEWEST_STEPS or not len(held_out):
        return ""
    floor, lowest, own = -float(np.log(surest)), float(course.tenths.min()), _loss_of(training, held_out.probs)
    flat = abs(course.tenths[-1] - course.tenths[-3]) < 0.1 * floor
    is_sure = float(np.median(held_out.probs.max(axis=1))) > SURE
    inside = (
        floor * (1 - SOFTMAX_ROOM) < lowest and course.last < floor + 1
    )  # probabilities as logits differ by 1 at most
    if not (flat and is_sure and inside and own < course.last - LOSS_APART * floor):
        return ""
    return (
        f"{training.name}: the training loss stays above {lowest:.3f}, and the held-out answers' own is {own:.3f}; a second "
        f"softmax in the loss sets {floor:.3f} as its floor"
    )


def _loss_of(training: Training, probs: np.ndarray) -> float:
    """Return the mean cross-entropy of probabilities on the held-out labels; infinite where none is known."""
    labels = training.held_out.label_ids
    known = (labels >= 0) & (labels < probs.shape[1])
    if not known.any():
        return float("inf")
    return float(-np.log(np.maximum(probs[known, labels[known]], 1e-7)).mean())


def majority_answered(evidence: Evidence) -> Finding | None:
    """Unequal classes, and nothing but the most frequent one as an answer, though the vectors tell the others."""
    training = evidence.documents or evidence.chunks
    if training is None or not len(training.held_out) or not len(train_labels(training)):
        return None
    labels = train_labels(training)
    majority = int(np.bincount(labels.clip(0)).argmax())
    frequency = float((labels == majority).mean())
    answered = float((training.held_out.predicted == majority).mean())
    others = int((training.held_out.label_ids != majority).sum())
    if answered < CONSTANT_ANSWER or frequency < IMBALANCE / training.num_classes or others < FEWEST_OTHERS:
        return None
    features = training_features(evidence)
    if features is None or features.probe.above(features.chance) > SIGNIFICANT:
        return None
    lines = [
        f"{training.name}: {percent(answered)} of the held-out answers are class {majority}, which {percent(frequency)} of the "
        f"training examples have (1/C is {percent(1 / training.num_classes)})",
        f"a linear classifier on the vectors is right on {percent(features.probe.accuracy)} of the training documents, the "
        f"majority class on {percent(features.chance)}",
    ]
    title = "The most frequent class is the only answer"
    return Finding("majority-answered", title, lines, CAUSE, INFERRED)


def constant_answers(evidence: Evidence) -> Finding | None:
    """One class for nearly all held-out examples."""
    lines = []
    for training in evidence.trainings:
        held_out = training.held_out
        if len(held_out) < 10 or len(np.unique(held_out.label_ids)) < 2:
            continue
        counts = shares(held_out.predicted)
        if counts.max() >= CONSTANT_ANSWER:
            label = int(np.bincount(held_out.predicted).argmax())
            lines.append(f"{training.name}: {percent(counts.max())} of the held-out answers are class {label}")
    return Finding("constant-answers", "Nearly every answer is the same class", lines, SYMPTOM) if lines else None


def at_chance(evidence: Evidence) -> Finding | None:
    """An accuracy that guessing reaches as well."""
    lines = []
    for training in evidence.trainings:
        rate = held_out_rate(training)
        if rate is not None and is_at_chance(evidence, training):
            rates = ", ".join(f"{name} {percent(value)}" for name, value in guessing_rates(evidence, training).items())
            lines.append(f"{training.name}: {percent(rate.accuracy)} on held-out data; guessing: {rates}")
    for row in evidence.label_f1s:
        if row["model"] == evidence.documents.name and row["micro_f1"] < row["guessing"] + LABELS_AT_CHANCE * (
            1 - row["guessing"]
        ):
            lines.append(
                f"{row['model']}: micro-F1 {row['micro_f1']:.3f} on {row['data']}; {row['guessing']:.3f} by the most frequent labels for "
                f"every document, {row['words']:.3f} by TF-IDF + linear SVM"
            )
    svm = evidence.run.tfidf_svm_accuracy if evidence.run is not None else None
    if lines and svm is not None:
        lines.append(f"TF-IDF + linear SVM on test: {percent(svm)}")
    return Finding("at-chance", "Held-out accuracy is that of guessing", lines, SYMPTOM) if lines else None


def below_chunks(evidence: Evidence) -> Finding | None:
    """A document model surely and far less right than the chunk model."""
    rate, chunk = held_out_rate(evidence.documents), chunk_rate(evidence)
    if rate is None or chunk is None or rate.accuracy > chunk.accuracy - FAR_BELOW_CHUNKS:
        return None
    if rate.below(chunk.accuracy) >= SIGNIFICANT:
        return None
    lines = [f"document model: {percent(rate.accuracy)}; chunk model: {percent(chunk.accuracy)} of single chunks"]
    return Finding("below-chunks", "Documents are answered worse than their chunks", lines, SYMPTOM)
