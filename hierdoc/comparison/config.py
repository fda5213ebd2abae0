"""What an experiment compares: its config.yaml, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hierdoc.errors import HierdocError
from hierdoc.evaluation.baselines import BASELINES, OF_VECTORS
from hierdoc.stages import files

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]*")  # of a dataset or an arm: it becomes part of a file's name
STAGES = ("chunk", "finetune", "embed", "head", "own")
_STAGE_KEYS: dict[str, type] = dict.fromkeys(STAGES, dict)
_DATASET_KEYS = {stage: dict for stage in STAGES if stage != "own"}


@dataclass(frozen=True)
class Dataset:
    """Documents and how they are divided.

    Attributes:
        name: of the dataset.
        files: the data, relative to the folder of data.
        splits: split files; several are folds, whose test documents are pooled.
        stages: arguments of the stages that hold for every arm, by stage.
        seeds: one run of every arm for each.
        clusters: a pattern, where documents aren't independent: those belong together whose ids begin with the same match of it,
            such as the speeches of one country, and intervals and tests are over these clusters.
    """

    name: str
    files: tuple[str, ...]
    splits: tuple[Path, ...]
    stages: Mapping[str, Mapping[str, Any]]
    seeds: tuple[int, ...]
    clusters: re.Pattern[str] | None = None

    def clusters_of(self, doc_ids: Sequence[str]) -> np.ndarray | None:
        """Return the cluster of each of B documents, str (B,); None where documents are independent.

        Raises:
            HierdocError: the pattern matches nothing at the beginning of an id.
        """
        if self.clusters is None:
            return None
        found = [self.clusters.match(doc_id) for doc_id in doc_ids]
        if None in found:
            doc_id, pattern = doc_ids[found.index(None)], self.clusters.pattern
            raise HierdocError(
                f"`clusters` of dataset {self.name!r}, {pattern!r}, matches nothing of document {doc_id!r}"
            )
        return np.asarray([match[0] for match in found if match])


@dataclass(frozen=True)
class Arm:
    """One way to answer.

    Attributes:
        name: of the arm.
        answers: the head or the baseline that answers, or a Python file of the experiment's folder (own code).
        stages: arguments of the stages, by stage, and of own code; they go before the dataset's.
    """

    name: str
    answers: str
    stages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def is_own_code(self) -> bool:
        return self.answers.endswith(".py")

    @property
    def reads_words_only(self) -> bool:
        return self.answers in BASELINES and self.answers not in OF_VECTORS

    def seeds(self, dataset: Dataset) -> tuple[int, ...]:
        """Return the seeds that it is run with; what reads words only has none, and is run with the first."""
        return dataset.seeds[:1] if self.reads_words_only else dataset.seeds

    def arguments(self, dataset: Dataset, stage: str) -> dict[str, Any]:
        """Return the arguments of one stage, or of own code, on one dataset."""
        return {**dataset.stages.get(stage, {}), **self.stages.get(stage, {})}


@dataclass(frozen=True)
class Experiment:
    """What config.yaml says.

    Attributes:
        folder: that holds it.
        question: in a sentence.
        baseline: the arm that the others are compared with.
        datasets, arms: in their order there.
        pairs: names of arms that are also compared with each other, the first with the second.
    """

    folder: Path
    question: str
    baseline: str
    datasets: Sequence[Dataset]
    arms: Sequence[Arm]
    pairs: Sequence[tuple[str, str]] = ()

    def own(self, dataset: Dataset, arm: Arm) -> dict[str, Any]:
        """Return, as JSON values, what an arm of own code is decided by: its arguments and its file's hash.

        Raises:
            HierdocError: the file does not exist.
        """
        path = self.folder / arm.answers
        if not path.is_file():
            raise HierdocError(f"{path}: this code of arm {arm.name!r} does not exist")
        return {"own": arm.arguments(dataset, "own"), "code_sha256": files.sha256_of(path)}

    def configuration(self, dataset: Dataset, arm: Arm) -> dict[str, Any]:
        """Return, as JSON values, all that decides an arm's results on a dataset, but for splits, data and seed.

        Raises:
            HierdocError: as `own`.
        """
        stages = {stage: arm.arguments(dataset, stage) for stage in STAGES if stage != "own"}
        return {"answers": arm.answers, **stages, **(self.own(dataset, arm) if arm.is_own_code else {})}


def read_config(folder: Path) -> Experiment:
    """Return the experiment of `folder`/config.yaml.

    Raises:
        HierdocError: the file is missing or no YAML; a key is missing, unknown, there twice or of another kind.
    """
    import yaml

    path = folder / "config.yaml"
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _loader(yaml))
    except (FileNotFoundError, NotADirectoryError):
        raise HierdocError(f"{path}: does not exist; an experiment is a folder with a config.yaml") from None
    except (yaml.YAMLError, ValueError, TypeError) as error:  # such as a day 32, or a list as a key
        raise HierdocError(f"{path}: is not YAML: {' '.join(str(error).split())}") from None
    read = _Reader(path, folder)
    wanted = {"question": str, "baseline": str, "data": dict, "arms": dict}
    top = read.keys(content, "the file", wanted, {"seeds": list, "pairs": list})
    seeds = read.seeds(top.get("seeds", [0]), "`seeds`")
    datasets = [read.dataset(name, entry, seeds) for name, entry in top["data"].items()]
    arms = [read.arm(name, entry) for name, entry in top["arms"].items()]
    if not datasets:
        raise HierdocError(f"{path}: must name at least one dataset under `data`")
    names = {arm.name for arm in arms}
    if top["baseline"] not in names:
        raise HierdocError(f"{path}: `baseline` must be one of the arms, but is {top['baseline']!r} instead")
    for pair in (pairs := top.get("pairs", [])):
        if not isinstance(pair, list) or len(pair) != 2 or not {*map(str, pair)} <= names or pair[0] == pair[1]:
            raise HierdocError(f"{path}: `pairs` must be lists of two different arms, but has {pair!r}")
    question = " ".join(top["question"].split())
    return Experiment(folder, question, top["baseline"], datasets, arms, [(first, second) for first, second in pairs])


def _loader(yaml: Any) -> Any:
    """Return PyYAML's safe loader, but for keys that are there twice, of which it would drop the first."""

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[Any] = set()
            for key_node, _ in node.value:
                if (key := self.construct_object(key_node, True)) in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"{key!r} is there twice", key_node.start_mark)
                seen.add(key)
            return super().construct_mapping(node, deep)

    return Loader


