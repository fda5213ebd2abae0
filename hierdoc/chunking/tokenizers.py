"""BERT's WordPiece, through the `tokenizers` package, with offsets into the text."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hierdoc.chunking.segments import cut_segments, original_offsets, shorten
from hierdoc.chunking.stand_ins import StandIns
from hierdoc.errors import HierdocError

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_DROPPED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd]")
_SEGMENTS_AT_ONCE = 32  # the package's token objects are large: memory holds those of so many segments only
MOST_UNKNOWN = 0.05  # a larger share of [UNK] is worth a warning
MAX_CHARS_PER_WORD = 200  # bert-for-tf2's and Google's limit; the `tokenizers` package has 100


@dataclass(frozen=True)
class TokenizedText:
    """The T content tokens of one text, without [CLS] and [SEP].

    Attributes:
        token_ids: int32 (T,).
        char_starts, char_ends: int32 (T,), each token's place in the original text, in characters.
        num_unknown: how many of them are [UNK].
    """

    token_ids: np.ndarray
    char_starts: np.ndarray
    char_ends: np.ndarray
    num_unknown: int


class WordPieceTokenizer:
    """The WordPiece of Devlin et al. 2019 as in Google's original code, for one vocabulary.

    Attributes:
        pad_id, unk_id, cls_id, sep_id: token ids of the special tokens.
    """

    def __init__(self, vocab_path: Path, lower_case: bool):
        """Read a vocab.txt, one token a line.

        Raises:
            HierdocError: a special token is missing.
        """
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

        tokens = read_vocab(vocab_path)
        vocab = {token: token_id for token_id, token in enumerate(tokens)}
        missing = [token for token in SPECIAL_TOKENS if token not in vocab]
        if missing:
            raise HierdocError(f"{vocab_path}: the vocabulary must hold {', '.join(missing)}, but does not")
        self.pad_id, self.unk_id, self.cls_id, self.sep_id = (vocab[token] for token in SPECIAL_TOKENS)
        self.lower_case = lower_case
        self._tokenizer = Tokenizer(
            models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=MAX_CHARS_PER_WORD)
        )
        self._tokenizer.normalizer = normalizers.BertNormalizer(
            clean_text=True, handle_chinese_chars=True, strip_accents=lower_case, lowercase=lower_case
        )
        self._tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        self._stand_ins = StandIns(self._tokenizer, vocab, lower_case)

    def tokenize(self, text: str) -> TokenizedText:
        """Return the text's tokens; a text without any has T = 0.

        "[SEP]" and the like in a text are read as text, never as special tokens.
        """
        segments = list(cut_segments(text))
        token_ids, offsets = [np.zeros(0, np.int32)], [np.zeros((0, 2), np.int32)]
        for at in range(0, len(segments), _SEGMENTS_AT_ONCE):
            some = segments[at : at + _SEGMENTS_AT_ONCE]
            short = [shorten(text[begin:end]) for begin, end in some]
            prepared = [self._prepare(segment) for segment, _ in short]
            encodings = self._tokenizer.encode_batch(prepared, add_special_tokens=False)
            for (begin, _), (_, left_out), encoding in zip(some, short, encodings, strict=True):
                token_ids.append(np.asarray(encoding.ids, np.int32))
                places = np.asarray(encoding.offsets, np.int32).reshape(-1, 2)
                offsets.append(original_offsets(places, left_out) + np.int32(begin))
        ids, places = np.concatenate(token_ids), np.concatenate(offsets)
        return TokenizedText(
            token_ids=ids,
            char_starts=places[:, 0],
            char_ends=places[:, 1],
            num_unknown=int((ids == self.unk_id).sum()),
        )

    def _prepare(self, segment: str) -> str:
        """Return `segment`, of the same length, with stand-ins where the package's view of a character is not Google's."""
        if segment.isascii():
            return segment
        if self.lower_case and "Σ" in segment:  # at a word's end it becomes ς: the package lower-cases letter by letter
            context = _DROPPED.sub("\u00ad", segment)  # neither ends a word; a soft hyphen is looked past
            lowered = context.replace("İ", "I").lower()  # İ is the one letter whose lower case has another length
            segment = "".join(low if char == "Σ" else char for char, low in zip(segment, lowered, strict=True))
        return segment.translate(self._stand_ins)


def read_vocab(vocab_path: Path) -> list[str]:
    """Return a vocab.txt's tokens in order of their ids.

    Raises:
        HierdocError: the file is not UTF-8.
    """
    try:
        lines = vocab_path.read_bytes().decode("utf-8").split("\n")  # a token may be another kind of line end
    except UnicodeDecodeError as error:
        raise HierdocError(f"{vocab_path}: is not UTF-8 at byte {error.start}: {error.reason}") from None
    if lines and lines[-1] == "":
        lines.pop()
    return [line.strip() for line in lines]


def save_tokenizer(folder: Path, vocab_path: Path, lower_case: bool) -> list[str]:
    """Write vocab.txt and tokenizer_config.json (as Hugging Face's) into `folder`; return their names."""
    (folder / "vocab.txt").write_bytes(vocab_path.read_bytes())
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"do_lower_case": lower_case, "tokenizer_class": "BertTokenizer"}) + "\n", encoding="utf-8"
    )
    return ["vocab.txt", "tokenizer_config.json"]


def load_tokenizer(folder: Path) -> WordPieceTokenizer:
    """Return the tokenizer that `save_tokenizer` wrote into `folder`."""
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    return WordPieceTokenizer(folder / "vocab.txt", config["do_lower_case"])
