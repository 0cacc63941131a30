"""Every refusal that the service knows, one class each. No framework is imported here.

    Problem
    ├── MalformedBody      400    ├── WrongTask           409
    ├── KeyMissing         401    ├── BodyTooLarge        413
    ├── KeyWrong           401    ├── PictureTooLarge     413
    ├── ScopeMissing       403    ├── UnsupportedType     415
    ├── CrossOrigin        403    ├── InvalidFields       422
    ├── UnknownPath        404    ├── UnreadablePicture   422
    ├── UnknownModel       404    ├── UnreadableArray     422
    ├── UnknownVersion     404    ├── Internal            500
    ├── UnknownItem        404    ├── Deadline            504
    ├── Method             405    └── Unavailable         503, with Retry-After
    ├── NotAcceptable      406        ├── Overloaded
    ├── BodyTooSlow        408        ├── NotReady
    │                                 └── Draining

The docstring of a class is what `GET /problems/NAME` answers.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

MEDIA_TYPE = "application/problem+json"
MAX_FAULTS = 20
"""Of a request that are listed."""


class Fault(NamedTuple):
    """What is wrong with one field; `pointer` is a JSON pointer (RFC 6901) into the request."""

    pointer: str
    detail: str


class Problem(Exception):
    """A refusal as RFC 9457 describes it: the caller learns what was wrong and what to do about it."""

    status: ClassVar[int]
    title: ClassVar[str]

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[Fault] = (),
        setting: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.setting = setting
        self.headers = dict(headers or {})

    @classmethod
    def name(cls) -> str:
        """The last part of the problem's `type`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    def to_bytes(self, request_id: str, *, protocol: bool = False) -> bytes:
        """The body of the answer, `application/problem+json`; clients of /v2, the `protocol`, read its `error`."""
        tree: dict[str, object] = {
            "type": f"/problems/{self.name()}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": request_id,
        }
        if protocol:
            tree["error"] = self.detail
        if self.errors:
            tree["errors"] = [fault._asdict() for fault in self.errors]
        if self.setting:
            tree["setting"] = self.setting
        return json.dumps(tree, ensure_ascii=False).encode(errors="replace")


class MalformedBody(Problem):
    """The body is not JSON: it is empty, cut off, not UTF-8, or nested too deeply."""

    status, title = 400, "The body is not JSON"


class KeyMissing(Problem):
    """The service answers only to those who have a key. Send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`."""

    status, title = 401, "A key is needed"

    def __init__(self) -> None:
        detail = "Send a key, as Authorization: Bearer KEY or X-API-Key: KEY."
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class KeyWrong(Problem):
    """The key that was sent is none, or no more."""

    status, title = 401, "The key is wrong"

    def __init__(self) -> None:
        detail = "The service does not know this key, or does no more."
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


class ScopeMissing(Problem):
    """The key is right, but its owner may not do this."""

    status, title = 403, "The key does not allow this"


class CrossOrigin(Problem):
    """A browser asked whether a page of another site may send this, and it may not: see HARMONIUM_CORS_ORIGINS."""

    status, title = 403, "The page may not send this"


class UnknownPath(Problem):
    """Nothing is served at this path. `/docs` lists what is."""

    status, title = 404, "Unknown path"


class UnknownModel(Problem):
    """No version of a model of this name is loaded. `GET /v1/models` lists what is, and why others were refused."""

    status, title = 404, "Unknown model"


class UnknownVersion(Problem):
    """The model is loaded, but not in this version. Leave `version` out to get the current one."""

    status, title = 404, "Unknown version"


class UnknownItem(Problem):
    """The model has no item of this id. `GET /v1/models/NAME/items` finds those it has by their titles."""

    status, title = 404, "Unknown item"


class Method(Problem):
    """The path exists, but not for this method. The header `Allow` names those it has."""

    status, title = 405, "Method not allowed"

    def __init__(self, allow: str) -> None:
        super().__init__(f"This path answers {allow}.", headers={"Allow": allow})


class NotAcceptable(Problem):
    """None of the forms that `Accept` names can be given. The detail lists those that can."""

    status, title = 406, "No acceptable form of the answer"


