"""WordPieceTokenizer cuts as bert-for-tf2's own FullTokenizer does, and knows where each token stands in the text."""

from __future__ import annotations

import random
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hierdoc.chunking import segments
from hierdoc.chunking.tokenizers import WordPieceTokenizer, load_tokenizer, read_vocab, save_tokenizer
from hierdoc.errors import HierdocError

VOCAB = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "cat",
    "cafe",
    "##s",
    "the",
    "i",
    ".",
    "[",
    "]",
    "sep",
    "中",
    "ss",
    "a",
    "##bc",
]

HARD_TEXTS = {
    "nothing": "",
    "spaces only": " \t\r\n \u3000",
    "plain": "The quick brown fox jumps over the lazy dog's back, twice!",
    "composed accents": "Café naïve résumé Ångström ÀÉÎÕÜ ñandú Čeština",
    "decomposed accents": "Cafe\u0301 nai\u0308ve re\u0301sume\u0301 A\u030angstro\u0308m",
    "several marks on a letter": "ệ e\u0323\u0302 e\u0302\u0323 Ṩ",
    "Chinese": "中文文本分類，與自然語言處理。mixed中文with字母",
    "ideographs beyond the basic plane": "𠀀𠮷a𪚲b \U0002b740x\U0002b820y\U0002b91fz\U0002b920w\U0002f800v",
    "Japanese": "日本語のテキストはカタカナ、ひらがな、漢字です。ガ\u304b\u3099ﾊﾝｶｸ",
    "Korean": "한국어 텍스트 분류 \u1112\u1161\u11ab",
    "emoji with joiners": "family 👨\u200d👩\u200d👧\u200d👦 flag 🇫🇷 skin 👍🏽 heart ❤\ufe0f done",
    "control characters": "a\x01b\x02 c\x1f d\x7fe\x80f\x85g \x1b[31mred\x1b[0m",
    "NUL": "a\x00b \x00 c\x00",
    "replacement character": "a\ufffdb \ufffd c",
    "soft hyphen": "hy\u00adphen\u00adation \u00ad",
    "kinds of space": "a\u00a0b\u3000c\u2003d\u2009e\u202ff\u1680g",
    "zero-width space and joiners": "a\u200bb\u200cc\u200dd\ufeffe\u2060f",
    "line and paragraph separators": "a\u2028b\u2029c",
    "tabs and line ends": "one\ttwo\r\nthree\rfour\n\nfive\x0bsix\x0cseven",
    "ASCII punctuation": "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ a$b a^b a`b a+b a~b",
    "other punctuation": "“quoted” ‘single’ — dash – en … ¿qué? ¡sí! «fr» „de“ § ¶ · 、。「」 ٪ ؟ ‽",
    "symbols that are not punctuation": "€100 £5 ©2020 ™ ° ± × ÷ ½ ² → ≤",
    "punctuation under a mark": "a\u2260b \u226e \u226f c \u1fef \u037e",
    "word of 99": "a" * 99,
    "word of 100": "a" * 100,
    "word of 101": "a" * 101,
    "word of 200": "a" * 200,
    "word of 201": "a" * 201,
    "word of 201 with an accent that goes": "a" * 200 + "\u0301",
    "words of 200 and 201 of an unusual letter": "q" * 200 + " " + "q" * 201 + " q",
    "special tokens as text": "[SEP] [MASK] [CLS] [UNK] [PAD] x[SEP]y [sep]",
    "hashes": "##s ##ing # #s s##s",
    "German": "Straße STRASSE ẞ groß Übermäßig",
    "Turkish": "İstanbul ISPARTA ısı İİ",
    "Greek in capitals": "ΟΔΟΣ ΣΊΣΥΦΟΣ Σ ΑΣ. ΑΣ, ΣΑΣ ΟΔΟΣ\u00adΑ ὈΔΥΣΣΕΎΣ",
    "Greek": "Η γρήγορη αλεπού, ὅδος ᾳ ᾈ ΐ",
    "marks first": "\u0301a \u0308 b\u0301 \u0300\u0301c",
    "mathematical letters": "𝐇𝐞𝐥𝐥𝐨 𝒳 ℂ ℵ 𝟘𝟙 ﬁne ﬂow Ⅳ ㎏ K Å",
    "Arabic": "مرحبا بالعالم، كيف حالُكَ؟ ١٢٣ ﷲ",
    "Hebrew": "שָׁלוֹם עוֹלָם ״כן״",
    "Thai": "สวัสดีชาวโลก ภาษาไทยไม่มีช่องว่าง ก่ำ",
    "Devanagari": "नमस्ते दुनिया। हिन्दी क्षि",
    "Tamil and Bengali": "வணக்கம் நன்றி কেমন আছো",
    "Cyrillic": "Привет, мир! Ёлка Йод й и\u0306",
    "Georgian, Armenian, Cherokee": "ᲒᲐᲛᲐᲠᲯᲝᲑᲐ გამარჯობა ԲԱՐԵՎ Ꭰꭰ",
    "Deseret": "𐐀𐐨 𐐁",
    "private use: the bullet of word processors": "\uf0b7 item a\uf0b7b \ue000",
    "young punctuation": "a\u2e43b a\u2e52b a\u0c77b",
    "young marks": "a\u08cab a\u1ac0b",
    "unassigned": "a\u0378b \u0378",
}  # fmt: skip


