"""What a generate call asks for: its fields, and which of them go together."""

import secrets
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from models.manifest import Encode, Generate
from service.api import call
from service.api.fitted import Fitted
from service.problems import Fault, InvalidFields
from service.runtime import latents
from service.settings import MOST_PICTURES, Settings

SEEDS = 2**63
MOST_NUMBERS = 1024
"""In a latent."""
MOST_STEPS = 1000
MOST_AMOUNT = 10.0
SOURCES = ("latents", "interpolate", "lattice", "edit")
COUNTED = {"latents": ("latents",), "interpolate": ("interpolate", "steps"), "lattice": ("lattice", "size")}
"""What says how many pictures there are, by source; `edit` makes one."""


def _class(value: Any) -> Any:
    if isinstance(value, str) or type(value) is int or value is None:
        return value
    raise ValueError("must be the number or the name of a class")


Seed = Annotated[int, Field(ge=0, lt=SEEDS)]
Number = Annotated[float, Field(ge=-latents.MOST, le=latents.MOST)]
Vector = Annotated[list[Number], Field(min_length=1, max_length=MOST_NUMBERS, fail_fast=True)]
Base64 = Annotated[str, Field(min_length=1, description="A picture in base64.")]


class End(Fitted, call.Body):
    """Exactly one of seed, latent, image; the others are of an image."""

    seed: Seed | None = None
    """The latent of this seed's picture."""
    latent: Vector | None = None
    image: Base64 | None = None
    """Encoded first; only where the version has an encoder."""

    @model_validator(mode="after")
    def _one(self) -> "End":
        if sum(given is not None for given in (self.seed, self.latent, self.image)) != 1:
            raise ValueError("must have exactly one of seed, latent, image")
        if self.image is None and self.model_fields_set & Fitted.model_fields.keys():
            raise ValueError("has fit or invert, which are for an image")
        return self


class Interpolate(call.Body):
    """Pictures on the way from one latent to another, both ends included."""

    start: Annotated[End, Field(alias="from")]
    end: Annotated[End, Field(alias="to")]
    steps: Annotated[int, Field(ge=2, le=MOST_STEPS)]
    path: latents.Path = "slerp"
    """`slerp`: direction at a constant rate, length evenly. `linear`: a straight line."""


class Lattice(call.Body):
    """size x size pictures of the plane of two latent axes, at the quantiles (i + 1/2) / size; other axes are 0."""

    size: Annotated[int, Field(ge=2, le=MOST_PICTURES)]
    x: Annotated[int, Field(ge=0)] = 0
    """The axis that rises along a row."""
    y: Annotated[int, Field(ge=0)] = 1
    """The axis that rises from row to row."""


class Edit(Fitted, call.Body):
    """The picture of the image's latent mean + amount * direction.

    It has the polarity of the model's pictures, also where the image was inverted.
    """

    image: Base64
    direction: Annotated[str, Field(max_length=2000)]
    """One of the version's directions; `GET /v1/models/{name}` lists them."""
    amount: Annotated[float, Field(ge=-MOST_AMOUNT, le=MOST_AMOUNT)]
    """1 goes from the mean of all training pictures to that of a class, or by a standard deviation of an attribute."""


class GenerateRequest(call.Body):
    """At most one of latents, interpolate, lattice, edit. With none of them: pictures of seed, seed + 1, ..."""

    model: Annotated[str, Field(max_length=64)] | None = None
    version: Annotated[int, Field(ge=1)] | None = None
    count: Annotated[int, Field(ge=1)] = 1
    seed: Seed | None = None
    """Picture i is that of seed + i: alone, in any call, on any worker, to the byte. Absent: drawn, see X-Seed.

    Beside interpolate and lattice it draws the class of a model that has classes, where none is given.
    """
    klass: Annotated[
        Any,
        BeforeValidator(_class),
        WithJsonSchema(
            {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}, {"type": "null"}], "title": "Class"}
        ),
        Field(alias="class"),
    ] = None
    """Number or name of a class of the model. Absent: drawn from the seed."""
    truncation: Annotated[float, Field(gt=0, le=1)] = 1.0
    """What is drawn from a seed is multiplied by this: less variety, more typical pictures."""
    form: Literal["single"] | None = None
    """`single` refuses to put several pictures on a sheet."""
    latents: Annotated[list[Vector], Field(min_length=1, max_length=MOST_PICTURES, fail_fast=True)] | None = None
    interpolate: Interpolate | None = None
    lattice: Lattice | None = None
    edit: Edit | None = None

    @property
    def sources(self) -> list[str]:
        """Those that are given of the four ways to say which latents."""
        return [name for name in SOURCES if getattr(self, name) is not None]

    @property
    def total(self) -> int:
        """The number of pictures."""
        if self.latents is not None:
            return len(self.latents)
        if self.interpolate is not None:
            return self.interpolate.steps
        if self.lattice is not None:
            return self.lattice.size**2
        return 1 if self.edit is not None else self.count


