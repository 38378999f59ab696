"""The proof: redirected domains redirect and take webhooks; our own secret goes to our own site only."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from certificates import NAME, Server
from certificates import answers as wish
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.webhook_platforms import parse_endpoints
from hermes_setup.answers.webhooks import Webhooks
from hermes_setup.host import File, Request, Response
from hermes_setup.stages.proof import BYPASS_HEADER, SIGN_IN, BrowserVisit, Proof
from hermes_setup.stages.users.cookies import GATE_FILE
from hermes_setup.state import stamps
from hermes_setup.values import replace

OLD, OLDER = "old.example.com", "older.example.com"
TOKEN = "0" * 32
MOVED = replace(
    wish(),
    redirects=(Domain.parse(OLD), Domain.parse(OLDER)),
    webhooks=Webhooks(parse_endpoints(["webhook"])),
)


@dataclass
class Nginx:
    """Answers as the site's file has it, but for what a test changes."""

    code: int = 307
    secure_code: int = 307
    takes_webhooks: bool = True
    told: bytes = b"wrong\n"  # of a wrong password
    dialog: bool = False  # a browser is challenged
    page: bytes = f"<form action={SIGN_IN}>".encode()
    refuses: bool = False  # addresses, ours too
    any_name: bool = False  # the guard against other names is missing

    def __call__(self, _server: Server, request: Request) -> Response:
        """The answer of the server that has that name."""
        webhook = request.path.startswith("/webhooks/")
        if request.name in (OLD, OLDER):
            assert request.port == 80 or request.name == OLD, "it has no certificate, so nothing answers there"
            if webhook and self.takes_webhooks:
                return Response(404)
            code = self.code if request.port == 80 else self.secure_code
            return Response(code, (("Location", f"https://{NAME}{request.path}"),))
        if request.port == 80:
            return Response(301, (("Location", f"https://{NAME}/"),))
        if webhook or ("Host" in dict(request.headers) and not self.any_name):
            return Response(404)
        if self.refuses and BYPASS_HEADER not in dict(request.headers):
            ours = self.page.startswith(b"<form")
            return Response(403, body=b"run <code>sudo hermes-setup</code>" if ours else self.page)
        if request.path == SIGN_IN:
            return Response(403, body=self.told)
        if self.dialog and dict(request.headers).get("Sec-Fetch-Mode"):
            return Response(401, (("WWW-Authenticate", "Basic"),))
        if TOKEN not in dict(request.headers).get("Cookie", ""):
            return Response(401, body=self.page)
        return Response(502)


@pytest.mark.parametrize(
    ("nginx", "codes"),
    [
        (Nginx(), ["proof.hermes-down"]),
        (Nginx(code=301), ["proof.redirect"] * 2),  # browsers would keep it for ever
        (Nginx(secure_code=301), ["proof.redirect"]),
        (Nginx(secure_code=200), ["proof.redirect"]),
        (Nginx(takes_webhooks=False), ["proof.webhook"]),
        (Nginx(told=b"Internal Server Error"), ["proof.wrong-password"]),
        (Nginx(dialog=True), ["proof.sign-in"]),
    ],
)
def test_a_redirected_domain_redirects_temporarily_and_takes_webhooks(nginx: Nginx, codes: list[str]) -> None:
    server = Server()
    server.answer = nginx
    server.lineage(OLD, names=[OLD])
    server.put(GATE_FILE, File(f"# token - {TOKEN} \n".encode()))
    assert [finding.code for finding in BrowserVisit(MOVED)(server)] == codes


def asked_by(wanted: Answers, addresses: tuple[str, ...] = (), **more: object) -> list[Request]:
    """All requests of a proof of that site."""
    server, seen = Server(), list[Request]()
    nginx = Nginx(**more)  # type: ignore[arg-type]

    def answer(server: Server, request: Request) -> Response:
        seen.append(request)
        return nginx(server, request)

    server.answer = answer
    server.addresses = lambda: addresses  # type: ignore[method-assign]
    server.lineage(OLD, names=[OLD])
    server.put(GATE_FILE, File(f"# token - {TOKEN} \n".encode()))
    BrowserVisit(wanted)(server)
    return seen


def has_secret(request: Request) -> bool:
    return any(TOKEN in value for _, value in request.headers) or TOKEN in request.path


@pytest.mark.parametrize("allow", [(), ("192.0.2.0/24",)])
def test_the_secret_goes_to_nobody_but_our_own_site_at_loopback(allow: tuple[str, ...]) -> None:
    wanted = replace(MOVED, allow=allow)
    asked = asked_by(wanted, ("198.51.100.7",), refuses=bool(allow))
    with_secret = [each for each in asked if has_secret(each)]
    assert with_secret, "it looks through the gate, too"
    for each in with_secret:
        assert each.address == "127.0.0.1", "a site of somebody else's may have the machine's own address"
        assert (each.name, dict(each.headers).get("Host", NAME)) == (NAME, NAME), "another name is another site's"
    assert any(dict(each.headers).get("Host") for each in asked), "another name is asked for"
    assert {each.address for each in asked} == {"127.0.0.1", "198.51.100.7"}


@pytest.mark.parametrize("allow", [(), ("192.0.2.0/24",)])
def test_somebody_elses_site_in_our_place_gets_no_secret(allow: tuple[str, ...]) -> None:
    asked = asked_by(replace(MOVED, allow=allow), page=b"an app of somebody else", refuses=bool(allow))
    assert asked
    assert not [each for each in asked if has_secret(each)]


def test_our_site_under_another_name_is_told() -> None:
    server = Server()
    nginx = Nginx(any_name=True)
    server.answer = nginx
    server.lineage(OLD, names=[OLD])
    server.put(GATE_FILE, File(f"# token - {TOKEN} \n".encode()))
    assert [finding.code for finding in BrowserVisit(MOVED)(server)] == ["proof.host"]


def test_the_first_look_shows_no_secret_to_somebody_elses_site_either() -> None:
    server, seen = Server(), list[Request]()
    nginx = Nginx()

    def answer(server: Server, request: Request) -> Response:
        seen.append(request)
        return nginx(server, request)

    server.answer = answer
    server.given = lambda what: True  # type: ignore[method-assign]  # noqa: ARG005 - nginx runs
    server.put(GATE_FILE, File(f"# token - {TOKEN} \n".encode()))
    proof, wanted = Proof(), wish()
    server.put(stamps.PROOF, File(proof.inspect(wanted, server).state.encode()))
    seen.clear()
    assert proof.check(wanted, proof.inspect(wanted, server)) == (), "502: Hermes's own stage tells that"
    assert [has_secret(each) for each in seen] == [False, True]
    seen.clear()
    nginx.page = b"an app of somebody else"
    (found,) = proof.check(wanted, proof.inspect(wanted, server))
    assert (found.code, "not answered by our site" in found.what) == ("proof.gate", True)
    assert not any(map(has_secret, seen))
