"""What is wanted of a machine that is set up: the questions of the second visit. Pure, as the wizard's.

    menu(visit, asker)    a Wish: what to do, and the answers that a run is to make true

Back in a question leads to the one before it, at last to the menu, and in the menu it quits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from hermes_setup import phrases
from hermes_setup.answers import fields
from hermes_setup.answers.answers import Answers, User, Webhooks
from hermes_setup.answers.fields import Backend, Domain, Issuer, parse_allow, permits, webhooks_host
from hermes_setup.answers.platforms import Endpoint, parse_endpoints
from hermes_setup.errors import WrongInput
from hermes_setup.questions.wizard import (
    BACK,
    Asker,
    Back,
    Choice,
    Draft,
    Known,
    Question,
    agreed,
    another,
    ask_ca,
    ask_certificate,
    ask_email,
    ask_redirect,
    chosen,
    earlier,
    email_or_none,
    new_name,
    new_password,
    settled,
    tell_ascii,
)
from hermes_setup.stages.addresses.ssh import SshSession
from hermes_setup.values import dataclass, field, replace

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
    backends: Callable[[], Sequence[Backend]] = tuple  # those that proved to be Hermes
    idle: Callable[[], str] = str  # whose installed Hermes nobody runs
    cookies: Callable[[str], tuple[str, ...]] = lambda _name: ()  # digests of that user's cookies


@dataclass(frozen=True)
class Wish:
    """`answers` are those of before where nothing is to change. `who` is the user whom it is about, if one.

    `made_up` holds a made-up password that is to be shown once more at the end.
    """

    do: Do
    answers: Answers
    who: str = ""
    made_up: Mapping[str, str] = field(default_factory=dict, repr=False)


def menu(visit: Visit, asker: Asker) -> Wish:
    """What the user wants, with all that it needs."""
    now = visit.answers
    issuer = "self-signed" if now.issuer.self_signed else fields.ca_name(now.issuer.directory)
    pending = "a check blocks" if visit.pending is None else "nothing" if not visit.pending else f"{visit.pending}"
    choices = (
        Choice("users", f"Users (now: {phrases.listed(visit.users) or 'nobody'})"),
        Choice("addresses", f"Allowed addresses (now: {_listed(now.allow)})"),
        Choice("webhooks", f"Webhooks (now: {_let_in(now.webhooks)})"),
        Choice("domain", f"Domain (now: {now.domain.shown})"),
        Choice("certificate", f"Certificate (now: {issuer})"),
        Choice(
            "hermes", f"Hermes (now: {now.backend or 'where it is found'}{', as a service' if now.service else ''})"
        ),
        Choice("check", "Check everything"),
        Choice("show", f"Show what would be changed (now: {pending}), and do it"),
        Choice("undo", "Undo the last run"),
        Choice("quit", "Quit", "q"),
    )
    question = Question(
        "menu",
        "What next?",
        "Each of these shows what it would change, and asks, before it does anything.",
        "users, doctor, undo, apply",
        "choice",
        "show" if visit.pending else "check" if visit.pending is None else "users",
        choices=choices,
    )
    while True:
        do = settled(asker, question, lambda text: chosen(question, text))
        match do:
            case "users":
                wish = _users(visit, asker)
            case "addresses":
                allow = allowed_addresses(asker, now.allow, visit.session, lockout=visit.lockout)
                wish = allow if isinstance(allow, Back) else Wish("addresses", replace(now, allow=allow))
            case "webhooks":
                hooks = which_webhooks(asker, now, visit.listening())
                wish = hooks if isinstance(hooks, Back) else Wish("webhooks", replace(now, webhooks=hooks))
            case "domain":
                wish = _domain(now, asker)
            case "certificate":
                wish = _certificate(now, asker)
            case "hermes":
                wish = _hermes(visit, asker)
            case "check" | "show" | "undo":
                return Wish(do, now)
            case _:
                return Wish("quit", now)
        if not isinstance(wish, Back):
            return wish


# ---- users ----


def _users(visit: Visit, asker: Asker) -> Wish | Back:
    question = Question(
        "users",
        "Users",
        "Who may sign in. Many at once, from a file: sudo hermes-setup users add --from FILE",
        "users list | add | passwd | remove | sign-out",
        "choice",
        "add",
        choices=(
            Choice("add", "Add one"),
            Choice("passwd", "Change a password"),
            Choice("remove", "Remove one"),
            Choice("sign-out", "Sign one out everywhere (a lost phone)"),
            Choice("list", "List them: how each came, and when the line was changed"),
        ),
        back=True,
    )

    def possible(text: str) -> str:
        value = chosen(question, text)
        if value == "remove" and len(visit.users) == 1:
            raise WrongInput(
                "The last user cannot be removed: nobody could sign in any more.", hint="Add another user first."
            )
        if value != "add" and not visit.users:
            raise WrongInput("Nobody can sign in yet.", hint="Add a user first.")
        return value

    while True:
        do = settled(asker, question, possible)
        if isinstance(do, Back):
            return do
        wish = _of_user(do, visit, asker)  # type: ignore[arg-type]  # one of OfUsers
        if not isinstance(wish, Back):
            return wish


def _of_user(do: OfUsers, visit: Visit, asker: Asker) -> Wish | Back:
    now = visit.answers
    if do == "list":
        return Wish("list", now)
    name = _another_name(visit.users, asker) if do == "add" else _one_of(visit.users, do, asker)
    if isinstance(name, Back):
        return name
    others = tuple(user for user in now.users if user.name != name)
    if do in ("remove", "sign-out"):
        words = (
            (f"Remove {name}?", f"{name} is signed out at once.")
            if do == "remove"
            else (f"Sign {name} out?", f"Every browser of {name} asks for the password again.")
        )
        sure = agreed(asker, Question("sure", *words, "--yes", "confirm", "no", back=True))
        if sure is not True:
            return BACK
        if do == "remove":
            return Wish(do, replace(now, users=others, removed=(*now.removed, name)), name)
        return Wish(do, replace(now, revoked=(*now.revoked, *visit.cookies(name))), name)
    made = new_password(name, asker)
    if isinstance(made, Back):
        return made
    was = next((user for user in now.users if user.name == name), User(name, origin="menu"))
    new = replace(was, hash=made[0].hash)  # a new password does not change who gave the user
    gone = tuple(each for each in now.removed if each != name)
    return Wish(do, replace(now, users=(*others, new), removed=gone), name, made[1])


def _another_name(users: Sequence[str], asker: Asker) -> str | Back:
    there = Draft(users=tuple(User(name) for name in users))
    question = Question("name", "User name", "Who may sign in to the dashboard, too?", "NAME", back=True)
    return settled(asker, question, lambda text: new_name(there, text))


def _one_of(users: Sequence[str], do: OfUsers, asker: Asker) -> str | Back:
    about = {
        "passwd": "Whose password is changed?",
        "remove": "Who may not sign in any more?",
        "sign-out": "Who is signed out, in every browser?",
    }
    question = Question(
        "who",
        "Who?",
        about[do],
        "NAME",
        "choice",
        users[0],
        choices=tuple(Choice(name, name) for name in users),
        back=True,
    )
    return settled(asker, question, lambda text: chosen(question, text))


# ---- the names and the certificate ----


def _domain(now: Answers, asker: Asker) -> Wish | Back:
    question = Question(
        "domain",
        "Domain",
        "The new name; its DNS record has to point to this server. The old one goes on working until the new one has its "
        "certificate.",
        "domain",
        typed=now.domain.shown,
        back=True,
    )
    while True:
        domain = settled(asker, question, lambda text: another(Domain.parse(text), now))
        if isinstance(domain, Back):
            return domain
        if domain != now.domain:
            tell_ascii(domain, asker)
        old = earlier(now, domain)
        leads = agreed(asker, replace(ask_redirect(domain, old), back=True)) if old else False
        if not isinstance(leads, Back):
            return Wish("domain", replace(now, domain=domain, redirects=old if leads else ()))
        question = replace(question, typed=domain.shown)


def _certificate(now: Answers, asker: Asker) -> Wish | Back:
    known = Known(previous=now)
    question = replace(ask_certificate(now.domain, known), back=True)
    while True:
        value = settled(asker, question, lambda text: chosen(question, text))
        if isinstance(value, Back):
            return value
        ca = (
            settled(asker, replace(ask_ca(known), back=True), Issuer.parse) if value == "other" else Issuer.parse(value)
        )
        if isinstance(ca, Back):
            continue
        if ca.self_signed:
            return Wish("certificate", replace(now, issuer=ca))
        email = settled(asker, replace(ask_email(known), back=True), email_or_none)
        if not isinstance(email, Back):
            return Wish("certificate", replace(now, issuer=ca, email=email))


# ---- Hermes ----


def _hermes(visit: Visit, asker: Asker) -> Wish | Back:
    now, found = visit.answers, tuple(visit.backends())
    idle = "" if found or now.service else visit.idle()
    choices = [Choice(str(each), f"{each}, where a dashboard runs now") for each in found]
    if idle:
        choices.append(Choice("service", f"Run the Hermes that is installed for {idle}, as a service"))
    choices += [
        Choice("look", "Wherever it is found; as long as there is one"),
        Choice("type", "Another address, on this machine or in its private network"),
    ]
    question = Question(
        "hermes",
        "Which Hermes?",
        f"The dashboard that the site leads to. Now: {now.backend or 'where it is found'}.",
        "backend, service",
        "choice",
        str(now.backend) if now.backend in found else choices[0].value,
        choices=tuple(choices),
        back=True,
    )
    typed = Question(
        "backend",
        "Address and port",
        "Like 127.0.0.1:9120, or 10.0.0.5:9119. What passes to another machine is not encrypted.",
        "backend",
        typed=str(now.backend or ""),
        back=True,
    )
    while True:
        match settled(asker, question, lambda text: chosen(question, text)):
            case Back():
                return BACK
            case "service":
                return Wish("hermes", replace(now, service=True))
            case "look":
                return Wish("hermes", replace(now, backend=None))
            case "type":
                backend = settled(asker, typed, Backend.parse)
            case value:
                backend = Backend.parse(value)
        if not isinstance(backend, Back):
            return Wish("hermes", replace(now, backend=backend))


# ---- allowed addresses ----


def allowed_addresses(
    asker: Asker, allow: Sequence[str], session: SshSession | None, *, lockout: bool = False
) -> tuple[str, ...] | Back:
    """The addresses that the dashboard is to open to, () for all; where this session comes from is offered first."""
    choices = []
    if session and session.network not in allow and not (allow and permits(allow, session.address)):
        whose = "where this ssh session comes from" if session.sure else "most likely where you sit"
        words = f"Add {session.network}, {whose}" if allow else f"Only {session.network}, {whose}"
        choices.append(Choice("here", words))
    choices.append(Choice("type", "Change the list" if allow else "Type a list"))
    if allow:
        choices.append(Choice("all", "Every address again, with a password as before"))
    question = Question(
        "addresses",
        "Open to whom?",
        "Others get a page that names their address, before any password is asked. "
        f"Now the dashboard opens to: {_listed(allow)}.",
        "allow",
        "choice",
        choices[0].value,
        choices=tuple(choices),
        back=True,
    )
    listed = Question(
        "list",
        "Addresses",
        "Addresses and networks, with spaces between: 203.0.113.5, 203.0.113.0/24, 2001:db8::/32.",
        "allow",
        typed=" ".join(allow or ([session.network] if session else [])),
        back=True,
    )
    while True:
        match settled(asker, question, lambda text: chosen(question, text)):
            case Back():
                return BACK
            case "all":
                return ()
            case "here" if session:
                return (*allow, session.network)
            case _:
                found = settled(asker, listed, lambda text: typed_list(text, session, lockout=lockout))
        if not isinstance(found, Back):
            return found


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


# ---- webhooks ----


def which_webhooks(asker: Asker, answers: Answers, listening: Sequence[Endpoint]) -> Webhooks | Back | None:
    """The platforms to be let in, and under which name; None for nobody. What listens here is offered first."""
    now, domain = answers.webhooks, answers.domain
    choices = []
    if listening and (now is None or set(listening) != set(now.endpoints)):
        choices.append(Choice("these", f"Those that listen here: {', '.join(map(str, listening))}"))
    choices.append(Choice("type", "Change the list, or the name" if now else "Type a list"))
    if now:
        choices.append(Choice("none", "Nobody any more"))
    seen = ", ".join(f"{each.platform.title} ({each})" for each in listening) or "none found"
    question = Question(
        "webhooks",
        "Webhooks from whom?",
        f"Others send to these without a password; Hermes checks who sends. Listening here: {seen}. Let in now: {_let_in(now)}.",
        "[webhooks] platforms",
        "choice",
        choices[0].value,
        choices=tuple(choices),
        back=True,
    )
    platforms = Question(
        "platforms",
        "Platforms",
        "Hermes's own names, with spaces between: webhook, sms, whatsapp_cloud, telegram, teams, line, ... With a port that is "
        "not the usual one: webhook:9000.",
        "[webhooks] platforms",
        typed=" ".join(map(str, now.endpoints if now else listening)),
        back=True,
    )
    name = Question(
        "host",
        "Name for webhooks",
        f"{domain.shown}, as paths of it; or a name that serves them alone, like hooks.example.com: then its DNS record has "
        "to point to this server, too.",
        "[webhooks] host",
        typed=((now.host if now else None) or domain).shown,
        back=True,
    )
    while True:
        match settled(asker, question, lambda text: chosen(question, text)):
            case Back():
                return BACK
            case "none":
                return None
            case "these":
                hooks: tuple[Endpoint, ...] | Back = tuple(listening)
            case _:
                hooks = settled(asker, platforms, _some_hooks)
        if isinstance(hooks, Back):
            continue
        host = settled(asker, name, lambda text: (webhooks_host(text, domain, answers.redirects),))
        if not isinstance(host, Back):
            return Webhooks(hooks, host[0], now.allow if now else ())


def _some_hooks(text: str) -> tuple[Endpoint, ...]:
    if found := parse_endpoints(text.replace(",", " ").split()):
        return found
    raise WrongInput("That is an empty list.", hint="< goes back.")


def _let_in(webhooks: Webhooks | None) -> str:
    return ", ".join(map(str, webhooks.endpoints)) if webhooks else "none"


def _listed(allow: Sequence[str]) -> str:
    return ", ".join(allow) if 0 < len(allow) < 3 else f"{len(allow)} networks" if allow else "all"
