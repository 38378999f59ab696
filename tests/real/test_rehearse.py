"""The whole job on a throwaway copy: it works, finds what only a real run finds, and leaves nothing, however it ends."""

from __future__ import annotations

import contextlib
import re
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from conftest import BOTH, DOMAIN
from hermes_setup.stages import all_steps
from lab import Machine, World, snapshot_diff
from real.program import apply, hermes_setup, install
from real.terminal import Terminal
from real.test_dry_run import LETSENCRYPT, SELF_SIGNED, everything, unchanged
from real.test_interrupted import program
from real.test_local_try import CONTAINER

WENT_WELL = f"The rehearsal went well: all {len(all_steps())} steps"
GONE = "The copy is gone, and nothing on this server was changed."


def spaces(machine: Machine) -> set[str]:
    """Every namespace that somebody in the machine is in, or holds open."""
    script = 'for f in /proc/[0-9]*/ns/* /proc/[0-9]*/fd/*; do readlink "$f"; done | grep -E "^(cgroup|ipc|mnt|net|pid|time|user|uts)[a-z_]*:\\[" | sort -u'
    return set(machine.run(["sh", "-c", script]).out.split())


def mounts(machine: Machine) -> str:
    return machine.run(["cat", "/proc/1/mountinfo"]).out


@contextlib.contextmanager
def leaving_nothing(machine: Machine) -> Iterator[None]:
    """Before and after are equal: files, mounts, namespaces, processes, interfaces; no listener appears meanwhile."""
    machine.run(["sh", "-c", "rm -f /var/cache/apt/*.bin"])
    own = spaces(machine)  # those of the question differ each time
    files, disk, mounted = everything(machine), machine.snapshot(leave_out=()), mounts(machine)
    processes, links = machine.processes(), machine.run(["ip", "-o", "addr"]).out
    listeners, seen, over = machine.listeners(), [], threading.Event()

    def watch() -> None:
        while not seen or not over.wait(0.3):
            seen.append(machine.listeners())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    assert seen
    assert [each for each in seen if each != listeners] == []
    unchanged(machine, files)
    assert list(snapshot_diff(disk, machine.snapshot(leave_out=()))) == []
    assert mounts(machine) == mounted
    assert machine.processes() == processes
    assert machine.run(["ip", "-o", "addr"]).out == links
    assert spaces(machine) == own


@pytest.mark.parametrize("debian", BOTH)
def test_on_a_bare_machine_everything_is_fetched_into_the_copy_alone_within_a_minute(bare: Machine) -> None:
    install(bare)
    bare.run(["apt-get", "-q", "update"])
    with leaving_nothing(bare):
        began = time.monotonic()
        told = hermes_setup(bare, "rehearse", timeout=170).err
        took = time.monotonic() - began
    assert WENT_WELL in told
    assert GONE in told
    assert "install nginx and certbot" in told
    assert took < 60, f"{took:.0f} s"
    assert bare.run(["sh", "-c", "command -v nginx certbot pebble"], check=False).out == ""


def test_the_firewall_of_the_machine_counts_in_the_copy_with_the_names_of_its_interfaces(machine: Machine) -> None:
    install(machine)
    machine.run(["ip", "link", "add", "docker0", "type", "bridge"])
    bogons = "ip saddr { 169.254.0.0/16, 198.18.0.0/15, 192.0.2.0/24 } drop;"
    rules = "table inet f { chain i { type filter hook input priority 0; policy drop; "
    rules += (
        f"{bogons} ct state established,related accept; iif lo accept; iif docker0 accept; tcp dport 22 accept; }}; "
    )
    rules += "chain o { type filter hook output priority 0; policy drop; oif lo accept; ct state established accept; "
    rules += "ip daddr 1.1.1.1 udp dport 53 accept; tcp dport { 80, 443 } accept; meta l4proto ipv6-icmp accept; }; }"
    machine.run(["nft", rules])
    ruleset = machine.run(["nft", "list", "ruleset"]).out
    told = hermes_setup(machine, "rehearse", timeout=170).err
    assert re.search(r"Firewall: open ports? 80", told), told
    assert WENT_WELL in told
    assert machine.run(["nft", "list", "ruleset"]).out == ruleset


