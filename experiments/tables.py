"""Put the tables of results/*.json and of data_splits/*/split.json into the READMEs, between their lines
`<!-- results: FILE -->`, `<!-- folds: FILES -->` (with a *), `<!-- split: FILE -->`, `<!-- cases: FILE -->` (of a
benchmark), `<!-- summary: FILES -->` (a row for each folder of results), `<!-- headline: FOLDER -->` (of an experiment with
a config.yaml) or `<!-- default: FOLDER,FOLDER -->` (what `run` trains beside others, a row for each dataset, of the last folder
that has it) and `<!-- end -->`.

python experiments/tables.py            # rewrites them
python experiments/tables.py --check    # exits with 1 when one of them is not what the JSON says
"""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
MARKED = re.compile(
    r"(<!-- (results|folds|split|cases|summary|headline|default): (\S+) -->\n).*?(<!-- end -->)", re.DOTALL
)
ROWS = (
    ("document_accuracy", "LSTM over the chunk vectors"),
    ("average_accuracy", "average of the chunks' probabilities"),
    ("first_chunk_accuracy", "first chunk alone"),
    ("chunk_accuracy", "single chunks"),
    ("tfidf_svm_accuracy", "TF-IDF + linear SVM"),
    ("majority_accuracy", "majority class"),
)

BESIDE = {
    "mean_pool-words": "the default: `mean_pool` with words",
    "mean_pool": "without words",
    "lstm": "LSTM",
    "average": "average of the chunks",
    "tfidf_svm": "TF-IDF + linear SVM",
}


def table(result: dict) -> str:
    """Return one result as Markdown: accuracies, then what it cost."""
    metrics, splits = result["metrics"], result["documents_by_split"]
    lines = ["| | accuracy |", "|---|---|"]
    lines += [f"| {name} | {metrics[key]:.3f} |" for key, name in ROWS]
    counts = ", ".join(f"{count:,} {split}" for split, count in splits.items())
    lines.append("")
    if "num_near_duplicates_of_train" in metrics:
        without = "_accuracy_without_near_duplicates"
        lines += [
            f"Without the {metrics['num_near_duplicates_of_train']} documents that are near-duplicates of training "
            f"documents: LSTM {metrics['document' + without]:.3f}, average {metrics['average' + without]:.3f}, "
            f"TF-IDF + linear SVM {metrics['tfidf_svm' + without]:.3f}.",
            "",
        ]
    lines += [
        f"{metrics['num_documents']:,} {metrics['split']} documents of {metrics['num_chunks']:,} chunks ({counts}); "
        f"{_made_by([result])} {_cost([result])}",
        "",
        *_made_with(result["command"]),
    ]
    return "\n".join(lines) + "\n"


def folds_table(results: list[dict]) -> str:
    """Return the results of folds, whose tests share no document, as Markdown: means with their spread, then costs."""
    lines = [
        f"| accuracy | mean of {len(results)} folds | standard deviation | lowest | highest |", "|---|---|---|---|---|"
    ]  # fmt: skip
    for key, name in ROWS:
        values = [result["metrics"][key] for result in results]
        spread = f"{statistics.stdev(values):.3f} | {min(values):.3f} | {max(values):.3f}"
        lines.append(f"| {name} | {statistics.mean(values):.3f} | {spread} |")
    wins = sum(result["metrics"]["document_accuracy"] > result["metrics"]["tfidf_svm_accuracy"] for result in results)
    lines += [
        "",
        f"The LSTM is above TF-IDF + linear SVM in {wins} of the {len(results)} folds. "
        f"{sum(result['metrics']['num_documents'] for result in results):,} test documents in all, each in one fold; "
        f"{_made_by(results)} {_cost(results)}",
        "",
        *_made_with(results[0]["command"]),
    ]
    return "\n".join(lines) + "\n"


def _made_by(results: list[dict]) -> str:
    commits = " and ".join(sorted({result["commit"][:10] + " with changes" * result["dirty"] for result in results}))
    seeds = ", ".join(str(seed) for seed in sorted({result["seed"] for result in results}))
    precision = results[0]["parameters"]["finetune"]["precision"]
    return f"one seed ({seeds}); {precision}; commit {commits}."


