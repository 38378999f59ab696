"""Other sites on this server: who holds our ports, and who lets visitors to Hermes without a password."""

from __future__ import annotations

from hermes_setup.engine.findings import Finding, block, warn
from hermes_setup.host import Link
from hermes_setup.nginx import tree
from hermes_setup.stages.site.facts import Facts


def no_folder(facts: Facts) -> list[Finding]:
    """nginx reads a folder for sites."""
    found: list[Finding] = []
    if not facts.config.sites_folder:
        found.append(
            block(
                "site.no-folder",
                f"{tree.CONF} includes neither sites-enabled/* nor conf.d/*.conf.",
                "So nginx would never read the site.",
                f"Add to its http block: include {tree.FOLDER}/sites-enabled/*; then run hermes-setup again.",
                facts.config.problem,
            )
        )
    return found


def streams(facts: Facts) -> list[Finding]:
    """No stream block holds a port of ours."""
    found: list[Finding] = []
    for server, listen in ((s, listen) for s in facts.config.streams for listen in s.listens):
        if listen.port in (80, 443) and "udp" not in listen.options:
            found.append(
                block(
                    "site.stream",
                    f"Port {listen.port} belongs to a stream block of nginx: {server.path}, line {server.line}.",
                    "nginx cannot listen there for websites, too: it would not start again.",
                    f"If it is not needed, take it out: sudo nano +{server.line} {server.path} ; then: sudo nginx -t && "
                    "sudo nginx -s reload ; then run hermes-setup again.",
                )
            )
    return found


def unprotected(facts: Facts) -> list[Finding]:
    """No other site passes requests to Hermes without a password."""
    found: list[Finding] = []
    port = f":{facts.backend.port}"
    for path in sorted(_without_password(facts, port)):
        found.append(
            warn(
                "site.other-door",
                f"{path} passes requests to {facts.backend}, too, without asking for a password.",
                "Whoever finds that site has Hermes, and with it this server.",
                f"Take it out (sudo nano {path}), then: sudo nginx -t && sudo nginx -s reload",
            )
        )
    return found


def _without_password(facts: Facts, port: str) -> set[str]:
    return {
        path
        for path, text in facts.config.files.items()
        if not text.startswith(tree.HEADER)
        and "auth_basic" not in text
        and any(f"{name}{port}" in text for name in ("127.0.0.1", "localhost", "[::1]"))
    }


def examples_with_ipv6(facts: Facts) -> list[str]:
    """The distribution's example site, where it is on and wants IPv6."""
    return [
        server.path
        for server in facts.config.servers
        if server.path == f"{tree.FOLDER}/sites-enabled/default"
        and server.names == ("_",)
        and any(listen.address.startswith("[") for listen in server.listens)
        and isinstance(facts.nodes.get(server.path), Link)
    ]
