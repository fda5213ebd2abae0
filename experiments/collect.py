"""Collect a finished run into one result file.

    python experiments/collect.py RUN experiments/NNN-slug/results/NAME.json --dataset NAME --command "…"

The numbers come from the run's own metrics.json, timings.json and manifests; nothing is typed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path

from hierdoc.stages import files
from hierdoc.stages.finished import TIMINGS, check_common_ancestry, read_stage

STAGES = ("chunk", "finetune", "embed", "heads/{head}", "evaluate/{head}")


def collect(run: Path, dataset: str, command: str, head: str) -> dict:
    """Return the result of one run: metrics, parameters, timings, and what it was made with."""
    stages = {name.format(head=head): read_stage(run, name.format(head=head)) for name in STAGES}
    check_common_ancestry(run, stages)
    made_at = {stage.manifest["versions"].get("commit", "unknown") for stage in stages.values()}
    if len(made_at) > 1:
        raise SystemExit(f"the stages were made at different commits: {', '.join(sorted(made_at))}")
    commit, _, changes = made_at.pop().partition("+")
    timings = {name: json.loads((stage.path / TIMINGS).read_text()) for name, stage in stages.items()}
    return {
        "dataset": dataset,
        "data_sha256": stages["chunk"].parameters["data_sha256"],
        "arm": head,
        "seed": stages["finetune"].parameters["seed"],
        "metrics": json.loads((stages[f"evaluate/{head}"].path / "metrics.json").read_text()),
        "documents_by_split": stages["chunk"].details["documents_by_split"],
        "num_chunks_in_all": stages["chunk"].details["num_chunks"],
        "parameters": {
            name: {k: v for k, v in stage.parameters.items() if k != "data_sha256"} for name, stage in stages.items()
        },
        "fingerprints": {name: stage.fingerprint for name, stage in stages.items()},
        "command": command,
        "commit": commit,
        "dirty": bool(changes) or commit == "unknown",
        "timings": timings,
        "seconds_in_all": round(sum(timing["seconds"] for timing in timings.values()), 1),
        "peak_memory_mib": max(timing["peak_memory_mib"] for timing in timings.values()),
        "versions": stages["finetune"].manifest["versions"],
        "machine": {"cores": os.cpu_count(), "architecture": platform.machine()},
    }


def main() -> None:
    """Write the result file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--command", required=True)
    parser.add_argument("--head", default="lstm")
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(arguments.out, collect(arguments.run, arguments.dataset, arguments.command, arguments.head))
    print(f"{arguments.out}: written")


if __name__ == "__main__":
    main()
