"""The wheel in an environment of its own: what a person has after `pip install`.

Its dependencies are those of this environment, so that no registry is needed.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest

from libs.contracts.version import VERSION
from tests.support.engines import make_folder
from tests.support.ports import free_port

CHECKOUT = Path(__file__).parents[3]
DIST = CHECKOUT / "services" / "dashboard" / "dist"
WITHIN = 240.0  # seconds for a command; the machine may be busy with other tests


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(folder)]
    subprocess.run(  # noqa: S603 - our own build
        command, cwd=CHECKOUT, check=True, capture_output=True, timeout=WITHIN
    )
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`headwater`, installed."""
    root = tmp_path_factory.mktemp("installed")
    venv.create(root, with_pip=False, symlinks=True)
    uv = shutil.which("uv", path=str(Path(sys.executable).parent))
    assert uv is not None
    install = [uv, "pip", "install", "--offline", "--no-deps", "--no-cache", str(wheel)]
    subprocess.run(  # noqa: S603 - of this environment
        [*install, "--python", str(root / "bin/python")],
        check=True,
        capture_output=True,
        timeout=WITHIN,
    )
    [packages] = root.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return root / "bin" / "headwater"


def test_the_wheel_has_what_is_needed_at_run_time_and_one_package_to_import(wheel: Path) -> None:
    with ZipFile(wheel) as file:
        names = set(file.namelist())
    root = "headwater/root"

    assert {name.split("/")[0] for name in names} == {
        "headwater",
        f"headwater-{VERSION}.dist-info",
    }
    tracked = subprocess.run(
        ["git", "ls-files", "deploy", "libs", "services"],  # noqa: S607 - the developer's git
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    needed = {f"{root}/{name}" for name in tracked if name.endswith((".py", ".sql", ".graphql"))}
    assert len(needed) > 500
    assert needed - names - {f"{root}/deploy/launcher/__init__.py"} == set()
    assert not [name for name in names if "node_modules" in name or "/dashboard/src/" in name]
    has_pages = f"{root}/services/dashboard/dist/index.html" in names
    assert has_pages == (DIST / "index.html").exists()


def test_an_installed_headwater_starts_answers_and_stops(command: Path) -> None:
    data = make_folder() / "data"
    port = free_port()
    environment = os.environ | {
        "HEADWATER_DATA": str(data),
        "HEADWATER_PORT": str(port),
        "HEADWATER_AUTH": "required",
    }

    def said(*words: str, code: int = 0) -> str:
        ran = subprocess.run(  # noqa: S603 - our own command
            [str(command), *words],
            # A folder with a package called `services`, as many projects have.
            cwd=CHECKOUT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )
        assert ran.returncode == code, ran.stderr
        return ran.stdout

    assert said("--version") == f"headwater {VERSION}\n"
    try:
        up = json.loads(said("up", "--json"))
        made = json.loads(said("keys", "create", "--name", "mine", "--role", "user", "--json"))
        answer = httpx.post(
            up["graphql"],
            headers={"authorization": f"Bearer {made['key']}"},
            json={"query": "{ api { version } tenant { slug } }"},
            timeout=WITHIN,
        )
        tenants = json.loads(said("tenants", "--json"))
        check = json.loads(said("check", "--json"))
        said("keys", "revoke", made["id"])
        unknown = said("automations", "test", "nothing", "--json", code=1)
    finally:
        down = said("down", "--json")

    assert answer.json()["data"]["tenant"] == [{"slug": "default"}]
    assert answer.json()["data"]["api"]["version"] == VERSION
    assert [tenant["slug"] for tenant in tenants] == ["default"]
    assert check["ok"] is True
    assert unknown == ""
    assert json.loads(down)["stopped"] is True
    said("status", code=1)
