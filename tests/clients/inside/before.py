"""What a user of this generation does before any agent runs: projects, flows, secrets, keys and values, runs.

The flows are defined here, in the script, as users do: what is not importable is pickled with the flow.
"""

import inspect
import os
import sys
import time
from datetime import timedelta
from pathlib import Path

import pendulum
import prefect
from desk import CLOUD, VERSION, chapter, failure_of, given, mutate, tell
from prefect import Client, Flow, Parameter, task
from prefect.engine.state import Running, Submitted
from prefect.schedules import IntervalSchedule

try:
    from prefect.storage import Local
except ImportError:
    from prefect.environments.storage import Local

LABEL = given["label"]
PROJECT = given["project"]
HOME = Path(given["home"])
PIN = given["secret"]
NARROW = f"narrow-{LABEL}"
client = Client()


@task
def double(x):
    return 2 * x


# Without input: Core 0.8 can retry only what it can store.
@task(max_retries=2, retry_delay=timedelta(seconds=1))
def second_time_lucky():
    if prefect.context.get("task_run_count", 1) == 1:
        raise ConnectionError("busy")


@task
def total(xs):
    logger = prefect.context.get("logger")
    logger.info("the sum is %d", sum(xs))
    logger.warning("with an umlaut: ü")


@task
def look_around():
    """Say which heartbeats this process keeps going: a child process, or a thread in Core 0.8."""
    import threading
    from contextlib import suppress

    import psutil

    helpers = 0
    for child in psutil.Process().children():
        with suppress(psutil.Error):  # that of a task that has just ended
            helpers += "heartbeat" in " ".join(child.cmdline())
    threads = [thread for thread in threading.enumerate() if "Heartbeat" in thread.name]
    prefect.context.get("logger").info("heartbeats: %s", "on" if helpers or threads else "off")


@task
def tell_secret():
    from prefect.client import Secret

    logger = prefect.context.get("logger")
    logger.info("the secret is %r", Secret(PIN).get())
    try:
        Secret("no such secret").get()
    except Exception as error:
        logger.info("no such secret: %s", type(error).__name__)


@task
def draw():
    """Keep artifacts with the task run, where this generation has them."""
    try:
        from prefect.backend.artifacts import create_link_artifact as link
        from prefect.backend.artifacts import create_markdown_artifact as markdown
        from prefect.backend.artifacts import delete_artifact as delete
        from prefect.backend.artifacts import update_markdown_artifact as update
    except ImportError:
        from prefect.artifacts import create_link as link
        from prefect.artifacts import create_markdown as markdown
        from prefect.artifacts import delete_artifact as delete
        from prefect.artifacts import update_markdown as update
    update(markdown("# draft"), "# final")
    link("https://example.org/kept")
    delete(link("https://example.org/deleted"))


@task
def wait_to_be_cancelled():
    (HOME / "endless.pid").write_text(str(os.getpid()))
    while True:
        time.sleep(0.1)


@task
def explode():
    raise ValueError("boom")


@task(tags=[NARROW])
def squeeze():
    pass


def placed(flow, storage=None):
    """The flow, where this cell's agent finds it."""
    flow.storage = storage or Local()
    try:
        from prefect.run_configs import LocalRun

        flow.run_config = LocalRun(labels=[LABEL])
    except ImportError:
        from prefect.environments import LocalEnvironment

        flow.environment = LocalEnvironment(labels=[LABEL])
    return flow


with Flow("work") as work:
    total(double.map(Parameter("numbers", default=[1, 2])), upstream_tasks=[second_time_lucky])
    look_around()
    if given["secrets"]:
        tell_secret()
    if given["artifacts"]:
        draw()

with Flow("endless") as endless:
    wait_to_be_cancelled()

# Found by its name alone in Core 0.12, so the name is this cell's own.
with Flow(f"quick of {LABEL}") as quick:
    look_around()


@chapter
def projects():
    first = client.create_project(PROJECT, project_description="of the matrix")
    try:
        again = client.create_project(PROJECT)
    except Exception as error:
        again = str(error)
    return {"id": first, "again": again}


ids = {}


def register(flow, **more):
    return flow.register(project_name=PROJECT, **more)


def broken_flow():
    """Kept as a script where this generation can, and pickled elsewhere."""
    if not given["script_storage"]:
        with Flow("broken") as flow:
            double(explode())
        return placed(flow)
    script = HOME / "broken.py"
    script.write_text(
        "from prefect import Flow, task\n\n"
        "@task\ndef explode():\n    raise ValueError('boom')\n\n"
        "@task\ndef double(x):\n    return 2 * x\n\n"
        "with Flow('broken') as flow:\n    double(explode())\n"
    )
    scope = {"__name__": "broken"}
    exec(compile(script.read_text(), str(script), "exec"), scope)  # noqa: S102 - our own text, as `prefect register` would
    return placed(scope["flow"], Local(path=str(script), stored_as_script=True))


@chapter
def flows():
    ids.update({flow.name.split()[0]: register(placed(flow)) for flow in (work, endless, quick)})
    ids["broken"] = register(broken_flow())
    if given["whole"]:
        ids["lost"] = register(placed(Flow("lost", tasks=[look_around])))
        ids["narrow"] = register(placed(Flow("narrow", tasks=[squeeze])))
        ids["given up"] = register(placed(Flow("given up", tasks=[look_around])))
    return ids


