"""Fields of the wrong kind, out of range, or at odds with each other."""

import base64
from collections.abc import Iterator
from typing import Any

from tests.robustness.hostile.case import OK, Case, Outcome, no, sent
from tests.service.conftest import png

IMAGE = base64.b64encode(png(5, 4)).decode()
NEEDED = {"recommend": {"users": [{}]}, "generate": {}, "denoise": {"images": [IMAGE]}, "encode": {"images": [IMAGE]}}
"""The least that each call needs."""

VALUES = {
    "null": "null",
    "true": "true",
    "0": "0",
    "1": "1",
    "-1": "-1",
    "0.5": "0.5",
    "1e400": "1e400",
    "2 to the 64th": "18446744073709551616",
    "NaN": "NaN",
    "-Infinity": "-Infinity",
    "a text": '"x"',
    "an empty text": '""',
    "a number in a text": '"1"',
    "a list": "[]",
    "an object": "{}",
    "a list of lists": "[[[]]]",
}
"""One of every kind, as JSON spells it."""
MODEL = {"null": OK, "a text": "unknown-model", "an empty text": "unknown-model", "a number in a text": "unknown-model"}
VERSION = {"null": OK, "1": OK, "2 to the 64th": "unknown-version"}
SHARE = {"0": OK, "1": OK, "0.5": OK}
COUNT = {"1": OK}
INDEX = {"0": OK, "1": OK}
ANY = {"null": OK}
TAKEN: dict[str, dict[str, dict[str, Outcome | str]]] = {
    "recommend": {
        "model": MODEL,
        "version": VERSION,
        "users": {},
        "count": COUNT | {"2 to the 64th": no("invalid-fields", "/count", setting="MAX_COUNT")},
        "offset": INDEX,
        "include_rated": {"true": OK},
        "allow": {"a list": OK},
        "deny": {"a list": OK},
        "filter": {"an object": OK},
        "diversity": SHARE,
        "novelty": SHARE,
        "reasons": {"true": OK},
    },
    "generate": {
        "model": MODEL,
        "version": VERSION,
        "count": COUNT | {"2 to the 64th": no("invalid-fields", "/count", setting="MAX_PICTURES")},
        "seed": INDEX | ANY,
        "class": INDEX | ANY | {"a number in a text": OK},
        "truncation": {"1": OK, "0.5": OK},
        "form": ANY,
        "latents": ANY,
        "interpolate": ANY,
        "lattice": ANY,
        "edit": ANY,
    },
    "denoise": {
        "model": MODEL,
        "version": VERSION,
        "images": {},
        "strength": SHARE,
        "amount": SHARE,
        "view": {},
        "quality": COUNT,
    },
    "encode": {
        "model": MODEL,
        "version": VERSION,
        "images": {},
        "fit": {},
        "invert": {"true": OK},
        "sample": INDEX | ANY,
        "reconstruct": {"true": OK},
    },
}
"""What each field takes of VALUES, or which other refusal it gets; all others are invalid."""


USER = "/users/0"
TEN = [0.0] * 10
FAR = 2**63 - 1
ONE_AND_TWO = {"from": {"seed": 1}, "to": {"seed": 2}}


def cases() -> Iterator[Case]:
    yield from kinds()
    yield from recommend()
    yield from generate()
    yield from pictures()


def kinds() -> Iterator[Case]:
    """Every field with a value of every kind."""
    for call, fields in TAKEN.items():
        for field, taken in fields.items():
            for name, spelled in VALUES.items():
                outcome = taken.get(name, no("invalid-fields", f"/{field}*"))
                others = [
                    f'"{other}": ["{IMAGE}"]' for other in ("images",) if other in NEEDED[call] and field != other
                ]
                others += ['"users": [{}]'] if call == "recommend" and field != "users" else []
                body = "{" + ", ".join([*others, f'"{field}": {spelled}']) + "}"
                outcome = no(outcome) if isinstance(outcome, str) else outcome
                yield Case(f"{call}: {field} is {name}", outcome, f"/v1/{call}", body.encode())


def user(name: str, outcome: Outcome, **fields: Any) -> Case:
    return sent(f"a user with {name}", outcome, "recommend", users=[fields])


def rated(name: str, outcome: Outcome, item: Any = "1196", rating: Any = 4, **more: Any) -> Case:
    return user(name, outcome, ratings=[{"item": item, "rating": rating} | more])


