"""The schema of `manifest.json`: every fact that serving needs about a model version.

The schema is closed and strict: an unknown key, a number written as text or a file name
with a separator in it is refused. A manifest has exactly one spelling (`Manifest.to_bytes`),
so that two equal versions are equal to the byte and no key can hide behind another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

SCHEMA = 1
OPSET = 18
"""Operator set of every shipped graph."""

NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"
Name = Annotated[str, StringConstraints(pattern=NAME, max_length=64)]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$", max_length=64)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Timestamp = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Axis = Annotated[int, Field(ge=1)] | Annotated[str, StringConstraints(pattern=r"^[A-Z]$")]
Setting = str | int | float | bool | None | list[str] | list[int] | list[float]


class ManifestError(ValueError):
    """The bytes are no manifest that this code understands; the message says which field and why."""


class Closed(BaseModel):
    """A record that refuses unknown keys, silent conversions and numbers that are not finite."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class File(Closed):
    """One file of the version's folder."""

    size: Annotated[int, Field(ge=0, le=2**30)]
    sha256: Sha256


class Tensor(Closed):
    """An input or output of a graph. A number in `shape` is fixed, a letter is a free axis."""

    dtype: Literal["float32", "int32", "int64"]
    shape: tuple[Axis, ...]


class Graph(Closed):
    """One ONNX graph, stored as `NAME.onnx`; `max_batch` is the most rows a run may take."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    max_batch: Annotated[int, Field(ge=1, le=4096)]


def _tensors(**spelled: str) -> dict[str, Tensor]:
    """`image="float32 B C 28 28"` -> the tensor it describes."""
    found = {}
    for name, text in spelled.items():
        dtype, *axes = text.split()
        shape = tuple(int(axis) if axis.isdigit() else axis for axis in axes)
        found[name] = Tensor.model_validate({"dtype": dtype, "shape": shape})
    return found


class Task(Closed):
    """What a version can do. Each task fixes the tensors of its graphs from its own facts."""

    required: ClassVar[str]
    graphs: dict[str, Graph]

    def signatures(self) -> dict[str, tuple[dict[str, Tensor], dict[str, Tensor]]]:
        """Inputs and outputs that each graph of this task must have, by graph name."""
        raise NotImplementedError

    def graph(self, name: str, max_batch: int) -> Graph:
        """The declaration of graph `name` as this task's facts demand it."""
        inputs, outputs = self.signatures()[name]
        return Graph(inputs=inputs, outputs=outputs, max_batch=max_batch)

    @classmethod
    def declare(cls, max_batch: Mapping[str, int], **facts: Any) -> Self:
        """A task from its facts; the tensors of its graphs, named with their largest batch, follow."""
        bare = cls.model_construct(graphs={}, **facts)
        return cls(graphs={name: bare.graph(name, rows) for name, rows in max_batch.items()}, **facts)

    @model_validator(mode="after")
    def _graphs_fit(self) -> Task:
        signatures = self.signatures()
        if self.required not in self.graphs:
            raise ValueError(f"graph '{self.required}' is missing")
        for name, graph in self.graphs.items():
            if name not in signatures:
                raise ValueError(f"graph '{name}' is none of {sorted(signatures)}")
            if (graph.inputs, graph.outputs) != signatures[name]:
                raise ValueError(f"graph '{name}' does not have the tensors that its task demands")
        return self


class Recommend(Task):
    """Rank items for a user from their ratings, and predict ratings.

    Rows of `items.csv` are the items in the order of the graph's columns.
    """

    required = "score"
    task: Literal["recommend"] = "recommend"
    items: Annotated[int, Field(ge=1)]
    attributes: dict[Name, Literal["list", "number"]]
    rating_low: float
    rating_high: float
    liked: float
    """The rating that an item sent as merely liked counts for."""
    max_ratings: Annotated[int, Field(ge=1)]
    """The largest padded history, N."""
    explains: bool
    """Whether `score` also takes K target items and gives what each rating adds to their scores: the score with all
    ratings minus that without this one, 0 for padding. It costs nothing where K is 0."""

    def signatures(self) -> dict[str, tuple[dict[str, Tensor], dict[str, Tensor]]]:
        inputs = _tensors(item_index="int32 B N", rating="float32 B N")
        outputs = _tensors(score=f"float32 B {self.items}", predicted_rating=f"float32 B {self.items}")
        if self.explains:
            inputs |= _tensors(target="int32 B K")
            outputs |= _tensors(gain="float32 B K N")
        return {"score": (inputs, outputs)}

    @model_validator(mode="after")
    def _scale(self) -> Recommend:
        if not self.rating_low <= self.liked <= self.rating_high or self.rating_low == self.rating_high:
            raise ValueError("the liked value must lie on the rating scale, and the scale must have a width")
        return self