@chapter
def versions():
    return [register(placed(Flow("versions", tasks=[look_around]))) for _ in range(2)]


@chapter
def idempotent_registration():
    flow = placed(Flow("same", tasks=[look_around]))
    return [register(flow, idempotency_key=key) for key in ("a", "a", "b")]


def settings_of(flow_id):
    found = client.graphql(f'query {{ flow(where: {{id: {{_eq: "{flow_id}"}}}}) {{ settings }} }}')
    return found.data.flow[0].settings.to_dict()


@chapter
def safeguards():
    mutate("enable_flow_version_lock", "enableFlowVersionLocking", flow_id=ids["work"])
    if given["whole"]:
        mutate("disable_flow_lazarus_process", "disableLazarusForFlow", flow_id=ids["given up"])
    return {name: settings_of(flow_id) for name, flow_id in ids.items()}


@chapter
def secrets():
    client.set_secret(PIN, {"pin": 7})
    return True


@chapter
def tag_limits():
    """A limit of none at first: the run below waits in its process until somebody allows one."""
    client.update_task_tag_limit(NARROW, 2)
    made = client.get_task_tag_limit(NARROW)
    client.update_task_tag_limit(NARROW, 0)
    return [made, client.get_task_tag_limit(NARROW), client.get_task_tag_limit("no such tag")]


@chapter
def key_values():
    from prefect.backend import kv_store

    if not CLOUD:
        return failure_of(kv_store.set_key_value, "k", 1)
    kv_store.set_key_value("k", {"a": [1, "ü"]})
    kv_store.set_key_value("gone", 1)
    kv_store.delete_key("gone")
    return [
        kv_store.get_key_value("k"),
        kv_store.list_keys(),
        failure_of(kv_store.get_key_value, "gone"),
    ]


@chapter
def runs():
    started = {
        "work": client.create_flow_run(
            flow_id=ids["work"], parameters={"numbers": [1, 2, 18]}, run_name=f"work of {LABEL}"
        ),
        "broken": client.create_flow_run(flow_id=ids["broken"]),
        "endless": client.create_flow_run(flow_id=ids["endless"]),
    }
    if given["whole"]:
        started["narrow"] = client.create_flow_run(flow_id=ids["narrow"])
        for name in ("lost", "given up"):
            run = started[name] = client.create_flow_run(flow_id=ids[name])
            # As if an agent had taken it and died with it.
            client.set_flow_run_state(flow_run_id=run, version=1, state=Submitted())
    return started


@chapter
def idempotent_runs():
    tomorrow = pendulum.now("UTC").add(days=1)
    return [
        client.create_flow_run(
            flow_id=ids["work"], idempotency_key=key, scheduled_start_time=tomorrow
        )
        for key in ("order 7", "order 7", "order 8")
    ]


@chapter
def stale_write():
    tomorrow = pendulum.now("UTC").add(days=1)
    run = client.create_flow_run(flow_id=ids["work"], scheduled_start_time=tomorrow)
    refused = failure_of(client.set_flow_run_state, flow_run_id=run, version=7, state=Running())
    now = client.get_flow_run_info(run)
    return {"refused": refused, "version": now.version, "state": type(now.state).__name__}


@chapter
def tenants():
    found = client.get_available_tenants()
    return [[tenant["id"], tenant["slug"]] for tenant in found]


@chapter
def parent():
    if not given["whole"]:
        return None
    with Flow("parent") as flow:
        if VERSION >= (0, 15):
            from prefect.tasks.prefect import create_flow_run, wait_for_flow_run

            wait_for_flow_run(
                create_flow_run(flow_name=quick.name, project_name=PROJECT), raise_final_state=True
            )
        else:
            try:
                from prefect.tasks.prefect import StartFlowRun as Start
            except ImportError:
                from prefect.tasks.prefect import FlowRunTask as Start
            project = {} if VERSION < (0, 13) and not CLOUD else {"project_name": PROJECT}
            Start(flow_name=quick.name, wait=True, **project)()
    return client.create_flow_run(flow_id=register(placed(flow)))


def clockwork_flow():
    """Kept in a module where this generation can."""
    if not given["module_storage"]:
        return placed(Flow("clockwork", tasks=[look_around]))
    from prefect.storage import Module

    (HOME / "clockwork_of_the_matrix.py").write_text(
        "import prefect\nfrom prefect import Flow, task\n\n"
        + inspect.getsource(look_around.run)
        + "\nflow = Flow('clockwork', tasks=[look_around])\n"
    )
    sys.path.insert(0, str(HOME))
    from clockwork_of_the_matrix import flow

    return placed(flow, Module("clockwork_of_the_matrix"))


@chapter
def schedule():
    """Last, as its first instant must still be ahead when the scheduler hears of it, however busy the machine is."""
    flow = clockwork_flow()
    flow.schedule = IntervalSchedule(
        start_date=pendulum.now("UTC").add(seconds=20), interval=timedelta(hours=1)
    )
    flow_id = register(flow)
    mutate("disable_flow_heartbeat", "disableFlowHeartbeat", flow_id=flow_id)
    return {"id": flow_id, "settings": settings_of(flow_id)}


tell()
