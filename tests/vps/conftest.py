"""What a failing story leaves behind, for who has to understand it: /state/failed, which is state/failed in the tests' cache."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from conftest import DOMAIN
from lab import Machine, World
from real import terminal
from vps import browse

FAILED = Path("/state/failed")
LOOKS = {
    "journal": "journalctl --no-pager --boot --output=short-precise",
    "program": "cat /var/log/hermes-setup.log",
    "nginx": "tail -n 200 /var/log/nginx/error.log; nginx -T",
    "certbot": "tail -n 500 /var/log/letsencrypt/letsencrypt.log",
    "processes": "ps -ef --forest; ss -tlnp; ip addr; nft list ruleset",
}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure keeps what was on the screens, the machines' journals and logs, and a picture of the site."""
    report = yield
    if report.when == "call" and report.failed:
        folder = FAILED / re.sub(r"[^\w.-]+", "_", item.name)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _keep(folder, getattr(item, "funcargs", {}).get("world"))
        kept = ", ".join(sorted(path.name for path in folder.iterdir()))
        report.sections.append(("What it left behind", f"state/failed/{folder.name} in the tests' cache: {kept}"))
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Terminals of tests before this one are nobody's business."""
    terminal.opened.clear()


def _keep(folder: Path, world: World | None) -> None:
    for number, each in enumerate(terminal.opened, 1):
        (folder / f"terminal-{number}.txt").write_text(f"{each.text}\n\n--- all that came:\n{each.raw}", "utf-8")
    for machine in world.machines if world else ():
        for name, line in LOOKS.items():
            with contextlib.suppress(Exception):  # it may be down, or without that program
                said = machine.run(["sh", "-c", line], check=False, timeout=20)
                (folder / f"{machine.name}-{name}.txt").write_text(said.out + said.err, "utf-8")
    if world and any(_serves(machine) for machine in world.machines):
        with contextlib.suppress(Exception):
            browse(world, f"https://{DOMAIN}/", until="true", shot=folder / "site.png", roots=world.acme.roots())


def _serves(machine: Machine) -> bool:
    try:
        return any(each.port == 443 for each in machine.listeners())
    except Exception:  # noqa: BLE001 - it may be down
        return False
