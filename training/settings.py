"""What every recipe can set about its training; each family adds its own fields."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class SettingError(ValueError):
    """A `--set key=value` names no setting, or a value that the setting does not take."""


Channels = Annotated[int, Field(ge=1)]
TwoScales = tuple[Channels, Channels]


class Settings(BaseModel):
    """Numbers that decide a run. Written into the manifest as they are."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    seed: Annotated[int, Field(ge=0, lt=2**31, description="seed of every random draw")] = 0
    steps: Annotated[int, Field(ge=1, description="training steps; --budget sets it from a time")]
    batch_size: Annotated[int, Field(ge=1, description="rows a step")]
    learning_rate: Annotated[float, Field(gt=0, description="the highest rate of the schedule")]
    warmup_steps: Annotated[int, Field(ge=0, description="steps of linear rise to the highest rate")] = 100
    final_rate: Annotated[float, Field(ge=0, le=1, description="where the cosine ends, as a share of the rate")] = 0.01
    ema: Annotated[float, Field(ge=0, lt=1, description="decay of the averaged weights that are exported")] = 0.999
    clip_norm: Annotated[float, Field(gt=0, description="longest gradient")] = 1e6

    def changed(self, pairs: list[str]) -> "Settings":
        """A copy with `key=value` pairs applied; a list is written `8,16,32`.

        Raises:
            SettingError: naming the pair and what would be right.
        """
        values: dict[str, Any] = self.model_dump()
        for pair in pairs:
            key, mark, text = pair.partition("=")
            if not mark or key not in values:
                raise SettingError(f"--set {pair}: write key=value with one of {', '.join(values)}")
            values[key] = text.split(",") if isinstance(values[key], (list, tuple)) else text
        try:
            return type(self).model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise SettingError(f"--set {first['loc'][0]}={first['input']}: {first['msg']}") from error


class NetworkSettings(Settings):
    """Of networks whose forward pass may run in half precision. Energies may not: their differences are small."""

    precision: Annotated[
        Literal["float32", "bfloat16"], Field(description="of the forward pass; weights and losses stay float32")
    ] = "float32"