@pytest.fixture(scope="module")
def bert_tokenizer() -> Any:
    """bert-for-tf2's FullTokenizer on minilm's vocabulary, as a function (text, lower_case) -> ids."""
    from hierdoc.encoders import compat
    from hierdoc.encoders.pretrained import find_encoder

    compat.load_bert()
    from bert.tokenization.bert_tokenization import FullTokenizer

    path = str(find_encoder("minilm").vocab_path)
    both = {lower_case: FullTokenizer(path, lower_case) for lower_case in (True, False)}

    def ids_of(text: str, lower_case: bool) -> list[int]:
        return both[lower_case].convert_tokens_to_ids(both[lower_case].tokenize(text))

    return ids_of


@pytest.fixture(scope="module")
def english() -> dict[bool, WordPieceTokenizer]:
    """hierdoc's tokenizer on minilm's vocabulary, by lower_case."""
    from hierdoc.encoders.pretrained import find_encoder

    path = find_encoder("minilm").vocab_path
    return {lower_case: WordPieceTokenizer(path, lower_case) for lower_case in (True, False)}


@pytest.fixture
def vocab_path(tmp_path: Path) -> Path:
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(VOCAB) + "\n", encoding="utf-8")
    return path


def characters(*ranges: tuple[int, int]) -> list[str]:
    return [chr(code) for first, last in ranges for code in range(first, last + 1) if not 0xD800 <= code <= 0xDFFF]


def characters_that_differ(chars: list[str], lower_case: bool, theirs: Any, ours: WordPieceTokenizer) -> list[str]:
    """Return the characters which, between two letters, make other tokens; 500 are tried at once, then one by one."""
    found = []
    for start in range(0, len(chars), 500):
        some = chars[start : start + 500]
        text = " ".join(f"a{char}b" for char in some)
        if theirs(text, lower_case) == ours.tokenize(text).token_ids.tolist():
            continue
        found += [
            f"U+{ord(char):04X}"
            for char in some
            if theirs(f"a{char}b", lower_case) != ours.tokenize(f"a{char}b").token_ids.tolist()
        ]
    return found


@pytest.mark.weights
@pytest.mark.parametrize("lower_case", [True, False], ids=["uncased", "cased"])
@pytest.mark.parametrize("text", HARD_TEXTS.values(), ids=HARD_TEXTS)
def test_hard_texts_have_the_ids_of_bert_for_tf2(text, lower_case, bert_tokenizer, english):
    assert english[lower_case].tokenize(text).token_ids.tolist() == bert_tokenizer(text, lower_case)