def check(ask: GenerateRequest, task: Generate, encode: Encode | None, settings: Settings) -> None:
    """What the schema cannot know: what goes together, limits that are settings, and the version's own.

    Raises:
        InvalidFields.
    """
    faults = (
        _conflicts(ask, task)
        or _of_images(ask, task, encode)
        or [*_of_latents(ask, task), *_of_lattice(ask, task), *_of_edit(ask, task)]
    )
    if faults:
        raise InvalidFields(faults)
    if ask.total > settings.max_pictures:
        raise too_many(ask, f"makes {ask.total} pictures; {settings.max_pictures} are allowed", "MAX_PICTURES")


def too_many(ask: GenerateRequest, detail: str, setting: str) -> InvalidFields:
    """A refusal that points at what says how many pictures there are."""
    where = COUNTED[ask.sources[0]] if ask.sources else ("count",)
    return InvalidFields([Fault(call.pointer(*where), detail)], f"HARMONIUM_{setting}")


def settle(ask: GenerateRequest, task: Generate) -> tuple[int | None, int | None]:
    """The seed, drawn if it is needed and absent, and the class that all pictures have, if they have one.

    Raises:
        InvalidFields: the class is not the model's, or its last picture's seed would be too large.
    """
    label = _label(ask, task)
    if ask.sources and (label is not None or not task.classes):
        return ask.seed, label
    seed = secrets.randbelow(2**32) if ask.seed is None else ask.seed
    if ask.sources:
        return seed, latents.drawn(seed, task.latent_size, len(task.classes))[1]
    if seed + ask.count > SEEDS:
        raise InvalidFields([Fault("/seed", "the last picture's seed would pass 2**63 - 1")])
    return seed, label


def _conflicts(ask: GenerateRequest, task: Generate) -> list[Fault]:
    """Fields that would be ignored."""
    first, *others = ask.sources or ("",)
    faults = [Fault(call.pointer(name), f"does not go with {first}") for name in others]
    if first and "count" in ask.model_fields_set:
        faults.append(Fault("/count", f"does not go with {first}, which says how many pictures there are"))
    if ask.latents is not None and ask.seed is not None:
        faults.append(Fault("/seed", "does not go with latents"))
    if first and "truncation" in ask.model_fields_set and all(end.seed is None for _, end in _ends(ask)):
        faults.append(Fault("/truncation", f"is for latents that are drawn from a seed; {first} draws none"))
    return faults


def _of_latents(ask: GenerateRequest, task: Generate) -> list[Fault]:
    """Latents of another size than the model's."""
    given = [(call.pointer("latents", place), vector) for place, vector in enumerate(ask.latents or ())]
    given += [(f"{where}/latent", end.latent) for where, end in _ends(ask) if end.latent is not None]
    return [
        Fault(where, f"has {len(vector)} numbers; this model's latents have {task.latent_size}")
        for where, vector in given
        if len(vector) != task.latent_size
    ]


def _of_lattice(ask: GenerateRequest, task: Generate) -> list[Fault]:
    """Axes that are not there, or are one."""
    if ask.lattice is None:
        return []
    axes = {"x": ask.lattice.x, "y": ask.lattice.y}
    last = task.latent_size - 1
    faults = [
        Fault(call.pointer("lattice", name), f"must be from 0 to {last}, as this model's latent axes are")
        for name, axis in axes.items()
        if axis > last
    ]
    return faults or ([Fault("/lattice/y", "must be another axis than x")] if axes["x"] == axes["y"] else [])


def _of_edit(ask: GenerateRequest, task: Generate) -> list[Fault]:
    """A direction that is not there."""
    if ask.edit is None or ask.edit.direction in task.directions:
        return []
    there = ", ".join(task.directions) or "it has none"
    return [Fault("/edit/direction", f"is none of this version's directions: {there}")]


def _of_images(ask: GenerateRequest, task: Generate, encode: Encode | None) -> list[Fault]:
    """Images for a version that cannot make latents of them."""
    if encode is not None and encode.latent_size == task.latent_size:
        return []
    given = [f"{where}/image" for where, end in _ends(ask) if end.image is not None]
    given += ["/edit/image"] if ask.edit is not None else []
    detail = "cannot be encoded: this version has no graph encode; name a model that has one, such as a VAE's"
    return [Fault(where, detail) for where in given]


def _ends(ask: GenerateRequest) -> list[tuple[str, End]]:
    """The ends of an interpolation and where they stand."""
    if ask.interpolate is None:
        return []
    return [("/interpolate/from", ask.interpolate.start), ("/interpolate/to", ask.interpolate.end)]


def _label(ask: GenerateRequest, task: Generate) -> int | None:
    """The number of the class that was given; None if none was."""
    given, names = ask.klass, task.classes
    if given is None:
        return None
    if not names:
        raise InvalidFields([Fault("/class", "this model has no classes")])
    if isinstance(given, str):
        if given in names:
            return names.index(given)
        raise InvalidFields([Fault("/class", f"is none of {', '.join(names)}")])
    if 0 <= given < len(names):
        return given
    raise InvalidFields([Fault("/class", f"must be from 0 to {len(names) - 1}, or a name")])
