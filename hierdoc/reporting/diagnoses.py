"""What the doctor says, for a terminal of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from hierdoc.reporting.tables import text_table

COLUMNS = 80
LONGEST_NAME = 34  # characters of a model's name and data in the table


def diagnosis_text(diagnosis: dict[str, Any]) -> str:
    """Return a diagnosis (as JSON values, see `hierdoc.diagnosis.diagnosing.as_json`) as text.

    The accuracies, then causes, symptoms and notes, then what could not be looked at.
    """
    parts = [_accuracies(diagnosis["accuracies"])]
    for name, title in (("causes", "Causes"), ("symptoms", "Symptoms"), ("notes", "Notes")):
        findings = diagnosis[name]
        if findings:
            parts.append("\n\n".join([f"{title}:", *(_finding(finding, name) for finding in findings)]))
        elif name == "causes":
            parts.append("No cause found.")
    if diagnosis["not_looked_at"]:
        lines = [_wrapped(line, "- ", "  ") for line in diagnosis["not_looked_at"]]
        parts.append("\n".join(["Not looked at, because it is not recorded:", *lines]))
    return "\n\n".join(parts)


def _accuracies(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return "No accuracy: there are no held-out predictions of one class a document."
    if of_labels := [row for row in rows if "micro_f1" in row]:
        header = ["micro-F1 on held-out data", "micro-F1", "of guessing", "of words"]
        cells = [
            [_cut(f"{row['model']}, {row['data']}"), row["micro_f1"], row["guessing"], row["words"]]
            for row in of_labels
        ]
        others = [row for row in rows if row not in of_labels]
        return "\n\n".join([text_table(header, cells), *([_accuracies(others)] if others else [])])
    header = ["accuracy on held-out data", "accuracy", "95 % from", "to", "documents"]
    table, verdicts = [], []
    for row in rows:
        name = f"{row['model']}, {row['data']}"
        counted = [row["low"], row["high"], row["num_documents"]]
        table.append([_cut(name), row["accuracy"], *("" if cell is None else cell for cell in counted)])
        if "uniform" in row:
            table += [
                [f"  guessing: {what}", row[key], "", "", ""]
                for key, what in (("uniform", "uniform"), ("majority", "train's largest class"), ("class_0", "class 0"))
            ]
            better = row["p_guessing"] < 0.01
            p = f"p = {row['p_guessing']:.1g}"
            verdicts.append(f"{_cut(name)}: {'better than' if better else 'no better than'} guessing ({p})")
    return "\n".join([text_table(header, table), *([""] if verdicts else []), *verdicts])


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"


def _finding(finding: dict[str, Any], part: str) -> str:
    how = f" ({finding['directness']})" if part == "causes" else ""
    lines = [_wrapped(f"{finding['code']}{how}: {finding['title']}", "* ", "  ")]
    lines += [_wrapped(line, "    ", "      ") for line in finding["evidence"]]
    if part == "causes":
        lines.append(_wrapped(finding["mend"], "    mend: ", "      "))
    return "\n".join(lines)


def _wrapped(text: str, first: str, rest: str) -> str:
    return textwrap.fill(
        text, COLUMNS, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
