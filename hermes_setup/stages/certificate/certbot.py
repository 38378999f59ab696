"""certbot itself: which one is used, and the command that asks for a certificate."""

from __future__ import annotations

from hermes_setup.answers.answers import Answers
from hermes_setup.host import Absent, Host
from hermes_setup.nginx import tree
from hermes_setup.stages.certificate.lineages import WEBROOT

BIN_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/snap/bin")


def binaries(host: Host) -> tuple[str, ...]:
    """The certbots of this machine, as the PATH has them.

    The same program under two names counts once (certbot's own instructions link /usr/bin/certbot to the snap's), a
    link to nowhere (the snap was removed) not at all.
    """
    found: dict[str, str] = {}
    for folder in BIN_FOLDERS:
        if tree.link_target(folder, host.look(folder)) not in BIN_FOLDERS:
            path = f"{folder}/certbot"
            end, node = tree.end_of_links(host, path)
            if not isinstance(node, Absent):
                found.setdefault(end, path)
    return tuple(found.values())


def binary(host: Host) -> str:
    """The certbot that is used: the first on the PATH."""
    return next(iter(binaries(host)), "certbot")


def certonly(answers: Answers, program: str, name: str, *more: str) -> tuple[str, ...]:
    """The command that asks for a certificate through the webroot. Every flag is known to certbot 1.21 and later."""
    contact = ("--email", answers.email, "--no-eff-email") if answers.email else ("--register-unsafely-without-email",)
    return (
        *(program, "certonly", "--webroot", "-w", WEBROOT),
        *(word for each in answers.names for word in ("-d", each.ascii)),
        *("--cert-name", name),
        *("--server", answers.issuer.directory, "--key-type", "ecdsa", "--non-interactive", "--agree-tos"),
        *contact,
        *more,
    )
