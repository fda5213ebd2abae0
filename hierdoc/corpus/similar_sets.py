"""Which sets of shingles are alike: Jaccard similarity over 1/2, by prefix, length and positional filter, verified."""

from __future__ import annotations

import numpy as np

from hierdoc.corpus.shared_shingles import SharedShingles
from hierdoc.progress import bar

_FEW, _MOST = 16, 1_000_000  # candidates that are verified at first; bundles of candidates that are compared at once


def group_similar_sets(sets: SharedShingles) -> np.ndarray:
    """Return int64 (D,): sets with the same number have a Jaccard similarity over 1/2, directly or through others.

    Two sets of s <= l shingles with a similarity over 1/2 share more than (s + l) / 3, and s > l / 2. So, in one order of
    all shingles, the first that they share is in the first third of the smaller set, which is indexed, and in the first
    half of the larger one, which is looked up: Bayardo et al. 2007 (Scaling Up All Pairs Similarity Search, section 3);
    how much they can share at most follows from where they meet: Xiao et al. 2008 (Efficient Similarity Joins for Near
    Duplicate Detection, section 3.2). Pairs that are in one group already are not compared.
    """
    search = _Search(sets)
    with bar("near-duplicates", "documents", len(sets.sizes)) as progress:
        for number in range(len(sets.sizes)):
            search.look_up(number)
            progress.update()
    return search.group


class _Search:
    def __init__(self, sets: SharedShingles):
        self._sets = sets
        self.group = np.arange(len(sets.sizes))
        self._members: dict[int, list[int]] = {}  # of groups of several
        owners = np.repeat(np.arange(len(sets.sizes)), np.diff(sets.starts))
        indexed = np.flatnonzero(3 * sets.positions < sets.sizes[owners])
        indexed = indexed[np.lexsort((owners[indexed], sets.bundles[indexed]))]
        self._holders, self._places = owners[indexed], sets.positions[indexed]
        self._keys = sets.bundles[indexed] * len(sets.sizes) + self._holders  # ascending
        self._same = np.zeros(len(sets.weights), np.int64)  # up to here, a bundle's holders are known to be one group
        self._smallest = np.searchsorted(2 * sets.sizes, sets.sizes, "right")
        self._weight_of = np.zeros(len(sets.weights), np.int64)
        self._matched, self._last = np.zeros((2, len(sets.sizes)), np.int64)

    def look_up(self, number: int) -> None:
        """Join the set `number` with those of the smaller ones that are like it."""
        sets, group = self._sets, self.group
        own = slice(sets.starts[number], sets.starts[number + 1])
        bundles, places = sets.bundles[own], sets.positions[own]
        bundles = bundles[: np.searchsorted(2 * places, sets.sizes[number])]
        begin = np.searchsorted(self._keys, bundles * len(sets.sizes) + self._smallest[number])
        end = np.searchsorted(self._keys, bundles * len(sets.sizes) + number)
        met = np.flatnonzero(end > begin)
        if not len(met):
            return
        bundles, places, begin, end = bundles[met], places[met], begin[met], end[met]
        self._verify(number, np.unique(self._holders[end - 1]))  # most often that settles it
        known = (self._same[bundles] > begin) & (group[self._holders[begin]] == group[number])
        begin = np.where(known, self._same[bundles], begin)
        entries = ranges(begin, end - begin)
        met = np.repeat(np.arange(len(bundles)), end - begin)
        self._verify(number, self._possible(number, entries, places[met], sets.weights[bundles][met]))
        strangers = np.bincount(met[group[self._holders[entries]] != group[number]], minlength=len(bundles))
        self._same[bundles[strangers == 0]] = end[strangers == 0]

    def _possible(self, number: int, entries: np.ndarray, places: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the holders in `entries` that may be like the set `number`, those that share most so far first.

        `places` and `weights` are of the bundle that each entry has in common with the set.
        """
        sizes = self._sets.sizes
        strange = self.group[self._holders[entries]] != self.group[number]
        entries, places, weights = entries[strange], places[strange], weights[strange]
        holders, order = self._holders[entries], np.arange(len(entries))
        np.add.at(self._matched, holders, weights)
        self._last[holders] = order
        last = self._last[holders] == order  # where the two meet for the last time
        holders, left = holders[last], np.minimum(sizes[number] - places[last], sizes[holders[last]] - self._places[entries[last]])  # fmt: skip
        matched = self._matched[holders]
        self._matched[holders] = 0
        possible = 3 * (matched - weights[last] + left) > sizes[holders] + sizes[number]
        return holders[possible][np.argsort(-matched[possible], kind="stable")]

    def _verify(self, number: int, candidates: np.ndarray) -> None:
        """Join the set `number` with those of `candidates` that are like it."""
        sets, group = self._sets, self.group
        own = sets.bundles[sets.starts[number] : sets.starts[number + 1]]
        self._weight_of[own] = sets.weights[own]
        at_once = _FEW
        while len(candidates := candidates[group[candidates] != group[number]]):
            lengths = sets.starts[candidates + 1] - sets.starts[candidates]
            count = max(1, min(at_once, int(np.searchsorted(lengths.cumsum(), _MOST))))
            some, candidates, lengths = candidates[:count], candidates[count:], lengths[:count]
            theirs = sets.bundles[ranges(sets.starts[some], lengths)]
            shared = np.add.reduceat(self._weight_of[theirs], lengths.cumsum() - lengths)
            for other in some[3 * shared > sets.sizes[some] + sets.sizes[number]].tolist():
                self._join(other, number)
            at_once *= 4
        self._weight_of[own] = 0

    def _join(self, one: int, other: int) -> None:
        one, other = int(self.group[one]), int(self.group[other])
        if one == other:
            return
        few, many = sorted((one, other), key=lambda name: len(self._members.get(name, (name,))))
        moved = self._members.pop(few, [few])
        self.group[moved] = many
        self._members.setdefault(many, [many]).extend(moved)


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return int64: `starts[0]`, `starts[0] + 1`, … for `lengths[0]` numbers, then the same for the next start."""
    before = lengths.cumsum() - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))