class Denoise(Task):
    """Remove noise from pictures of any size, `sigma` given or estimated; or what else is wrong, without a sigma."""

    required = "clean"
    task: Literal["denoise"] = "denoise"
    channels: Literal[1, 3]
    estimator: Literal["haar", "graph"] | None = None
    """Who finds sigma when the caller does not tell it, see `models/noise.py`: a formula or the graph `estimate`."""
    sigma_max: Annotated[float, Field(gt=0)] | None = None
    """The strongest noise it was trained for, on the 0..255 scale. Without it no graph takes a sigma."""
    size_multiple: Annotated[int, Field(ge=1)]
    """Height and width must be multiples of this; serving pads."""
    overlap: Annotated[int, Field(ge=0)]
    """Pixels of context that a tile needs on each side for no seam to show; the receptive field may reach further."""

    def signatures(self) -> dict[str, tuple[dict[str, Tensor], dict[str, Tensor]]]:
        def clean(channels: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
            picture = f"float32 B {channels} H W"
            told = {} if self.sigma_max is None else _tensors(sigma="float32 B")
            return _tensors(image=picture) | told, _tensors(clean=picture)

        estimate = _tensors(image="float32 B 1 H W"), _tensors(sigma="float32 B")
        return {"clean": clean(self.channels), "clean_grey": clean(1), "estimate": estimate}

    @model_validator(mode="after")
    def _overlap_fits(self) -> Denoise:
        if self.overlap % self.size_multiple:
            raise ValueError("the overlap must be a multiple of size_multiple, or tiles leave the pixel grid")
        if (self.estimator is None) != (self.sigma_max is None):
            raise ValueError("the estimator and sigma_max are there both or not at all")
        if (self.estimator == "graph") != ("estimate" in self.graphs):
            raise ValueError("the graph 'estimate' is there if and only if it is the estimator")
        return self


class Picture(Task):
    """Facts shared by tasks on pictures of one size, with a latent vector at the other end."""

    channels: Literal[1, 3]
    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]
    latent_size: Annotated[int, Field(ge=1)]

    @property
    def image(self) -> str:
        return f"float32 B {self.channels} {self.height} {self.width}"


class Encode(Picture):
    """A picture's latent mean and log-variance."""

    required = "encode"
    task: Literal["encode"] = "encode"
    background: Literal["dark", "light"]
    """The background of the training pictures: others are inverted to it."""
    error_quantiles: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(max_length=1001)]
    """Reconstruction errors of held-out pictures at evenly spaced quantiles, lowest first; empty without a decoder.

    The error is the mean square over a picture's values in 0..1, decoded from the mean.
    """

    def signatures(self) -> dict[str, tuple[dict[str, Tensor], dict[str, Tensor]]]:
        code = f"float32 B {self.latent_size}"
        return {"encode": (_tensors(image=self.image), _tensors(mean=code, log_variance=code))}

    @model_validator(mode="after")
    def _quantiles_rise(self) -> Encode:
        if len(self.error_quantiles) == 1 or list(self.error_quantiles) != sorted(self.error_quantiles):
            raise ValueError("error_quantiles must be two or more in rising order, or none")
        return self


class Generate(Picture):
    """Pictures from latents drawn from N(0, I), by class when `classes` names any."""

    required = "decode"
    task: Literal["generate"] = "generate"
    classes: tuple[Text, ...]
    directions: dict[Text, tuple[float, ...]]
    """Steps in the latent space by attribute [Z]: what is added to a latent to change it by 1."""

    def signatures(self) -> dict[str, tuple[dict[str, Tensor], dict[str, Tensor]]]:
        inputs = _tensors(latent=f"float32 B {self.latent_size}")
        if self.classes:
            inputs |= _tensors(label="int64 B")
        return {"decode": (inputs, _tensors(image=self.image))}

    @model_validator(mode="after")
    def _directions_fit(self) -> Generate:
        for name, step in self.directions.items():
            if len(step) != self.latent_size:
                raise ValueError(f"direction {name!r} has {len(step)} numbers for a latent of {self.latent_size}")
        return self


AnyTask = Annotated[Recommend | Denoise | Encode | Generate, Field(discriminator="task")]
AnyTaskType = TypeVar("AnyTaskType", Recommend, Denoise, Encode, Generate)


