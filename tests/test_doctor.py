"""python -m hierdoc.doctor on runs and traces: what it prints, what it returns, what it refuses."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import hierdoc
from hierdoc import evaluate_head, train_lstm_head
from hierdoc.diagnosis import reading_runs, thresholds
from hierdoc.diagnosis.catalogue import CATALOGUE
from hierdoc.diagnosis.checks import CHECKS, EXPLAINED_BY, TAKES_LEARNING_AWAY, weigh
from hierdoc.diagnosis.diagnosing import diagnose
from hierdoc.diagnosis.findings import CAUSE, SYMPTOM, Finding
from hierdoc.diagnosis.reading_traces import evidence_of, read_set
from hierdoc.doctor import examine, main
from hierdoc.errors import HierdocError
from hierdoc.stages import files
from hierdoc.tracing.files import Trace, read_trace, write_trace
from tests.conftest import flip_a_bit
from tests.diagnosis.doctor_page import PAGE, with_tables
from tests.diagnosis.faults import FAULTS
from tests.diagnosis.simulation import Simulation, World


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the tiny run, to break."""
    return shutil.copytree(tiny_run, tmp_path / "run")


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """A folder with the two traces of a simulated set whose labels run from 1 to C."""
    fault = FAULTS["labels 1 to C"]
    for name, trace in Simulation(World(), fault.breaks, 1.0).run().items():
        write_trace(tmp_path / "traces" / name, trace)
    return tmp_path / "traces"


def state_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_is_examined_and_nothing_is_written(tiny_run: Path, capsys: pytest.CaptureFixture[str]):
    before = state_of(tiny_run)
    assert main([str(tiny_run)]) == 0
    text = capsys.readouterr().out
    assert state_of(tiny_run) == before
    assert "accuracy on held-out data" in text and "heads/lstm, test" in text and "finetune, single chunks" in text
    assert "guessing: uniform" in text and "guessing: train's largest class" in text and "guessing: class 0" in text
    assert (
        "* leak (proven): " in text and "* near-duplicates (measured): " in text
    )  # the tiny documents are alike, by design


