"""A real Prometheus and Alertmanager of Debian's, with the rules and the configuration that are shipped."""

from __future__ import annotations

import asyncio
import os
import shutil
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.offline.daemon import apt_install
from tests.support.eventually import eventually
from tests.support.ports import free_port

FOLDER = Path(__file__).parents[2] / "deploy" / "observability"
PACKAGES = ("prometheus", "prometheus-alertmanager")


def install() -> None:
    """Get both from Debian where they are missing. Their daemons are not started: only the programs are used."""
    if all(map(shutil.which, ("prometheus", "promtool", "amtool"))) and _alertmanager():
        return
    assert os.geteuid() == 0, f"install {', '.join(PACKAGES)}, or run the tests as root"
    # Debian starts a daemon that it has installed, unless this says no.
    policy = Path("/usr/sbin/policy-rc.d")
    is_ours = not policy.exists()
    if is_ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        apt_install(*PACKAGES)
    finally:
        if is_ours:
            policy.unlink()


def _alertmanager() -> str | None:
    return shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


@dataclass(frozen=True, slots=True)
class Prometheus:
    """Both, scraping the given addresses."""

    url: str
    alertmanager: str

    async def firing(self) -> set[str]:
        """The alerts whose time has come."""
        return {
            each["labels"]["alertname"]
            for each in await self._alerts()
            if each["state"] == "firing"
        }

    async def pending(self) -> set[str]:
        """All that may fire, and all that do."""
        return {each["labels"]["alertname"] for each in await self._alerts()}

    async def sent(self) -> set[str]:
        """What operators are told: what fires, but for what follows from another alert."""
        found = await _json(
            f"{self.alertmanager}/api/v2/alerts?active=true&inhibited=false&silenced=false"
        )
        return {each["labels"]["alertname"] for each in found}

    async def healthy(self) -> set[str]:
        """The jobs of which every address was scraped."""
        data = (await _json(f"{self.url}/api/v1/targets"))["data"]["activeTargets"]
        down = {each["labels"]["job"] for each in data if each["health"] != "up"}
        return {each["labels"]["job"] for each in data} - down

    async def _alerts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await _json(f"{self.url}/api/v1/alerts"))["data"]["alerts"]
        return found


@asynccontextmanager
async def prometheus(
    folder: Path, targets: Mapping[str, Sequence[str]]
) -> AsyncIterator[Prometheus]:
    """Both with the shipped files, but for the addresses: those of each job."""
    own, other = free_port(), free_port()
    made = Prometheus(f"http://127.0.0.1:{own}", f"http://127.0.0.1:{other}")
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    config["rule_files"] = [str(FOLDER / "alerts.yml")]
    config["alerting"]["alertmanagers"] = [
        {"static_configs": [{"targets": [f"127.0.0.1:{other}"]}]}
    ]
    assert {job["job_name"] for job in config["scrape_configs"]} >= set(targets)
    config["scrape_configs"] = [
        {"job_name": job, "static_configs": [{"targets": list(addresses)}]}
        for job, addresses in targets.items()
    ]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    alertmanager = _alertmanager()
    assert alertmanager is not None
    commands = [
        [
            "prometheus",
            f"--config.file={file}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{own}",
        ],
        [
            alertmanager,
            f"--config.file={FOLDER / 'alertmanager.yml'}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{other}",
            "--cluster.listen-address=",
        ],
    ]
    started: list[Process] = []
    try:
        with (folder / "prometheus.log").open("ab") as log:
            for command in commands:
                started.append(
                    await asyncio.create_subprocess_exec(
                        *command, stdin=DEVNULL, stdout=log, stderr=STDOUT
                    )
                )
        for url in (made.url, made.alertmanager):
            await eventually(partial(_answers, f"{url}/-/ready"), timeout=60)
        yield made
    finally:
        for process in started:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _answers(url: str) -> bool:
    async with httpx.AsyncClient() as http:
        try:
            return (await http.get(url)).status_code == 200
        except httpx.HTTPError:
            return False


async def _json(url: str) -> Any:
    async with httpx.AsyncClient(timeout=30) as http:
        return (await http.get(url)).raise_for_status().json()