SHOP = (
    "server { listen 80; server_name shop.example.com; location / { proxy_pass http://upstream.example.net:8080; } }\n"
)


@pytest.mark.parametrize("debian", ["debian13"])
def test_beside_another_site_and_a_real_hermes_port_nothing_is_seen_of_it_outside(server: Machine, debian: str) -> None:
    install(server)
    server.write("/etc/nginx/sites-enabled/shop", SHOP.replace("upstream.example.net", "127.0.0.1"))
    server.run(["nginx", "-s", "reload"])
    # its name means something out there, and nothing in the copy; so does that of the domain above ours
    server.write("/etc/nginx/sites-enabled/shop", SHOP)
    server.run(["mkdir", "-p", "/run/shop/sockets", "/tmp/shop/logs"])
    server.write(
        "/etc/nginx/sites-enabled/blog",
        "server { listen unix:/run/shop/sockets/blog; server_name blog.example.com; access_log /tmp/shop/logs/x;"
        " location / { proxy_pass http://example.com; } }\n",
    )
    server.start(["python3", "-m", "http.server", "--bind", "0.0.0.0", "8081"])
    server.wait_for_port(8081)
    log = server.read("/var/log/nginx/access.log")
    with leaving_nothing(server):
        told = hermes_setup(server, "rehearse", timeout=170).err
    assert WENT_WELL in told, told
    assert "the copy has a stand-in for it" in told
    assert server.read("/var/log/nginx/access.log") == log, "the machine's own nginx was asked"
    assert server.fetch(f"http://{DOMAIN}/", host="shop.example.com").status == 502


def test_answers_of_ones_own_and_a_machine_that_is_set_up(world: World, machine: Machine) -> None:
    machine.trust(*world.acme.trusted, world.acme.roots())
    install(machine)
    machine.start(["cron", "-f"])
    machine.write("/root/answers.toml", SELF_SIGNED, mode=0o600)
    with leaving_nothing(machine):
        told = hermes_setup(machine, "rehearse", "--answers", "/root/answers.toml", timeout=170).err
    assert f"A rehearsal for {DOMAIN}" in told
    assert "sign a certificate" in told or "self-signed" in told
    assert "Pebble" not in told
    apply(machine, LETSENCRYPT, "--yes")
    listeners, disk = machine.listeners(), machine.snapshot()
    told = hermes_setup(machine, "rehearse", timeout=170).err
    assert f"A rehearsal for {DOMAIN}" in told
    assert WENT_WELL in told
    assert "made up" not in told
    assert machine.listeners() == listeners
    assert list(snapshot_diff(disk, machine.snapshot())) == []


def test_it_finds_another_sites_broken_file(server: Machine) -> None:
    install(server)
    server.write(
        "/etc/nginx/sites-enabled/blog", "server { listen 80; server_name blog.example.com; no_such_thing on; }\n"
    )
    with leaving_nothing(server):
        told = hermes_setup(server, "rehearse", code=1, timeout=170).err
    assert "no_such_thing" in told
    assert "/etc/nginx/sites-enabled/blog" in told
    assert GONE in told
    assert "A real run would fail here, too" in told


def test_it_finds_who_holds_the_port(machine: Machine) -> None:
    install(machine)
    machine.start(["python3", "-m", "http.server", "80"])
    machine.wait_for_port(80)
    pid = next(each.pid for each in machine.listeners() if each.port == 80)
    with leaving_nothing(machine):
        told = hermes_setup(machine, "rehearse", code=3, timeout=170).err
    assert "python3" in told
    assert f"process {pid}" in told
    assert "A real run would stop here" in told


def test_it_finds_a_dashboard_that_is_open_to_the_world_and_what_only_looks_like_one(machine: Machine) -> None:
    install(machine)
    machine.start(["python3", "-m", "http.server", "9119"])
    machine.wait_for_port(9119)
    told = hermes_setup(machine, "rehearse", code=3, timeout=170).err
    assert "9119" in told
    assert "Something other than Hermes" in told
    assert "a stand-in for it" not in told


