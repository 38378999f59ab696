"""The other sites of this nginx: what of them is in our way, and which of them opens Hermes without a password."""

from __future__ import annotations

from hermes_setup.engine.findings import Finding, block, warn
from hermes_setup.host import Link
from hermes_setup.nginx import tree
from hermes_setup.stages.site.facts import Facts


def no_folder(facts: Facts) -> list[Finding]:
    """nginx reads a folder for sites."""
    if facts.config.sites_folder:
        return []
    return [
        block(
            "site.no-folder",
            f"{tree.CONF} includes neither sites-enabled/* nor conf.d/*.conf.",
            "nginx would never read the site.",
            f"Add to its http block: include {tree.FOLDER}/sites-enabled/*; then run hermes-setup again.",
            facts.config.problem,
        )
    ]


def streams_on_our_ports(facts: Facts) -> list[Finding]:
    """No stream block has a port of ours."""
    return [
        block(
            "site.stream",
            f"A stream block of nginx has port {listen.port}: {server.path}, line {server.line}.",
            "nginx can't use the same port for websites, too: it would not start again.",
            f"If you don't need it, remove it: sudo nano +{server.line} {server.path} ; then: sudo nginx -t && "
            "sudo nginx -s reload ; then run hermes-setup again.",
        )
        for server in facts.config.streams
        for listen in server.listens
        if listen.port in (80, 443) and "udp" not in listen.options
    ]


CANNOT_BE_UNSET = {
    "access_by_lua": "decides who is let in",
    "access_by_lua_block": "decides who is let in",
    "access_by_lua_file": "decides who is let in",
    "auth_jwt": "asks for a token",
    "body_filter_by_lua": "changes answers",
    "body_filter_by_lua_block": "changes answers",
    "body_filter_by_lua_file": "changes answers",
    "header_filter_by_lua": "changes answers",
    "header_filter_by_lua_block": "changes answers",
    "header_filter_by_lua_file": "changes answers",
    "js_body_filter": "changes answers",
    "js_header_filter": "changes answers",
    "post_action": "asks for something else after each request, also in the log",
    "proxy_set_body": "changes what is sent to Hermes",
    "rewrite_by_lua": "changes requests",
    "rewrite_by_lua_block": "changes requests",
    "rewrite_by_lua_file": "changes requests",
    "sub_filter": "changes pages",
    "testcookie": "shows a page of its own before each site",
}
"""Directives that a location inherits from the http block and that nothing switches off (nginx docs, each module's)."""


def handed_down(facts: Facts) -> list[Finding]:
    """The http block hands our site nothing down that it can't refuse."""
    return [
        warn(
            "site.inherits",
            f"nginx's http block says {name} for all its sites: it {CANNOT_BE_UNSET[name]}.",
            "Our site inherits that, and nothing in it can switch it off.",
            f"If a page or the chat does not work, move it into the site that needs it: sudo grep -rn {name} {tree.FOLDER}",
        )
        for name in sorted(facts.config.http & set(CANNOT_BE_UNSET))
    ]


def without_password(facts: Facts) -> list[Finding]:
    """No other site passes requests to Hermes without a password."""
    places = [f"{name}:{facts.backend.port}" for name in ("127.0.0.1", "localhost", "[::1]")]
    return [
        warn(
            "site.other-door",
            f"{path} passes requests to {facts.backend}, too, without asking for a password.",
            "Anyone who finds that site can use Hermes, and through it this server.",
            f"Remove it (sudo nano {path}), then: sudo nginx -t && sudo nginx -s reload",
        )
        for path, text in sorted(facts.config.files.items())
        if not text.startswith(tree.HEADER) and "auth_basic" not in text and any(place in text for place in places)
    ]


def examples_with_ipv6(facts: Facts) -> list[str]:
    """The link of the distribution's example site, where it is enabled and wants IPv6."""
    return [
        server.path
        for server in facts.config.servers
        if server.path == f"{tree.FOLDER}/sites-enabled/default"
        and server.names == ("_",)
        and any(listen.address.startswith("[") for listen in server.listens)
        and isinstance(facts.nodes.get(server.path), Link)
    ]
