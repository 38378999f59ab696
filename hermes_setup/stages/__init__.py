"""The order of the story, read downwards."""

from __future__ import annotations

from typing import Any

from hermes_setup.engine.stage import Stage


def story(*, glance: bool = False) -> tuple[Stage[Any], ...]:
    """All stages, in the order in which they are done. `glance`: no search for faults where nothing is to be done.

    What can be seen without touching anything is checked for all of them first. `Site` stands in it twice: plain HTTP
    while there is no certificate, HTTPS once there is one.
    """
    from hermes_setup.stages.addresses.stage import Addresses
    from hermes_setup.stages.certificate.stage import Certificate
    from hermes_setup.stages.dns.stage import Dns
    from hermes_setup.stages.firewall.stage import Firewall
    from hermes_setup.stages.hermes.stage import Backend
    from hermes_setup.stages.outside import Outside
    from hermes_setup.stages.packages import Packages
    from hermes_setup.stages.ports import Ports
    from hermes_setup.stages.proof import Proof
    from hermes_setup.stages.renewal.stage import Renewal
    from hermes_setup.stages.site.stage import Site
    from hermes_setup.stages.users.stage import Users
    from hermes_setup.stages.webhooks import Webhooks

    return (
        Backend(),
        Dns(glance=glance),
        Addresses(),
        Webhooks(),
        Ports(),
        Firewall(),
        Packages(),
        Users(),
        Site("site-http", "Site over HTTP"),
        Outside(),
        Certificate(),
        Site("site-https", "Site over HTTPS"),
        Renewal(),
        Proof(),
    )
