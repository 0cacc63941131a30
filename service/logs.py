"""Where log messages go, and what they look like."""

import logging


def begin(level: str) -> None:
    """Log to standard error from `level` on."""
    form = "%(asctime)s %(levelname)s %(name)s[%(process)d]: %(message)s"
    logging.basicConfig(level=level.upper(), format=form)
    logging.getLogger("PIL").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