class BodyTooSlow(Problem):
    """The body did not arrive in time, see HARMONIUM_BODY_SECONDS. The connection is closed."""

    status, title = 408, "The body came too slowly"


class WrongTask(Problem):
    """The model exists, but does something else. `GET /v1/models` lists the tasks of each."""

    status, title = 409, "The model does not do this"


class BodyTooLarge(Problem):
    """The body has more bytes than HARMONIUM_MAX_BODY_BYTES allows. They are counted as they arrive."""

    status, title = 413, "The body is too large"


class PictureTooLarge(Problem):
    """The pictures of the call have more pixels together than HARMONIUM_MAX_PIXELS allows, or one a side above 65,500.

    Sizes are read from the headers, before anything is decoded. With `view=compare` the answer has twice as many.
    """

    status, title = 413, "The picture is too large"


class UnsupportedType(Problem):
    """The body is of a type that is not read here. The header `Accept` names those that are."""

    status, title = 415, "Unsupported type of body"

    def __init__(self, detail: str, served: Sequence[str]) -> None:
        super().__init__(f"{detail} Served: {', '.join(served)}.", headers={"Accept": ", ".join(served)})


class InvalidFields(Problem):
    """A field or query parameter is missing, unknown, of the wrong kind or out of range; `errors` points at it."""

    status, title = 422, "Invalid fields"

    def __init__(self, errors: Sequence[Fault], setting: str | None = None) -> None:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        told = f"{errors[0].pointer or 'the body'}: {errors[0].detail}{more}"
        super().__init__(told, errors=errors[:MAX_FAULTS], setting=setting)


class UnreadablePicture(Problem):
    """The bytes are not a picture of the type that they should be, are cut off, or of a kind that is not read.

    Read are PNG, JPEG, WebP and TIFF: one frame of grey, palette or RGB, with alpha or without, 8 bit a channel, or
    16-bit grey. A TIFF may be uncompressed, or compressed by LZW, Deflate or PackBits.
    """

    status, title = 422, "The picture cannot be read"


class UnreadableArray(Problem):
    """The bytes are no NumPy array (.npy) of pictures: `[H,W]`, `[H,W,C]` or `[B,H,W,C]`, C 1 or 3.

    Read are uint8, uint16, float32 and float64 of either byte order; floats from -4 to 5, where 0 to 1 is nominal.
    Nothing is ever unpickled.
    """

    status, title = 422, "The array cannot be read"


class Internal(Problem):
    """A fault of ours. The log has the details under the id in `instance`."""

    status, title = 500, "Internal error"

    def __init__(self) -> None:
        super().__init__("The service failed to answer. Its log has the reason under this answer's `instance`.")


class Unavailable(Problem):
    """Not now; `Retry-After` says in how many seconds to try again."""

    status = 503
    retry_seconds: ClassVar[int] = 1

    def __init__(self, detail: str, setting: str | None = None) -> None:
        super().__init__(detail, setting=setting, headers={"Retry-After": str(self.retry_seconds)})


class Overloaded(Unavailable):
    """More work waits than the service admits. What was begun for this call is dropped.

    Try again after `Retry-After` seconds.
    """

    title = "Too much work is waiting"


class NotReady(Unavailable):
    """The models are still being loaded, or the device that was asked for is missing. `GET /readyz` tells which."""

    title = "Not ready"


class Draining(Unavailable):
    """The service is about to stop and takes no more work. Another replica will."""

    title = "The service is stopping"


class Deadline(Problem):
    """The answer was not there in time, and the work was dropped. See HARMONIUM_DEADLINE_SECONDS and, of large
    pictures, HARMONIUM_MEGAPIXEL_SECONDS."""

    status, title = 504, "Too late"

    def __init__(self) -> None:
        super().__init__("The answer was not ready in time.", setting="HARMONIUM_DEADLINE_SECONDS")


def _leaves(kind: type[Problem]) -> list[type[Problem]]:
    below = kind.__subclasses__()
    return [leaf for child in below for leaf in _leaves(child)] if below else [kind]


KINDS = {kind.name(): kind for kind in _leaves(Problem)}
"""Every refusal by the last part of its `type`."""
