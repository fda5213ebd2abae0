"""An experiment from its config.yaml to its report, on a ten-word world."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import tiny_rows, write_csv

from hierdoc import HierdocError, chunk_documents, experiment, run_experiment, write_report
from hierdoc.comparison import apart
from hierdoc.corpus.split_files import text_sha256

CONFIG = """
question: Which way of reading is best
  in a ten-word world?
baseline: average
seeds: [0, 1]
data:
  tiny:
    files: [tiny.csv]
    splits: [fold-1.csv, fold-2.csv]
    chunk: {{id_column: id, encoder: "{encoder}", chunk_size: 10}}
    finetune: {{epochs: 0, precision: float32}}
    embed: {{precision: float32}}
arms:
  mean_pool: {{head: {{epochs: 2}}}}
  slow: {{answers: mean_pool, head: {{epochs: 1, learning_rate: 0.0001}}}}
  average:
  tfidf_svm:
"""

OWN_CODE = """
from hierdoc.evaluation.baselines import Answers, average
from hierdoc.sequences.reading import read_split
from hierdoc.stages.finished import read_stage

def answer(run, split, seed, times=1):
    assert seed in (0, 1) and times in (1, 2)
    documents = read_split(read_stage(run, "chunk"), read_stage(run, "embed"), split).documents
    probs = average(documents)
    return Answers(probs.argmax(axis=1), probs, {"times": times})
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: str) -> Path:
    """An experiment with two folds, run and reported on. Do not write into it."""
    place = tmp_path_factory.mktemp("experiments")
    folder = place / "001-tiny"
    folder.mkdir()
    rows = tiny_rows()
    write_csv(place / "tiny.csv", [{key: row[key] for key in ("id", "text", "label")} for row in rows])
    for number in (1, 2):
        with (folder / f"fold-{number}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["doc_id", "split", "sha256"])
            for at, row in enumerate(rows):
                split = "test" if at % 2 == number - 1 else "dev" if at % 8 in (2, 5) else "train"
                writer.writerow([row["id"], split, text_sha256(row["text"])])
    (folder / "config.yaml").write_text(CONFIG.format(encoder=tiny_encoder), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apart, "call", lambda function, **arguments: function(**arguments))
        run_experiment(folder, place, place / "runs")
    write_report(folder)
    return folder


@pytest.fixture
def copy(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same experiment to change."""
    monkeypatch.setattr(apart, "call", lambda function, **arguments: function(**arguments))
    shutil.copytree(folder.parent, tmp_path / "place", symlinks=True)
    return tmp_path / "place" / folder.name


def result(folder: Path, name: str) -> dict:
    return json.loads((folder / "results" / f"{name}.json").read_text())


def test_there_is_a_result_for_each_arm_and_seed_and_words_have_no_seed(folder: Path):
    names = sorted(path.name for path in (folder / "results").iterdir() if path.suffix == ".json")
    wanted = [f"tiny.{arm}.seed-{seed}.json" for arm in ("average", "mean_pool", "slow") for seed in (0, 1)]
    assert names == sorted([*wanted, "tiny.tfidf_svm.seed-0.json", "selection.json"])


def test_the_folds_test_documents_are_pooled(folder: Path):
    facts = result(folder, "tiny.mean_pool.seed-0")
    table = pq.read_table(folder / "results/tiny.mean_pool.seed-0.parquet")
    truth = {row["id"]: row["label"] for row in tiny_rows()}
    assert sorted(table["doc_id"].to_pylist()) == sorted(truth)
    assert table["true_label"].to_pylist() == [truth[doc_id] for doc_id in table["doc_id"].to_pylist()]
    assert table["part"].to_pylist() == [0] * 20 + [1] * 20
    right = [row["label"] == row["true_label"] for row in table.to_pylist()]
    assert facts["metrics"]["document_accuracy"] == np.mean(right)
    runs = folder.parent / "runs/tiny"
    for number in (1, 2):
        found = [
            json.loads(path.read_text())["document_accuracy"]
            for path in runs.glob(f"fold-{number}/mean_pool-*/evaluate/mean_pool/metrics.json")
        ]
        assert np.isclose(found, np.mean(right[20 * number - 20 : 20 * number])).any()


@pytest.mark.parametrize(
    ("commit", "is_told"), [({"commit": "abc+changes"}, True), ({"commit": "abc"}, False), ({}, False)]
)
def test_code_that_is_not_committed_is_warned_of_before_anything_is_trained(
    commit: dict, is_told: bool, copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setattr(experiment, "versions_and_commit", lambda: commit)
    run_experiment(copy, copy.parent, copy.parent / "runs")
    assert capsys.readouterr().err.startswith("warning: the code differs from its last commit") is is_told


def test_what_arms_share_is_made_once(folder: Path):
    for fold in (folder.parent / "runs/tiny").iterdir():
        made = [path.parent.parent for path in fold.glob("*/*/manifest.json") if not path.parent.is_symlink()]
        names = sorted(path.name.rsplit("-", 1)[0] for path in made)
        assert names == ["chunk", "encoder", "encoder", "encoder", "encoder"]  # finetune and embed, for two seeds
    fingerprints = {
        result(folder, f"tiny.{arm}.seed-0")["parts"][0]["fingerprints"]["embed"]
        for arm in ("mean_pool", "slow", "average")
    }
    assert len(fingerprints) == 1
    other_seed = result(folder, "tiny.average.seed-1")["parts"][0]["fingerprints"]
    assert other_seed["embed"] not in fingerprints
    assert other_seed["chunk"] == result(folder, "tiny.tfidf_svm.seed-0")["parts"][0]["fingerprints"]["chunk"]


def test_a_second_time_nothing_is_made(copy: Path, capsys: pytest.CaptureFixture[str]):
    before = {path: path.stat().st_mtime_ns for path in copy.parent.rglob("*") if path.is_file()}
    assert experiment.main([str(copy), "--data", str(copy.parent), "--runs", str(copy.parent / "runs")]) == 0
    assert {path: path.stat().st_mtime_ns for path in copy.parent.rglob("*") if path.is_file()} == before
    said = capsys.readouterr()
    assert "7 of 7 results are there" in said.err and "7 results" in said.out


def test_a_missing_result_is_made_again_from_the_same_stages(copy: Path):
    path = copy / "results/tiny.mean_pool.seed-1.json"
    before = result(copy, "tiny.mean_pool.seed-1"), path.with_suffix(".parquet").read_bytes()
    for file in (path, path.with_suffix(".parquet")):
        file.unlink()
    run_experiment(copy, copy.parent, copy.parent / "runs")
    after = result(copy, "tiny.mean_pool.seed-1"), path.with_suffix(".parquet").read_bytes()
    assert before[0].pop("command").endswith("001-tiny --data DATA") and after[0].pop("command")
    assert after == before


def test_data_that_have_changed_are_noticed(copy: Path):
    (copy / "results/tiny.average.seed-0.json").unlink()
    table = copy.parent / "tiny.csv"
    table.write_text(table.read_text().replace("fish", "fishes", 1), encoding="utf-8")
    with pytest.raises(HierdocError, match="already finished with `data_sha256`"):
        run_experiment(copy, copy.parent, copy.parent / "runs")


def test_dev_selects_before_test_is_read(folder: Path, copy: Path, monkeypatch: pytest.MonkeyPatch):
    recorded = json.loads((folder / "results/selection.json").read_text())["tiny"]
    for arm, mean in recorded["mean_dev_accuracy"].items():
        seeds = (0,) if arm == "tfidf_svm" else (0, 1)
        found = [
            part["dev"]["document_accuracy"]
            for seed in seeds
            for part in result(folder, f"tiny.{arm}.seed-{seed}")["parts"]
        ]
        assert mean == pytest.approx(np.mean(found))
    best = max(recorded["mean_dev_accuracy"].values())
    assert recorded["mean_dev_accuracy"][recorded["chosen"]] == best

    shutil.rmtree(copy / "results")
    for path in (copy.parent / "runs").glob("*/*/*/evaluate"):
        shutil.rmtree(path)
    asked = []
    real = experiment._make

    def make(run: Path, stage: str, function, **arguments):
        if stage.startswith("evaluate/"):
            asked.append((stage, (copy / "results/selection.json").exists()))
        real(run, stage, function, **arguments)

    monkeypatch.setattr(experiment, "_make", make)
    run_experiment(copy, copy.parent, copy.parent / "runs")
    assert {stage.endswith("-dev") != selected for stage, selected in asked} == {True} and len(asked) == 28


def test_a_result_of_another_configuration_is_refused_and_not_touched(copy: Path):
    config = copy / "config.yaml"
    config.write_text(config.read_text().replace("epochs: 2", "epochs: 3"), encoding="utf-8")
    with pytest.raises(
        HierdocError, match=r"tiny.mean_pool.seed-0.json: is of another configuration than .*config.yaml"
    ):
        run_experiment(copy, copy.parent, copy.parent / "runs")


def test_an_arm_that_comes_after_test_was_read_is_marked(copy: Path):
    config = copy / "config.yaml"
    config.write_text(config.read_text() + "  vote:\n", encoding="utf-8")
    run_experiment(copy, copy.parent, copy.parent / "runs")
    assert "vote" not in json.loads((copy / "results/selection.json").read_text())["tiny"]["mean_dev_accuracy"]
    assert (copy / "results/tiny.vote.seed-1.json").exists()
    write_report(copy)
    assert "Added or changed after test was read: vote." in (copy / "report.md").read_text()


def test_an_arm_that_is_made_again_with_other_arguments_is_marked(copy: Path):
    config = copy / "config.yaml"
    text = config.read_text()
    config.write_text(text.replace("learning_rate: 0.0001", "learning_rate: 0.0002"), encoding="utf-8")
    assert config.read_text() != text
    with pytest.raises(HierdocError, match="tiny.slow.seed-0.json: is of another configuration"):
        write_report(copy)
    for path in (copy / "results").glob("tiny.slow.*"):
        path.unlink()
    run_experiment(copy, copy.parent, copy.parent / "runs")
    write_report(copy)
    assert "Added or changed after test was read: slow." in (copy / "report.md").read_text()


def test_a_selection_that_is_written_when_test_was_read_says_so(copy: Path):
    assert not json.loads((copy / "results/selection.json").read_text())["tiny"]["test_was_read"]
    shutil.rmtree(copy / "results")  # but not what the stages have answered to test
    run_experiment(copy, copy.parent, copy.parent / "runs")
    assert json.loads((copy / "results/selection.json").read_text())["tiny"]["test_was_read"]
    write_report(copy)
    assert "but test had been read when that was written down" in (copy / "report.md").read_text()


def change_dev_of_the_first_fold(copy: Path, encoder: str) -> None:
    """Let a dev document of fold-1.csv be train's, cut its documents again, and forget the results."""
    split = copy / "fold-1.csv"
    split.write_text(split.read_text().replace(",dev,", ",train,", 1))
    (run,) = (copy.parent / "runs/tiny/fold-1").glob("chunk-*")
    data = str(copy.parent / "tiny.csv")
    chunk_documents(data, run, split=str(split), id_column="id", encoder=encoder, chunk_size=10, overwrite=True)
    for path in (copy / "results").glob("tiny.*"):
        path.unlink()


def test_stages_of_documents_that_were_cut_again_since_make_no_result(copy: Path, tiny_encoder: str):
    change_dev_of_the_first_fold(copy, tiny_encoder)
    with pytest.raises(HierdocError, match=r"fold-1.*: was made from another chunk than the one in .* now"):
        run_experiment(copy, copy.parent, copy.parent / "runs")
    assert not list((copy / "results").glob("tiny.*"))


def test_a_selection_of_other_split_files_is_made_again_and_says_that_test_was_read(copy: Path, tiny_encoder: str):
    before = json.loads((copy / "results/selection.json").read_text())["tiny"]
    change_dev_of_the_first_fold(copy, tiny_encoder)
    for path in (copy.parent / "runs/tiny/fold-1").iterdir():
        if not path.name.startswith("chunk-"):
            shutil.rmtree(path)
    run_experiment(copy, copy.parent, copy.parent / "runs")
    after = json.loads((copy / "results/selection.json").read_text())["tiny"]
    assert not before["test_was_read"] and after["test_was_read"]
    assert before["splits"][0] != after["splits"][0] and before["splits"][1] == after["splits"][1]
    assert after["splits"] == [part["split_sha256"] for part in result(copy, "tiny.mean_pool.seed-0")["parts"]]
    assert after["data_sha256"] == result(copy, "tiny.mean_pool.seed-0")["data_sha256"]


def test_folds_whose_tests_share_a_document_are_refused(copy: Path):
    other = copy / "fold-3.csv"
    shutil.copy(copy / "fold-1.csv", other)
    config = copy / "config.yaml"
    config.write_text(config.read_text().replace("fold-2.csv", "fold-3.csv"), encoding="utf-8")
    with pytest.raises(HierdocError, match=r"fold-3.csv: document '000' is in its test and in that of fold-1.csv"):
        run_experiment(copy, copy.parent, copy.parent / "runs")


def test_an_arm_may_be_own_code_of_the_experiments_folder(copy: Path):
    code = copy / "mine.py"
    code.write_text(OWN_CODE, encoding="utf-8")
    config = copy / "config.yaml"
    config.write_text(f"{config.read_text()}  mine: {{answers: mine.py, own: {{times: 2}}}}\n", encoding="utf-8")
    (copy / "results/selection.json").unlink()
    run_experiment(copy, copy.parent, copy.parent / "runs")
    for seed in (0, 1):
        mine, average = (result(copy, f"tiny.{arm}.seed-{seed}") for arm in ("mine", "average"))
        assert mine["metrics"] == average["metrics"] and mine["configuration"]["own"] == {"times": 2}
        assert mine["parts"][0]["dev"] == average["parts"][0]["dev"]
    selection = json.loads((copy / "results/selection.json").read_text())["tiny"]["mean_dev_accuracy"]
    assert selection["mine"] == selection["average"]
    write_report(copy)
    assert "mine, seed 1, fold-2.csv: dev decided for times 2" in (copy / "report.md").read_text()
    code.write_text(OWN_CODE + "# another\n", encoding="utf-8")
    with pytest.raises(HierdocError, match="tiny.mine.seed-0.json: is of another configuration"):
        run_experiment(copy, copy.parent, copy.parent / "runs")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (lambda text: text.replace("def answer", "def reply"), "mine.py: must have a function `answer`, but has none"),
        (lambda text: text.replace("probs.argmax(axis=1)", "[0]"), "mine.py: gives 1 answers to 5 dev documents"),
    ],
)
def test_what_own_code_must_be_is_told(code, said: str, copy: Path):
    (copy / "mine.py").write_text(code(OWN_CODE), encoding="utf-8")
    config = copy / "config.yaml"
    config.write_text(f"{config.read_text()}  mine: {{answers: mine.py}}\n", encoding="utf-8")
    with pytest.raises(HierdocError, match=said):
        run_experiment(copy, copy.parent, copy.parent / "runs")


