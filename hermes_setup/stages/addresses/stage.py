"""The addresses that may open the dashboard, or send webhooks. The lists are part of the site; here they are checked.

Three things make a list a trap: it leaves out the person who is making it, nginx does not see the visitor's own address,
or the visitor connects over the other family. The webhooks' list is checked for the name under which they are served.
Without a list one thing still matters: that nobody can choose the address by which guesses are counted.
"""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.engine.changes import Change
from hermes_setup.engine.findings import Finding
from hermes_setup.host import File, Host
from hermes_setup.nginx import tree
from hermes_setup.stages.addresses import findings, ssh
from hermes_setup.stages.addresses.lists import AllowList, allowed_in, webhooks_domain
from hermes_setup.stages.addresses.ssh import SshSession
from hermes_setup.stages.dns import records
from hermes_setup.stages.dns.records import NameRecords
from hermes_setup.stages.site.facts import SITE_FILE
from hermes_setup.values import dataclass


@dataclass(frozen=True)
class Facts:
    """What decides whether the lists do what they are meant to."""

    session: SshSession | None
    current: tuple[str, ...]  # the dashboard's list in the site that is there now
    cloudflare: tuple[str, ...]  # the name's addresses that are Cloudflare's
    ipv6: tuple[str, ...]  # the name's IPv6 addresses
    trusted_proxies: tuple[str, ...]  # from which nginx takes a visitor's address, in all sites
    behind_balancer: str  # a file whose server block gets addresses from a load balancer (proxy_protocol), "" for none
    webhooks_cloudflare: tuple[str, ...] = ()  # of the name under which the webhooks are served, where they have a list
    webhooks_ipv6: tuple[str, ...] = ()


NOTHING = Facts(None, (), (), (), (), "")


class Addresses:
    """See the module. `lockout`: the list may leave out the address that this ssh session comes from."""

    def __init__(self, *, lockout: bool = False) -> None:
        self._lockout = lockout

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Reads nginx's files; asks DNS only where there is a list, or nginx believes everyone about their address."""
        webhooks = webhooks_domain(answers)
        config = tree.read(host)
        about_visitors = bool(answers.allow) or findings.believes_everyone(config.real_ip) != ""
        if not about_visitors and not webhooks:
            return NOTHING
        site = host.look(SITE_FILE)
        balanced = (
            server.path
            for server in config.servers
            for listen in server.listens
            if not server.ours and listen.port == 443 and "proxy_protocol" in listen.options
        )
        listed = [domain.ascii for domain in (answers.domain if about_visitors else None, webhooks) if domain]
        found = records.of(host, listed)
        own = found[answers.domain.ascii] if about_visitors else NameRecords()
        of_webhooks = found[webhooks.ascii] if webhooks else NameRecords()
        return Facts(
            session=ssh.find(host) if answers.allow else None,
            current=allowed_in(site.content.decode("utf-8", "surrogateescape") if isinstance(site, File) else ""),
            cloudflare=own.cloudflare or (),
            ipv6=own.aaaa.values,
            trusted_proxies=config.real_ip,
            behind_balancer=next(balanced, ""),
            webhooks_cloudflare=of_webhooks.cloudflare or (),
            webhooks_ipv6=of_webhooks.aaaa.values,
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """The lists turn no one away by accident, and let no one in by a forged address."""
        lists = _lists(answers, facts)
        found: list[Finding] = []
        if answers.allow:
            in_effect = facts.current == answers.allow
            found += findings.session_left_out(answers.allow, facts.session, allowed=self._lockout or in_effect)
        for number, each in enumerate(lists):
            # What holds for all of nginx, or for a name that two lists share, is said once.
            if all(each.name != other.name for other in lists[:number]):
                known = {(finding.code, finding.what) for finding in found}
                of_proxies = findings.proxies(each, facts.trusted_proxies, facts.behind_balancer)
                found += [finding for finding in of_proxies if (finding.code, finding.what) not in known]
        if not answers.allow and not facts.cloudflare and all(each.code != "addresses.spoofable" for each in found):
            found += findings.guesses_not_counted(facts.trusted_proxies)
        for each in lists:
            found += [*findings.everyone_allowed(each), *findings.one_family_only(each)]
        return [*found, *findings.single_ipv6(answers.allow)]

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:  # noqa: ARG002 - a stage's shape
        """Nothing: the list is part of the site."""
        return ()


def _lists(answers: Answers, facts: Facts) -> list[AllowList]:
    found = [AllowList(answers.allow, answers.domain, facts.cloudflare, facts.ipv6)] if answers.allow else []
    domain = webhooks_domain(answers)
    if answers.webhooks and domain:
        allow = answers.webhooks.allow
        found.append(AllowList(allow, domain, facts.webhooks_cloudflare, facts.webhooks_ipv6, of_webhooks=True))
    return found
