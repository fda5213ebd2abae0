"""The checks, in the order in which their findings are read where they are equally direct; and what explains what."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import replace

from hierdoc.diagnosis import (
    foreign,
    grouping,
    held_out,
    label_order,
    labels,
    loss_kind,
    merging,
    optimisation,
    order,
    pairing,
    predictions,
    shifted,
    shown,
    unexplained,
    vectors,
)
from hierdoc.diagnosis.evidence import Evidence
from hierdoc.diagnosis.findings import CAUSE, NOTE, SYMPTOM, Finding

CHECKS: dict[str, Callable[[Evidence], Finding | None]] = {
    "labels-out-of-range": labels.labels_out_of_range,
    "one-class-only": labels.one_class_only,
    "held-out-one-class": labels.held_out_one_class,
    "held-out-lacks-classes": labels.held_out_lacks_classes,
    "vectors-not-finite": vectors.vectors_not_finite,
    "vectors-constant": vectors.vectors_constant,
    "stages-out-of-date": grouping.stages_out_of_date,
    "vectors-never-made": grouping.vectors_never_made,
    "vectors-of-other-documents": grouping.vectors_of_other_documents,
    "documents-merged": merging.documents_merged,
    "several-labels": labels.several_labels,
    "labels-changed": labels.labels_changed,
    "held-out-label-order": label_order.held_out_order,
    "held-out-labels-shifted": shifted.held_out_labels_shifted,
    "labels-shuffled": pairing.labels_shuffled,
    "grouping-lost": pairing.grouping_lost,
    "held-out-labels-shuffled": pairing.held_out_labels_shuffled,
    "same-input-several-labels": labels.same_input_several_labels,
    "classes-without-examples": labels.classes_without_examples,
    "accuracy-misread": shown.accuracy_misread,
    "sorted-by-label": order.sorted_by_label,
    "documents-never-seen": order.documents_never_seen,
    "weights-not-loaded": optimisation.weights_not_loaded,
    "weights-did-not-move": optimisation.weights_did_not_move,
    "weights-vanished": optimisation.weights_vanished,
    "held-out-vectors-foreign": foreign.held_out_vectors_foreign,
    "vectors-out-of-scale": vectors.vectors_out_of_scale,
    "chunks-out-of-order": grouping.chunks_out_of_order,
    "chunks-left-out": grouping.chunks_left_out,
    "chunks-repeated": grouping.chunks_repeated,
    "chunks-dropped": held_out.chunks_dropped,
    "examples-empty": vectors.examples_empty,
    "tokens-unknown": vectors.tokens_unknown,
    "no-probabilities": predictions.no_probabilities,
    "softmax-twice": predictions.softmax_twice,
    "padding-attended": predictions.padding_attended,
    "company-matters": predictions.company_matters,
    "answers-by-chance": predictions.answers_by_chance,
    "leak": held_out.leak,
    "near-duplicates": held_out.near_duplicates,
    "loss-not-finite": optimisation.loss_not_finite,
    "learning-rate-too-large": optimisation.learning_rate_too_large,
    "learning-rate-too-small": optimisation.learning_rate_too_small,
    "majority-answered": predictions.majority_answered,
    "too-few-documents": held_out.too_few_documents,
    "only-memorised": held_out.only_memorised,
    "answers-astray": unexplained.answers_astray,
    "loss-of-another-kind": loss_kind.loss_of_another_kind,
    "unexplained": unexplained.unexplained,
    "at-chance": predictions.at_chance,
    "below-chunks": predictions.below_chunks,
    "constant-answers": predictions.constant_answers,
    "loss-did-not-fall": optimisation.loss_did_not_fall,
    "never-shuffled": order.never_shuffled,
    "in-sample-vectors": held_out.in_sample_vectors,
    "few-steps": order.few_steps,
}

# Causes that can keep a model at chance by themselves. What was only inferred then follows from them.
TAKES_LEARNING_AWAY = {
    "labels-out-of-range", "one-class-only", "held-out-one-class", "held-out-lacks-classes", "vectors-not-finite",
    "vectors-constant", "stages-out-of-date",
    "vectors-never-made", "vectors-of-other-documents", "several-labels", "labels-changed", "held-out-label-order",
    "held-out-labels-shifted", "labels-shuffled", "grouping-lost", "held-out-labels-shuffled", "same-input-several-labels", "sorted-by-label",
    "documents-never-seen", "documents-merged", "classes-without-examples", "weights-not-loaded", "weights-did-not-move",
    "weights-vanished", "held-out-vectors-foreign", "vectors-out-of-scale", "accuracy-misread", "no-probabilities", "examples-empty",
    "tokens-unknown", "loss-not-finite",
}  # fmt: skip
OF_ONE_CLASS = {  # ask for a softmax, its loss or one class for each example, where there may be any number of labels
    "no-probabilities", "softmax-twice", "loss-of-another-kind", "loss-did-not-fall", "learning-rate-too-large",
    "learning-rate-too-small", "majority-answered", "constant-answers", "unexplained", "answers-astray", "accuracy-misread",
    "only-memorised", "below-chunks",
}  # fmt: skip
FLATTERS = {"leak", "near-duplicates"}  # make an accuracy better than it is, and explain no chance
_IDENTITIES = {
    "labels-out-of-range", "one-class-only", "vectors-not-finite", "vectors-constant", "vectors-never-made",
    "vectors-of-other-documents", "documents-merged", "several-labels", "labels-changed",
}  # fmt: skip
_NOT_THE_SAME = {"vectors-never-made", "vectors-of-other-documents", "vectors-not-finite", "vectors-constant"}
EXPLAINED_BY = {
    "vectors-never-made": {"vectors-not-finite"},
    "padding-attended": {"answers-by-chance"},  # what chance changes, padding seems to change
    "vectors-not-finite": {"labels-out-of-range"},
    "labels-changed": {"labels-out-of-range", "several-labels", "one-class-only"},
    "labels-shuffled": _IDENTITIES,
    "grouping-lost": _IDENTITIES,
    "held-out-labels-shuffled": _IDENTITIES | {
        "held-out-label-order", "held-out-labels-shifted", "labels-shuffled", "held-out-vectors-foreign",
    },
    "held-out-label-order": _NOT_THE_SAME | {
        "labels-out-of-range", "held-out-vectors-foreign", "weights-did-not-move", "grouping-lost",
        "classes-without-examples", "held-out-one-class", "held-out-lacks-classes",
    },
    "held-out-labels-shifted": _IDENTITIES | {"held-out-label-order", "weights-did-not-move"},
    "same-input-several-labels": _NOT_THE_SAME | {"several-labels", "labels-changed", "loss-not-finite"},
    "held-out-vectors-foreign": _NOT_THE_SAME | {
        "stages-out-of-date", "classes-without-examples", "held-out-one-class", "held-out-lacks-classes",
        "loss-not-finite", "labels-out-of-range", "documents-merged", "chunks-repeated", "same-input-several-labels",
    },
    "chunks-left-out": {"vectors-of-other-documents", "vectors-never-made", "documents-never-seen", "chunks-repeated"},
    "documents-never-seen": {"vectors-of-other-documents"},
    "chunks-repeated": {"vectors-constant", "learning-rate-too-large"},
    "leak": _NOT_THE_SAME | {"same-input-several-labels", "loss-not-finite", "learning-rate-too-large"},
    "several-labels": {"labels-out-of-range"},
    "softmax-twice": {"several-labels", "labels-changed", "learning-rate-too-large"},
    "classes-without-examples": {"one-class-only", "documents-never-seen"},
    "sorted-by-label": {"several-labels"},
    "accuracy-misread": {"answers-astray"},
    "answers-astray": TAKES_LEARNING_AWAY - {"accuracy-misread"} | {"loss-of-another-kind"},
    "weights-did-not-move": {"loss-not-finite", "labels-out-of-range", "vectors-not-finite", "vectors-out-of-scale"},
    "loss-not-finite": {
        "labels-out-of-range", "vectors-not-finite", "vectors-out-of-scale", "learning-rate-too-large",
    },
    "learning-rate-too-large": TAKES_LEARNING_AWAY - {"loss-not-finite"},
    "learning-rate-too-small": TAKES_LEARNING_AWAY,
    "majority-answered": TAKES_LEARNING_AWAY | {"learning-rate-too-large", "learning-rate-too-small"},
    "too-few-documents": TAKES_LEARNING_AWAY | {"learning-rate-too-large", "learning-rate-too-small"},
    "loss-of-another-kind": TAKES_LEARNING_AWAY | {"learning-rate-too-small"},
    "only-memorised": TAKES_LEARNING_AWAY | {"too-few-documents", "leak", "answers-astray"},
}  # fmt: skip


def find(evidence: Evidence) -> list[Finding]:
    """Return what the checks find, causes first and the most directly proven first, then symptoms, then notes."""
    left_out = OF_ONE_CLASS if evidence.multi_label else set()
    asked = [check for code, check in CHECKS.items() if code not in left_out]
    found = [finding for check in asked if (finding := check(evidence)) is not None]
    return sort(weigh(found))


def weigh(found: Sequence[Finding]) -> list[Finding]:
    """Return the findings, those causes that another one explains as symptoms; `unexplained` only where nothing else is found.

    Causes that explain each other in a ring are not told apart by that, and all remain.
    """
    causes = {finding.code for finding in found if finding.weight == CAUSE}
    explained_by = {code: _all_that_explain(code, causes) for code in causes}
    weighed = []
    for finding in found:
        explained = any(finding.code not in explained_by[code] for code in explained_by.get(finding.code, ()))
        if finding.code == "unexplained" and causes - {"unexplained"} - FLATTERS:
            continue
        weighed.append(replace(finding, weight=SYMPTOM) if finding.weight == CAUSE and explained else finding)
    return weighed


def _all_that_explain(code: str, causes: Set[str]) -> set[str]:
    """Return those of `causes` that explain one of them, or one that explains it, and so on."""
    reached: set[str] = set()
    ahead = [code]
    while ahead:
        new = (EXPLAINED_BY.get(ahead.pop(), set()) & causes) - reached
        reached |= new
        ahead += new
    return reached - {code}


def sort(found: Sequence[Finding]) -> list[Finding]:
    """Return the findings by weight, then directness, then the order of the checks."""
    weights, places = (CAUSE, SYMPTOM, NOTE), list(CHECKS)
    return sorted(found, key=lambda one: (weights.index(one.weight), one.directness, places.index(one.code)))
