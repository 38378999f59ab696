"""Where the site serves webhooks: the platforms' locations, on paths of the domain or under a name of their own."""

from __future__ import annotations

import re

from hermes_setup.answers.answers import Answers, Webhooks
from hermes_setup.answers.fields import Backend
from hermes_setup.host import File, Host
from hermes_setup.nginx import tree
from hermes_setup.stages.site.facts import Facts, WebhooksNow
from hermes_setup.values import dataclass, replace


@dataclass(frozen=True)
class Location:
    """What lets a platform's senders in: where nginx looks for the path, and how the request line has to begin."""

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
    for hook in webhooks.endpoints:
        platform, upstream = hook.platform, f"{address}:{hook.port}"
        plain = re.escape(platform.path)
        pattern = platform.pattern or plain
        match = f'~ "^{pattern}$"' if platform.pattern else f"= {platform.path}"
        methods = "GET POST" if platform.sends_get else "POST"
        found.append(Location(platform.title, match, f"^{pattern}(?:[?]|$)", methods, upstream))
        if platform.media:
            title = f"{platform.title}: what Hermes sends"
            found.append(Location(title, f'~ "^{platform.media}$"', f"^{platform.media}(?:[?]|$)", "GET", upstream))
    return found


def served_at(answers: Answers, facts: Facts) -> WebhooksNow | None:
    """Where the site is to serve the webhooks over HTTPS; None for nowhere: there are none, or not yet."""
    hooks, served = answers.webhooks, facts.served
    if hooks is None or served is None:
        return None
    if hooks.host is None:
        return WebhooksNow()
    if facts.certified(hooks.host):
        return WebhooksNow(hooks.host.ascii, served.certificate, served.key)
    return served_as_before(answers, facts)


def served_as_before(answers: Answers, facts: Facts) -> WebhooksNow | None:
    """Where webhooks are served as before, while their new name waits for its certificate; None when nothing waits so."""
    host, now = answers.webhooks.host if answers.webhooks else None, facts.hooks_now
    if host is None or facts.served is None or facts.certified(host) or now is None:
        return None
    taken = {each.ascii for each in (answers.domain, *answers.redirects)}
    return None if now.host in taken else now


def served_now(host: Host, ours: str) -> WebhooksNow | None:
    """What our site's text says of webhooks that it serves over HTTPS; None for none, or when their certificate is gone."""
    own = re.search(
        r'^# The webhooks\' own name.*?\$host != "([^"]+)".*?^ *ssl_certificate (\S+);\n *ssl_certificate_key (\S+);',
        ours,
        re.M | re.S,
    )
    if own is None:
        return WebhooksNow() if "limit_req zone=hermes_hooks" in ours else None
    name, *pair = own.groups()
    there = all(isinstance(tree.follow_links(host, path), File) for path in pair)
    return WebhooksNow(name, *pair) if there else None
