"""Requests through the gate beside an open site, a flood of wrong passwords, and long users' files. Started by bench.py."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Sequence

from hermes_setup import passwords
from hermes_setup.stages.users import cookies
from lab import Machine, World
from real.program import hermes_setup

DOMAIN, OPEN = "hermes.example.com", "open.example.com"
PASSWORD = "correct horse battery"
# Stands in for Hermes, so that the gate is all that differs.
BEHIND = 'server { listen 127.0.0.1:9119; access_log off; location / { return 200 "a page"; } }\n'
# One connection to each name, kept open for as long as nginx allows (keepalive_requests is 1000), and one request at a
# time, to each in turn: what else the machine does meets all alike. The median seconds of each.
ASK = """
import json, socket, ssl, sys, time
address, header, rounds, *names = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
def connect(name):
    wire = context.wrap_socket(socket.create_connection((address, 443)), server_hostname=name)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return wire
def read(wire):
    return wire.recv(65536) or sys.exit("nginx closed the connection")
requests = {name: f"GET / HTTP/1.1\\r\\nHost: {name}\\r\\n{header}\\r\\n\\r\\n".encode() for name in names}
taken = {name: [] for name in names}
for number in range(int(rounds)):
    if number % 900 == 0:
        wires = {name: connect(name) for name in names}
    for name, wire in wires.items():
        began = time.perf_counter()
        wire.sendall(requests[name])
        got = b""
        while b"\\r\\n\\r\\n" not in got:
            got += read(wire)
        head, _, body = got.partition(b"\\r\\n\\r\\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\\r\\n")[0])
        while len(body) < length:
            body += read(wire)
        taken[name].append(time.perf_counter() - began)
        if head[9:12] != b"200":
            sys.exit(head.decode())
