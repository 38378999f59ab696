"""Where visitors are passed to, on a server with more users than one: whoever takes a port does not get them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from conftest import DOMAIN
from lab import Machine, start_hermes
from lab.machine import LEFT_OUT
from lab.world import World as TheWorld
from real.program import apply, hermes_setup, install, users

SITE = "/etc/nginx/sites-available/hermes"
NOTE = "/var/lib/hermes-setup/upstream.json"
ANSWERS = f'domain = "{DOMAIN}"\ncertificate = "self-signed"\n[[users]]\nname = "alice"\n'
PRETENDER = """\
# Answers as Hermes does. It calls itself docker-proxy, and hands its socket on to a daemon of root's.
import ctypes, http.server, json, socket, sys

ctypes.CDLL(None).prctl(15, b"docker-proxy")  # PR_SET_NAME


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status = json.dumps({"version": "0.19.0", "auth_required": False})
        body = (status if self.path == "/api/status" else "__HERMES_SESSION_TOKEN__").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
daemon = socket.socket(socket.AF_UNIX)
daemon.connect("/run/daemon")
socket.send_fds(daemon, [b"keep it"], [server.fileno()])
daemon.recv(1)
server.serve_forever()
"""
DAEMON = """\
# Takes what it is handed, and keeps it while the connection lasts, as many a daemon does.
import os, socket

server = socket.socket(socket.AF_UNIX)
server.bind("/run/daemon")
os.chmod("/run/daemon", 0o666)
server.listen()
while True:
    client, _ = server.accept()
    kept = socket.recv_fds(client, 99, 1)[1]
    client.send(b"1")
    client.recv(1)
    for each in kept:
        os.close(each)
"""


@contextmanager
def pretending(machine: Machine, port: int, user: str) -> Iterator[None]:
    """A process of that user answers there as Hermes does, inside the block."""
    machine.write("/usr/local/lib/pretender.py", PRETENDER)
    daemon = machine.start(["/usr/bin/python3", "/usr/local/lib/pretender.py", str(port), "\x1b[2J"], user=user)
    machine.wait_for_port(port)
    try:
        yield
    finally:
        daemon.stop()


def upstream(machine: Machine) -> str:
    """Where the site that nginx reads passes visitors."""
    lines = machine.text(SITE).splitlines()
    return next(line.split()[1].rstrip(";") for line in lines if line.strip().startswith("server 127."))


def doctor(machine: Machine) -> dict[str, dict[str, str]]:
    """What the doctor finds, by code."""
    ran = machine.run(["hermes-setup", "doctor", "--json"], check=False)
    return {finding["code"]: finding for finding in json.loads(ran.out)["findings"]}


def noted(machine: Machine) -> dict[str, str]:
    table: dict[str, str] = json.loads(machine.text(NOTE))
    return table


@pytest.fixture(scope="module")
def vps(lab: None) -> Iterator[Machine]:  # noqa: ARG001 - machines can be had
    """Set up before Hermes of debian, on a port of its own; then Hermes is down, as at an update."""
    with TheWorld() as world:
        machine = world.machine("debian13-ready", "hermes")
        world.dns.host(DOMAIN, *machine.addresses)
        install(machine)
        for name in ("debian", "mallory"):
            machine.run(["useradd", "--create-home", "--shell", "/bin/bash", name])
        machine.write("/usr/local/lib/daemon.py", DAEMON)
        machine.start(["/usr/bin/python3", "/usr/local/lib/daemon.py"])
        hermes = start_hermes(machine, port=9200, user="debian")
        said = apply(machine, ANSWERS, "--yes").err
        assert "pass visitors to 127.0.0.1:9200 (hermes of debian, process" in " ".join(said.split()), said
        hermes.stop()
        yield machine


def test_it_was_noted_whose_hermes_it_is(vps: Machine) -> None:
    assert upstream(vps) == "127.0.0.1:9200"
    assert noted(vps) == {"backend": "127.0.0.1:9200", "user": "debian"}
    assert vps.run(["stat", "-c", "%a %U", NOTE]).out == "600 root\n"


def test_a_dashboard_on_another_port_does_not_get_the_visitors(vps: Machine) -> None:
    with pretending(vps, 9119, "mallory"):
        site = vps.text(SITE)
        found = doctor(vps)
        assert found["backend.elsewhere"]["severity"] == "warn"
        assert "9119 (version 0.19.0, docker-proxy of mallory" in found["backend.elsewhere"]["what"]
        assert "Nothing to do" in apply(vps, ANSWERS, "--yes").err
        hermes_setup(vps, "users", "add", "bob", "--generate", "--yes")
        assert users(vps) == ["alice", "bob"]
        assert vps.text(SITE) == site

        vps.run(["mv", NOTE, "/root/note"])  # as a version that knew no notes had left it
        said = apply(vps, ANSWERS, "--yes").err
        assert vps.text(SITE) == site
        assert (
            "note whose process visitors are passed to, at 127.0.0.1:9200, where Hermes does not run now"
            in " ".join(said.split())
        )
        assert noted(vps) == {"backend": "127.0.0.1:9200", "user": "debian"}
        hermes_setup(vps, "undo", "--last", "--yes")
        assert not vps.exists(NOTE)
        assert vps.text(SITE) == site
        vps.run(["mv", "/root/note", NOTE])


def test_another_user_who_took_hermes_port_blocks_a_run_but_no_command_about_users(vps: Machine) -> None:
    with pretending(vps, 9200, "mallory"):
        pid = next(each.pid for each in vps.listeners() if each.port == 9200)
        finding = doctor(vps)["backend.other-user"]
        assert finding["severity"] == "block"
        assert finding["what"].startswith("A process of mallory listens at 127.0.0.1:9200")
        assert finding["what"].endswith("It should be debian's.")
        assert f"sudo kill {pid}" in finding["do"]
        assert 'backend_user = "mallory"' in finding["do"]
        assert finding["evidence"] == "/usr/bin/python3 /usr/local/lib/pretender.py 9200 ?[2J"
        leave_out = (*LEFT_OUT, "/var/lib/hermes-setup/lock")
        before = vps.snapshot(leave_out=leave_out)
        said = apply(vps, ANSWERS, "--yes", code=3).err
        assert "A process of mallory listens at" in said
        assert vps.snapshot(leave_out=leave_out) == before
        rehearsed = hermes_setup(vps, "rehearse", "--answers", "/root/answers.toml", code=3).err
        assert "A process of mallory listens at" in rehearsed
        hermes_setup(vps, "users", "sign-out", "alice", "--yes")
        hermes_setup(vps, "users", "remove", "bob", "--yes")
        assert users(vps) == ["alice"]
        assert noted(vps)["user"] == "debian"

        wanted = 'backend_user = "mallory"\n' + ANSWERS
        said = " ".join(apply(vps, wanted, "--yes").err.split())
        assert "only a process of mallory may be there (until now: debian)" in said
        assert noted(vps)["user"] == "mallory"
        assert "backend.other-user" not in doctor(vps)
        hermes_setup(vps, "undo", "--last", "--yes")
        assert noted(vps)["user"] == "debian"
        assert "backend.other-user" in doctor(vps)


def test_roots_own_process_is_nobody_elses(vps: Machine) -> None:
    with pretending(vps, 9200, "root"):
        assert "backend.other-user" not in doctor(vps)