def recommend() -> Iterator[Case]:
    rating, item = no("invalid-fields", f"{USER}/ratings/0/rating"), no("invalid-fields", f"{USER}/ratings/0/item")
    for value in (0.4999999, 5.0000001, 0, -4, 1e308, -1e308, 10**30):
        yield rated(f"the rating {value}", rating, rating=value)
    for value in ("4", True, None, [4], {}):
        yield rated(f"a rating that is {value!r}", rating, rating=value)
    for value in (0.5, 5, 4.999999999):
        yield rated(f"the rating {value}", OK, rating=value)
    for value in (1.5, True, None, "", "a" * 65, [], {}, 10**64):
        yield rated(f"an item that is {str(value)[:20]!r}", item, item=value)
    for value in ("映画", "\0", "\u202e", "../../etc/passwd", "'; --", "%00", "a" * 64, 2**63, -1, 10**63):
        yield rated(f"the unknown item {str(value)[:20]!r}", OK, item=value)
    yield rated("an unknown field in a rating", no("invalid-fields", f"{USER}/ratings/0/when"), when=1)
    yield user("a rating without an item", no("invalid-fields", f"{USER}/ratings/0/item"), ratings=[{"rating": 4}])
    yield user("a rating without a rating", no("invalid-fields", f"{USER}/ratings/0/rating"), ratings=[{"item": "1"}])
    yield user("a rating that is a list", no("invalid-fields", f"{USER}/ratings/0"), ratings=[["1", 4]])
    yield user("ratings that are an object", no("invalid-fields", f"{USER}/ratings"), ratings={"1": 4})
    yield user("an item rated five times", OK, ratings=[{"item": "2", "rating": grade} for grade in (1, 2, 3, 4, 5)])
    yield user("as many ratings as the model takes", OK, liked=["1"] * 64)
    yield user("one rating too many", no("invalid-fields", USER), liked=["1"] * 65)
    yield user("thousands of unknown items", no("invalid-fields", USER), liked=[f"no{n}" for n in range(4000)])
    yield user("a field of another", no("invalid-fields", f"{USER}/count"), count=1)
    yield sent("a user that is null", no("invalid-fields", USER), "recommend", users=[None])
    yield sent("users that are an object", no("invalid-fields", "/users"), "recommend", users={"0": {}})
    yield sent("256 users", OK, "recommend", users=[{}] * 256, count=1)
    over = no("invalid-fields", "/users", setting="MAX_USERS")
    yield sent("257 users", over, "recommend", users=[{}] * 257)
    yield sent("4097 users", no("invalid-fields", "/users"), "recommend", users=[{}] * 4097)
    yield sent("100 users who are wrong", no("invalid-fields", USER), "recommend", users=[1] * 100)
    yield sent("the second user is wrong", no("invalid-fields", "/users/1/x"), "recommend", users=[{}, {"x": 1}])
    yield sent("a thousand items", OK, "recommend", users=[{}], count=1000)
    over = no("invalid-fields", "/count", setting="MAX_COUNT")
    yield sent("1001 items", over, "recommend", users=[{}], count=1001)
    yield sent("a page far behind the last", OK, "recommend", users=[{}], offset=2**31 - 1)
    yield sent("a page beyond counting", no("invalid-fields", "/offset"), "recommend", users=[{}], offset=2**31)
    yield sent("only items that nobody knows", OK, "recommend", users=[{}], allow=[f"x{n}" for n in range(10_000)])
    yield sent("10,001 items", no("invalid-fields", "/deny"), "recommend", users=[{}], deny=["1"] * 10_001)
    yield sent("all items denied and allowed", OK, "recommend", users=[{}], deny=list(range(40)), allow=["1"])
    many = [{"liked": ["1"] * 64}] * 16
    yield sent(
        "reasons for too many",
        no("invalid-fields", "/reasons", setting="MAX_REASON_ROWS"),
        "recommend",
        users=many,
        reasons=True,
        count=1000,
    )
    for place, (name, outcome, rules) in enumerate(filters()):
        yield sent(f"filter {place}, {name}", outcome, "recommend", users=[{}], filter=rules)