def _cost(results: list[dict]) -> str:
    stages = "; ".join(
        f"{name} {statistics.mean(result['timings'][name]['seconds'] for result in results) / 60:.1f} min, "
        f"{max(result['timings'][name]['peak_memory_mib'] for result in results) / 1024:.1f} GiB"
        for name in results[0]["timings"]
    )
    total = statistics.mean(result["seconds_in_all"] for result in results) / 60
    each = ", on average over the folds" if len(results) > 1 else ""
    return (
        f"On a machine of {results[0]['machine']['cores']} cores, wall time{each} and peak memory: {stages}; "
        f"{total:.1f} min in all. Memory is the most that the process had held by the stage's end."
    )


def _made_with(command: str) -> list[str]:
    return ["Made with:", "", *(f"    {line}" for line in command.split("\n"))]


def split_table(facts: dict) -> str:
    """Return the facts of a folder of split files as Markdown: splits, then classes, then how it was made."""
    files = facts["files"]
    first = next(iter(files.values()))
    parts = list(first["documents_by_split"])
    lines = [_row("file", *parts, "dev: like train", "test: like train"), _row(*["---"] * (len(parts) + 3))]
    for name, found in files.items():
        like_train = found["near_duplicates_of_train"]
        counts = [found["documents_by_split"].get(part, 0) for part in parts]
        lines.append(_row(f"`{name}`", *counts, like_train["dev"], like_train["test"]))
    lines += ["", _row("class", "documents", *parts), _row(*["---"] * (len(parts) + 2))]
    for label, count in facts["classes"].items():
        lines.append(_row(label, count, *(first["classes_by_split"][part].get(label, 0) for part in parts)))
    if "groups_by_split" in first:
        lines.append(_row(f"values of `{facts['columns']['group']}`", "", *first["groups_by_split"].values()))
    data = ", ".join(f"{entry['file']} (SHA-256 {entry['sha256'][:16]}…)" for entry in facts["data"])
    lines += [
        "",
        f"{facts['num_documents']:,} documents, {len(facts['classes'])} classes, seed {facts['seed']}, from {data}. "
        f"{facts['documents_in_near_duplicate_groups']:,} documents are near-duplicates, in "
        f"{facts['near_duplicate_groups']:,} groups, of which {facts['conflicting_groups']} have several labels; "
        '"like train" counts those of dev and of test that have one in train. The classes are those of `split.csv`.',
        "",
        "Made with (names without their folders):",
        "",
        f"    {facts['command']}",
    ]
    return "\n".join(lines) + "\n"


def summary_table(paths: list[Path]) -> str:
    """Return all results as Markdown, a row for each folder of them: the means over its files."""
    head = ("data", "test documents", *(name for _, name in ROWS), "minutes")
    lines = [_row(*head), _row(*["---"] * len(head))]
    for folder in sorted({path.parent for path in paths}):
        results = [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.parent == folder]
        cells = [f"{statistics.mean(result['metrics'][key] for result in results):.3f}" for key, _ in ROWS]
        name = results[0]["dataset"] + (f" (mean of {len(results)} folds)" if len(results) > 1 else "")
        tested = sum(result["metrics"]["num_documents"] for result in results)
        minutes = statistics.mean(result["seconds_in_all"] for result in results) / 60
        link = f"[{name}]({folder.parent.relative_to(ROOT)}/README.md)"
        lines.append(_row(link, tested, *cells, f"{minutes:.0f}"))
    return "\n".join(lines) + "\n"


def cases_table(result: dict) -> str:
    """Return a benchmark's cases as Markdown, a row each."""
    names = list(dict.fromkeys(key for case in result["cases"].values() for key in case))
    lines = [_row("", *(name.replace("_", " ") for name in names)), _row(*["---"] * (len(names) + 1))]
    lines += [_row(case, *(found.get(name, "") for name in names)) for case, found in result["cases"].items()]
    return "\n".join(lines) + "\n"


