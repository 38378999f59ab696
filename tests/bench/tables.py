"""The tables of the gate, measured: who asks and how that is answered, and what a flood of wrong passwords costs. By bench.py."""

from __future__ import annotations

import re
import statistics
import time

from hermes_setup import passwords
from lab import World, spaces
from laws import table, wire
from laws.asked import Asked
from laws.check import ACCESS_LOG, Bench
from laws.sites import PEOPLE, SITES

SITE = next(site for site in SITES if site.name == "https-1.26")
SECONDS = 12
# Stands in for Hermes, so that the gate is all there is to measure.
BEHIND = 'server { listen 127.0.0.1:9119; access_log off; location / { return 200 "a page"; } }\n'
# So many connections that send wrong passwords, each from an address of that network; from one address over kept connections.
FLOOD = """
import base64, ipaddress, random, socket, ssl, sys, threading
to, network, connections = sys.argv[1], ipaddress.ip_network(sys.argv[2]), int(sys.argv[3])
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
wrong = base64.b64encode(b"alice:not the password").decode()
request = f"GET / HTTP/1.1\\r\\nHost: hermes.example.com\\r\\nAuthorization: Basic {wrong}\\r\\n\\r\\n".encode()
def connect():
    wire = socket.socket(socket.AF_INET6 if network.version == 6 else socket.AF_INET)
    wire.setsockopt(socket.SOL_IP, 15, 1)
    wire.bind((str(network[random.randrange(network.num_addresses)]), 0))
    wire.connect((to, 443))
    return context.wrap_socket(wire, server_hostname="hermes.example.com")
def guess():
    wire = connect()
    while True:
        try:
            wire.sendall(request)
            alive = wire.recv(65536)
        except OSError:
            alive = b""
        if not alive or network.num_addresses > 1:
            wire.close()
            wire = connect()
for _ in range(connections):
    threading.Thread(target=guess).start()
print("ready", flush=True)
"""


def who_asks() -> None:
    """The table of who asks, with what came back."""
    with World() as world:
        seen = table.fill(Bench(world.machine("debian13-ready")), SITE)
    print(f"{'who asks':<56} {'how':<36} answer")
    for (who, method, target, _, wanted), said in seen:
        print(
            f"{who:<56} {method + ' ' + target.partition('?')[0]:<36} {said}{'' if said == wanted else f'   WANTED: {wanted}'}"
        )


def _unlimited(site: str, gate: str) -> tuple[str, str]:
    """No limit for all guesses together."""
    return re.sub(r" *limit_req zone=hermes_guesses .*\n", "", site), gate


def _by_address(site: str, gate: str) -> tuple[str, str]:
    """Neither that, and each address counts by itself."""
    assert "default $hermes_net;" in site
    return _unlimited(site.replace("default $hermes_net;", "default $binary_remote_addr;"), gate)


def flood() -> None:
    """Guesses that were checked, and the page of who is signed in, under floods of several kinds."""
    with World() as world:
        machine = world.machine("debian13-ready")
        bench = Bench(machine, passwords.hash_password)
        machine.write("/etc/nginx/conf.d/behind.conf", BEHIND)
        spaces.ip(machine.net, ["route add local 2001:db8:8000::/48 dev lo"])
        one, wide, wider = "203.0.113.7/32", "2001:db8:8000:1::/64", "2001:db8:8000::/48"
        print(f"{'flood of wrong passwords':<64} {'checked/s':>9} {'signed-in page, p50':>20} {'p99':>9}")
        for what, network, connections, plant in (
            ("quiet", "", 0, None),
            ("one address, 4 connections", one, 4, None),
            ("one /64, 4 connections, if each address counted by itself", wide, 4, _by_address),
            ("one /64, 16 connections, if each address counted by itself", wide, 16, _by_address),
            ("one /64, 4 connections, the /64 counts", wide, 4, _unlimited),
            ("one /64, 16 connections, the /64 counts", wide, 16, _unlimited),
            ("one /48, 16 connections, the /64 counts", wider, 16, _unlimited),
            ("one /48, 16 connections, and all guesses together: as it is", wider, 16, None),
            ("one IPv4 /24, 16 connections: as it is", "203.0.113.0/24", 16, None),
        ):
            with bench.serving(SITE, plant or (lambda site, gate: (site, gate)), limited=True):
                argv = [
                    "python3",
                    "-c",
                    FLOOD,
                    "2001:db8::10" if ":" in network else "198.51.100.10",
                    network,
                    str(connections),
                ]
                flooding = machine.start(argv) if network else None
                if flooding:
                    machine.wait_for(lambda flooding=flooding: "ready" in flooding.output, "the flood has begun")  # type: ignore[misc]
                    time.sleep(3)  # the burst is over
                before, began = machine.text(ACCESS_LOG).count("tried=wrong"), time.monotonic()
                pages = spaces.in_net(machine.net, _pages)
                seconds = time.monotonic() - began
                checked = (machine.text(ACCESS_LOG).count("tried=wrong") - before) / seconds
                if flooding:
                    assert flooding.code is None, flooding.output
                    flooding.stop(timeout=0)
            p50, p99 = statistics.median(pages) * 1000, sorted(pages)[int(len(pages) * 0.99)] * 1000
            print(f"{what:<64} {checked if network else 0:9.0f} {p50:17.1f} ms {p99:6.0f} ms", flush=True)


def _pages() -> list[float]:
    """Seconds of each page that alice opens one after another, a hundred a second at most."""
    cookie = (b"Cookie", f"__Host-hermes_gate={PEOPLE[0].token}".encode())
    asked = Asked(0, host=SITE.domain, sni=SITE.domain, headers=(cookie,), source="203.0.113.200")
    connection, taken, end = wire.Connection(asked), [], time.monotonic() + SECONDS
    while time.monotonic() < end:
        began = time.perf_counter()
        status = connection.ask(asked).status
        taken.append(time.perf_counter() - began)
        assert status == 200
        if not connection.usable:
            connection.close()
            connection = wire.Connection(asked)
        time.sleep(0.01)
    connection.close()
    return taken