def test_texts_are_shown_on_demand_in_pages_of_another_name(copy: Path):
    selection = copy / "results/selection.json"
    selection.write_text(selection.read_text().replace('"chosen": "average"', '"chosen": "mean_pool"'))
    runs = copy.parent / "runs"
    written = write_report(copy, with_text=True, runs=runs)
    assert [path.name for path in written] == ["report-with-text.html", "report-with-text.md"]
    wrong = [
        row
        for row in pq.read_table(copy / "results/tiny.mean_pool.seed-0.parquet").to_pylist()
        if row["label"] != row["true_label"]
    ]
    texts = {row["id"]: row["text"] for row in tiny_rows()}
    shown = max(wrong, key=lambda row: row["probability"])["doc_id"]
    for path in written:
        assert texts[shown][:60] in path.read_text()
    write_report(copy)
    assert "the cat sat" not in (copy / "report.html").read_text() + (copy / "report.md").read_text()
    with pytest.raises(
        HierdocError, match=r"none/tiny/fold-1: holds no chunk stage that tiny.mean_pool.seed-0.json was made"
    ):
        write_report(copy, with_text=True, runs=copy.parent / "none")


def test_what_is_wrong_with_the_selection_or_a_split_file_is_told_before_a_report(copy: Path):
    selection = copy / "results/selection.json"
    selection.write_text('{"tiny": {"chosen": "mean_pool"}}')
    with pytest.raises(HierdocError, match="selection.json: 'tiny' must have a key `configurations`"):
        write_report(copy)
    (copy / "fold-2.csv").unlink()
    with pytest.raises(HierdocError, match="fold-2.csv: this split file of dataset 'tiny' does not exist"):
        write_report(copy)


