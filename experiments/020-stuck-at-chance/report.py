"""Put the tables of results/*/*.json into README.md, between its lines `<!-- stuck: NAME -->` and `<!-- end -->`.

python experiments/020-stuck-at-chance/report.py            # rewrites them
python experiments/020-stuck-at-chance/report.py --check    # exits with 1 when one of them is not what the JSON says
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
MARKED = re.compile(r"(<!-- stuck: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
CAUSE = "cause"  # the weight of a finding that accuses; others are symptoms and notes
SEEN_OTHERWISE = 0.05  # a shown accuracy that is further from the real one is told beside it

Result = dict[str, Any]


def verdict(result: Result) -> str:
    """Return whether the doctor named a result's cause: "named", "mentioned" (as a symptom or note) or "missed"."""
    weights = {finding["weight"] for finding in result["findings"] if finding["code"] in result["codes"]}
    return "named" if CAUSE in weights else "mentioned" if weights else "missed"


def at_first(result: Result) -> Result:
    """Return a result with what the doctor said when it saw the case for the first time."""
    return {**result, **result.get("first", {})}


def accusations(result: Result) -> list[str]:
    """Return the codes of the findings that accuse."""
    return [finding["code"] for finding in result["findings"] if finding["weight"] == CAUSE]


def group_of(results: list[Result], group: str) -> list[Result]:
    """Return the results of one group of config.yaml, in their order."""
    return [result for result in results if result["group"] == group]


def summary(results: list[Result], config: dict[str, Any]) -> str:
    """Return in words how many were named and accused."""
    lines = []
    for group, what in (("causes", "injected"), ("held_out", "held out"), ("later", "written down later")):
        found = group_of(results, group)
        counts = {word: sum(verdict(result) == word for result in found) for word in ("named", "mentioned", "missed")}
        missed = [title(result) for result in found if verdict(result) == "missed"]
        lines.append(
            f"- Causes that were {what}: {len({result['name'] for result in found})}, in {len(found)} cases. "
            f"{counts['named']} are named, {counts['mentioned']} only mentioned in a symptom or note, "
            f"{counts['missed']} missed{': ' + ', '.join(missed) if missed else ''}. "
            f"At first sight {sum(verdict(at_first(result)) == 'named' for result in found)} were named."
        )
    healthy = group_of(results, "healthy")
    accused = [title(result) for result in healthy if accusations(result)]
    accused_first = sum(bool(accusations(at_first(result))) for result in healthy)
    noted = sum(bool(result["findings"]) and not accusations(result) for result in healthy)
    lines.append(
        f"- Healthy runs: {len(healthy)}. {len(accused)} are accused{': ' + ', '.join(accused) if accused else ''}; "
        f"{noted} have a symptom or a note. At first sight {accused_first} were accused."
    )
    made = commits(result["made_with"].get("commit") for result in results)
    hours = sum(result["seconds"] for result in results) / 3600
    lines.append(
        f"- Made at commit {made} in {hours:.1f} hours, first examined at "
        f"{commits(at_first(result)['examined_at'] for result in results)}, and last at "
        f"{commits(result['examined_at'] for result in results)}."
    )
    return "\n".join(lines) + "\n"


def commits(found: Iterable[str | None]) -> str:
    """Return the commits that results name, each once."""
    names = dict.fromkeys("unknown" if name is None else name[:10] + name[40:] for name in found)
    return " and ".join(names)


def title(result: Result) -> str:
    """Return a result's name for people."""
    strength = f" {result['strength']}" if result["strength"] else ""
    return f"{result['name'].replace('_', ' ')}{strength} ({result['dataset']})"


def cases_table(results: list[Result], config: dict[str, Any], group: str) -> str:
    """Return a row for each cause and strength: accuracy as broken, the findings, accuracy as hierdoc does it."""
    datasets = dataset_names(results)
    each = " / ".join(datasets)
    lines = [
        row("cause", "how", f"accuracy as broken, {each}", "the doctor said", f"as hierdoc does it, {each}"),
        row(*["---"] * 5),
    ]
    for entry in config[group]:
        for strength, changes in enumerate(entry["strengths"], 1):
            found = [result for result in results if (result["name"], result["strength"]) == (entry["name"], strength)]
            if not found:
                continue
            lines.append(
                row(
                    f"**{entry['name'].replace('_', ' ')}**: {entry['about']}" if strength == 1 else "",
                    how(changes),
                    by_dataset(found, datasets, shown),
                    said(found, datasets),
                    by_dataset(found, datasets, lambda result: number(result["hierdoc_accuracy"])),
                )
            )
    return "\n".join(lines) + "\n"


def how(changes: dict[str, Any]) -> str:
    """Return what config.yaml changes, in one line."""
    parts = []
    for kind, values in changes.items():
        for name, value in values.items():
            inner = ", ".join(f"{key} {inner}" for key, inner in value.items()) if isinstance(value, dict) else value
            parts.append(f"{inner}" if kind == "break" else f"{name} {inner}")
    return "; ".join(part for part in parts if part).replace("_", " ")


def shown(result: Result) -> str:
    """Return the accuracy that the person reads, and the real one where it is another."""
    text = number(result["accuracy_shown"])
    otherwise = abs((result["accuracy_shown"] or 0) - result["accuracy"]) > SEEN_OTHERWISE
    return f"{text} (really {number(result['accuracy'])})" if otherwise else text


