"""`headwater check` and `headwater automations test`: what is asked of the API."""

import json
from typing import Annotated, Any
from uuid import UUID

import typer

from deploy.local.commands import local_settings, or_complain
from deploy.output import Json, console, show_json, show_rows
from deploy.say import complain

automations = typer.Typer(help="Try automations.", no_args_is_help=True)

Url = Annotated[
    str | None,
    typer.Option(
        envvar="HEADWATER_URL",
        help="Address of the Headwater, http://host:4200.",
        show_default="that of the data folder",
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar="HEADWATER_API_KEY",
        help="An API key, where keys are required.",
        show_default="the first key of the data folder",
    ),
]
_HOOKS = "query($where: hook_bool_exp) { hook(where: $where, limit: 2) { action_id name } }"
_TEST = """mutation($id: UUID!) {
  test_action(input: { action_id: $id }) { status latency_ms answer delivery_id }
}"""
_HEALTH = """{ system_health {
  sentence services { name status reason } engines { name status reason }
} }"""
_KNOWN_WITHIN = 20.0  # seconds; services that have just started are heard within ten
_WITHIN = 60.0  # seconds; a receiver may be slow


class ApiError(Exception):
    """The API could not be asked, or refused; the text says what to do."""


def check(*, url: Url = None, key: ApiKey = None, as_json: Json = False) -> None:
    """Check that Headwater is healthy; exit code 1 if anything is wrong."""
    from libs.contracts.version import VERSION

    address, found_key = _where(url, key)
    findings: list[dict[str, Any]] = [
        {"what": "this package", "ok": True, "says": f"version {VERSION}"}
    ]
    if url is None:
        findings += _of_this_machine()
    findings += _of_the_api(address, found_key)
    if as_json:
        show_json({"ok": all(f["ok"] for f in findings), "findings": findings})
    else:
        shown = [f | {"ok": "ok" if f["ok"] else "FAULT"} for f in findings]
        show_rows(shown, ("ok", "what", "says"))
    if not all(f["ok"] for f in findings):
        raise typer.Exit(1)


@automations.command("test")
def try_automation(
    automation: Annotated[str, typer.Argument(help="Name or id of an automation.")],
    *,
    url: Url = None,
    key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Run the action of an automation now, with an invented event."""
    address, found_key = _where(url, key)
    try:
        where = {"id" if _is_id(automation) else "name": {"_eq": automation}}
        found = _ask(address, found_key, _HOOKS, where=where)["hook"]
        if len(found) != 1:
            what = "no automation" if not found else "more than one automation"
            msg = f"There is {what} {automation}; give the id that the dashboard shows."
            raise ApiError(msg)
        tested = _ask(address, found_key, _TEST, id=found[0]["action_id"])["test_action"]
    except ApiError as error:
        complain(error)
    if as_json:
        show_json(tested)
    else:
        status = "" if tested["status"] is None else f", status {tested['status']}"
        console.print(f"delivered in {tested['latency_ms']} ms{status}")


def _where(url: str | None, key: str | None) -> tuple[str, str | None]:
    """The address of the API and a key for it."""
    if url is not None:
        return url.rstrip("/").removesuffix("/graphql"), key
    from deploy.engines import DataFolder, EngineError
    from deploy.local import record

    settings = local_settings()
    folder = DataFolder(settings.data)
    found = or_complain(lambda: record.read(folder))
    if found is None:
        msg = f"no Headwater runs on {folder.path}; start it (headwater up), or name another with --url"
        complain(EngineError(msg))
    needs_key = settings.keys_required and key is None
    return found.url, folder.secret("gateway.first_key") if needs_key else key


def _of_this_machine() -> list[dict[str, Any]]:
    """What can be seen in the data folder."""
    import shutil

    folder = local_settings().data
    free = shutil.disk_usage(folder).free
    says = f"{free / 2**30:.1f} GiB free on the disk of {folder}"
    enough = free > 2**30
    return [{"what": "disk", "ok": enough, "says": says if enough else f"{says}; make room there"}]


def _of_the_api(address: str, key: str | None) -> list[dict[str, Any]]:
    """What Headwater says about its services and engines; one line if it cannot be asked."""
    try:
        health = _known_health(address, key)
    except ApiError as error:
        return [{"what": "API", "ok": False, "says": str(error)}]
    return [
        {"what": "API", "ok": True, "says": f"{address}/graphql: {health['sentence']}"},
        *(
            {
                "what": part["name"],
                "ok": part["status"] == "ready",
                "says": part["reason"] or part["status"],
            }
            for part in health["services"] + health["engines"]
        ),
    ]


def _known_health(address: str, key: str | None) -> dict[str, Any]:
    """The health, once something is known of each part; as it is if that takes longer than after a start."""
    from time import monotonic, sleep

    deadline = monotonic() + _KNOWN_WITHIN
    while True:
        health: dict[str, Any] = _ask(address, key, _HEALTH)["system_health"]
        parts = health["services"] + health["engines"]
        if all(part["status"] != "unknown" for part in parts) or monotonic() > deadline:
            return health
        sleep(0.5)


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _ask(address: str, key: str | None, query: str, **variables: Any) -> dict[str, Any]:
    """`data` of the answer. ApiError has the sentence of the server."""
    import urllib.error
    import urllib.request

    if not address.startswith(("http://", "https://")):
        msg = f"--url is {address!r}; it must begin with http:// or https://."
        raise ApiError(msg)
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{address}/graphql", data=body, headers=headers)  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=_WITHIN) as response:  # noqa: S310 - checked above
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        said = error.read(500).decode(errors="replace")
        hint = "; give a key with --key or HEADWATER_API_KEY" if error.code in (401, 403) else ""
        msg = f"{address} answered {error.code}{hint}: {said}"
        raise ApiError(msg) from None
    except (OSError, ValueError) as error:
        msg = f"{address} does not answer ({error}); is Headwater running there?"
        raise ApiError(msg) from None
    if answer.get("errors"):
        raise ApiError("; ".join(str(each["message"]) for each in answer["errors"]))
    data: dict[str, Any] = answer["data"]
    return data
