"""What all parts of a serialized flow share: null is as good as absent, the unknown is kept but not read."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

# The longest name: an index entry of PostgreSQL ends at 2,704 bytes, and a character may take four.
LONGEST_NAME = 500

Name = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)]


class Part(BaseModel):
    """A part of a serialized flow. What it does not name stays in the stored document and is not looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if item is not None}
        return value


def complaint(error: ValidationError, *, place: str = "") -> str:
    """The first thing that is wrong, as `tasks.3.slug: Field required`."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(step) for step in (*filter(None, [place]), *first["loc"]))
    what = first["msg"].removeprefix("Value error, ")
    return f"{where}: {what}" if where else what
