"""The quick look: this machine's own resolver alone, where nothing but a fault that it shows could need anything done.

It is enough where no certificate is to be asked for, now or soon: a CA looks past every cache, and for CAA.
"""

from __future__ import annotations

from collections.abc import Collection

from hermes_setup.answers.allowed_addresses import is_public
from hermes_setup.answers.answers import Answers
from hermes_setup.host import File, Host, Records
from hermes_setup.stages.certificate import serving
from hermes_setup.stages.dns.facts import Facts, Family
from hermes_setup.stages.dns.names import ip_version, short_form
from hermes_setup.stages.dns.own_addresses import own_addresses
from hermes_setup.stages.dns.queries import QUICK
from hermes_setup.state import stamps


def facts_if_all_is_well(answers: Answers, host: Host) -> tuple[Facts, ...]:
    """Each name's addresses as this machine's resolver gives them, all of them this server's; () where more is to be asked.

    More is asked, too, where this server knows its own address only from others, and where a name is in a file of this
    machine. A family that cannot be looked up counts as one without addresses.
    """
    interfaces = own_addresses(host)
    ours = {*(answers.public_addresses or (address for address in interfaces if is_public(address)))}
    if not ours or _in_local_files(answers, host) or not (answers.issuer.self_signed or _rehearsed(host)):
        return ()
    found: list[Facts] = []
    for name in answers.names:
        addresses = _resolved(name.ascii, host)
        if not addresses or not addresses <= ours:
            return ()
        found.append(_facts(addresses, interfaces))
    return () if _certificate_due(answers, host) else tuple(found)


def _in_local_files(answers: Answers, host: Host) -> bool:
    """True when a name is in /etc/hosts, or is this machine's own: the resolver answers from there."""
    files = [host.look(path) for path in ("/etc/hosts", "/etc/hostname", "/proc/sys/kernel/hostname")]
    words = {
        word.lower()
        for file in files
        if isinstance(file, File)
        for word in file.content.decode(errors="replace").split()
    }
    return any(name.ascii in words for name in answers.names)


def _rehearsed(host: Host) -> bool:
    """True when the last rehearsal of the renewal went well (a failed one leaves JSON)."""
    stamp = host.look(stamps.RENEWAL)
    return isinstance(stamp, File) and bool(stamp.content) and not stamp.content.startswith(b"{")


def _resolved(name: str, host: Host) -> set[str]:
    """The name's addresses, by DNS alone.

    getent leaves no family out with -A (getent(1)); where it does not know that flag it refuses. With the dot at its end
    the name gets no suffix (resolv.conf(5), "search").
    """
    ran = host.ask(("getent", "-s", "dns", "-A", "ahosts", f"{name}."), seconds=QUICK)
    lines = ran.out.splitlines() if ran.ok else ()
    return {address for line in lines if line.strip() and (address := short_form(line.split()[0]))}


def _facts(addresses: Collection[str], interfaces: tuple[str, ...]) -> Facts:
    a, aaaa = (tuple(sorted(each for each in addresses if ip_version(each) == version)) for version in (4, 6))
    return Facts(
        Family("A", own=Records("ok" if a else "nodata", a)),
        Family("AAAA", own=Records("ok" if aaaa else "nodata", aaaa)),
        interfaces=interfaces,
        certificate=True,
    )


def _certificate_due(answers: Answers, host: Host) -> bool:
    """True when a CA is to be asked for one: from a third of its time on certbot does, and where it still has not, something kept it."""
    served, now = serving.certificate_for(answers, host), host.now()
    if not served or not served.x509 or served.x509.share_left(now) < 1 / 3:
        return True
    return bool(serving.reasons_to_replace(answers, served, now))
