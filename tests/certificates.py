"""A server in memory with certificates on it: what openssl would say of them, and certbot's own files, as it writes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import LETSENCRYPT, Issuer
from hermes_setup.answers.user import User
from hermes_setup.errors import CommandFailed
from hermes_setup.host import File, Folder, Link, Ran, Records, Request, Response
from hermes_setup.nginx import tree
from hermes_setup.stages.certificate import lineages, rate_limits
from hermes_setup.system.overlay import Overlay
from machines import Machine

NAME = "hermes.example.com"
LIVE = f"{lineages.FOLDER}/live/{NAME}"
NOW = Overlay(Machine()).now()
LEAF = """notBefore={start:%b %d %H:%M:%S %Y} GMT
notAfter={end:%b %d %H:%M:%S %Y} GMT
serial=04A1
issuer=C = US, O = Let's Encrypt, CN = E7
sha256 Fingerprint=AB:{print}
-----BEGIN PUBLIC KEY-----
{key}
-----END PUBLIC KEY-----
X509v3 Subject Alternative Name:
    {names}
"""


def answers(certificate: str = "letsencrypt", domain: str = NAME, email: str = "") -> Answers:
    return Answers(Domain.parse(domain), Issuer.parse(certificate), (User("alice"),), email=email)


class Server(Machine):
    """`trusted` certificates are those whose key starts with "real". certbot does what `certbot` says."""

    def __init__(self, certbot_does: Callable[[Server, Sequence[str]], None] | None = None) -> None:
        super().__init__({"/usr/bin/certbot": certbot_does} if certbot_does else {})  # type: ignore[dict-item]
        self.put("/usr/bin/certbot", File(b"#!/usr/bin/python3\n", 0o755))
        self.asked: list[tuple[str, ...]] = []
        self.units = ""
        self.world: dict[tuple[str, str], tuple[str, ...]] = {}
        self.answer: Callable[[Server, Request], Response] = lambda _server, _request: Response(0, error="timeout")

    def pair(
        self, folder: str, names: Sequence[str] = (NAME,), left: float = 0.8, key: str = "real", days: int = 90
    ) -> None:
        """A certificate of that lifetime with that share of it left, and its key."""
        end = NOW + timedelta(days=days * left)
        told = {
            "names": list(names),
            "start": (end - timedelta(days=days)).isoformat(),
            "end": end.isoformat(),
            "key": key,
        }
        self.put(f"{folder}/fullchain.pem", File(json.dumps(told).encode()))
        self.put(f"{folder}/privkey.pem", File(key.encode(), 0o600))

    def lineage(
        self, name: str = NAME, *, server: str = LETSENCRYPT, webroot: str = lineages.WEBROOT, **pair: Any
    ) -> None:
        """As certbot 2.1 leaves it: archive, live links, renewal file."""
        self.pair(f"{lineages.FOLDER}/archive/{name}/1", **pair)
        self.put(f"{lineages.FOLDER}/live/{name}", Folder())
        for part in ("fullchain", "privkey"):
            self.put(f"{lineages.FOLDER}/live/{name}/{part}.pem", Link(f"../../archive/{name}/1/{part}.pem"))
        self.renewal(name, server, webroot, pair.get("names", (NAME,)))

    def renewal(
        self,
        name: str = NAME,
        server: str = LETSENCRYPT,
        webroot: str = lineages.WEBROOT,
        names: Sequence[str] = (NAME,),
    ) -> None:
        way = (
            f"authenticator = webroot\nwebroot_path = {webroot},"
            if webroot
            else "authenticator = nginx\ninstaller = nginx"
        )
        live = f"{lineages.FOLDER}/live/{name}"
        webroots = "\n".join(f"{each} = {webroot}" for each in names if webroot)
        self.put(
            f"{lineages.FOLDER}/renewal/{name}.conf",
            File(
                f"# renew_before_expiry = 30 days\nversion = 2.1.0\narchive_dir = {lineages.FOLDER}/archive/{name}\n"
                f"cert = {live}/cert.pem\nprivkey = {live}/privkey.pem\nchain = {live}/chain.pem\n"
                f"fullchain = {live}/fullchain.pem\n\n# Options used in the renewal process\n[renewalparams]\n"
                f"account = 0123\n{way}\nserver = {server}\nkey_type = ecdsa\n[[webroot_map]]\n"
                f"{webroots}\n".encode()
            ),
        )

    def log(self, text: str, number: int = 0, server: str = LETSENCRYPT, ago: timedelta = timedelta(minutes=9)) -> None:
        """A log of certbot's, of a run that asked that CA for NAME."""
        self.put(f"{rate_limits.LOG}.{number}" if number else rate_limits.LOG, File(ran(text, server, ago).encode()))

    def ask(self, argv: Sequence[str], *, seconds: float = 4.0) -> Ran:  # noqa: ARG002
        self.asked.append(tuple(argv))
        if argv[:2] == ["systemctl", "show"]:
            return Ran(0, self.units, "")
        if argv[0] != "openssl" or argv[1] == "version":
            return Ran(127, "", "")
        node = tree.follow_links(self, argv[-1] if argv[1] == "verify" else argv[3])
        content = node.content.decode(errors="replace") if isinstance(node, File) else ""
        if argv[1] == "pkey":
            if content.startswith("garbage"):
                return Ran(1, "", "Could not find private key")
            return Ran(0, f"-----BEGIN PUBLIC KEY-----\n{content}\n-----END PUBLIC KEY-----\n", "")
        try:
            told = json.loads(content)
        except ValueError:
            return Ran(1, "", "Could not read certificate")
        if argv[1] == "verify":
            return Ran(0 if told["key"].startswith("real") else 2, "", "")
        start, end = (datetime.fromisoformat(told[each]) for each in ("start", "end"))
        names = ", ".join(f"DNS:{name}" for name in told["names"])
        return Ran(0, LEAF.format(start=start, end=end, print=told["key"].upper(), key=told["key"], names=names), "")

    def dns(self, name: str, kind: str, *, server: str = "", seconds: float = 3.0) -> Records:  # noqa: ARG002
        return Records("ok", self.world.get((name, kind), ()))

    def fetch(self, request: Request) -> Response:
        return self.answer(self, request)


def ran(text: str, server: str = LETSENCRYPT, ago: timedelta = timedelta(minutes=9)) -> str:
    """One run of certbot's for NAME in its log. A dry run is given the real server, and asks the staging one."""
    main, client = "2026-11-23 12:00:00,001:DEBUG:certbot._internal.main:", "2026-11-23 12:00:00,002:DEBUG:acme.client:"
    return (
        f"{main}certbot version: 4.0.0\n{main}Arguments: ['-d', '{NAME}', '--server', '{LETSENCRYPT}']\n"
        f"{client}Sending GET request to {server}.\n"
        f"HTTP 200\nDate: {NOW - ago:%a, %d %b %Y %H:%M:%S} GMT\n\n{text}\n"
    )


def refuse(output: str, code: int = 1) -> Callable[[Server, Sequence[str]], None]:
    """A certbot that fails with those words."""

    def certbot_does(_server: Server, argv: Sequence[str]) -> None:
        raise CommandFailed(f"{' '.join(argv)} failed with status {code}.", output=output, code=code)

    return certbot_does
