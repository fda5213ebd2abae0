"""config.yaml: what it may say, and what is said of what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from hierdoc.comparison.config import read_config
from hierdoc.comparison.runnable import check_config, check_values
from hierdoc.errors import HierdocError

GOOD = """
question: Which is
  better?
baseline: words
data:
  letters:
    files: [a.csv, b.csv]
    splits: [split.csv]
    chunk: {id_column: id, chunk_size: 100}
  mail:
    files: [mail.csv]
    splits: [split.csv]
    seeds: [3, 4]
arms:
  lstm: {chunk: {chunk_size: 200}, head: {epochs: 5}}
  words: {answers: tfidf_svm}
  average:
"""
SETTABLE = {
    "chunk": {"id_column": str, "chunk_size": int},
    "finetune": {"learning_rate": float | None},
    "embed": {},
    "head": {"epochs": int, "words": bool},
}


def check_rate(learning_rate: float | None = None) -> None:
    if learning_rate is not None and learning_rate > 1:
        raise HierdocError(f"`learning_rate` is {learning_rate}")


def read(folder: Path, text: str = GOOD):
    (folder / "split.csv").touch()
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    experiment = read_config(folder)
    check_config(experiment, {"lstm"}, {"average", "tfidf_svm"}, SETTABLE)
    for dataset in experiment.datasets:
        check_values(experiment, dataset, experiment.arms, {"finetune": check_rate})
    return experiment


def test_a_config_is_read_in_its_order(tmp_path: Path):
    found = read(tmp_path)
    assert (found.question, found.baseline) == ("Which is better?", "words")
    assert [arm.name for arm in found.arms] == ["lstm", "words", "average"]
    assert [arm.answers for arm in found.arms] == ["lstm", "tfidf_svm", "average"]
    letters, mail = found.datasets
    assert letters.files == ("a.csv", "b.csv") and letters.splits == (tmp_path / "split.csv",)
    assert letters.seeds == (0,) and mail.seeds == (3, 4)


def test_an_arms_arguments_go_before_the_datasets(tmp_path: Path):
    found = read(tmp_path)
    lstm, words, _ = found.arms
    letters, mail = found.datasets
    assert lstm.arguments(letters, "chunk") == {"id_column": "id", "chunk_size": 200}
    assert words.arguments(letters, "chunk") == {"id_column": "id", "chunk_size": 100}
    assert lstm.arguments(mail, "chunk") == {"chunk_size": 200} and words.arguments(mail, "head") == {}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (GOOD, "", "the file must be a mapping, but is nothing instead"),
        (GOOD, "- a", "the file must be a mapping, but is list instead"),
        ("question:", "question: [", "is not YAML"),
        ("baseline: words\n", "", "the file must have a key `baseline`"),
        ("baseline: words", "baseline: svm", "`baseline` must be one of the arms, but is 'svm' instead"),
        (
            "baseline: words",
            "pairs: [[words, svm]]\nbaseline: words",
            "`pairs` must be lists of two different arms, but has ['words', 'svm']",
        ),
        (
            "baseline: words",
            "pairs: [[words, words]]\nbaseline: words",
            "`pairs` must be lists of two different arms, but has ['words', 'words']",
        ),
        (
            "baseline: words",
            "pairs: [words]\nbaseline: words",
            "`pairs` must be lists of two different arms, but has 'words'",
        ),
        (
            "baseline: words",
            "pairs: [[words]]\nbaseline: words",
            "`pairs` must be lists of two different arms, but has ['words']",
        ),
        ("baseline: words", "baseline: 7", "`baseline` of the file must be text, but is int instead"),
        ("seeds: [3, 4]", "clusters: '('", "`clusters` of dataset 'mail' must be a pattern: missing ), unterminated"),
        ("baseline:", "seeds: [0, 0]\nbaseline:", "`seeds` must be distinct whole numbers, but is [0, 0] instead"),
        ("seeds: [3, 4]", "seeds: [x]", "`seeds` of dataset 'mail' must be distinct whole numbers, but is ['x']"),
        ("seeds: [3, 4]", "seed: 3", "dataset 'mail' has a key 'seed'; it may have files, splits, chunk"),
        ("files: [mail.csv]", "files: []", "`files` of dataset 'mail' must be file names, but is [] instead"),
        ("files: [mail.csv]", "files: mail.csv", "`files` of dataset 'mail' must be a list, but is str instead"),
        (
            "  mail:",
            "  ma il:",
            "the name of a dataset must be letters, digits, _, + and - after a letter or a digit, but is 'ma il' instead",
        ),
        (
            "  average:",
            "  ../up:",
            "the name of an arm must be letters, digits, _, + and - after a letter or a digit, but is '../up' instead",
        ),
        (
            "  average:",
            "  mean:",
            "by one of average, lstm, tfidf_svm, or by a .py file of the experiment, but is by 'mean'",
        ),
        ("epochs: 5", "epoch: 5", "`head` of arm 'lstm' has 'epoch'; it may have epochs, words"),
        ("epochs: 5", "epochs: 5.5", "'epochs' in `head` of arm 'lstm' must be a whole number, but is 5.5 instead"),
        ("epochs: 5", "epochs: true", "'epochs' in `head` of arm 'lstm' must be a whole number, but is True instead"),
        ("epochs: 5", 'words: "no"', "'words' in `head` of arm 'lstm' must be true or false, but is 'no' instead"),
        ("chunk_size: 100", "chunk_size: 2e2", "of dataset 'letters' must be a whole number, but is '2e2' instead"),
        ("id_column: id", "id_column: 7", "'id_column' in `chunk` of dataset 'letters' must be text, but is 7 instead"),
        (
            "head: {epochs: 5}",
            "finetune: {learning_rate: fast}",
            "must be a number such as 0.0002 or null, but is 'fast'",
        ),
        (
            "average:",
            "average: {head: {epochs: 5}}",
            "arm 'average' has `head` arguments, but is not answered by a head",
        ),
        ("tfidf_svm}", "tfidf_svm, finetune: {}}", "arm 'words' has `finetune` arguments, but reads words only"),
        ("  average:", "  average:\n  average:", "is not YAML: 'average' is there twice in"),
        ("[split.csv]", "[split.csv, b/split.csv]", "`splits` of dataset 'letters' must be files of different names"),
        ("id_column: id", "id: id", "`chunk` of dataset 'letters' has 'id'; it may have chunk_size, id_column"),
        ("chunk: {chunk_size: 200}", "chunk: 200", "`chunk` of arm 'lstm' must be a mapping, but is int instead"),
        (
            "head: {epochs: 5}",
            "finetune: {learning_rate: 5.0}",
            "config.yaml: `finetune` of arm 'lstm' on dataset 'letters': `learning_rate` is 5.0",
        ),
        ("baseline: words", "baseline: 2020-13-45", "is not YAML: month must be in 1..12"),
        ("baseline: words", "[a]: b\nbaseline: words", "is not YAML"),
        ("splits: [split.csv]", "splits: [none.csv]", "none.csv: this split file of dataset 'letters' does not exist"),
    ],
)
def test_a_wrong_config_is_told_in_one_line(before: str, after: str, said: str, tmp_path: Path):
    assert before in GOOD
    with pytest.raises(HierdocError) as refused:
        read(tmp_path, GOOD.replace(before, after, 1))
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_an_arm_may_be_answered_by_a_file_of_the_folder(tmp_path: Path):
    own = GOOD + "  mine: {answers: mine.py, own: {any: thing}}\n"
    with pytest.raises(HierdocError, match=r"mine.py: this code of arm 'mine' does not exist"):
        read(tmp_path, own)
    (tmp_path / "mine.py").write_text("from elsewhere import answer", encoding="utf-8")
    found = read(tmp_path, own)
    assert [arm.is_own_code for arm in found.arms] == [False, False, False, True]
    assert found.arms[3].arguments(found.datasets[0], "own") == {"any": "thing"}
    with pytest.raises(HierdocError, match="arm 'words' has `own` arguments, but is not answered by a .py file"):
        read(tmp_path, GOOD.replace("answers: tfidf_svm", "answers: tfidf_svm, own: {a: 1}"))
    with pytest.raises(HierdocError, match="dataset 'mail' has a key 'own'"):
        read(tmp_path, GOOD.replace("seeds: [3, 4]", "own: {}"))


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("{way: 1}", None),
        ("{way: 1, k: 2, deep: 3}", None),
        ("{way: 1, wide: 2}", "`own` of arm 'mine' has 'wide'; mine.py takes way, deep, k"),
        ("{deep: 1}", "`own` of arm 'mine' must have 'way', which mine.py takes"),
    ],
)
def test_what_own_code_takes_is_known_before_it_runs(own: str, said: str | None, tmp_path: Path):
    code = "raise RuntimeError\ndef answer(run, split, seed, way, deep=1, *, k=2):\n    pass\n"
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    config = f"{GOOD}  mine: {{answers: mine.py, own: {own}}}\n"
    if said is None:
        assert read(tmp_path, config).arms[3].name == "mine"
    else:
        with pytest.raises(HierdocError, match=said):
            read(tmp_path, config)


def test_own_code_may_take_anything_and_must_be_python(tmp_path: Path):
    config = f"{GOOD}  mine: {{answers: mine.py, own: {{any: thing}}}}\n"
    (tmp_path / "mine.py").write_text("def answer(run, split, seed, **all): pass", encoding="utf-8")
    assert read(tmp_path, config).arms[3].name == "mine"
    (tmp_path / "mine.py").write_text("def answer(", encoding="utf-8")
    with pytest.raises(HierdocError, match="mine.py: is not Python"):
        read(tmp_path, config)


def test_a_folder_without_a_config_is_told(tmp_path: Path):
    with pytest.raises(HierdocError, match="config.yaml: does not exist; an experiment is a folder with a config.yaml"):
        read_config(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(HierdocError, match="does not exist"):
        read_config(tmp_path / "file")
