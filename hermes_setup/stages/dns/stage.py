"""Each name points to this server: its A and AAAA records, past every cache, against this server's addresses; and CAA.

`queries/` says what is asked of whom and asks it; `findings/` says what comes of it, a file for each subject.

Rules from Let's Encrypt's documentation (docs/ipv6.md, docs/caa.md): AAAA is tried first, and A only when connecting
over IPv6 times out; the nearest CAA set decides, and one that cannot be looked up refuses.
"""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.engine.changes import Change
from hermes_setup.engine.findings import Finding
from hermes_setup.host import Absent, Host
from hermes_setup.parallel import in_parallel
from hermes_setup.stages.dns import quick as quick_look
from hermes_setup.stages.dns.facts import Facts
from hermes_setup.stages.dns.findings import caa, failed_lookups, missing, propagation, wrong_address
from hermes_setup.stages.dns.findings.name_check import NameCheck
from hermes_setup.stages.dns.issuer import issuer_kind
from hermes_setup.stages.dns.own_addresses import own_addresses
from hermes_setup.stages.dns.queries import DEADLINE, QUICK


class Dns:
    """See the module."""

    def __init__(self, seconds: float = DEADLINE, *, quick: bool = False) -> None:
        """`quick`: ask only this machine's resolver where nothing else could need anything done (see `quick`)."""
        self._seconds = seconds
        self._quick = quick

    def inspect(self, answers: Answers, host: Host) -> tuple[Facts, ...]:
        """All that can be learned in the time, for each name; what could not be learned, the facts say."""
        if self._quick and (found := quick_look.facts_if_all_is_well(answers, host)):
            return found
        return in_parallel(lambda name: self._facts(answers.about(name), host), answers.names)

    def _facts(self, answers: Answers, host: Host) -> Facts:
        from hermes_setup.stages.dns.queries.plan import QueryPlan  # the quick look needs neither
        from hermes_setup.stages.dns.queries.run import ask_all

        name, issuer = answers.domain.ascii, issuer_kind(answers)
        plan = QueryPlan(name, issuer, own_addresses(host), bool(answers.public_addresses), {})
        seconds = min(self._seconds, QUICK) if issuer == "self-signed" else self._seconds
        plan = ask_all(host, plan, seconds)
        return plan.facts(not isinstance(host.look(f"/etc/letsencrypt/live/{name}/fullchain.pem"), Absent))

    def check(self, answers: Answers, facts: tuple[Facts, ...]) -> Sequence[Finding]:
        """Each name points to this server over every family it has records for, and the CA may sign for it."""
        return [
            finding
            for name, of_name in zip(answers.names, facts, strict=True)
            for finding in findings(NameCheck(answers.about(name), of_name))
        ]

    def plan(self, answers: Answers, facts: tuple[Facts, ...]) -> Sequence[Change]:  # noqa: ARG002 - records are set elsewhere
        """Nothing: records are set at the DNS provider."""
        return ()


def findings(check: NameCheck) -> tuple[Finding, ...]:
    """In the order in which one would fix them."""
    if not check.facts.asked:
        return (missing.missing(check),) if check.issuer != "self-signed" else ()
    if failed := failed_lookups.not_answered(check):
        return failed
    if not check.addresses:
        return (missing.missing(check), *caa.not_permitted(check))
    wrong = wrong_address.wrong_addresses(check)
    partly = failed_lookups.one_family_not_answered(check)
    unpropagated = () if wrong else (*propagation.servers_disagree(check), *propagation.outdated_cache(check))
    return (*wrong, *partly, *failed_lookups.dnssec_broken(check), *unpropagated, *caa.not_permitted(check))