def filters() -> Iterator[tuple[str, Outcome, Any]]:
    def wrong(*names: str) -> Outcome:
        return no("invalid-fields", "".join(f"/{name}" for name in ("filter", *names)))

    yield "an unknown attribute", wrong("director"), {"director": {"any": ["x"]}}
    yield "an attribute with a slash", wrong("a~1b~0"), {"a/b~": {}}
    yield "an attribute without a name", wrong(""), {"": {}}
    yield "a range of a list", wrong("genres"), {"genres": {"from": 1}}
    yield "an entry of a number", wrong("year"), {"year": {"any": ["1980"]}}
    yield "a text as an end", wrong("year", "from"), {"year": {"from": "1980"}}
    yield "a truth value as an end", wrong("year", "to"), {"year": {"to": True}}
    yield "an unknown rule", wrong("year", "low"), {"year": {"low": 1}}
    yield "a text in place of entries", wrong("genres", "any"), {"genres": {"any": "Comedy"}}
    yield "a number among entries", wrong("genres", "none", "0"), {"genres": {"none": [1]}}
    yield "an empty entry", wrong("genres", "all", "0"), {"genres": {"all": [""]}}
    yield "an entry of 201 letters", wrong("genres", "all", "0"), {"genres": {"all": ["a" * 201]}}
    yield "1001 entries", wrong("genres", "any"), {"genres": {"any": ["Comedy"] * 1001}}
    yield "a list of rules", wrong("genres"), {"genres": [{"any": ["Comedy"]}]}
    yield "rules that are null", wrong("genres"), {"genres": None}
    yield "1000 unknown attributes", wrong("x0"), {f"x{number}": {} for number in range(1000)}
    yield "ends the wrong way round", wrong("year"), {"year": {"from": 1e308, "to": -1e308}}
    yield "no rule", OK, {"year": {}, "genres": {}}
    yield "an entry that is unknown", OK, {"genres": {"any": ["\0", "映画"], "none": ["Comedy"] * 1000}}


def drawn(name: str, outcome: Outcome, **fields: Any) -> Case:
    return sent(name, outcome, "generate", **fields)


def generate() -> Iterator[Case]:
    bad = no("invalid-fields", "/latents/0/0")
    yield drawn("the last seed", OK, seed=FAR)
    yield drawn("a seed too far", no("invalid-fields", "/seed"), seed=FAR + 1)
    yield drawn("a seed whose last picture is too far", no("invalid-fields", "/seed"), seed=FAR, count=2)
    yield drawn("a thousand pictures", OK, seed=0, count=1000)
    yield drawn("a picture too many", no("invalid-fields", "/count", setting="MAX_PICTURES"), seed=0, count=1001)
    yield drawn("10 to the 300th pictures", no("invalid-fields", "/count", setting="MAX_PICTURES"), count=10**300)
    yield drawn("the last class", OK, **{"class": 9})
    yield drawn("a class too many", no("invalid-fields", "/class"), **{"class": 10})
    yield drawn("a class of 100,000 letters", no("invalid-fields", "/class"), **{"class": "9" * 100_000})
    yield drawn("no truncation at all", no("invalid-fields", "/truncation"), truncation=0)
    yield drawn("almost no truncation", OK, truncation=5e-324)
    yield drawn("two truncations", no("invalid-fields", "/truncation"), truncation=1.0000001)
    yield drawn("another form", no("invalid-fields", "/form"), form="sheet")
    for name, vector in {"too short": [0] * 3, "too long": [0] * 5, "a thousand": [0] * 1024}.items():
        yield drawn(f"a latent {name}", no("invalid-fields", "/latents/0"), latents=[vector], **{"class": 0})
    for name, number in {
        "1e308": 1e308,
        "NaN": float("nan"),
        "-Infinity": float("-inf"),
        "101": 101,
        "a text": "0",
    }.items():
        yield drawn(f"a latent with {name}", bad, latents=[[number, 0, 0, 0]], **{"class": 0})
    for name, latents in {"empty": [[]], "a number": [0], "null": [None], "of 1025": [[0] * 1025]}.items():
        yield drawn(f"a latent that is {name}", no("invalid-fields", "/latents/0"), latents=latents, **{"class": 0})
    yield drawn("a latent of lists", bad, latents=[[[0], 0, 0, 0]], **{"class": 0})
    yield drawn(
        "latents of many sizes",
        no("invalid-fields", "/latents/*"),
        latents=[[0] * n for n in range(1, 60)],
        **{"class": 0},
    )
    yield drawn(
        "1001 latents",
        no("invalid-fields", "/latents", setting="MAX_PICTURES"),
        latents=[[0] * 4] * 1001,
        **{"class": 0},
    )
    yield drawn("latents without a class", OK, latents=[[0] * 4])
    yield drawn("latents and a seed", no("invalid-fields", "/seed"), latents=[[0] * 4], seed=1, **{"class": 0})
    yield drawn("latents and a count", no("invalid-fields", "/count"), latents=[[0] * 4], count=1, **{"class": 0})
    lattice = {"size": 2}
    yield drawn("two sources", no("invalid-fields", "/lattice"), latents=[[0] * 4], lattice=lattice, **{"class": 0})
    edit = {"image": IMAGE, "direction": "first", "amount": 1}
    yield drawn(
        "four sources and a count",
        no("invalid-fields", "/interpolate", "/lattice", "/edit", "/count"),
        latents=[[0] * 4],
        interpolate={**ONE_AND_TWO, "steps": 2},
        lattice=lattice,
        edit=edit,
        count=2,
    )
    for size in (-1, 0, 1):
        yield drawn(f"a lattice of {size}", no("invalid-fields", "/lattice/size"), lattice={"size": size})
    for size in (32, 65_535):
        over = no("invalid-fields", "/lattice/size", setting="MAX_PICTURES")
        yield drawn(f"a lattice of {size}", over, lattice={"size": size})
    yield drawn("a lattice beyond counting", no("invalid-fields", "/lattice/size"), lattice={"size": 2**40})
    yield drawn("a lattice of 31", OK, lattice={"size": 31, "x": 3, "y": 0}, seed=1)
    yield drawn("a lattice of one axis", no("invalid-fields", "/lattice/y"), lattice={"size": 2, "x": 1, "y": 1})
    yield drawn(
        "axes that are not there",
        no("invalid-fields", "/lattice/x", "/lattice/y"),
        lattice={"size": 2, "x": 4, "y": 2**70},
    )
    yield drawn("a lattice with a truncation", no("invalid-fields", "/truncation"), lattice={"size": 2}, truncation=0.5)
    yield from between()
    yield from edited(edit)


