"""Splits are stratified, repeatable, whole in their groups, and given ones are taken as given."""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from hierdoc.corpus.splits import make_folds, make_split, parse_fractions, parse_split, take_given_split
from hierdoc.errors import HierdocError

FRACTIONS = (0.8, 0.1, 0.1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.8/0.1/0.1", (0.8, 0.1, 0.1)),
        ("1/0/0", (1, 0, 0)),
        (" .5 / .25/.25 ", (0.5, 0.25, 0.25)),
        ("0.7/0/0.3", (0.7, 0, 0.3)),
    ],
)
def test_fractions_are_read(text: str, expected: tuple[float, float, float]):
    assert parse_fractions(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "0.8", "0.8/0.2", "0.8/0.1/0.05/0.05", "0.8/0.1/0.2", "0.7/0.1/0.1", "80/10/10", "0/0.5/0.5", "1.2/-0.1/-0.1", "0.8/0.1/x",
     "0.8,0.1,0.1", "nan/0.5/0.5", "0.5/nan/0.5", "nan/nan/nan", "inf/0/0", "0.8/0.1/"],
)  # fmt: skip
def test_fractions_that_are_not_three_of_sum_1_are_refused(text: str):
    with pytest.raises(HierdocError) as error:
        parse_fractions(text)
    assert str(error.value) == (
        f"`split` must be three fractions that sum to 1, for train/dev/test (as 0.8/0.1/0.1), but is {text!r} instead"
    )


@pytest.mark.parametrize(
    "value", ["", "0.8", "0.8/0.3", "80/10/10", "80%/10%/10%", "0.8,0.1,0.1", "0,8/0,1/0,1", "nan/0.5/0.5", "0.8/0.1/", "1e-1/-.1/+2"]
)  # fmt: skip
def test_numbers_between_slashes_are_fractions_even_when_they_are_wrong(value: str):
    with pytest.raises(HierdocError, match="^`split` must be three fractions that sum to 1"):
        parse_split(value, None)


@pytest.mark.parametrize(
    "value", ["split.csv", "0.8/0.1/x", "splits/1.csv", "./1/2", "../1/2", "/1/2", "1/fold-2.csv", "/0.8/0.1/0.1", "split", "10-fold"]
)  # fmt: skip
def test_anything_else_is_a_split_file(value: str):
    assert parse_split(value, None) == Path(value)


def test_fractions_have_a_default_and_a_column_decides_alone():
    assert parse_split(None, None) == (0.8, 0.1, 0.1) == parse_split("0.8/0.1/0.1", None)
    assert parse_split(None, "part") is None
    assert parse_split(Path("0.8/0.1/0.1"), None) == Path("0.8/0.1/0.1")  # a caller who gives a path means a path
    for split in ("0.8/0.1/0.1", "split.csv", Path("split.csv")):
        with pytest.raises(HierdocError) as error:
            parse_split(split, "part")
        assert str(error.value) == f"`split` {str(split)!r} and `split_column` 'part' can't both decide: give one"


def test_a_split_that_figures_were_measured_on_stays_as_it_was():
    rng = random.Random(11)
    labels = [f"c{rng.randrange(7)}" for _ in range(500)]
    groups = [rng.randrange(300) for _ in labels]
    splits = [make_split(labels, FRACTIONS, 0), make_split(labels, (0.7, 0.1, 0.2), 3, groups)]
    digests = [hashlib.sha256(",".join(split).encode()).hexdigest()[:16] for split in splits]
    assert digests == ["d9b4811dd1f5608e", "d08b511980a1be6c"]  # of the first version of make_split


def test_classes_of_ten_are_split_eight_one_one():
    labels = ["a"] * 10 + ["b"] * 20 + ["c"] * 100
    split = make_split(labels, FRACTIONS, seed=0)
    assert Counter(zip(labels, split, strict=True)) == {
        ("a", "train"): 8, ("a", "dev"): 1, ("a", "test"): 1,
        ("b", "train"): 16, ("b", "dev"): 2, ("b", "test"): 2,
        ("c", "train"): 80, ("c", "dev"): 10, ("c", "test"): 10,
    }  # fmt: skip