class Credit(Closed):
    """Whose data the weights were made from, and what may be done with them."""

    data: Text
    source: Text
    licence: Text
    citation: Text


class MadeBy(Closed):
    """Everything needed to make the version again."""

    recipe: Name
    settings: dict[str, Setting]
    seed: Annotated[int, Field(ge=0)]
    data_sha256: Sha256
    code_revision: Text
    packages: dict[str, Text]
    device: Text
    steps: Annotated[int, Field(ge=0)]
    seconds: Annotated[float, Field(ge=0)]


def _absent(value: object) -> bool:
    return value is None


class Baseline(Closed):
    """The same measure of something else, on the same data. The last three fields are spelled only where known.

    The paired difference is the version's value minus this one, its error that of differences
    within a sampling unit, such as a user.
    """

    name: Text
    value: float
    standard_error: float | None = None
    paired_difference: Annotated[float | None, Field(exclude_if=_absent)] = None
    paired_error: Annotated[float | None, Field(ge=0, exclude_if=_absent)] = None
    seconds: Annotated[float | None, Field(ge=0, exclude_if=_absent)] = None
    """Of fitting it."""


class Metric(Closed):
    """One measured figure and how it was measured."""

    name: Text
    value: float
    standard_error: float | None = None
    better: Literal["higher", "lower"]
    samples: Annotated[int, Field(ge=1)]
    data: Text
    protocol: Text
    baselines: tuple[Baseline, ...] = ()


class Sample(Closed):
    """Recorded inputs and outputs in `sample.npz`; `tolerance` is absolute, by graph and output."""

    tolerance: dict[str, dict[str, Annotated[float, Field(gt=0)]]]


class Manifest(Closed):
    """One model version. See the module's docstring."""

    schema_version: Annotated[Literal[1], Field(alias="schema")] = SCHEMA
    name: Name
    version: Annotated[int, Field(ge=1)]
    family: Name
    summary: Text
    created: Timestamp
    credit: Credit
    made_by: MadeBy
    metrics: tuple[Metric, ...]
    files: dict[FileName, File]
    tasks: Annotated[tuple[AnyTask, ...], Field(min_length=1)]
    sample: Sample

    @property
    def graphs(self) -> Mapping[str, Graph]:
        """Every named graph of every task."""
        return {name: graph for task in self.tasks for name, graph in task.graphs.items()}

    def task(self, kind: type[AnyTaskType]) -> AnyTaskType | None:
        """The task of this kind, or None if the version does not do it."""
        return next((task for task in self.tasks if isinstance(task, kind)), None)

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        names = [task.task for task in self.tasks]
        if len(set(names)) != len(names):
            raise ValueError("a task is declared twice")
        graphs = [graph for task in self.tasks for graph in task.graphs]
        if len(set(graphs)) != len(graphs):
            raise ValueError("a graph is declared twice")
        expected = {f"{graph}.onnx" for graph in graphs} | {"sample.npz"}
        if "recommend" in names:
            expected.add("items.csv")
        if set(self.files) != expected:
            missing, extra = sorted(expected - set(self.files)), sorted(set(self.files) - expected)
            raise ValueError(f"files must be exactly those of the tasks: missing {missing}, extra {extra}")
        outputs = {name: set(graph.outputs) for name, graph in self.graphs.items()}
        if {name: set(found) for name, found in self.sample.tolerance.items()} != outputs:
            raise ValueError("the sample needs one tolerance for every output of every graph")
        return self

    def to_bytes(self) -> bytes:
        """The one spelling of this manifest: sorted keys, two spaces, UTF-8, a newline at the end."""
        tree = self.model_dump(mode="json", by_alias=True)
        return (json.dumps(tree, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read a manifest.

        Raises:
            ManifestError: it is not JSON, of another schema, has a wrong, missing or unknown
                field, or is spelled in another way than `to_bytes` spells it.
        """
        try:
            head: Any = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ManifestError(f"manifest.json is not JSON: {error}") from error
        if isinstance(head, dict) and head.get("schema", SCHEMA) != SCHEMA:
            raise ManifestError(f"schema {head['schema']!r} is not {SCHEMA}, the one that this release reads")
        try:
            manifest = cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = "/".join(str(part) for part in first["loc"]) or "manifest"
            raise ManifestError(f"{where}: {first['msg']}") from error
        if manifest.to_bytes() != data:
            raise ManifestError("manifest.json is not in its canonical spelling")
        return manifest