def between() -> Iterator[Case]:
    def path(name: str, outcome: Outcome, **fields: Any) -> Case:
        return drawn(f"a path {name}", outcome, interpolate=ONE_AND_TWO | {"steps": 2} | fields)

    for steps in (-1, 0, 1, 1001, 2**40):
        yield path(f"of {steps} steps", no("invalid-fields", "/interpolate/steps"), steps=steps)
    yield path("of a thousand steps", OK, steps=1000)
    yield path("along nothing known", no("invalid-fields", "/interpolate/path"), path="cubic")
    yield path("from nowhere", no("invalid-fields", "/interpolate/from"), **{"from": {}})
    yield path("to two places", no("invalid-fields", "/interpolate/to"), to={"seed": 1, "latent": [0] * 4})
    yield path("to null", no("invalid-fields", "/interpolate/to"), to=None)
    yield path("to a seed too far", no("invalid-fields", "/interpolate/to/seed"), to={"seed": FAR + 1})
    yield path("to a latent too long", no("invalid-fields", "/interpolate/to/latent"), to={"latent": [0] * 5})
    yield path(
        "to a latent of NaN", no("invalid-fields", "/interpolate/to/latent/2"), to={"latent": [0, 0, float("nan"), 0]}
    )
    yield path("to an image without an encoder", no("invalid-fields", "/interpolate/to/image"), to={"image": IMAGE})
    yield path("from zero to zero", OK, **{"from": {"latent": [0] * 4}, "to": {"latent": [0] * 4}})
    yield path("to the other side of the world", OK, **{"from": {"latent": [100] * 4}, "to": {"latent": [-100] * 4}})
    yield drawn("a path without steps", no("invalid-fields", "/interpolate/steps"), interpolate=ONE_AND_TWO)
    steps = {"steps": 2, "from": {"image": "?"}, "to": {"seed": 1}}
    yield drawn(
        "a path from no base64", no("invalid-fields", "/interpolate/from/image"), model="digits-vae", interpolate=steps
    )


