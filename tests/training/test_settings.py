import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import recipe
from training.learners.dae import DaeSettings
from training.learners.gan import GanSettings
from training.settings import SettingError, Settings

PLAIN = Settings(steps=10, batch_size=2, learning_rate=0.1)
DAE = DaeSettings(steps=10, batch_size=2, learning_rate=0.1)


def test_pairs_change_what_they_name_and_nothing_else() -> None:
    changed = DAE.changed(["learning_rate=1e-3", "channels=8,16", "precision=bfloat16", "steps=7"])
    assert changed == DAE.model_copy(
        update={"learning_rate": 1e-3, "channels": (8, 16), "precision": "bfloat16", "steps": 7}
    )
    assert type(changed) is DaeSettings
    assert DAE.changed([]) == DAE


def test_the_last_pair_wins() -> None:
    assert PLAIN.changed(["seed=1", "seed=2"]).seed == 2


def test_a_list_may_have_one_entry() -> None:
    assert DAE.changed(["channels=8"]).channels == (8,)


@pytest.mark.parametrize("pair", ["sed=1", "seed", "", "=1", "Seed=1", "seed =1"])
def test_a_key_that_is_none_is_answered_with_those_there_are(pair: str) -> None:
    with pytest.raises(SettingError) as caught:
        PLAIN.changed([pair])
    assert str(caught.value) == f"--set {pair}: write key=value with one of {', '.join(Settings.model_fields)}"


@pytest.mark.parametrize(
    ("pair", "why"),
    [
        ("steps=0", "greater than or equal to 1"),
        ("steps=many", "valid integer"),
        ("steps=1.5", "valid integer"),
        ("steps=", "valid integer"),
        ("learning_rate=0", "greater than 0"),
        ("learning_rate=nan", "finite number"),
        ("learning_rate=inf", "finite number"),
        ("seed=-1", "greater than or equal to 0"),
        ("seed=2147483648", "less than 2147483648"),
        ("ema=1", "less than 1"),
        ("precision=float16", "'float32' or 'bfloat16'"),
        ("channels=8,x", "valid integer"),
        ("channels=", "valid integer"),
        ("channels=8,8,8,8,8", "at most 4 items"),
        ("crop=30", "multiple of 16"),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(pair: str, why: str) -> None:
    with pytest.raises(SettingError) as caught:
        DAE.changed([pair])
    assert str(caught.value).startswith(f"--set {pair.split('=')[0]}=")
    assert why in str(caught.value)


@pytest.mark.parametrize("pair", ["generator_channels=1", "generator_channels=1,2,3", "discriminator_channels=1,2,3"])
def test_a_list_of_a_fixed_length_keeps_it(pair: str) -> None:
    with pytest.raises(SettingError, match="_channels"):
        GanSettings(steps=1, batch_size=1, learning_rate=1).changed([pair])


@given(
    seed=st.integers(0, 2**31 - 1),
    rate=st.floats(1e-9, 1e9),
    channels=st.lists(st.integers(1, 10**6), min_size=1, max_size=4),
)
def test_what_is_written_is_what_is_read(seed: int, rate: float, channels: list[int]) -> None:
    spelled = [f"seed={seed}", f"learning_rate={rate!r}", "channels=" + ",".join(map(str, channels))]
    changed = DAE.changed(spelled)
    assert (changed.seed, changed.learning_rate, changed.channels) == (seed, rate, tuple(channels))


@pytest.mark.parametrize("name", recipe.names())
def test_settings_survive_a_manifest(name: str) -> None:
    settings = recipe.find(name).settings
    assert type(settings).model_validate(settings.model_dump(mode="json")) == settings
    assert type(settings).model_validate_json(settings.model_dump_json()) == settings
    assert settings.changed([]) == settings
