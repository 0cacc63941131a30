"""Headers, query strings, paths and methods that nobody in his right mind sends."""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote

from tests.robustness.hostile.case import JSON, OK, Case, Outcome, no
from tests.service.conftest import png

PICTURE = png(5, 4)
EMPTY = b'{"users": [{}]}'
READ = "image/png, image/jpeg, image/webp, image/tiff, application/x-npy, application/json"
OTHER, NOTHING, FIELDS = no("unsupported-type"), no("not-acceptable"), no("invalid-fields")


def cases() -> Iterator[Case]:
    yield from types()
    yield from accepts()
    yield from headers()
    yield from queries()
    yield from paths()
    yield from methods()


def denoise(name: str, outcome: Outcome, **more: object) -> Case:
    return replace(Case(name, outcome, "/v1/denoise", PICTURE, "image/png"), **more)


def types() -> Iterator[Case]:
    for kind, outcome in {
        "image/png": OK,
        "IMAGE/PNG": OK,
        "image/png;": OK,
        "image/png ; charset=utf-16; =; ;;q=0": OK,
        'image/png; a="b;c"': OK,
        "\timage/png": OK,
        "": OTHER,
        "image": OTHER,
        "image/": OTHER,
        "/png": OTHER,
        "image/*": OTHER,
        "*/*": OTHER,
        "image/png, image/jpeg": OTHER,
        "image /png": OTHER,
        "image/png\u00a0": OK,
        "image/gif": OTHER,
        "image/svg+xml": OTHER,
        "image/bmp": OTHER,
        "application/octet-stream": OTHER,
        "application/x-www-form-urlencoded": OTHER,
        "multipart/form-data; boundary=x": OTHER,
        "application/x-pickle": OTHER,
        "text/html,<script>alert(1)</script>": OTHER,
        "image/png" + "x" * 50_000: OTHER,
        ";" * 10_000: OTHER,
        "image/jpeg": no("unreadable-picture"),
        "image/webp": no("unreadable-picture"),
        "image/tiff": no("unreadable-picture"),
        "application/x-npy": no("unreadable-array"),
        "application/json": no("malformed-body"),
    }.items():
        yield denoise(f"a PNG as {kind[:40]!r}, {len(kind)}", outcome, kind=kind.encode("latin-1"))
    yield denoise("a PNG of no type", OTHER, kind=None)
    yield denoise("a type of bytes", OTHER, kind=b"\xff\xfe\x80")
    for charset, outcome in {
        "utf-8": OK,
        '"UTF-8"': OK,
        "us-ascii": OK,
        "utf8": OK,
        "": OTHER,
        "utf-16": OTHER,
        "latin-1": OTHER,
        "utf-7": OTHER,
        "idna": OTHER,
        "x" * 1000: OTHER,
    }.items():
        yield Case(f"JSON in {charset[:20]!r}", outcome, "/v1/recommend", EMPTY, f"{JSON}; charset={charset}")
    for kind in ("application/problem+json", "text/json", "application/ld+json", "application/json-patch+json"):
        yield Case(f"JSON as {kind}", OTHER, "/v1/recommend", EMPTY, kind)
    for encoding, outcome in {
        "identity": OK,
        "": OK,
        " , identity,": OK,
        "gzip": OTHER,
        "br": OTHER,
        "deflate": OTHER,
        "zstd": OTHER,
        "GZip, identity": OTHER,
        "aws-chunked": OTHER,
        "nothing": OTHER,
        "gzip" * 5000: OTHER,
    }.items():
        for call, kind, body in (("recommend", JSON, EMPTY), ("denoise", "image/png", PICTURE)):
            coded = (("content-encoding", encoding),)
            name = f"{call} in the encoding {encoding[:20]!r}, {len(encoding)}"
            yield Case(name, outcome, f"/v1/{call}", body, kind, coded)


