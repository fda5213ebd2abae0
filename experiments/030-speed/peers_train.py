"""One contestant that trains in the peers' environment: peers_train.py HOW PRECISION WEIGHTS EXAMPLES THREADS; see finetune.py."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ours import peak_mib
from ours_train import RATE, SEED, read_examples  # of this folder; it imports nothing of hierdoc by itself
from transformers import BertModel, DataCollatorWithPadding, Trainer, TrainingArguments
from transformers.models.bert import BertTokenizerFast


class ClsClassifier(torch.nn.Module):
    """BERT's [CLS], dropout of 0.2 and a softmax, as hierdoc's chunk head."""

    def __init__(self, weights: Path):
        super().__init__()
        self.bert = BertModel.from_pretrained(str(weights), add_pooling_layer=False)
        self.dropout = torch.nn.Dropout(0.2)
        self.logits = torch.nn.Linear(self.bert.config.hidden_size, 2)

    def forward(
        self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None, labels: Any = None
    ) -> dict[str, Any]:
        """Return loss and logits."""
        hidden = self.bert(input_ids, attention_mask=attention_mask).last_hidden_state[:, 0]
        logits = self.logits(self.dropout(hidden))
        return {"loss": torch.nn.functional.cross_entropy(logits.float(), labels), "logits": logits}


def main() -> None:
    """Measure what the arguments name and print it as JSON."""
    how, precision, weights, examples, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.manual_seed(SEED)
    model = ClsClassifier(Path(weights))
    sets = []
    for split in ("train", "dev"):
        rows, labels = read_examples(Path(examples), split)
        sets.append([{"input_ids": row.tolist(), "labels": int(label), "length": len(row)} for row, label in zip(rows, labels, strict=True)])  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            folder, per_device_train_batch_size=16, per_device_eval_batch_size=32, num_train_epochs=1, learning_rate=RATE,
            warmup_ratio=0.1, weight_decay=0.0, bf16=precision == "bfloat16", group_by_length=how == "grouped", use_cpu=True,
            save_strategy="no", logging_strategy="no", report_to=[], seed=SEED, disable_tqdm=True, length_column_name="length",
        )  # fmt: skip
        trainer = Trainer(
            model, settings, train_dataset=sets[0], eval_dataset=sets[1],
            data_collator=DataCollatorWithPadding(BertTokenizerFast(str(Path(weights) / "vocab.txt"))),
        )  # fmt: skip
        seconds = trainer.train().metrics["train_runtime"]
        answers = trainer.predict(sets[1]).predictions.argmax(axis=1)
    accuracy = float((answers == np.asarray([example["labels"] for example in sets[1]])).mean())
    print(json.dumps({"chunks_per_second": len(sets[0]) / seconds, "dev_accuracy": accuracy, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    main()
