"""The steps of a run, read downwards."""

from __future__ import annotations

from collections.abc import Collection

from hermes_setup.engine.stage import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hermes_setup.nginx.render import Renderer


def all_steps(renderer: Renderer | None = None, *, lockout: bool = False, quick_dns: bool = False) -> tuple[Step, ...]:
    """All steps, in the order in which they are done.

    What can be seen without touching anything is checked for all of them first. The site stands in it twice: plain HTTP
    while there is no certificate, HTTPS once there is one. `renderer` fills in the templates; `lockout` lets the allowed
    addresses leave out the one that this ssh session comes from; `quick_dns`: no search for DNS faults where nothing is
    to be done.
    """
    from hermes_setup.stages.addresses.stage import Addresses
    from hermes_setup.stages.certificate.stage import Certificate
    from hermes_setup.stages.dns.stage import Dns
    from hermes_setup.stages.firewall.stage import Firewall
    from hermes_setup.stages.hermes.stage import Hermes
    from hermes_setup.stages.hermes.upstream import Upstream
    from hermes_setup.stages.local_users.stage import LocalUsers
    from hermes_setup.stages.outside import Outside
    from hermes_setup.stages.packages import Packages
    from hermes_setup.stages.ports import Ports
    from hermes_setup.stages.proof import Proof
    from hermes_setup.stages.renewal.stage import Renewal
    from hermes_setup.stages.site.stage import Site
    from hermes_setup.stages.users.stage import Users
    from hermes_setup.stages.webhooks import Webhooks

    site = Site(renderer)
    return (
        Step("backend", "Hermes", Hermes(renderer)),
        Step("dns", "DNS records", Dns(quick=quick_dns)),
        Step("addresses", "Allowed addresses", Addresses(lockout=lockout)),
        Step("webhooks", "Webhooks", Webhooks()),
        Step("ports", "Ports 80 and 443", Ports()),
        Step("firewall", "Firewall", Firewall()),
        Step("packages", "Packages", Packages()),
        Step("local-users", "Other users of this server", LocalUsers(renderer)),
        Step("users", "Users", Users(renderer)),
        Step("site-http", "Site over HTTP", site),
        Step("outside", "Look from outside", Outside()),
        Step("certificate", "Certificate", Certificate()),
        Step("upstream", "Upstream", Upstream()),
        Step("site-https", "Site over HTTPS", site),
        Step("renewal", "Renewal", Renewal()),
        Step("proof", "Proof", Proof()),
    )


def for_users(renderer: Renderer | None = None, *, end_connections: bool = False) -> tuple[Step, ...]:
    """What a change of users needs; nobody wants to wait for DNS, or be stopped by it, to remove one.

    `end_connections`: once the site holds, and before it is proved to work, the connections from before end, too.
    """
    steps = _only({"users", "site-https", "proof"}, all_steps(renderer))
    if not end_connections:
        return steps
    from hermes_setup.stages.connections import Connections

    return (*steps[:-1], Step("connections", "Open connections", Connections()), *steps[-1:])


def for_addresses(renderer: Renderer | None = None, *, lockout: bool = False) -> tuple[Step, ...]:
    """What a change of the allowed addresses needs; "users" brings the token with which the proof looks from here."""
    return _only({"users", "addresses", "site-https", "proof"}, all_steps(renderer, lockout=lockout))


def for_undo(*, before: bool, names_stay: bool, lockout: bool = False) -> tuple[Step, ...]:
    """What is looked at after an undo, where something was set up `before` the run that it puts back.

    `names_stay`: the certificate is for the same names as now, and need not be looked at.
    """
    if not before:
        return ()
    from hermes_setup.stages.site.existing import ExistingSite

    names = {"addresses", "site-https", "proof"} | (set() if names_stay else {"certificate", "renewal"})
    return tuple(
        Step(step.name, step.title, ExistingSite()) if step.name == "site-https" else step
        for step in _only(names, all_steps(lockout=lockout))
    )


def _only(names: Collection[str], steps: tuple[Step, ...]) -> tuple[Step, ...]:
    return tuple(step for step in steps if step.name in names)
