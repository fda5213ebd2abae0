"""Small stages for tests, and what is said when one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hierdoc.errors import HierdocError
from hierdoc.stages.finished import FinishedStage
from hierdoc.stages.store import OpenStage, begin

PARAMETERS = {"chunk_size": 200, "overlap": 0, "columns": {"text": "text", "id": None}, "data": ["x", "y"]}


def make(
    run: Path, name: str = "chunk", content: bytes = b"abc", parents: dict[str, FinishedStage] | None = None, **changes
) -> FinishedStage:
    """A finished stage with two files."""
    overwrite = changes.pop("overwrite", False)
    stage = begin(run, name, {**PARAMETERS, **changes}, parents or {}, overwrite)
    assert isinstance(stage, OpenStage)
    (stage.path / "a-00000.parquet").write_bytes(content)
    (stage.path / "b.json").write_bytes(b"{}")
    return stage.finish({"labels": ["é", "b"]}, {"chunks_per_second": 3.5})


def refusal(function, *arguments, **named) -> str:
    """The one line with which a call is refused."""
    with pytest.raises(HierdocError) as error:
        function(*arguments, **named)
    assert "\n" not in str(error.value)
    return str(error.value)
