import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.keys import Keys, WrongKeys, read, scope_of
from service.problems import KeyWrong
from tests.service.conftest import parsed, raw, refused, serving

APP, OPS, OLD = "a" * 40, "b" * 40, "c" * 40


def line(name: str, scopes: str, key: str) -> str:
    return f"{name} {scopes} {hashlib.sha256(key.encode()).hexdigest()}\n"


def write(path: Path, *lines: str) -> None:
    """Replace the file whole, as one should: a new inode, whatever the clock's resolution."""
    fresh = path.with_suffix(".new")
    fresh.write_text("# keys of the test\n\n" + "".join(lines))
    os.replace(fresh, path)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    write(path, line("app", "infer", APP), line("ops", "infer,admin", OPS), line("old", "infer", OLD))
    return path


@pytest.fixture
def client(zoo: Path, keys: Path) -> Iterator[httpx.Client]:
    with serving(zoo, keys=str(keys)) as (_, client):
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_without_a_key_nothing_is_answered_but_what_tells_of_the_service(client: httpx.Client) -> None:
    for path in (
        "/livez",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/problems/key-missing",
        "/v2/health/ready",
    ):
        assert client.get(path).status_code == 200, path
    for path in ("/v1/models", "/v1/models/digits-vae", "/v2/models/digits-vae.encode", "/v1/nothing"):
        answer = client.get(path)
        refused(answer, 401, "key-missing") if path.startswith("/v1") else None
        assert answer.headers["www-authenticate"] == "Bearer"
    for call in ("recommend", "denoise", "encode", "generate"):
        refused(client.post(f"/v1/{call}", json={}), 401, "key-missing")


@pytest.mark.parametrize("headers", [bearer(APP), {"authorization": f"bearer  {APP}"}, {"x-api-key": APP}])
def test_a_key_opens_the_calls(client: httpx.Client, headers: dict[str, str]) -> None:
    assert client.get("/v1/models", headers=headers).status_code == 200
    assert client.post("/v1/generate", json={"seed": 1}, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "key", [APP[:-1], APP + "a", APP.upper(), "x", "\xe4", "a" * 10_000, hashlib.sha256(APP.encode()).hexdigest()]
)
def test_a_wrong_key_opens_nothing(client: httpx.Client, key: str) -> None:
    answer = client.get("/v1/models", headers={"x-api-key": key.encode("latin-1")})  # type: ignore[dict-item]
    refused(answer, 401, "key-wrong")
    assert "invalid_token" in answer.headers["www-authenticate"]


def test_another_scheme_is_no_key(client: httpx.Client) -> None:
    refused(client.get("/v1/models", headers={"authorization": f"Basic {APP}"}), 401, "key-missing")


def test_a_body_is_not_read_before_the_key(client: httpx.Client) -> None:
    answer = client.post("/v1/denoise", content=b"\0" * 2**20, headers={"content-type": "image/png"})
    refused(answer, 401, "key-missing")


@pytest.mark.parametrize(
    "more", ["content-length: 999999999999", "content-length: 9\r\nexpect: 100-continue"], ids=["large", "asks first"]
)
def test_without_a_key_no_body_is_waited_for_that_may_not_be_or_asks_first(zoo: Path, keys: Path, more: str) -> None:
    with serving(zoo, keys=str(keys), body_seconds=3600) as (server, _):
        head = f"POST /v1/denoise HTTP/1.1\r\nhost: a\r\ncontent-type: image/png\r\n{more}\r\n\r\n"
        with raw(server.port, head.encode()) as connection:
            answer = parsed(connection)
            refused(answer, 401, "key-missing")
            assert answer.headers["connection"] == "close"


def test_only_who_may_administrate_does(client: httpx.Client) -> None:
    answer = client.post("/v2/repository/index", headers=bearer(APP))
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/scope-missing")
    assert "The key app has not the scope admin" in answer.json()["detail"]
    assert client.post("/v2/repository/index", headers=bearer(OPS)).status_code == 200


def test_without_keys_all_may_infer_and_nobody_administrates(zoo: Path) -> None:
    with serving(zoo) as (_, client):
        assert client.get("/v1/models").status_code == 200
        assert client.get("/v1/models", headers=bearer("anything")).status_code == 200
        answer = client.post("/v2/repository/index")
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/scope-missing")
        assert "HARMONIUM_KEYS" in answer.json()["detail"]