@pytest.mark.weights
@pytest.mark.parametrize("lower_case", [True, False], ids=["uncased", "cased"])
def test_every_character_up_to_the_ideographs_cuts_as_in_bert_for_tf2(lower_case, bert_tokenizer, english):
    chars = characters(
        (0, 0x33FF), (0x4DB0, 0x4E10), (0x9FF0, 0xAC10), (0xD7A0, 0xE010), (0xF8F0, 0x1FFFF), (0x2B700, 0x2BA00)
    )
    assert characters_that_differ(chars, lower_case, bert_tokenizer, english[lower_case]) == []


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.parametrize("lower_case", [True, False], ids=["uncased", "cased"])
def test_every_character_of_unicode_cuts_as_in_bert_for_tf2(lower_case, bert_tokenizer, english):
    chars = characters((0, 0x10FFFF))
    assert characters_that_differ(chars, lower_case, bert_tokenizer, english[lower_case]) == []


@pytest.mark.weights
@pytest.mark.parametrize("lower_case", [True, False], ids=["uncased", "cased"])
def test_random_texts_have_the_ids_of_bert_for_tf2(lower_case, bert_tokenizer, english):
    rng = random.Random(20240229)
    scripts = [
        range(0x20, 0x7F), range(0x00, 0x250), range(0x300, 0x370), range(0x370, 0x530), range(0x590, 0x900),
        range(0x900, 0xE80), range(0x1100, 0x1200), range(0x1E00, 0x2070), range(0x2070, 0x2C00), range(0x3000, 0x3400),
        range(0x4E00, 0x4F00), range(0xAC00, 0xAD00), range(0xF900, 0x10000), range(0x10300, 0x10500),
        range(0x1D400, 0x1D800), range(0x1F300, 0x1FA00), range(0xE000, 0xE010),
    ]  # fmt: skip
    common = "aeinst AEINST  .,-'\n\u03a3\u0130\u0301\u200d\u00ad\u00df"
    for _ in range(3000):
        few = rng.sample(scripts, rng.randint(1, 3))
        letters = [
            rng.choice(common) if rng.random() < 0.5 else chr(rng.choice(rng.choice(few)))
            for _ in range(rng.randint(1, 40))
        ]
        text = "".join(letters)
        got = english[lower_case].tokenize(text).token_ids.tolist()
        assert got == bert_tokenizer(text, lower_case), ascii(text)


def test_a_text_is_cut_into_the_longest_pieces_of_the_vocabulary(vocab_path: Path):
    tokens = WordPieceTokenizer(vocab_path, lower_case=True).tokenize("The cats, CAFÉS 中a zebra.")
    # the cat ##s [UNK] cafe ##s 中 a [UNK] .
    assert tokens.token_ids.tolist() == [8, 5, 7, 1, 6, 7, 14, 16, 1, 10]
    assert tokens.char_starts.tolist() == [0, 4, 7, 8, 10, 14, 16, 17, 19, 24]
    assert tokens.char_ends.tolist() == [3, 7, 8, 9, 14, 15, 17, 18, 24, 25]
    assert tokens.num_unknown == 2
    assert {array.dtype for array in (tokens.token_ids, tokens.char_starts, tokens.char_ends)} == {np.dtype(np.int32)}


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Cafés", ["Café", "s"]),
        ("\u200b\u200bCafés", ["Café", "s"]),  # what is dropped before a token is not part of it
        ("a\x00 \ufffdcats", ["a", "cat", "s"]),
        ("𐐀 cats 𝐇 cat", ["𐐀", "cat", "s", "𝐇", "cat"]),  # beyond the basic plane a character counts once
        ("👨\u200d👩 cat", ["👨\u200d👩", "cat"]),
        ("\u3000cat\u00a0cat", ["cat", "cat"]),
        ("中中a", ["中", "中", "a"]),
        ("İ i", ["İ", "i"]),
    ],
)
def test_offsets_point_into_the_original_text(text: str, pieces: list[str], vocab_path: Path):
    tokens = WordPieceTokenizer(vocab_path, lower_case=True).tokenize(text)
    assert [text[a:b] for a, b in zip(tokens.char_starts, tokens.char_ends, strict=True)] == pieces


