"""Which release of Prefect Server a database belongs to, by its `alembic_version`."""

FINAL = "ac5747fb571c"

RELEASES: dict[str, str] = {
    "b9086bd4b962": "Server 0.1.0",
    "c1f317aa658c": "Server 2020-08-21 to 2020-09-01a",
    "70528cee0d2b": "Server 2020-09-11 to 2020-09-15",
    "e148cf9f1e5b": "Server 2020-09-24",
    "850b76d44332": "Server 2020-10-07a",
    "24f10aeee83e": "Server 2020-10-08 to 2020-10-29",
    "3c87ad7e0b71": "Server 2020-11-10 to 2020-11-29",
    "57ac2cb01ac1": "Server 2020-12-04 to 2020-12-16",
    "7ca57ea2fdff": "Server 2021-01-05 to 2021-01-19",
    "9116e81c6dc2": "Server 2021.01.25 to 2021.03.10",
    "459a61bedc9e": "Server 2021.03.20 to 2021.04.06",
    "a666a3f4e422": "Server 2021.04.27 to 2021.07.06",
    FINAL: "Server 2021.09.02 to 2022.09.23",
}
"""The released schemas of Server, oldest first."""

CORE: dict[str, str] = {
    "6b0389a57a0a": "Core 0.10.0",
    "7e65dadba625": "Core 0.10.1 to 0.12.6",
}
"""The schemas of Core's own server of 2020: another line, which no tool of Server upgrades and which is not read."""


class UnknownPeerError(Exception):
    """The database is none that can be imported; the text says what it is."""


def release_of(revisions: list[str]) -> str:
    """The release of this `alembic_version`. Raises `UnknownPeerError` for any other."""
    known = sorted({*revisions} & RELEASES.keys())
    if len(revisions) == 1 and known:
        return RELEASES[known[0]]
    told = ", ".join(sorted(revisions)) or "nothing"
    older = [CORE[each] for each in revisions if each in CORE]
    if older:
        msg = f"alembic_version has {told}: {older[0]}, whose schema has no tenants and cannot be imported."
        raise UnknownPeerError(msg)
    msg = (
        f"alembic_version has {told}, which is no released schema of Prefect Server. Prefect 2 and 3 have other "
        f"tables; a Server between two releases must be upgraded first (to {FINAL})."
    )
    raise UnknownPeerError(msg)