def test_totals_are_right_and_every_class_is_in_train_however_small_the_classes_are():
    rng = random.Random(1)
    for trial in range(60):
        labels = [f"class{rng.randrange(40)}" for _ in range(rng.randrange(200, 600))]
        labels += [f"pair{n // 2}" for n in range(100)]  # fifty classes of two
        split = make_split(labels, FRACTIONS, seed=trial)
        totals = Counter(split)
        for name, fraction in zip(("train", "dev", "test"), FRACTIONS, strict=True):
            assert abs(totals[name] - fraction * len(labels)) <= 1.5, "rounding must not add up over the classes"
        assert {label for label, part in zip(labels, split, strict=True) if part == "train"} == set(labels)


def test_each_class_is_split_as_the_whole():
    labels = [f"class{n % 7}" for n in range(700)]
    split = make_split(labels, (0.6, 0.3, 0.1), seed=4)
    per_class: dict[str, Counter[str]] = defaultdict(Counter)
    for label, part in zip(labels, split, strict=True):
        per_class[label][part] += 1
    for counts in per_class.values():
        assert abs(counts["train"] - 60) <= 1 and abs(counts["dev"] - 30) <= 1 and abs(counts["test"] - 10) <= 1


def test_the_same_seed_makes_the_same_split_and_another_seed_another():
    labels = ["a", "b"] * 50
    assert make_split(labels, FRACTIONS, seed=3) == make_split(labels, FRACTIONS, seed=3)
    assert len({tuple(make_split(labels, FRACTIONS, seed)) for seed in range(5)}) == 5


def test_a_split_is_shuffled_and_not_by_place():
    labels = ["a"] * 200
    places = [place for place, part in enumerate(make_split(labels, FRACTIONS, seed=0)) if part == "test"]
    assert min(places) < 60 and max(places) > 140


def test_a_split_without_dev_or_test_gives_them_nothing():
    labels = [f"c{n % 9}" for n in range(100)]
    assert set(make_split(labels, (1, 0, 0), seed=0)) == {"train"}
    assert set(make_split(labels, (0.7, 0, 0.3), seed=0)) == {"train", "test"}
    assert set(make_split(labels, (0.7, 0.3, 0), seed=0)) == {"train", "dev"}
    assert make_split([], FRACTIONS, seed=0) == []


def test_groups_stay_together_and_totals_stay_near():
    rng = random.Random(2)
    for trial in range(40):
        labels = [f"class{rng.randrange(5)}" for _ in range(400)]
        groups = [rng.randrange(150) for _ in labels]
        split = make_split(labels, FRACTIONS, trial, groups)
        parts: dict[int, set[str]] = defaultdict(set)
        for group, part in zip(groups, split, strict=True):
            parts[group].add(part)
        assert all(len(some) == 1 for some in parts.values())
        largest = max(Counter(groups).values())
        totals = Counter(split)
        assert all(
            abs(totals[name] - share * 400) <= largest + 1 for name, share in zip(("train", "dev", "test"), FRACTIONS)
        )


def test_a_group_counts_for_its_first_documents_class():
    labels = ["a", "b", "a", "b", "c"]
    assert make_split(labels, (0.2, 0.4, 0.4), seed=0, groups=[0, 0, 0, 0, 1]) == ["train"] * 5


def test_a_given_split_with_dev_is_taken_as_it_is():
    given = ["train", "validation", "test", "excluded", "valid", "val", "dev", "train"]
    split, from_train = take_given_split(given, ["a"] * 8, seed=0)
    assert split == ["train", "dev", "test", "excluded", "dev", "dev", "dev", "train"] and from_train is False