def test_keys_change_without_a_restart(client: httpx.Client, keys: Path) -> None:
    assert client.get("/v1/models", headers=bearer(OLD)).status_code == 200
    write(keys, line("app", "infer", APP), line("new", "infer", "d" * 40))
    refused(client.get("/v1/models", headers=bearer(OLD)), 401, "key-wrong")
    for key in (APP, "d" * 40):
        assert client.get("/v1/models", headers=bearer(key)).status_code == 200


def test_a_file_that_breaks_leaves_the_keys_as_they_were(
    client: httpx.Client, keys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for broken in ("app infer 1234\n", None):
        caplog.clear()
        with caplog.at_level(logging.ERROR, "service"):
            if broken is None:
                keys.unlink()
            else:
                write(keys, broken)
            for _ in range(3):
                assert client.get("/v1/models", headers=bearer(APP)).status_code == 200
                refused(client.get("/v1/models", headers=bearer("x" * 40)), 401, "key-wrong")
        assert "the keys stay as they were" in caplog.text
    write(keys, line("new", "infer", "d" * 40))
    assert client.get("/v1/models", headers=bearer("d" * 40)).status_code == 200
    refused(client.get("/v1/models", headers=bearer(APP)), 401, "key-wrong")


def test_keys_that_could_not_be_read_for_a_while_count_as_soon_as_they_can(keys: Path) -> None:
    found = Keys(keys)
    old = keys.rename(keys.with_name("old"))
    write(new := keys.with_name("new"), line("new", "infer", "d" * 40))
    keys.symlink_to(keys)  # not even root can read that
    headers = {b"x-api-key": ("d" * 40).encode()}
    with pytest.raises(KeyWrong):
        found.check("/v1/models", headers)
    for name, target in (("new", new), ("app", old)):
        keys.unlink()
        keys.symlink_to(target)
        assert found.check("/v1/models", headers | ({} if name == "new" else {b"x-api-key": APP.encode()})) == name


SECRET = "5ec2e7" * 10 + "0000"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("app infer", "it has 2 of 3 fields"),
        (SECRET, "it has 1 of 3 fields"),
        (f"app infer {SECRET} more", "it has more than 3 fields"),
        (f"app infer, admin {SECRET}", "it has more than 3 fields"),
        (f"app read {SECRET}", "the second field must be scopes (infer or admin), with a comma between two of them"),
        (f"app infer, {SECRET}", "the second field must be scopes (infer or admin), with a comma between two of them"),
        (f"app {SECRET} infer", "the second field must be scopes (infer or admin), with a comma between two of them"),
        (f"app infer {SECRET[1:]}", "the third field must be the SHA-256 of the key, 64 digits, and has 63"),
        (
            f"app infer {SECRET[1:]}z",
            "the third field must be the SHA-256 of the key in hexadecimal, and has other characters",
        ),
    ],
)
def test_what_is_wrong_with_a_line_is_told_without_its_secrets(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# first\n{text}\n")
    with pytest.raises(WrongKeys) as told:
        read(path)
    assert str(told.value) == f"{path} line 2: {fault}; write NAME infer|admin[,...] DIGEST"
    assert told.value.__cause__ is None
    assert "5ec2e7" not in str(told.value)


@pytest.mark.parametrize("make", ["missing", "binary", "huge", "folder"])
def test_a_file_that_cannot_be_read_is_refused_at_the_start(tmp_path: Path, make: str) -> None:
    path = tmp_path / "keys"
    if make == "binary":
        path.write_bytes(b"\xff\xfe\0")
    elif make == "huge":
        path.write_text("#" * (2**20 + 1))
    elif make == "folder":
        path.mkdir()
    with pytest.raises(WrongKeys, match=str(path)):
        Keys(path)


def test_an_empty_file_lets_nobody_in(tmp_path: Path, zoo: Path) -> None:
    (path := tmp_path / "keys").write_text("")
    with serving(zoo, keys=str(path)) as (_, client):
        refused(client.get("/v1/models", headers=bearer(APP)), 401, "key-wrong")


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/v1/recommend", "infer"),
        ("/v1/models/x/items", "infer"),
        ("/v2/models/x/infer", "infer"),
        ("/v2/health/live", None),
        ("/v2", None),
        ("/v2/repository/index", "admin"),
        ("/v2/repositoryx", "admin"),
        ("/livez", None),
        ("/docs/static/x", None),
    ],
)
def test_which_paths_need_what(path: str, scope: str | None) -> None:
    assert scope_of(path) == scope
