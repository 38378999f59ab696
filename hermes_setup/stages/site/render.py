"""The site's text: every value that the template is given."""

from __future__ import annotations

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.fields import Domain, permits
from hermes_setup.nginx import quoting
from hermes_setup.nginx.render import Renderer
from hermes_setup.stages.certificate.lineages import WEBROOT
from hermes_setup.stages.site.facts import Facts
from hermes_setup.stages.site.listens import listens_on
from hermes_setup.stages.site.webhooks import locations, served_at
from hermes_setup.stages.users.cookies import GATE_FILE
from hermes_setup.stages.users.htpasswd import USERS_FILE

# http2 as a directive of its own: nginx CHANGES, 1.25.1
HTTP2_DIRECTIVE = (1, 25, 1)


def site_text(answers: Answers, facts: Facts, renderer: Renderer) -> str:
    """The site's file, whole."""
    domain, served, hooks = answers.domain, facts.served, answers.webhooks
    seat = served_at(answers, facts)
    plain = [(_server_name(domain), domain.ascii if served else "")]
    if seat and seat.host:
        plain.append((_server_name(seat.host), seat.host))
    plain += [(_server_name(name), "") for name in answers.names[1:] if seat is None or seat.host != name.ascii]
    neighbours = [server for server in facts.config.servers if not server.ours]
    on_443 = [listen for server in neighbours for listen in server.listens if listen.port == 443]
    directive = facts.version >= HTTP2_DIRECTIVE
    # On older versions http2 belongs to the socket: it would be switched on for the neighbours on it, too.
    option = not directive and all("http2" in listen.options for listen in on_443)
    curves = "X25519:prime256v1:secp384r1"
    return renderer.render(
        "site.conf",
        domain=domain.ascii,
        server_name=_server_name(domain),
        origin=quoting.map_key(f"https://{domain}"),
        backend=str(facts.backend),
        tls=served is not None,
        webroot=WEBROOT,
        gate_file=GATE_FILE,
        users_file=USERS_FILE,
        listens_http=listens_on(80, "", neighbours, facts),
        listens_https=listens_on(443, " ssl http2" if option else " ssl", neighbours, facts),
        http2_directive=directive,
        certificate=served.certificate if served else "",
        key=served.key if served else "",
        # OpenSSL 3.5 brought the hybrid with ML-KEM (its CHANGES.md); older ones refuse the name.
        curves=f"X25519MLKEM768:{curves}" if facts.openssl >= (3, 5) else curves,
        hsts=bool(served and served.trusted),
        forwarded_for=facts.forwarded_for,
        allow=answers.allow,
        here="" if not answers.allow or permits(answers.allow, "127.0.0.1") else "127.0.0.1",
        real_ip=facts.real_ip,
        hooks_real_ip=facts.hooks_real_ip,
        hooks=locations(hooks, facts.backend) if hooks else (),
        hooks_allow=hooks.allow if hooks else (),
        hooks_here=seat is not None and not seat.host,
        hooks_host=seat.host if seat else "",
        hooks_server_name=_server_name(seat.host) if seat and seat.host else "",
        hooks_certificate=seat.certificate if seat else "",
        hooks_key=seat.key if seat else "",
        plain=plain,
        redirects=[
            (name.ascii, _server_name(name), own.certificate if own else "", own.key if own else "")
            for name, own in facts.redirects
        ],
        pending_page=renderer.render(
            "page.html",
            again=True,
            title="Almost there",
            lines=[
                "This is the place where Hermes will be. Its certificate is being fetched; until then nothing is served here.",
                "If you are setting it up: go on with <code>sudo hermes-setup</code> on the server.",
            ],
        ),
        refused_page=renderer.render(
            "page.html",
            again=False,
            title="Not from this address",
            lines=[
                # nginx fills it in: an address as it prints one itself (ngx_sock_ntop), never what somebody sent
                "This page opens only to some addresses. Yours, as this server sees it: <code>$remote_addr</code>",
                "If it is your server: run <code>sudo hermes-setup</code> on it and choose Allowed addresses. "
                "(Of an IPv6 address allow the /64 that it is in: devices change the rest.)",
                "A password alone does not help here. The address of a phone or at home changes now and then.",
            ],
        ),
        down_page=renderer.render(
            "page.html",
            again=True,
            title="Hermes is not running yet",
            lines=[
                f"You are signed in, and this site works; but nothing answers at {facts.backend} on the server.",
                f"Start it there: <code>hermes dashboard --host {facts.backend.address} --port {facts.backend.port} --no-open</code>",
                "What is wrong: <code>sudo hermes-setup doctor</code>",
            ],
        ),
    )


def _server_name(domain: Domain | str) -> str:
    """As it stands in the site: quoted where it has characters that nginx would take apart."""
    name = quoting.server_name(str(domain))
    return name if name == str(domain) else quoting.quote(name)
