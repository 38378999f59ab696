"""The pages that nginx itself shows: no certificate yet, an address that is not allowed, Hermes down. One template."""

from __future__ import annotations

from hermes_setup.answers.backend import Backend
from hermes_setup.nginx.render import Renderer


def pending(renderer: Renderer) -> str:
    """Shown until the certificate is there."""
    return renderer.render(
        "page.html",
        again=True,
        title="Almost there",
        lines=[
            "This is the place where Hermes will be. Its certificate is being fetched; until then nothing is served here.",
            "If you are setting it up: go on with <code>sudo hermes-setup</code> on the server.",
        ],
    )


def refused(renderer: Renderer) -> str:
    """Shown to an address that is not on the list."""
    return renderer.render(
        "page.html",
        again=False,
        title="Not from this address",
        lines=[
            # nginx fills it in: an address as it prints one itself (ngx_sock_ntop), never what someone sent
            "This page opens only to some addresses. Yours, as this server sees it: <code>$remote_addr</code>",
            "If it is your server: run <code>sudo hermes-setup</code> on it and choose Allowed addresses. "
            "(Of an IPv6 address allow the /64 that it is in: devices change the rest.)",
            "A password alone does not help here. The address of a phone or at home changes now and then.",
        ],
    )


def down(renderer: Renderer, backend: Backend) -> str:
    """Shown behind the gate while Hermes does not answer."""
    return renderer.render(
        "page.html",
        again=True,
        title="Hermes is not running yet",
        lines=[
            f"You are signed in, and this site works; but nothing answers at {backend} on the server.",
            f"Start it there: <code>hermes dashboard --host {backend.address} --port {backend.port} --no-open</code>",
            "What is wrong: <code>sudo hermes-setup doctor</code>",
        ],
    )
