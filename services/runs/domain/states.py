"""States as clients write them: what is refused, which defaults are filled in, what the ledger stores beside the JSON.

The JSON goes back to clients as it came (gateway/reference/runs.md): they load it with schemas of eight different
years; only defaults of Core's own constructors are added. The texts of refusals are those that Core's `StateSchema`
gives.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from libs.contracts.base import JsonObject
from libs.contracts.states import SCHEDULED_FAMILY, State
from libs.runtime import reported

PAYLOAD_LIMIT = 1_000_000
"""Bytes of compact JSON; results belong in a result backend, not in a state."""

_DATA = frozenset({"_result", "cached_inputs", "cached_parameters", "hashed_inputs"})
"""The data that other tasks use; it is never cut."""

META_STATES = frozenset({State.SUBMITTED, State.QUEUED, State.CLIENT_FAILED})
"""States that wrap another one in `state`."""

_NAMES: frozenset[str] = frozenset(State)

_COUNTS: dict[str, str] = {
    State.RETRYING: "run_count",
    State.LOOPED: "loop_count",
    State.MAPPED: "n_map_states",
}
"""Fields that Core reads as integers. With another value an agent could not load the run, nor others of the same
request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """A state that may be stored. `text` is `document` as JSON; `start_time` is set for the scheduled family only."""

    name: str
    message: str | None
    start_time: datetime | None
    document: JsonObject
    text: str

    @property
    def has_cached_inputs(self) -> bool:
        """Whether the state has its own inputs."""
        return bool(self.document.get("cached_inputs"))


@dataclass(frozen=True, slots=True)
class InvalidState:
    """Not a state; `reason` has the form of marshmallow's errors, which clients print."""

    reason: str


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A state beyond `PAYLOAD_LIMIT`."""

    size: int


def read_state(raw: object, *, now: datetime) -> RunState | InvalidState | TooLarge:
    """The client's state with Core's defaults filled in, or why it is not a state.

    Characters that cannot be stored are replaced and long texts are cut (`libs/runtime/reported.py`): a refused state
    would leave its run Running for ever. Only data that is too large, not text, is refused.
    """
    if not isinstance(raw, dict):
        return InvalidState(str({"_schema": [f"Invalid data type: {raw!r:.100}"]}))
    body = _to_json_bytes(raw)
    if len(body) > PAYLOAD_LIMIT or reported.needs_cleaning(body):
        fitting = _storable(reported.clean(raw) if reported.needs_cleaning(body) else raw)
        if fitting is None:
            return TooLarge(len(body))
        raw, body = fitting
    if (reason := _fault(raw)) is not None:
        return InvalidState(reason)
    name = raw["type"]
    document = _with_defaults(_unwrapped(raw), now=now)
    timestamp = document.get("start_time") if name in SCHEDULED_FAMILY else None
    return RunState(
        name=name,
        message=document["message"],
        start_time=parse_timestamp(timestamp) if timestamp is not None else None,
        document=document,
        text=body.decode() if document is raw else to_json(document),
    )


def _storable(raw: JsonObject) -> tuple[JsonObject, bytes] | None:
    """The state and its JSON within the limit; None when its data alone is larger."""
    fitting = reported.fit(raw, limit=PAYLOAD_LIMIT, keep=_DATA)
    if fitting is None and raw.get("context"):
        notice = "[the context of this state was too large and is left out]"
        message = f"{raw.get('message') or ''}\n{notice}".strip()
        lighter = raw | {"context": {}, "message": message}
        fitting = reported.fit(lighter, limit=PAYLOAD_LIMIT, keep=_DATA)
    return fitting


def make_state(name: State, message: str, **fields: Any) -> RunState:
    """A state that the ledger itself writes: `type`, `message` and what the type needs; all clients load it."""
    timestamp = fields.get("start_time")
    if isinstance(timestamp, datetime):
        fields["start_time"] = timestamp.isoformat()
    document = {"type": str(name), "message": message} | fields
    return RunState(
        name=str(name),
        message=message,
        start_time=timestamp if name in SCHEDULED_FAMILY else None,
        document=document,
        text=to_json(document),
    )


def with_cached_inputs(state: RunState, cached_inputs: JsonObject) -> RunState:
    """The same state carrying the inputs of the one before it (gateway/reference/runs.md)."""
    document = state.document | {"cached_inputs": cached_inputs}
    return RunState(
        name=state.name,
        message=state.message,
        start_time=state.start_time,
        document=document,
        text=to_json(document),
    )


def parse_timestamp(value: object) -> datetime | None:
    """An ISO timestamp, in UTC; naive ones are UTC. None when it is not one."""
    if not isinstance(value, str):
        return None
    try:
        return in_utc(datetime.fromisoformat(value))
    except ValueError:
        return None


def in_utc(timestamp: datetime) -> datetime | None:
    """The time in UTC; None if it is outside of UTC's calendar (end of the year 9999 in a western zone)."""
    try:
        return aware(timestamp).astimezone(UTC)
    except OverflowError:
        return None


