"""Where sentences end."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hierdoc.chunking.sentences import sentence_ends


def places(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Words, single punctuation marks and ideographs, as tokens."""
    found = [match.span() for match in re.finditer(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+|[^\w\s]", text)]
    return tuple(np.asarray(found, np.int32).reshape(-1, 2).T)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One two. Three four! Five? Six", ["One two.", "Three four!", "Five?"]),
        ("He said “go.” Then (all of it!) (No.)\n“Why?” she asked", ["He said “go.”", "Then (all of it!)", "(No.)", "“Why?”"]),
        ("Wait… what?! No...", ["Wait…", "what?!", "No..."]),
        ("Pi is 3.14. Version 2.0.1 of a.b.c is at www.example.com. End", ["Pi is 3.14.", "Version 2.0.1 of a.b.c is at www.example.com."]),
        ("J. R. Smith wrote to the U.S. senate, e.g. twice.", ["J. R. Smith wrote to the U.S. senate, e.g. twice."]),
        ("It was I! Was it I? Yes.", ["It was I!", "Was it I?", "Yes."]),
        ("Dr. No", ["Dr."]),  # an abbreviation is taken for an end
        ("今天很好。我們去！好嗎？好」。", ["今天很好。", "我們去！", "好嗎？", "好」。"]),
        ("他說：「好。」她走了", ["他說：「好。」"]),
        ("A heading\n\nSome text\n  \r\nmore\nof it", ["A heading", "Some text"]),
        ("\n\nNo sentence. ", ["No sentence."]),
        ("no end at all", []),
        ("", []),
        (" . ", ["."]),
        ("end.\n\nNext", ["end."]),
    ],
)  # fmt: skip
def test_sentences_end_here(text: str, sentences: list[str]):
    starts, ends = places(text)
    found = np.flatnonzero(sentence_ends(text, starts, ends))
    begins = [0, *(found[:-1] + 1)]
    assert [text[starts[first] : ends[last]] for first, last in zip(begins, found)] == sentences


def test_an_end_inside_a_token_is_none():
    text = "one.\n\ntwo"  # as one token
    assert sentence_ends(text, np.array([0]), np.array([len(text)])).tolist() == [False]
    assert sentence_ends(text, np.array([0, 3]), np.array([3, 9])).tolist() == [False, False]
    assert sentence_ends(text, np.array([0, 6]), np.array([3, 9])).tolist() == [True, False]


@pytest.mark.parametrize("text", ["", "\n\n", " \n \n ", "\r\n\r\n", "。"])
def test_a_text_without_tokens_has_no_ends(text: str):
    nothing = np.zeros(0, np.int64)
    assert sentence_ends(text, nothing, nothing).tolist() == []


def test_the_answer_is_one_bool_a_token():
    ends = sentence_ends("a cat. b", *places("a cat. b"))
    assert ends.dtype == bool and ends.tolist() == [False, False, True, False]
