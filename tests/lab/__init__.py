"""A world in a box: real servers, DNS, Let's Encrypt and Hermes, for tests. Needs root; ./tests/run provides it.

    from lab import World, start_hermes          # or the fixtures: world, machine, bare, server

    with World() as world:                       # its own internet; as many at a time as you like
        vps = world.machine("debian13-ready")    # nginx, certbot there; also debian12-ready, debian13, debian12 (bare),
                                                 # debian13-fail2ban and debian12-fail2ban
        world.dns.host("hermes.example.com", *vps.addresses)      # 198.51.100.10, 2001:db8::10
        world.dns.set("example.com", "CAA", '0 issue "other.org"')
        world.dns.fail("example.com", "AAAA", "SERVFAIL")         # REFUSED, NXDOMAIN, silence; at="198.51.100.53"
        vps.write("/etc/motd", "hello", mode=0o644)
        vps.run(["nginx", "-t"]).out             # CommandFailed unless 0; check=False, user=, env=, input=, timeout=
        nginx = vps.start(["nginx", "-g", "daemon off;"])         # .output, .code, .stop(); there is no systemd
        before = vps.snapshot()                  # every path unlike the layers; snapshot_diff(before, after)
        child = vps.spawn(["bash"], rows=24, cols=80)             # pexpect on a real terminal
        vps.trust(*world.acme.trusted)           # now `certbot certonly --webroot ...` works unchanged
        page = world.fetch("https://hermes.example.com/", auth=("alice", "pw"), roots=world.acme.roots())
        page.status, page.header("Location"), page.all("Set-Cookie"), page.text, page.certificate
        world.fetch("https://hermes.example.com/", host="evil.test", sni="", address="198.51.100.10")
        world.websocket("wss://hermes.example.com/api/ws?token=x", origin="https://hermes.example.com").status
        world.acme.refuse(Problem("rateLimited", "too many", retry_after="3600")); world.acme.orders()
        box = world.machine("debian13-ready", "hermes"); start_hermes(box)      # real dashboard on 127.0.0.1:9119
        box.fetch("http://127.0.0.1:9119/api/status")             # as a process in the machine
        box.write("/root/.hermes/config.yaml", MODEL_CONFIG); start_model(box)  # before it starts: a model that does as it is told
        have_hermes_run(box, "id -u")            # what the real agent's command printed
        inner = world.machine(v4="10.0.0.5"); world.behind_nat(inner, "198.51.100.77")

Everything closes with the world, and dies with the test run.
"""

from .acme import LETSENCRYPT, PEBBLE, PEBBLE_URL, STAGING, Acme, Problem
from .authority import Authority, lab_authority
from .dns import Dns
from .hermes import MODEL_CONFIG, have_hermes_run, session_token, start_gateway, start_hermes, start_model
from .machine import CommandFailed, Daemon, Listener, Machine, Process, Ran
from .snapshot import Entry, snapshot_diff
from .web import Reply, WebSocket
from .world import World

__all__ = [
    "LETSENCRYPT",
    "MODEL_CONFIG",
    "PEBBLE",
    "PEBBLE_URL",
    "STAGING",
    "Acme",
    "Authority",
    "CommandFailed",
    "Daemon",
    "Dns",
    "Entry",
    "Listener",
    "Machine",
    "Problem",
    "Process",
    "Ran",
    "Reply",
    "WebSocket",
    "World",
    "have_hermes_run",
    "lab_authority",
    "session_token",
    "snapshot_diff",
    "start_gateway",
    "start_hermes",
    "start_model",
]
