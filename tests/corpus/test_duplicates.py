"""Near-duplicates are those that comparing every pair finds."""

from __future__ import annotations

import random

import pytest

from hierdoc.corpus import shared_shingles, shingles, similar_sets
from hierdoc.corpus.duplicates import near_duplicate_groups


def shingles_of(words: list[str]) -> set[tuple[str, ...]]:
    if not words:
        return set()
    return {tuple(words[at : at + 8]) for at in range(max(1, len(words) - 7))}


def groups_by_every_pair(documents: list[list[str]]) -> list[int]:
    """Compare all pairs, then spread the smallest index along the pairs until nothing changes."""
    shingles = [shingles_of(words) for words in documents]
    group = list(range(len(documents)))
    pairs = [
        (one, other)
        for other in range(len(documents))
        for one in range(other)
        if shingles[one] and 2 * len(shingles[one] & shingles[other]) > len(shingles[one] | shingles[other])
    ]
    changed = True
    while changed:
        changed = False
        for one, other in pairs:
            low = min(group[one], group[other])
            changed |= group[one] != low or group[other] != low
            group[one] = group[other] = low
    return group


def random_corpus(seed: int) -> list[list[str]]:
    """Documents of 0 to 60 words, most of them edited copies or mixtures of earlier ones."""
    rng = random.Random(seed)
    vocabulary = [f"word{number}" for number in range(rng.choice([3, 30, 3000]))]
    documents: list[list[str]] = []
    for _ in range(rng.choice([10, 60, 120])):
        if not documents or rng.random() < 0.3:
            words = [rng.choice(vocabulary) for _ in range(rng.randrange(61))]
        else:
            words = list(rng.choice(documents))
            if rng.random() < 0.3:  # a passage of another document
                other = rng.choice(documents)
                start = rng.randrange(len(other) + 1)
                words = words[: rng.randrange(len(words) + 1)] + other[start : start + rng.randrange(40)]
            for _ in range(rng.choice([0, 1, 1, 2, 3, 5])):  # words changed, put in or left out
                at = rng.randrange(len(words) + 1)
                words[at : at + rng.randrange(2)] = [rng.choice(vocabulary)] * rng.randrange(2)
        documents.append(words)
    rng.shuffle(documents)
    return documents


@pytest.mark.parametrize("seed", range(40))
def test_groups_are_those_of_comparing_every_pair(seed: int):
    documents = random_corpus(seed)
    texts = [" ".join(words) for words in documents]
    assert near_duplicate_groups(texts).tolist() == groups_by_every_pair(documents)


def test_the_random_corpora_do_have_groups_and_near_misses():
    joined = lone = missed = 0
    for seed in range(40):
        documents = random_corpus(seed)
        groups = groups_by_every_pair(documents)
        sizes = [groups.count(group) for group in groups]
        joined, lone = joined + sum(size > 1 for size in sizes), lone + sum(size == 1 for size in sizes)
        shingles = [shingles_of(words) for words in documents]
        for other in range(len(documents)):
            for one in range(other):
                either = len(shingles[one] | shingles[other])
                missed += bool(either) and 0.3 < len(shingles[one] & shingles[other]) / either <= 0.5
    assert joined > 200 and lone > 200 and missed > 200


def text(first: int, last: int) -> str:
    return " ".join(f"t{number}" for number in range(first, last))


def test_identical_texts_are_a_group_named_by_the_first():
    groups = near_duplicate_groups(["other words here", text(0, 20), "nothing alike", text(0, 20), text(0, 20)])
    assert groups.tolist() == [0, 1, 2, 1, 1] and groups.dtype.kind == "i"


def test_case_punctuation_and_space_make_no_difference():
    assert near_duplicate_groups(["One, two -- THREE!\n", "one two\tthree", "one two three four"]).tolist() == [0, 0, 2]


def test_the_similarity_must_be_over_a_half():
    half = [text(0, 11), text(0, 15)]  # 4 shingles and 8, 4 of them shared: 4 / 8
    assert near_duplicate_groups(half).tolist() == [0, 1]
    over = [text(0, 12), text(0, 16)]  # 5 of 9
    assert near_duplicate_groups(over).tolist() == [0, 0]
    assert near_duplicate_groups([text(0, 8), text(0, 9)]).tolist() == [0, 1]  # 1 of 2
    assert near_duplicate_groups([text(0, 9), text(0, 10)]).tolist() == [0, 0]  # 2 of 3


def test_a_text_of_fewer_than_eight_words_is_one_shingle():
    assert near_duplicate_groups(["a b c", "a b c", "a b c d", "a b", "c b a"]).tolist() == [0, 0, 2, 3, 4]
    seven = "a b c d e f g"
    assert near_duplicate_groups([seven, seven + " h", seven + " h i", seven.upper()]).tolist() == [0, 1, 2, 0]


def test_texts_without_words_are_nobodys_duplicates():
    assert near_duplicate_groups(["", "", " \n", "!!!", "!!!", "a"]).tolist() == [0, 1, 2, 3, 4, 5]
    assert near_duplicate_groups([]).tolist() == []
    assert near_duplicate_groups(["", text(0, 9), "", text(0, 9)]).tolist() == [0, 1, 2, 1]