def aware(timestamp: datetime) -> datetime:
    """A timestamp without an offset is UTC."""
    return timestamp if timestamp.tzinfo is not None else timestamp.replace(tzinfo=UTC)


def to_json(value: object) -> str:
    """Compact JSON; integers beyond 64 bits, which orjson refuses, go through the standard library."""
    return _to_json_bytes(value).decode()


def _to_json_bytes(value: object) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


def _fault(raw: JsonObject) -> str | None:
    """The first error that Core's schema would report."""
    name = raw.get("type")
    if name is None:
        return str({"type": ["Missing data for required field."]})
    if not isinstance(name, str) or name not in _NAMES:
        return str({"type": [f"Unsupported value: {name!s:.100}"]})
    message = raw.get("message")
    if message is not None and not isinstance(message, str):
        return str({"message": ["Not a valid string."]})
    for key in ("context", "cached_inputs"):
        if raw.get(key) is not None and not isinstance(raw[key], dict):
            return str({key: ["Not a valid mapping type."]})
    timestamp = raw.get("start_time")
    if timestamp is not None and name in SCHEDULED_FAMILY and parse_timestamp(timestamp) is None:
        return str({"start_time": ["Not a valid datetime."]})
    counted = _COUNTS.get(name)
    if counted is not None and raw.get(counted) is not None and not _is_integer(raw[counted]):
        return str({counted: ["Not a valid integer."]})
    if name in META_STATES and raw.get("state") is not None:
        return _inner_fault(raw["state"])
    return None


def _is_integer(value: object) -> bool:
    """As in Core's schemas: digits in a string, and a float, are accepted."""
    if isinstance(value, str):
        return value.strip().lstrip("+-").isdecimal()
    return isinstance(value, int | float)


def _inner_fault(inner: object) -> str | None:
    # Meta states nest as deep as a client likes, so this walks instead of recursing.
    while isinstance(inner, dict):
        wrapped = inner.get("state") if inner.get("type") in META_STATES else None
        reason = _fault({k: v for k, v in inner.items() if k != "state"})
        if reason is not None:
            return f"{{'state': {reason}}}"
        if wrapped is None:
            return None
        inner = wrapped
    return str({"state": {"_schema": [f"Invalid data type: {inner!r:.100}"]}})


def _unwrapped(raw: JsonObject) -> JsonObject:
    """A meta state never wraps another: Core's constructors take the innermost ordinary state."""
    if raw["type"] not in META_STATES or not isinstance(raw.get("state"), dict):
        return raw
    inner = raw["state"]
    while inner.get("type") in META_STATES and isinstance(inner.get("state"), dict):
        inner = inner["state"]
    if inner is raw["state"]:
        return raw
    return raw | {"state": inner}


def _with_defaults(raw: JsonObject, *, now: datetime) -> JsonObject:
    """The same object when nothing is missing, which is what Core's own clients send."""
    name = raw["type"]
    missing: JsonObject = {}
    if "message" not in raw:
        missing["message"] = None
    for key in ("context", "cached_inputs"):
        if raw.get(key) is None:
            # The UI reads these without a check (gateway/reference/runs.md).
            missing[key] = {}
    if name in SCHEDULED_FAMILY:
        if name != State.PAUSED and raw.get("start_time") is None:
            missing["start_time"] = now.isoformat()
        if name == State.RETRYING and raw.get("run_count") is None:
            missing["run_count"] = (raw.get("context") or {}).get("task_run_count") or 1
    return raw | missing if missing else raw
