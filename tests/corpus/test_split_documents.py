"""Law 4: a document is in one split only, and in generated splits so is all that belongs with it."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

import pytest

from hierdoc.corpus.documents import Documents
from hierdoc.corpus.split_documents import split_documents
from hierdoc.corpus.splits import make_folds


def corpus(rng: random.Random, with_column: bool) -> tuple[Documents, list[int]]:
    """A corpus of families of near-duplicates (some of one document), and the family of each document.

    A copy of a text of 40 words has a few words more before or after it, so that it shares more than half of all
    shingles with each other copy.
    """
    families = []
    for family in range(rng.randrange(12, 40)):
        text = " ".join(f"word{rng.randrange(10_000)}" for _ in range(40))
        copies = rng.choice([1, 1, 1, 2, 3, 5])
        families += [(family, f"{'so ' * rng.randrange(4)}{text}{' and' * rng.randrange(4)}") for _ in range(copies)]
    rng.shuffle(families)
    return Documents(
        doc_ids=[f"d{n}" for n in range(len(families))],
        texts=[text for _, text in families],
        labels=[rng.choice("abc") for _ in families],
        groups=[f"author{rng.randrange(60)}" for _ in families] if with_column else None,
    ), [family for family, _ in families]


def linked(families: list[int], groups: list[str] | None) -> list[tuple[int, int]]:
    """Each pair of documents that belong together: of one family, or of one group."""
    pairs = [(a, b) for a in range(len(families)) for b in range(a)]
    return [(a, b) for a, b in pairs if families[a] == families[b] or (groups is not None and groups[a] == groups[b])]


@pytest.mark.parametrize("with_column", [False, True], ids=["near-duplicates", "and a group column"])
def test_what_belongs_together_is_in_one_split_of_a_generated_split_and_of_every_fold(
    with_column: bool, capsys: pytest.CaptureFixture[str]
):
    seen = defaultdict(int)
    for trial in range(25):
        rng = random.Random(trial)
        documents, families = corpus(rng, with_column)
        pairs = linked(families, documents.groups)
        decided = split_documents(documents, (0.6, 0.2, 0.2), trial)
        assert len(decided.split_of) == len(documents) and set(decided.split_of) <= {"train", "dev", "test"}
        folds = make_folds(documents.labels, 2, trial, decided.groups) if len(set(decided.groups)) > 3 else []
        for split_of in (decided.split_of, *folds):
            assert all(split_of[a] == split_of[b] for a, b in pairs)
            seen.update({part: seen[part] + 1 for part in set(split_of)})
        assert not any(decided.near_duplicate_of_train)
        for place in range(len(documents)):
            assert not folds or [fold[place] for fold in folds].count("test") == 1
        assert decided.near_duplicates == split_documents(documents, (0.6, 0.2, 0.2), trial + 1).near_duplicates
    assert min(seen[part] for part in ("train", "dev", "test")) > 5, "else nothing was tried"


def test_dev_that_is_taken_from_a_given_train_leaves_nothing_of_its_kind_there(capsys: pytest.CaptureFixture[str]):
    for trial in range(25):
        rng = random.Random(trial)
        documents, families = corpus(rng, with_column=True)
        documents.splits = [rng.choice(["train", "train", "train", "test", "excluded"]) for _ in families]
        decided = split_documents(documents, None, trial)
        assert decided.dev_from_train
        for a, b in linked(families, documents.groups):
            assert {decided.split_of[a], decided.split_of[b]} != {"train", "dev"}
        for place, (given, split) in enumerate(zip(documents.splits, decided.split_of, strict=True)):
            assert given == split or (given, split) == ("train", "dev")
            in_train = any(
                decided.split_of[other] == "train" and families[other] == families[place]
                for other in range(len(documents))
            )
            assert decided.near_duplicate_of_train[place] == (split in ("dev", "test") and in_train)


def test_a_split_file_is_looked_at_before_the_near_duplicates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hierdoc.corpus.split_documents.near_duplicate_groups", lambda texts: pytest.fail("too late"))
    with pytest.raises(Exception, match="no such split file"):
        split_documents(Documents(["a"], ["x"], ["y"]), tmp_path / "none.csv", 0)


def test_ids_in_a_message_are_in_quotes_so_that_it_stays_one_line(capsys):
    ids = ["a\nerror: x", "b\x1b[2J", "c" * 1000]
    split_documents(Documents(ids, ["the same text"] * 3, ["x", "y", "x"]), (0.8, 0.1, 0.1), seed=0)
    warning = capsys.readouterr().err.splitlines()[-1]
    assert warning == (
        "warning: 1 groups of near-duplicates have conflicting labels: "
        f"'a\\nerror: x' is 'x', 'b\\x1b[2J' is 'y', '{'c' * 59}…' is 'x'"
    )