def edited(edit: dict[str, Any]) -> Iterator[Case]:
    def edits(name: str, outcome: Outcome, **fields: Any) -> Case:
        return drawn(f"an edit {name}", outcome, model="digits-vae", edit=edit | fields)

    image = "/edit/image"
    yield edits("that works", OK)
    yield drawn("an edit without an encoder", no("invalid-fields", "/edit/image"), edit=edit, **{"class": 1})
    yield edits("along nothing known", no("invalid-fields", "/edit/direction"), direction="../first")
    yield edits("along 2001 letters", no("invalid-fields", "/edit/direction"), direction="a" * 2001)
    for amount in (10.1, -1e308, float("inf")):
        yield edits(f"by {amount}", no("invalid-fields", "/edit/amount"), amount=amount)
    yield edits("of nothing", no("invalid-fields", image), image="")
    yield edits("of no base64", no("invalid-fields", image), image="a")
    yield edits("of no picture", no("unreadable-picture", image), image="AAAA")
    yield edits("of half a picture", no("unreadable-picture", image), image=IMAGE[:48])
    yield edits("of a data URL", no("invalid-fields", image), image=f"data:image/png;base64,{IMAGE}")


def pictures() -> Iterator[Case]:
    """Base64, and the options of calls with pictures in JSON."""
    first, pad = "/images/0", "=" * (-len(IMAGE.rstrip("=")) % 4)
    whole = IMAGE.rstrip("=")
    spelled = {
        "without padding": whole if pad else whole[:-1],
        "with too much padding": whole + pad + "=",
        "with padding inside": whole[:8] + "====" + whole[8:] + pad,
        "for URLs": "-_-_" + whole + pad,
        "with line breaks": whole[:40] + "\n" + whole[40:] + pad,
        "with a line break behind": whole + pad + "\n",
        "with a space": whole[:4] + " " + whole[4:] + pad,
        "as a data URL": f"data:image/png;base64,{IMAGE}",
        "with letters of another script": "映" + whole[1:] + pad,
        "with a NUL": whole[:4] + "\0" + whole[5:] + pad,
        "of one letter": "A",
        "of padding": "====",
        "of five letters": "AAAAA",
    }
    for call in ("denoise", "encode"):
        for name, text in spelled.items():
            yield sent(f"base64 {name}", no("invalid-fields", first), call, images=[text])
        yield sent("base64 of nothing", no("unreadable-picture", first), call, images=[""])
        yield sent("base64 of a text", no("unreadable-picture", first), call, images=["aGVsbG8="])
        yield sent("no image", no("invalid-fields", "/images"), call, images=[])
        yield sent("an image that is null", no("invalid-fields", first), call, images=[None])
        yield sent("an image in a list", no("invalid-fields", first), call, images=[[IMAGE]])
        yield sent("an image that is an object", no("invalid-fields", first), call, images=[{"image": IMAGE}])
        yield sent("pixels as lists", no("invalid-fields", first), call, images=[[[0, 255], [255, 0]]])
        yield sent("images in a text", no("invalid-fields", "/images"), call, images=IMAGE)
        yield sent("the third image broken", no("unreadable-picture", "/images/2"), call, images=[IMAGE, IMAGE, "AAAA"])
        yield sent("256 images", OK, call, images=[IMAGE] * 256)
        over = no("invalid-fields", "/images", setting="MAX_IMAGES")
        yield sent("257 images", over, call, images=[IMAGE] * 257)
        yield sent("4097 images", no("invalid-fields", "/images"), call, images=[""] * 4097)
    for value in (-0.1, 100.1, 1e308, "Auto", "12", "nan", [1]):
        yield sent(
            f"a strength of {value!r}", no("invalid-fields", "/strength"), "denoise", images=[IMAGE], strength=value
        )
    for value in (0, 101, 90.5, "90"):
        yield sent(
            f"a quality of {value!r}", no("invalid-fields", "/quality"), "denoise", images=[IMAGE], quality=value
        )
    yield sent("the last seed", OK, "encode", images=[IMAGE], sample=FAR)
    yield sent("a seed that passes the last", no("invalid-fields", "/sample"), "encode", images=[IMAGE] * 2, sample=FAR)
    yield sent("a fit of another case", no("invalid-fields", "/fit"), "encode", images=[IMAGE], fit="Letterbox")
