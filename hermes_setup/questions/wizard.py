"""Which question comes next. Pure: no screen, no keyboard, no machine.

    walk(draft, known, asker, keep)    asks until nothing is missing
    next_question(draft, known)        the question whose answer is missing, None when nothing is
    take(draft, question, text, known) the draft with that answer, or WrongInput

A Draft holds the answers so far, and is kept after each of them. An answer that is there is not asked again; going
back means to stand in an earlier Draft. A password is never part of a Draft: it is hashed as soon as it is right.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol, TypeVar

from hermes_setup import passwords
from hermes_setup.answers import table as table_of
from hermes_setup.answers.answers import Answers, User, Webhooks
from hermes_setup.answers.fields import Backend, Domain, Issuer, parse_email, parse_user, webhooks_host, worldwide
from hermes_setup.answers.platforms import Endpoint
from hermes_setup.errors import WrongInput
from hermes_setup.values import dataclass, field, replace

T = TypeVar("T")

PRIVATE_ENDINGS = ("localhost", "local", "test", "internal", "home.arpa", "lan", "invalid", "example", "onion")
"""No public CA signs names under these (RFC 2606, 6761, 6762, 7686, 8375; ICANN's .internal); .lan is only custom."""


@dataclass(frozen=True)
class Choice:
    """One line of a list: `value` is the answer, `label` what is read, `key` what is typed (else its number)."""

    value: str
    label: str
    key: str = ""


@dataclass(frozen=True)
class Question:
    """A question, as data. `flag` is what answers it where nobody can be asked.

    `default` is the machine's proposal, taken by Enter alone (of a choice: its value). `typed` is the user's own
    earlier text, there to be edited. `secret` is a made-up password that the question shows.
    """

    key: str
    text: str
    help: str
    flag: str
    kind: Literal["text", "password", "choice", "confirm"] = "text"
    default: str = ""
    typed: str = ""
    choices: tuple[Choice, ...] = ()
    back: bool = False
    secret: str = field(default="", repr=False)


@dataclass(frozen=True)
class Back:
    """The answer that is none: the question before this one is wanted."""


BACK = Back()


class Asker(Protocol):
    """Someone to ask: a keyboard, or a list of answers in a test."""

    def ask(self, question: Question, error: str = "") -> str | Back:
        """The answer as it was typed; `error` says what was wrong with the one before. ^C raises KeyboardInterrupt."""
        ...

    def tell(self, line: str) -> None:
        """The line has been shown."""
        ...


@dataclass(frozen=True)
class Known:
    """What the machine says already: proposals, and what need not be asked."""

    fqdn: str = ""  # a guess at this server's name
    backends: tuple[Backend, ...] = ()  # those that proved to be Hermes
    addresses: tuple[str, ...] = ()  # of this server
    users: tuple[str, ...] = ()  # who has a line in the password file
    login: str = ""  # who is at the keyboard (SUDO_USER), a guess at the first name
    previous: Answers | None = None
    idle: str = ""  # whose installed Hermes nobody runs
    hooks: tuple[Endpoint, ...] = ()  # gateway platforms that listen
    given: tuple[User, ...] = ()  # users of this conversation, who may have been gone back over


Place = Literal["name", "password", "own", "more", "done"]


@dataclass(frozen=True)
class Draft:
    """The answers so far. None: not asked yet. `at` is how far the conversation about users has come."""

    domain: Domain | None = None
    email: str | None = None
    issuer: Issuer | None = None
    users: tuple[User, ...] = ()
    backend: Backend | None = None
    service: bool | None = None
    webhooks: Webhooks | None = None
    hooked: Literal["", "own", "done"] = ""  # how far the conversation about webhooks has come
    redirect: bool | None = None  # the names before this one lead to it
    other_ca: bool = False
    at: Place = "name"
    name: str = ""  # of the user whose password comes next

    @property
    def complete(self) -> bool:
        """True when Answers can be made of it."""
        mail = self.email is not None or (self.issuer is not None and self.issuer.self_signed)
        return self.domain is not None and self.issuer is not None and mail and bool(self.users) and self.at == "done"

    def answers(self, base: Answers | None = None) -> Answers:
        """The Answers; what was never asked here (the firewall, ...) is as in `base`. Call it when `complete`."""
        if self.domain is None or self.issuer is None:
            raise ValueError("the draft is not complete")
        made = Answers(
            self.domain,
            self.issuer,
            self.users,
            self.email or "",
            self.backend,
            service=self.service is True,
            webhooks=self.webhooks,
        )
        if base is None:
            return made
        gone = tuple(name for name in base.removed if name not in {user.name for user in made.users})
        return replace(
            made,
            firewall=base.firewall,
            public_addresses=base.public_addresses,
            service=base.service if self.service is None else self.service,
            allow=base.allow,
            removed=gone,
            revoked=base.revoked,
            webhooks=base.webhooks if self.webhooks is None else self.webhooks,
            redirects=self.leading(base),
            former_names=base.former_names,
        )

    def leading(self, base: Answers | None) -> tuple[Domain, ...]:
        """The names by which this dashboard went in `base`, where they are to lead to the domain."""
        return earlier(base, self.domain) if base and self.domain and self.redirect is not False else ()

    @classmethod
    def again(cls, previous: Answers) -> Draft:
        """A draft for changing the answers of a machine that is set up: all is asked anew but its users."""
        return cls(users=previous.users, at="done") if previous.users else cls()

    def to_table(self) -> dict[str, object]:
        """The draft as JSON holds it. Hashes, never a password."""
        table: dict[str, object] = {"at": "password" if self.at == "own" else self.at, "name": self.name}
        if self.domain is not None:
            table["domain"] = self.domain.ascii
        if self.email is not None:
            table["email"] = self.email
        if self.issuer is not None:
            table["certificate"] = self.issuer.text
        if self.backend is not None:
            table["backend"] = str(self.backend)
        if self.service is not None:
            table["service"] = self.service
        if self.hooked == "done":
            table["webhooks"] = table_of.field("webhooks").write(self.webhooks)
        table["users"] = [{"name": user.name, "hash": user.hash, "origin": user.origin} for user in self.users]
        return table

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> Draft:
        """What `to_table` gave. Raises WrongInput for anything else: then it is asked from the start."""
        domain, email, issuer, backend = (_text(table, key) for key in ("domain", "email", "certificate", "backend"))
        at, name = _text(table, "at"), _text(table, "name") or ""
        users = table.get("users")
        if at not in ("name", "password", "more", "done") or not isinstance(users, list):
            raise _torn()
        if (at == "password") != bool(name) or (at in ("more", "done") and not users):
            raise _torn()
        return cls(
            domain=None if domain is None else Domain.parse(domain),
            email=None if email is None else parse_email(email),
            issuer=None if issuer is None else Issuer.parse(issuer),
            users=tuple(_user(entry) for entry in users),
            backend=None if backend is None else Backend.parse(backend),
            service=table["service"] if isinstance(table.get("service"), bool) else None,  # type: ignore[arg-type]  # just seen
            webhooks=_webhooks_of(table.get("webhooks"), None if domain is None else Domain.parse(domain)),
            hooked="done" if "webhooks" in table else "",
            at=at,  # type: ignore[arg-type]  # one of the four words, seen above
            name=parse_user(name) if name else "",
        )


def _text(table: Mapping[str, object], key: str) -> str | None:
    value = table.get(key)
    if value is not None and not isinstance(value, str):
        raise _torn()
    return value


def _webhooks_of(value: object, domain: Domain | None) -> Webhooks | None:
    if value is None:
        return None
    found = table_of.read_fields({"domain": domain.ascii if domain else "", "webhooks": value}, without_empty=True)
    webhooks: Webhooks = found["webhooks"]
    return webhooks


def earlier(base: Answers, domain: Domain) -> tuple[Domain, ...]:
    """The names by which this dashboard went before, when it is to be called `domain`."""
    return tuple(each for each in (*base.redirects, base.domain) if each != domain)


def _user(entry: object) -> User:
    if not isinstance(entry, dict):
        raise _torn()
    name, hashed, origin = (entry.get(key) for key in ("name", "hash", "origin"))
    if not isinstance(name, str) or not isinstance(hashed, str) or origin not in ("answers", "menu"):
        raise _torn()
    if hashed and not passwords.is_hash(hashed):
        raise _torn()
    return User(parse_user(name), hashed, origin)


def _torn() -> WrongInput:
    return WrongInput("The answers kept from last time cannot be read.", hint="Answer the questions once more.")


# ---- the questions, in their order ----


def next_question(draft: Draft, known: Known) -> Question | None:
    """The first question whose answer is missing; None when all are there."""
    if draft.domain is None:
        return _ask_domain(known)
    if draft.redirect is None and known.previous and (old := earlier(known.previous, draft.domain)):
        return ask_redirect(draft.domain, old)
    if draft.issuer is None:
        return ask_ca(known) if draft.other_ca else ask_certificate(draft.domain, known)
    if draft.email is None and not draft.issuer.self_signed:
        return ask_email(known)
    match draft.at:
        case "name":
            return _ask_name(draft, known)
        case "password":
            return _ask_how(draft.name, known)
        case "own":
            return _ask_password(draft.name)
        case "more":
            return _ask_more(draft)
        case "done":
            if draft.backend is None and len(known.backends) > 1:
                return _ask_backend(known)
            if draft.service is None and known.idle and not known.backends:
                return _ask_service(known)
            if draft.hooked == "own":
                return _ask_hooks_host(draft.domain)
            return (
                _ask_webhooks(draft.domain, known) if not draft.hooked and known.hooks and not known.previous else None
            )


def take(draft: Draft, question: Question, text: str, known: Known) -> Draft:
    """The draft with that answer in it. Raises WrongInput, with the reason and what to type instead."""
    match question.key:
        case "domain":
            return replace(draft, domain=another(Domain.parse(text), known.previous))
        case "redirect":
            return replace(draft, redirect=says_yes(text))
        case "certificate":
            value = chosen(question, text)
            return replace(draft, other_ca=True) if value == "other" else replace(draft, issuer=Issuer.parse(value))
        case "ca":
            issuer = Issuer.parse(text)
            return replace(draft, issuer=issuer, other_ca=False)
        case "email":
            return replace(draft, email=email_or_none(text))
        case "name":
            return replace(draft, name=new_name(draft, text), at="password")
        case "how":
            if chosen(question, text) == "own":
                return replace(draft, at="own")
            return with_user(draft, _as_before(draft.name, known))
        case "password":
            return with_user(draft, _hashed(draft.name, text))
        case "more":
            return replace(draft, at="name" if says_yes(text) else "done")
        case "backend":
            return replace(draft, backend=Backend.parse(chosen(question, text)))
        case "service":
            return replace(draft, service=says_yes(text))
        case "webhooks":
            value = chosen(question, text)
            if value == "no":
                return replace(draft, hooked="done")
            hooked: Literal["own", "done"] = "own" if value == "own" else "done"
            return replace(draft, webhooks=Webhooks(known.hooks), hooked=hooked)
        case "host" if draft.domain is not None and draft.webhooks is not None:
            hooks = replace(draft.webhooks, host=webhooks_host(text, draft.domain, draft.leading(known.previous)))
            return replace(draft, webhooks=hooks, hooked="done")
    raise AssertionError(question.key)


def email_or_none(text: str) -> str:
    """The address, "" for none, which is typed as a "-" where one stands already. Raises WrongInput."""
    return parse_email("" if text.strip() == "-" else text)


def with_user(draft: Draft, user: User) -> Draft:
    """The draft with that user, and nobody half named."""
    return replace(draft, users=(*draft.users, user), name="", at="more")


def says_yes(text: str) -> bool:
    """True for yes, False for no. Raises WrongInput for anything else: a yes is never guessed."""
    word = text.strip().lower()
    if word in ("y", "yes"):
        return True
    if word in ("n", "no"):
        return False
    raise WrongInput("That is neither yes nor no.", hint="Type y or n.")


def chosen(question: Question, text: str) -> str:
    """The value of one of the question's choices. Raises WrongInput for anything else."""
    value = text.strip()
    if value not in (choice.value for choice in question.choices):
        raise WrongInput(
            "That is none of the choices.", hint="Type the number or the letter that stands before one of them."
        )
    return value


def private(domain: Domain) -> bool:
    """True for a name that no public CA signs."""
    return any(domain.ascii.endswith(f".{ending}") for ending in PRIVATE_ENDINGS)


def _ask_domain(known: Known) -> Question:
    outer = [each for each in known.addresses if worldwide(each)]  # not Docker's own, nor a private network's
    here = " or ".join((outer or known.addresses)[:2])
    return Question(
        "domain",
        "Domain",
        "The name that you will open in the browser, like hermes.example.com."
        + (f" Its DNS record has to point to this server ({here})." if here else ""),
        "domain",
        default="" if known.previous else _domain_or_nothing(known.fqdn),
        typed=known.previous.domain.shown if known.previous else "",
    )


def another(domain: Domain, previous: Answers | None) -> Domain:
    """The domain, once it is none that these answers have for something else. Raises WrongInput."""
    hooks = previous.webhooks if previous else None
    if hooks and hooks.host == domain:
        raise WrongInput(
            f"{domain} is the webhooks' own name, which serves nothing else.",
            hint="Type another name; or first take it from the webhooks (menu, Webhooks).",
        )
    return domain


def tell_ascii(domain: Domain, asker: Asker) -> None:
    """A name in another script is told as DNS has it."""
    if domain.ascii != domain.shown:
        asker.tell(f"{domain.shown} is written {domain.ascii} in DNS and in the certificate.")


def ask_redirect(domain: Domain, old: Sequence[Domain]) -> Question:
    """Whether the old names are to lead to the domain."""
    names = " and ".join(each.shown for each in old)
    return Question(
        "redirect",
        f"Lead {names} to {domain.shown}?",
        "y: who opens an earlier name gets to this one, as long as its DNS record points here. n: nothing answers there any more.",
        "redirect_from",
        "confirm",
        "yes",
    )


def _ask_webhooks(domain: Domain, known: Known) -> Question:
    return Question(
        "webhooks",
        "Webhooks",
        f"Hermes listens for others' requests: {', '.join(each.platform.title for each in known.hooks)}. They come without a "
        "password, as Hermes checks who sends. Let them in?",
        "[webhooks] platforms",
        "choice",
        "no",
        choices=(
            Choice("no", "No, nobody is to send to this Hermes"),
            Choice("here", f"Yes, as paths of {domain.shown}"),
            Choice("own", "Yes, under a name of their own"),
        ),
    )


def _ask_hooks_host(domain: Domain | None, now: Domain | None = None) -> Question:
    parent = domain.ascii.partition(".")[2] if domain and domain.ascii.count(".") > 1 else ""
    return Question(
        "host",
        "Webhooks' name",
        "A name that serves the webhooks and nothing else. Its DNS record has to point to this server, too.",
        "[webhooks] host",
        default="" if now or not parent else f"hooks.{parent}",
        typed=now.shown if now else "",
    )


def _domain_or_nothing(text: str) -> str:
    try:
        domain = Domain.parse(text)
    except WrongInput:
        return ""
    return "" if domain.ascii.endswith((".localdomain", ".internal", ".local")) else domain.shown


def ask_certificate(domain: Domain, known: Known) -> Question:
    """Who is to sign; the choice `other` leads to `ask_ca`."""
    choices = [
        Choice("letsencrypt", "Let's Encrypt: free, browsers trust it"),
        Choice("letsencrypt-staging", "Let's Encrypt, practice: browsers warn"),
        Choice("self-signed", "Self-signed: no CA, browsers warn"),
        Choice("other", "Another ACME CA"),
    ]
    default, about = "letsencrypt", "It proves to browsers that this is your server. Let's Encrypt suits nearly all."
    if private(domain):
        default, about = "self-signed", f"No public CA signs names like {domain.shown}, so this server signs it itself."
    elif known.previous:
        words = [choice.value for choice in choices]
        default = known.previous.issuer.text if known.previous.issuer.text in words else "other"
    return Question("certificate", "Certificate", about, "certificate", "choice", default, choices=tuple(choices))


def ask_ca(known: Known) -> Question:
    """Which other CA."""
    return Question(
        "ca",
        "ACME directory",
        "The https:// address that your CA gives for ACME clients.",
        "certificate",
        typed=known.previous.issuer.directory if known.previous and not known.previous.issuer.public else "",
    )


def ask_email(known: Known) -> Question:
    """The CA's account's address; see `email_or_none`."""
    before = known.previous.email if known.previous else ""
    return Question(
        "email",
        "E-mail",
        f"Only the certificate authority gets it. May stay empty{' (type -)' if before else ''}.",
        "email",
        typed=before,
    )


def _ask_name(draft: Draft, known: Known) -> Question:
    login = known.login if not draft.users and known.login != "root" else ""
    try:
        guess = parse_user(login) if login else ""
    except WrongInput:
        guess = ""
    about = "Who may sign in to the dashboard? A short name, like alice." if not draft.users else "The next one's name."
    return Question("name", "User name", about, "[[users]] name", default=guess)


def _ask_how(name: str, known: Known) -> Question:
    choices = [Choice("make", "Make one up, and show it once"), Choice("own", "I type my own, twice")]
    about = "It guards a program that can do anything here, so make it hard to guess."
    if name in known.users or any(user.name == name for user in known.given):
        choices.insert(0, Choice("keep", "Keep the one from before"))
        about = f"{name} has a password already."
    return Question(
        "how",
        f"Password for {name}",
        about,
        "--generate or --password-stdin",
        "choice",
        choices[0].value,
        choices=tuple(choices),
    )


def _ask_password(name: str) -> Question:
    return Question(
        "password",
        f"Password for {name}",
        f"{passwords.SHORTEST} characters or more; three or four unrelated words are good.",
        "--password-stdin",
        "password",
    )


def _ask_again(name: str) -> Question:
    return Question(
        "again",
        f"Again, for {name}",
        "The same once more: a slip of the finger would lock you out.",
        "--password-stdin",
        "password",
        back=True,
    )


def _ask_saved(name: str, password: str) -> Question:
    return Question(
        "saved",
        "Have you saved it? (n: it is shown once more at the end)",
        f"The new password for {name}. Put it into your password manager now.",
        "--generate",
        "confirm",
        back=True,
        secret=password,
    )


def _ask_more(draft: Draft) -> Question:
    names = ", ".join(user.name for user in draft.users)
    return Question(
        "more", "Another user?", f"So far: {names}. Users can be added later, too.", "[[users]]", "confirm", "no"
    )


def _ask_backend(known: Known) -> Question:
    return Question(
        "backend",
        "Which Hermes?",
        "More than one Hermes dashboard runs here; choose the one to open.",
        "backend",
        "choice",
        str(known.backends[0]),
        choices=tuple(Choice(str(backend), str(backend)) for backend in known.backends),
    )


def _ask_service(known: Known) -> Question:
    return Question(
        "service",
        "Run Hermes as a service?",
        f"Hermes is installed here for {known.idle}, and does not run. As a service it starts now, and again after each reboot.",
        "service",
        "confirm",
        "yes",
    )


GO_AHEAD = Question(
    "go",
    "Go ahead?",
    "None of this has been done yet. y makes these changes, n leaves everything as it is.",
    "--yes",
    "confirm",
    back=True,
)
"""No default: only a clear yes changes a machine."""


def new_name(draft: Draft, text: str) -> str:
    """The name of a user who is not in the draft yet. Raises WrongInput."""
    name = parse_user(text)
    if any(user.name == name for user in draft.users):
        raise WrongInput(f"{name} is there already.", hint="Type another name.")
    return name


def _as_before(name: str, known: Known) -> User:
    return next((user for user in known.given if user.name == name), User(name))


def _hashed(name: str, text: str) -> User:
    return User(name, passwords.hash_password(passwords.check_password(text, user=name)))


# ---- the conversation ----


def walk(
    draft: Draft,
    known: Known,
    asker: Asker,
    keep: Callable[[Draft], None],
    *,
    back: bool = False,
    later: Mapping[str, str] | None = None,
    look: Callable[[Known], Known] | None = None,
) -> tuple[Draft, dict[str, str]]:
    """Nothing is missing in the draft any more; `keep` was called after every answer.

    What is in the draft already is told, a line each, and not asked; one can go back to it. The second value holds the
    made-up passwords that the user asked to see once more at the end; all others have been shown and are known here no
    longer. `look` adds to what is known; it is called once the first question is answered, which need not wait for it.
    After Back at "Go ahead?", call it again with `back`, which starts at the last question, and with `later`,
    what it gave before.
    """
    known = replace(known, given=(*known.given, *draft.users))
    if look and draft.domain is not None:
        known, look = look(known), None
    trail = _steps(draft, known)
    said = _texts(draft, trail, known)
    end = dict(later or {})
    if not back:
        for line in _told(draft):
            asker.tell(line)
    elif trail:
        draft = trail.pop()
    while (plain := next_question(draft, known)) is not None:
        spot = _spot(draft, plain)
        question = replace(_as_said(plain, said.get(spot, "")), back=bool(trail))
        heard = _hear(question, draft, known, asker, end)
        if isinstance(heard, Back):
            if trail:
                draft = trail.pop()
            else:
                asker.tell("This is the first question. Ctrl-C stops.")
            continue
        text, after = heard
        if plain.kind != "password":
            said[spot] = text
        if after.domain is not None and after.domain != draft.domain:
            tell_ascii(after.domain, asker)
        if look:
            known, look = look(known), None
        known = replace(known, given=_newest(known.given, after.users))
        trail.append(draft)
        draft = after
        keep(draft)
    return draft, {name: password for name, password in end.items() if any(user.name == name for user in draft.users)}


def _hear(
    question: Question, draft: Draft, known: Known, asker: Asker, later: dict[str, str]
) -> tuple[str, Draft] | Back:
    """The answer and the draft with it, once it is right. Each wrong one is told why, in place."""
    error: str | None = ""
    while True:
        text = asker.ask(question, error or "")
        if isinstance(text, Back):
            return text
        try:
            if question.key == "how" and chosen(question, text) == "make":
                error = ""
                user = _made_up(draft.name, asker, later)
                if user is not None:
                    return text, with_user(draft, user)
                continue
            if question.key == "password":
                passwords.check_password(text, user=draft.name)
                error = _typed_again(draft.name, text, asker)
                if error is not None:
                    continue
                later.pop(draft.name, None)
            return text, take(draft, question, text, known)
        except WrongInput as wrong:
            error = told(wrong)
            question = replace(question, typed=wrong.instead or text) if question.kind == "text" else question


def _made_up(name: str, asker: Asker, later: dict[str, str]) -> User | None:
    """A user with a new password that has been shown; None when the user would rather go back."""
    password = passwords.make_password()
    question, error = _ask_saved(name, password), ""
    while True:
        reply = asker.ask(question, error)
        if isinstance(reply, Back):
            return None
        try:
            saved = says_yes(reply)
        except WrongInput as wrong:
            error, question = told(wrong), replace(question, secret="")
            continue
        later.pop(name, None)
        if not saved:
            later[name] = password
        return User(name, passwords.hash_password(password))


def _typed_again(name: str, first: str, asker: Asker) -> str | None:
    """None when it was typed the same again; else what to say before it is asked anew ("" after going back)."""
    reply = asker.ask(_ask_again(name))
    if isinstance(reply, Back):
        return ""
    if unicodedata.normalize("NFC", reply) == unicodedata.normalize("NFC", first):
        return None
    return "The two are not the same, so neither was taken. Type the password again."


def told(wrong: WrongInput) -> str:
    """What was wrong and what to type instead, in one text."""
    return f"{wrong.message} {wrong.hint}".strip()


def _newest(given: Sequence[User], users: Sequence[User]) -> tuple[User, ...]:
    now = {user.name for user in users}
    return (*(user for user in given if user.name not in now), *users)


def _as_said(question: Question, text: str) -> Question:
    """The question with the earlier answer to be edited, or chosen beforehand."""
    if not text or question.kind == "password":
        return question
    if question.kind == "text":
        return replace(question, typed=text)
    if question.kind == "choice" and text not in (choice.value for choice in question.choices):
        return question
    if question.kind == "confirm":
        return replace(question, default="yes" if says_yes(text) else "no")
    return question if question.key == "how" else replace(question, default=text)


def _spot(draft: Draft, question: Question) -> tuple[str, int]:
    """Where in the conversation this question stands: the second user's name is another spot than the first one's."""
    return question.key, len(draft.users) if question.key in ("name", "how", "own", "more") else 0


def _steps(draft: Draft, known: Known) -> list[Draft]:
    """The drafts in which the questions behind these answers stood, oldest first."""
    steps: list[Draft] = []
    now = Draft()
    if known.previous is not None and draft.users == known.previous.users:
        now = Draft.again(known.previous)
    named = replace(now, domain=draft.domain, redirect=draft.redirect)
    goals = [
        replace(now, domain=draft.domain),
        named,
        replace(named, issuer=draft.issuer),
        replace(named, issuer=draft.issuer, email=draft.email),
    ]
    for goal in goals:
        if goal != now:
            steps.append(now)
            now = goal
    if not now.users:
        for user in draft.users:
            steps.append(replace(now, at="name"))
            now = with_user(now, user)
            if user is not draft.users[-1] or draft.at != "more":
                steps.append(now)
    if draft.backend is not None:
        steps.append(replace(now, at="done"))
    if draft.service is not None:
        steps.append(replace(now, at="done", backend=draft.backend))
    if draft.hooked == "done" and known.hooks:
        steps.append(replace(now, at="done", backend=draft.backend, service=draft.service))
    if draft.at == "password":
        steps.append(replace(now, at="name"))
    return steps


def _texts(draft: Draft, steps: Sequence[Draft], known: Known) -> dict[tuple[str, int], str]:
    """What was answered at each of those steps, as far as it may be known again."""
    said: dict[tuple[str, int], str] = {}
    for step in steps:
        question = next_question(step, known)
        if question is None:
            continue
        count = len(step.users)
        match question.key:
            case "domain" if draft.domain:
                text = draft.domain.shown
            case "certificate" if draft.issuer:
                words = [choice.value for choice in question.choices]
                text = draft.issuer.text if draft.issuer.text in words else "other"
                said["ca", 0] = draft.issuer.directory if text == "other" else ""
            case "email":
                text = draft.email or ""
            case "name":
                text = draft.users[count].name if count < len(draft.users) else draft.name
            case "more":
                text = "yes" if count < len(draft.users) or draft.at in ("name", "password", "own") else "no"
            case "backend":
                text = str(draft.backend)
            case "service" if draft.service is not None:
                text = "yes" if draft.service else "no"
            case "redirect" if draft.redirect is not None:
                text = "yes" if draft.redirect else "no"
            case "webhooks":
                text = "no" if not draft.webhooks else "own" if draft.webhooks.host else "here"
                said["host", 0] = draft.webhooks.host.shown if draft.webhooks and draft.webhooks.host else ""
            case _:
                text = ""
        said[_spot(step, question)] = text
    return said


def _told(draft: Draft) -> list[str]:
    """A line for each answer that is there already."""
    lines = []
    if draft.domain is not None:
        lines.append(f"Domain: {draft.domain.label} (from last time)")
    if draft.issuer is not None:
        lines.append(f"Certificate: {draft.issuer.text} (from last time)")
    if draft.email is not None:
        lines.append(f"E-mail: {draft.email or 'none'} (from last time)")
    if draft.users:
        lines.append(f"Users: {', '.join(user.name for user in draft.users)} (from last time, with their passwords)")
    if draft.backend is not None:
        lines.append(f"Hermes: {draft.backend} (from last time)")
    if draft.service is not None:
        lines.append(f"Hermes as a service: {'yes' if draft.service else 'no'} (from last time)")
    if draft.hooked == "done":
        told = ", ".join(map(str, draft.webhooks.endpoints)) if draft.webhooks else "none"
        lines.append(f"Webhooks: {told} (from last time)")
    return lines


def settled(asker: Asker, question: Question, parse: Callable[[str], T]) -> T | Back:
    """What `parse` made of the answer, or Back. Each answer that it refuses is told why, in place."""
    error = ""
    while True:
        reply = asker.ask(question, error)
        if isinstance(reply, Back):
            return reply
        try:
            return parse(reply)
        except WrongInput as wrong:
            error = told(wrong)
            question = replace(question, typed=wrong.instead or reply) if question.kind == "text" else question


def agreed(asker: Asker, question: Question) -> bool | Back:
    """A clear yes or no to a question of kind confirm, or Back."""
    return settled(asker, question, says_yes)


def what_now(
    asker: Asker, *, waiting: bool = False, unfit: bool = False, kept: bool = True
) -> Literal["wait", "again", "domain", "back", "quit"]:
    """What is wanted after a check that blocks: look once more, go back to the answers, or stop here.

    `waiting`: or to wait for it to change by itself, which is proposed then. `unfit`: or to type another domain.
    `kept`: the answers are on the disk, so that another run can go on with them.
    """
    wait = Choice("wait", "Wait here: look every half minute, and go on by itself")
    question = Question(
        "blocked",
        "What now?",
        f"Nothing has been changed. {'Your answers are kept.' if kept else 'Stop here, and the change is forgotten.'}",
        "apply --answers FILE.toml",
        "choice",
        "wait" if waiting else "again",
        choices=(
            *([wait] if waiting else []),
            Choice("again", "I have mended it: look again"),
            *([Choice("domain", "Type another domain")] if unfit else []),
            Choice("back", "Change my answers"),
            Choice("quit", "Stop here; hermes-setup goes on from here later" if kept else "Stop here"),
        ),
    )
    value = settled(asker, question, lambda text: chosen(question, text))
    match value:
        case "wait" | "again" | "domain" | "back":
            return value
        case _:
            return "quit"


def new_password(name: str, asker: Asker) -> tuple[User, dict[str, str]] | Back:
    """That user with a new password, made up or typed twice; the dict is as `walk` has it."""
    later: dict[str, str] = {}
    start = Draft(at="password", name=name)
    draft, blank = start, Known()
    while True:
        question = _ask_password(name) if draft.at == "own" else _ask_how(name, blank)
        heard = _hear(replace(question, back=True), draft, blank, asker, later)
        if isinstance(heard, Back):
            if draft == start:
                return heard
            draft = start
            continue
        draft = heard[1]
        if draft.users:
            return draft.users[0], later
