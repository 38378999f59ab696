"""The pages that nginx itself shows: sign in, signed out, no certificate yet, an address refused, Hermes down. One template."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from hermes_setup.answers.backend import Backend
from hermes_setup.answers.domain import Domain
from hermes_setup.nginx.render import Renderer, template
from hermes_setup.values import dataclass


@dataclass(frozen=True)
class Page:
    """A page's text, in which nginx fills in its variables, and the policy that it is sent with."""

    text: str
    csp: str


@dataclass(frozen=True)
class Pages:
    """All of them, for one site. Their style and their script stand in the site's file once, as $hermes_style and the like."""

    sign_in: Page
    signed_out: Page
    sign_out: Page
    pending: Page
    refused: Page
    down: Page
    style: str
    script: str


def pages(domain: Domain, backend: Backend, renderer: Renderer) -> Pages:
    """The pages of the site of that domain, behind which Hermes is there."""
    style, script = _packed("page.css"), _packed("sign-in.js")
    policy = _policy(f"style-src {_hash(style)}")

    def page(title: str, lines: Sequence[str], *, again: bool = False, button: tuple[str, str] | None = None) -> Page:
        text = renderer.render("page.html", title=title, lines=lines, again=again, button=button, form=False)
        return Page(text, policy)

    return Pages(
        style=style,
        script=script,
        # Shown to a browser that is not signed in, whatever it asked for; its script sends name and password.
        sign_in=Page(
            renderer.render(
                "page.html",
                title=f"Sign in to {domain.shown}",
                lines=["You stay signed in on this device for 30 days. To sign out earlier, open /.hermes/sign-out"],
                again=False,
                button=None,
                form=True,
            ),
            _policy(f"style-src {_hash(style)}", f"script-src {_hash(script)}", "connect-src 'self'"),
        ),
        signed_out=page(
            "You are signed out",
            [
                'To use Hermes in this browser again, <a href="/">sign in</a>.',
                "A chat that is open in another tab goes on until that tab is closed.",
            ],
        ),
        # For who comes to the sign-out from a page elsewhere, which must not sign anybody out.
        sign_out=page(
            "Sign out?",
            ['Nothing has been done yet, since another page may have led here. <a href="/">Back to Hermes</a>'],
            button=("Sign this browser out", "/.hermes/sign-out"),
        ),
        # Until the certificate is there.
        pending=page(
            "Almost there",
            [
                "This is the place where Hermes will be. Its certificate is being fetched; until then nothing is served here.",
                "If you are setting it up: go on with <code>sudo hermes-setup</code> on the server.",
            ],
            again=True,
        ),
        # For an address that is not on the list.
        refused=page(
            "Not from this address",
            [
                # nginx fills it in: an address as it prints one itself (ngx_sock_ntop), never what someone sent
                "This page opens only to some addresses. Yours, as this server sees it: <code>$remote_addr</code>",
                "If it is your server: run <code>sudo hermes-setup</code> on it and choose Allowed addresses. "
                "(Of an IPv6 address allow the /64 that it is in: devices change the rest.)",
                "A password alone does not help here. The address of a phone or at home changes now and then.",
            ],
        ),
        # Behind the gate, while Hermes does not answer.
        down=page(
            "Hermes is not running yet",
            [
                f"You are signed in, and this site works; but nothing answers at {backend} on the server.",
                f"Start it there: <code>hermes dashboard --host {backend.address} --port {backend.port} --no-open</code>",
                "What is wrong: <code>sudo hermes-setup doctor</code>",
            ],
            again=True,
        ),
    )


def _packed(name: str) -> str:
    """The template's lines without what indents them."""
    return "\n".join(line.strip() for line in template(name).splitlines())


def _policy(*sources: str) -> str:
    """Nothing from elsewhere, and of what is written into the page exactly what has these hashes (CSP Level 3)."""
    more = ("form-action 'self'", "base-uri 'none'", "frame-ancestors 'self'")
    return "; ".join(["default-src 'none'", *sources, *more])


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
