"""Where log messages go, and what they look like."""

import logging
from contextvars import ContextVar
from typing import Literal, NamedTuple

Form = Literal["console", "json"]


class About(NamedTuple):
    """The request at hand. What is empty is not told: there may be no trace, or no key."""

    request_id: str
    trace_id: str
    key: str = ""
    """Its name."""


ABOUT: ContextVar[About | None] = ContextVar("about", default=None)


def begin(level: str, form: Form) -> None:
    """Log to standard error from `level` on: lines to read, or an object of JSON for each."""
    handler = logging.StreamHandler()
    handler.setFormatter(_json() if form == "json" else logging.Formatter(_CONSOLE))
    handler.addFilter(_tell)
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.getLogger("PIL").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


_CONSOLE = "%(asctime)s %(levelname)s %(name)s[%(process)d]: %(message)s"


def _json() -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter

    return JsonFormatter(
        ["levelname", "name", "process", "message"],
        rename_fields={"levelname": "level", "name": "logger", "exc_info": "exception"},
        timestamp="time",
        json_ensure_ascii=False,
    )


def _tell(record: logging.LogRecord) -> bool:
    """Every message tells which request it is about."""
    about = ABOUT.get()
    if about is not None:
        record.__dict__.update({name: value for name, value in about._asdict().items() if value})
    return True
