"""`hermes-setup rehearse` on a booted server: the README's "see it work first", as a newcomer does it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hermes_setup.stages import all_steps
from lab import World, snapshot_diff
from real.program import install
from real.terminal import Terminal
from vps import Login, Vps
from vps.test_stories import lost

# What always moves: the journal; and of the units those that come and go with a login or by the clock.
UNITS = "systemctl list-units --all --plain --no-legend --type=service,socket,timer,mount | grep -Ev 'session|user@|user-runtime'"
MOVES = (
    "/var/log",
    "/var/cache",
    "/var/lib/systemd",
    "/var/lib/private",
    "/var/tmp",
    "/var/lib/apt",
    "/root",
    "/opt",
    "/home",
)


def state(vps: Vps) -> dict[str, str]:
    """What systemd, the kernel's firewall and the sockets say."""
    looks = {"units": UNITS, "firewall": "nft list ruleset", "sockets": "ss -Htlnx", "mounts": "cat /proc/mounts"}
    return {name: vps.run(["sh", "-c", line], check=False).out for name, line in looks.items()}


@pytest.fixture
def newcomer(world: World, debian: str) -> Login:
    """Somebody's first login on a fresh server."""
    vps = world.make(Vps, debian, memory="3g")
    world.give_packages(vps)
    return Login(world, vps)


@pytest.mark.parametrize("debian", ["debian13"])
def test_a_newcomer_sees_it_work_first_with_one_command(newcomer: Login) -> None:
    vps = newcomer.vps
    vps.copy_in(Path("/repo"), "/home/admin/hermes-setup")
    here = Terminal(newcomer, "-lc", "cd hermes-setup && sudo ./install.sh rehearse", command="bash")  # type: ignore[arg-type]  # it spawns
    assert here.ended(240) == 0, here.text
    assert f"The rehearsal went well: all {len(all_steps())} steps" in here.text
    assert "For real: sudo hermes-setup" in here.text
    assert vps.run(["sh", "-c", "command -v nginx certbot pebble"], check=False).out == ""
    assert [each.port for each in vps.listeners()] == [22, 22]

    before, disk = state(vps), vps.snapshot(leave_out=MOVES)
    assert newcomer.run("sudo hermes-setup rehearse").code == 0
    assert state(vps) == before
    assert list(snapshot_diff(disk, vps.snapshot(leave_out=MOVES))) == []
    assert "nginx" not in vps.run(["journalctl", "--no-pager", "-o", "cat"]).out


@pytest.mark.parametrize("debian", ["debian13"])
def test_the_ssh_line_drops_and_nothing_of_it_is_left(world: World, newcomer: Login) -> None:
    vps = newcomer.vps
    install(vps)
    before = state(vps)
    here = Terminal(newcomer, "-lc", "sudo hermes-setup rehearse", command="bash")  # type: ignore[arg-type]  # it spawns
    here.has_said("Packages")
    lost(world, newcomer, here)
    ours = re.compile("hermes_setup|rehears|unshare|apt-get|pebble|nginx")
    vps.wait_for(lambda: not any(ours.search(" ".join(each.argv)) for each in vps.processes()), "all has ended", 60)
    assert state(vps) == before