def test_a_stage_runs_in_a_process_of_its_own(folder: Path, tmp_path: Path):
    """The one test that does not patch it: a words-only arm."""
    config = (folder / "config.yaml").read_text()
    other = tmp_path / "002-words"
    other.mkdir()
    text = (
        config[: config.index("arms:")]
        .replace("baseline: average", "baseline: majority")
        .replace("fold-1.csv, fold-2.csv", str(folder / "fold-1.csv"))
    )
    (other / "config.yaml").write_text(f"{text}arms:\n  majority:\n", encoding="utf-8")
    run_experiment(other, folder.parent, tmp_path / "runs")
    assert (other / "results/tiny.majority.seed-0.json").exists()
    (other / "config.yaml").write_text(f"{text}arms:\n  majority:\n".replace("tiny.csv", "none.csv"), encoding="utf-8")
    shutil.rmtree(tmp_path / "runs")
    (other / "results/tiny.majority.seed-0.json").unlink()
    with pytest.raises(HierdocError, match="none.csv"):  # what goes wrong there is told here
        run_experiment(other, folder.parent, tmp_path / "runs")


def test_folds_that_are_trained_at_once_give_the_same_results(folder: Path, tmp_path: Path):
    """In processes of their own, as it is done."""
    config = (folder / "config.yaml").read_text().replace("baseline: average", "baseline: majority")
    found = []
    for jobs in (1, 2):
        other = tmp_path / str(jobs) / "002-words"
        other.mkdir(parents=True)
        for number in (1, 2):
            shutil.copy(folder / f"fold-{number}.csv", other)
        (other / "config.yaml").write_text(f"{config[: config.index('arms:')]}arms:\n  majority:\n", encoding="utf-8")
        run_experiment(other, folder.parent, tmp_path / str(jobs) / "runs", jobs)
        facts = result(other, "tiny.majority.seed-0")
        found.append(
            (facts["metrics"], facts["predictions"], [part["fingerprints"]["chunk"] for part in facts["parts"]])
        )
        dev = [part["timings"]["evaluate/majority-dev"] for part in facts["parts"]]
        shares = [len(share) for share in apart.shares_of_cores(jobs)] * (3 - jobs)
        assert sorted(timing["num_cores"] for timing in dev) == sorted(shares)
    assert found[0] == found[1]


