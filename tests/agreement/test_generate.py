"""POST /v1/generate: seeds, classes, truncation, limits."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest

from tests.agreement import client as api
from tests.agreement.asking import JSON, NPY, PNG, WEBP, ZIP, Json, call, drawn, refused


@pytest.mark.parametrize("options", [{}, {"class": 3}, {"truncation": 0.5}, {"model": "digits-vae"}])
def test_picture_of_a_seed_is_the_same_in_any_batch(client: httpx.Client, options: api.GenerateOptions) -> None:
    batch = drawn(client, api.seeds(9, **{"seed": 100, **options}))
    assert drawn(client, api.seeds(4, **{"seed": 103, **options})) == batch[3:7]
    alone = [drawn(client, api.seeds(**{"seed": 100 + place, **options}))[0] for place in range(9)]
    assert alone == batch


def test_picture_of_a_seed_is_the_same_beside_other_calls(client: httpx.Client) -> None:
    def one(place: int) -> bytes:
        return api.generate(client, api.seeds(seed=place)).value

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(one, range(16)))
    assert together == drawn(client, api.seeds(16, seed=0))


def test_large_batch_is_the_same_to_the_byte(client: httpx.Client) -> None:
    array = api.generate_array(client, api.seeds(1000, seed=0)).value
    assert len(array) == 1000
    assert np.array_equal(array[990:], api.generate_array(client, api.seeds(10, seed=990)).value)


@pytest.mark.parametrize("accept", [PNG, WEBP, ZIP, NPY, JSON])
def test_seed_that_was_drawn_is_told(client: httpx.Client, accept: str) -> None:
    answer = api.generate(client, api.seeds(2), accept)
    again = api.generate(client, api.seeds(2, seed=int(answer.headers["x-seed"])), accept)
    if accept == ZIP:
        assert len(again.value) == len(answer.value)
    else:
        assert again.value == answer.value


def test_archive_of_a_seed_that_was_drawn_can_be_had_again(client: httpx.Client) -> None:
    answer = api.generate_zip(client, api.seeds(2))
    assert api.generate_zip(client, api.seeds(2, seed=int(answer.headers["x-seed"]))).value == answer.value


def test_json_tells_the_seed_that_was_drawn(client: httpx.Client) -> None:
    answer = api.generate_told(client, {})
    assert answer.value["seed"] == int(answer.headers["x-seed"])


def test_seeds_that_are_drawn_differ(client: httpx.Client) -> None:
    assert len({api.generate(client, {}).headers["x-seed"] for _ in range(4)}) == 4


def test_other_seeds_are_other_pictures(client: httpx.Client) -> None:
    assert len(set(drawn(client, api.seeds(8, seed=0)))) == 8


def of_class(seed: int, class_: int | str) -> Json:
    return {**api.seeds(seed=seed), "class": class_}


def test_class_is_a_number_or_a_name(client: httpx.Client, classes: list[str]) -> None:
    for number, name in enumerate(classes):
        assert drawn(client, of_class(4, number)) == drawn(client, of_class(4, name))


def test_classes_are_different_pictures(client: httpx.Client, classes: list[str]) -> None:
    assert len({drawn(client, of_class(4, number))[0] for number in range(len(classes))}) == len(classes)


def test_absent_class_is_drawn_from_the_seed(client: httpx.Client, classes: list[str]) -> None:
    """Reading: the picture is that of one of the classes."""
    of_classes = [drawn(client, of_class(4, number))[0] for number in range(len(classes))]
    assert drawn(client, api.seeds(seed=4))[0] in of_classes


@pytest.mark.parametrize("class_", [99, -1, "ninety-nine", 1.5])
def test_unknown_class_is_refused(client: httpx.Client, class_: object) -> None:
    assert refused(call(client, "generate", **{"class": class_}), 422, "invalid-fields").pointers == ["/class"]


def test_truncation_of_one_is_the_default(client: httpx.Client) -> None:
    assert drawn(client, api.seeds(seed=4, truncation=1.0)) == drawn(client, api.seeds(seed=4))


def test_truncation_changes_the_picture(client: httpx.Client) -> None:
    assert drawn(client, api.seeds(seed=4, truncation=0.3)) != drawn(client, api.seeds(seed=4))


def test_more_pictures_are_refused(client: httpx.Client) -> None:
    problem = refused(call(client, "generate", count=1001), 422, "invalid-fields")
    assert problem.pointers == ["/count"]
    assert problem.members["setting"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("count", -1), ("count", 1.5), ("seed", "x"), ("truncation", "much"), ("form", "triple"), ("latents", 7)],
)
def test_field_of_generate_at_fault_is_refused(client: httpx.Client, field: str, value: object) -> None:
    assert refused(call(client, "generate", **{field: value}), 422, "invalid-fields").pointers == [f"/{field}"]
