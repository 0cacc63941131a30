"""How a caller says in which way a picture is brought to a model's size and polarity."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from service.media import fitting


def _spelled(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


class Fitted(BaseModel):
    """Fields of a picture that is to be encoded."""

    fit: Annotated[
        fitting.Fit, Field(description="How a picture of another size is made to fit: with margins, or stretched.")
    ] = "letterbox"
    invert: Annotated[
        fitting.Invert,
        BeforeValidator(_spelled),
        WithJsonSchema({"anyOf": [{"const": "auto"}, {"type": "boolean"}]}),
        Field(description="Whether light and dark change places; `auto` looks at the border."),
    ] = "auto"
