"""Where Hermes is: proved by what it answers, and never open to the internet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.backend import Backend
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import Issuer
from hermes_setup.engine.findings import Severity
from hermes_setup.host import File, Folder, Link, Listener, Node, Ran, Request, Response, Special
from hermes_setup.stages.hermes import api, dashboards, docker
from hermes_setup.stages.hermes.stage import Hermes
from hermes_setup.system.overlay import Nothing

STATUS = {"version": "0.19.0", "auth_required": False, "auth_providers": []}


def says(**more: object) -> Response:
    return Response(200, body=json.dumps({**STATUS, **more}).encode())


OTHER = Response(404, (("Server", "Werkzeug"),), b"<html>")


@dataclass
class Machine(Nothing):
    """Listeners, and what is answered at each place."""

    sockets: Sequence[Listener] = ()
    answers: dict[str, Response] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)

    def listeners(self) -> tuple[Listener, ...]:
        return tuple(self.sockets)

    def fetch(self, request: Request) -> Response:
        self.asked.append(request)
        return self.answers.get(str(Backend(request.address, request.port)), Response(0, error="refused"))


def answers(backend: str = "") -> Answers:
    chosen = Backend.parse(backend) if backend else None
    return Answers(Domain.parse("hermes.example.com"), Issuer.parse("letsencrypt"), (), backend=chosen)


def local(port: int = 9119, address: str = "127.0.0.1", **more: str) -> Listener:
    return Listener(address, port, port, more.get("process", "hermes"), more.get("unit", ""), "hermes")


@pytest.mark.parametrize(
    ("sockets", "responses", "backend", "expected", "chosen"),
    [
        ([local()], {"127.0.0.1:9119": says()}, "", [], "127.0.0.1:9119"),
        ([local(address="::1")], {"[::1]:9119": says()}, "", [], "[::1]:9119"),
        ([local(9130, process="python3")], {"127.0.0.1:9130": says()}, "", [], "127.0.0.1:9130"),
        ([local(), local(address="::1")], {"127.0.0.1:9119": says(), "[::1]:9119": says()}, "", [], "127.0.0.1:9119"),
        (
            [local(address="0.0.0.0"), local(address="::")],
            {"127.0.0.1:9119": says()},
            "",
            ["backend.open"],
            "127.0.0.1:9119",
        ),
        ([], {}, "", ["backend.none"], None),
        ([], {}, "127.0.0.1:9200", ["backend.none"], "127.0.0.1:9200"),
        ([local(process="flask")], {"127.0.0.1:9119": OTHER}, "", ["backend.not-hermes"], None),
        ([local(process="flask")], {"127.0.0.1:9119": Response(200, body=b"[]")}, "", ["backend.not-hermes"], None),
        ([local(address="0.0.0.0")], {"127.0.0.1:9119": says()}, "", ["backend.open"], "127.0.0.1:9119"),
        ([local(address="::")], {"[::1]:9119": says()}, "", ["backend.open"], "[::1]:9119"),
        ([local(address="198.51.100.10")], {"198.51.100.10:9119": says()}, "", ["backend.open"], "198.51.100.10:9119"),
        ([local(address="0.0.0.0", process="x")], {}, "", ["backend.open", "backend.none"], None),
        (
            [local(address="0.0.0.0")],
            {"127.0.0.1:9119": says(auth_required=True)},
            "",
            ["backend.login-only", "backend.login"],
            "127.0.0.1:9119",
        ),
        ([local()], {"127.0.0.1:9119": says(auth_required=True)}, "", ["backend.login"], "127.0.0.1:9119"),
        ([local()], {"127.0.0.1:9119": says(version="0.14.2")}, "", ["backend.old"], "127.0.0.1:9119"),
        (
            [local(), local(9120)],
            {"127.0.0.1:9119": says(), "127.0.0.1:9120": says()},
            "",
            ["backend.two"],
            "127.0.0.1:9119",
        ),
        ([local(), local(9120)], {"127.0.0.1:9119": says(), "127.0.0.1:9120": says()}, "9120", [], "127.0.0.1:9120"),
        ([], {"10.0.0.5:9119": says()}, "10.0.0.5:9119", ["backend.remote"], "10.0.0.5:9119"),
    ],
)
def test_what_is_found(
    sockets: list[Listener], responses: dict[str, Response], backend: str, expected: list[str], chosen: str | None
) -> None:
    wanted = answers(backend)
    facts = Hermes().inspect(wanted, Machine(sockets, responses))
    assert [finding.code for finding in Hermes().check(wanted, facts)] == expected
    place = facts.found.chosen
    assert (str(place) if place else None) == chosen
    assert Hermes().plan(wanted, facts) == ()


@pytest.mark.parametrize(
    ("listener", "words"),
    [
        (local(address="0.0.0.0", unit="hermes-dashboard.service"), "systemctl edit --full hermes-dashboard.service"),
        (local(address="0.0.0.0", process="docker-proxy"), '"127.0.0.1:9119:9119"'),
        (local(address="::", unit="docker-0123456789ab"), "container 0123456789ab, on this server's own network"),
        (
            Listener("0.0.0.0", 9119, 7, "hermes", "hermes-dashboard.service", "alice", True),
            "As alice: systemctl --user edit --full hermes-dashboard.service",
        ),
        (local(address="0.0.0.0"), "hermes dashboard --host 127.0.0.1 --port 9119"),
    ],
)
def test_hermes_that_others_can_reach_blocks_and_the_setting_is_named(listener: Listener, words: str) -> None:
    facts = Hermes().inspect(answers(), Machine([listener], {"127.0.0.1:9119": says(), "[::1]:9119": says()}))
    (finding,) = [each for each in Hermes().check(answers(), facts) if each.code == "backend.open"]
    assert finding.severity is Severity.BLOCK
    assert words in finding.do


RECORDED = Path(__file__).parent / "recorded" / "docker"
COMPOSE = "/home/admin/hermes/compose.yml"


@dataclass
class Dockered(Machine):
    """With containers, as `docker inspect` showed them."""

    inspected: str = ""

    def look(self, path: str) -> Node:
        return Special("a socket") if path == docker.SOCKET else super().look(path)

    def ask(self, argv: Sequence[str], *, seconds: float = 4.0) -> Ran:
        if argv[:2] == ("docker", "ps"):
            return Ran(0, "15b5e769eadf\n", "")
        if argv[:2] == ("docker", "inspect"):
            return Ran(0, self.inspected, "")
        return super().ask(argv, seconds=seconds)


@pytest.mark.parametrize("proxied", [True, False], ids=["docker-proxy listens", "only rules of the kernel"])
def test_a_port_published_by_a_compose_file_names_the_file_and_the_line(proxied: bool) -> None:
    listeners = [Listener("0.0.0.0", 9119, 3958, "docker-proxy"), Listener("::", 9119, 3965, "docker-proxy")]
    recorded = (RECORDED / "compose-published.json").read_text("utf-8")
    machine = Dockered(
        listeners if proxied else [], {"127.0.0.1:9119": says(), "[::1]:9119": says()}, inspected=recorded
    )
    found = Hermes().check(answers(), Hermes().inspect(answers(), machine))
    (finding,) = [each for each in found if each.code == "backend.open"]
    assert f'In {COMPOSE}, under ports of the service hermes, write: - "127.0.0.1:9119:9119"' in finding.do
    assert f"sudo docker compose -p hermes -f {COMPOSE} up -d" in finding.do
    assert "ufw" in finding.why


def test_a_container_on_the_host_network_names_its_command() -> None:
    recorded = (RECORDED / "host-network.json").read_text("utf-8")
    (container,) = docker.parse(recorded)
    listener = Listener("::", 9119, 4283, "busybox", f"docker-{container.id}")
    machine = Dockered([listener], {"127.0.0.1:9119": says(), "[::1]:9119": says()}, inspected=recorded)
    (finding,) = [each for each in Hermes().check(answers(), Hermes().inspect(answers(), machine)) if each.severity]
    assert "(network_mode: host), set --host 127.0.0.1 --port 9119 after hermes dashboard" in finding.do


def test_a_container_published_on_loopback_only_is_not_exposed() -> None:
    recorded = (RECORDED / "compose-published.json").read_text("utf-8")
    closed = recorded.replace('"HostIp": "0.0.0.0"', '"HostIp": "127.0.0.1"').replace(
        '"HostIp": "::"', '"HostIp": "::1"'
    )
    machine = Dockered([Listener("127.0.0.1", 9119, 9, "docker-proxy")], {"127.0.0.1:9119": says()}, inspected=closed)
    facts = Hermes().inspect(answers(), machine)
    assert Hermes().check(answers(), facts) == []
    assert str(facts.found.chosen) == "127.0.0.1:9119"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "[1]", "not json", '[{"Id": null, "NetworkSettings": {"Ports": null}}]']
)
def test_odd_output_of_docker_is_not_an_error(text: str) -> None:
    assert all(not each.published for each in docker.parse(text))


@dataclass
class Peopled(Machine):
    """With users."""

    passwd: str = ""

    def look(self, path: str) -> Node:
        return File(self.passwd.encode()) if path == "/etc/passwd" else super().look(path)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("hermes",), []),
        (("hermes", "admin"), ["backend.local-users"]),
        (("hermes", "admin", "carol"), ["backend.local-users"]),
        (("hermes", "ftp/nologin"), []),
    ],
)
def test_who_else_can_log_in_is_named(names: Sequence[str], expected: list[str]) -> None:
    lines = ["root:x:0:0:root:/root:/bin/bash", "www-data:x:33:33::/var/www:/usr/sbin/nologin"]
    for number, name in enumerate(names, 1000):
        user, _, shell = name.partition("/")
        lines.append(f"{user}:x:{number}:{number}::/home/{user}:/bin/{shell or 'bash'}")
    machine = Peopled([local()], {"127.0.0.1:9119": says()}, passwd="\n".join(lines) + "\n")
    assert codes(machine) == expected


@dataclass
class WithUnits(Machine):
    """With systemd, and units that were made on it."""

    units: dict[str, str] = field(default_factory=dict)

    def look(self, path: str) -> Node:
        name = path.removeprefix("/etc/systemd/system/")
        if path == "/run/systemd/system":
            return Folder()
        if self.units.get(name, "").startswith("-> "):
            return Link(self.units[name][3:])
        return File(self.units[name].encode()) if name in self.units else super().look(path)

    def names(self, folder: str) -> tuple[str, ...]:
        return tuple(sorted(self.units)) if folder == "/etc/systemd/system" else ()


START = "[Service]\nExecStart=/opt/hermes/bin/hermes dashboard --host 127.0.0.1 --port 9119 --no-open\n"
OTHERS = {"hermes-gateway.service": "[Service]\nExecStart=/opt/hermes/bin/hermes gateway run\n"}


@pytest.mark.parametrize(
    ("units", "backend", "unit"),
    [
        ({"hermes-dashboard.service": START}, "", "hermes-dashboard"),
        ({"hermes-dashboard.service": START}, "127.0.0.1:9119", "hermes-dashboard"),
        ({"chat.service": START, **OTHERS}, "", "chat"),
        ({"a.service": START, "hermes-dashboard.service": START}, "", "hermes-dashboard"),
        ({"chat.service": START.replace("dashboard ", "\\\n  dashboard ")}, "", "chat"),
        ({"hermes-dashboard.service": "[Service]\nExecStart=/root/start.sh\n"}, "127.0.0.1:9200", "hermes-dashboard"),
        ({"hermes-dashboard.service": "-> /opt/x.service", "/opt/x.service": START}, "", "hermes-dashboard"),
        # none that would help
        ({"hermes-dashboard.service": START}, "127.0.0.1:9200", ""),
        ({"hermes-dashboard.service": START}, "10.0.0.5:9119", ""),
        ({"hermes-dashboard.service": "-> /dev/null"}, "", ""),
        ({"hermes@.service": START, **OTHERS}, "", ""),
    ],
)
def test_where_a_unit_would_run_it_starting_that_unit_is_advised(
    units: dict[str, str], backend: str, unit: str
) -> None:
    wanted = answers(backend)
    found = Hermes().check(wanted, Hermes().inspect(wanted, WithUnits(units=units)))
    (finding,) = [each for each in found if each.code == "backend.none"]
    if unit:
        assert f"sudo systemctl start {unit} ;" in finding.do
        assert f"journalctl -u {unit} -n 50" in finding.do
    elif backend.startswith("10."):
        assert finding.do == "Start it on that machine."
    else:
        assert f"--port {backend.partition(':')[2] or 9119} --no-open" in finding.do


def test_it_is_asked_as_hermes_wants_to_be_asked() -> None:
    machine = Machine([local()], {"127.0.0.1:9119": says()})
    Hermes().inspect(answers(), machine)
    assert [asked.path for asked in machine.asked] == ["/api/status", "/"]
    assert {dict(asked.headers)["Host"] for asked in machine.asked} == {"127.0.0.1:9119"}


@pytest.mark.parametrize(("backend", "port"), [("", 9119), ("127.0.0.1:9200", 9200)])
def test_what_answers_in_place_of_hermes_is_named(backend: str, port: int) -> None:
    sockets = [Listener("10.0.0.1", port, 5, "other"), local(port, process="flask", unit="web.service")]
    wanted = answers(backend)
    facts = Hermes().inspect(wanted, Machine(sockets, {f"127.0.0.1:{port}": OTHER}))
    (finding,) = [each for each in Hermes().check(wanted, facts) if each.code == "backend.not-hermes"]
    assert f"(flask of hermes, unit web.service, process {port})" in finding.what


HEADLESS = Response(404, body=b'{"error":"Headless backend (hermes serve): web UI disabled"}')


@dataclass
class Headless(Machine):
    """`hermes serve` on its usual port, as 0.19.0 answers."""

    def fetch(self, request: Request) -> Response:
        if (request.path, request.port) == ("/", 9119):
            return HEADLESS
        return super().fetch(request)


def codes(machine: Machine, backend: str = "") -> list[str]:
    wanted = answers(backend)
    return [finding.code for finding in Hermes().check(wanted, Hermes().inspect(wanted, machine))]


def test_hermes_serve_has_no_pages_and_is_no_target() -> None:
    machine = Headless([local()], {"127.0.0.1:9119": says()})
    assert codes(machine) == ["backend.not-hermes"]
    assert dashboards.local(machine) == ()
    both = Headless([local(), local(9120)], {"127.0.0.1:9119": says(), "127.0.0.1:9120": says()})
    assert [str(each) for each in dashboards.local(both)] == ["127.0.0.1:9120"]
    assert codes(both) == []


def test_hermes_serve_on_all_addresses_is_exposed_all_the_same() -> None:
    assert codes(Headless([local(9120), local(address="0.0.0.0")], {
        "127.0.0.1:9119": says(), "127.0.0.1:9120": says()
    })) == ["backend.open"]  # fmt: skip


@pytest.mark.parametrize(
    "listener",
    [
        Listener("127.0.0.1", 9200, 5, "docker-proxy", "docker.service", "root"),
        Listener("127.0.0.1", 9200, 5, "ssh", "", "alice"),
        Listener("127.0.0.1", 9200),
    ],
)
def test_a_place_that_is_named_and_answers_as_hermes_is_hermes_whoever_holds_the_socket(listener: Listener) -> None:
    assert codes(Machine([listener], {"127.0.0.1:9200": says()}), "127.0.0.1:9200") == []


def test_a_socket_of_both_families_is_found_where_the_machine_has_no_ipv6() -> None:
    machine = Machine([local(address="::")], {"127.0.0.1:9119": says()})
    assert codes(machine) == ["backend.open"]
    assert [str(each.at) for each in Hermes().inspect(answers(), machine).found.dashboards] == ["127.0.0.1:9119"]


def test_something_else_on_hermes_port_is_not_an_exposed_hermes() -> None:
    sockets = [local(9200), local(address="0.0.0.0", process="flask")]
    machine = Machine(sockets, {"127.0.0.1:9200": says(), "127.0.0.1:9119": OTHER})
    assert codes(machine, "127.0.0.1:9200") == []
    refuses_host = Response(400, body=b'{"detail":"Invalid Host header. Dashboard requests must use ..."}')
    assert codes(Machine(sockets, {"127.0.0.1:9200": says(), "127.0.0.1:9119": refuses_host}), "9200") == [
        "backend.open"
    ]


def test_only_what_proved_to_be_hermes_on_loopback_is_offered() -> None:
    sockets = [local(), local(9130, process="python3"), local(9140, process="python3")]
    machine = Machine(sockets, {"127.0.0.1:9119": says(), "127.0.0.1:9130": OTHER, "127.0.0.1:9140": says()})
    assert [str(each) for each in dashboards.local(machine)] == ["127.0.0.1:9119", "127.0.0.1:9140"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"version": 5, "auth_required": true}', b'{"version": "1"}', b"\xff", b"[" * 200_000],
)
def test_what_is_no_status_is_not_taken_for_one(body: bytes) -> None:
    assert api.parse_status(body) is None


def test_compose_is_given_all_its_files_and_its_own_project() -> None:
    def up(*files: str, project: str = "agent", folder: str = "/srv/my agent") -> str:
        return docker.Container("1", "x", False, (), files, "agent", project, folder).up_command

    two = ("/srv/my agent/compose.yaml", "/srv/my agent/compose.override.yaml")
    assert up(*two, project="other") == (
        "sudo docker compose -p other -f '/srv/my agent/compose.yaml' -f '/srv/my agent/compose.override.yaml' up -d"
    )
    assert "--project-directory /srv/x -f /etc/agent.yaml" in up("/etc/agent.yaml", folder="/srv/x")


def test_one_container_on_both_families_is_one_dashboard() -> None:
    proxies = [
        Listener(each, 9119, pid, "docker-proxy", "docker.service", "root")
        for each, pid in (("127.0.0.1", 5), ("::1", 6))
    ]
    machine = Machine(proxies, {"127.0.0.1:9119": says(), "[::1]:9119": says()})
    assert "backend.two" not in codes(machine)


def test_where_hermes_is_not_found_the_sites_upstream_is_looked_at() -> None:
    site = File(b"# Written by hermes-setup.\nupstream hermes_dashboard {\n    server 127.0.0.1:9120;\n}\n")

    class WithSite(Machine):
        def look(self, path: str) -> Node:
            return site if path == "/etc/nginx/sites-available/hermes" else super().look(path)

    other = WithSite([local(port=9120, process="flask")], {"127.0.0.1:9120": Response(404, (("Server", "Werkzeug"),))})
    assert "backend.not-hermes" in codes(other)
    (finding,) = Hermes().check(answers(), Hermes().inspect(answers(), WithSite()))
    assert "127.0.0.1:9120" in finding.what
    assert "--port 9120" in finding.do
