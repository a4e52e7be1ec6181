"""How a person of this generation logs in, with nothing configured: by a token up to 0.14, by an API key since 0.15."""

import re

from click.testing import CliRunner
from desk import VERSION, chapter, given, tell
from prefect.cli import cli

KEYS = VERSION >= (0, 15)


def say(*arguments, stdin=None):
    """What `prefect auth ...` prints; one that does not end with 0 is an error of the chapter."""
    result = CliRunner().invoke(cli, ["auth", *arguments], input=stdin)
    if result.exit_code:
        raise RuntimeError(
            f"{arguments} ended with {result.exit_code}: {result.output}\n{result.exception!r}"
        )
    return result.output


@chapter
def cli_auth():
    told = {"login": say("login", "--key" if KEYS else "--token", given["key"])}
    told["tenants"] = say("list-tenants")
    told["switch"] = say("switch-tenants", "--slug", given["slug"])
    if KEYS:
        told["status"] = say("status")
        told["made"] = say("create-key", "--name", "by hand")
        told["listed"] = say("list-keys")
        found = re.search(r"by hand\s+(\S+)", told["listed"])
        told["revoked"] = say("revoke-key", "--id", found[1])
        told["left"] = say("list-keys")
    else:
        scope = "--role" if VERSION < (0, 12) else "--scope"
        told["made"] = say("create-token", "--name", "by hand", scope, "USER")
        told["listed"] = say("list-tokens")
        found = re.search(r"by hand\s+(\S+)", told["listed"])
        told["revoked"] = say("revoke-token", "--id", found[1])
        told["left"] = say("list-tokens")
    told["logout"] = say("logout", stdin="y\n")
    return told


tell()