def test_offsets_of_decomposed_accents_begin_and_end_at_the_words_letters(vocab_path: Path):
    text = "cat cafe\u0301s Cafe\u0301"
    tokens = WordPieceTokenizer(vocab_path, lower_case=True).tokenize(text)
    covered = [text[a:b] for a, b in zip(tokens.char_starts, tokens.char_ends, strict=True)]
    assert tokens.token_ids.tolist() == [5, 6, 7, 6]
    assert [piece.rstrip("\u0301") for piece in covered] == ["cat", "cafe", "s", "Cafe"]


@pytest.mark.weights
def test_the_text_under_each_tokens_offsets_is_the_token(english):
    vocab = read_vocab_of_minilm()
    text = "Tokenization of UNBELIEVABLY long words, e.g. Épée, Übermut, mañana; 東京 and 1,234.50 — done\u00ad-ish.\r\n\tNext: naïveté"
    tokens = english[True].tokenize(text)
    assert tokens.num_unknown == 0
    for token_id, start, end in zip(tokens.token_ids, tokens.char_starts, tokens.char_ends, strict=True):
        plain = unicodedata.normalize("NFD", text[start:end].lower())
        plain = "".join(char for char in plain if unicodedata.category(char) not in ("Mn", "Cf"))
        assert plain == vocab[token_id].removeprefix("##")


def read_vocab_of_minilm() -> list[str]:
    from hierdoc.encoders.pretrained import find_encoder

    return read_vocab(find_encoder("minilm").vocab_path)


def test_a_long_text_in_segments_is_cut_as_at_once(vocab_path: Path, monkeypatch: pytest.MonkeyPatch):
    tokenizer = WordPieceTokenizer(vocab_path, lower_case=True)
    rng = random.Random(5)
    words = [
        "cat",
        "cats",
        "Cafés",
        "the",
        "zebra",
        "abc",
        "[SEP]",
        "中a",
        "\u0301a",
        "  ",
        "\n",
        "\t",
        "\u00a0a",
        "ΟΔΟΣ",
        "a.\r\n",
    ]
    texts = [
        "".join(rng.choice([" ", "\n", ""]) + rng.choice(words) for _ in range(rng.randint(0, 40))) for _ in range(150)
    ]
    whole = [tokenizer.tokenize(text) for text in texts]
    for size in (1, 2, 7, 30):
        monkeypatch.setattr(segments, "SEGMENT_CHARS", size)
        for text, expected in zip(texts, whole, strict=True):
            got = tokenizer.tokenize(text)
            assert got.token_ids.tolist() == expected.token_ids.tolist()
            assert got.char_starts.tolist() == expected.char_starts.tolist()
            assert got.char_ends.tolist() == expected.char_ends.tolist()
            assert got.num_unknown == expected.num_unknown


