"""Who may sign in: a name, a password that is made up or typed twice, and the next one."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from hermes_setup import passwords
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.user import User, parse_user
from hermes_setup.errors import WrongInput
from hermes_setup.questions.addresses import allowed_row
from hermes_setup.questions.draft import Draft, Known
from hermes_setup.questions.prompt import Asker, Back, Choice, Prompt, chosen, refused, says_yes, settled
from hermes_setup.questions.question import Question
from hermes_setup.values import replace


class UserName(Question):
    """The name of the next user."""

    key = "name"
    for_each_user = True

    def is_open(self, draft: Draft, known: Known) -> bool:
        """Until somebody is named."""
        return draft.at == "name"

    def prompt(self, draft: Draft, known: Known) -> Prompt:
        """Who is at the keyboard is proposed first."""
        about = "Who may sign in to the dashboard? A short name, like alice."
        if draft.users:
            about = "Who else may sign in? A short name, like bob."
        return Prompt("name", "User name", about, "[[users]] name", default="" if draft.users else _login(known))

    def take(self, draft: Draft, text: str, known: Known) -> Draft:
        """Nobody twice."""
        name = parse_user(text)
        if any(user.name == name for user in draft.users):
            raise WrongInput(f"{name} is there already.", hint="Type another name.")
        return replace(draft, name=name, at="password")

    def restored(self, now: Draft, final: Draft) -> Draft | None:
        """The next of those who were named; the last of them may have no password yet."""
        number = len(now.users)
        name = final.users[number].name if number < len(final.users) else final.name
        return replace(now, name=name, at="password") if name else None

    def answered(self, draft: Draft, number: int) -> str:
        """The name."""
        return draft.users[number].name if number < len(draft.users) else draft.name

    def kept(self, draft: Draft) -> str:
        """All of them."""
        names = ", ".join(user.name for user in draft.users)
        return f"Users: {names}" if names else ""

    def review(self, answers: Answers, found: str) -> Sequence[tuple[str, str]]:
        """And whether they get a new password; and from where they may come, which is never asked here."""
        words = (f"{u.name} ({'new password' if u.hash else 'password as before'})" for u in answers.users)
        return (("Users", ", ".join(words)), allowed_row(answers))


class PasswordSource(Question):
    """Whether that user's password is made up, typed, or the one from before."""

    key = "how"
    for_each_user = True
    recalled = False

    def is_open(self, draft: Draft, known: Known) -> bool:
        """Once somebody is named."""
        return draft.at == "password"

    def prompt(self, draft: Draft, known: Known) -> Prompt:
        """Who has a password already may keep it."""
        choices = [Choice("make", "Make one up, and show it once"), Choice("own", "I type my own, twice")]
        about = "It protects a program that can do anything on this server, so make it hard to guess."
        if draft.name in known.users or any(user.name == draft.name for user in known.given):
            choices.insert(0, Choice("keep", "Keep the current one"))
            about = f"{draft.name} has a password already."
        text, flag = f"Password for {draft.name}", "--generate or --password-stdin"
        return Prompt("how", text, about, flag, "choice", choices[0].value, choices=tuple(choices))

    def take(self, draft: Draft, text: str, known: Known) -> Draft:
        """What is left is the one from before: one that is made up is shown first (`hear`)."""
        if chosen(self.prompt(draft, known), text) == "own":
            return replace(draft, at="own")
        return draft.with_user(next((user for user in known.given if user.name == draft.name), User(draft.name)))

    def restored(self, now: Draft, final: Draft) -> Draft | None:
        """The user with the hash, whichever way it came."""
        number = len(now.users)
        return now.with_user(final.users[number]) if number < len(final.users) else None

    def answered(self, draft: Draft, number: int) -> str:
        """Not shown again."""
        return ""

    def recalling(self, prompt: Prompt, text: str) -> Prompt:
        """Keeping the password is proposed, whatever was chosen before."""
        return prompt

    def hear(
        self, prompt: Prompt, draft: Draft, known: Known, asker: Asker, shown_again: dict[str, str]
    ) -> tuple[str, Draft] | Back:
        """A password that is made up has been shown."""

        def taken(text: str) -> tuple[str, Draft | None]:
            return text, None if chosen(prompt, text) == "make" else self.take(draft, text, known)

        while not isinstance(heard := settled(asker, prompt, taken), Back):
            text, after = heard
            if after:
                return text, after
            if user := _made_up(draft.name, asker, shown_again):
                return text, draft.with_user(user)
        return heard


