"""What is wanted of a machine that is set up: the questions of the second visit. Pure, as all of them.

    menu(visit, asker)    a Intent: what to do, and the answers that a run is to make true

Back in a question leads to the one before it, at last to the menu, and in the menu it quits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.backend import Backend
from hermes_setup.answers.issuer import ca_name
from hermes_setup.answers.user import User
from hermes_setup.answers.webhook_platforms import Endpoint
from hermes_setup.errors import WrongInput
from hermes_setup.phrases import listed
from hermes_setup.questions import addresses, connections, hermes, webhooks
from hermes_setup.questions.certificate import Authority, Email, OtherAuthority
from hermes_setup.questions.conversation import ask
from hermes_setup.questions.domain import DomainName, Redirect
from hermes_setup.questions.draft import Draft, Known
from hermes_setup.questions.prompt import BACK, Asker, Back, Choice, Prompt, agreed, chosen, picked, settled
from hermes_setup.questions.users import OwnPassword, PasswordSource, UserName
from hermes_setup.values import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hermes_setup.stages.addresses.ssh import SshSession

OfUsers = Literal["add", "passwd", "remove", "sign-out", "list"]
Do = Literal[OfUsers, "addresses", "webhooks", "domain", "certificate", "hermes", "check", "show", "undo", "quit"]


@dataclass(frozen=True)
class Visit:
    """What the menu knows of the machine. What has to be looked up is looked up when it is asked for."""

    answers: Answers
    users: tuple[str, ...]  # who can sign in now
    session: SshSession | None = None  # where the user sits
    lockout: bool = False  # the allowed addresses may leave that out
    pending: int | None = 0  # how many changes a run with the same answers would make; None: a check blocks
    listening: Callable[[], Sequence[Endpoint]] = tuple  # platforms of the gateway
    backends: Callable[[], Mapping[Backend, str]] = (
        dict  # those that proved to be Hermes, and the user of each one's process
    )
    upstream: Backend | None = None  # where visitors are passed to
    not_running: Callable[[], str] = str  # whose installed Hermes nobody runs
    cookies: Callable[[str], tuple[str, ...]] = lambda _name: ()  # digests of that user's cookies
    connected: Callable[[], bool] = bool  # someone is connected to nginx


@dataclass(frozen=True)
class Intent:
    """`answers` are those of before where nothing is to change. `who` is the user whom it is about, if one.

    `made_up` holds a made-up password that is to be shown once more at the end. `end_connections`: all that are open.
    """

    do: Do
    answers: Answers
    who: str = ""
    made_up: Mapping[str, str] = field(default_factory=dict, repr=False)
    end_connections: bool = False


def menu(visit: Visit, asker: Asker) -> Intent:
    """What the user wants, with all that it needs."""
    now, prompt = visit.answers, _menu(visit)
    while True:
        room = picked(asker, prompt)
        match room:
            case "users":
                intent = _users(visit, asker)
            case "addresses" | "webhooks" | "domain" | "certificate" | "hermes":
                answers = _changed(room, visit, asker)
                intent = answers if isinstance(answers, Back) else Intent(room, answers)
            case "check" | "show" | "undo":
                return Intent(room, now)
            case _:
                return Intent("quit", now)
        if not isinstance(intent, Back):
            return intent


def _menu(visit: Visit) -> Prompt:
    now = visit.answers
    issuer = "self-signed" if now.issuer.self_signed else ca_name(now.issuer.directory)
    pending = "a check blocks" if visit.pending is None else "nothing" if not visit.pending else f"{visit.pending}"
    at = f"{now.backend or visit.upstream or 'not set yet'}{', as a service' if now.service else ''}"
    return Prompt(
        "menu",
        "What next?",
        "Each of these shows what it would change, and asks, before it does anything.",
        "users, doctor, undo, apply",
        "choice",
        "show" if visit.pending else "check" if visit.pending is None else "users",
        choices=(
            Choice("users", f"Users (now: {listed(visit.users) or 'nobody'})"),
            Choice("addresses", f"Allowed addresses (now: {addresses.in_short(now.allow)})"),
            Choice("webhooks", f"Webhooks (now: {webhooks.let_in(now.webhooks)})"),
            Choice("domain", f"Domain (now: {now.domain.shown})"),
            Choice("certificate", f"Certificate (now: {issuer})"),
            Choice("hermes", f"Hermes (now: {at})"),
            Choice("check", "Check everything"),
            Choice("show", f"Show what would be changed (now: {pending}), and do it"),
            Choice("undo", "Undo the last run"),
            Choice("quit", "Quit", "q"),
        ),
    )


def _changed(
    room: Literal["addresses", "webhooks", "domain", "certificate", "hermes"], visit: Visit, asker: Asker
) -> Answers | Back:
    """The answers as somebody left that room with them."""
    now = visit.answers
    match room:
        case "addresses":
            return addresses.choose(asker, now, visit.session, lockout=visit.lockout)
        case "webhooks":
            return webhooks.choose(asker, now, visit.listening())
        case "hermes":
            found = visit.backends()
            not_running = "" if found or now.service else visit.not_running()
            return hermes.choose(asker, now, found, not_running, visit.upstream)
        case "domain":
            questions, start = (DomainName(), Redirect()), Draft()
        case "certificate":
            questions, start = (Authority(), OtherAuthority(), Email()), Draft(domain=now.domain)  # type: ignore[assignment]
    heard = ask(questions, start, Known(previous=now, moving=room == "domain"), asker)
    if isinstance(heard, Back):
        return heard
    draft = heard[0]
    if room == "domain" and draft.domain:
        return now.with_domain(draft.domain, draft.redirects(now))
    return now.with_issuer(draft.issuer or now.issuer, draft.email)


def _users(visit: Visit, asker: Asker) -> Intent | Back:
    prompt = Prompt(
        "users",
        "Users",
        "Who can sign in. To add many at once, from a file: sudo hermes-setup users add --from FILE",
        "users list | add | passwd | remove | sign-out",
        "choice",
        "add",
        choices=(
            Choice("add", "Add one"),
            Choice("passwd", "Change a password, which signs out everywhere (a lost phone)"),
            Choice("remove", "Remove one"),
            Choice("sign-out", "Sign one out everywhere, with the same password"),
            Choice("list", "List them: where each one comes from, and when its line last changed"),
        ),
        back=True,
    )

    def possible(text: str) -> str:
        value = chosen(prompt, text)
        if value == "remove" and len(visit.users) == 1:
            raise WrongInput(
                "The last user cannot be removed: nobody could sign in any more.", hint="Add another user first."
            )
        if value != "add" and not visit.users:
            raise WrongInput("Nobody can sign in yet.", hint="Add a user first.")
        return value

    while True:
        do = settled(asker, prompt, possible)
        if isinstance(do, Back):
            return do
        intent = _of_user(do, visit, asker)  # type: ignore[arg-type]  # one of OfUsers
        if not isinstance(intent, Back):
            return intent


def _of_user(do: OfUsers, visit: Visit, asker: Asker) -> Intent | Back:
    now = visit.answers
    match do:
        case "list":
            return Intent("list", now)
        case "add":
            there = Draft(users=tuple(User(name) for name in visit.users))
            heard = ask((UserName(), PasswordSource(), OwnPassword()), there, Known(), asker)
        case _:
            who = _one_of(visit.users, do, asker)
            return who if isinstance(who, Back) else _signed_out(do, who, visit, asker)
    if isinstance(heard, Back):
        return heard
    draft, shown_again = heard
    added = draft.users[-1]
    return Intent(do, now.with_hash(added.name, added.hash), added.name, shown_again)


def _signed_out(do: connections.OfSignedOut, name: str, visit: Visit, asker: Asker) -> Intent | Back:
    """What signs that user out, and whether the open connections end with it. Back leads to the question before."""
    now = visit.answers
    made_up: Mapping[str, str] = {}
    while True:
        if do == "passwd":
            heard = ask_password(name, asker)
            if isinstance(heard, Back):
                return heard
            answers, made_up = now.with_hash(name, heard[0].users[-1].hash), heard[1]
        elif not _sure(do, name, asker):
            return BACK
        else:
            answers = now.without_user(name) if do == "remove" else now.with_cookies_revoked(visit.cookies(name))
        if not visit.connected():
            return Intent(do, answers, name, made_up, connections.ENDS[do])
        end = agreed(asker, connections.prompt(do, name, back=True))
        if not isinstance(end, Back):
            return Intent(do, answers, name, made_up, end)


def ask_password(name: str, asker: Asker) -> tuple[Draft, dict[str, str]] | Back:
    """A draft with that user alone, and a new password; the dict holds it where it is to be shown once more."""
    return ask((PasswordSource(), OwnPassword()), Draft(at="password", name=name), Known(), asker)


def _sure(do: Literal["remove", "sign-out"], name: str, asker: Asker) -> bool:
    text, about = {
        "remove": (f"Remove {name}?", f"{name} is signed out at once."),
        "sign-out": (f"Sign {name} out?", f"Every browser of {name} asks for the password again."),
    }[do]
    return agreed(asker, Prompt("sure", text, about, "--yes", "confirm", "no", back=True)) is True


def _one_of(users: Sequence[str], do: OfUsers, asker: Asker) -> str | Back:
    about = {
        "passwd": "Whose password should change?",
        "remove": "Who should no longer be able to sign in?",
        "sign-out": "Who should be signed out, in every browser?",
    }[do]
    choices = tuple(Choice(name, name) for name in users)
    return picked(asker, Prompt("who", "Who?", about, "NAME", "choice", users[0], choices=choices, back=True))
