"""The gateway platforms of Hermes to which others send requests: where each listens, and which paths are its own.

Each checks a signature or a secret of its sender itself, so none wants a password. Names, ports, paths and settings are
those of hermes-agent 0.19.0 (gateway/platforms/*.py, plugins/platforms/*/adapter.py). Slack and others that call out
themselves are not here; nor is `api_server`, which is no webhook but Hermes itself, behind a key.
"""

from __future__ import annotations

import difflib
from itertools import chain

from hermes_setup.errors import WrongInput
from hermes_setup.values import dataclass

ROUTE = (
    r"/webhooks/[A-Za-z0-9_-][A-Za-z0-9_.-]*"  # more than `hermes webhook subscribe` takes: config.yaml may hold any
)
DASHBOARD = 9119  # the usual port of Hermes's pages
TAKEN = {22: "ssh's", 80: "the web server's", 443: "the web server's"}
"""Ports where no platform can listen, and whose they are."""

LINE_MEDIA = r"/line/media/[A-Za-z0-9_-]+/[A-Za-z0-9_%][A-Za-z0-9_.%-]*"


@dataclass(frozen=True)
class Platform:
    """One of them. `path` is what the sender is told; with <...> in it, `pattern` says which paths it stands for.

    `pin` is what makes it listen on 127.0.0.1 only, "" where it has no such setting.
    """

    name: str
    title: str
    port: int
    path: str
    pin: str = ""
    pattern: str = ""
    reads: bool = False  # its sender sends GET, too: a check of the address before the first message
    media: str = ""  # a pattern of paths from which the sender fetches what Hermes sends

    @property
    def probe(self) -> str:
        """A path that it alone knows, to be asked with GET: it refuses that, where another program says 404."""
        return self.path.replace("<route>", "-")


def _key(text: str) -> str:
    return f"hermes config set {text} 127.0.0.1 ; then restart the gateway"


PLATFORMS = (
    Platform(
        "webhook",
        "GitHub, GitLab, Stripe and others",
        8644,
        "/webhooks/<route>",
        _key("platforms.webhook.extra.host"),
        ROUTE,
    ),
    Platform("sms", "SMS by Twilio", 8080, "/webhooks/twilio", "SMS_WEBHOOK_HOST=127.0.0.1 in ~/.hermes/.env"),
    Platform(
        "whatsapp_cloud",
        "WhatsApp",
        8090,
        "/whatsapp/webhook",
        _key("platforms.whatsapp_cloud.extra.webhook_host"),
        reads=True,
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
        _key("platforms.wecom_callback.extra.host"),
        reads=True,
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
        _key("platforms.msgraph_webhook.extra.host"),
        reads=True,
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
        """A platform's name as Hermes has it, with :PORT behind where it is not the usual one. Raises WrongInput."""
        name, colon, port = text.strip().lower().partition(":")
        known = {each.name: each for each in PLATFORMS}
        found = known.get("msgraph_webhook" if name == "msgraph" else name)
        if found is None:
            near = difflib.get_close_matches(name, known, 1)
            raise WrongInput(
                "Slack's gateway makes its own connections, so nothing has to reach it."
                if name == "slack"
                else f'"{name}" is not a platform of Hermes that others send to.',
                hint=f"Did you mean {near[0]}?" if near else f"Others send to: {', '.join(known)}.",
            )
        if not colon:
            return cls(found, found.port)
        if not (port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535):
            raise WrongInput(f"{text.strip()}: after the colon comes a port, 1 to 65535.", hint=f"Write {name}.")
        if whose := TAKEN.get(int(port)):
            raise WrongInput(
                f"{name}:{int(port)} can't be right: port {int(port)} is {whose}, so no platform of Hermes listens there.",
                hint=f"Name the port that Hermes uses for it; the usual one is {found.port}. The web server forwards from 443.",
            )
        return cls(found, int(port))


def parse_endpoints(texts: list[str]) -> tuple[Endpoint, ...]:
    """The platforms in the order given. Raises WrongInput for one named twice, and for two that share a port."""
    hooks = [Endpoint.parse(text) for text in texts]
    for place, hook in enumerate(hooks):
        for other in hooks[:place]:
            if other.platform == hook.platform:
                raise WrongInput(f"{hook.platform.name} is named twice.", hint="Keep one of the two.")
            if other.port == hook.port:
                raise WrongInput(
                    f"{other} and {hook} can't both listen on port {hook.port}.",
                    hint=f"Give one of them another port in Hermes, and name it here: {hook.platform.name}:{_free(hook.port, hooks)}",
                )
    return tuple(hooks)


def _free(port: int, hooks: list[Endpoint]) -> int:
    """The next port that is no platform's and not the dashboard's usual one."""
    used = {*(each.port for each in PLATFORMS), *(each.port for each in hooks), *TAKEN, DASHBOARD}
    return next(each for each in chain(range(port + 1, 65536), range(1024, port)) if each not in used)
