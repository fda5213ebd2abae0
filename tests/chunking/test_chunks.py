"""A document becomes chunks that cover it; shards keep documents whole."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hierdoc.chunking import chunks
from hierdoc.chunking.chunks import ShardWriter, chunk_document
from hierdoc.chunking.tokenizers import WordPieceTokenizer

PAD, UNK, CLS, SEP, CAT, DOG, THE, S, DOT = 0, 1, 2, 3, 4, 5, 6, 7, 8


@pytest.fixture
def tokenizer(tmp_path: Path) -> WordPieceTokenizer:
    path = tmp_path / "vocab.txt"
    path.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\ncat\ndog\nthe\n##s\n.\n", encoding="utf-8")
    return WordPieceTokenizer(path, lower_case=True)


def rows_of(document: chunks.ChunkedDocument) -> list[tuple[int, list[int], int, int]]:
    return [
        (chunk.chunk_index, chunk.token_ids.tolist(), chunk.char_start, chunk.char_end) for chunk in document.chunks
    ]


def test_a_document_is_cut_with_cls_and_sep_around_each_window(tokenizer):
    document = chunk_document("The cats. Zebra dog", tokenizer, chunk_size=5)
    assert rows_of(document) == [
        (0, [CLS, THE, CAT, S, SEP], 0, 8),
        (1, [CLS, DOT, UNK, DOG, SEP], 8, 19),
    ]
    assert (document.num_tokens, document.num_unknown, document.num_dropped) == (6, 1, 0)
    assert all(str(chunk.token_ids.dtype) == "int32" for chunk in document.chunks)


def test_overlapping_chunks_share_tokens_and_text(tokenizer):
    document = chunk_document("cat dog the cat dog", tokenizer, chunk_size=5, overlap=2)
    assert rows_of(document) == [
        (0, [CLS, CAT, DOG, THE, SEP], 0, 11),
        (1, [CLS, DOG, THE, CAT, SEP], 4, 15),
        (2, [CLS, THE, CAT, DOG, SEP], 8, 19),
    ]


def test_max_chunks_keeps_the_first_chunks_and_counts_the_others(tokenizer):
    text = "cat dog the . cat dog the"
    assert (
        rows_of(chunk_document(text, tokenizer, 4, 0, max_chunks=2)) == rows_of(chunk_document(text, tokenizer, 4))[:2]
    )
    for max_chunks, kept, dropped in [(1, 1, 3), (2, 2, 2), (4, 4, 0), (9, 4, 0), (None, 4, 0)]:
        document = chunk_document(text, tokenizer, 4, 0, max_chunks)
        assert (len(document.chunks), document.num_dropped) == (kept, dropped)
        assert document.num_tokens == 7  # of the whole text


def test_chunks_that_respect_sentences_end_with_them(tokenizer):
    text = "The cat. The dog cat dog cat. Cat"
    assert [row[2:] for row in rows_of(chunk_document(text, tokenizer, 8))] == [(0, 20), (21, 33)]
    assert [row[2:] for row in rows_of(chunk_document(text, tokenizer, 6, 0, None, True))] == [
        (0, 8),
        (9, 24),
        (25, 33),
    ]
    longer = "the cat dog. " * 5
    document = chunk_document(
        longer, tokenizer, 12, 2, 2, respect_sentences=True
    )  # 10 content tokens, the last two count
    assert rows_of(document) == [
        (0, [CLS, THE, CAT, DOG, DOT, THE, CAT, DOG, DOT, SEP], 0, 25),
        (1, [CLS, DOG, DOT, THE, CAT, DOG, DOT, THE, CAT, DOG, DOT, SEP], 21, 51),
    ]
    assert (document.num_tokens, document.num_dropped) == (20, 1)


@pytest.mark.parametrize("text", ["", "  \n", "\u200b\x00"])
def test_a_text_without_tokens_is_one_chunk_of_cls_and_sep(text: str, tokenizer):
    document = chunk_document(text, tokenizer, 5, 1, max_chunks=1)
    assert rows_of(document) == [(0, [CLS, SEP], 0, 0)]
    assert (document.num_tokens, document.num_unknown, document.num_dropped) == (0, 0, 0)


def test_chunks_minus_overlap_rebuild_the_tokens_and_cover_the_text(tokenizer):
    rng = random.Random(3)
    for _ in range(200):
        words = [
            rng.choice(["cat", "dogs", "The", "zebra", ".", "  ", "\u00e9", "cats."]) for _ in range(rng.randint(1, 60))
        ]
        text = " ".join(words)
        chunk_size = rng.randint(3, 20)
        overlap = rng.randint(0, chunk_size - 3)
        document = chunk_document(text, tokenizer, chunk_size, overlap)
        rebuilt: list[int] = []
        for chunk in document.chunks:
            ids = chunk.token_ids.tolist()
            assert ids[0] == CLS and ids[-1] == SEP and len(ids) <= chunk_size
            rebuilt += ids[1:-1] if chunk.chunk_index == 0 else ids[1 + overlap : -1]
        assert rebuilt == tokenizer.tokenize(text).token_ids.tolist()
        assert [chunk.chunk_index for chunk in document.chunks] == list(range(len(document.chunks)))
        end = len(text) - len(text.lstrip())
        for chunk in document.chunks:  # nothing but space between what one chunk and the next cover
            assert not text[end : chunk.char_start].strip()
            assert chunk.char_start < chunk.char_end
            end = chunk.char_end
        assert not text[end:].strip()


def test_a_chunks_text_makes_the_chunks_tokens_again(tokenizer):
    text = "The cats. The dogs! The cat saw é dogs.  Cats"
    for chunk in chunk_document(text, tokenizer, chunk_size=7, overlap=2).chunks:
        piece = text[chunk.char_start : chunk.char_end]
        if not piece.startswith("s"):  # a window may begin inside a word
            assert tokenizer.tokenize(piece).token_ids.tolist() == chunk.token_ids.tolist()[1:-1]


def write(folder: Path, tokenizer: WordPieceTokenizer, texts: list[str]) -> tuple[list[pa.Table], list[pa.Table]]:
    writer = ShardWriter(folder)
    for number, text in enumerate(texts):
        document = (f"d{number}", text, ("pets",), "train", number == 1)
        writer.add(document, chunk_document(text, tokenizer, chunk_size=5))
    writer.close()
    writer.close()  # again: nothing happens
    return tuple(
        [pq.read_table(path) for path in sorted(folder.glob(f"{name}-*.parquet"))] for name in ("documents", "chunks")
    )


def test_a_shard_holds_the_documents_and_chunks_as_they_are(tokenizer, tmp_path: Path):
    folder = tmp_path / "shards"
    folder.mkdir()
    text = "Cafés,\r\n\tcats \U0001f600"
    (documents,), (table,) = write(folder, tokenizer, [text, ""])
    assert sorted(path.name for path in folder.iterdir()) == ["chunks-00000.parquet", "documents-00000.parquet"]
    # cafés -> [UNK], "," -> [UNK], cat ##s, the emoji -> [UNK]
    assert documents.to_pylist() == [
        {
            "doc_id": "d0", "text": text, "labels": ["pets"], "split": "train",
            "text_sha256": hashlib.sha256(text.encode("utf-8")).hexdigest(),
            "num_tokens": 5, "num_chunks": 2, "num_unknown": 3, "num_dropped": 0, "near_duplicate_of_train": False,
        },
        {
            "doc_id": "d1", "text": "", "labels": ["pets"], "split": "train",
            "text_sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "num_tokens": 0, "num_chunks": 1, "num_unknown": 0, "num_dropped": 0, "near_duplicate_of_train": True,
        },
    ]  # fmt: skip
    assert table.to_pylist() == [
        {"doc_id": "d0", "chunk_index": 0, "token_ids": [CLS, UNK, UNK, CAT, SEP], "char_start": 0, "char_end": 12, "split": "train"},
        {"doc_id": "d0", "chunk_index": 1, "token_ids": [CLS, S, UNK, SEP], "char_start": 12, "char_end": 15, "split": "train"},
        {"doc_id": "d1", "chunk_index": 0, "token_ids": [CLS, SEP], "char_start": 0, "char_end": 0, "split": "train"},
    ]  # fmt: skip


def test_shards_have_the_agreed_types(tokenizer, tmp_path: Path):
    (documents,), (table,) = write(tmp_path, tokenizer, ["cat"])
    assert [(field.name, str(field.type)) for field in documents.schema] == [
        ("doc_id", "string"), ("text", "string"), ("labels", "list<element: string>"), ("split", "string"),
        ("text_sha256", "string"), ("num_tokens", "int32"), ("num_chunks", "int32"), ("num_unknown", "int32"), ("num_dropped", "int32"),
        ("near_duplicate_of_train", "bool"),
    ]  # fmt: skip
    assert [(field.name, str(field.type)) for field in table.schema] == [
        ("doc_id", "string"), ("chunk_index", "int32"), ("token_ids", "list<element: int32>"),
        ("char_start", "int32"), ("char_end", "int32"), ("split", "string"),
    ]  # fmt: skip


def test_a_document_never_straddles_two_shards(tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(chunks, "TOKENS_PER_SHARD", 12)
    texts = ["cat", "cat " * 30, "", "dog " * 5, "the " * 4, "cat", "", "cat cat"]
    documents, tables = write(tmp_path, tokenizer, texts)
    assert len(documents) == len(tables) > 2
    for some, pieces in zip(documents, tables, strict=True):
        assert list(dict.fromkeys(pieces["doc_id"].to_pylist())) == some["doc_id"].to_pylist()
        counts = [pieces["doc_id"].to_pylist().count(doc_id) for doc_id in some["doc_id"].to_pylist()]
        assert counts == some["num_chunks"].to_pylist()
    assert [doc_id for some in documents for doc_id in some["doc_id"].to_pylist()] == [
        f"d{number}" for number in range(len(texts))
    ]
    # 3 tokens, then 50 of d1: over 12; then 2, 9, 8: over 12; then 3, 2, 4 are left
    assert [some["doc_id"].to_pylist() for some in documents] == [["d0", "d1"], ["d2", "d3", "d4"], ["d5", "d6", "d7"]]


def test_the_same_documents_make_the_same_bytes(tokenizer, tmp_path: Path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    for name in ("one", "two"):
        write(tmp_path / name, tokenizer, ["cat dog", "the cats."])
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_a_shard_is_kept_between_two_shards_only(tokenizer, tmp_path: Path):
    write(tmp_path, tokenizer, ["cat"])
    documents = [("other", "dog", ["pets"], "train", False), ("d0", "cat", ["pets"], "train", False)]
    writer = ShardWriter(tmp_path)
    assert writer.keep(documents, 0) == 0 and writer.keep(documents, 1) == 1
    writer = ShardWriter(tmp_path)
    writer.add(documents[0], chunk_document("dog", tokenizer, chunk_size=5))
    assert writer.keep(documents, 1) == 0


def test_a_writer_without_documents_writes_nothing(tmp_path: Path):
    ShardWriter(tmp_path).close()
    assert list(tmp_path.iterdir()) == []