def test_a_long_text_is_cut_at_spaces_and_line_ends_only(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(segments, "SEGMENT_CHARS", 5)
    text = "aaaaaaaa bb\ncc dddd"
    assert [text[a:b] for a, b in segments.cut_segments(text)] == ["aaaaaaaa", " bb\ncc", " dddd"]
    assert list(segments.cut_segments("x" * 23)) == [(0, 23)]
    assert list(segments.cut_segments("x" * 5)) == [(0, 5)]
    assert list(segments.cut_segments("")) == []


def test_a_text_without_spaces_longer_than_a_segment_is_not_torn(vocab_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(segments, "SEGMENT_CHARS", 4)
    tokens = WordPieceTokenizer(vocab_path, lower_case=True).tokenize("cats.cats.中中cats")
    assert tokens.token_ids.tolist() == [5, 7, 10, 5, 7, 10, 14, 14, 5, 7]
    assert tokens.char_starts.tolist() == [0, 3, 4, 5, 8, 9, 10, 11, 12, 15]


@pytest.mark.parametrize("text", ["", " ", "\n\t\u3000", "\u200b\x00\ufffd\u00ad"])
def test_a_text_without_tokens_has_empty_arrays(text: str, vocab_path: Path):
    tokens = WordPieceTokenizer(vocab_path, lower_case=True).tokenize(text)
    for array in (tokens.token_ids, tokens.char_starts, tokens.char_ends):
        assert array.shape == (0,) and array.dtype == np.int32
    assert tokens.num_unknown == 0


def test_special_tokens_in_a_text_are_text(vocab_path: Path):
    tokens = WordPieceTokenizer(vocab_path, lower_case=True).tokenize("[SEP]")
    assert tokens.token_ids.tolist() == [11, 13, 12]  # [ sep ]


def test_a_cased_vocabulary_keeps_case_and_accents(tmp_path: Path):
    path = tmp_path / "vocab.txt"
    path.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\ncafe\nCafé\nCat\ncat\n", encoding="utf-8")
    assert WordPieceTokenizer(path, lower_case=False).tokenize("Café cafe Cat cat CAT").token_ids.tolist() == [
        5,
        4,
        6,
        7,
        1,
    ]
    assert WordPieceTokenizer(path, lower_case=True).tokenize("Café cafe Cat cat CAT").token_ids.tolist() == [
        4,
        4,
        7,
        7,
        7,
    ]


def test_the_ids_of_the_special_tokens_come_from_the_vocabulary(tmp_path: Path):
    path = tmp_path / "vocab.txt"
    path.write_text("cat\n[SEP]\n[PAD]\ndog\n[CLS]\n[UNK]\n", encoding="utf-8")
    tokenizer = WordPieceTokenizer(path, lower_case=True)
    assert (tokenizer.pad_id, tokenizer.unk_id, tokenizer.cls_id, tokenizer.sep_id) == (2, 5, 4, 1)
    tokens = tokenizer.tokenize("dog zebra")
    assert tokens.token_ids.tolist() == [3, 5] and tokens.num_unknown == 1


@pytest.mark.parametrize("missing", ["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
def test_a_vocabulary_without_a_special_token_is_refused_by_name(missing: str, tmp_path: Path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(token for token in VOCAB if token != missing), encoding="utf-8")
    with pytest.raises(HierdocError) as error:
        WordPieceTokenizer(path, lower_case=True)
    assert str(error.value) == f"{path}: the vocabulary must hold {missing}, but does not"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_vocabulary_has_one_token_a_line_and_odd_line_ends_are_tokens(end: str, tmp_path: Path):
    path = tmp_path / "vocab.txt"
    path.write_bytes(end.join(["[PAD]", "a", "", "b\u0085c", "d\u2028e", "f"]).encode() + end.encode())
    assert read_vocab(path) == ["[PAD]", "a", "", "b\u0085c", "d\u2028e", "f"]


@pytest.mark.parametrize("lower_case", [True, False])
def test_a_saved_tokenizer_comes_back_the_same(lower_case: bool, vocab_path: Path, tmp_path: Path):
    folder = tmp_path / "saved"
    folder.mkdir()
    names = save_tokenizer(folder, vocab_path, lower_case)
    assert sorted(names) == sorted(path.name for path in folder.iterdir()) == ["tokenizer_config.json", "vocab.txt"]
    assert (folder / "vocab.txt").read_bytes() == vocab_path.read_bytes()
    loaded = load_tokenizer(folder)
    assert loaded.lower_case is lower_case
    assert loaded.tokenize("The Cafés").token_ids.tolist() == ([8, 6, 7] if lower_case else [1, 1])