def accepts() -> Iterator[Case]:
    for header, outcome in {
        "*/*": OK,
        "*": NOTHING,
        "image": NOTHING,
        "image/*": OK,
        "*/png": NOTHING,
        "IMAGE/PNG": OK,
        "image/avif": NOTHING,
        "image/png;q=0": NOTHING,
        "image/*;q=0": NOTHING,
        "*/*;q=0, image/png;q=0.001": OK,
        "image/png;q=1e400": NOTHING,
        "image/png;q=nan": NOTHING,
        "image/png;q=-1": NOTHING,
        "image/png;q=": NOTHING,
        "image/png;q=1;q=0": NOTHING,
        "image/png;q=0x1": NOTHING,
        'image/png;q="0.5"': OK,
        "image/png;;;;": OK,
        ",,,": NOTHING,
        ", ,image/png, ,": OK,
        "text/html, application/xhtml+xml, */*;q=0.8": OK,
        '"image/png"': NOTHING,
        "\u00e9/\u00ff": NOTHING,
        "image/png" + ";a=b" * 10_000: OK,
        ",".join(["text/html;q=0.1"] * 3000): NOTHING,
        ",".join(["text/html;q=0.1"] * 3000 + ["image/png"]): OK,
        "a/" + "b" * 60_000: NOTHING,
    }.items():
        name = f"Accept {header[:40]!r}, {len(header)}"
        yield denoise(name, outcome, headers=(("accept", header.encode("latin-1")),))
    yield denoise("Accept that is empty", OK, headers=(("accept", ""),))
    yield denoise("Accept of bytes", NOTHING, headers=(("accept", b"\x80\xff"),))
    yield denoise("several Accept", OK, headers=(("accept", "text/html"), ("accept", "image/png")))
    for path in (
        "/v1/models",
        "/v1/models/photo-dae",
        "/v1/models/photo-dae/versions/1",
        "/v1/models/movies-rbm/items",
    ):
        image = (("accept", "image/png"),)
        yield Case(f"{path} as a picture", NOTHING, path, b"", None, image, "GET")
    for form, outcome in {"single": NOTHING, "sheet": no("invalid-fields", "/form")}.items():
        body = b'{"seed": 1, "count": 2, "form": "%b"}' % form.encode()
        yield Case(f"two pictures as one {form}", outcome, "/v1/generate", body, JSON, (("accept", "image/*"),))
    body = b'{"seed": 1}'
    yield Case("an animation of one", NOTHING, "/v1/generate", body, JSON, (("accept", "image/gif"),))
    lost = (("accept", "application/x-npy"),)
    yield Case("samples as an array", NOTHING, "/v1/encode?sample=1", PICTURE, "image/png", lost)


def headers() -> Iterator[Case]:
    for name, value in {
        "x-request-id": b"\x00\x01".hex() * 1000,
        "x-forwarded-for": "127.0.0.1, " * 1000,
        "x-forwarded-proto": "javascript",
        "x-http-method-override": "DELETE",
        "x-original-url": "/../",
        "host": "[",
        "cookie": "a=b; " * 5000,
        "authorization": "Basic ====",
        "expect": "100-continue",
        "te": "trailers, gzip;q=0.1",
        "range": "bytes=9-1",
        "if-none-match": "*",
        "if-modified-since": "never",
        "accept-encoding": "gzip, *;q=nan",
        "accept-language": "x" * 10_000,
        "content-range": "bytes 0-1/2",
        "content-disposition": 'attachment; filename="../../x"',
        "origin": "null",
        "referer": "javascript:alert(1)",
        "user-agent": "() { :; }; echo",
        "upgrade-insecure-requests": "1",
        "traceparent": "00-" + "0" * 32 + "-0-ff",
        "forwarded": 'for="[::1]"; =',
        "date": "0",
        "upgrade": "h2c",
        "sec-websocket-key": "x",
        "access-control-request-method": "DELETE",
    }.items():
        yield denoise(f"the header {name}", OK, headers=((name, value.encode("latin-1")),))
    yield denoise("a thousand headers", OK, headers=tuple((f"x-{number}", "1") for number in range(1000)))
    yield denoise("a header a thousand times", OK, headers=(("x-a", "1"),) * 1000)
    for value in ("bytes=9-1", "bytes=999999999-", "lines=1-2", "bytes=" + ",".join(["0-0"] * 1000), "\xff"):
        spelled = (("range", value.encode("latin-1")),)
        path = "/docs/static/swagger-ui.css"
        yield Case(f"a file by the range {value[:20]!r}", OK, path, b"", None, spelled, "GET")


