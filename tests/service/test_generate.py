"""Pictures from seeds."""

from typing import Any

import numpy as np
import pytest
from httpx import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service.conftest import opened, refused
from tests.service.generating import ask, images


@given(st.integers(0, 2**63 - 10), st.integers(1, 9), st.one_of(st.none(), st.integers(0, 9)))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_picture_i_of_seed_s_is_the_picture_of_seed_s_plus_i(
    client: Client, seed: int, count: int, of: int | None
) -> None:
    fields = {} if of is None else {"class": of}
    together = images(client, seed=seed, count=count, **fields)
    alone = [ask(client, seed=seed + number, **fields).content for number in range(count)]
    assert together == alone
    sheet = np.asarray(opened(ask(client, seed=seed, count=count, **fields).content))
    if count == 1:
        assert np.array_equal(sheet, np.asarray(opened(alone[0])))
        return
    columns = int(np.ceil(np.sqrt(count)))
    for place, data in enumerate(alone):
        top, left = (2 + 30 * (place // columns), 2 + 30 * (place % columns))
        assert np.array_equal(sheet[top : top + 28, left : left + 28], np.asarray(opened(data)))


def test_an_answer_names_its_seed_and_model(client: Client) -> None:
    answer = ask(client, seed=7)
    assert answer.headers["content-type"] == "image/png"
    assert (answer.headers["x-seed"], answer.headers["x-model"], answer.headers["x-model-version"]) == (
        "7",
        "digits-gan",
        "1",
    )
    assert opened(answer.content).size == (28, 28)
    tree = ask(client, "application/json", seed=7, count=2).json()
    assert (tree["model"], tree["version"], tree["seed"], len(tree["images"])) == ("digits-gan", 1, 7, 2)


def test_without_a_seed_one_is_drawn_and_told(client: Client) -> None:
    first, second = ask(client), ask(client)
    assert first.headers["x-seed"] != second.headers["x-seed"]
    assert ask(client, seed=int(first.headers["x-seed"])).content == first.content


def test_classes_by_number_by_name_and_by_seed(client: Client) -> None:
    by_class = {images(client, seed=5, **{"class": number})[0] for number in range(10)}
    assert len(by_class) == 10
    assert images(client, seed=5, **{"class": "3"}) == images(client, seed=5, **{"class": 3})
    drawn = np.random.Generator(np.random.PCG64(5))
    drawn.standard_normal(4, np.float32)
    assert images(client, seed=5) == images(client, seed=5, **{"class": int(drawn.integers(10))})


def test_truncation_draws_towards_the_middle(client: Client) -> None:
    def spread(truncation: float) -> float:
        sheet = images(client, seed=0, count=20, truncation=truncation, **{"class": 0})
        return float(np.std([np.asarray(opened(data), float) for data in sheet], axis=0).mean())

    assert spread(0.1) < spread(0.5) < spread(1)


def test_a_sheet_is_near_square(client: Client) -> None:
    assert opened(ask(client, seed=0, count=7).content).size == (3 * 30 + 2, 3 * 30 + 2)
    assert opened(ask(client, seed=0, count=5).content).size == (3 * 30 + 2, 2 * 30 + 2)


def test_single_is_one_picture(client: Client) -> None:
    assert ask(client, form="single", seed=1).content == ask(client, seed=1).content
    refused(ask(client, "image/png", form="single", count=2), 406, "not-acceptable")
    for accept in ("*/*", "image/png, */*;q=0.1", "application/json-seq, */*"):
        refused(ask(client, accept, form="single", count=2), 406, "not-acceptable")
    for accept in ("application/json", "image/png, application/json;q=0.1", "application/*, image/png;q=0.5"):
        assert ask(client, accept, form="single", count=2).headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"count": 0}, "/count"),
        ({"seed": -1}, "/seed"),
        ({"seed": 2**63}, "/seed"),
        ({"seed": 2**63 - 1, "count": 2}, "/seed"),
        ({"seed": 1.5}, "/seed"),
        ({"class": 10}, "/class"),
        ({"class": -1}, "/class"),
        ({"class": "ten"}, "/class"),
        ({"class": True}, "/class"),
        ({"class": 1.0}, "/class"),
        ({"truncation": 0}, "/truncation"),
        ({"truncation": 1.1}, "/truncation"),
        ({"form": "sheet"}, "/form"),
        ({"colour": 1}, "/colour"),
        ({"model": "digits", "count": []}, "/count"),
        ({"count": None}, "/count"),
    ],
)
def test_wrong_fields_are_pointed_at(client: Client, fields: dict[str, Any], pointer: str) -> None:
    refused(ask(client, **fields), 422, "invalid-fields", pointer)


def test_too_many_pictures(client: Client) -> None:
    refused(ask(client, count=1001), 422, "invalid-fields", "/count", setting="HARMONIUM_MAX_PICTURES")
    assert len(images(client, count=1000, seed=0)) == 1000
