"""Power cuts, on the real stages: at every instant nginx would start, and one more run reaches the same machine."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hermes_setup import digests
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import Issuer
from hermes_setup.answers.user import User
from hermes_setup.engine.failed_step import NoJournal, put_back
from hermes_setup.engine.loop import run
from hermes_setup.engine.stage import Step
from hermes_setup.host import ABSENT, File, Folder, Link, Ran, Request, Response
from hermes_setup.nginx import tree
from hermes_setup.stages.certificate.stage import Certificate
from hermes_setup.stages.site import facts
from hermes_setup.stages.site.stage import Site
from hermes_setup.stages.users import cookies
from hermes_setup.stages.users.cookies import make_token
from hermes_setup.stages.users.stage import Users
from hermes_setup.state import stamps
from hermes_setup.state.journal import Journal
from hermes_setup.system.overlay import Overlay
from hermes_setup.values import replace
from machines import Machine, PowerCut, Unsteady

pytestmark = pytest.mark.slow  # thousands of whole runs

HASH = "$6$rounds=40000$aaaaaaaaaaaaaaaa$" + "x" * 86
ANSWERS = Answers(
    Domain.parse("hermes.example.com"), Issuer.parse("self-signed"), (User("alice", HASH),), firewall="leave"
)
SITE = Site()
STEPS = (
    Step("users", "Users", Users()),
    Step("site-http", "Site over HTTP", SITE),
    Step("certificate", "Certificate", Certificate()),
    Step("site-https", "Site over HTTPS", SITE),
)
CONF = "user www-data;\npid /run/nginx.pid;\nevents {}\nhttp {\ninclude /etc/nginx/sites-enabled/*;\n}\n"
NEIGHBOUR = "server { listen 80 default_server; listen 443 ssl default_server; server_name blog.example; }\n"
LEAF = """notBefore=Nov  1 00:00:00 2026 GMT
notAfter=Nov  1 00:00:00 2028 GMT
serial=01
issuer=O=hermes-setup
sha256 Fingerprint={fingerprint}
-----BEGIN PUBLIC KEY-----
{key}
-----END PUBLIC KEY-----
X509v3 Subject Alternative Name:
    DNS:{name}
