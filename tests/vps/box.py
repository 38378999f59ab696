"""The Python side of tests/vps/box: `serve` is the box, all else are requests to it, made in its own namespaces."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from lab import World
from vps import Login, Vps, browse

SOCKET = "/run/box"
FAILURES = ("SERVFAIL", "REFUSED", "NXDOMAIN", "silence")
DOMAIN = "hermes.example.com"


def serve(name: str, system: str = "debian13", *flags: str) -> None:
    """The box, until it is told to end; one line "ready" when it can be used."""
    if system.startswith("--"):
        system, flags = "debian13", (system, *flags)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    hermes = ("hermes",) if "--hermes" in flags else ()
    with World() as world:
        vps = world.make(Vps, system, *hermes, name=name, memory="4g")
        world.give_packages(vps)
        vps.trust(*world.acme.trusted)
        for domain in (DOMAIN, f"hooks.{DOMAIN.partition('.')[2]}"):
            world.dns.host(domain, *vps.addresses)
        login = Login(world, vps)
        vps.copy_in(Path("/repo"), "/home/admin/hermes-setup")
        vps.run(["chown", "-R", "admin:admin", "/home/admin/hermes-setup"])
        if hermes:
            vps.add_hermes()
        door = socket.socket(socket.AF_UNIX)
        door.bind(SOCKET)
        door.listen()
        threading.Thread(target=_keep_running, args=(vps,), daemon=True).start()
        print(f"ready: {system} at {' and '.join(vps.addresses)}; {DOMAIN} points to it", flush=True)
        while True:
            caller, _ = door.accept()
            with caller, caller.makefile("rw") as file:
                try:
                    said = _answer(world, login, json.loads(file.readline()))
                except Exception as error:  # noqa: BLE001 - the caller is told, the box goes on
                    said = {"error": f"{type(error).__name__}: {error}"}
                file.write(json.dumps(said) + "\n")


def _keep_running(vps: Vps) -> None:
    """It comes back from its own reboots; a power-off ends the box."""
    while vps.comes_back(None):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _answer(world: World, login: Login, words: Sequence[str]) -> dict[str, object]:
    match words:
        case ["ssh", tty, *line]:
            return {"argv": [*login.command(*(["-t"] if tty == "tty" else [])), *line]}
        case ["outside", _, *argv]:
            return {"argv": world.command(argv)}
        case ["dns", _, domain, kind, how] if how in FAILURES:
            world.dns.fail(domain, kind, how)  # type: ignore[arg-type]  # one of them
            return {}
        case ["dns", _, domain, kind, *values]:
            world.dns.set(domain, kind, *values)
            return {}
        case ["browse", _, url, *user]:
            signs_in = tuple(user[0].split(":", 1)) if user else None
            with tempfile.TemporaryDirectory() as folder:
                shot = Path(folder) / "shot.png"
                seen = browse(
                    world,
                    url,
                    user=signs_in,  # type: ignore[arg-type]  # two words
                    shot=shot,
                    roots=world.acme.roots(),
                    until="performance.now() > 4000",
                )
                return {"picture": shot.read_bytes().hex(), "status": seen.status, "sockets": seen.sockets}
    return {"error": "there is no such request"}


def request(verb: str, *words: str) -> None:
    """What the box answered has been done, or shown."""
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(SOCKET)
        with door.makefile("rw") as file:
            file.write(json.dumps([verb, "tty" if sys.stdin.isatty() else "", *words]) + "\n")
            file.flush()
            said = json.loads(file.readline())
    if "error" in said:
        sys.exit(f"box: {said['error']}")
    if "argv" in said:
        os.execvp(said["argv"][0], said["argv"])
    if "picture" in said:
        sys.stdout.buffer.write(bytes.fromhex(said["picture"]))
        sys.stderr.write(f"status {said['status']}; WebSockets: {said['sockets']}\n")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        (serve if sys.argv[1] == "serve" else request)(*sys.argv[1 + (sys.argv[1] == "serve") :])
