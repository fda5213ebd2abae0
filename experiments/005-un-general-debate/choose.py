"""Compare fine-tunings of the same chunks by their accuracy on dev, which is all that is read.

python experiments/005-un-general-debate/choose.py OUT.json RUN RUN …
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from hierdoc.stages import files
from hierdoc.stages.finished import TIMINGS, read_stage


def main(out: Path, runs: list[Path]) -> None:
    """Write what each run's finetune stage says of dev, and print the best run's path, the first on ties."""
    cases, accuracies, chunked = {}, [], set()
    for run in runs:
        stage = read_stage(run, "finetune")
        timings = json.loads((stage.path / TIMINGS).read_text(encoding="utf-8"))
        chunked.add(stage.manifest["parents"]["chunk"])
        accuracies.append(stage.details["dev_chunk_accuracy"])
        cases[f"{stage.parameters['chunks_per_document']} chunks a document"] = {
            "epochs": stage.parameters["epochs"],
            "dev_chunk_accuracy": round(stage.details["dev_chunk_accuracy"], 4),
            "dev_chunk_loss": round(stage.details["dev_chunk_loss"], 4),
            "minutes": round(timings["seconds"] / 60, 1),
            "seed": stage.parameters["seed"],
            "commit": stage.manifest["versions"].get("commit"),
        }
    if len(chunked) != 1:
        raise SystemExit("the runs are not of the same chunks")
    files.write_json(out, {"cases": cases})
    print(runs[accuracies.index(max(accuracies))])


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), [Path(word) for word in sys.argv[2:]])