def default_table(folders: list[Path], beside: Path) -> str:
    """Return how right the default is on each dataset of experiments, as Markdown, beside other arms that read the same encoders."""
    from hierdoc.comparison.summary import mean_and_spread, read_summaries

    found = {summary.name: (folder, summary) for folder in folders for summary in read_summaries(folder)[1]}
    lines = [_row("accuracy on test", "documents", *BESIDE.values(), "the default above the SVM, points")]
    lines.append(_row(*["---"] * (len(BESIDE) + 3)))
    for name, (folder, summary) in found.items():
        arms = {arm.name: arm for arm in summary.arms}
        cells = [mean_and_spread(arms[arm].accuracy()) if arm in arms else "" for arm in BESIDE]
        interval = summary.difference(arms["mean_pool-words"], other=arms["tfidf_svm"]).interval
        above = f"{100 * interval.estimate:+.1f} ({100 * interval.low:+.1f} to {100 * interval.high:+.1f})"
        link = f"[{name}]({Path(os.path.relpath(folder, beside)) / 'README.md'})"
        lines.append(_row(link, len(summary.documents), *cells, above))
    note = (
        "Mean ± standard deviation over seeds (their number); differences on the same documents, with their 95 % interval: documents (of "
        "speeches: countries) vary in it, trainings and what was tried before do not."
    )
    return "\n".join([*lines, "", note]) + "\n"


def headline_table(folder: Path, beside: Path) -> str:
    """Return an experiment's accuracies as Markdown, with links, from the folder `beside`, to its question and its report."""
    from hierdoc.comparison.summary import read_summaries
    from hierdoc.reporting.comparing import headline
    from hierdoc.reporting.pages import markdown_table

    section = headline(read_summaries(folder)[1])
    place = Path(os.path.relpath(folder, beside))
    links = f"[report]({place / 'report.md'}), with figures in {place / 'report.html'}"
    if folder != beside:
        links = f"[question and answer]({place / 'README.md'}), {links}"
    return (
        "\n".join(
            [*markdown_table(section.tables[0]), "", *section.notes, "", f"Made with `{_command_of(folder)}`: {links}."]
        )
        + "\n"
    )


def _command_of(folder: Path) -> str:
    first = next(iter(sorted((folder / "results").glob("*.seed-*.json"))))
    return json.loads(first.read_text(encoding="utf-8"))["command"]


def _row(*cells: object) -> str:
    return f"| {' | '.join(f'{cell:,}' if isinstance(cell, int) else str(cell) for cell in cells)} |"


def rendered(readme: Path) -> str:
    """Return a README's text with its tables as the JSON says."""

    def fill(match: re.Match[str]) -> str:
        paths = [path for pattern in match[3].split(",") for path in sorted(ROOT.glob(pattern))]
        if not paths:
            raise SystemExit(f"{readme}: there is no {match[3]}")
        if match[2] == "default":
            return match[1] + default_table(paths, readme.parent) + match[4]
        if match[2] == "summary":
            return match[1] + summary_table(paths) + match[4]
        if match[2] == "headline":
            return match[1] + headline_table(paths[0], readme.parent) + match[4]
        found = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        kinds = {"results": table, "split": split_table, "cases": cases_table}
        text = folds_table(found) if match[2] == "folds" else kinds[match[2]](*found)
        return match[1] + text + match[4]

    return MARKED.sub(fill, readme.read_text(encoding="utf-8"))


def main() -> int:
    """Rewrite or check every README."""
    stale = [
        path
        for path in [
            ROOT / "README.md",
            *sorted(ROOT.glob("experiments/*/README.md")),
            *sorted(ROOT.glob("data_splits/*/README.md")),
        ]
        if rendered(path) != path.read_text(encoding="utf-8")
    ]
    for path in stale:
        if "--check" in sys.argv:
            print(f"{path.relative_to(ROOT)}: is not what the JSON says; run python experiments/tables.py")
        else:
            path.write_text(rendered(path), encoding="utf-8")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    raise SystemExit(main())
