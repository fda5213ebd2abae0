"""What a stage was made by: versions, the commit, the code; and the memory that it took."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import resource
import subprocess
from pathlib import Path

from hierdoc.stages.files import sha256_of

VERSIONS_OF = (
    "hierdoc",
    "tensorflow",
    "tf-keras",
    "bert-for-tf2",
    "openvino",
    "onnx",
    "onnxruntime",
    "tokenizers",
    "numpy",
    "pyarrow",
    "scikit-learn",
    "optuna",
)

NOT_LOOKED_AT = (":(exclude)experiments/*/results/*", ":(exclude)experiments/*/report.*")


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide what a stage holds."""
    versions = {"python": platform.python_version()}
    for name in VERSIONS_OF:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def versions_and_commit() -> dict[str, str]:
    """Return the versions and, in a git checkout, its commit (see `commit_of`)."""
    versions = package_versions()
    root = Path(__file__).parents[2]
    if (root / ".git").exists():
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            versions["commit"] = commit_of(root)
    return versions


def commit_of(checkout: Path) -> str:
    """Return the commit of a git checkout, with "+changes" where its files differ from it.

    What experiments write is not looked at: the first of an experiment's results would mark those after it.

    Raises:
        OSError, subprocess.CalledProcessError: there is no git, or no commit.
    """
    commit = _git(checkout, "rev-parse", "HEAD")
    changed = _git(checkout, "status", "--porcelain", "--untracked-files=no", "--", ".", *NOT_LOOKED_AT)
    return commit + ("+changes" if changed else "")


def _git(checkout: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(checkout), *words], capture_output=True, text=True, check=True
    ).stdout.strip()


def code_sha256() -> str:
    """Return one hash of the package's own code, in hex."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0{sha256_of(path)}\n".encode())
    return digest.hexdigest()


def cpu_seconds() -> float:
    """Return the seconds that processors have worked for this process so far, all of its threads together."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def num_cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0))


def peak_memory_mib() -> float:
    """Return the most memory this process has held so far, in MiB.

    As Linux' /proc says it: getrusage begins with what the process held that started this one.
    """
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
