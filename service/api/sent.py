"""The pictures of a call: one raw body with its options in the query, or JSON that has both."""

import asyncio
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Request
from pydantic import BaseModel, FailFast, Field

from service.api import call
from service.media import pictures
from service.media.negotiation import JPEG, JSON, NPY, PNG, TIFF, WEBP
from service.media.picture import Header, Picture
from service.media.sniffing import sniff, unpack
from service.problems import Fault, InvalidFields, PictureTooLarge, Problem
from service.settings import MOST_IMAGES, Settings

Answer = TypeVar("Answer")
Query = TypeVar("Query", bound=BaseModel)
Fields = TypeVar("Fields", bound=BaseModel)
KINDS = [PNG, JPEG, WEBP, TIFF, NPY, JSON]
"""What is read."""
MOST_VALUES = MOST_IMAGES + 1000
"""Of a JSON body: far more than it has options."""
SMALL_PIXELS = 256 * 256
"""Pictures that take less time to decode than a change of threads is worth."""


class Body(call.Body):
    """What JSON bodies have beside the options."""

    images: Annotated[
        list[str],
        FailFast(),
        Field(
            min_length=1,
            max_length=MOST_IMAGES,
            description="Each a file (PNG, JPEG, WebP, TIFF, npy) in base64. A stack counts as the pictures it holds.",
        ),
    ]


@dataclass(frozen=True)
class Part:
    """A body, or one entry of `images`: looked at, not decoded."""

    data: bytes
    header: Header
    pointer: str

    def read(self) -> list[Picture]:
        """Its pictures.

        Raises:
            UnreadablePicture, UnreadableArray: with the pointer of the entry.
        """
        with _pointing(self.pointer):
            return pictures.read(self.data, self.header.kind)


@dataclass(frozen=True)
class Sent:
    """All the pictures of a call."""

    kind: str
    parts: Sequence[Part]

    @property
    def headers(self) -> list[Header]:
        """Of every part."""
        return [part.header for part in self.parts]

    @property
    def count(self) -> int:
        """Pictures."""
        return sum(header.count for header in self.headers)

    @property
    def pixels(self) -> int:
        """Of all pictures."""
        return sum(header.pixels for header in self.headers)

    @property
    def stacked(self) -> bool:
        """Whether an array of it has an axis of pictures."""
        return self.count > 1 or any(header.stacked for header in self.headers)

    def read(self, between: Callable[[], None]) -> Iterator[Picture]:
        """All the pictures, one after the other. `between` may raise to end the work early.

        Raises:
            UnreadablePicture, UnreadableArray.
        """
        for part in self.parts:
            for picture in part.read():
                between()
                yield picture


async def options(request: Request, kind: str, query: type[Query], body: type[Fields]) -> Query | Fields:
    """What the call asks for, from the query or, where the body is JSON, from that.

    Raises:
        MalformedBody, InvalidFields.
    """
    return await call.body(request, body, MOST_VALUES) if kind == JSON else call.query(request, query)


def entry(text: str, pointer: str, max_pixels: int) -> Part:
    """The file that the JSON field at `pointer` holds in base64.

    Raises:
        InvalidFields, PictureTooLarge, UnreadablePicture, UnreadableArray: all with the pointer.
    """
    data = unpack(text, pointer)
    with _pointing(pointer):
        return Part(data, pictures.inspect(data, sniff(data), max_pixels), pointer)


def one(text: str, pointer: str, max_pixels: int) -> Part:
    """The same where only one picture makes sense: `read` gives just that.

    Raises:
        InvalidFields, PictureTooLarge, UnreadablePicture, UnreadableArray: all with the pointer.
    """
    part = entry(text, pointer, max_pixels)
    if part.header.count != 1:
        raise InvalidFields([Fault(pointer, f"has {part.header.count} pictures; send one")])
    return part


async def look(request: Request, kind: str, images: Sequence[str] | None) -> Sent:
    """The headers of what was sent: of `images` if they are given, else of the body, which is of type `kind`.

    Raises:
        InvalidFields, PictureTooLarge, UnreadablePicture, UnreadableArray.
    """
    service, clock = call.state(request), call.clock(request)
    data = await request.body()

    def job() -> Sent:
        with clock.stage("decode"):
            most = service.settings.max_pixels
            parts = [Part(data, pictures.inspect(data, kind, most), "")] if images is None else []
            for place, text in enumerate(images or ()):
                clock.check()
                parts.append(entry(text, call.pointer("images", place), most))
            sent = Sent(kind, parts)
            _check(sent, service.settings)
            return sent

    if images is not None:
        _check_count(len(images), "/images", service.settings)
    # Not in the pool: whether it has room for these pixels must be known while all its threads work.
    return job() if len(data) <= call.SMALL_BYTES else await asyncio.to_thread(job)


async def work(request: Request, job: Callable[[], Answer], pixels: int) -> Answer:
    """The job's result: work on pictures of that many pixels, in a thread of the pool unless they are few and small.

    Raises:
        Overloaded, Deadline: and whatever the job raised.
    """
    if pixels <= SMALL_PIXELS and len(await request.body()) <= call.SMALL_BYTES:
        return job()
    return await call.state(request).pool.run(job, pixels, call.clock(request))


def _check(sent: Sent, settings: Settings) -> None:
    """What holds for all the pictures together."""
    _check_count(sent.count, "/images" if sent.kind == JSON else "", settings)
    if sent.pixels > settings.max_pixels:
        raise PictureTooLarge(
            f"The pictures have {sent.pixels} pixels together; {settings.max_pixels} are allowed.",
            setting="HARMONIUM_MAX_PIXELS",
        )


def _check_count(count: int, pointer: str, settings: Settings) -> None:
    if count > settings.max_images:
        detail = f"has {count} pictures; {settings.max_images} are allowed"
        raise InvalidFields([Fault(pointer, detail)], "HARMONIUM_MAX_IMAGES")


@contextmanager
def _pointing(pointer: str) -> Generator[None]:
    """Let a refusal of one of several files say of which."""
    try:
        yield
    except Problem as problem:
        if pointer:
            problem.errors = (Fault(pointer, problem.detail),)
        raise
