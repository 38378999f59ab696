"""Where the site serves webhooks: the platforms' locations, on paths of the domain or under a name of their own."""

from __future__ import annotations

import re

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.backend import Backend
from hermes_setup.answers.webhooks import Webhooks
from hermes_setup.host import Host
from hermes_setup.nginx import tree
from hermes_setup.stages.site.facts import Facts, WebhooksPlace
from hermes_setup.values import dataclass, replace


@dataclass(frozen=True)
class Location:
    """What lets a platform's senders in: where nginx looks for the path, and how the request line has to start."""

    title: str
    match: str
    line: str
    methods: str
    upstream: str


def locations(webhooks: Webhooks, backend: Backend) -> list[Location]:
    """The locations of the platforms. The gateway listens where the dashboard does, or on this machine's 127.0.0.1.

    nginx matches the path as it reads it: decoded, without // and .. (ngx_http_parse_complex_uri). What is passed on is the
    request line as it came, so that has to be the very path, too.
    """
    address = "127.0.0.1" if backend.local else str(replace(backend, port=0)).removesuffix(":0")
    found = []
    for endpoint in webhooks.endpoints:
        platform, upstream = endpoint.platform, f"{address}:{endpoint.port}"
        plain = re.escape(platform.path)
        pattern = platform.pattern or plain
        match = f'~ "^{pattern}$"' if platform.pattern else f"= {platform.path}"
        methods = "GET POST" if platform.sends_get else "POST"
        found.append(Location(platform.title, match, f"^{pattern}(?:[?]|$)", methods, upstream))
        if platform.media:
            title = f"{platform.title}: what Hermes sends"
            found.append(Location(title, f'~ "^{platform.media}$"', f"^{platform.media}(?:[?]|$)", "GET", upstream))
    return found


def place(answers: Answers, facts: Facts) -> WebhooksPlace | None:
    """Where the site is to serve the webhooks over HTTPS; None for nowhere: there are none, or not yet."""
    webhooks, served = answers.webhooks, facts.served
    if webhooks is None or served is None:
        return None
    if webhooks.host is None:
        return WebhooksPlace()
    if facts.certificate_covers(webhooks.host):
        return WebhooksPlace(webhooks.host.ascii, served.certificate, served.key)
    return unchanged_place(answers, facts)


def unchanged_place(answers: Answers, facts: Facts) -> WebhooksPlace | None:
    """Where webhooks are still served while their new name waits for its certificate; None when nothing waits."""
    host, now = answers.webhooks.host if answers.webhooks else None, facts.webhooks_now
    if host is None or facts.served is None or facts.certificate_covers(host) or now is None:
        return None
    taken = {each.ascii for each in (answers.domain, *answers.redirects)}
    return None if now.host in taken else now


def place_now(host: Host, text: str) -> WebhooksPlace | None:
    """Where that text of our site serves webhooks over HTTPS; None for nowhere, or when their certificate is missing."""
    own = re.search(
        r'^# The webhooks\' own name.*?\$host != "([^"]+)".*?^ *ssl_certificate (\S+);\n *ssl_certificate_key (\S+);',
        text,
        re.M | re.S,
    )
    if own is None:
        return WebhooksPlace() if "limit_req zone=hermes_hooks" in text else None
    name, *pair = own.groups()
    return WebhooksPlace(name, *pair) if all(tree.file_at(host, path) for path in pair) else None
