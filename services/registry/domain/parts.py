"""Shared by all parts of a serialized flow: null means absent; unknown fields are kept but not read."""

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    StringConstraints,
    ValidationError,
    model_validator,
)

# The longest name: an index entry of PostgreSQL ends at 2,704 bytes, and a character may take four.
LONGEST_NAME = 500

Name = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)]


# The longest slug or cache key, in bytes: beside it there is an id or two in its index entry. Core makes a slug of the
# task's name and all its tags, so thirty tags are normal.
LONGEST_SLUG = 2_600


def _short_enough(text: str) -> str:
    size = len(text.encode(errors="replace"))
    if size > LONGEST_SLUG:
        msg = f"it has {size:,} bytes, and at most {LONGEST_SLUG:,} are kept"
        raise ValueError(msg)
    return text


def _short_slug(slug: str) -> str:
    try:
        return _short_enough(slug)
    except ValueError as error:
        hint = "Core makes it of the task's name and all its tags: give the task a slug of its own, or fewer tags"
        msg = f"{error}. {hint}"
        raise ValueError(msg) from None


SlugText = Annotated[str, StringConstraints(min_length=1), AfterValidator(_short_slug)]
CacheKey = Annotated[str, AfterValidator(_short_enough)]


class Part(BaseModel):
    """A part of a serialized flow. Unknown fields stay in the stored document and are not checked."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if item is not None}
        return value


def complaint(error: ValidationError, *, path: str = "") -> str:
    """The first error, as `tasks.3.slug: Field required`."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(step) for step in (*filter(None, [path]), *first["loc"]))
    what = first["msg"].removeprefix("Value error, ")
    return f"{where}: {what}" if where else what
