"""The platforms of Hermes's gateway that receive webhooks: where each listens, and on which paths.

Each checks a signature or a secret of its sender itself, so none needs a password. Names, ports, paths and settings are
those of hermes-agent 0.19.0 (gateway/platforms/*.py, plugins/platforms/*/adapter.py). Slack and others that Hermes
connects to are not here; nor is `api_server`, which is not a webhook but Hermes itself, behind a key.
"""

from __future__ import annotations

import difflib
from itertools import chain

from hermes_setup.errors import WrongInput
from hermes_setup.values import dataclass

ROUTE = (
    r"/webhooks/[A-Za-z0-9_-][A-Za-z0-9_.-]*"  # more than `hermes webhook subscribe` takes: config.yaml may hold any
)
DASHBOARD_PORT = 9119  # the usual one
RESERVED_PORTS = {22: "ssh", 80: "the web server", 443: "the web server"}
"""Ports where no platform can listen, and what does."""

LINE_MEDIA = r"/line/media/[A-Za-z0-9_-]+/[A-Za-z0-9_%][A-Za-z0-9_.%-]*"


@dataclass(frozen=True)
class Platform:
    """One of them. `path` is what the sender is given; with <...> in it, `pattern` says which paths it stands for.

    `bind_to_loopback` is what makes it listen on 127.0.0.1 only, "" where it has no such setting.
    """

    name: str
    title: str
    port: int
    path: str
    bind_to_loopback: str = ""
    pattern: str = ""
    sends_get: bool = False  # its sender checks the address by a GET before the first message
    media: str = ""  # a pattern of paths from which the sender fetches what Hermes sends

    @property
    def probe_path(self) -> str:
        """A path that it alone knows, to be asked for with GET: it refuses that, where another program answers 404."""
        return self.path.replace("<route>", "-")


def _by_config(text: str) -> str:
    return f"hermes config set {text} 127.0.0.1 ; then restart the gateway"


PLATFORMS = (
    Platform(
        "webhook",
        "GitHub, GitLab, Stripe and others",
        8644,
        "/webhooks/<route>",
        _by_config("platforms.webhook.extra.host"),
        ROUTE,
    ),
    Platform("sms", "SMS by Twilio", 8080, "/webhooks/twilio", "SMS_WEBHOOK_HOST=127.0.0.1 in ~/.hermes/.env"),
    Platform(
        "whatsapp_cloud",
        "WhatsApp",
        8090,
        "/whatsapp/webhook",
        _by_config("platforms.whatsapp_cloud.extra.webhook_host"),
        sends_get=True,
    ),
    Platform("telegram", "Telegram in webhook mode", 8443, "/telegram"),
    Platform("teams", "Microsoft Teams", 3978, "/api/messages"),
    Platform("feishu", "Feishu and Lark", 8765, "/feishu/webhook", "FEISHU_WEBHOOK_HOST=127.0.0.1 in ~/.hermes/.env"),
    Platform("line", "LINE", 8646, "/line/webhook", "LINE_HOST=127.0.0.1 in ~/.hermes/.env", media=LINE_MEDIA),
    Platform(
        "wecom_callback",
        "WeCom",
        8645,
        "/wecom/callback",
        _by_config("platforms.wecom_callback.extra.host"),
        sends_get=True,
    ),
    Platform(
        "bluebubbles",
        "iMessage by BlueBubbles",
        8645,
        "/bluebubbles-webhook",
        "BLUEBUBBLES_WEBHOOK_HOST=127.0.0.1 in ~/.hermes/.env",
    ),
    Platform(
        "msgraph_webhook",
        "Microsoft Graph",
        8646,
        "/msgraph/webhook",
        _by_config("platforms.msgraph_webhook.extra.host"),
        sends_get=True,
    ),
)


@dataclass(frozen=True)
class Endpoint:
    """A platform, and the port where it listens here."""

    platform: Platform
    port: int

    def __str__(self) -> str:
        return self.platform.name if self.port == self.platform.port else f"{self.platform.name}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """A platform's name as Hermes has it, then :PORT where it is not the usual one. Raises WrongInput."""
        name, colon, port = text.strip().lower().partition(":")
        platform = _platform(name)
        if not colon:
            return cls(platform, platform.port)
        if not (port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535):
            raise WrongInput(
                f"{text.strip()}: after the colon comes a port, 1 to 65535.",
                hint=f"For its usual port, {platform.port}, write just {name}.",
            )
        if user := RESERVED_PORTS.get(int(port)):
            raise WrongInput(
                f"{name}:{int(port)} can't be right: port {int(port)} is used by {user}, so no platform of Hermes listens there.",
                hint=f"Use the port where Hermes listens for it, usually {platform.port}. The web server passes requests on from 443.",
            )
        return cls(platform, int(port))


def parse_endpoints(texts: list[str]) -> tuple[Endpoint, ...]:
    """The platforms in the order given. Raises WrongInput for one that is listed twice, and for two that share a port."""
    endpoints = [Endpoint.parse(text) for text in texts]
    for place, endpoint in enumerate(endpoints):
        for other in endpoints[:place]:
            if other.platform == endpoint.platform:
                raise WrongInput(f"{endpoint.platform.name} is listed twice.", hint="Keep one of the two.")
            if other.port == endpoint.port:
                free = f"{endpoint.platform.name}:{_free_port(endpoint.port, endpoints)}"
                raise WrongInput(
                    f"{other} and {endpoint} can't both listen on port {endpoint.port}.",
                    hint=f"Give one of them another port in Hermes, and write it here: {free}",
                )
    return tuple(endpoints)


def _platform(name: str) -> Platform:
    """The platform of that name. Raises WrongInput where there is none."""
    known = {each.name: each for each in PLATFORMS}
    found = known.get("msgraph_webhook" if name == "msgraph" else name)
    if found is None:
        near = difflib.get_close_matches(name, known, 1)
        raise WrongInput(
            "Slack needs no webhook: Hermes connects to Slack itself."
            if name == "slack"
            else f'"{name}" is not a platform of Hermes that receives webhooks.',
            hint=f"Did you mean {near[0]}?" if near else f"Those that do: {', '.join(known)}.",
        )
    return found


def _free_port(port: int, endpoints: list[Endpoint]) -> int:
    """The next port that is no platform's and not the dashboard's usual one."""
    used = {*(each.port for each in PLATFORMS), *(each.port for each in endpoints), *RESERVED_PORTS, DASHBOARD_PORT}
    return next(each for each in chain(range(port + 1, 65536), range(1024, port)) if each not in used)