class OwnPassword(Question):
    """A password of the user's own, typed twice."""

    key = "password"
    for_each_user = True
    recalled = False

    def is_open(self, draft: Draft, known: Known) -> bool:
        """Where that was chosen."""
        return draft.at == "own"

    def prompt(self, draft: Draft, known: Known) -> Prompt:
        """What is asked of it."""
        about = f"{passwords.SHORTEST} characters or more; three or four unrelated words are good."
        return Prompt("password", f"Password for {draft.name}", about, "--password-stdin", "password")

    def take(self, draft: Draft, text: str, known: Known) -> Draft:
        """Its hash."""
        hashed = passwords.hash_password(passwords.check_password(text, user=draft.name))
        return draft.with_user(User(draft.name, hashed))

    def restored(self, now: Draft, final: Draft) -> Draft | None:
        """As `PasswordSource`."""
        return PasswordSource().restored(now, final)

    def answered(self, draft: Draft, number: int) -> str:
        """Never."""
        return ""

    def hear(
        self, prompt: Prompt, draft: Draft, known: Known, asker: Asker, shown_again: dict[str, str]
    ) -> tuple[str, Draft] | Back:
        """The same text twice."""
        error: str | None = ""
        while True:
            text = asker.ask(prompt, error or "")
            if isinstance(text, Back):
                return text
            try:
                passwords.check_password(text, user=draft.name)
                error = _typed_again(draft.name, text, asker)
                if error is None:
                    shown_again.pop(draft.name, None)
                    return text, self.take(draft, text, known)
            except WrongInput as wrong:
                error, prompt = refused(wrong, prompt, text)


class MoreUsers(Question):
    """Whether there is another user."""

    key = "more"
    for_each_user = True

    def is_open(self, draft: Draft, known: Known) -> bool:
        """After each of them."""
        return draft.at == "more"

    def prompt(self, draft: Draft, known: Known) -> Prompt:
        """Who is there so far."""
        names = ", ".join(user.name for user in draft.users)
        about = f"So far: {names}. You can add users later, too."
        return Prompt("more", "Another user?", about, "[[users]]", "confirm", "no")

    def take(self, draft: Draft, text: str, known: Known) -> Draft:
        """A clear yes or no."""
        return replace(draft, at="name" if says_yes(text) else "done")

    def restored(self, now: Draft, final: Draft) -> Draft | None:
        """Yes, as long as there are more."""
        if len(now.users) < len(final.users) or final.at in ("name", "password", "own"):
            return replace(now, at="name")
        return replace(now, at="done") if final.at == "done" else None

    def answered(self, draft: Draft, number: int) -> str:
        """Yes or no."""
        return "yes" if number < len(draft.users) or draft.at in ("name", "password", "own") else "no"


def _login(known: Known) -> str:
    """Who is at the keyboard, where that could be a user's name; else ""."""
    try:
        return parse_user(known.login) if known.login not in ("", "root") else ""
    except WrongInput:
        return ""


def _made_up(name: str, asker: Asker, shown_again: dict[str, str]) -> User | None:
    """A user with a new password that has been shown; None when the user would rather go back."""
    password = passwords.make_password()
    prompt = Prompt(
        "saved",
        "Have you saved it? (n: it is shown once more at the end)",
        f"The new password for {name}. Put it into your password manager now.",
        "--generate",
        "confirm",
        back=True,
        secret=password,
    )
    error = ""
    while True:
        reply = asker.ask(prompt, error)
        if isinstance(reply, Back):
            return None
        try:
            saved = says_yes(reply)
        except WrongInput as wrong:
            error, prompt = refused(wrong, replace(prompt, secret=""), reply)
            continue
        shown_again.pop(name, None)
        if not saved:
            shown_again[name] = password
        return User(name, passwords.hash_password(password))


def _typed_again(name: str, first: str, asker: Asker) -> str | None:
    """None when it was typed the same again; else what to say before it is asked once more ("" after going back)."""
    prompt = Prompt(
        "again",
        f"Again, for {name}",
        "The same once more: a typing mistake would lock you out.",
        "--password-stdin",
        "password",
        back=True,
    )
    reply = asker.ask(prompt)
    if isinstance(reply, Back):
        return ""
    if unicodedata.normalize("NFC", reply) == unicodedata.normalize("NFC", first):
        return None
    return "The two are not the same, so neither was taken. Type the password again."