def queries() -> Iterator[Case]:
    junk = {
        "a name twice": ("amount=1&amount=1", "/amount"),
        "a name three times": ("x=1&x=2&x=3", "/x"),
        "names of two kinds twice": ("view=result&amount=1&view=result&amount=0", "/amount", "/view"),
        "an unknown name": ("sigma=1", "/sigma"),
        "a name without a value": ("strength", "/strength"),
        "an empty value": ("strength=", "/strength"),
        "only an equals sign": ("=", "/"),
        "an empty name": ("=1", "/"),
        "percent and junk": ("%zz=%", "/%zz"),
        "bytes that are no UTF-8": ("%ff=1", "/\ufffd"),
        "half a sign": ("%e6%98=1", "/\ufffd"),
        "a surrogate": ("%ed%a0%80=1", "/\ufffd\ufffd\ufffd"),
        "a NUL": ("%00=1", "/\0"),
        "a line break": ("a%0d%0aX-Evil:1=1", "/a\r\nX-Evil:1"),
        "a slash and a tilde": ("a/b~c=1", "/a~1b~0c"),
        "brackets": ("amount[]=1", "/amount[]"),
        "a name of Python": ("__init__=1", "/__init__"),
        "a name in other case": ("Amount=1", "/Amount"),
        "a space before a name": ("+amount=1", "/ amount"),
        "the images": ("images=AAAA", "/images"),
        "a long name": ("a" * 30_000 + "=1", "/" + "a" * 30_000),
        "a semicolon": ("amount=1;view=result", "/amount"),
        "an escaped ampersand": ("amount=1%26view=result", "/amount"),
    }
    for name, (query, *pointers) in junk.items():
        yield denoise(f"a query of {name}", no("invalid-fields", *pointers), path=f"/v1/denoise?{query}")
    for field, outcomes in {
        "strength": {
            "auto": OK,
            "0": OK,
            "100": OK,
            "-0": OK,
            "1e1": OK,
            "100.001": FIELDS,
            "-1": FIELDS,
            "nan": FIELDS,
            "inf": FIELDS,
            "1e400": FIELDS,
            "0x10": FIELDS,
            "AUTO": FIELDS,
            "null": FIELDS,
            "1,5": FIELDS,
            "9" * 5000: FIELDS,
        },
        "amount": {"1.0": OK, "0": OK, "1.1": FIELDS, "NaN": FIELDS, "infinity": FIELDS, "true": FIELDS, "[1]": FIELDS},
        "quality": {"1": OK, "100": OK, "0": FIELDS, "101": FIELDS, "9.5": FIELDS, "high": FIELDS, "1" * 5000: FIELDS},
        "view": {"compare": OK, "Compare": FIELDS, "compare%00": FIELDS},
        "version": {
            "1": OK,
            "2": no("unknown-version"),
            "9" * 400: no("unknown-version"),
            "0": FIELDS,
            "-1": FIELDS,
            "1.5": FIELDS,
            "latest": FIELDS,
            "9" * 4301: FIELDS,
        },
        "model": {
            "photo-dae": OK,
            "": no("unknown-model"),
            "nobody": no("unknown-model"),
            "../photo-dae": no("unknown-model"),
            "photo-dae%00": no("unknown-model"),
            "%F0%9F%98%80": no("unknown-model"),
            "a" * 65: FIELDS,
            "digits-gan": no("wrong-task"),
        },
    }.items():
        for value, outcome in outcomes.items():
            name = f"{field}={value[:20]} in a query, {len(value)}"
            outcome = no("invalid-fields", f"/{field}") if outcome is FIELDS else outcome
            yield denoise(name, outcome, path=f"/v1/denoise?{field}={value}")
    fifty = "&".join(f"x{number}=1" for number in range(50))
    yield denoise("50 unknown names in a query", no("invalid-fields", "/*"), path=f"/v1/denoise?{fifty}")
    many = no("invalid-fields", "/x50")
    yield denoise("51 names in a query", many, path=f"/v1/denoise?{fifty}&x50=1")
    more = "&".join(f"x{number}=1" for number in range(6000))
    yield denoise("6000 names in a query", many, path=f"/v1/denoise?{more}")
    yield denoise("20,000 ampersands in a query", OK, path=f"/v1/denoise?{'&' * 20_000}")
    for call in ("recommend", "generate"):
        body = EMPTY if call == "recommend" else b"{}"
        for query in ("count=1", "model=movies-rbm", "%ff", "a&b&c"):
            yield Case(f"{call} with the query {query}", no("invalid-fields", "/*"), f"/v1/{call}?{query}", body)
        yield Case(f"{call} with an empty query", OK, f"/v1/{call}?", body)
    with_both = no("invalid-fields", "/amount")
    yield Case("options in the query of JSON", with_both, "/v1/denoise?amount=1", b'{"images": []}')
    for query, outcome in {
        "query=%00": OK,
        "query=%ff%fe": OK,
        "query=" + quote("映画"): OK,
        "query=" + quote("\ufdfa" * 200): OK,
        "query=" + "a%20" * 50: OK,
        "query=" + "a" * 201: no("invalid-fields", "/query"),
        "limit=0": no("invalid-fields", "/limit"),
        "limit=1001": no("invalid-fields", "/limit", setting="MAX_COUNT"),
        "limit=" + "9" * 300: no("invalid-fields", "/limit", setting="MAX_COUNT"),
        "limit=1&offset=2147483647": OK,
        "offset=2147483648": no("invalid-fields", "/offset"),
        "offset=-1": no("invalid-fields", "/offset"),
        "version=2": no("unknown-version"),
        "count=1": no("invalid-fields", "/count"),
    }.items():
        yield get(f"/v1/models/movies-rbm/items?{query}", outcome)
    for query, outcome in {
        "count=0": no("invalid-fields", "/count"),
        "count=1000": OK,
        "count=1001": no("invalid-fields", "/count", setting="MAX_COUNT"),
        "query=x": no("invalid-fields", "/query"),
    }.items():
        yield get(f"/v1/models/movies-rbm/items/260/similar?{query}", outcome)
    for path in ("/v1/models", "/v1/models/photo-dae", "/v1/models/photo-dae/versions/1"):
        yield get(f"{path}?a=1&b=2", no("invalid-fields", "/a", "/b"))


