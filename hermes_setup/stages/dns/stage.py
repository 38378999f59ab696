"""The name leads here: its A and AAAA records, past every cache, against this server's public addresses; and CAA.

Three parts. `Look` says, from the answers so far, which questions are still worth asking: a pure value, so that what
is asked is as easy to test as what is concluded. `ask_all` asks them side by side until nothing more is wanted or the
time is over. `Dns.check` reads the Facts that came of it.

Rules from Let's Encrypt's documentation (docs/ipv6.md, docs/caa.md): AAAA is tried first, and A only when connecting
over IPv6 times out; the nearest CAA set decides, and one that cannot be looked up refuses.
"""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.networks import is_public
from hermes_setup.engine.changes import Change
from hermes_setup.engine.findings import Finding
from hermes_setup.host import Absent, File, Host, Records
from hermes_setup.parallel import in_parallel
from hermes_setup.stages.certificate import serving
from hermes_setup.stages.dns.caa import caa
from hermes_setup.stages.dns.caches import inconsistent, stale
from hermes_setup.stages.dns.elsewhere import misdirected, missing
from hermes_setup.stages.dns.facts import Facts, Family
from hermes_setup.stages.dns.failures import bogus, half_answered, unanswered
from hermes_setup.stages.dns.lookup import DEADLINE, QUICK, Look, ask_all
from hermes_setup.stages.dns.names import canonical, ip_version
from hermes_setup.stages.dns.view import View, trust_of
from hermes_setup.state import stamps


def by_resolver_alone(answers: Answers, host: Host) -> tuple[Facts, ...]:
    """Every name's addresses as this machine's resolver gives them, all of them this server's; () where more is to be asked.

    More is asked where a CA is to be asked, now or soon: it looks past every cache, and for CAA. And where this server
    knows its own address only from others, and where the name stands in a file of this machine. A family that cannot be
    looked up counts as one without addresses. getent leaves no family out with -A (getent(1)); where it does not know that
    flag it refuses, and then more is asked, too.
    """
    here = tuple(canonical(address) or address for address in host.addresses())
    ours = {*(answers.public_addresses or (each for each in here if is_public(each)))}
    files = [host.look(path) for path in ("/etc/hosts", "/etc/hostname", "/proc/sys/kernel/hostname")]
    words = {
        word.lower()
        for file in files
        if isinstance(file, File)
        for word in file.content.decode(errors="replace").split()
    }
    if not ours or any(name.ascii in words for name in answers.names):
        return ()
    if not answers.issuer.self_signed:
        rehearsed = host.look(stamps.RENEWAL)
        if not isinstance(rehearsed, File) or not rehearsed.content or rehearsed.content.startswith(b"{"):  # it failed
            return ()
    found: list[Facts] = []
    for name in answers.names:
        # With the dot at its end it is nobody's suffix (resolv.conf(5), "search").
        said = host.ask(("getent", "-s", "dns", "-A", "ahosts", f"{name.ascii}."), seconds=QUICK)
        values = {each for line in said.out.splitlines() if line.strip() and (each := canonical(line.split()[0]))}
        if not said.ok or not values or not values <= ours:
            return ()
        families = [tuple(sorted(each for each in values if ip_version(each) == version)) for version in (4, 6)]
        a, aaaa = (Records("ok" if family else "nodata", family) for family in families)
        found.append(Facts(Family("A", own=a), Family("AAAA", own=aaaa), here=here, certificate=True))
    served, now = serving.certificate_for(answers, host), host.now()
    if (
        not served
        or not served.x509
        or served.x509.share_left(now) < 1 / 3
        or serving.reasons_to_replace(answers, served, now)
    ):
        return ()  # from a third on certbot asks the CA; where it still does, something keeps it from being heard
    return tuple(found)


class Dns:
    """See the module."""

    def __init__(self, seconds: float = DEADLINE, *, quick: bool = False) -> None:
        """`quick`: where no certificate is to be asked for, a look is enough that finds all names leading here."""
        self._seconds = seconds
        self._quick = quick

    def inspect(self, answers: Answers, host: Host) -> tuple[Facts, ...]:
        """All that can be learned in the time, for each name; what could not be learned, the facts say."""
        if self._quick and (seen := by_resolver_alone(answers, host)):
            return seen
        return in_parallel(lambda name: self._look(answers.about(name), host), answers.names)

    def _look(self, answers: Answers, host: Host) -> Facts:
        trust = trust_of(answers)
        here = tuple(canonical(address) or address for address in host.addresses())
        told = bool(answers.public_addresses)
        seconds = min(self._seconds, QUICK) if trust == "self-signed" else self._seconds
        look = ask_all(host, Look(answers.domain.ascii, trust, here, told, {}), seconds)
        live = f"/etc/letsencrypt/live/{answers.domain.ascii}/fullchain.pem"
        return look.facts(not isinstance(host.look(live), Absent))

    def check(self, answers: Answers, facts: tuple[Facts, ...]) -> Sequence[Finding]:
        """Each name leads to this server over every family it has records for, and the CA may sign for it."""
        return [
            finding
            for name, seen in zip(answers.names, facts, strict=True)
            for finding in findings(View(answers.about(name), seen))
        ]

    def plan(self, answers: Answers, facts: tuple[Facts, ...]) -> Sequence[Change]:  # noqa: ARG002 - records are set elsewhere
        """Nothing: records are set at the DNS provider."""
        return ()


def findings(view: View) -> tuple[Finding, ...]:
    """In the order in which one would mend them."""
    if not view.facts.asked:
        return (missing(view),) if view.trust != "self-signed" else ()
    if silent := unanswered(view):
        return silent
    if not view.values:
        return (missing(view), *caa(view))
    wrong = misdirected(view)
    rest = () if wrong else (*inconsistent(view), *stale(view))
    return (*wrong, *half_answered(view), *bogus(view), *rest, *caa(view))
