"""The proof of redirected domains: they redirect to the domain, and take webhooks while those are paths of the domain."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from certificates import NAME, Server
from certificates import answers as wish
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.webhook_platforms import parse_endpoints
from hermes_setup.answers.webhooks import Webhooks
from hermes_setup.host import File, Request, Response
from hermes_setup.stages.proof import SIGN_IN, BrowserVisit
from hermes_setup.stages.users.cookies import GATE_FILE
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
        if webhook or "Host" in dict(request.headers):
            return Response(404)
        if request.path == SIGN_IN:
            return Response(403, body=self.told)
        if self.dialog and dict(request.headers).get("Sec-Fetch-Mode"):
            return Response(401, (("WWW-Authenticate", "Basic"),))
        if TOKEN not in dict(request.headers).get("Cookie", ""):
            return Response(401, body=f"<form action={SIGN_IN}>".encode())
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
