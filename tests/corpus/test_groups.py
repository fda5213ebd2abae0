"""Groups are connected components, and what stands on both sides of a split is found."""

from __future__ import annotations

import random

from hierdoc.corpus.groups import groups_of_several, shared_with_train, unite


def test_documents_that_share_a_group_of_either_kind_are_one_group_even_through_others():
    near_duplicates = [0, 1, 1, 3, 4, 5]
    authors = ["ann", "ann", "bob", "bob", "cy", "dan"]
    assert unite(near_duplicates, authors) == [0, 0, 0, 0, 4, 5]
    assert unite([], []) == []
    assert unite([7, 7, 2], ["a", "b", "c"]) == [0, 0, 2]


def test_united_groups_are_what_spreading_along_the_links_finds():
    rng = random.Random(3)
    for _ in range(200):
        count = rng.randrange(1, 25)
        one, other = ([rng.randrange(12) for _ in range(count)] for _ in range(2))
        found = unite(one, other)
        for start in range(count):
            reached, new = {start}, {start}
            while new:
                new = {b for a in new for b in range(count) if one[a] == one[b] or other[a] == other[b]} - reached
                reached |= new
            assert reached == {place for place in range(count) if found[place] == found[start]}
            assert found[start] == min(reached)


def test_groups_of_several_leaves_single_documents_out():
    assert groups_of_several([0, 1, 0, 3, 1, 0]) == [[0, 2, 5], [1, 4]]
    assert groups_of_several(["a", "b"]) == groups_of_several([]) == []


def test_only_dev_and_test_documents_can_share_a_group_with_train():
    split_of = ["train", "train", "dev", "test", "excluded", "test", "dev"]
    groups = [1, 2, 1, 3, 1, 2, 3]
    assert shared_with_train(split_of, groups) == [False, False, True, False, False, True, False]