def test_nobody_counts_the_documents_of_an_epochs_reading(run: Path, capsys: pytest.CaptureFixture[str]):
    for path in (run / "finetune").glob("trace*"):
        path.unlink()
    (run / "finetune/manifest.json").rename(run / "finetune/started.json")  # as after an interruption
    shutil.rmtree(run / "embed")
    assert main([str(run), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (row,) = [row for row in found["accuracies"] if row["data"] == "single chunks"]
    assert (row["low"], row["high"], row["num_documents"]) == (None, None, None) and 0 <= row["accuracy"] <= 1
    assert (
        "finetune: its steps, order, learning rate, weights and probe; it left no trace (it is not finished)"
        in (found["not_looked_at"])
    )
    assert main([str(run)]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("finetune, single chunks")]
    assert re.fullmatch(r"finetune, single chunks +0\.\d+ *", line)


def test_of_a_head_with_words_it_is_said_that_the_head_alone_is_examined(run: Path, capsys: pytest.CaptureFixture[str]):
    said = "heads/lstm together with the words it is joined with"
    assert main([str(run)]) == 0 and said not in capsys.readouterr().out
    train_lstm_head(run, words=True, epochs=1, overwrite=True)
    assert main([str(run)]) == 0 and said in capsys.readouterr().out.replace("\n  ", " ")


def test_every_line_fits_into_80_columns(traces: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(traces)]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "Causes:" in text and "* labels-out-of-range (proven): " in text and "they run from 1 to 5" in text
    assert f"mend: {CATALOGUE['labels-out-of-range'].mend[:40]}" in text


def test_machines_get_json(traces: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(traces), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["source", "accuracies", "causes", "symptoms", "notes", "not_looked_at"]
    assert found["causes"][0]["code"] == "labels-out-of-range" and found["causes"][0]["directness"] == "proven"
    assert set(found["causes"][0]) == {"code", "title", "evidence", "mend", "directness"}
    assert {"model", "data", "accuracy", "low", "high", "num_documents"} <= set(found["accuracies"][0])


def test_python_gets_the_same(traces: Path):
    diagnosis = hierdoc.examine(traces)
    assert [finding.code for finding in diagnosis.causes] == ["labels-out-of-range"]
    assert all(finding.weight != "cause" for finding in diagnosis.findings[1:])


def test_one_trace_alone_is_examined_too(traces: Path):
    diagnosis = examine(traces / "head")
    assert [finding.code for finding in diagnosis.causes] == ["labels-out-of-range"]
    assert any("chunk model" in line for line in diagnosis.not_looked_at)


def test_a_run_without_traces_is_examined_without_them(tiny_run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading_runs, "is_trace", lambda folder: False)
    diagnosis = examine(tiny_run)
    assert [finding.code for finding in diagnosis.causes] == ["near-duplicates"]  # hashes of texts are in the traces
    assert diagnosis.accuracies[0]["data"] == "test"
    assert sum("left no trace" in line for line in diagnosis.not_looked_at) == 2


def test_a_stage_of_another_parent_is_named(run: Path):
    hierdoc.finetune_encoder(run, epochs=1, learning_rate=1e-2, precision="float32", seed=1, overwrite=True)
    diagnosis = examine(run)
    assert [finding.code for finding in diagnosis.causes] == ["stages-out-of-date", "leak", "near-duplicates"]
    assert "embed was made from another finetune than the run holds now" in diagnosis.causes[0].evidence


def unfinish(run: Path, losses: list[float]) -> None:
    """Leave finetune as a training leaves it whose loss was no number in the end."""
    trace = read_trace(run / "finetune")
    (run / "finetune" / "manifest.json").unlink()
    files.write_json(run / "finetune" / "started.json", {})
    for later in ("embed", "heads", "evaluate"):
        shutil.rmtree(run / later)
    at_loss = trace.steps.schema.get_field_index("loss")
    steps = trace.steps.slice(0, len(losses))
    import pyarrow as pa

    steps = steps.set_column(at_loss, steps.schema.field(at_loss), pa.array(losses, pa.float32()))
    facts = {**trace.facts, "finished": False, "epochs": [], "weights": None, "probe": None}
    write_trace(run / "finetune", Trace(facts, trace.examples, steps, trace.made, trace.dev.slice(0, 0)))


def test_a_training_that_stopped_at_nan_is_examined_as_far_as_it_went(run: Path):
    unfinish(run, [1.0, 0.9, float("nan")])
    diagnosis = examine(run)
    cause, near_duplicates = diagnosis.causes
    assert near_duplicates.code == "near-duplicates"
    assert cause.code == "loss-not-finite" and cause.evidence == ["finetune: the loss is no number from step 2 of 3 on"]
    assert "what finetune had not done yet: it is not finished" in diagnosis.not_looked_at
    assert "a document model: there is none here" in diagnosis.not_looked_at


def test_a_run_that_has_only_been_cut_is_examined(run: Path):
    for later in ("finetune", "embed", "heads", "evaluate"):
        shutil.rmtree(run / later)
    diagnosis = examine(run)
    assert diagnosis.accuracies == [] and [finding.code for finding in diagnosis.causes] == ["near-duplicates"]


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        (lambda run: shutil.rmtree(run), "must be a run directory or a folder with a trace, but is not there"),
        (lambda run: shutil.rmtree(run / "chunk"), "the doctor needs its documents"),
        (lambda run: flip_a_bit(run / "embed" / "vectors-00000.parquet", "doc_id"), "has changed since it was written"),
        (lambda run: (run / "finetune" / "trace.json").write_text("{"), "trace.json: has changed since it was written"),
        (lambda run: [shutil.rmtree(path) for path in run.iterdir() if path.is_dir()], "holds neither a stage of a run nor a trace"),
    ],
)  # fmt: skip
def test_a_run_that_is_missing_or_damaged_is_refused(breaks, said: str, run: Path, capsys: pytest.CaptureFixture[str]):
    breaks(run)
    assert main([str(run)]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and said in captured.err and len(captured.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("head/trace-steps.parquet", b"PAR1", "trace-steps.parquet: can't be read"),
        ("head/trace.json", b'{"format": 1, "kind": "documents"}', "head: `num_classes` must be a number of outputs"),
        *(
            ("head/trace.json", f'{{"format": 1, "kind": "documents", "num_classes": 2, {facts}}}'.encode(), f"head: {said}")
            for facts, said in (
                ('"num_documents": "80"', "`num_documents` must be a number, but is '80' instead"),
                ('"weights_loaded": true', "`weights_loaded` must be a number, but is True instead"),
                ('"epochs": [1]', "what `epochs` holds must be a dict, but is 1 instead"),
                ('"weights": ["x"]', "what `weights` holds must be a dict, but is 'x' instead"),
                ('"weights": [{"size": 2}]', "the name of a trained array must be a text, but is None instead"),
                ('"weights": [{"name": "w", "size": "2"}]', "`size` of w must be a number, but is '2' instead"),
                ('"probe": {"padding": "0.1"}', "`padding` of `probe` must be a number, but is '0.1' instead"),
            )
        ),
        ("head/trace.json", b'{"format": 1, "kind": "documents", "num_classes": 5, "weights": 3}', "head: `weights` must be a list"),
        ("chunks/trace-examples.parquet", b"", "trace-examples.parquet: can't be read"),
    ],
)  # fmt: skip
def test_a_damaged_trace_is_refused(file: str, content: bytes, said: str, traces: Path):
    (traces / file).write_bytes(content)
    with pytest.raises(HierdocError) as refused:
        examine(traces)
    assert said in str(refused.value)


def test_a_file_is_no_run(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(HierdocError, match="must be a run directory or a folder with a trace, but is a file"):
        examine(tmp_path / "file")


def test_two_heads_are_told_of_together():
    sound, broken = Simulation(World()).run(), Simulation(World(), FAULTS["labels 1 to C"].breaks, 1.0).run()
    diagnosis = diagnose("two", evidence_of({"chunks": sound["chunks"], "one": sound["head"], "other": broken["head"]}))
    assert [row["model"] for row in diagnosis.accuracies] == ["one", "chunks", "other"]
    (cause,) = diagnosis.causes
    assert cause.code == "labels-out-of-range" and all(line.startswith("other:") for line in cause.evidence)


def test_a_trace_is_called_by_its_folders_name_wherever_the_doctor_stands(
    traces: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(traces / "head")
    assert [training.name for training in read_set(Path("."))[0].trainings] == ["head"]


def test_a_training_whose_loss_is_not_the_cross_entropy_tells_what_it_begins_with(run: Path):
    def facts() -> dict:
        return json.loads((run / "heads/lstm/trace.json").read_text())

    assert "uninformed_loss" not in facts()
    train_lstm_head(run, epochs=1, focal_gamma=2.0, overwrite=True)
    learned = {row["label_id"] for row in read_trace(run / "heads/lstm").examples.to_pylist()}
    num = len(learned)  # as many documents of each
    assert facts()["uninformed_loss"] == pytest.approx((1 - 1 / num) ** 2 * np.log(num), rel=1e-5)


def test_what_an_earlier_head_answered_says_nothing_of_todays(run: Path):
    def splits() -> set[str]:
        (evidence,) = reading_runs.read_run(run)
        return set(evidence.documents.held_out.splits)

    evaluate_head(run, split="test")
    assert "test" in splits()
    train_lstm_head(run, epochs=1, seed=7, overwrite=True)
    assert splits() == {"dev"}
    evaluate_head(run, split="test", overwrite=True)
    assert splits() == {"dev", "test"}


@pytest.mark.parametrize(
    "ring",
    [
        ("held-out-vectors-foreign", "loss-not-finite", "learning-rate-too-large"),
        ("weights-did-not-move", "loss-not-finite", "learning-rate-too-large"),
        ("chunks-repeated", "learning-rate-too-large", "held-out-vectors-foreign"),
        ("accuracy-misread", "answers-astray", "loss-of-another-kind"),
    ],
)
def test_causes_that_explain_each_other_in_a_ring_all_remain(ring: tuple[str, ...]):
    found = weigh([Finding(code, code, [], CAUSE) for code in ring])
    assert [finding.weight for finding in found] == [CAUSE] * 3


def test_of_whatever_causes_one_remains_and_what_follows_from_it_does_not():
    rng, codes = np.random.default_rng(0), sorted({*EXPLAINED_BY, *TAKES_LEARNING_AWAY} - {"unexplained"})
    for _ in range(2000):
        drawn = rng.choice(codes, rng.integers(1, 8), replace=False).tolist()
        assert any(finding.weight == CAUSE for finding in weigh([Finding(code, code, [], CAUSE) for code in drawn])), (
            drawn
        )
    codes = ("majority-answered", "learning-rate-too-small", "labels-shuffled")
    assert [f.weight for f in weigh([Finding(code, code, [], CAUSE) for code in codes])] == [SYMPTOM, SYMPTOM, CAUSE]


def test_a_trace_of_almost_nothing_is_examined(tmp_path: Path):
    facts = {"format": 1, "kind": "documents", "num_classes": 2}
    trace = Simulation(World()).run()["head"]
    empty = [table.slice(0, 0) for table in (trace.examples, trace.steps, trace.made, trace.dev)]
    write_trace(tmp_path, Trace(facts, *empty))
    diagnosis = examine(tmp_path)
    assert diagnosis.findings == [] and diagnosis.accuracies == [] and len(diagnosis.not_looked_at) > 5


def test_each_check_has_its_page_and_each_explanation_its_check():
    assert list(CHECKS) and set(CHECKS) == set(CATALOGUE)
    assert TAKES_LEARNING_AWAY <= set(CHECKS)
    assert set(EXPLAINED_BY) | {code for codes in EXPLAINED_BY.values() for code in codes} <= set(CHECKS)


def test_every_limit_is_on_the_doctors_page():
    names = {name for name in vars(thresholds) if name.isupper()}
    assert names <= set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))


def test_the_doctors_page_says_what_the_code_does():
    page = PAGE.read_text(encoding="utf-8")
    assert with_tables(page) == page, "run: python -m tests.diagnosis.doctor_page"
    assert all(f"**{code}**" in page for code in CATALOGUE)
