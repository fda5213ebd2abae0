"""hierdoc evaluate for answers by somebody's own code, and what it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hierdoc import HierdocError, evaluate_head
from hierdoc.evaluate import evaluate_own


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("evaluate")))


def own_code(folder: Path, of_each: str) -> Path:
    """Code whose answer to each document of test is this."""
    code = folder / "own.py"
    code.write_text(
        "import numpy as np\n"
        "from hierdoc.evaluation.baselines import Answers\n"
        "from hierdoc.sequences.reading import read_texts\n"
        "from hierdoc.stages.finished import read_stage\n"
        "def answer(run, split, seed):\n"
        "    size = len(read_texts(read_stage(run, 'chunk'), split).doc_ids)\n"
        f"    return Answers(np.full(size, {of_each}), np.full((size, 3), 1 / 3))\n"
    )
    return code


@pytest.mark.parametrize("wrong", [-1, 3])
def test_an_answer_that_is_no_class_is_refused(wrong: int, run: Path, tmp_path: Path):
    assert evaluate_own(run, own_code(tmp_path, "2")).details["document_accuracy"] > 0
    with pytest.raises(HierdocError) as error:
        evaluate_own(run, own_code(tmp_path, str(wrong)), overwrite=True)
    assert f"own.py: its label_ids must be from 0 to 2, but one is {wrong}" in str(error.value)


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ("None", "`answer` must return Answers, but has returned NoneType instead"),
        ("Answers(np.full(size, 2), np.full((size, 3), 5.0))", "its probs must be from 0 to 1, in each row 1 together"),
        ("Answers(np.full(size, 2), np.full((size, 3), 0.2))", "its probs must be from 0 to 1, in each row 1 together"),
        ("Answers(np.full(size, 2), np.array([[0.5, 0.5, np.nan]] * size))", "its probs must be from 0 to 1"),
        ("Answers(np.full(size, 2), np.full((size, 3), np.nan))", None),
        ("Answers(np.full(size, 2), np.array([[-1e-17, 0, np.nextafter(1, 2)]] * size))", None),
    ],
)
def test_probabilities_that_are_none_are_refused(said: str, refused: str | None, run: Path, tmp_path: Path):
    code = own_code(tmp_path, "2")
    lines = code.read_text().splitlines()
    code.write_text("\n".join([*lines[:-1], f"    return {said}"]))
    if refused is None:
        assert evaluate_own(run, code).details["document_accuracy"] > 0
        return
    with pytest.raises(HierdocError) as error:
        evaluate_own(run, code)
    assert str(error.value).startswith(f"{code}: ") and refused in str(error.value)


def test_code_without_an_answer_leaves_the_earlier_evaluation_alone(run: Path, tmp_path: Path):
    stage = evaluate_own(run, own_code(tmp_path, "1"))
    code = tmp_path / "own.py"
    code.write_text("def reply(run, split, seed): ...\n")
    with pytest.raises(HierdocError, match="own.py: must have a function `answer`, but has none"):
        evaluate_own(run, code, overwrite=True)
    assert (stage.path / "metrics.json").exists()


def test_a_head_and_a_baseline_are_not_measured_at_once(run: Path):
    with pytest.raises(HierdocError, match="`head` lstm and `baseline` average can't both be measured at once"):
        evaluate_head(run, head="lstm", baseline="average")
