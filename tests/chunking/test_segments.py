"""Segments of a text make the tokens and the offsets of the whole."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hierdoc.chunking import segments, tokenizers
from hierdoc.chunking.tokenizers import TokenizedText, WordPieceTokenizer

BREAKS = ' \n!"#$%&()*+,-/;<=>?@[\\]_{|}~、。，中国\u3400\U00020000\U0002b820\uf900'
PIECES = [
    *BREAKS, *"\t.:'^`·\u2019\u00ad\u200b\u0301\u0338\u0345\u02b0\x00\ufffd\u00a0\u3000", "cat", "Cats", "Café", "e\u0301", "ΑΣ", "Σ",
    "Σα", "ΣΑΣ", "İ", "İΣ", "9", "a", "ァー", "한국", "\U0001f468\u200d\U0001f469", "\u4e2d\u0301", "=\u0338", "≠", "\ue000", "\U00010400",
]  # fmt: skip
VOCAB = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "cat",
    "cats",
    "cafe",
    "e",
    "a",
    "9",
    "中",
    "国",
    "α",
    "##σ",
    "##ς",
    "##α",
    "σ",
    "σα",
]


@pytest.fixture(params=[True, False], ids=["uncased", "cased"])
def tokenizer(request: pytest.FixtureRequest, tmp_path: Path) -> WordPieceTokenizer:
    pieces = [*VOCAB, *BREAKS.replace("中", "").replace("国", "").split(), ".", ":", "'", "ς", "##ας", "ασ"]
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(dict.fromkeys(pieces)) + "\n", encoding="utf-8")
    return WordPieceTokenizer(path, lower_case=request.param)


def as_lists(tokens: TokenizedText) -> tuple[list[int], list[int], list[int], int]:
    return tokens.token_ids.tolist(), tokens.char_starts.tolist(), tokens.char_ends.tolist(), tokens.num_unknown


def test_random_texts_in_segments_make_the_tokens_and_offsets_of_the_whole(
    tokenizer: WordPieceTokenizer, monkeypatch: pytest.MonkeyPatch
):
    rng = random.Random(11)
    texts = ["".join(rng.choice(PIECES) for _ in range(rng.randint(1, 30))) for _ in range(400)]
    whole = [as_lists(tokenizer.tokenize(text)) for text in texts]
    for size, at_once in ((1, 32), (1, 1), (5, 3)):
        monkeypatch.setattr(segments, "SEGMENT_CHARS", size)
        monkeypatch.setattr(tokenizers, "_SEGMENTS_AT_ONCE", at_once)
        for text, expected in zip(texts, whole, strict=True):
            assert as_lists(tokenizer.tokenize(text)) == expected, ascii(text)


def test_chinese_without_a_space_is_cut(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(segments, "SEGMENT_CHARS", 3)
    text = "中文文本分類與自然，語言"
    assert [text[a:b] for a, b in segments.cut_segments(text)] == ["中文文", "本分類", "與自然", "，語言"]


@pytest.mark.parametrize("char", BREAKS)
def test_a_break_is_a_token_alone_and_no_sigma_looks_past_it(char: str, tokenizer: WordPieceTokenizer):
    assert ("ΑΣ" + char + "Α").lower()[1] == "ς" and ("Α" + char + "Σ").lower()[-1] == "σ"
    around = tokenizer.tokenize(f"9{char}9")
    assert around.token_ids[0] == around.token_ids[-1] == VOCAB.index("9")
    assert len(around.token_ids) == (2 if char.isspace() else 3)


def test_a_run_of_letters_that_is_too_long_to_be_a_word_keeps_its_place(
    tokenizer: WordPieceTokenizer, monkeypatch: pytest.MonkeyPatch
):
    rng = random.Random(12)
    for _ in range(30):
        pieces = [
            rng.choice(PIECES) if rng.random() < 0.7 else rng.choice("aA9é") * rng.choice([199, 999, 1000, 1001, 1002, 3000])
            for _ in range(12)
        ]  # fmt: skip
        text = "".join(pieces)
        monkeypatch.setattr(segments, "SEGMENT_CHARS", 10**6)
        expected = as_lists(tokenizer.tokenize(text))
        monkeypatch.setattr(segments, "SEGMENT_CHARS", 1)
        assert as_lists(tokenizer.tokenize(text)) == expected, ascii(text)


def test_the_middle_of_a_long_run_is_left_out_of_long_segments_only(monkeypatch: pytest.MonkeyPatch):
    text = "." + "a" * 999 + "bbbc'" + "d" * 1001 + "e" * 5 + "."
    assert segments.shorten(text)[0] == text
    monkeypatch.setattr(segments, "SEGMENT_CHARS", 500)
    short, left_out = segments.shorten(text)
    assert short == "." + "a" * 999 + "bc'" + "d" * 1000 + "e."
    assert left_out.tolist() == [[1001, 2], [2003, 5]]
    assert segments.original_offsets(left_out[:, 0] * 0 + [0, 1002], left_out).tolist() == [0, 1004]
    assert segments.original_offsets(left_out * 0 + [1003, 2005], left_out).tolist() == [[1005, 2012]] * 2


def test_segments_are_tokenized_a_few_at_a_time(tokenizer: WordPieceTokenizer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(segments, "SEGMENT_CHARS", 3)
    sizes = []

    class Counted:
        def __init__(self, real):
            self._real = real

        def encode_batch(self, batch, **options):
            sizes.append(len(batch))
            return self._real.encode_batch(batch, **options)

    monkeypatch.setattr(tokenizer, "_tokenizer", Counted(tokenizer._tokenizer))
    assert len(tokenizer.tokenize("cat " * 99 + "cat").token_ids) == 100
    assert sizes == [32, 32, 32, 4]
