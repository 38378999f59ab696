"""What the tests that need a machine ask for.

Parametrize `debian` to choose another: @pytest.mark.parametrize("debian", BOTH).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lab import Machine, World

BOTH = ("debian13", "debian12")
DOMAIN = "hermes.example.com"

sys.path.insert(0, str(Path(__file__).parent))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that short ones fill what is left at the end, whoever of the workers has time.

    And who presses keys is marked so, for `tests/run quick`: each test with a fixture from a file that uses pexpect.
    """
    rooms = ("vps", "real")
    for item in items:
        fixtures = item._fixtureinfo.name2fixturedefs.values() if isinstance(item, pytest.Function) else ()
        if any("pexpect" in one.func.__globals__ for definitions in fixtures for one in definitions):
            item.add_marker("terminal")
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip("needs root"))
    items.sort(key=lambda item: next((n for n, room in enumerate(rooms) if item.path.parent.name == room), len(rooms)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under CI what is left out has failed, whoever left it out."""
    report = yield
    _fail_left_out(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """So has a whole file."""
    report = yield
    _fail_left_out(report)
    return report


def _fail_left_out(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"{reason}; under CI=true nothing may be left out"


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """The usual one; what a test sets does not live on in the next."""
    os.umask(0o022)
    yield
    os.umask(0o022)


@pytest.fixture(scope="session")
def lab() -> None:
    """Machines can be had; where they cannot, the test is left out."""
    if not os.environ.get("HERMES_SETUP_LAYERS") or os.geteuid() != 0:
        pytest.skip("needs the lab: run ./tests/run as root")


@pytest.fixture
def debian() -> str:
    """Which Debian `machine`, `bare` and `server` are."""
    return "debian13"


@pytest.fixture
def world(lab: None) -> Iterator[World]:
    """An internet of the test's own."""
    from lab import World

    with World() as new:
        yield new


@pytest.fixture
def machine(world: World, debian: str) -> Machine:
    """A server on it with nginx and certbot installed and nothing running; DOMAIN points to it."""
    new = world.machine(f"{debian}-ready")
    world.dns.host(DOMAIN, *new.addresses)
    return new


@pytest.fixture
def bare(world: World, debian: str) -> Machine:
    """A server as it is on its first day, which reaches the package registries; DOMAIN points to it."""
    new = world.machine(debian)
    world.give_packages(new)
    world.dns.host(DOMAIN, *new.addresses)
    return new


@pytest.fixture
def server(world: World, machine: Machine) -> Machine:
    """The machine, with nginx running as Debian ships it and Let's Encrypt's API trusted."""
    machine.trust(*world.acme.trusted)
    machine.run(["nginx"])
    machine.wait_for_port(80)
    return machine