def get(path: str, outcome: Outcome) -> Case:
    return Case(f"GET {path[:60]}, {len(path)}", outcome, path, b"", None, (), "GET")


def paths() -> Iterator[Case]:
    nowhere = no("unknown-path")
    names = {
        "an empty name": "",
        "a NUL": "%00",
        "dots": "..",
        "escaped dots": "%2e%2e",
        "bytes": "%ff%fe",
        "a surrogate": "%ed%a0%80",
        "a sign": quote("映"),
        "a line break": "photo-dae%0a",
        "a space": "photo-dae%20",
        "a star": "*",
        "a template": "%7b%7b7*7%7d%7d",
        "a tag": "%3Cscript%3E",
        "a long name": "a" * 30_000,
        "another case": "PHOTO-DAE",
        "junk after percent": "%zz%",
    }
    for name, spelled in names.items():
        yield replace(
            get(f"/v1/models/{spelled}", nowhere if not spelled else no("unknown-model")), name=f"a model of {name}"
        )
        items = f"/v1/models/{spelled}/items"
        yield replace(get(items, no("unknown-model") if spelled else nowhere), name=f"items of {name}")
        item = f"/v1/models/movies-rbm/items/{spelled}/similar"
        unknown = nowhere if "%0a" in spelled else no("unknown-item")
        yield replace(get(item, unknown), name=f"an item of {name}")
        yield replace(get(f"/problems/{spelled}", nowhere), name=f"a problem of {name}")
        yield replace(get(f"/docs/static/{spelled}", nowhere), name=f"a file of {name}")
    for number in (
        "0",
        "01",
        "1.0",
        "-1",
        "2",
        "9" * 9,
        "9" * 10,
        "9" * 5000,
        "x",
        "%00",
        "%20",
        "\u0661",
        "1%0a",
        "+1",
    ):
        spelled = quote(number, safe="%+")
        outcome = OK if number == "01" else no("unknown-version")
        yield replace(
            get(f"/v1/models/photo-dae/versions/{spelled}", outcome), name=f"version {number[:10]!r}, {len(number)}"
        )
    for path in (
        "//",
        "/v1",
        "/v1/",
        "/v1//models",
        "/v1/models/",
        "/v1/models/photo-dae/",
        "/v1/models/photo-dae/versions",
        "/v1/models/photo-dae/items/similar",
        "/v1/denoise/",
        "/V1/models",
        "/v1/models/a%2fb%2fversions",
        "/v1/models;x=1",
        "/v1/models/%2e%2e/%2e%2e",
        "/docs/static",
        "/docs/static/",
        "/docs/static/../../settings",
        "/docs/static/%2e%2e/%2e%2e/settings",
        "/docs/static/..%2f..%2fsettings",
        "/docs/static//etc/passwd",
        "/docs/static/" + "a/" * 5000,
        "/.env",
        "/.git/config",
        "/wp-login.php",
        "/redoc",
        "/a" * 10_000,
        "/%",
        "/" + "%ff" * 5000,
    ):
        yield get(path, nowhere)
    yield get("/v1/models/digits-gan/items", no("wrong-task"))
    yield get("/v1/models/digits-gan/items/1/similar", no("wrong-task"))
    yield get("/v1/models/movies-rbm/items/a/b%2fc/similar", no("unknown-item"))


def methods() -> Iterator[Case]:
    wrong = no("method")
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "PURGE", "LINK"):
        if method != "HEAD":
            yield Case(f"{method} of a call", wrong, "/v1/denoise", b"", None, (), method)
        if method not in ("GET", "HEAD"):
            for path in (
                "/livez",
                "/v1/models/photo-dae",
                "/openapi.json",
                "/docs/static/swagger-ui.css",
                "/problems/method",
            ):
                yield Case(f"{method} {path}", wrong, path, b"", None, (), method)
    for path in (
        "/livez",
        "/readyz",
        "/metrics",
        "/docs",
        "/openapi.json",
        "/v1/models",
        "/v1/models/movies-rbm/items/260/similar",
    ):
        yield Case(f"POST {path}", wrong, path, PICTURE, "image/png")
        yield Case(f"GET {path} with a body", OK, path, PICTURE, "image/png", (("content-length", "0"),), "GET")
