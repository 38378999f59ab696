"""Which gateway platforms are let in from the internet, and under which name."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.webhook_platforms import Endpoint, parse_endpoints
from hermes_setup.answers.webhooks import Webhooks, webhooks_host
from hermes_setup.errors import WrongInput
from hermes_setup.questions.draft import Draft, Known
from hermes_setup.questions.prompt import BACK, Asker, Back, Choice, Prompt, chosen, picked, settled
from hermes_setup.questions.question import Question
from hermes_setup.values import replace


class LetWebhooksIn(Question):
    """Whether the platforms that listen are let in."""

    key = "webhooks"

    def is_open(self, draft: Draft, known: Known) -> bool:
        """Only where some listen, and in a first set-up only: later it is the menu's business."""
        return draft.at == "done" and not draft.webhooks_at and bool(known.listening) and not known.previous

    def prompt(self, draft: Draft, known: Known) -> Prompt:
        """Nobody is let in by Enter alone."""
        titles = ", ".join(each.platform.title for each in known.listening)
        return Prompt(
            "webhooks",
            "Webhooks",
            f"Hermes accepts webhooks (requests from other services): {titles}. They come without a password; Hermes checks who "
            "sends them. Let them in?",
            "[webhooks] platforms",
            "choice",
            "no",
            choices=(
                Choice("no", "No, don't let them in"),
                Choice("here", f"Yes, under paths of {draft.domain.shown if draft.domain else 'the domain'}"),
                Choice("own", "Yes, under a separate name"),
            ),
        )

    def take(self, draft: Draft, text: str, known: Known) -> Draft:
        """Those that listen, under which name; or none."""
        match chosen(self.prompt(draft, known), text):
            case "no":
                return replace(draft, webhooks_at="done")
            case "own":
                return replace(draft, webhooks=Webhooks(known.listening), webhooks_at="own")
            case _:
                return replace(draft, webhooks=Webhooks(known.listening), webhooks_at="done")

    def restored(self, now: Draft, final: Draft) -> Draft | None:
        """As it was, with the name."""
        return replace(now, webhooks=final.webhooks, webhooks_at="done") if final.webhooks_at == "done" else None

    def answered(self, draft: Draft, number: int) -> str:
        """Which of the three."""
        if draft.webhooks_at != "done":
            return ""
        return "no" if not draft.webhooks else "own" if draft.webhooks.host else "here"

    def kept(self, draft: Draft) -> str:
        """The platforms."""
        return f"Webhooks: {let_in(draft.webhooks)}" if draft.webhooks_at == "done" else ""

    def review(self, answers: Answers, found: str) -> Sequence[tuple[str, str]]:
        """And where."""
        return webhooks_row(answers)


class WebhooksHost(Question):
    """The name under which they are served, and nothing else."""

    key = "host"

    def is_open(self, draft: Draft, known: Known) -> bool:
        """Where a name of their own was chosen."""
        return draft.at == "done" and draft.webhooks_at == "own"

    def prompt(self, draft: Draft, known: Known) -> Prompt:
        """A name beside the domain is proposed."""
        parent = draft.domain.ascii.partition(".")[2] if draft.domain and draft.domain.ascii.count(".") > 1 else ""
        return Prompt(
            "host",
            "Name for webhooks",
            "A name that serves the webhooks and nothing else. Its DNS record has to point to this server, too.",
            "[webhooks] host",
            default=f"hooks.{parent}" if parent else "",
        )

    def take(self, draft: Draft, text: str, known: Known) -> Draft:
        """Not a redirected domain."""
        if draft.domain is None or draft.webhooks is None:
            raise ValueError("there is nothing that it could be the name of")
        host = webhooks_host(text, draft.domain, draft.redirects(known.previous))
        return replace(draft, webhooks=replace(draft.webhooks, host=host), webhooks_at="done")

    def restored(self, now: Draft, final: Draft) -> Draft | None:
        """As `LetWebhooksIn`."""
        return LetWebhooksIn().restored(now, final)

    def answered(self, draft: Draft, number: int) -> str:
        """The name."""
        return draft.webhooks.host.shown if draft.webhooks and draft.webhooks.host else ""


def let_in(webhooks: Webhooks | None) -> str:
    """The platforms in a list, "none" for none."""
    return ", ".join(map(str, webhooks.endpoints)) if webhooks else "none"


def webhooks_row(answers: Answers) -> Sequence[tuple[str, str]]:
    """The row of a list that says which platforms are let in, and where; () where there are none."""
    hooks = answers.webhooks
    return (("Webhooks", f"{let_in(hooks)}, at https://{hooks.host or answers.domain}/"),) if hooks else ()


def choose(asker: Asker, now: Answers, listening: Sequence[Endpoint]) -> Answers | Back:
    """The menu's room: which platforms, and under which name; or none. What listens here is offered first."""
    which, platforms = _which(now.webhooks, listening), _platforms(now.webhooks, listening)
    while True:
        match picked(asker, which):
            case Back():
                return BACK
            case "none":
                return now.with_webhooks(None)
            case "these":
                endpoints: tuple[Endpoint, ...] | Back = tuple(listening)
            case _:
                endpoints = settled(asker, platforms, _some)
        if isinstance(endpoints, Back):
            continue
        host = _host(asker, now)
        if not isinstance(host, Back):
            allow = now.webhooks.allow if now.webhooks else ()
            return now.with_webhooks(Webhooks(endpoints, host[0], allow))


def _which(now: Webhooks | None, listening: Sequence[Endpoint]) -> Prompt:
    choices = []
    if listening and (now is None or set(listening) != set(now.endpoints)):
        choices.append(Choice("these", f"Those that listen here: {', '.join(map(str, listening))}"))
    choices.append(Choice("type", "Change the list, or the name" if now else "Type a list"))
    if now:
        choices.append(Choice("none", "None any more"))
    seen = ", ".join(f"{each.platform.title} ({each})" for each in listening) or "none found"
    return Prompt(
        "webhooks",
        "Which webhooks?",
        "Other services send to these without a password; Hermes checks who sends. "
        f"Listening here: {seen}. Let in now: {let_in(now)}.",
        "[webhooks] platforms",
        "choice",
        choices[0].value,
        choices=tuple(choices),
        back=True,
    )


def _platforms(now: Webhooks | None, listening: Sequence[Endpoint]) -> Prompt:
    return Prompt(
        "platforms",
        "Platforms",
        "Hermes's own names, with spaces between: webhook, sms, whatsapp_cloud, telegram, teams, line, ... With a port that is "
        "not the usual one: webhook:9000.",
        "[webhooks] platforms",
        typed=" ".join(map(str, now.endpoints if now else listening)),
        back=True,
    )


def _host(asker: Asker, now: Answers) -> tuple[Domain | None] | Back:
    """The name of their own, None for the dashboard's."""
    shown = ((now.webhooks.host if now.webhooks else None) or now.domain).shown
    prompt = Prompt(
        "host",
        "Name for webhooks",
        f"{now.domain.shown}, to serve them under its paths; or a separate name, like hooks.example.com, whose DNS record has to "
        "point to this server, too.",
        "[webhooks] host",
        typed=shown,
        back=True,
    )
    return settled(asker, prompt, lambda text: (webhooks_host(text, now.domain, now.redirects),))


def _some(text: str) -> tuple[Endpoint, ...]:
    if found := parse_endpoints(text.replace(",", " ").split()):
        return found
    raise WrongInput("That is an empty list.", hint="< goes back.")