"""
LOADED = "/loaded"  # what nginx has in memory


class Server(Unsteady):
    """A server with nginx and a neighbour on it. openssl writes its two files one after the other."""

    def __init__(self) -> None:
        super().__init__({"nginx": _nginx, "openssl": _openssl})
        for path, text in (("/etc/nginx/nginx.conf", CONF), ("/etc/nginx/sites-available/blog", NEIGHBOUR)):
            Overlay.put(self, path, File(text.encode()))
        Overlay.put(self, "/etc/nginx/sites-enabled/blog", Link("../sites-available/blog"))

    def ask(self, argv: Sequence[str], *, seconds: float = 4.0) -> Ran:  # noqa: ARG002
        if list(argv) == ["nginx", "-v"]:
            return Ran(0, "", "nginx version: nginx/1.26.3")
        if argv[:2] == ["openssl", "x509"]:
            node = self.look(argv[3])
            content = node.content.decode() if isinstance(node, File) else ""
            name, _, key = content.partition(" ")
            if not key:
                return Ran(1, "", "not a certificate")
            mark = hashlib.sha256(content.encode()).hexdigest()
            return Ran(0, LEAF.format(fingerprint=mark, key=key, name=name), "")
        if argv[:2] == ["openssl", "pkey"]:
            node = self.look(argv[3])
            key = node.content.decode() if isinstance(node, File) else ""
            return Ran(0, f"-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n", "")
        return Ran(127, "", "")

    def fetch(self, request: Request) -> Response:
        node = self.look(LOADED)
        found = re.search(r"cert=(.*)$", node.content.decode(), re.M) if isinstance(node, File) else None
        return Response(0, certificate=found.group(1).encode() if found and request.tls else b"", error="")


def _text(machine: Machine, path: str) -> str:
    node = tree.follow_links(machine, path)
    return node.content.decode() if isinstance(node, File) else ""


def _nginx(machine: Machine, argv: Sequence[str]) -> None:
    if "-t" in argv:
        return
    assert would_start(machine), "nginx was told to load what it refuses"
    number = len(machine.ran)
    for path, text in (
        ("/run/nginx.pid", "100"),
        ("/proc/100/cmdline", "nginx: master process nginx"),
        ("/proc/100/task/100/children", f"{number}"),
        (f"/proc/{number}/cmdline", "nginx: worker process"),
        (f"/proc/{number}/stat", f"{number} (nginx) S 100 " + "0 " * 30),
    ):
        Overlay.put(machine, path, File(text.encode()))
    text = _text(machine, facts.SITE_FILE)
    certificate = re.search(r"ssl_certificate (\S+);", text)
    shown = f"\ncert={_text(machine, certificate.group(1))}" if certificate else ""
    gate = _text(machine, cookies.GATE_FILE)
    Overlay.put(machine, LOADED, File(f"{digests.digest(text, gate)}{shown}".encode()))


def _openssl(machine: Machine, argv: Sequence[str]) -> None:
    key = make_token()
    Machine.put(machine, argv[argv.index("-keyout") + 1], File(key.encode(), 0o600))
    machine.put("/tmp/between", ABSENT)  # here, too, the lights may go out
    Machine.put(machine, argv[argv.index("-out") + 1], File(f"hermes.example.com {key}".encode()))


def would_start(machine: Machine) -> bool:
    """As nginx judges it: every file it reads is whole, and what they name is there and fits together."""
    config = tree.read(machine)
    if config.problem:
        return False
    for path, text in config.files.items():
        if not text.startswith(tree.HEADER):
            continue
        certificate, key = re.search(r"ssl_certificate (\S+);", text), re.search(r"ssl_certificate_key (\S+);", text)
        if certificate and key:
            if cookies.GATE_FILE not in config.files or path == cookies.GATE_FILE:
                return False
            if _text(machine, certificate.group(1)).partition(" ")[2] != _text(machine, key.group(1)):
                return False
    return True


def own(machine: Machine) -> dict[str, object]:
    """What counts as the same machine: random cookies and keys, and the folders of tries that failed, aside."""
    kept: dict[str, object] = {}
    for path, node in machine.files().items():
        if path.startswith(("/proc", "/run", "/etc/ssl", "/tmp")) or isinstance(node, Folder):
            continue
        if path == cookies.GATE_FILE:
            kept[path] = [(token.name, token.fingerprint) for token in cookies.parse(_text(machine, path))]
        elif path in (stamps.NGINX, LOADED):
            kept[path] = True
        elif isinstance(node, File):
            kept[path] = (re.sub(rb"/hermes.example.com/\d+/", b"/N/", node.content), node.mode, node.owner, node.group)
        else:
            kept[path] = node
    return kept


def finish(machine: Server, answers: Answers = ANSWERS, journal: Journal | NoJournal | None = None) -> None:
    for _ in run(STEPS, answers, machine, journal or NoJournal()):
        assert would_start(machine)


def settled(machine: Server, answers: Answers) -> None:
    """Done: nothing left to do, and nginx has loaded what is on the disk."""
    machine.plug_in(-1, after=False)
    finish(machine, answers)
    ran = list(machine.ran)
    finish(machine, answers)
    assert machine.ran == ran
    text, gate = _text(machine, facts.SITE_FILE), _text(machine, cookies.GATE_FILE)
    assert _text(machine, LOADED).startswith(digests.digest(text, gate))
    assert "ssl_certificate" in text


CUTS = st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=4)


@settings(max_examples=40, deadline=None)
@given(CUTS)
@example([(number, after) for number in (12, 18) for after in (False, True)])
def test_after_any_power_cuts_one_more_run_reaches_the_same_machine(cuts: list[tuple[int, bool]]) -> None:
    whole, machine = Server(), Server()
    settled(whole, ANSWERS)
    for cut, after in cuts:
        machine.plug_in(cut, after=after)
        try:
            finish(machine)
        except PowerCut:
            assert would_start(machine)
    settled(machine, ANSWERS)
    assert own(machine) == own(whole)


@settings(max_examples=40, deadline=None)
@given(CUTS, st.sampled_from(["another password", "removed", "signed out"]))
def test_the_same_for_a_machine_that_is_set_up_already(cuts: list[tuple[int, bool]], wish: str) -> None:
    first = replace(ANSWERS, users=(User("alice", HASH), User("bob", HASH)))
    whole, machine = Server(), Server()
    settled(whole, first)
    settled(machine, first)

    def wanted(server: Server) -> Answers:
        match wish:
            case "another password":
                return replace(first, users=(User("alice", HASH.replace("a" * 16, "b" * 16)), User("bob")))
            case "removed":
                return replace(first, users=(User("bob"),), removed=("alice",))
            case _:
                digests = tuple(token.digest for token in cookies.parse(_text(server, cookies.GATE_FILE)))
                return replace(first, revoked=digests)

    before = {token.name: token.value for token in cookies.parse(_text(machine, cookies.GATE_FILE))}
    now = wanted(machine)
    settled(whole, wanted(whole))
    for cut, after in cuts:
        machine.plug_in(cut, after=after)
        try:
            finish(machine, now)
        except PowerCut:
            assert would_start(machine)
    settled(machine, now)
    assert own(machine) == own(whole)
    after_all = {token.name: token.value for token in cookies.parse(_text(machine, cookies.GATE_FILE))}
    assert after_all.get("alice") != before["alice"]
    assert (after_all["bob"] == before["bob"]) == (wish != "signed out")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 40), st.booleans())
def test_going_back_restores_every_file_and_what_nginx_has_loaded(cut: int, after: bool) -> None:
    machine = Server()
    settled(machine, ANSWERS)
    before, loaded = own(machine), _text(machine, LOADED)
    gate = _text(machine, cookies.GATE_FILE)
    wish = replace(ANSWERS, users=(User("carol", HASH),), removed=("alice",))
    with tempfile.TemporaryDirectory() as folder:
        machine.plug_in(cut, after=after)
        try:
            finish(machine, wish, Journal(f"{folder}/run"))
        except PowerCut:
            pass
        machine.plug_in(-1, after=False)
        assert put_back(Journal(f"{folder}/run").changes(), machine) == []
    now = own(machine)
    now.pop(stamps.NGINX, None)
    before.pop(stamps.NGINX, None)
    assert now == before
    assert _text(machine, cookies.GATE_FILE) == gate
    assert _text(machine, LOADED) == loaded


def test_this_machine_is_strict_enough_to_notice() -> None:
    machine = Server()
    settled(machine, ANSWERS)
    for path in [p for p in machine.files() if p.endswith("privkey.pem")]:
        Overlay.put(machine, path, File(b"another key"))
    assert not would_start(machine)
    with pytest.raises(AssertionError, match="refuses"):
        _nginx(machine, ["nginx"])
