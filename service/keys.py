"""Who may call: keys, known by their SHA-256 digests, with scopes.

The file has a line for each key, `NAME SCOPE[,SCOPE] DIGEST`, and comments after `#`. It is read again whenever it
changes, so keys are added and withdrawn without a restart. One that cannot be read leaves the keys as they were.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple, cast, get_args

from service.problems import KeyMissing, KeyWrong, ScopeMissing

log = logging.getLogger("service")

Scope = Literal["infer", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
RIGHT = f"write NAME {'|'.join(SCOPES)}[,...] DIGEST"
DIGITS = 64
"""Of a SHA-256 digest in hexadecimal."""
MOST_BYTES = 2**20
"""Of the file."""
MOST_CHARACTERS = 1024
"""Of a key that is looked at."""


class WrongKeys(ValueError):
    """The file of the keys cannot be read; the message is one sentence that names it."""


class Key(NamedTuple):
    name: str
    scopes: frozenset[Scope]
    digest: bytes


def scope_of(path: str) -> Scope | None:
    """What a caller of `path` must be allowed to do; None: everybody may call it."""
    if path.startswith("/v2/repository"):
        return "admin"
    if path.startswith(("/v1/", "/v2/")) and not path.startswith("/v2/health/"):
        return "infer"
    return None


class Keys:
    """Those of one file, or none."""

    def __init__(self, path: Path | None) -> None:
        """Without a `path` everybody may infer, and nobody administrate.

        Raises:
            WrongKeys: the file cannot be read.
        """
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._keys: tuple[Key, ...] = ()
        self._fault = ""
        """Why the file could not be read when it was last tried: told once."""
        if path is not None:
            self._keys = read(path)
            self._seen = _state(path)

    @property
    def open(self) -> bool:
        """Whether calls need no key."""
        return self._path is None

    def told(self) -> str:
        """Whose they are, for the log."""
        return f"keys: {', '.join(key.name for key in self._keys) or 'none, so nobody may call'}"

    def check(self, path: str, headers: Mapping[bytes, bytes]) -> str:
        """The name of the key that lets a call of `path` pass, by its headers with their names in small letters.

        Empty where none is needed.

        Raises:
            KeyMissing, KeyWrong, ScopeMissing.
        """
        scope = scope_of(path)
        if scope is None or (self.open and scope == "infer"):
            return ""
        if self.open:
            detail = (
                "Only a key of the scope admin may do this, and there are no keys: HARMONIUM_KEYS names their file."
            )
            raise ScopeMissing(detail)
        self._renew()
        given = _given(headers)
        if given is None:
            raise KeyMissing
        digest = hashlib.sha256(given).digest()
        # All of them are compared, each in a time that does not depend on where it differs.
        found = [key for key in self._keys if hmac.compare_digest(key.digest, digest)]
        if not found:
            raise KeyWrong
        able = [key for key in found if scope in key.scopes]
        if not able:
            raise ScopeMissing(f"The key {found[0].name} has not the scope {scope}, which this call needs.")
        return able[0].name

    def _renew(self) -> None:
        assert self._path is not None
        try:
            state = _state(self._path)
            if state == self._seen:
                return
            self._keys = read(self._path)
            self._seen = state  # not before: what hindered it may be gone at the next call
        except (OSError, WrongKeys) as error:
            if str(error) != self._fault:
                log.error("the keys stay as they were: %s", error)
            self._fault = str(error)
        else:
            self._fault = ""
            log.log(logging.INFO if self._keys else logging.WARNING, "%s", self.told())


def read(path: Path) -> tuple[Key, ...]:
    """The keys of the file.

    Raises:
        WrongKeys: it cannot be read, or a line is none.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MOST_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise WrongKeys(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(text) > MOST_BYTES:
        raise WrongKeys(f"{path} has more than {MOST_BYTES} characters")
    keys: list[Key] = []
    for number, line in enumerate(text.splitlines(), 1):
        told = line.partition("#")[0].strip()
        if not told:
            continue
        try:
            keys.append(_key(told))
        except ValueError as error:
            raise WrongKeys(f"{path} line {number}: {error}; {RIGHT}") from None
    return tuple(keys)


def _key(told: str) -> Key:
    """That of a line without its comment.

    Raises:
        ValueError: what is wrong, without a word of the line: whatever stands at the wrong place may be a secret.
    """
    fields = told.split()
    if len(fields) != len(Key._fields):
        raise ValueError(f"it has {len(fields)} of 3 fields" if len(fields) < 3 else "it has more than 3 fields")
    name, scopes, digest = fields
    if not set(scopes.split(",")) <= set(SCOPES):
        raise ValueError(f"the second field must be scopes ({' or '.join(SCOPES)}), with a comma between two of them")
    if not re.fullmatch(r"[0-9a-fA-F]*", digest):
        raise ValueError("the third field must be the SHA-256 of the key in hexadecimal, and has other characters")
    if len(digest) != DIGITS:
        raise ValueError(f"the third field must be the SHA-256 of the key, {DIGITS} digits, and has {len(digest)}")
    return Key(name, cast(frozenset[Scope], frozenset(scopes.split(","))), bytes.fromhex(digest))


def _given(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The key of `Authorization: Bearer`, or else of `X-API-Key`."""
    scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
    found = key.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"").strip()
    return found[:MOST_CHARACTERS] or None


def _state(path: Path) -> tuple[int, int, int]:
    """What changes when the file does.

    Raises:
        OSError.
    """
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns
