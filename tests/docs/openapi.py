"""Writes `docs/openapi.json` from the code, for review: `make openapi`."""

import json
from pathlib import Path

from service.app import create_app
from service.settings import Settings
from service.state import State

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.json"


def document() -> str:
    """The OpenAPI document of the service with default settings."""
    return json.dumps(create_app(State(Settings())).openapi(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    COMMITTED.write_text(document())
