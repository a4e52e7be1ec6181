"""Versions, idempotency keys, and the settings of a group and its flows."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from libs.contracts.base import JsonObject, Refused
from libs.contracts.run_configs import complaint_about
from services.registry.domain.documents import (
    UnstorableError,
    complaint_about_text,
    encode,
    invalid,
)
from services.registry.domain.parts import LONGEST_NAME

KEY = "idempotency_key"

# The project for flows of clients without projects.
DEFAULT_PROJECT = "default"
ABOUT_DEFAULT_PROJECT = "Flows that Prefect Core 0.10 to 0.12 registered without a project."

# The group settings that a flow shows: clients read them on the flow, operators set them for the group.
SAFEGUARDS = (
    "heartbeat_enabled",
    "disable_heartbeat",
    "lazarus_enabled",
    "version_locking_enabled",
)


def first_settings() -> JsonObject:
    """The settings of a new group."""
    return {
        "heartbeat_enabled": True,
        "disable_heartbeat": False,
        "lazarus_enabled": True,
        "version_locking_enabled": False,
        KEY: None,
    }


def safeguards(settings: JsonObject) -> JsonObject:
    """The part of a group's settings that its flows show."""
    return {name: settings[name] for name in SAFEGUARDS if name in settings}


def safeguard_changes(
    *, heartbeat: bool | None, lazarus: bool | None, version_locking: bool | None
) -> JsonObject:
    """The keys to set; None leaves a safeguard unchanged.

    Heartbeats have two keys with the same meaning: clients up to 0.9.7 read `disable_heartbeat`, later ones the other.
    """
    changes: JsonObject = {}
    if heartbeat is not None:
        changes |= {"heartbeat_enabled": heartbeat, "disable_heartbeat": not heartbeat}
    if lazarus is not None:
        changes["lazarus_enabled"] = lazarus
    if version_locking is not None:
        changes["version_locking_enabled"] = version_locking
    return changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The client's arguments of a registration. `version_group_id` may be None: the flow's name decides."""

    project_id: UUID
    name: str
    version_group_id: str | None
    idempotency_key: str | None
    set_schedule_active: bool
    description: str | None
    created_by: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A flow group, locked by a registration."""

    id: UUID
    name: str
    settings: JsonObject
    default_parameters: JsonObject
    schedule: JsonObject | None
    last_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A version that exists. `schedule_refused`: why its schedule was not started although this was requested."""

    id: UUID
    version: int
    schedule_refused: Refused | None = None


def repeats(group: Group, key: str | None) -> bool:
    """Whether this is a repetition, answered with the group's newest unarchived version.

    Only the group's last key counts (gateway/reference/registration.md): "foo", "bar", "foo" makes three versions, and
    a registration without a key removes it.
    """
    return bool(key) and group.settings.get(KEY) == key


# A text argument: its name, its value, and its longest length if it goes into an index.
Text = tuple[str, str | None, int | None]


def text_refusal(*texts: Text) -> Refused | None:
    """The refusal of the first text that PostgreSQL could not store, or None."""
    for path, value, at_most in texts:
        if reason := complaint_about_text(value, path, at_most=at_most):
            return invalid(reason)
    return None


def project_name_refusal(name: Any) -> Refused | None:
    """Why a project cannot have this name, or None."""
    if not isinstance(name, str) or not name.strip():
        return invalid("name: a project needs a name")
    return text_refusal(("name", name, LONGEST_NAME))


GROUP_COLUMNS = ("description", "labels", "default_parameters", "run_config", "schedule")


def group_change_refusal(changes: JsonObject) -> Refused | None:
    """Why a group cannot be changed like this, or None. The schedule is checked elsewhere."""
    if unknown := set(changes) - set(GROUP_COLUMNS):
        return invalid(f"{min(unknown)}: a flow group has no such field")
    if not isinstance(changes.get("default_parameters", {}), dict):
        return invalid("default_parameters: an object is expected")
    if reason := complaint_about(changes.get("run_config")):
        return invalid(reason)
    labels = changes.get("labels")
    if labels is not None and not (
        isinstance(labels, list) and all(isinstance(label, str) for label in labels)
    ):
        return invalid("labels: a list of strings is expected")
    description = changes.get("description")
    if description is not None and not isinstance(description, str):
        return invalid("description: a string is expected")
    try:
        for name in changes:
            encode(changes[name], path=name)
    except UnstorableError as error:
        return invalid(str(error))
    return None


def without_repeats(labels: Collection[str] | None) -> list[str] | None:
    """Labels without duplicates, in their order. None stays None: it means no override, while [] means no labels."""
    return None if labels is None else list(dict.fromkeys(labels))
