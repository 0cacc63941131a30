import pytest

from training import recipe
from training.recipe import UnknownRecipe


def test_the_names_are_those_of_the_files_in_order() -> None:
    assert {"digits-gan", "digits-vae", "movies-rbm", "photo-dae"} <= set(recipe.names())
    assert recipe.names() == sorted(recipe.names())


@pytest.mark.parametrize("name", recipe.names())
def test_a_recipe_bears_the_name_of_its_file_and_says_what_it_is(name: str) -> None:
    found = recipe.find(name)
    assert found.name == name
    assert found.summary.endswith(".")
    assert found.not_for.endswith(".")
    assert found.source.credit.licence


@pytest.mark.parametrize("name", ["digits", "digits_vae", "", "../data/mnist", "Digits-VAE"])
def test_an_unknown_name_is_answered_with_those_there_are(name: str) -> None:
    with pytest.raises(UnknownRecipe) as caught:
        recipe.find(name)
    assert str(caught.value) == f"there is no recipe {name!r}; there are {', '.join(recipe.names())}"


@pytest.mark.parametrize("name", recipe.names())
def test_the_synthetic_twin_is_the_same_every_time(name: str) -> None:
    source = recipe.find(name).source
    assert source.synthetic(0).sha256 == source.synthetic(0).sha256
    assert source.synthetic(0).sha256 != source.synthetic(1).sha256
