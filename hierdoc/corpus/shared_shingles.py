"""Sets of shingles, without the shingles that only one set has, and in one order: rarest first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class SharedShingles:
    """D sets, numbered by size. Shingles that the same sets have are one bundle, of which there are K.

    Attributes:
        sizes: int64 (D,), ascending: how many shingles each set has, those that no other has included.
        starts: int64 (D + 1,); set d's bundles are `starts[d]:starts[d + 1]` of the next two.
        bundles: int64 (M,), ascending in a set: bundle 0 is in the fewest sets.
        positions: int64 (M,), how many of the set's shingles come before the bundle in the order of all sets.
        weights: int64 (K,), how many shingles a bundle is.
    """

    sizes: np.ndarray
    starts: np.ndarray
    bundles: np.ndarray
    positions: np.ndarray
    weights: np.ndarray


def share_shingles(hashes: np.ndarray, starts: np.ndarray, which: np.ndarray) -> SharedShingles:
    """Return the sets `which` (int64 (D,), ascending in size) of those that `shingle_hashes` returned."""
    owners, shingles = _in_several(hashes, starts, which)
    order = np.lexsort((owners, shingles))
    owners, shingles = owners[order], shingles[order]
    first = np.flatnonzero(np.diff(shingles, prepend=-1))
    frequency = np.diff(first, append=len(shingles))
    tags = np.random.default_rng(0).integers(2**64, size=len(which), dtype=np.uint64)
    tag = np.add.reduceat(tags[owners], first) if len(first) else np.zeros(0, np.uint64)
    _, one_of, weights = np.unique(tag, return_index=True, return_counts=True)  # shingles that the same sets have
    rarest_first = np.lexsort((first[one_of], frequency[one_of]))
    one_of, weights = one_of[rarest_first], weights[rarest_first]
    bundle_of = np.full(len(first), -1)
    bundle_of[one_of] = np.arange(len(one_of))
    bundles = np.repeat(bundle_of, frequency)
    owners, bundles = owners[bundles >= 0], bundles[bundles >= 0]
    order = np.lexsort((bundles, owners))
    owners, bundles = owners[order], bundles[order]
    sizes = np.diff(starts)[which]
    ends = np.searchsorted(owners, np.arange(len(which) + 1))
    passed = np.concatenate([[0], weights[bundles].cumsum()])  # weight before each entry, over all sets
    alone = sizes - np.diff(passed[ends])
    positions = passed[:-1] - (passed[ends[:-1]] - alone)[owners]
    return SharedShingles(sizes, ends, bundles, positions, weights)


def _in_several(hashes: np.ndarray, starts: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (set, shingle) int64 pairs, one for each shingle of a set that another text has too; shingles are numbered."""
    ordered = np.sort(hashes)
    several = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    del ordered
    number = np.full(len(starts), -1)
    number[which] = np.arange(len(which))
    owners, shingles = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for at in range(0, len(hashes) if len(several) else 0, _AT_ONCE):
        some = hashes[at : at + _AT_ONCE]
        places = np.minimum(np.searchsorted(several, some), len(several) - 1)
        found = np.flatnonzero(several[places] == some)
        owner = number[np.searchsorted(starts, found + at, "right") - 1]
        owners.append(owner[owner >= 0])
        shingles.append(places[found][owner >= 0])
    return np.concatenate(owners), np.concatenate(shingles)
