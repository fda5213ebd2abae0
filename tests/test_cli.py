"""Every command has the same manners."""

from __future__ import annotations

import argparse
import importlib
import inspect
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hierdoc import __version__, chunk, cli, finetune, run, train_lstm
from hierdoc.cli import COMMANDS, main, make_parser, run_command
from hierdoc.errors import HierdocError, HierdocFailure

ROOT = Path(__file__).parent.parent


def parser_for(function, describe=None) -> argparse.ArgumentParser:
    parser = make_parser("test", "Test.", "python -m hierdoc.test")
    parser.add_argument("--number", type=int, default=1)
    parser.set_defaults(function=function, describe=describe)
    return parser


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (HierdocError("`x` must be 1"), 2, "error: `x` must be 1\n"),
        (HierdocFailure("no network"), 1, "failed: no network\n"),
        (PermissionError(13, "Permission denied", "mail.csv"), 2, "error: mail.csv: Permission denied\n"),
        (NotADirectoryError(20, "Not a directory", "run/chunk"), 2, "error: run/chunk: Not a directory\n"),
        (PermissionError("not yours"), 2, "error: not yours\n"),
        (OSError(28, "No space left on device"), 1, "failed: [Errno 28] No space left on device\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_what_goes_wrong_is_one_line_on_stderr_and_an_exit_code(error: BaseException, code: int, line: str, capsys):
    def function(number: int) -> None:
        raise error

    assert run_command(parser_for(function), []) == code
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == line


def test_an_interrupted_stage_says_how_it_goes_on(capsys):
    def function(number: int, overwrite: bool) -> None:
        raise KeyboardInterrupt

    parser = parser_for(function)
    cli.add_overwrite(parser)
    assert run_command(parser, []) == 130
    assert (
        capsys.readouterr().err == "interrupted; the same command, without --overwrite, goes on from what it has kept\n"
    )


def test_a_mistake_in_the_program_is_not_hidden():
    def function(number: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_command(parser_for(function), [])


def test_a_command_that_succeeds_prints_its_description_last_and_returns_0(capsys):
    assert run_command(parser_for(lambda number: number + 1, lambda result: f"made {result}"), ["--number", "4"]) == 0
    assert capsys.readouterr().out == "made 5\n"
    assert run_command(parser_for(lambda number: number), []) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("terminal", [False, True])
def test_what_is_printed_into_a_file_is_utf8_in_any_locale(terminal: bool, monkeypatch: pytest.MonkeyPatch):
    written = io.BytesIO()
    written.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    assert run_command(parser_for(lambda number: number, lambda result: "café"), []) == 0
    assert written.getvalue() == (b"caf\\xe9\n" if terminal else "café\n".encode())


def test_an_error_while_describing_is_told_too(capsys):
    def describe(result: int) -> str:
        raise HierdocError("gone")

    assert run_command(parser_for(lambda number: number, describe), []) == 2
    assert capsys.readouterr().err == "error: gone\n"


@pytest.mark.parametrize("arguments", [["--numbr", "1"], ["--num", "1"], ["--number", "x"], ["extra"]])
def test_wrong_arguments_exit_with_2(arguments: list[str], capsys):
    with pytest.raises(SystemExit) as exit_:
        run_command(parser_for(lambda number: number), arguments)
    assert exit_.value.code == 2
    assert "python -m hierdoc.test: error:" in capsys.readouterr().err


def test_the_exit_code_reaches_the_shell(tmp_path: Path):
    command = [sys.executable, "-m", "hierdoc.chunk", str(tmp_path / "missing.csv"), str(tmp_path / "run")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr == f"error: {tmp_path / 'missing.csv'}: no such file\n"
    assert not (tmp_path / "run").exists()


def test_hierdoc_without_a_command_lists_them_on_stderr_and_exits_with_2(capsys):
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("usage: hierdoc COMMAND")
    assert all(f"  {name} " in captured.err and text in captured.err for name, text in COMMANDS.items())


@pytest.mark.parametrize("word", ["chnk", "--chunk", "cli", "../chunk", "Chunk", ""])
def test_hierdoc_with_an_unknown_command_names_it_and_exits_with_2(word: str, capsys):
    assert main([word, "--help"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith(f"error: {word!r} is not one of hierdoc's commands\n")
    assert "train_lstm" in captured.err


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_hierdoc_help_is_on_stdout(flag: str, capsys):
    assert main([flag]) == 0
    captured = capsys.readouterr()
    assert captured.err == "" and captured.out.startswith("usage: hierdoc COMMAND")


def test_hierdoc_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"hierdoc {__version__}\n"


def test_hierdoc_hands_the_rest_to_the_command(capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert main(["chunk", str(tmp_path / "missing.csv"), str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'missing.csv'}: no such file\n"
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(sys, "argv", ["hierdoc", "embed", str(tmp_path / "run")])
    assert main() == 2
    assert "make it with: python -m hierdoc." in capsys.readouterr().err


def test_every_commands_help_comes_without_tensorflow_and_soon():
    """All commands in one process, so that Python itself starts once; each in less than 3 seconds."""
    code = """
import contextlib, io, sys, time
from hierdoc.cli import COMMANDS, main
for name in COMMANDS:
    start, text = time.process_time(), io.StringIO()
    with contextlib.redirect_stdout(text):
        try:
            main([name, "--help"])
        except SystemExit as exit_:
            assert exit_.code == 0, name
    assert time.process_time() - start < 3, (name, time.process_time() - start)
    assert f"usage: python -m hierdoc.{name} " in text.getvalue(), name
    loaded = {"tensorflow", "tf_keras", "bert", "sklearn", "pandas"} & set(sys.modules)
    assert not loaded, (name, loaded)
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr


def leaf_parsers(command: str) -> list[argparse.ArgumentParser]:
    """The parser of a command, or those of its subcommands."""
    parser = importlib.import_module(f"hierdoc.{command}").build_parser()
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return list(below[0].choices.values()) if below else [parser]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_a_sentence_an_example_that_parses_and_the_defaults(command: str):
    top = importlib.import_module(f"hierdoc.{command}").build_parser()
    for parser in {top, *leaf_parsers(command)}:
        text = parser.format_help()
        assert parser.description.endswith(".")
        example = re.search(r"^example:\n  (python -m hierdoc\.\S+ .+)$", text, re.MULTILINE)
        assert example, f"{parser.prog} shows no example"
        words = example[1].split()[2:]
        assert words[0] == f"hierdoc.{command}"
        arguments = vars(top.parse_args(words[1:]))
        assert callable(arguments["function"])
    for parser in leaf_parsers(command):
        unfolded = " ".join(parser.format_help().split())
        for action in parser._actions:
            assert action.help, f"{parser.prog} {action.dest} has no help"
            if action.option_strings and action.default not in (None, False, argparse.SUPPRESS):
                assert f"(default: {action.default})" in unfolded, f"{parser.prog} {action.dest}"


def test_every_commands_arguments_are_its_functions_with_the_same_defaults():
    seen = set()
    for command in COMMANDS:
        for parser in leaf_parsers(command):
            function = parser.get_default("function")
            seen.add(function.__name__)
            flags, positionals = {}, []
            for action in parser._actions:
                if isinstance(action, argparse._HelpAction):
                    continue
                if action.required:
                    positionals.append(action.dest)
                else:
                    flags[action.dest] = action.default
            signature = inspect.signature(function).parameters.values()
            assert all(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in signature)
            required = [parameter.name for parameter in signature if parameter.default is parameter.empty]
            defaults = {
                parameter.name: parameter.default for parameter in signature if parameter.default is not parameter.empty
            }
            assert positionals == required, parser.prog
            assert flags == defaults, parser.prog
            assert {name: type(value) for name, value in flags.items()} == {
                name: type(value) for name, value in defaults.items()
            }
    assert {
        "chunk_documents",
        "finetune_encoder",
        "embed_chunks",
        "train_lstm_head",
        "evaluate_head",
        "predict_documents",
        "run_pipeline",
    } <= seen


def test_every_command_file_is_in_the_list_of_commands():
    doors = {
        path.stem for path in (ROOT / "hierdoc").glob("*.py") if "def build_parser" in path.read_text(encoding="utf-8")
    }
    assert doors == set(COMMANDS) == set(cli.COMMANDS)


def test_train_lstm_passes_on_all_that_it_is_told(monkeypatch: pytest.MonkeyPatch):
    told = {name: object() for name in inspect.signature(train_lstm.train_lstm_head).parameters}
    monkeypatch.setattr(train_lstm, "train_sequence_head", lambda **arguments: arguments)
    assert train_lstm.train_lstm_head(**told) == {"head": "lstm", **told}


def test_run_takes_and_passes_on_all_of_chunk():
    of_run = {name: object() for name in inspect.signature(run.run_pipeline).parameters}
    wanted = inspect.signature(chunk.chunk_documents).parameters
    assert cli.arguments_of(chunk.chunk_documents, of_run) == {name: of_run[name] for name in wanted}


def test_run_takes_and_passes_on_all_of_finetune_but_joint_training():
    of_run = {name: object() for name in inspect.signature(run.run_pipeline).parameters}
    others = {"run", "overwrite", "joint", "joint_head", "chunks_at_once"}
    wanted = inspect.signature(finetune.finetune_encoder).parameters.keys() - others
    assert finetune.training_arguments(of_run) == {name: of_run[name] for name in wanted}
