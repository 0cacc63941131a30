import httpx
import pytest

from service.media.negotiation import JPEG, JSON, PNG, accepted, body_type
from service.problems import NotAcceptable, UnsupportedType
from tests.service.conftest import png, refused


@pytest.mark.parametrize(
    ("header", "kinds"),
    [
        (None, [PNG, JPEG]),
        ("", [PNG, JPEG]),
        ("*/*", [PNG, JPEG]),
        ("image/*", [PNG, JPEG]),
        ("image/jpeg", [JPEG]),
        ("IMAGE/JPEG;q=0.5, image/png;q=0.4", [JPEG, PNG]),
        ("image/jpeg, */*;q=0.1", [JPEG, PNG]),
        ("*/*, image/png;q=0", [JPEG]),
        ("image/*;q=0.2, image/jpeg", [JPEG, PNG]),
        ("text/html, image/png", [PNG]),
        ('image/png;q="1"', [PNG]),
    ],
)
def test_accept(header: str | None, kinds: list[str]) -> None:
    assert accepted(header, [PNG, JPEG]) == kinds


@pytest.mark.parametrize(
    "header", ["text/html", "image/png;q=0", "image/png;q=x", "image/png;q=nan", "*/*;q=2", "image/webp"]
)
def test_accept_of_nothing_served(header: str) -> None:
    with pytest.raises(NotAcceptable, match="image/png, image/jpeg"):
        accepted(header, [PNG, JPEG])


@pytest.mark.parametrize("header", ["application/json", "Application/JSON; charset=UTF-8"])
def test_content_type(header: str) -> None:
    assert body_type(header, [JSON]) == JSON


@pytest.mark.parametrize("header", [None, "", "text/plain", "application/json; charset=latin-1"])
def test_content_type_not_served(header: str | None) -> None:
    with pytest.raises(UnsupportedType) as caught:
        body_type(header, [JSON])
    assert caught.value.headers == {"Accept": "application/json"}


def test_refusals_name_what_is_served(client: httpx.Client) -> None:
    picture = png(8, 8)
    read = "image/png, image/jpeg, image/webp, image/tiff, application/x-npy, application/json"
    for path in ("denoise", "encode"):
        answer = client.post(f"/v1/{path}", content=picture, headers={"content-type": "image/gif"})
        assert read in refused(answer, 415, "unsupported-type")
        assert answer.headers["accept"] == read
    for path, forms in (
        ("denoise", "image/png, image/jpeg, image/webp, application/x-npy, application/json"),
        ("encode", "application/json, application/x-npy"),
    ):
        headers = {"content-type": "image/png", "accept": "image/gif"}
        assert forms in refused(client.post(f"/v1/{path}", content=picture, headers=headers), 406, "not-acceptable")
    answer = client.post("/v1/generate", json={}, headers={"accept": "image/gif"})
    assert "image/png, image/webp, application/json" in refused(answer, 406, "not-acceptable")
    answer = client.post("/v1/recommend", data={"users": "1"})
    assert "application/json" in refused(answer, 415, "unsupported-type")


@pytest.mark.parametrize("encoding", ["gzip", "identity, BR"])
def test_compressed_bodies_are_refused(client: httpx.Client, encoding: str) -> None:
    for path, kind in (("recommend", "application/json"), ("denoise", "image/png"), ("encode", "image/png")):
        headers = {"content-type": kind, "content-encoding": encoding}
        detail = refused(client.post(f"/v1/{path}", content=b"", headers=headers), 415, "unsupported-type")
        assert f"{encoding.split()[-1]}; bodies are sent unencoded" in detail


def test_an_identity_encoding_is_none(client: httpx.Client) -> None:
    headers = {"content-encoding": "Identity"}
    assert client.post("/v1/generate", json={}, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/recommend"),
        ("POST", "/v1/generate"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/photo-dae"),
        ("GET", "/v1/models/photo-dae/versions/1"),
    ],
)
def test_query_parameters_are_not_ignored(client: httpx.Client, method: str, path: str) -> None:
    body = {"json": {"users": [{}]} if path == "/v1/recommend" else {}} if method == "POST" else {}
    detail = refused(
        client.request(method, f"{path}?seed=1&a/b&seed=2", **body), 422, "invalid-fields", "/seed", "/a~1b"
    )
    assert ("JSON body" in detail) == (method == "POST")
    assert client.request(method, f"{path}?", **body).status_code == 200


def test_accept_is_decided_before_the_body_is_read(client: httpx.Client) -> None:
    answer = client.post("/v1/recommend", content=b"{", headers={"accept": "text/html"})
    refused(answer, 406, "not-acceptable")
