"""The site's configuration: every value that its template is given."""

from __future__ import annotations

from hermes_setup.answers.allowed_addresses import permits
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.nginx import quoting
from hermes_setup.nginx.render import Renderer
from hermes_setup.stages.certificate.lineages import WEBROOT
from hermes_setup.stages.site import listens, webhooks
from hermes_setup.stages.site.facts import UNSET, Facts
from hermes_setup.stages.site.pages import pages
from hermes_setup.stages.users.cookies import COOKIE, GATE_FILE, REALM
from hermes_setup.stages.users.htpasswd import USERS_FILE

KEEPALIVE_BY_DEFAULT = (1, 29, 7)
"""From here on each upstream keeps connections, unless it says otherwise (nginx CHANGES, 1.29.7)."""


def site_text(answers: Answers, facts: Facts, renderer: Renderer) -> str:
    """The site's file as a whole."""
    return renderer.render(
        "site.conf",
        domain=answers.domain.ascii,
        server_name=_server_name(answers.domain),
        backend=str(facts.backend),
        forwarded_for=facts.forwarded_for,
        webroot=WEBROOT,
        listens_http=listens.listens_http(facts),
        listens_https=listens.listens_https(facts),
        plain=_plain_servers(answers, facts),
        redirects=[
            (name.ascii, _server_name(name), own.certificate if own else "", own.key if own else "")
            for name, own in facts.redirects
        ],
        unset={place: facts.unset(place) for place in UNSET},
        limits=sorted(facts.config.http & {"limit_conn", "limit_req"}),
        sockets_keepalive=facts.version >= KEEPALIVE_BY_DEFAULT,
        csp="frame-ancestors 'self'",
        pages=pages(answers.domain, facts.backend, renderer),
        **_tls(facts),
        **_access(answers, facts),
        **_webhooks(answers, facts),
    )


def _tls(facts: Facts) -> dict[str, object]:
    """What the template is given about HTTPS."""
    served, curves = facts.served, "X25519:prime256v1:secp384r1"
    return {
        "tls": served is not None,
        "http2_directive": facts.version >= listens.HTTP2_DIRECTIVE,
        # from then on HTTP/2 goes by the limits of HTTP/1 (nginx CHANGES, 1.19.7)
        "http2_limits": facts.version < (1, 19, 7),
        "certificate": served.certificate if served else "",
        "key": served.key if served else "",
        # OpenSSL 3.5 brought the hybrid with ML-KEM (its CHANGES.md); older ones refuse the name.
        "curves": f"X25519MLKEM768:{curves}" if facts.openssl >= (3, 5) else curves,
        "hsts": bool(served and served.trusted),
    }


def _access(answers: Answers, facts: Facts) -> dict[str, object]:
    """What the template is given about who is asked for a password, and which addresses are refused before that."""
    return {
        "gate_file": GATE_FILE,
        "users_file": USERS_FILE,
        "realm": REALM,
        "expired": f"{COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax",
        "origin": quoting.map_key(f"https://{answers.domain}"),
        "allow": answers.allow,
        "here": "" if not answers.allow or permits(answers.allow, "127.0.0.1") else "127.0.0.1",
        "real_ip": facts.real_ip,
    }


def _webhooks(answers: Answers, facts: Facts) -> dict[str, object]:
    """What the template is given about webhooks."""
    wanted, place = answers.webhooks, webhooks.place(answers, facts)
    return {
        "hooks": webhooks.locations(wanted, facts.backend) if wanted else (),
        "hooks_allow": wanted.allow if wanted else (),
        "hooks_here": place is not None and not place.host,
        "hooks_host": place.host if place else "",
        "hooks_server_name": _server_name(place.host) if place and place.host else "",
        "hooks_certificate": place.certificate if place else "",
        "hooks_key": place.key if place else "",
        "hooks_real_ip": facts.webhooks_real_ip,
    }


def _plain_servers(answers: Answers, facts: Facts) -> list[tuple[str, str]]:
    """The servers on port 80, as (server name, where they redirect to over HTTPS: "" for nowhere yet)."""
    domain, place = answers.domain, webhooks.place(answers, facts)
    plain = [(_server_name(domain), domain.ascii if facts.served else "")]
    if place and place.host:
        plain.append((_server_name(place.host), place.host))
    return plain + [(_server_name(name), "") for name in answers.names[1:] if place is None or place.host != name.ascii]


def _server_name(domain: Domain | str) -> str:
    """As the site has it: quoted where it has characters that nginx would split it at."""
    name = quoting.server_name(str(domain))
    return name if name == str(domain) else quoting.quote(name)
