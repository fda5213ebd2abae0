"""The search for a head."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from hierdoc import HierdocError, train_head, train_sequence_head, tune, tune_heads
from hierdoc.learning import search
from hierdoc.stages import files
from hierdoc.stages.finished import TIMINGS


def tuned(tiny_run: Path, place: Path, **arguments: Any) -> Path:
    if not place.exists():
        place.mkdir()
        for stage in ("chunk", "finetune", "embed"):
            shutil.copytree(tiny_run / stage, place / stage)
    tune_heads(place, **{"trials": 3, "heads": "mean_pool,max_pool", "epochs": 2, "deterministic": True, **arguments})
    return place / "tune"


def stopped(tiny_run: Path, place: Path, after: int) -> Path:
    """Interrupt a search after so many trials, before the next one is written down."""
    plain, trained = tune.shutil.rmtree, []

    def stop(path: Path) -> None:
        trained.append(path.name)
        if len(trained) == after + 1:
            raise KeyboardInterrupt
        plain(path)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tune.shutil, "rmtree", stop)
        with pytest.raises(KeyboardInterrupt):
            tuned(tiny_run, place)
    return place / "tune"


@pytest.fixture(scope="module")
def whole(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search without an interruption. Do not write into it."""
    return tuned(tiny_run, tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture(scope="module")
def stopped_after_two(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a search that was interrupted after two trials. Do not write into it."""
    return stopped(tiny_run, tmp_path_factory.mktemp("stopped") / "run", 2).parent


def trials_of(stage: Path) -> list[dict[str, Any]]:
    return files.read_object(stage / tune.TRIALS)["trials"]


def test_every_trial_is_kept_and_the_best_on_dev_is_named_with_the_command_that_makes_it(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = tmp_path / "a run"
    shutil.copytree(tiny_run, run, ignore=shutil.ignore_patterns("heads", "evaluate"))
    command = [str(run), "--trials", "4", "--heads", "mean_pool,lstm", "--epochs", "2", "--seed", "3"]
    assert tune.main(command) == 0
    trials = trials_of(run / "tune")
    assert len(trials) == 4 and {trial["head"] for trial in trials} <= {"mean_pool", "lstm"}
    assert len({trial["learning_rate"] for trial in trials}) == 4
    for trial in trials:
        assert 3e-4 <= trial["learning_rate"] <= 3e-3 and trial["input_dropout"] in (0.0, 0.25, 0.5)
    best = max(trials, key=lambda trial: (trial["dev_accuracy"], -trial["dev_loss"]))
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{run}/tune: dev accuracy {best['dev_accuracy']:.4f}, the best of 4 trials"
    assert said[1] == (
        f"python -m hierdoc.train_head '{run}' --head {best['head']} --learning-rate {best['learning_rate']} "
        f"--input-dropout {best['input_dropout']} --inputs vectors --epochs 2 --seed 3"
    )
    assert not list((run / "tune").glob("trial-*"))
    for further in ([], ["--overwrite"]):  # the second time because the first has made such a head
        assert tune.main(command) == 0
        words = shlex.split(capsys.readouterr().out.splitlines()[1])
        assert (
            words[:3] == ["python", "-m", "hierdoc.train_head"]
            and words[3:][len(words[3:]) - len(further) :] == further
        )
        assert train_head.main(words[3:]) == 0
        capsys.readouterr()
    assert train_head.main([*words[3:], "--words", *(["--overwrite"] if "--overwrite" not in words else [])]) == 0
    assert tune.main(command) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(" --words --overwrite")


def test_the_head_that_is_made_of_the_best_trial_answers_as_the_trial_did(tiny_run: Path, tmp_path: Path):
    stage = tuned(tiny_run, tmp_path / "run")
    best = max(trials_of(stage), key=lambda trial: (trial["dev_accuracy"], -trial["dev_loss"]))
    arguments = {name: best[name] for name in ("head", "learning_rate", "input_dropout")}
    made = train_sequence_head(tmp_path / "run", epochs=2, deterministic=True, **arguments)
    assert made.details["dev_accuracy"] == best["dev_accuracy"] and made.details["dev_loss"] == best["dev_loss"]


@pytest.mark.parametrize("after", [0, 2])
def test_a_search_that_goes_on_comes_to_the_same_trials(
    tiny_run: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], after: int
):
    stage = stopped(tiny_run, tmp_path / "run", after)
    assert len(trials_of(stage)) == after if after else not (stage / tune.TRIALS).exists()
    capsys.readouterr()
    assert tuned(tiny_run, tmp_path / "run") == stage
    assert (stage / tune.TRIALS).read_bytes() == (whole / tune.TRIALS).read_bytes()
    assert files.read_object(stage / TIMINGS)["num_processes"] == 1 + bool(after)
    again = [line.split(":")[0] for line in capsys.readouterr().err.splitlines() if line.startswith("trial ")]
    assert again == [f"trial {number}/3" for number in range(after + 1, 4)]  # earlier ones are not trained again


@pytest.mark.parametrize(
    ("kept", "trained"),
    [
        ("not JSON", 3),
        ("{}", 3),
        ('{"trials": [{"head": "max_pool"}]}', 3),
        (lambda trials: [trials[0], {**trials[1], "learning_rate": 0.5}], 2),
        (lambda trials: [trials[0], {**trials[1], "dev_accuracy": None}], 2),
    ],
)
def test_what_an_interrupted_search_has_kept_is_not_believed_where_it_is_not_what_is_drawn(
    tiny_run: Path,
    whole: Path,
    stopped_after_two: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kept: Any,
    trained: int,
):
    shutil.copytree(stopped_after_two, tmp_path / "run")
    path = tmp_path / "run/tune" / tune.TRIALS
    path.write_text(kept if isinstance(kept, str) else json.dumps({"trials": kept(trials_of(path.parent))}))
    capsys.readouterr()
    stage = tuned(tiny_run, tmp_path / "run")
    assert trials_of(stage) == trials_of(whole)
    assert sum(line.startswith("trial ") for line in capsys.readouterr().err.splitlines()) == trained


def test_what_dev_finds_out_decides_what_is_tried_next():
    """After the first trials, drawn at random, those near good ones are more frequent than at random."""

    def measure(number: int, drawn: dict[str, Any]) -> dict[str, float]:
        return {"dev_accuracy": float(drawn["head"] == "lstm"), "dev_loss": drawn["learning_rate"]}

    kept: list[int] = []
    heads = ["gru", "lstm", "attention", "mean_pool"]
    tried: list[dict[str, Any]] = []
    best = search.search(
        heads, 40, 0, [], measure, lambda done: (kept.append(len(done)), tried.__setitem__(slice(None), done))
    )
    assert kept == list(range(1, 41))
    first, later = tried[: search.FIRST_TRIALS], tried[search.FIRST_TRIALS :]
    assert sum(trial["head"] == "lstm" for trial in first) <= 5
    assert sum(trial["head"] == "lstm" for trial in later) >= 15  # 7.5 of 30 would be chance
    assert best["head"] == "lstm"  # and of those that answer as well, the one with the lowest loss
    assert best["learning_rate"] == min(trial["learning_rate"] for trial in tried if trial["head"] == "lstm")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"heads": "lstm,perceptron"}, "`head` must be one of attention, .*, but is 'perceptron' instead"),
        ({"heads": ""}, "`head` must be one of .*, but is '' instead"),
        ({"heads": "lstm, lstm"}, "`heads` names lstm twice"),
        ({"trials": 0}, "`trials` must be at least 1, but is 0 instead"),
        ({"epochs": 0}, "`epochs` must be at least 1, but is 0 instead"),
        ({"inputs": "words"}, "`inputs` must be one of vectors, probs, both, but is 'words' instead"),
        ({"seed": -1}, "`seed` must be between 0 and"),
    ],
)
def test_a_wrong_argument_is_named_before_anything_is_made(
    tiny_run: Path, tmp_path: Path, arguments: dict[str, Any], message: str
):
    with pytest.raises(HierdocError, match=message):
        tuned(tiny_run, tmp_path / "run", **arguments)
    assert not (tmp_path / "run/tune").exists()


def test_without_optuna_it_says_what_to_install(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from hierdoc import engines

    monkeypatch.setattr(engines, "is_installed", lambda name: name != "optuna")
    with pytest.raises(HierdocError, match="tune needs the package optuna, which is not installed; pip install optuna"):
        tuned(tiny_run, tmp_path / "run")
