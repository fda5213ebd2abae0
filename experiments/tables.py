"""Put the tables of results/*.json into the READMEs, between their `<!-- results: FILE … -->` and `<!-- end -->` lines.

python experiments/tables.py            # rewrites them
python experiments/tables.py --check    # exits with 1 when one of them is not what the JSON says
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
MARKED = re.compile(r"(<!-- results: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
ROWS = (
    ("document_accuracy", "LSTM over the chunk vectors"),
    ("average_accuracy", "average of the chunks' probabilities"),
    ("first_chunk_accuracy", "first chunk alone"),
    ("chunk_accuracy", "single chunks"),
    ("tfidf_svm_accuracy", "TF-IDF + linear SVM"),
    ("majority_accuracy", "majority class"),
)


def table(result: dict) -> str:
    """Return one result as Markdown: accuracies, then what it cost."""
    metrics, splits = result["metrics"], result["documents_by_split"]
    lines = ["| | accuracy |", "|---|---|"]
    lines += [f"| {name} | {metrics[key]:.3f} |" for key, name in ROWS]
    counts = ", ".join(f"{count:,} {split}" for split, count in splits.items())
    seconds = "; ".join(
        f"{name} {timing['seconds'] / 60:.1f} min, {timing['peak_memory_mib'] / 1024:.1f} GiB"
        for name, timing in result["timings"].items()
    )
    lines += [
        "",
        f"{metrics['num_documents']:,} {metrics['split']} documents of {metrics['num_chunks']:,} chunks ({counts}); "
        f"one seed ({result['seed']}); {result['parameters']['finetune']['precision']}; "
        f"commit {result['commit'][:10]}{' with changes' if result['dirty'] else ''}. "
        f"On a machine of {result['machine']['cores']} cores, wall time and peak memory: {seconds}; "
        f"{result['seconds_in_all'] / 60:.1f} min in all. Memory is the most that the process had held by the stage's end.",
        "",
        "Made with:",
        "",
        *(f"    {line}" for line in result["command"].split("\n")),
    ]
    return "\n".join(lines) + "\n"


def rendered(readme: Path) -> str:
    """Return a README's text with its tables as the JSON says."""

    def fill(match: re.Match[str]) -> str:
        return match[1] + table(json.loads((ROOT / match[2]).read_text(encoding="utf-8"))) + match[3]

    return MARKED.sub(fill, readme.read_text(encoding="utf-8"))


def main() -> int:
    """Rewrite or check every README."""
    stale = [
        path
        for path in [ROOT / "README.md", *sorted(ROOT.glob("experiments/*/README.md"))]
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