@dataclass(frozen=True)
class _Reader:
    path: Path
    folder: Path

    def keys(self, value: Any, where: str, needed: dict[str, type], optional: dict[str, type]) -> dict[str, Any]:
        """Return `value`, which must be a mapping of these keys to values of these types."""
        if not isinstance(value, dict):
            raise HierdocError(f"{self.path}: {where} must be a mapping, but is {_kind(value)} instead")
        for key in value:
            if key not in needed and key not in optional:
                raise HierdocError(
                    f"{self.path}: {where} has a key {key!r}; it may have {', '.join([*needed, *optional])}"
                )
        for key in needed:
            if key not in value:
                raise HierdocError(f"{self.path}: {where} must have a key `{key}`")
        for key, kind in {**needed, **optional}.items():
            if key in value and not isinstance(value[key], kind):
                wanted = {str: "text", dict: "a mapping", list: "a list"}[kind]
                raise HierdocError(
                    f"{self.path}: `{key}` of {where} must be {wanted}, but is {_kind(value[key])} instead"
                )
        return value

    def seeds(self, values: list[Any], where: str) -> tuple[int, ...]:
        if not values or not all(type(value) is int and value >= 0 for value in values) or len({*values}) < len(values):
            raise HierdocError(f"{self.path}: {where} must be distinct whole numbers, but is {values!r} instead")
        return tuple(values)

    def dataset(self, name: Any, entry: Any, seeds: tuple[int, ...]) -> Dataset:
        where = f"dataset {self.name(name, 'a dataset')!r}"
        found = self.keys(
            entry, where, {"files": list, "splits": list}, {**_DATASET_KEYS, "seeds": list, "clusters": str}
        )
        for key in ("files", "splits"):
            if not found[key] or not all(isinstance(value, str) for value in found[key]):
                raise HierdocError(f"{self.path}: `{key}` of {where} must be file names, but is {found[key]!r} instead")
            if len({*found[key]}) < len(found[key]):
                raise HierdocError(f"{self.path}: `{key}` of {where} must be distinct, but are {found[key]!r} instead")
        splits = tuple(Path(self.folder, split) for split in found["splits"])
        if len({split.stem for split in splits}) < len(splits):  # by which their stages are filed
            raise HierdocError(f"{self.path}: `splits` of {where} must be files of different names")
        own = self.seeds(found["seeds"], f"`seeds` of {where}") if "seeds" in found else seeds
        return Dataset(name, tuple(found["files"]), splits, _of_stages(found), own, self.pattern(found, where))

    def pattern(self, found: Mapping[str, Any], where: str) -> re.Pattern[str] | None:
        try:
            return re.compile(found["clusters"]) if "clusters" in found else None
        except re.error as error:
            raise HierdocError(f"{self.path}: `clusters` of {where} must be a pattern: {error}") from None

    def arm(self, name: Any, entry: Any) -> Arm:
        where = f"arm {self.name(name, 'an arm')!r}"
        found = self.keys({} if entry is None else entry, where, {}, {"answers": str, **_STAGE_KEYS})
        return Arm(name, found.get("answers", name), _of_stages(found))

    def name(self, name: Any, kind: str) -> str:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise HierdocError(
                f"{self.path}: the name of {kind} must be letters, digits, _, + and - after a letter or a digit, but is {name!r} instead"
            )
        return name


def _of_stages(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {stage: found[stage] for stage in STAGES if stage in found}


def _kind(value: Any) -> str:
    return "nothing" if value is None else type(value).__name__
