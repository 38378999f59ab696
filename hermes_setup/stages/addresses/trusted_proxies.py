"""Which proxies nginx takes a visitor's address from: Cloudflare's, while the name points there.

nginx compares the address of the connection, which behind a proxy is the proxy's own (docs: ngx_http_realip_module,
CF-Connecting-IP). While DNS does not answer, all stays as it was: a list that
forgets its proxy for a moment turns everyone away.
"""

from __future__ import annotations

import re

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.host import Host
from hermes_setup.stages.addresses.lists import webhooks_domain
from hermes_setup.stages.dns import cloudflare, records


def for_dashboard(answers: Answers, host: Host, site: str) -> tuple[str, ...]:
    """The networks for the dashboard's server block. `site`: its text now.

    Also where there is no list: guesses at passwords are counted, and logged, by the visitor's address.
    """
    return _networks(answers.domain, host, site)


def for_webhooks(answers: Answers, host: Host, site: str) -> tuple[str, ...]:
    """The same for the server block of the webhooks' own name; () where they have none, or no list."""
    domain = webhooks_domain(answers)
    return _networks(domain, host, site) if domain and domain != answers.domain else ()


def _networks(name: Domain, host: Host, site: str) -> tuple[str, ...]:
    proxied = records.of(host, [name.ascii])[name.ascii].cloudflare
    servers = (text for text in re.split(r"^server \{", site, flags=re.M) if f'($host != "{name}")' in text)
    trusted = any("set_real_ip_from" in text for text in servers) if proxied is None else bool(proxied)
    return tuple(map(str, cloudflare.networks())) if trusted else ()
