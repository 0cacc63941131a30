"""Pages of other sites: closed unless a setting names them."""

from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from service.settings import Settings
from tests.service.conftest import serving

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
                200 if allowed else 400,
                allowed,
            )
            for path, status in (("/v1/models", 200), ("/v1/models/nowhere", 404)):
                answer = client.get(path, headers={"origin": origin})
                assert (answer.status_code, answer.headers.get("access-control-allow-origin")) == (status, allowed)
        seen = client.get("/livez", headers={"origin": SHOP}).headers["access-control-expose-headers"]
        assert {"X-Noise-Level", "Inference-Header-Content-Length"} <= set(seen.split(", "))


@pytest.mark.parametrize(
    "wrong",
    ["shop.example", "https://shop.example/", "ftp://a", "https://", "https://Shop.example", "https://a.example:443"],
)
def test_what_is_no_origin_stops_the_start(wrong: str) -> None:
    with pytest.raises(ValidationError, match="is no origin: write https://HOST"):
        Settings(cors_origins=wrong)
