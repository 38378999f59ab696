"""From which addresses the dashboard may be opened.

Never asked in a set-up: a list that leaves someone out is made where the dashboard works already (the menu).
"""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.answers.allowed_addresses import parse_allow, permits
from hermes_setup.answers.answers import Answers
from hermes_setup.errors import WrongInput
from hermes_setup.questions.prompt import BACK, Asker, Back, Choice, Prompt, picked, settled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hermes_setup.stages.addresses.ssh import SshSession


def allowed_row(answers: Answers) -> tuple[str, str]:
    """The row of a list that says to whom the dashboard opens."""
    return "Open to", ", ".join(answers.allow) or "every address, with a password"


def choose(asker: Asker, now: Answers, session: SshSession | None, *, lockout: bool = False) -> Answers | Back:
    """The menu's room: the addresses that it opens to; where this ssh session comes from is offered first."""
    allow = now.allow
    to_whom, typed = _to_whom(allow, session), _list(allow, session)
    while True:
        match picked(asker, to_whom):
            case Back():
                return BACK
            case "all":
                return now.with_allowed(())
            case "here" if session:
                return now.with_allowed((*allow, session.network))
            case _:
                found = settled(asker, typed, lambda text: typed_list(text, session, lockout=lockout))
        if not isinstance(found, Back):
            return now.with_allowed(found)


def typed_list(text: str, session: SshSession | None = None, *, lockout: bool = False) -> tuple[str, ...]:
    """The networks in a line. Raises WrongInput for what is none, and for a list that leaves out a sure session."""
    found = parse_allow(text.replace(",", " ").split())
    if not found:
        raise WrongInput("That is an empty list: nobody could open the dashboard.", hint="< goes back.")
    if session and session.sure and not lockout and not permits(found, session.address):
        raise WrongInput(
            f"{session.address}, where this ssh session comes from, is not among them, so a browser there would be "
            "turned away.",
            hint=f"Add {session.network}. To leave it out on purpose: sudo hermes-setup --allow-lockout",
        )
    return found


def in_short(allow: Sequence[str]) -> str:
    """The list as a menu has room for it."""
    return ", ".join(allow) if 0 < len(allow) < 3 else f"{len(allow)} networks" if allow else "all"


def _to_whom(allow: Sequence[str], session: SshSession | None) -> Prompt:
    choices = []
    if session and session.network not in allow and not (allow and permits(allow, session.address)):
        whose = "where this ssh session comes from" if session.sure else "most likely where you sit"
        choices.append(Choice("here", f"{'Add' if allow else 'Only'} {session.network}, {whose}"))
    choices.append(Choice("type", "Change the list" if allow else "Type a list"))
    if allow:
        choices.append(Choice("all", "Every address again, with a password as before"))
    return Prompt(
        "addresses",
        "Open to whom?",
        "Everyone else gets a page that shows their address, before any password is asked for. "
        f"Now the dashboard opens to: {in_short(allow)}.",
        "allow",
        "choice",
        choices[0].value,
        choices=tuple(choices),
        back=True,
    )


def _list(allow: Sequence[str], session: SshSession | None) -> Prompt:
    return Prompt(
        "list",
        "Addresses",
        "Addresses and networks, with spaces between: 203.0.113.5, 203.0.113.0/24, 2001:db8::/32.",
        "allow",
        typed=" ".join(allow or ([session.network] if session else [])),
        back=True,
    )
