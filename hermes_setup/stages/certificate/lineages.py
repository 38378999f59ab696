"""certbot's lineages: its renewal files and live links (storage.py), and which of them is ours."""

from __future__ import annotations

import re

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import LETSENCRYPT
from hermes_setup.host import File, Folder, Host
from hermes_setup.nginx import tree
from hermes_setup.stages.certificate.x509 import X509, public_key, read
from hermes_setup.values import dataclass

FOLDER = "/etc/letsencrypt"
WEBROOT = "/var/www/letsencrypt"
CHALLENGES = f"{WEBROOT}/.well-known/acme-challenge"


@dataclass(frozen=True)
class Lineage:
    """A certificate that certbot keeps renewed, as its renewal file says."""

    name: str
    server: str
    authenticator: str
    webroots: dict[str, str]  # by name; "" is the path for names without one of their own
    fullchain: str
    key: str

    def webroot(self, domain: Domain) -> str:
        """Where certbot puts the challenge's answer for that name."""
        return self.webroots.get(domain.ascii) or self.webroots.get("", "")


def parse_renewal(name: str, text: str) -> Lineage | None:
    """A renewal file, as certbot writes it with ConfigObj; None when it is incomplete, as after a power cut."""
    values: dict[str, str] = {}
    webroots: dict[str, str] = {}
    section = ""
    for line in text.splitlines():
        if match := re.match(r"\s*\[+([^\]]*)\]+", line):
            section = match.group(1)
        elif match := re.match(r"\s*([^#=\s][^=]*?)\s*=\s*(.*?)\s*$", line):
            key, value = match.groups()
            if section == "webroot_map":
                webroots[key.strip("\"'")] = value.strip("\"'")
            else:
                values[key] = value.strip("\"'")
    if path := values.get("webroot_path", "").split(",")[0].strip(" \"'"):
        webroots.setdefault("", path)
    if not values.get("fullchain") or not values.get("privkey"):
        return None
    # before 1.7 or so the file names no server when it is Let's Encrypt's
    server = values.get("server") or LETSENCRYPT
    return Lineage(name, server, values.get("authenticator", ""), webroots, values["fullchain"], values["privkey"])


def for_domain(host: Host, domain: Domain) -> tuple[Lineage, ...]:
    """The lineages that could be for that name: called like it, or naming it."""
    found = []
    for file in host.names(f"{FOLDER}/renewal"):
        if not file.endswith(".conf"):
            continue
        node = host.look(f"{FOLDER}/renewal/{file}")
        text = node.content.decode(errors="replace") if isinstance(node, File) else ""
        name = file.removesuffix(".conf")
        if (name.startswith(domain.ascii) or domain.ascii in text) and (lineage := parse_renewal(name, text)):
            found.append(lineage)
    return tuple(found)


def damaged(host: Host, domain: Domain) -> tuple[str, ...]:
    """Lineages called after that name which certbot cannot use: an incomplete renewal file, or one whose certificate is missing.

    certbot skips them (storage.py, CertStorageError), with a complaint at every renewal.
    """
    found = []
    for file in host.names(f"{FOLDER}/renewal"):
        name = file.removesuffix(".conf")
        if file.endswith(".conf") and re.fullmatch(rf"{re.escape(domain.ascii)}(-hermes)?(-\d+)?", name):
            node = host.look(f"{FOLDER}/renewal/{file}")
            lineage = parse_renewal(name, node.content.decode(errors="replace")) if isinstance(node, File) else None
            complete = lineage and all(
                isinstance(node := tree.follow_links(host, path), File) and node.content.strip(b"\0 \n")
                for path in (lineage.fullchain, lineage.key)
            )
            if not complete or (lineage and not public_key(host, lineage.key)):
                found.append(name)
    return tuple(found)


def only_ours(answers: Answers, found: X509) -> bool:
    """True for a certificate that only this site uses: for the domain, and for no name that was never ours."""
    ours = {*(name.ascii for name in answers.names), *answers.former_names}
    return answers.domain.ascii in found.names and set(found.names) <= ours


def unneeded_names(answers: Answers, found: X509) -> tuple[str, ...]:
    """Former names of ours in a certificate of ours that no one needs any more: one day certbot cannot renew them."""
    needed = {name.ascii for name in answers.redirects}
    if not only_ours(answers, found):
        return ()
    return tuple(name for name in answers.former_names if name in found.names and name not in needed)


def cert_name(host: Host, answers: Answers) -> str:
    """The name (--cert-name) for a new or replaced lineage.

    A lineage that covers more names than ours is someone else's, and is left alone. A live or archive folder without a renewal file is in certbot's way (storage.py: "live directory exists for"), so
    such a name is not taken either.
    """
    domain = answers.domain
    for name in (domain.ascii, f"{domain}-hermes", *(f"{domain}-hermes-{number}" for number in range(2, 100))):
        node = host.look(f"{FOLDER}/renewal/{name}.conf")
        if isinstance(node, File):
            lineage = parse_renewal(name, node.content.decode(errors="replace"))
            found = read(host, lineage.fullchain) if lineage else None
            # certbot reads the old key, too, before it asks for anything, and fails on one that it cannot read
            if lineage and found and only_ours(answers, found) and public_key(host, lineage.key):
                return name
        elif not any(isinstance(host.look(f"{FOLDER}/{part}/{name}"), Folder) for part in ("live", "archive")):
            return name
    return f"{domain}-hermes"