def test_a_given_split_without_dev_takes_a_tenth_of_train_by_class_and_seed():
    labels = (["a"] * 40 + ["b"] * 60) * 2
    given = ["train"] * 100 + ["test"] * 80 + ["excluded"] * 20
    split, from_train = take_given_split(given, labels, seed=0)
    assert from_train is True
    assert split[100:] == given[100:]
    assert Counter(zip(labels[:100], split[:100], strict=True)) == {
        ("a", "train"): 36, ("a", "dev"): 4, ("b", "train"): 54, ("b", "dev"): 6,
    }  # fmt: skip
    assert take_given_split(given, labels, seed=0)[0] == split != take_given_split(given, labels, seed=1)[0]


def test_a_tenth_of_a_small_train_leaves_every_class_in_train():
    labels = [f"class{n // 2}" for n in range(40)]
    split, _ = take_given_split(["train"] * 40, labels, seed=0)
    assert Counter(split) == {"train": 36, "dev": 4}
    assert {label for label, part in zip(labels, split, strict=True) if part == "train"} == set(labels)


@pytest.mark.parametrize("value", ["Train", "training", "", " train", "development"])
def test_another_word_for_a_split_is_refused(value: str):
    with pytest.raises(HierdocError) as error:
        take_given_split(["train", "dev", value], ["a", "b", "c"], seed=0)
    assert (
        str(error.value)
        == f"row 3 of the data: a split must be one of train, dev, test, excluded, but is {value!r} instead"
    )


@pytest.mark.parametrize("given", [["dev", "test"], ["test"], ["excluded"], ["val"]])
def test_a_given_split_without_train_is_refused(given: list[str]):
    with pytest.raises(HierdocError) as error:
        take_given_split(given, ["a"] * len(given), seed=0)
    assert str(error.value) == "the given split: has no document for train"


def test_every_document_is_in_the_test_of_one_fold_and_dev_is_a_tenth_of_the_rest():
    labels = ["a"] * 50 + ["b"] * 100
    folds = make_folds(labels, 5, seed=0)
    assert len(folds) == 5
    assert all([fold[place] for fold in folds].count("test") == 1 for place in range(150))
    for fold in folds:
        assert Counter(zip(labels, fold, strict=True)) == {
            ("a", "test"): 10, ("b", "test"): 20, ("a", "dev"): 4, ("b", "dev"): 8, ("a", "train"): 36, ("b", "train"): 72,
        }  # fmt: skip


def test_a_folds_dev_is_that_of_a_given_split_with_its_test():
    labels = [f"c{n % 3}" for n in range(60)]
    groups = [n // 2 for n in range(60)]
    for fold in make_folds(labels, 3, seed=4, groups=groups):
        given = ["test" if part == "test" else "train" for part in fold]
        assert take_given_split(given, labels, 4, groups)[0] == fold


def test_small_classes_fill_the_folds_evenly():
    labels = [f"c{n // 3}" for n in range(60)]  # twenty classes of three, four folds
    sizes = [fold.count("test") for fold in make_folds(labels, 4, seed=0)]
    assert sum(sizes) == 60 and max(sizes) - min(sizes) <= 1


def test_the_same_seed_makes_the_same_folds_and_another_seed_others():
    labels = ["a", "b"] * 30
    assert make_folds(labels, 3, seed=1) == make_folds(labels, 3, seed=1) != make_folds(labels, 3, seed=2)


def test_folds_that_would_leave_a_test_empty_are_refused():
    with pytest.raises(HierdocError) as error:
        make_folds(["a"] * 10, 1, seed=0)
    assert str(error.value) == "`folds` must be at least 2, but is 1 instead"
    with pytest.raises(HierdocError) as error:
        make_folds(["a"] * 6, 4, seed=0, groups=[0, 0, 1, 1, 2, 2])
    assert str(error.value) == (
        "`folds` must leave documents for every test, but 4 are too many for 6 documents in 3 groups"
    )
    assert all("test" in fold for fold in make_folds(["a"] * 4, 4, seed=0))
