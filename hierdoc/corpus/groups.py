"""Documents that belong together, as group numbers: united, counted, and found on both sides of a split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence


def unite(one: Sequence[Hashable], other: Sequence[Hashable]) -> list[int]:
    """Return the groups of B documents that share a group in `one` or in `other`, directly or through others.

    A group's number is the place of its first document.
    """
    parent = list(range(len(one)))

    def find(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for groups in (one, other):
        first_of: dict[Hashable, int] = {}
        for place, group in enumerate(groups):
            a, b = find(first_of.setdefault(group, place)), find(place)
            parent[max(a, b)] = min(a, b)
    return [find(place) for place in range(len(one))]


def groups_of_several(groups: Sequence[Hashable]) -> list[list[int]]:
    """Return the places of each group's documents, of the groups that have more than one, by first document."""
    members: dict[Hashable, list[int]] = defaultdict(list)
    for place, group in enumerate(groups):
        members[group].append(place)
    return [places for places in members.values() if len(places) > 1]


def shared_with_train(split_of: Sequence[str], groups: Sequence[Hashable]) -> list[bool]:
    """Return whether each document is of dev or test and a training document is of its group."""
    in_train = {group for group, split in zip(groups, split_of, strict=True) if split == "train"}
    return [split in ("dev", "test") and group in in_train for group, split in zip(groups, split_of, strict=True)]
