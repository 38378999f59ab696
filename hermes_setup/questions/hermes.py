"""Which Hermes the site passes visitors to, and whether it runs as a service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.backend import Backend
from hermes_setup.questions.draft import Draft, Known
from hermes_setup.questions.prompt import BACK, Asker, Back, Choice, Prompt, chosen, picked, says_yes, settled
from hermes_setup.questions.question import Question
from hermes_setup.values import replace


class WhichHermes(Question):
    """Which of several dashboards; a single one is not asked about."""

    key = "backend"

    def is_open(self, draft: Draft, known: Known) -> bool:
        """Only where there is a choice."""
        return draft.at == "done" and draft.backend is None and len(known.backends) > 1

    def prompt(self, draft: Draft, known: Known) -> Prompt:
        """Those that were found."""
        choices = tuple(Choice(str(each), f"{each}{_of(known.whose.get(each, ''))}") for each in known.backends)
        about = "More than one Hermes dashboard runs here; choose the one to open."
        return Prompt("backend", "Which Hermes?", about, "backend", "choice", choices[0].value, choices=choices)

    def take(self, draft: Draft, text: str, known: Known) -> Draft:
        """One of them."""
        return replace(draft, backend=Backend.parse(chosen(self.prompt(draft, known), text)))

    def restored(self, now: Draft, final: Draft) -> Draft | None:
        """As it was."""
        return replace(now, backend=final.backend) if final.backend else None

    def answered(self, draft: Draft, number: int) -> str:
        """Its address."""
        return str(draft.backend or "")

    def kept(self, draft: Draft) -> str:
        """Its address."""
        return f"Hermes: {draft.backend}" if draft.backend else ""

    def review(self, answers: Answers, found: str) -> Sequence[tuple[str, str]]:
        """Where it is, and whether it runs as a service."""
        at = str(answers.backend or found or "does not run yet")
        return (("Hermes", at + (", as a service" if answers.service else "")),)


class AsService(Question):
    """Whether a Hermes that nobody runs is to run as a service."""

    key = "service"

    def is_open(self, draft: Draft, known: Known) -> bool:
        """Only where one is installed, and none runs."""
        return draft.at == "done" and draft.service is None and bool(known.not_running) and not known.backends

    def prompt(self, draft: Draft, known: Known) -> Prompt:
        """Whose it is."""
        about = (
            f"Hermes is installed here for {known.not_running}, and does not run. As a service it starts now, and again after "
            "each reboot."
        )
        return Prompt("service", "Run Hermes as a service?", about, "service", "confirm", "yes")

    def take(self, draft: Draft, text: str, known: Known) -> Draft:
        """A clear yes or no."""
        return replace(draft, service=says_yes(text))

    def restored(self, now: Draft, final: Draft) -> Draft | None:
        """As it was."""
        return None if final.service is None else replace(now, service=final.service)

    def answered(self, draft: Draft, number: int) -> str:
        """Yes or no."""
        return "" if draft.service is None else "yes" if draft.service else "no"

    def kept(self, draft: Draft) -> str:
        """Yes or no."""
        return "" if draft.service is None else f"Hermes as a service: {self.answered(draft, 0)}"


def choose(
    asker: Asker, now: Answers, found: Mapping[Backend, str], not_running: str, upstream: Backend | None = None
) -> Answers | Back:
    """The menu's room: one that was found, an installed one as a service, an address, or who else on this server reaches it.

    `found` are dashboards, each with the user of its process: who chooses one says, too, that it is to be that user's.
    `upstream` is where visitors are passed to now.
    """
    choices = [Choice(str(each), f"{each}, where a dashboard{_of(user)} runs now") for each, user in found.items()]
    if not_running:
        choices.append(Choice("service", f"Run the Hermes that is installed for {not_running}, as a service"))
    alone = now.local_users is None
    choices += [
        Choice("type", "Another address, on this machine or in its private network"),
        Choice(
            "logins", "Keep other users of this server out" if alone else "Let every user of this server reach it again"
        ),
    ]
    at = now.backend or upstream
    which = Prompt(
        "hermes",
        "Which Hermes?",
        f"The dashboard that visitors get. Now: {at or 'not set yet'}.",
        "backend, service, local_users",
        "choice",
        str(at) if at in found else choices[0].value,
        choices=tuple(choices),
        back=True,
    )
    address = Prompt(
        "backend",
        "Address and port",
        "Like 127.0.0.1:9120, or 10.0.0.5:9119. Traffic to another machine is not encrypted.",
        "backend",
        typed=str(at or ""),
        back=True,
    )
    while True:
        match picked(asker, which):
            case Back():
                return BACK
            case "service":
                return now.with_service()
            case "logins":
                return now.with_local_users(() if alone else None)
            case "type":
                backend = settled(asker, address, Backend.parse)
                if not isinstance(backend, Back):
                    return now.with_backend(backend)
            case value:
                backend = Backend.parse(value)
                return now.with_backend(backend, found[backend])


def _of(user: str) -> str:
    return f" of {user}" if user else ""