print(json.dumps([sorted(each)[len(each) // 2] for each in taken.values()]))
"""
# Sixteen connections that send wrong passwords until they are killed.
FLOOD = """
import base64, select, socket, ssl, sys, time
address, name = sys.argv[1:3]
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
def connect():
    return context.wrap_socket(socket.create_connection((address, 443)), server_hostname=name)
wrong = base64.b64encode(b"alice:not the password").decode()
request = f"GET / HTTP/1.1\\r\\nHost: {name}\\r\\nAuthorization: Basic {wrong}\\r\\n\\r\\n".encode()
wires = [connect() for _ in range(16)]
print("ready", flush=True)
for wire in wires:
    wire.sendall(request)
while True:
    for wire in select.select(wires, [], [])[0]:
        if not wire.recv(65536):
            wires.remove(wire)
            wire = connect()
            wires.append(wire)
        wire.sendall(request)
"""


def ask(client: Machine, names: Sequence[str], header: str, rounds: int = 2000) -> list[float]:
    """The median seconds of a request to each of the names with that header line; all were answered with 200."""
    said = client.run(["python3", "-c", ASK, "198.51.100.10", header, str(rounds), *names], timeout=120).out
    return [float(each) for each in json.loads(said)]


def cookie(machine: Machine, name: str) -> str:
    """The header with that user's cookie, from the gate's file."""
    token = next(each for each in cookies.parse(machine.text(cookies.GATE_FILE)) if each.name == name)
    return f"Cookie: __Host-hermes_gate={token.value}"


def basic(name: str) -> str:
    """The header with the password."""
    from base64 import b64encode

    return f"Authorization: Basic {b64encode(f'{name}:{PASSWORD}'.encode()).decode()}"


def prepare(machine: Machine) -> None:
    """A page behind the gate, and the same page on a site that is open to all."""
    site = machine.text("/etc/nginx/sites-available/hermes")
    machine.write("/etc/nginx/conf.d/behind.conf", BEHIND)
    server = site[site.rindex("\nserver {") :].replace(DOMAIN, OPEN)
    kept = re.sub(
        r"^ *(auth_basic|auth_basic_user_file|add_header Set-Cookie|limit_req|limit_req_status)\b.*\n",
        "",
        server,
        flags=re.M,
    )
    certificate = re.findall(r"^ *ssl_certificate(?:_key)? (\S+);", site, re.M)
    kept = re.sub(
        r"(ssl_certificate|ssl_certificate_key) \S+;", lambda m: f"{m[1]} {certificate[m[1].endswith('key')]};", kept
    )
    # behind our own site, whose log format and upstream it uses
    machine.write("/etc/nginx/sites-enabled/zzz-open", kept)
    machine.run(["nginx", "-t"])
    machine.run(["nginx", "-s", "reload"])


def gate(world: World, machine: Machine) -> None:
    """A page with a cookie beside the same page without a gate, in quiet and under a flood."""
    prepare(machine)
    client = world.machine("debian13", v4="198.51.100.50", v6="2001:db8::50", name="client")
    other = world.machine("debian13", v4="198.51.100.51", v6="2001:db8::51", name="flood")
    header = cookie(machine, "alice")
    rows = [ask(client, pair, header) for pair in 4 * [(DOMAIN, OPEN), (OPEN, DOMAIN)]]
    ours = statistics.median(row[number % 2] for number, row in enumerate(rows))
    bare = statistics.median(row[1 - number % 2] for number, row in enumerate(rows))
    line("a page with a cookie, against an open site", ours, bare, 1.1)
    quiet, loud = [], []
    for _ in range(5):
        quiet += ask(client, [DOMAIN], header)
        flood = other.start(["python3", "-c", FLOOD, "198.51.100.10", DOMAIN])
        other.wait_for(lambda flood=flood: "ready" in flood.output, "the flood has begun")  # type: ignore[misc]
        loud += ask(client, [DOMAIN], header)
        flood.stop()
    line("the same while 16 connections guess passwords", statistics.median(loud), statistics.median(quiet), 2)


def line(what: str, ours: float, theirs: float, limit: float) -> None:
    """Both times, their ratio, and whether the limit is held."""
    held = "" if ours / theirs <= limit else "   NOT HELD"
    print(
        f"{what:<48} {ours * 1e6:6.0f} us  against {theirs * 1e6:6.0f} us   {ours / theirs:.2f} x (at most {limit:g}){held}"
    )


def users_files(world: World, machine: Machine, sizes: Sequence[int] = (10, 1000, 10000)) -> None:
    """A sign-in and a page with a cookie, by the length of the users' file; the last user of it is asked for."""
    client = world.machine("debian13", v4="198.51.100.52", v6="2001:db8::52", name="clerk")
    hashed = passwords.hash_password(PASSWORD)
    machine.run(["rm", "-f", "/etc/nginx/sites-enabled/zzz-open"])  # it leans on our site, which goes on to sort last
    for size in sizes:
        machine.write("/root/list", "".join(f"user{number}:{hashed}\n" for number in range(size - 1)))
        ran = machine.run(["bash", "-c", "time -p hermes-setup users add --from /root/list --yes"], timeout=300)
        took = float(re.findall(r"real ([0-9.]+)", ran.err + ran.out)[0])
        again = machine.run(["bash", "-c", "time -p hermes-setup doctor >/dev/null 2>&1 || true"], timeout=300)
        look = float(re.findall(r"real ([0-9.]+)", again.err + again.out)[0])
        last = f"user{size - 2}"
        (page,), (sign_in,) = ask(client, [DOMAIN], cookie(machine, last)), ask(client, [DOMAIN], basic(last), 8)
        memory = machine.run(["sh", "-c", "ps -o rss= -C nginx | sort -n | tail -1"]).out.strip()
        print(
            f"users' file of {size:>6} lines: page with cookie {page * 1e6:5.0f} us, sign-in {sign_in * 1000:5.1f} ms, "
            f"to add them {took:5.1f} s, doctor {look:4.1f} s, largest nginx process {int(memory) // 1024} MB"
        )
    hermes_setup(machine, "doctor", "--json", code=4)  # only Hermes itself is missing
