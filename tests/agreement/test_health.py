"""Whether it lives and is ready; its pages."""

import httpx
import pytest

from tests.agreement import client as api
from tests.agreement.asking import DEFAULTS, TASKS


def test_process_lives(client: httpx.Client) -> None:
    assert api.alive(client)


def test_readiness_has_the_fields_of_the_agreement(client: httpx.Client) -> None:
    answer = api.readiness(client).value
    assert set(answer) == {"ready", "models", "device", "reasons"}
    assert answer["ready"] is True
    assert set(DEFAULTS.values()) <= set(answer["models"])


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_page_is_served(client: httpx.Client, path: str) -> None:
    """Reading: by a redirection if need be."""
    response = client.get(path, follow_redirects=True)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")


def test_description_of_the_api_is_served(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {f"/v1/{task}" for task in TASKS} <= set(paths)
