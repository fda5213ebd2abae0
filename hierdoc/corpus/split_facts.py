"""What a split is made of, in numbers: the facts that stand beside split files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hierdoc.corpus.groups import groups_of_several, shared_with_train
from hierdoc.corpus.labels import Label, count_labels
from hierdoc.corpus.split_documents import DecidedSplit, count_in_splits
from hierdoc.corpus.splits import SPLITS


def data_facts(labels: Sequence[Label], decided: DecidedSplit) -> dict[str, Any]:
    """Return what holds for B documents in whatever split: numbers of documents, classes and near-duplicates."""
    several = groups_of_several(decided.near_duplicates)
    return {
        "num_documents": len(labels),
        "classes": dict(sorted(count_labels(labels).items())),
        "near_duplicate_groups": len(several),
        "documents_in_near_duplicate_groups": sum(map(len, several)),
        "conflicting_groups": decided.num_conflicting,
    }


def split_facts(
    labels: Sequence[Label],
    split_of: Sequence[str],
    near_duplicates: Sequence[int],
    column_groups: Sequence[str] | None,
) -> dict[str, Any]:
    """Return the documents of each split, in all and by class, and how many of dev and test have their like in train.

    `column_groups` are the values of a group column; with them, each split's values and the documents of dev and test
    whose value occurs in train are counted.
    """
    counts = Counter(split_of)
    by_class = {
        split: count_labels(label for label, its_split in zip(labels, split_of, strict=True) if its_split == split)
        for split in SPLITS
    }
    shown = [split for split in SPLITS if counts[split] or split != "excluded"]
    facts: dict[str, Any] = {
        "documents_by_split": {split: counts[split] for split in shown},
        "classes_by_split": {split: dict(sorted(by_class[split].items())) for split in shown},
        "near_duplicates_of_train": _of_train(split_of, near_duplicates),
    }
    if column_groups is not None:
        pairs = Counter(split for split, _ in set(zip(split_of, column_groups, strict=True)))
        facts["groups_by_split"] = {split: pairs[split] for split in shown}
        facts["documents_of_groups_in_train"] = _of_train(split_of, column_groups)
    return facts


def _of_train(split_of: Sequence[str], groups: Sequence[Any]) -> dict[str, int]:
    return {"dev": 0, "test": 0, **count_in_splits(split_of, shared_with_train(split_of, groups))}