def said(found: list[Result], datasets: list[str]) -> str:
    """Return the codes found, those that name the cause in bold, and where only some of the data sets have them."""
    where: dict[tuple[str, str, bool], list[str]] = {}
    for result in found:
        for finding in result["findings"]:
            key = (finding["code"], finding["weight"], finding["code"] in result["codes"])
            where.setdefault(key, []).append(result["dataset"])
    parts = []
    for (code, weight, names), places in sorted(where.items(), key=lambda item: (item[0][1] != CAUSE, not item[0][2])):
        text = f"**{code}**" if names and weight == CAUSE else code
        notes = [] if weight == CAUSE else [weight]
        notes += [] if len(set(places)) == len(datasets) else [", ".join(dict.fromkeys(places))]
        parts.append(text + (f" ({'; '.join(notes)})" if notes else ""))
    return ", ".join(parts) or "nothing"


def matrix(results: list[Result], config: dict[str, Any]) -> str:
    """Return in how many of a cause's cases each finding accuses; the columns are numbered, and named below."""
    found = [result for result in results if result["group"] != "healthy"]
    codes = sorted({code for result in results for code in accusations(result)})
    if not codes:
        return "No finding accuses.\n"
    names = list(dict.fromkeys((result["group"], result["name"]) for result in found))
    lines = [row("cause", "cases", *range(1, len(codes) + 1)), row(*["---"] * (len(codes) + 2))]
    for group, name in names:
        cases = [result for result in found if result["name"] == name]
        cells = []
        for code in codes:
            count = sum(code in accusations(result) for result in cases)
            cells.append(f"**{count}**" if count and code in cases[0]["codes"] else str(count or ""))
        of_group = {"held_out": " (held out)", "later": " (later)"}.get(group, "")
        lines.append(row(name.replace("_", " ") + of_group, len(cases), *cells))
    healthy = group_of(results, "healthy")
    counts = [sum(code in accusations(result) for result in healthy) or "" for code in codes]
    lines.append(row("healthy runs", len(healthy), *counts))
    lines += ["", "; ".join(f"{number} {code}" for number, code in enumerate(codes, 1)) + "."]
    return "\n".join(lines) + "\n"


def healthy_table(results: list[Result], config: dict[str, Any]) -> str:
    """Return a row for each healthy run and data set."""
    head = (
        "run",
        "data",
        "documents",
        "classes",
        "chunks right",
        "accuracy",
        "majority class",
        "as hierdoc does it",
        "found",
    )
    lines = [row(*head), row(*["---"] * len(head))]
    for result in group_of(results, "healthy"):
        findings = ", ".join(f"{finding['code']} ({finding['weight']})" for finding in result["findings"])
        lines.append(
            row(
                result["name"].replace("_", " "),
                result["dataset"],
                result["num_documents"]["train"],
                result["num_classes"],
                number(result["chunk_accuracy"]["val"]),
                number(result["accuracy"]),
                number(result["majority_rate"]),
                number(result["hierdoc_accuracy"]),
                findings or "nothing",
            )
        )
    return "\n".join(lines) + "\n"


def not_run_table(results: list[Result], config: dict[str, Any]) -> str:
    """Return what was not run, with the reason."""
    lines = [row("not run", "because"), row("---", "---")]
    return "\n".join([*lines, *(row(entry["name"], entry["reason"]) for entry in config["not_run"])]) + "\n"


TABLES = {
    "summary": summary,
    "causes": lambda results, config: cases_table(results, config, "causes"),
    "held_out": lambda results, config: cases_table(results, config, "held_out"),
    "later": lambda results, config: cases_table(results, config, "later"),
    "matrix": matrix,
    "healthy": healthy_table,
    "not_run": not_run_table,
}


def dataset_names(results: list[Result]) -> list[str]:
    """Return the data sets of the results, in order of their names."""
    return sorted({result["dataset"] for result in results})


def by_dataset(found: list[Result], datasets: list[str], cell: Any) -> str:
    """Return a cell with one entry for each data set."""
    texts = {result["dataset"]: cell(result) for result in found}
    return " / ".join(texts.get(name, "") for name in datasets)


def number(value: float | None) -> str:
    """Return a rate with two digits; what is none stays empty."""
    return "" if value is None else f"{value:.2f}"


def row(*cells: object) -> str:
    """Return one line of a Markdown table."""
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def read_results(folder: Path, config: dict[str, Any]) -> list[Result]:
    """Return every result below a folder, in the order of config.yaml; what it no longer names is left out."""
    names = [entry["name"] for group in ("healthy", "causes", "held_out", "later") for entry in config[group]]
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*/*.json"))]
    found = [result for result in found if result["name"] in names]
    return sorted(found, key=lambda result: (names.index(result["name"]), result["strength"], result["dataset"]))


def rendered(text: str, results: list[Result], config: dict[str, Any]) -> str:
    """Return a README's text with its tables as the results say."""

    def fill(match: re.Match[str]) -> str:
        table = TABLES[match[2]]
        without = "Not run yet.\n" if match[2] != "not_run" and not results else None
        return match[1] + (without or table(results, config)) + match[3]

    return MARKED.sub(fill, text)


def main() -> int:
    """Rewrite or check the README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--results", type=Path, default=HERE / "results", metavar="DIR")
    parser.add_argument("--readme", type=Path, default=HERE / "README.md", metavar="FILE")
    arguments = parser.parse_args()
    config = yaml.safe_load((HERE / "config.yaml").read_text(encoding="utf-8"))
    before = arguments.readme.read_text(encoding="utf-8")
    after = rendered(before, read_results(arguments.results, config), config)
    if arguments.check and before != after:
        print(f"{arguments.readme}: is not what the JSON says; run python {Path(__file__).name}")
        return 1
    if before != after:
        arguments.readme.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