def test_groups_are_transitive():
    first, middle, last = text(0, 30), text(6, 36), text(12, 42)
    # neighbours share 17 of 29 shingles, the ends 11 of 35
    assert near_duplicate_groups([first, last]).tolist() == [0, 1]
    assert near_duplicate_groups([first, middle]).tolist() == [0, 0]
    for order, expected in [
        ((first, middle, last), [0, 0, 0]),
        ((first, last, middle), [0, 0, 0]),
        ((last, first, middle), [0, 0, 0]),
    ]:
        assert near_duplicate_groups(order).tolist() == expected


@pytest.mark.parametrize(
    "sentence",
    [
        "今天天气很好我们去公园散步",
        "日本語のカタカナとひらがなです",
        "한국어텍스트분류문제",
        "機器學習與自然語言處理的應用",
    ],
)
def test_a_character_of_chinese_japanese_or_korean_is_a_word(sentence: str):
    longer = sentence + "吗"
    other = sentence[::-1]
    assert len(sentence) >= 10
    assert near_duplicate_groups([sentence, other, longer, "，".join(sentence)]).tolist() == [0, 1, 0, 0]


def test_chinese_and_latin_words_stand_side_by_side():
    one, other = "用bert做文本分類的方法", "用 BERT 做 文本 分類 的 方法"
    assert near_duplicate_groups([one, other, "用xlnet做文本分類的方法"]).tolist() == [0, 0, 2]


def test_order_of_words_counts_and_repetition_does_not():
    words = text(0, 12).split()
    assert near_duplicate_groups([" ".join(words), " ".join(reversed(words))]).tolist() == [0, 1]
    assert near_duplicate_groups(["la " * 20, "la " * 50, "la " * 7]).tolist() == [0, 0, 2]


def random_letters(seed: int) -> list[list[str]]:
    """Letters of few templates with slots that are filled from few phrases, so that many shingles are in many of them."""
    rng = random.Random(seed)
    letters = []
    for template in range(rng.choice([1, 2, 4])):
        size, choices = rng.randint(8, 30), rng.choice([2, 3, 10, 1000])
        parts = [
            [[f"p{template}_{slot}_{choice}_{at}" for at in range(size)] for choice in range(choices)]
            for slot in range(rng.randint(2, 8))
        ]
        fixed = [f"fixed{at}" for at in range(rng.choice([0, 20, 60, 100]))]
        for _ in range(rng.randint(1, 40)):
            slots = [rng.choice(part) for part in parts[: rng.randint(1, len(parts))]]
            letters.append(fixed + [word for slot in slots for word in slot])
    rng.shuffle(letters)
    return letters


@pytest.mark.parametrize("seed", range(40))
def test_groups_of_form_letters_are_those_of_comparing_every_pair(seed: int):
    letters = random_letters(seed)
    assert near_duplicate_groups([" ".join(words) for words in letters]).tolist() == groups_by_every_pair(letters)


def test_the_random_letters_do_have_groups_and_near_misses():
    sizes, missed = [], 0
    for seed in range(20):
        letters = random_letters(seed)
        groups = groups_by_every_pair(letters)
        sizes += [groups.count(group) for group in set(groups)]
        shingles = [shingles_of(words) for words in letters]
        shares = [len(a & b) / len(a | b) for at, a in enumerate(shingles) for b in shingles[:at]]
        missed += sum(0.4 < share <= 0.5 for share in shares)
    assert sum(size == 1 for size in sizes) > 100 and sum(size > 5 for size in sizes) > 10 and missed > 100


def test_blocks_of_texts_make_no_difference(monkeypatch: pytest.MonkeyPatch):
    texts = [" ".join(words) for seed in range(3) for words in random_corpus(seed)]
    whole = near_duplicate_groups(texts).tolist()
    for size in (1, 100):
        monkeypatch.setattr(shingles, "_WORDS_PER_BLOCK", size)
        monkeypatch.setattr(shared_shingles, "_AT_ONCE", size)
        monkeypatch.setattr(similar_sets, "_MOST", size)
        assert near_duplicate_groups(texts).tolist() == whole


def test_letters_of_one_group_and_letters_alike_by_less_than_a_half_are_not_compared_pair_by_pair(
    monkeypatch: pytest.MonkeyPatch,
):
    compared = []
    ranges = similar_sets.ranges

    def counted(starts, lengths):
        compared.append(int(lengths.sum()))
        return ranges(starts, lengths)

    monkeypatch.setattr(similar_sets, "ranges", counted)
    template = text(0, 60)
    alike = [f"{template} n{number} {template.upper()[::-1]}" for number in range(500)]
    assert set(near_duplicate_groups(alike).tolist()) == {0}
    less = [f"{template} {' '.join(f'own{number}_{at}' for at in range(40))}" for number in range(500)]
    assert near_duplicate_groups(less).tolist() == list(range(500))
    assert sum(compared) < 20_000  # of 250,000 pairs
