"""The object of a path. Pure."""

import re
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from services.gateway.keys import RESERVED_SLUGS


class Kind(StrEnum):
    """The kinds of objects, as in addresses."""

    FLOW = "flow"
    FLOW_RUN = "flow-run"
    TASK_RUN = "task-run"
    TASK = "task"
    PROJECT = "project"
    AGENT = "agent"


PAGES = frozenset({
    "accept", "api", "calendar", "limits", "login", "notifications", "runs", "search", "team", "tutorial", "user",
})  # fmt: skip
"""First segments of pages for people, with or without a slug before."""

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Link:
    """A parsed path. `id` is None if the link has none, or an invalid one."""

    slug: str | None
    kind: Kind | None
    id: UUID | None


def link_of(path: str) -> Link | None:
    """The object of a path; None for a path that is not a link."""
    parts = path.strip("/").split("/")
    slug = None
    if parts[0] not in RESERVED_SLUGS:
        slug, parts = parts[0], parts[1:]
        if not _SLUG.fullmatch(slug):
            return None
    if not parts:
        return Link(slug, None, None)
    # The agents have a page for all; without an id the other kinds name nothing.
    if parts[0] in PAGES or parts == [Kind.AGENT]:
        return Link(slug, None, None)
    if parts[0] not in set(Kind) or len(parts) > 2:
        return None
    return Link(slug, Kind(parts[0]), _id(parts[1] if len(parts) == 2 else ""))


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
