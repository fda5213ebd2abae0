"""A report's sections as Markdown and as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hierdoc.reporting.sections import Section, Table


def markdown(title: str, question: str, sections: Sequence[Section]) -> str:
    """Return the report as Markdown: all but the figures."""
    lines = [f"# {_plain(title)}", "", _plain(question), ""]
    for section in sections:
        if not (section.paragraphs or section.tables):
            continue  # a figure alone, which the page has
        lines += [f"{'#' * section.level} {_plain(section.heading)}", ""]
        for paragraph in section.paragraphs:
            lines += [_plain(paragraph), ""]
        for table in section.tables:
            lines += [*markdown_table(table), ""]
        for note in section.notes:
            lines += [_plain(note), ""]
    return "\n".join(lines).rstrip() + "\n"


def html(title: str, question: str, sections: Sequence[Section]) -> str:
    """Return the report as one page; all text is escaped."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters.update(cell=_shown, numeric=_numeric_columns)
    template = environment.from_string((Path(__file__).parent / "report.html").read_text(encoding="utf-8"))
    return template.render(title=title, question=question, sections=sections)


def markdown_table(table: Table) -> list[str]:
    """Return a table's lines in Markdown."""
    lines = [_row(table.header), _row(["---:" if number else "---" for number in _numeric_columns(table)])]
    return lines + [_row([_shown(cell) for cell in row]) for row in table.rows]


def _numeric_columns(table: Table) -> list[bool]:
    """Return, for each column, whether it holds numbers; the first names the rows."""
    columns = range(1, len(table.header))
    return [False, *(all(_is_number(row[at]) for row in table.rows) for at in columns)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_plain(cell) for cell in cells)} |"


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is, in one line."""
    one_line = " ".join(text.split())
    for char in "\\`*_|<>[]":
        one_line = one_line.replace(char, f"\\{char}")
    return one_line


def _shown(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:.3f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def _is_number(cell: Any) -> bool:
    text = _shown(cell)
    return bool(text) and text[0] in "0123456789+-<" or text == ""
