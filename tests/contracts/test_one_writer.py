"""Who writes run state: the journal of the ledger alone. All SQL of the service is read, in files and in Python."""

import re
from pathlib import Path

import pytest

import services.runs

ROOT = Path(services.runs.__path__[0])
STATEMENT = re.compile(
    r"\b(?P<verb>INSERT INTO|UPDATE|DELETE FROM)\s+runs\.(?P<table>\w+)(?P<rest>.*?)"
    r"(?=\bINSERT INTO\b|\bDELETE FROM\b|\bUPDATE runs\b|\Z)",
    re.S,
)
STATE_COLUMNS = re.compile(
    r"(?<![.\w])(version|state|state_timestamp|state_message|state_start_time|serialized_state|attempt|lease_token)\s*=[^=]"
)
OF_THE_JOURNAL = {"flow_run_state", "task_run_state", "concurrency_slot", "outbox"}
RUNS = {"flow_run", "task_run"}


def writes() -> list[tuple[str, str, str]]:
    """(file, verb and table, what is set) of every statement that writes a table of `runs`."""
    files = sorted({*ROOT.rglob("*.sql"), *ROOT.rglob("*.py")})
    return [
        (str(path.relative_to(ROOT)), f"{found['verb']} {found['table']}", found["rest"])
        for path in files
        for found in STATEMENT.finditer(path.read_text())
    ]


def is_state(verb_and_table: str, rest: str) -> bool:
    """Whether the statement writes states, histories, slots or events."""
    verb, _, table = verb_and_table.rpartition(" ")
    if table in OF_THE_JOURNAL:
        return True
    if table not in RUNS:
        return False
    if verb != "UPDATE":
        return True
    assigned = re.split(r"\b(?:FROM|WHERE)\b", rest, maxsplit=1)[0]
    return STATE_COLUMNS.search(assigned) is not None


def used_by(sql: str) -> set[str]:
    """The modules of the folder above that name this statement's file."""
    path = ROOT / sql
    name = re.compile(rf'"{path.stem}"')
    return {
        str(module.relative_to(ROOT))
        for module in path.parent.parent.glob("*.py")
        if name.search(module.read_text())
    }


def test_run_state_histories_slots_and_events_have_one_writer() -> None:
    writers: set[str] = set()
    for file, verb_and_table, rest in writes():
        if is_state(verb_and_table, rest):
            writers |= used_by(file) if file.endswith(".sql") else {file}

    # Deleting whole runs is not writing their state: `removal.py` does it, with all that names them.
    assert writers == {"ledger/journal.py", "ledger/removal.py"}
    assert {v for f, v, _ in writes() if f == "ledger/removal.py"} == {
        "DELETE FROM deleted_instant", "DELETE FROM task_run_state", "DELETE FROM flow_run_state",
        "DELETE FROM log_usage", "DELETE FROM log", "DELETE FROM flow_run",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "is_one"),
    [
        ("UPDATE runs.flow_run r SET state = 'Late' WHERE r.id = $1", True),
        ("UPDATE runs.flow_run SET name = $2 WHERE state = 'Running'", False),
        ("UPDATE runs.flow_run SET lease_expires = now() WHERE lease_token = $1", False),
        ("INSERT INTO runs.outbox (id) VALUES ($1)", True),
        ("DELETE FROM runs.concurrency_slot WHERE run_id = $1", True),
        ("DELETE FROM runs.log WHERE id = $1", False),
    ],
)
def test_a_second_writer_would_be_seen(statement: str, is_one: bool) -> None:
    found = STATEMENT.search(statement)

    assert found is not None
    assert is_state(f"{found['verb']} {found['table']}", found["rest"]) is is_one


def test_state_changes_are_announced_in_one_place() -> None:
    builders = [
        str(path.relative_to(ROOT))
        for path in sorted(ROOT.rglob("*.py"))
        if "FlowRunStateChanged(" in path.read_text()
    ]

    assert builders == ["ledger/journal.py"]