def test_no_jobs_are_refused(copy: Path, capsys: pytest.CaptureFixture[str]):
    assert experiment.main([str(copy), "--data", str(copy.parent), "--jobs", "0"]) == 2
    assert "`jobs` must be at least 1, but is 0 instead" in capsys.readouterr().err


@pytest.mark.slow
def test_encoders_and_heads_that_are_trained_at_once_are_those_trained_one_by_one(folder: Path, tmp_path: Path):
    other = tmp_path / "003-at-once"
    other.mkdir()
    for number in (1, 2):
        shutil.copy(folder / f"fold-{number}.csv", other)
    config = (folder / "config.yaml").read_text().replace("seeds: [0, 1]", "seeds: [0]")
    arms = "arms:\n  mean_pool: {head: {epochs: 2}}\n  average:\n"
    (other / "config.yaml").write_text(config[: config.index("arms:")] + arms, encoding="utf-8")
    run_experiment(other, folder.parent, tmp_path / "runs", jobs=2)
    for name in ("tiny.mean_pool.seed-0", "tiny.average.seed-0"):
        at_once, one_by_one = result(other, name), result(folder, name)
        assert at_once["metrics"]["confusion_matrix"] == one_by_one["metrics"]["confusion_matrix"]
        for part, before in zip(at_once["parts"], one_by_one["parts"], strict=True):
            assert part["dev"] == before["dev"]
            assert part["timings"]["finetune"]["num_cores"] in {len(share) for share in apart.shares_of_cores(2)}
