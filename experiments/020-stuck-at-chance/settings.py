"""What config.yaml says: the data sets, and every case that is run on each of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

GROUPS = ("healthy", "causes", "held_out", "later")


@dataclass(frozen=True)
class Documents:
    """Which documents of a data set a case is run on.

    Attributes:
        classes: their names, in the order of the outputs.
        per_class: at most so many training documents of each; None is all.
        shrink: each class has this share of the training documents of the class before it.
        max_chunks: of a document; the first ones are kept.
    """

    classes: tuple[str, ...] = ()
    per_class: int | None = None
    shrink: float = 1.0
    max_chunks: int = 6


@dataclass(frozen=True)
class ChunkTraining:
    """How the encoder is fine-tuned on chunks.

    Attributes:
        padded_to: tokens of every chunk, with padding.
        mask: "given" beside the token ids, "inside" the model from the ids, or "none".
        weights_loaded: the share of the encoder's weights that its checkpoint gives.
        weights_counted: whether the person notes how many that were.
    """

    padded_to: int = 200
    epochs: int = 3
    batch_size: int = 16
    learning_rate: float = 2e-4
    dropout: float = 0.2
    mask: str = "given"
    weights_loaded: float = 1.0
    weights_counted: bool = True
    seed: int = 0


@dataclass(frozen=True)
class DocumentTraining:
    """How the LSTM is trained on documents; after `seed`, what only breakages change.

    Attributes:
        epochs, batch_size, learning_rate, seed: of Keras' fit with Adam.
        pad: the number in the rows that are no chunk.
        shuffle: whether the generator shuffles the documents before each epoch.
        reader: "lstm", or "mean" of the vectors.
        noted: whether the vectors are noted when they are made, and documents named.
        masking: whether a Masking layer hides the padding.
        fill: the type of the array that a batch is filled into.
        steps_share: the share of the documents that the generator's loop reaches.
        batch_statistics: how much of a layer's output is normalised by its batch, also when predicting.
        lasting_dropout: dropout that is not switched off when predicting.
        start: "random", "dead" (a bias under which no ReLU fires) or "zeros" (all kernels).
        frozen: whether no weight is trained.
        loss: "crossentropy" or "squared_error".
        outputs: "softmax", or "sigmoid" in its place.
        clip: the largest number that a gradient may hold.
        class_0_weight: how much more the documents of class 0 count.
        restored: whether the weights of the beginning are put back when training ends.
        metric: "sparse" accuracy, or one of the names that Keras takes for accuracy.
        softmax_axis: over classes (-1) or over the documents of a batch (0).
        weight_decay: AdamW's.
        decay_steps: after so many steps the learning rate has fallen to nothing.
    """

    epochs: int = 10
    batch_size: int = 3
    learning_rate: float = 1e-3
    pad: float = -99.0
    shuffle: bool = False
    reader: str = "lstm"
    noted: bool = True
    seed: int = 0
    masking: bool = True
    fill: str = "float64"
    steps_share: float = 1.0
    batch_statistics: float = 0.0
    lasting_dropout: float = 0.0
    start: str = "random"
    frozen: bool = False
    loss: str = "crossentropy"
    outputs: str = "softmax"
    clip: float | None = None
    class_0_weight: float = 1.0
    restored: bool = False
    metric: str = "sparse"
    softmax_axis: int = -1
    weight_decay: float = 0.0
    decay_steps: int | None = None


@dataclass(frozen=True)
class Case:
    """One run of the design, broken in one way or not at all.

    Attributes:
        group: one of GROUPS.
        name: of the cause or of the healthy run; with `strength` and the data set it names the result.
        strength: 1 or 2; 0 for a healthy run.
        documents, chunks, head: the settings.
        breakage: the name in breakages.BREAKAGES, and the arguments; None where settings break it or nothing does.
        codes: any of these findings names the cause.
        changes: what config.yaml says of it.
        encoder: whether the head's trace stands beside the encoder's.
    """

    group: str
    name: str
    strength: int
    documents: Documents
    chunks: ChunkTraining
    head: DocumentTraining
    breakage: tuple[str, dict[str, Any]] | None = None
    codes: tuple[str, ...] = ()
    changes: dict[str, Any] = field(default_factory=dict)
    encoder: bool = True

    @property
    def title(self) -> str:
        """The name that results and messages use."""
        return f"{self.name}-{self.strength}" if self.strength else self.name


@dataclass(frozen=True)
class Dataset:
    """A data set of config.yaml.

    Attributes:
        name: of the data set.
        split: the split file, relative to the configuration.
        encoder: as for `hierdoc.run --encoder`.
        chunk_size: tokens of a chunk.
        hierdoc: the arguments of `hierdoc.run_pipeline` that are not its defaults; None leaves it out.
        sources: other encoders that vectors are taken from, by name.
        cases: everything to run.
    """

    name: str
    split: Path
    encoder: str
    chunk_size: int
    hierdoc: dict[str, Any] | None
    sources: dict[str, ChunkTraining]
    cases: list[Case] = field(default_factory=list)


def read_config(path: Path) -> dict[str, Any]:
    """Return the configuration as it stands in its file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def read_dataset(config: dict[str, Any], name: str, folder: Path) -> Dataset:
    """Return one data set with its cases; `folder` is what the split file's path is relative to."""
    given = config["datasets"][name]
    base = {
        kind: settings_of(kind, {**config["base"].get(kind, {}), **given.get(kind, {})}, given)
        for kind in ("documents", "chunks", "head")
    }
    dataset = Dataset(
        name,
        folder / given["split"],
        given.get("encoder", "minilm"),
        given.get("chunk_size", 200),
        given.get("hierdoc", config["hierdoc"]),
        {source: dataclasses.replace(base["chunks"], **changes) for source, changes in config["sources"].items()},
    )
    for group in GROUPS:
        for entry in config.get(group, []):
            strengths = entry.get("strengths", [entry.get("with", {})])
            for number, changes in enumerate(strengths, 1):
                dataset.cases.append(_case(group, entry, number if "strengths" in entry else 0, changes, base, given))
    return dataset


def settings_of(kind: str, values: dict[str, Any], given: dict[str, Any]) -> Any:
    """Return the settings of one kind; a name of classes stands for the data set's list of that name."""
    if isinstance(values.get("classes"), str):
        values = {**values, "classes": tuple(given["class_lists"][values["classes"]])}
    return {"documents": Documents, "chunks": ChunkTraining, "head": DocumentTraining}[kind](**values)


def _case(
    group: str,
    entry: dict[str, Any],
    strength: int,
    changes: dict[str, Any],
    base: dict[str, Any],
    given: dict[str, Any],
) -> Case:
    settings = {}
    for kind, healthy in base.items():
        values = {item.name: getattr(healthy, item.name) for item in dataclasses.fields(healthy)}
        settings[kind] = settings_of(kind, {**values, **changes.get(kind, {})}, given)
    breakage = next(iter(changes.get("break", {}).items()), None)
    return Case(
        group,
        entry["name"],
        strength,
        **settings,
        breakage=None if breakage is None else (breakage[0], breakage[1] or {}),
        codes=tuple(entry.get("codes", ())),
        changes=changes,
        encoder=changes.get("encoder", True),
    )
