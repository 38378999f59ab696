"""The menu of a machine that is set up, as a conversation: replies in, a wish out. No terminal."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from hermes_setup import passwords
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.backend import Backend
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import Issuer
from hermes_setup.answers.user import User
from hermes_setup.answers.webhook_platforms import parse_endpoints
from hermes_setup.answers.webhooks import Webhooks
from hermes_setup.questions.menu import Intent, Visit, menu
from hermes_setup.questions.prompt import BACK, Back
from hermes_setup.values import replace
from test_questions import GOOD, Script

OLD, NEW, HOOKS = (Domain.parse(f"{name}.example.com") for name in ("hermes", "chat", "hooks"))
BEFORE = Answers(
    OLD,
    Issuer.parse("letsencrypt-staging"),
    (User("alice", "", "answers"), User("carol", "", "menu")),
    "me@example.com",
)
LISTENING = parse_endpoints(["webhook", "sms"])
RUNNING = {Backend("127.0.0.1", 9119): "hermes", Backend("127.0.0.1", 9120): "debian"}


def visit(answers: Answers = BEFORE, users: Iterable[str] = ("alice", "carol"), pending: int | None = 0) -> Visit:
    return Visit(
        answers,
        tuple(users),
        pending=pending,
        listening=lambda: LISTENING,
        backends=lambda: RUNNING,
        cookies=lambda name: (f"digest of {name}",),
    )


def wish(*replies: str | Back, at: Visit | None = None) -> Intent:
    script = Script(*replies)
    wanted = menu(at or visit(), script)
    assert not script.replies, "it asked less than there were replies"
    return wanted


# ---- users ----


@pytest.mark.parametrize(
    ("replies", "do", "name"),
    [
        (("users", "add", "bob", "own", GOOD, GOOD), "add", "bob"),
        (("users", "add", "alice", "bob", "make", "y"), "add", "bob"),
        (("users", "passwd", "carol", "make", "n"), "passwd", "carol"),
        (("users", "remove", "alice", "y"), "remove", "alice"),
        (("users", "sign-out", "alice", "y"), "sign-out", "alice"),
        (("users", "list"), "list", ""),
        (("users", "remove", "alice", "n", BACK, "check"), "check", ""),
        (("users", "sign-out", "alice", "n", BACK, "undo"), "undo", ""),
        (("users", "add", BACK, "passwd", BACK, "remove", BACK, BACK, "show"), "show", ""),
        (("users", "add", "bob", BACK, BACK, BACK, "quit"), "quit", ""),
        ((BACK,), "quit", ""),
        (("nonsense", "quit"), "quit", ""),
    ],
)
def test_what_is_wanted_and_of_whom(replies: tuple[str | Back, ...], do: str, name: str) -> None:
    wanted = wish(*replies)
    assert (wanted.do, wanted.who) == (do, name)
    assert bool(wanted.made_up) == (do == "passwd")
    if not name:
        assert wanted.answers == BEFORE


def test_the_answers_that_a_wish_about_a_user_comes_to() -> None:
    added = wish("users", "add", "bob", "own", GOOD, GOOD).answers
    assert [(user.name, user.origin, bool(user.hash)) for user in added.users] == [
        ("alice", "answers", False),
        ("carol", "menu", False),
        ("bob", "menu", True),
    ]
    (alice,) = (user for user in wish("users", "passwd", "alice", "make", "y").answers.users if user.hash)
    assert (alice.name, alice.origin) == ("alice", "answers"), "a new password does not change who gave the user"
    assert passwords.is_hash(alice.hash)
    gone = wish("users", "remove", "alice", "y").answers
    assert ([user.name for user in gone.users], gone.removed) == (["carol"], ("alice",))
    assert wish("users", "sign-out", "carol", "y").answers == replace(BEFORE, revoked=("digest of carol",))
    once_gone = visit(replace(BEFORE, removed=("bob",)))
    assert wish("users", "add", "bob", "make", "y", at=once_gone).answers.removed == ()


def test_the_last_user_cannot_be_removed() -> None:
    script = Script("users", "remove", BACK, "quit")
    assert menu(visit(users=("alice",)), script) == Intent("quit", BEFORE)
    assert "last user" in script.errors[0]
    script = Script("users", "passwd", BACK, BACK)
    assert menu(visit(users=()), script).do == "quit"
    assert "Nobody can sign in yet" in script.errors[0]


# ---- everything else ----


def test_what_is_proposed_follows_from_what_was_found() -> None:
    def proposed(pending: int | None) -> tuple[str, str]:
        script = Script("quit")
        menu(visit(pending=pending), script)
        question = script.asked[0][0]
        return question.default, next(each.label for each in question.choices if each.value == "show")

    assert proposed(0) == ("users", "Show what would be changed (now: nothing), and do it")
    assert proposed(3) == ("show", "Show what would be changed (now: 3), and do it")
    assert proposed(None) == ("check", "Show what would be changed (now: a check blocks), and do it")


def test_every_choice_has_a_key_of_its_own_that_is_one_stroke() -> None:
    script = Script("quit")
    menu(visit(), script)
    keys = [choice.key or str(number) for number, choice in enumerate(script.asked[0][0].choices, 1)]
    assert keys == [*"123456789", "q"]


def test_another_domain_and_what_becomes_of_the_old_one() -> None:
    assert wish("domain", "chat.example.com", "y") == Intent("domain", replace(BEFORE, domain=NEW, redirects=(OLD,)))
    assert wish("domain", "chat.example.com", "n") == Intent("domain", replace(BEFORE, domain=NEW))
    assert wish("domain", "no name", "chat.example.com", BACK, "chat.example.com", "n").answers.domain == NEW
    assert wish("domain", "hermes.example.com") == Intent("domain", BEFORE), "nothing is asked of a name that stays"
    moved = visit(replace(BEFORE, domain=NEW, redirects=(OLD,)))
    assert wish("domain", "hermes.example.com", "y", at=moved).answers == replace(BEFORE, redirects=(NEW,))
    assert wish("domain", "chat.example.com", "n", at=moved).answers == replace(BEFORE, domain=NEW)
    script = Script("domain", "hooks.example.com", BACK, BACK)
    menu(visit(replace(BEFORE, webhooks=Webhooks(LISTENING, HOOKS))), script)
    assert "webhooks' own name" in script.errors[0]
    script = Script("domain", "bücher.example.com", "n")
    menu(visit(), script)
    assert "xn--bcher-kva.example.com in DNS" in script.told[0]


def test_another_certificate() -> None:
    real = wish("certificate", "letsencrypt", "")
    assert real == Intent("certificate", replace(BEFORE, issuer=Issuer.parse("letsencrypt"), email=""))
    own = wish("certificate", "self-signed")
    assert own == Intent("certificate", replace(BEFORE, issuer=Issuer.parse("self-signed")))
    other = wish("certificate", "other", "http://ca", "https://ca.example.net/d", "-").answers
    assert (other.issuer.directory, other.email) == ("https://ca.example.net/d", "")
    assert wish("certificate", "other", BACK, "letsencrypt", BACK, BACK, BACK) == Intent("quit", BEFORE)


def test_which_hermes_the_site_leads_to() -> None:
    chosen = wish("hermes", "127.0.0.1:9120").answers
    assert (chosen.backend, chosen.backend_user) == (Backend("127.0.0.1", 9120), "debian")
    other = wish("hermes", "type", "9300", at=visit(chosen)).answers
    assert (other.backend, other.backend_user) == (Backend("127.0.0.1", 9300), ""), "nobody was named for that one"
    assert wish("hermes", "type", "10.0.0.5", "10.0.0.5:9119").answers.backend == Backend("10.0.0.5", 9119)
    assert wish("hermes", "type", BACK, BACK, "quit").do == "quit"
    kept_out = wish("hermes", "logins").answers
    assert kept_out == replace(BEFORE, local_users=())
    assert wish("hermes", "logins", at=visit(kept_out)).answers == BEFORE
    script = Script("hermes", BACK, BACK)
    menu(replace(visit(), upstream=Backend("127.0.0.1", 9120)), script)
    assert "Hermes (now: 127.0.0.1:9120)" in [choice.label for choice in script.asked[0][0].choices]
    assert "127.0.0.1:9120, where a dashboard of debian runs now" in [each.label for each in script.asked[1][0].choices]
    assert script.asked[1][0].default == "127.0.0.1:9120"
    nobody = Visit(BEFORE, ("alice",), not_running=lambda: "hermes")
    assert wish("hermes", "service", at=nobody).answers == replace(BEFORE, service=True)
    script = Script("hermes", "service", BACK, BACK)
    menu(replace(visit(), not_running=lambda: "hermes"), script)
    assert "not one of the choices" in script.errors[0], "what runs already is not offered as a service"


def test_what_is_let_in() -> None:
    let_in = visit(replace(BEFORE, webhooks=Webhooks(LISTENING[:1], None, ("192.0.2.0/24",))))

    def hooks(*replies: str | Back, at: Visit = let_in) -> Webhooks | None:
        wanted = wish(*replies, at=at)
        assert wanted.do == "webhooks"
        return wanted.answers.webhooks

    assert hooks("webhooks", "these", "hermes.example.com", at=visit()) == Webhooks(LISTENING)
    own = Webhooks(LISTENING, HOOKS, ("192.0.2.0/24",))
    assert hooks("webhooks", "these", "hooks.example.com") == own
    typed = hooks("webhooks", "type", "slack", "sms:8081, line", "HERMES.example.com.")
    assert typed == Webhooks(parse_endpoints(["sms:8081", "line"]), None, ("192.0.2.0/24",))
    assert hooks("webhooks", "none") is None
    moved = visit(replace(BEFORE, redirects=(HOOKS,)))
    script = Script("webhooks", "these", "Hooks.example.com.", "in.example.com")
    wanted = menu(moved, script).answers
    assert "it is an earlier name of the dashboard, and redirects to hermes.example.com" in script.errors[0]
    assert (wanted.webhooks, wanted.redirects) == (Webhooks(LISTENING, Domain.parse("in.example.com")), (HOOKS,))
    assert hooks("webhooks", "type", BACK, "none") is None
    assert wish("webhooks", BACK, "quit", at=let_in).do == "quit"
