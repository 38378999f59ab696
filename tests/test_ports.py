"""Who has ports 80 and 443, and what to do about it. Nothing is ever stopped."""

from __future__ import annotations

import pytest

from hermes_setup.answers import Answers, Domain, Issuer
from hermes_setup.findings import Severity
from hermes_setup.host import Listener
from hermes_setup.stages.ports import Facts, Ports

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
    assert finding.what.startswith("Port 80 and 443 is taken by apache2")
    assert finding.evidence == "0.0.0.0:80, 0.0.0.0:443, [::]:80, [::]:443"
