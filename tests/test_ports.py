"""Who has ports 80 and 443, and what to do about it. Nothing is ever stopped."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import Issuer
from hermes_setup.engine.findings import Severity
from hermes_setup.host import File, Listener, Node, Ran
from hermes_setup.stages.ports import Facts, Ports
from hermes_setup.system.overlay import Nothing

ANSWERS = Answers(Domain.parse("hermes.example.com"), Issuer.parse("letsencrypt"), ())


@pytest.mark.parametrize(
    "holders",
    [
        (),
        (Listener("0.0.0.0", 80, 7, "nginx", "nginx.service"), Listener("::", 443, 7, "nginx", "nginx.service")),
        (Listener("::", 80, 7, "nginx"),),
    ],
)
def test_free_ports_and_nginx_are_fine(holders: tuple[Listener, ...]) -> None:
    assert Ports().check(ANSWERS, Facts(holders)) == []


@pytest.mark.parametrize(
    ("holder", "words"),
    [
        (Listener("0.0.0.0", 80, 7, "apache2", "apache2.service"), "systemctl disable --now apache2"),
        (Listener("127.0.0.1", 80, 7, "caddy", "caddy.service"), "systemctl disable --now caddy"),
        (Listener("::", 443, 7, "docker-proxy", "docker.service"), "docker ps"),
        (Listener("0.0.0.0", 443, 7, "nginx", "docker-0123456789ab"), "container 0123456789ab"),
        (Listener("0.0.0.0", 80, 7, "mine", "mine.service"), "systemctl disable --now mine.service"),
        (Listener("0.0.0.0", 443, 7, "nginx", "container-web"), "container web"),
        (
            Listener("::", 80, 7, "caddy", "caddy.service", "alice", True),
            "as alice: systemctl --user disable --now caddy",
        ),
        (Listener("::", 80, 7, "rootlesskit", "docker.service", "alice", True), "docker ps"),
        (Listener("::", 80, 1, "systemd"), "systemctl list-sockets"),
        (Listener("0.0.0.0", 80, 7, "mine"), "ps -fp 7"),
        (Listener("0.0.0.0", 80), "ss -tlnp"),
    ],
)
def test_anything_else_blocks_and_what_to_do_is_named(holder: Listener, words: str) -> None:
    (finding,) = Ports().check(ANSWERS, Facts((holder,)))
    assert (finding.code, finding.severity) == ("ports.taken", Severity.BLOCK)
    assert words in finding.do
    assert str(holder.port) in finding.what


def test_one_process_is_one_finding_however_many_sockets_it_has() -> None:
    sockets = tuple(
        Listener(address, port, 7, "apache2", "apache2.service") for address in ("0.0.0.0", "::") for port in (80, 443)
    )
    (finding,) = Ports().check(ANSWERS, Facts(sockets))
    assert finding.what.startswith("Ports 80 and 443 are taken by apache2")
    assert finding.evidence == "0.0.0.0:80, 0.0.0.0:443, [::]:80, [::]:443"


class Docker(Nothing):
    """Docker without its userland proxy: rules, and no sockets."""

    def __init__(self, rule: str) -> None:
        self.rules = f"*nat\n:PREROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n{rule}\nCOMMIT\n"

    def ask(self, argv: Sequence[str], *, seconds: float = 4.0) -> Ran:
        return Ran(0, self.rules, "") if tuple(argv) == ("iptables-save", "-t", "nat") else Ran(127, "", "")

    def look(self, path: str) -> Node:
        route = b"head\neth0 00000000 016433C6 0003 0 0 0 00000000 0 0 0\n"
        return File(route) if path == "/proc/net/route" else super().look(path)

    def addresses(self) -> tuple[str, ...]:
        return ("198.51.100.10",)


@pytest.mark.parametrize(
    ("rule", "ports"),
    [
        ("-A DOCKER ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80", [80]),
        (
            "-A DOCKER -d 198.51.100.10/32 ! -i br-0 -p tcp -m tcp --dport 443 -j DNAT --to-destination 172.17.0.2:8443",
            [443],
        ),
        ("-A DOCKER -d 127.0.0.1/32 ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80", []),
        ("-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80", []),
        ("-A DOCKER ! -i docker0 -p udp -m udp --dport 443 -j DNAT --to-destination 172.17.0.2:443", []),
        ("-A PREROUTING -i wg0 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 3128", []),
    ],
)
def test_a_port_that_docker_redirects_is_taken_though_no_one_listens(rule: str, ports: list[int]) -> None:
    facts = Ports().inspect(ANSWERS, Docker(rule))
    found = Ports().check(ANSWERS, facts)
    assert [finding.code for finding in found] == ["ports.taken"] * len(ports)
    assert all(finding.what.startswith(f"Port {port} ") for finding, port in zip(found, ports, strict=True))


def test_a_published_port_whose_proxy_listens_is_one_finding() -> None:
    holder = Listener("0.0.0.0", 80, 7, "docker-proxy", "docker.service")
    assert len(Ports().check(ANSWERS, Facts((holder,), ((80, "-A DOCKER ..."),)))) == 1