def test_it_finds_a_nginx_that_cannot_take_what_we_write(machine: Machine) -> None:
    install(machine)
    machine.write("/etc/nginx/conf.d/mine.conf", "log_format hermes_setup '$remote_addr';\n")
    machine.run(["nginx", "-t"])
    with leaving_nothing(machine):
        told = hermes_setup(machine, "rehearse", code=1, timeout=170).err
    assert "log_format" in told
    assert "hermes_setup" in told


def test_where_no_authority_can_be_had_it_says_so_and_signs_itself(machine: Machine) -> None:
    install(machine)
    told = hermes_setup(machine, "rehearse", timeout=170).err  # this machine reaches no registry
    assert "There is no certificate authority for tests" in told
    assert "Not rehearsed: getting a certificate" in told
    assert WENT_WELL in told


def test_where_no_namespaces_are_allowed_it_names_the_dry_run(machine: Machine) -> None:
    install(machine)
    ran = machine.run([*CONTAINER, "hermes-setup", "rehearse"], check=False)
    assert ran.code == 3, ran.err
    assert "can't be copied" in ran.err
    assert "hermes-setup --dry-run" in " ".join(ran.err.split())
    assert machine.processes() == []


@pytest.mark.parametrize("victim", ["unshare", "internet", "pebble"])
def test_a_copy_that_is_killed_is_no_fault_of_the_machines(world: World, machine: Machine, victim: str) -> None:
    world.give_packages(machine)
    install(machine)
    machine.run(["apt-get", "-q", "update"])
    with leaving_nothing(machine):
        here = Terminal(machine, "rehearse")
        here.has_said("Site over HTTP: ")
        patterns = {"unshare": "^unshare", "internet": r"rehearsal\.internet", "pebble": "pebble -config"}
        machine.run(["pkill", "-KILL", "-o", "-f", patterns[victim]])
        assert here.ended() == 1, here.text
        words = " ".join(here.text.split())
        assert "says nothing about this server" in words, here.text
        assert "A real run would" not in words


def test_one_that_somebody_has_stopped_goes_too_when_the_program_is_killed(machine: Machine) -> None:
    install(machine)
    with leaving_nothing(machine):
        here = Terminal(machine, "rehearse")
        here.has_said("Connecting the copy")
        machine.wait_for(
            lambda: any("rehearsal.internet" in argument for each in machine.processes() for argument in each.argv),
            "the last of its parts is there",
        )
        machine.run(["pkill", "-STOP", "-f", r"rehearsal\.(inside|internet)"])
        machine.run(["kill", "-KILL", str(program(machine))])
        here.child.wait()
        machine.wait_for(lambda: not machine.processes(), "all of it has ended", 15)


def test_wrong_words(machine: Machine) -> None:
    install(machine)
    assert "one word too many" in hermes_setup(machine, "rehearse", "answers.toml", code=2).err
    told = hermes_setup(machine, "rehearse", "--answers", "/nowhere.toml", code=2).err
    assert "could not be read" in told
    assert "sudo hermes-setup rehearse --answers FILE.toml" in told
    told = machine.run(["hermes-setup", "rehearse"], user="nobody", check=False).err
    assert "needs root" in told
    assert "sudo hermes-setup rehearse" in told


@pytest.mark.parametrize("way", ["ctrl-c", "hang-up", "term", "kill"])
def test_however_it_is_ended_nothing_of_it_is_left(world: World, machine: Machine, way: str) -> None:
    world.give_packages(machine)
    install(machine)
    machine.run(["apt-get", "-q", "update"])
    moments = ("Fetching", "internet of its own", "Site over HTTP: ", "Let's Encrypt's test servers", "Renewal")
    for moment in moments if way in ("ctrl-c", "kill") else moments[1:3]:
        with leaving_nothing(machine):
            here = Terminal(machine, "rehearse")
            here.has_said(moment)
            match way:
                case "ctrl-c":
                    here.interrupt()
                    assert here.ended() == 130, here.text
                    assert "Nothing was changed" in here.text
                case "hang-up":
                    here.hang_up()
                case "term":
                    machine.run(["kill", "-15", str(program(machine))])
                    assert here.ended() == 143, here.text
                case _:
                    machine.run(["kill", f"-{signal.SIGKILL.value}", str(program(machine))])
                    here.child.wait()
            machine.wait_for(lambda: not machine.processes(), "all of it has ended", 15)
        assert not re.search("Traceback", here.raw)
