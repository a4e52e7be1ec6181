"""What a user of this generation does after the runs: the commands of its `prefect`, and its views of a run."""

import inspect

import prefect
from click.testing import CliRunner
from desk import CLOUD, VERSION, chapter, given, tell
from prefect.cli import cli

PROJECT = given["project"]
RUN = given["runs"]["work"]
RUN_NAME = "work of " + given["label"]
QUICK = "quick of " + given["label"]

# One beat of `prefect heartbeat` is followed by this pause, in seconds.
prefect.config.cloud.heartbeat_interval = 0


def say(*arguments, stdin=None):
    """What the command prints; a command that does not end with 0 is an error of the chapter."""
    result = CliRunner().invoke(cli, [str(one) for one in arguments], input=stdin)
    if result.exit_code:
        raise RuntimeError(
            f"{arguments} ended with {result.exit_code}: {result.output}\n{result.exception!r}"
        )
    return result.output


@chapter
def cli_version():
    return say("version")


@chapter
def cli_get():
    logs = ("--id", RUN) if VERSION >= (0, 12) else ("--name", RUN_NAME)
    return {
        "projects": say("get", "projects"),
        "flows": say("get", "flows", "--limit", 100, "--project", PROJECT),
        "all versions": say("get", "flows", "--name", "versions", "--all-versions"),
        "tasks": say("get", "tasks", "--flow-name", "work", "--limit", 100),
        "flow-runs": say("get", "flow-runs", "--flow", "work"),
        "logs": say("get", "logs", *logs),
    }


@chapter
def cli_describe():
    return {
        "flows": say("describe", "flows", "--name", "work"),
        "tasks": say("describe", "tasks", "--name", "work"),
        "flow-runs": say("describe", "flow-runs", "--name", RUN_NAME),
    }


@chapter
def cli_create():
    return say("create", "project", PROJECT + " by hand", "--description", "of the command line")


@chapter
def cli_delete():
    say("create", "project", PROJECT + " doomed")
    return say("delete", "project", PROJECT + " doomed")


@chapter
def cli_register():
    from pathlib import Path

    script = Path(given["home"]) / "by_command.py"
    script.write_text(
        "from prefect import Flow, task\n\n@task\ndef one():\n    return 1\n\n"
        "flow = Flow('by command', tasks=[one])\n"
    )
    if VERSION >= (0, 14):
        return [say("register", "--project", PROJECT, "--path", script) for _ in range(2)]
    return [say("register", "flow", "--file", script, "--name", "by command", "--project", PROJECT)]


@chapter
def cli_heartbeat():
    return say("heartbeat", "flow-run", "--id", RUN, "--num", 1)


@chapter
def cli_agent():
    kind = ("agent", "local", "install") if VERSION >= (0, 13) else ("agent", "install", "local")
    return say(*kind, "--label", "a-label")


@chapter
def cli_key_values():
    from prefect.cli import kv_store as _has_it  # noqa: F401

    if not CLOUD:
        return None
    return [
        say("kv", "set", "by-hand", "7"),
        say("kv", "get", "by-hand"),
        say("kv", "list"),
        say("kv", "delete", "by-hand"),
    ]


@chapter
def view():
    from prefect.backend import FlowRunView

    found = FlowRunView.from_flow_run_id(RUN)
    return {
        "state": type(found.state).__name__,
        "states": sorted(type(state).__name__ for state in found.states),
        "tasks": sorted({run.task_slug for run in found.get_all_task_runs()}),
        "logs": [log.message for log in found.get_logs()],
    }


@chapter
def cli_run():
    """Run a flow from the command line and watch it to its end."""
    if not given["whole"]:
        return None
    if VERSION >= (0, 15):
        return say("run", "--project", PROJECT, "--name", QUICK, "--watch")
    if VERSION >= (0, 13):
        return say("run", "flow", "--project", PROJECT, "--name", QUICK, "--watch")
    if CLOUD:
        return say("run", "cloud", "--project", PROJECT, "--name", QUICK, "--watch")
    return say("run", "server", "--name", QUICK, "--watch")


@chapter
def artifacts_module():
    """Whether this generation has artifacts at all."""
    import prefect.artifacts as found

    return inspect.getdoc(found)


tell()
