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
from typing import Any
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


class Installed:
    """The command on a data folder of its own."""

    def __init__(self, command: Path, **variables: str) -> None:
        self._command = command
        self.data = make_folder() / "data"
        self._environment = os.environ | {
            "HEADWATER_DATA": str(self.data),
            "HEADWATER_PORT": str(free_port()),
            **variables,
        }

    def says(self, *words: str, code: int = 0) -> Any:
        """The JSON document, or None where there is none; the exit code is as expected."""
        ran = subprocess.run(  # noqa: S603 - our own command
            [str(self._command), *words, "--json"],
            # A folder with a package called `services`, as many projects have.
            cwd=CHECKOUT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )
        assert ran.returncode == code, ran.stderr + ran.stdout
        return json.loads(ran.stdout) if ran.stdout else None


def test_an_installed_headwater_starts_answers_and_stops(command: Path) -> None:
    headwater = Installed(command, HEADWATER_AUTH="required")
    try:
        up = headwater.says("up")
        made = headwater.says("keys", "create", "--name", "mine", "--role", "user")
        answer = httpx.post(
            up["graphql"],
            headers={"authorization": f"Bearer {made['key']}"},
            json={"query": "{ api { version } tenant { slug } }"},
            timeout=WITHIN,
        )
        tenants = headwater.says("tenants")
        check = headwater.says("check")
        headwater.says("keys", "revoke", made["id"])
        listed = headwater.says("keys", "list")
        unknown = headwater.says("automations", "test", "nothing", code=1)
    finally:
        down = headwater.says("down")

    assert answer.json()["data"]["tenant"] == [{"slug": "default"}]
    assert answer.json()["data"]["api"]["version"] == VERSION
    assert [tenant["slug"] for tenant in tenants] == ["default"]
    assert check["ok"] is True
    assert made["id"] not in {key["id"] for key in listed}
    assert unknown is None
    assert down["stopped"] is True
    headwater.says("status", code=1)


def test_its_data_goes_into_a_backup_and_back_and_a_tenant_to_another(command: Path) -> None:
    one, other = Installed(command), Installed(command)
    kept, out = str(one.data.parent / "backup"), str(one.data.parent / "export")
    secrets = str(one.data / "secrets.json")
    try:
        one.says("up")
        one.says("tenants", "create", "Moving", "moving")
        written = one.says("export", "moving", out)
        one.says("backup", "create", kept)
        one.says("backup", "create", kept, code=1)
        one.says("tenants", "create", "Late", "late")
        good = one.says("backup", "verify", kept)
        one.says("restore", kept, "--replace", code=1)  # it runs
        one.says("down")
        one.says("restore", kept, code=1)  # there is data
        restored = one.says("restore", kept, "--replace")
        one.says("up")
        slugs = {tenant["slug"] for tenant in one.says("tenants")}
        other.says("up")
        other.says("import", "tenant", out, code=1)  # another pepper
        moved = other.says("import", "tenant", out, "--secrets", secrets)
        arrived = {tenant["slug"] for tenant in other.says("tenants")}
    finally:
        one.says("down")
        other.says("down")

    assert good["tables"] > 40
    assert slugs == {"default", "moving"}
    assert Path(restored["set_aside"]).is_dir()
    assert arrived == {"default", "moving"}
    assert moved["keys_left_out"] == written["rows"]["gateway.api_key"] == 1
    assert moved["rows"] == sum(written["rows"].values()) - 1
