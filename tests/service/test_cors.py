"""Pages of other sites: closed unless a setting names them."""

from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from service.settings import Settings
from tests.service.conftest import refused, serving

SHOP, OTHER = "https://shop.example", "https://other.example"
ASK = {"access-control-request-method": "POST", "access-control-request-headers": "content-type,authorization"}


def test_no_page_of_another_site_may_call_by_default(client: httpx.Client) -> None:
    answer = client.get("/v1/models", headers={"origin": SHOP})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert client.options("/v1/recommend", headers={"origin": SHOP, **ASK}).status_code == 405


def test_a_site_that_is_named_may_call_and_read_refusals(zoo: Path) -> None:
    with serving(zoo, cors_origins=f"{SHOP},http://localhost:3000") as (_, client):
        for origin, allowed in ((SHOP, SHOP), ("http://localhost:3000", "http://localhost:3000"), (OTHER, None)):
            asked = client.options("/v1/recommend", headers={"origin": origin, **ASK})
            assert (asked.status_code, asked.headers.get("access-control-allow-origin")) == (
                200 if allowed else 403,
                allowed,
            )
            if not allowed:
                told = refused(asked, 403, "cross-origin", setting="HARMONIUM_CORS_ORIGINS")
                assert told == f"Pages of {OTHER} may not call."
            for path, status in (("/v1/models", 200), ("/v1/models/nowhere", 404)):
                answer = client.get(path, headers={"origin": origin})
                assert (answer.status_code, answer.headers.get("access-control-allow-origin")) == (status, allowed)
        seen = client.get("/livez", headers={"origin": SHOP}).headers["access-control-expose-headers"]
        assert {"X-Noise-Level", "Inference-Header-Content-Length"} <= set(seen.split(", "))


@pytest.mark.parametrize(
    "asked",
    [
        {"access-control-request-method": "DELETE"},
        {"access-control-request-method": "POST", "access-control-request-headers": "content-type,x-other"},
    ],
    ids=["method", "header"],
)
def test_what_pages_may_not_send_is_told_to_them(zoo: Path, tmp_path: Path, asked: dict[str, str]) -> None:
    """Keys are no condition: a browser sends none with its question."""
    (keys := tmp_path / "keys").write_text("")
    with serving(zoo, cors_origins=SHOP, keys=str(keys)) as (_, client):
        for _ in range(2):
            answer = client.options("/v1/recommend", headers={"origin": SHOP, **asked})
            detail = refused(answer, 403, "cross-origin")
            assert "GET and POST" in detail
            assert "X-API-Key" in detail
            assert answer.headers["access-control-allow-origin"] == SHOP
            assert "connection" not in answer.headers


@pytest.mark.parametrize(
    "wrong",
    ["shop.example", "https://shop.example/", "ftp://a", "https://", "https://Shop.example", "https://a.example:443"],
)
def test_what_is_no_origin_stops_the_start(wrong: str) -> None:
    with pytest.raises(ValidationError, match="is no origin: write https://HOST"):
        Settings(cors_origins=wrong)
