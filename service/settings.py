"""Every setting of the service: read once from HARMONIUM_* variables, never changed."""

import os
import re
import sys
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

import models
from service import limits

PREFIX = "HARMONIUM_"
ORIGIN = re.compile(
    r"(?!http://.*:80$|https://.*:443$)https?://[a-z0-9.\-]+(:[0-9]+)?|https?://\[[0-9a-f:]+\](:[0-9]+)?"
)
"""As browsers send it: in small letters, without the port that is the scheme's own."""
MOST_USERS = 4096
MOST_RATINGS = 100_000
MOST_IMAGES = 4096
MOST_PICTURES = 65_535
"""What MAX_USERS, MAX_RATINGS, MAX_IMAGES and MAX_PICTURES can be set to: a longer list is not read to its end."""
PROGRAM = 80 * 2**20
"""Bytes of memory that a process takes beside its models: 58 MB were measured, and 23 MB more while one is loaded."""
ROOT = Path(models.__file__).parent.parent
"""The folder that holds the packages; relative model folders start here, whatever the working directory."""


class WrongSetting(ValueError):
    """Variables have values that cannot be; the message has a sentence for each."""


def variable(field: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + field.upper()


class Settings(BaseSettings):
    """The docstring under each field is its documentation, units included."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    host: str = "127.0.0.1"
    """Address to listen on. The default is this machine only."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """TCP port to listen on; 0 takes a free one."""
    workers: Annotated[int, Field(ge=0, le=256)] = 1
    """Processes that serve; 0 is one per core. The limits hold for each.

    More than one pays for calls of small graphs, which one process runs on one core: two on two cores were measured
    to answer half to three quarters more of them. Pictures are denoised on every core by one process already. Each
    loads the models. More than one needs Linux, which spreads the connections over them.
    """
    models: Annotated[str, Field(min_length=1)] = os.pathsep.join(("var/models", "models/zoo"))
    """Folders of model versions, separated like PATH, the first before the others."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where graphs run. `auto` takes CUDA where it works, and else says why not; `cuda` is not ready without it."""
    denoise_threads: Annotated[int, Field(ge=0, le=256)] = 0
    """Threads of one process for pictures; 0 is one per core, shared among the processes.

    As many again are for pictures of up to a megapixel, which no large one keeps waiting. A thread that works on a
    large one takes 110 MB with the shipped model.
    """
    max_model_bytes: Annotated[int, Field(ge=0)] = 0
    """Memory for the versions that one process has loaded, in bytes; each counts as five times its files.

    0 is half of the memory that a process may use, by the machine's size, the limits of its control groups and the
    number of processes, or what 80 MiB for the program leave of it if that is less. A version that has no room is
    refused, older ones before those that calls get by default.
    """

    keys: str = ""
    """File of the keys that calls need, as docs/operate.md says; absent, whoever reaches the port may call."""

    default_recommend: str = "movies-rbm"
    """Model of a recommend call that names none."""
    default_denoise: str = "photo-dae"
    """Model of a denoise call that names none."""
    default_encode: str = "digits-vae"
    """Model of an encode call that names none."""
    default_generate: str = "digits-gan"
    """Model of a generate call that names none."""

    max_connections: Annotated[int, Field(ge=1, le=2**20)] = 4096
    """Connections of one process; above, those that wait make room, and where all work, new ones get 503.

    An idle one takes 6 KB. Where the system allows fewer descriptors, there are fewer.
    """
    max_body_bytes: Annotated[int, Field(ge=1024, le=2**30)] = 32 * 2**20
    """Largest request body, in bytes."""
    max_buffered_bytes: Annotated[int, Field(ge=1024)] = 256 * 2**20
    """Bytes of all the request bodies that are held at once. One alone is held whatever its size."""
    max_pixels: Annotated[int, Field(ge=1, le=2**28)] = 52_000_000
    """Largest picture, in pixels (width x height); of several in one call, all of them together."""
    max_images: Annotated[int, Field(ge=1, le=MOST_IMAGES)] = 256
    """Pictures sent in one denoise or encode call."""
    max_users: Annotated[int, Field(ge=1, le=MOST_USERS)] = 256
    """Users in one recommend call."""
    max_ratings: Annotated[int, Field(ge=1, le=MOST_RATINGS)] = 5000
    """Ratings and likes of one user. A model's own limit may be smaller."""
    max_call_ratings: Annotated[int, Field(ge=1, le=2**24)] = 100_000
    """Ratings and likes of all users of one recommend call."""
    max_count: Annotated[int, Field(ge=1, le=2**20)] = 1000
    """Items in one list: for a user, of a search, of those alike."""
    max_reason_rows: Annotated[int, Field(ge=1, le=2**20)] = 1000
    """Ratings in one recommend call that asks for reasons; each costs a run of the graph.

    Of a model that explains itself: thousands of pairs of a rating and an item of the list.
    """
    max_pictures: Annotated[int, Field(ge=1, le=MOST_PICTURES)] = 1000
    """Pictures of one generate call."""

    queue_seconds: Annotated[float, Field(gt=0, le=3600)] = 0.25
    """Time in which a burst of calls can be answered that are all let in, in seconds; 6 calls are whatever they take.

    With one call more, others are refused unless hardly any are in work, until a second has passed without a refusal.
    """
    max_queue_rows: Annotated[int, Field(ge=1)] = 4096
    """Rows (pictures, latents) that may wait for one small graph."""
    max_queue_ratings: Annotated[int, Field(ge=1)] = 2_000_000
    """Ratings, padding included, that may wait for one recommender."""
    max_queue_pixels: Annotated[int, Field(ge=1)] = 128_000_000
    """Pixels of pictures that are worked on or wait for it; as many again of those of up to a megapixel."""

    head_seconds: Annotated[float, Field(gt=0, le=3600)] = 10
    """Longest time for a request's head to arrive, in seconds; on a new connection, from its beginning."""
    idle_seconds: Annotated[int, Field(ge=1, le=3600)] = 75
    """Time after which a connection without a further request is closed, in seconds."""
    deadline_seconds: Annotated[float, Field(gt=0, le=3600)] = 30
    """Longest time from a request's first byte to its answer, in seconds; of denoise calls see MEGAPIXEL_SECONDS."""
    megapixel_seconds: Annotated[float, Field(ge=0, le=3600)] = 5
    """By how much a denoise call may take longer for each megapixel of its pictures, in seconds."""
    body_seconds: Annotated[float, Field(gt=0, le=3600)] = 10
    """Longest time for a request's body to arrive, in seconds."""
    stall_seconds: Annotated[float, Field(gt=0, le=3600)] = 30
    """Longest time for which a caller may take nothing of its answer, in seconds; then the connection is closed."""
    leave_seconds: Annotated[float, Field(ge=0, le=3600)] = 0
    """Time after SIGTERM, SIGINT or SIGHUP in which calls are still taken while `/readyz` says 503, in seconds.

    As long as a load balancer needs to notice. Then the time to drain begins.
    """
    drain_seconds: Annotated[float, Field(ge=0, le=3600)] = 20
    """Time for accepted requests to finish after SIGTERM, SIGINT or SIGHUP, in seconds."""
    scan_seconds: Annotated[float, Field(ge=0.01, le=3600)] = 2
    """Time between two looks at the model folders, in seconds."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least serious message that is logged; `debug` logs every request."""

    log_format: Literal["console", "json"] = "console"
    """Lines to read, or with `json` an object for each, with the id and the trace of the request at hand."""
    cors_origins: str = ""
    """Sites whose pages may call from a browser, such as `https://a.example,https://b.example`; `*`: all of them."""

    @field_validator("models")
    @classmethod
    def _are_folders(cls, models: str) -> str:
        if not models.strip(os.pathsep):
            raise ValueError("it names no folder")
        return models

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: str) -> str:
        for origin in filter(None, origins.split(",")):
            if origin != "*" and not ORIGIN.fullmatch(origin):
                right = "write https://HOST or https://HOST:PORT in small letters, without a path or port 443"
                raise ValueError(f"{origin!r} is no origin: {right}")
        return origins

    @field_validator("workers")
    @classmethod
    def _share_a_port(cls, workers: int) -> int:
        if workers != 1 and sys.platform != "linux":
            raise ValueError("only Linux spreads connections over several processes")
        return workers

    @cached_property
    def processes(self) -> int:
        """How many serve: they stay as many when the processors become more or fewer."""
        return self.workers or limits.processors()

    @property
    def model_bytes(self) -> int | None:
        """What `max_model_bytes` means here; None where nothing tells how much memory there is."""
        available = limits.memory()
        if self.max_model_bytes or available is None:
            return self.max_model_bytes or None
        return for_models(available // self.processes)

    @property
    def keys_file(self) -> Path | None:
        """The file of the keys as an absolute path."""
        return ROOT / Path(self.keys).expanduser() if self.keys else None

    @property
    def folders(self) -> list[Path]:
        """The model folders as absolute paths."""
        return [ROOT / Path(part).expanduser() for part in self.models.split(os.pathsep) if part]

    @property
    def origins(self) -> list[str]:
        """What `cors_origins` names."""
        return [origin for origin in self.cors_origins.split(",") if origin]

    @property
    def defaults(self) -> dict[str, str]:
        """The default model of every task."""
        return {
            "recommend": self.default_recommend,
            "denoise": self.default_denoise,
            "encode": self.default_encode,
            "generate": self.default_generate,
        }


def for_models(memory: int) -> int:
    """How much of the `memory` of a process, in bytes, its models may take unless a setting says it."""
    return max(0, min(memory // 2, memory - PROGRAM))


def unknown() -> list[str]:
    """Variables that look like settings and are none, such as one that is misspelt."""
    known = {variable(field) for field in Settings.model_fields}
    return sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known)


def read() -> Settings:
    """The settings of this process.

    Raises:
        WrongSetting: values are of the wrong kind or out of range.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise WrongSetting(" ".join(map(_told, error.errors(include_url=False)))) from error


def _told(fault: ErrorDetails) -> str:
    message = fault["msg"].removeprefix("Value error, ")
    return f"{variable(str(fault['loc'][0]))} is {fault['input']!r}, but {message[0].lower()}{message[1:]}."
