"""The house itself: what the Makefile and the locks promise."""

import json
import re
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def test_every_make_target_says_what_it_does() -> None:
    makefile = (CHECKOUT / "Makefile").read_text()
    targets = re.findall(r"^([a-z][a-z-]*):(.*)$", makefile, flags=re.MULTILINE)

    undocumented = [name for name, rest in targets if " ## " not in rest]

    assert len(targets) > 15
    assert undocumented == []


def test_secrets_are_drawn_on_a_machine_that_can_make_no_environment() -> None:
    said = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "env", "PYTHON="],  # noqa: S607 - the make of whoever tests
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout == "python3 deploy/containers/write_env.py .env\n"


def test_the_pages_link_to_what_is_there() -> None:
    folders = ("services", "libs", "deploy", "tests")
    found = [*CHECKOUT.glob("*.md"), *(p for f in folders for p in (CHECKOUT / f).rglob("*.md"))]
    pages = [page for page in found if "node_modules" not in page.parts]
    links = [
        (page, link)
        for page in pages
        for link in re.findall(r"\]\(([^)#\s]+)", page.read_text())
        if "://" not in link
    ]

    broken = [(page, link) for page, link in links if not (page.parent / link).exists()]

    assert len(links) > 30
    assert broken == []


def test_no_file_cites_a_page_that_is_not_there() -> None:
    endings = {".py", ".sql", ".md", ".yml", ".yaml", ".conf", ".toml"}
    named = subprocess.run(
        ["git", "ls-files"],  # noqa: S607 - the git of whoever tests
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    names = named.stdout.splitlines()
    pages = [f"/{name}" for name in names if name.endswith(".md")]
    cited = {
        (name, page)
        for name in names
        if Path(name).suffix in endings
        for page in re.findall(
            r"(?<![\w/.$-])((?:[\w-]+/)*[\w-]+\.md)\b", (CHECKOUT / name).read_text()
        )
    }

    missing = {(n, page) for n, page in cited if not any(p.endswith(f"/{page}") for p in pages)}

    assert len(cited) > 50
    assert missing == set()


def test_pages_and_docstrings_of_packages_name_files_that_are_there() -> None:
    said = subprocess.run(
        ["git", "ls-files"],  # noqa: S607 - the git of whoever tests
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = [f"/{name}" for name in said.stdout.splitlines()]
    # What was is history, and may name what is gone.
    pages = [f for f in files if f.endswith((".md", "__init__.py")) and f != "/CHANGELOG.md"]
    file_name = re.compile(r"(?<![\w/.$*-])((?:[\w-]+/)*[\w-]+\.(?:py|sql|toml|ya?ml|conf))\b")
    named = {
        (page, name)
        for page in pages
        for name in file_name.findall((CHECKOUT / page[1:]).read_text())
    }

    missing = {(p, name) for p, name in named if not any(f.endswith(f"/{name}") for f in files)}

    assert len(named) > 200
    assert missing == set()


def test_the_lock_of_the_web_pages_names_no_registry_and_every_package_has_a_hash() -> None:
    lock = json.loads((CHECKOUT / "services/dashboard/package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}

    assert len(packages) > 50
    assert [name for name, entry in packages.items() if "resolved" in entry] == []
    assert [name for name, entry in packages.items() if "integrity" not in entry] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_host_and_no_folder(lock: str) -> None:
    text = (CHECKOUT / lock).read_text()

    assert re.findall(r"://|--index|--extra|--find-links|^#|/[a-z]+/", text, re.MULTILINE) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_a_hash(lock: str) -> None:
    text = (CHECKOUT / lock).read_text().replace("\\\n", " ")

    packages = [line for line in text.splitlines() if line.strip()]

    assert len(packages) > 30
    assert [line for line in packages if "--hash=sha256:" not in line] == []


def test_development_adds_to_the_lock_and_changes_nothing() -> None:
    pins = [
        dict(re.findall(r"^([a-z0-9.-]+)==([^ ;]+)", (CHECKOUT / lock).read_text(), re.MULTILINE))
        for lock in LOCKS
    ]

    assert pins[0].items() <= pins[1].items()


def test_every_dependency_is_locked() -> None:
    project = (CHECKOUT / "pyproject.toml").read_text()
    wanted = set(
        re.findall(r'^    "([A-Za-z0-9-]+)[^"]*",$', project.split("[tool.")[0], re.MULTILINE)
    )
    locked = set(re.findall(r"^([a-z0-9.-]+)==", (CHECKOUT / LOCKS[1]).read_text(), re.MULTILINE))

    assert wanted - locked == set()
