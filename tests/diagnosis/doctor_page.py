"""Makes the tables of docs/doctor.md from the code: python -m tests.diagnosis.doctor_page"""

from __future__ import annotations

import re
from pathlib import Path

from hierdoc.diagnosis import thresholds
from hierdoc.diagnosis.catalogue import CATALOGUE

PAGE = Path(__file__).parent.parent.parent / "docs" / "doctor.md"


def codes() -> str:
    """A section for each code."""
    sections = [
        f"**{code}**: {entry.looks_at}. *Limit*: {entry.limit}. *Mend*: {entry.mend}"
        for code, entry in CATALOGUE.items()
    ]
    return "\n\n".join(sections)


def limits() -> str:
    """A table for each part of the limits: name, value, reason."""
    lines: list[str] = []
    for line in Path(thresholds.__file__).read_text(encoding="utf-8").splitlines():
        if part := re.fullmatch(r"# (\w.*)", line):
            lines += ["", f"{part[1]}:", "", "| limit | | |", "| --- | --- | --- |"]
        elif row := re.fullmatch(r"([A-Z0-9_]+) = (\S+)  # (.*)", line):
            lines += [] if lines else ["Of every test:", "", "| limit | | |", "| --- | --- | --- |"]
            lines.append(f"| `{row[1]}` | {row[2]} | {row[3]} |")
    return "\n".join(lines)


def with_tables(page: str) -> str:
    """The page with its tables made anew."""
    for name, text in (("codes", codes()), ("limits", limits())):
        page = re.sub(
            rf"<!-- {name} -->\n.*?<!-- end -->",
            lambda _: f"<!-- {name} -->\n{text}\n<!-- end -->",
            page,
            flags=re.DOTALL,
        )
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
