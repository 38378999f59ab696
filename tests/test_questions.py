"""The wizard as a conversation: a list of answers in, a draft out. No terminal."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_setup import passwords
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.backend import Backend
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import Issuer
from hermes_setup.answers.user import User
from hermes_setup.answers.webhook_platforms import parse_endpoints
from hermes_setup.answers.webhooks import Webhooks
from hermes_setup.errors import WrongInput
from hermes_setup.questions.conversation import ALL, next_question, review, walk
from hermes_setup.questions.domain import DomainName
from hermes_setup.questions.draft import Draft, Known
from hermes_setup.questions.menu import ask_password
from hermes_setup.questions.proceed import GO_AHEAD
from hermes_setup.questions.prompt import BACK, Asker, Back, Prompt, agreed
from hermes_setup.questions.question import FieldQuestion, Question
from hermes_setup.values import replace

GOOD = "correct horse battery"
HASH = passwords.hash_password(GOOD)
ALICE = User("alice", HASH)
FULL = Draft(Domain.parse("hermes.example.com"), "", Issuer.parse("letsencrypt"), (ALICE,), at="done")


class Pressed(BaseException):
    """^C, as far as the wizard can tell; pytest would take a real KeyboardInterrupt for its own."""


class Script:
    """An asker that reads its answers from a list, and remembers what it was asked."""

    def __init__(self, *replies: str | Back) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[Prompt, str]] = []
        self.told: list[str] = []

    def ask(self, question: Prompt, error: str = "") -> str | Back:
        self.asked.append((question, error))
        if not self.replies:
            raise Pressed
        return self.replies.pop(0)

    def tell(self, line: str) -> None:
        self.told.append(line)

    @property
    def keys(self) -> list[str]:
        return [question.key for question, _ in self.asked]

    @property
    def errors(self) -> list[str]:
        return [error for _, error in self.asked if error]


def prompt(draft: Draft, known: Known) -> Prompt | None:
    """How the question is asked that is open in the draft."""
    question = next_question(draft, known)
    return question.prompt(draft, known) if question else None


def converse(
    *replies: str | Back, draft: Draft = Draft(), known: Known = Known(), back: bool = False
) -> tuple[Draft, dict[str, str], Script]:
    script = Script(*replies)
    checked: Asker = script
    result, later = walk(draft, known, checked, lambda _: None, back=back)
    assert not script.replies, "it asked less than there were answers"
    return result, later, script


def interrupted(*replies: str | Back, draft: Draft = Draft(), known: Known = Known()) -> tuple[list[Draft], Script]:
    """What was kept, and what had been asked, when ^C came at the question after these answers."""
    script, kept = Script(*replies), list[Draft]()
    with pytest.raises(Pressed):
        walk(draft, known, script, kept.append)
    return kept, script


def test_the_whole_conversation_in_its_order() -> None:
    draft, later, script = converse(
        "hermes.example.com", "letsencrypt", "me@example.com", "alice", "own", GOOD, GOOD, "y", "bob", "make", "y", "n"
    )
    assert script.keys == [
        *("domain", "certificate", "email", "name", "how", "password", "again"),
        *("more", "name", "how", "saved", "more"),
    ]
    assert draft.complete
    assert later == {}
    answers = draft.answers()
    assert (answers.domain.ascii, answers.email, answers.issuer.text) == (
        "hermes.example.com",
        "me@example.com",
        "letsencrypt",
    )
    assert [user.name for user in answers.users] == ["alice", "bob"]
    assert passwords.verify_password(GOOD, answers.users[0].hash)
    shown = next(question.secret for question, _ in script.asked if question.key == "saved")
    assert passwords.verify_password(shown, answers.users[1].hash)


def test_a_made_up_password_that_was_not_saved_is_for_the_end_screen() -> None:
    draft, later, script = converse("a.example.com", "letsencrypt", "", "alice", "make", "n", "n")
    assert list(later) == ["alice"]
    assert passwords.verify_password(later["alice"], draft.users[0].hash)


def test_only_the_last_of_several_made_up_passwords_is_for_the_end_screen() -> None:
    draft, later, _ = converse("a.example.com", "letsencrypt", "", "alice", "make", "n", BACK, "make", "n", "n")
    assert passwords.verify_password(later["alice"], draft.users[0].hash)
    _, later, _ = converse("a.example.com", "letsencrypt", "", "alice", "make", "n", BACK, "own", GOOD, GOOD, "n")
    assert later == {}
    _, later, _ = converse(
        "a.example.com", "letsencrypt", "", "alice", "make", "n", BACK, BACK, "bob", "make", "y", "n"
    )
    assert later == {}


@pytest.mark.parametrize(
    ("typed", "stands"),
    [
        *((text, text) for text in ("", "hermes", "a b.example.com", "1.2.3.4", "x.example.com;", "https://")),
        ("http://x.example.com/", "x.example.com"),
        ("https://X.example.com:443/chat?a=b", "x.example.com"),
        ("x.example.com/chat", "x.example.com"),
    ],
)
def test_a_wrong_domain_is_told_in_place_and_stands_there_to_be_edited(typed: str, stands: str) -> None:
    _, script = interrupted(typed)
    (_, _), (question, error) = script.asked
    assert question.key == "domain"
    assert question.typed == stands
    with pytest.raises(WrongInput) as wrong:
        Domain.parse(typed)
    assert wrong.value.message in error


@pytest.mark.parametrize(
    ("replies", "words"),
    [
        (("short",), "characters"),
        ((GOOD, "another"), "not the same"),
        (("alice",), "5 characters"),
        (("aaaaaaaaaaaa",), "repeats"),
        (("two\nlines long",), "more than one line"),
        (("\x1b[Aarrow up",), "control character"),
    ],
)
def test_a_wrong_password_is_told_without_repeating_it(replies: tuple[str, ...], words: str) -> None:
    _, script = interrupted("a.example.com", "letsencrypt", "", "alice", "own", *replies)
    question, error = script.asked[-1]
    assert question.key == "password"
    assert words in error
    assert question.typed == ""
    for reply in replies:
        assert reply not in error or reply == "alice"


def test_a_name_cannot_be_given_twice() -> None:
    _, script = interrupted("a.example.com", "letsencrypt", "", "alice", "own", GOOD, GOOD, "y", "alice")
    assert script.errors == ["alice is there already. Type another name."]


@pytest.mark.parametrize("word", ["", "maybe", "ja", "yes please", "1"])
def test_only_a_clear_yes_or_no_counts(word: str) -> None:
    script = Script(word, "N")
    assert agreed(script, GO_AHEAD) is False
    assert script.errors == ["That is neither yes nor no. Type y or n."]
    assert GO_AHEAD.default == ""


def test_going_back_keeps_what_was_said() -> None:
    draft, _, script = converse(
        *("hermes.example.com", "letsencrypt-staging", "me@example.com"),
        *(BACK, BACK, BACK),
        *("hermes.example.org", "letsencrypt-staging", "me@example.com", "alice", "own", GOOD, GOOD, "n"),
    )
    assert draft.domain == Domain.parse("hermes.example.org")
    again = [question for question, _ in script.asked[5:9]]
    assert [(q.key, q.typed or q.default) for q in again] == [
        ("certificate", "letsencrypt-staging"),
        ("domain", "hermes.example.com"),
        ("certificate", "letsencrypt-staging"),
        ("email", "me@example.com"),
    ]


def test_back_at_the_first_question_says_that_there_is_none_before() -> None:
    _, script = interrupted(BACK)
    assert script.keys == ["domain", "domain"]
    assert len(script.told) == 1
    assert [question.back for question, _ in script.asked] == [False, False]


def test_going_back_over_a_user_offers_the_password_from_before() -> None:
    draft, _, script = converse(
        *("a.example.com", "letsencrypt", "", "alice", "own", GOOD, GOOD, BACK, BACK, BACK, "alice", "keep", "n")
    )
    assert passwords.verify_password(GOOD, draft.users[0].hash)
    how = [question for question, _ in script.asked if question.key == "how"]
    assert "keep" not in [choice.value for choice in how[0].choices]
    assert how[-1].default == "keep"


def test_back_inside_the_password_questions() -> None:
    _, script = interrupted("a.example.com", "letsencrypt", "", "alice", "own", GOOD, BACK, BACK, "make", BACK, BACK)
    assert script.keys[4:] == ["how", "password", "again", "password", "how", "saved", "how", "name"]
    assert script.errors == []


def test_who_has_a_line_already_may_keep_it() -> None:
    draft, _, _ = converse(
        *("a.example.com", "letsencrypt", "", "alice", "keep", "n"), known=Known(users=("alice", "carol"))
    )
    assert draft.users == (User("alice", ""),)


@pytest.mark.parametrize("domain", ["hermes.localhost", "box.local", "a.test", "h.internal", "nas.home.arpa"])
def test_a_private_name_is_offered_a_self_signed_certificate(domain: str) -> None:
    draft, _, script = converse(domain, "self-signed", "alice", "own", GOOD, GOOD, "n")
    assert script.asked[1][0].default == "self-signed"
    assert draft.complete
    assert draft.answers().email == ""
    assert "email" not in script.keys


def test_a_public_name_is_offered_lets_encrypt() -> None:
    _, script = interrupted("testing.example-local.com")
    assert script.asked[1][0].default == "letsencrypt"


def test_another_ca_is_an_address() -> None:
    url = "https://ca.example.net/acme/directory"
    draft, _, script = converse("a.example.com", "other", "ca", BACK, "other", url, "", "alice", "own", GOOD, GOOD, "n")
    assert draft.issuer == Issuer.parse(url)
    assert script.keys[:5] == ["domain", "certificate", "ca", "ca", "certificate"]


def test_a_name_in_another_script_is_shown_in_both() -> None:
    _, script = interrupted("bücher.example.com")
    assert script.told == ["bücher.example.com is written xn--bcher-kva.example.com in DNS and in the certificate."]


@pytest.mark.parametrize("found", [(), (Backend("127.0.0.1", 9119),)])
def test_where_hermes_listens_is_not_asked_when_it_is_clear(found: tuple[Backend, ...]) -> None:
    draft, _, script = converse(draft=FULL, known=Known(backends=found))
    assert draft.backend is None
    assert script.asked == []


def test_of_two_one_is_chosen() -> None:
    two = (Backend("127.0.0.1", 9119), Backend("::1", 9200))
    draft, _, _ = converse("[::1]:9200", draft=FULL, known=Known(backends=two))
    assert draft.answers().backend == two[1]


@pytest.mark.parametrize(("reply", "wanted"), [("yes", True), ("n", False)])
def test_a_hermes_that_nobody_runs_is_offered_as_a_service_never_made_one_silently(reply: str, wanted: bool) -> None:
    draft, _, script = converse(reply, draft=FULL, known=Known(not_running="bob"))
    assert "for bob" in script.asked[0][0].help
    assert script.asked[0][0].default == "yes"
    assert draft.answers().service is wanted
    assert Draft.from_table(draft.to_table()) == draft
    again, _, script = converse(draft=draft, known=Known(not_running="bob"))
    assert script.asked == []
    back, _, script = converse("n" if wanted else "y", draft=again, known=Known(not_running="bob"), back=True)
    assert script.asked[0][0].default == ("yes" if wanted else "no"), "the earlier answer"
    assert back.service is not wanted


def test_a_hermes_that_runs_is_not_offered_as_a_service_and_a_service_stays_one() -> None:
    draft, _, script = converse(draft=FULL, known=Known(not_running="bob", backends=(Backend("127.0.0.1", 9119),)))
    assert script.asked == []
    before = replace(draft.answers(), service=True)
    assert draft.answers(before).service


@pytest.mark.parametrize(
    ("fqdn", "proposal"),
    [
        ("vps.example.net", "vps.example.net"),
        ("", ""),
        ("vps", ""),
        ("localhost.localdomain", ""),
        ("ip-10-0-0-1.ec2.internal", ""),
        ("no good;", ""),
    ],
)
def test_the_machines_name_is_proposed_when_it_could_be_one(fqdn: str, proposal: str) -> None:
    question = prompt(Draft(), Known(fqdn=fqdn))
    assert question is not None
    assert question.default == proposal


@pytest.mark.parametrize(("login", "proposal"), [("anna", "anna"), ("root", ""), ("", ""), ("-x", "")])
def test_who_is_at_the_keyboard_is_the_first_name_proposed(login: str, proposal: str) -> None:
    first = prompt(replace(FULL, users=(), at="name"), Known(login=login))
    second = prompt(replace(FULL, at="name"), Known(login=login))
    assert first is not None and second is not None
    assert (first.default, second.default) == (proposal, "")


def test_answers_from_last_time_are_told_and_not_asked() -> None:
    draft, _, script = converse("n", draft=replace(FULL, at="more"))
    assert script.keys == ["more"]
    assert script.told == [
        "Domain: hermes.example.com (from last time)",
        "Certificate: letsencrypt (from last time)",
        "E-mail: none (from last time)",
        "Users: alice (from last time, with their passwords)",
    ]
    assert draft == FULL


def test_one_can_go_back_to_answers_from_last_time() -> None:
    bob = User("bob", HASH)
    start = replace(FULL, users=(ALICE, bob), at="more")
    draft, _, script = converse(*[BACK] * 7, "b.example.com", "letsencrypt", "", "alice", "keep", "n", draft=start)
    assert script.keys[:8] == ["more", "name", "more", "name", "email", "certificate", "domain", "domain"]
    assert draft.domain == Domain.parse("b.example.com")
    assert draft.users == (ALICE,)


def test_what_enter_would_take_is_shown_after_going_back_too() -> None:
    start = replace(FULL, at="more")
    _, _, script = converse("y", BACK, "n", draft=start)
    assert [(q.key, q.default) for q, _ in script.asked] == [("more", "no"), ("name", ""), ("more", "yes")]


def test_back_at_go_ahead_returns_to_the_last_question() -> None:
    draft, _, script = converse(BACK, "bob", "own", GOOD, GOOD, "n", draft=FULL, back=True)
    assert script.keys[:3] == ["more", "name", "how"]
    assert script.told == []
    assert [user.name for user in draft.users] == ["bob"]


@pytest.mark.parametrize(
    ("replies", "left"),
    [(("n",), ["alice"]), ((BACK, "alice", "keep", "n"), ["alice"]), ((BACK, "alice", "make", "y", "n"), [])],
)
def test_a_password_to_show_at_the_end_survives_going_back_as_long_as_it_is_the_users(
    replies: tuple[str | Back, ...], left: list[str]
) -> None:
    _, later = walk(FULL, Known(), Script(*replies), lambda _: None, back=True, shown_again={"alice": "made-up"})
    assert list(later) == left


def test_changing_the_answers_asks_all_but_the_users_with_the_old_ones_as_defaults() -> None:
    old = Answers(
        Domain.parse("old.example.com"),
        Issuer.parse("letsencrypt-staging"),
        (User("alice"),),
        "me@x.org",
        None,
        "leave",
    )
    known = Known(fqdn="vps.example.net", previous=old, users=("alice",))
    draft, _, script = converse("new.example.com", "n", "letsencrypt", "-", draft=Draft.again(old), known=known)
    assert [(q.key, q.typed or q.default) for q, _ in script.asked] == [
        ("domain", "old.example.com"),
        ("redirect", "yes"),
        ("certificate", "letsencrypt-staging"),
        ("email", "me@x.org"),
    ]
    answers = draft.answers(old)
    assert answers.users == old.users
    assert (answers.email, answers.firewall) == ("", "leave")


def test_after_changing_the_answers_one_can_still_go_back() -> None:
    old = Answers(Domain.parse("old.example.com"), Issuer.parse("self-signed"), (User("alice"),))
    known = Known(previous=old)
    draft, _, _ = converse("new.example.com", "y", "self-signed", draft=Draft.again(old), known=known)
    replies = (BACK, BACK, "x.example.com", "n", "self-signed")
    draft, _, script = converse(*replies, draft=draft, known=known, back=True)
    assert script.keys == ["certificate", "redirect", "domain", "redirect", "certificate"]
    assert draft.users == old.users


def changed(*replies: str, old: Answers) -> Answers:
    return converse(*replies, draft=Draft.again(old), known=Known(previous=old))[0].answers(old)


def test_the_earlier_names_lead_to_the_new_one_or_go_as_asked() -> None:
    old = Answers(Domain.parse("old.example.com"), Issuer.parse("self-signed"), (User("alice"),))
    new = changed("new.example.com", "y", "self-signed", old=old)
    assert [name.ascii for name in new.redirects] == ["old.example.com"]
    assert changed("new.example.com", "n", "self-signed", old=old).redirects == ()
    third = changed("third.example.com", "y", "self-signed", old=new)
    assert [name.ascii for name in third.redirects] == ["old.example.com", "new.example.com"]
    assert changed("new.example.com", "n", "self-signed", old=new).redirects == ()  # let go of later
    back = changed("old.example.com", "y", "self-signed", old=new)
    assert [name.ascii for name in back.redirects] == ["new.example.com"]


def test_the_webhooks_own_name_is_no_name_for_the_dashboard() -> None:
    hooks = Webhooks(parse_endpoints(["sms"]), Domain.parse("hooks.example.com"))
    old = Answers(Domain.parse("old.example.com"), Issuer.parse("self-signed"), (User("alice"),), webhooks=hooks)
    known = Known(previous=old)
    draft, _, script = converse(
        "hooks.example.com", "old.example.com", "self-signed", draft=Draft.again(old), known=known
    )
    assert "webhooks' own name" in script.asked[1][1]
    assert draft.answers(old).webhooks == hooks


# ---- webhooks ----

LISTENING = parse_endpoints(["webhook", "sms"])


def test_an_earlier_name_is_no_name_for_webhooks_unless_it_is_let_go_of() -> None:
    old = Answers(Domain.parse("old.example.com"), Issuer.parse("self-signed"), (User("alice"),))
    asked = replace(FULL, webhooks=Webhooks(LISTENING), webhooks_at="own", redirect=True)
    draft, _, script = converse("old.example.com", "hooks.example.com", draft=asked, known=Known(previous=old))
    assert "an earlier name" in script.asked[1][1]
    assert draft.answers(old).names[1:] == (Domain.parse("hooks.example.com"),)
    gone, _, _ = converse("old.example.com", draft=replace(asked, redirect=False), known=Known(previous=old))
    assert gone.answers(old).names[1:] == (old.domain,)


@pytest.mark.parametrize(
    ("replies", "told"),
    [
        (("no",), None),
        (("here",), Webhooks(LISTENING)),
        (("own", "hooks.example.com"), Webhooks(LISTENING, Domain.parse("hooks.example.com"))),
        (("own", "hermes.example.com"), Webhooks(LISTENING)),
    ],
)
def test_platforms_that_listen_are_offered_once_and_never_let_in_silently(
    replies: tuple[str, ...], told: Webhooks | None
) -> None:
    known, start = Known(listening=LISTENING), FULL
    draft, _, script = converse(*replies, draft=start, known=known)
    assert script.asked[0][0].default == "no"
    assert "SMS by Twilio" in script.asked[0][0].help
    assert draft.answers().webhooks == told
    kept = Draft.from_table(draft.to_table())
    assert kept.answers().webhooks == told
    assert next_question(kept, known) is None
    again, _, script = converse(*replies, draft=draft, known=known, back=True)
    assert again == draft
    assert next_question(start, Known()) is None


# ---- what is kept ----


ANSWERS: tuple[str | Back, ...] = (
    "hermes.example.com",
    "other",
    "https://ca.example.net/d",
    "",
    "alice",
    "own",
    GOOD,
    GOOD,
    "y",
    "bob",
    "make",
    "y",
    "n",
)


@pytest.mark.parametrize("count", range(len(ANSWERS)))
def test_after_ctrl_c_at_any_question_only_the_rest_is_asked(count: int) -> None:
    kept, before = interrupted(*ANSWERS[:count])
    table = json.loads(json.dumps((kept or [Draft()])[-1].to_table()))
    draft = Draft.from_table(table)
    question = next_question(draft, Known())
    assert question is not None
    begun = {"ca": 1, "password": 1, "again": 2, "saved": 1}.get(before.keys[-1], 0)  # is begun anew
    rest = ANSWERS[count - begun :]
    assert GOOD not in json.dumps(table)
    result, _, _ = converse(*rest, draft=draft)
    assert [user.name for user in result.users] == ["alice", "bob"]


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"at": "more", "name": "", "users": []},
        {"at": "own", "name": "", "users": []},
        {"at": "password", "name": "", "users": []},
        {"at": "name", "name": "", "users": [{"name": "a", "hash": "plain", "origin": "menu"}]},
        {"at": "name", "name": "", "users": [{"name": "a:b", "hash": "", "origin": "menu"}]},
        {"at": "name", "name": "", "users": ["alice"]},
        {"at": "name", "name": "", "users": [], "domain": 5},
        {"at": "name", "name": "", "users": [], "domain": "no name;"},
        *({"at": "name", "name": "", "users": [], "domain": empty} for empty in ("", [], False)),
        *({"at": "name", "name": "", "users": [], "certificate": empty} for empty in ("", [], False)),
        *({"at": "name", "name": "", "users": [], "email": empty} for empty in ([], False)),
        *({"at": "name", "name": "", "users": [], "service": empty} for empty in ("", [])),
        *({"at": "name", "name": "", "users": [], "webhooks": empty} for empty in ("", [], {}, False)),
        {"at": ["name"], "name": "", "users": []},
    ],
)
def test_a_draft_that_was_tampered_with_is_refused(table: dict[str, object]) -> None:
    with pytest.raises(WrongInput):
        Draft.from_table(table)


class Careful(Script):
    """Types the password where one is asked for, and nowhere else."""

    def ask(self, question: Prompt, error: str = "") -> str | Back:
        reply = super().ask(question, error)
        return "x" if reply == GOOD and question.kind != "password" else reply


WORDS: list[str | Back] = [
    *(BACK, "", "hermes.example.com", "box.local", "letsencrypt", "self-signed", "other", "https://ca.example.net/d"),
    *("me@example.com", "alice", "bob", "make", "own", "keep", GOOD, "y", "n", "\x00", "<", "127.0.0.1:9119"),
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_whatever_is_typed_nothing_breaks_and_no_password_is_kept(replies: list[str | Back]) -> None:
    script, kept = Careful(*replies), list[Draft]()
    known = Known(backends=(Backend("127.0.0.1", 9119), Backend("127.0.0.1", 9200)))
    try:
        draft, later = walk(Draft(), known, script, kept.append)
    except Pressed:
        pass
    else:
        assert draft.complete
        assert set(later) <= {user.name for user in draft.users}
        assert len({user.name for user in draft.users}) == len(draft.users)
    shown = {question.secret for question, _ in script.asked if question.secret}
    for step in kept:
        text = json.dumps(step.to_table())
        assert not any(word in text or word in repr(step) for word in {GOOD, *shown})
        back = Draft.from_table(json.loads(text))
        assert back.users == step.users
    for question, error in script.asked:
        assert GOOD not in error
        assert question.secret == "" or question.secret not in repr(question)


# ---- a machine that is set up ----


def test_a_new_password_for_somebody() -> None:
    script = Script("own", GOOD, BACK, BACK, "own", GOOD, "different", GOOD, GOOD)
    made = ask_password("alice", script)
    assert not isinstance(made, Back)
    assert passwords.verify_password(GOOD, made[0].users[0].hash)
    assert ask_password("alice", Script(BACK)) == BACK


def test_the_record_is_to_point_to_an_address_that_the_world_reaches() -> None:
    def pointed(*addresses: str) -> str:
        question = prompt(Draft(), Known(addresses=addresses))
        assert question
        return question.help

    assert "(198.51.100.10 or 2001:db8::10)" in pointed(
        "10.20.0.1", "172.17.0.1", "198.51.100.10", "2001:db8::10", "fd00::1"
    )
    assert "(10.20.0.1)" in pointed("10.20.0.1"), "behind NAT there is nothing better"


# ---- what holds for every question ----

OLD = Answers(Domain.parse("old.example.com"), Issuer.parse("letsencrypt"), (User("alice"),), "me@example.com")
KNOWN = Known(
    backends=(Backend("127.0.0.1", 9119), Backend("127.0.0.1", 9200)), listening=LISTENING, addresses=("198.51.100.10",)
)
REPLIES: tuple[str | Back, ...] = (
    *("hermes.example.com", "letsencrypt-staging", "me@example.com", "alice", "own", GOOD, GOOD, "y"),
    *("bob", "make", "y", "n", "127.0.0.1:9200", "own", "hooks.example.com"),
)


def test_every_question_is_whole_and_one_that_lacks_a_method_cannot_be_made() -> None:
    needed = {"is_open", "prompt", "take", "restored", "answered"}
    assert Question.__abstractmethods__ == needed
    assert FieldQuestion.__abstractmethods__ == {"prompt"}, "the field does the rest"
    for each in ALL:
        assert each.key, each
        assert not type(each).__abstractmethods__
    assert len({each.key for each in ALL}) == len(ALL)
    for name in needed:
        others = {other: getattr(DomainName, other) for other in needed - {name}}
        with pytest.raises(TypeError, match=name):
            type("Lacking", (Question,), others)()
        type("Whole", (Question,), {**others, name: getattr(DomainName, name)})()


def test_each_question_is_open_until_its_answer_is_taken_and_recalls_what_was_typed() -> None:
    draft, asked, recalled = Draft(), set[str](), set[str]()
    replies = [reply for reply in REPLIES if isinstance(reply, str)]
    while question := next_question(draft, KNOWN):
        asked.add(question.key)
        script = Script(*replies)
        heard = question.hear(question.prompt(draft, KNOWN), draft, KNOWN, script, {})
        assert not isinstance(heard, Back)
        replies, number, before = list(map(str, script.replies)), len(draft.users), draft
        text, draft = heard
        assert next_question(draft, KNOWN) is not question
        if question.recalled and question.restored(before, draft) is not None:
            recalled.add(question.key)
            said = question.answered(draft, number)
            assert said in (text, {"y": "yes", "n": "no"}.get(text)), question.key
            assert question.restored(before, draft) == draft, question.key
    assert replies == []
    assert recalled == {"domain", "certificate", "email", "name", "more", "backend", "host"}
    assert {each.key for each in ALL} - asked == {"redirect", "ca", "service"}


class Returning(Script):
    """Goes back to the first question, then takes what stands at each."""

    forward = False

    def ask(self, question: Prompt, error: str = "") -> str | Back:
        self.asked.append((question, error))
        self.forward = self.forward or question.key == "domain"
        return (question.typed or question.default) if self.forward else BACK


def test_back_over_everything_and_forward_again_is_the_same_draft() -> None:
    first, _, _ = converse(*REPLIES, known=KNOWN)
    script = Returning()
    again, _ = walk(first, KNOWN, script, lambda _: None, back=True)
    back = ["webhooks", "backend", "more", "name", "more", "name", "email", "certificate", "domain"]
    assert script.keys == [
        *back,
        *("certificate", "email", "name", "how", "more", "name", "how", "more", "backend", "webhooks", "host"),
    ]
    assert script.errors == []
    assert again == first
    assert [user.hash for user in again.users] == [user.hash for user in first.users]


def test_the_review_has_a_row_for_all_that_was_asked() -> None:
    draft, _, _ = converse(*REPLIES, known=KNOWN)
    rows = dict(review(replace(draft.answers(), redirects=(OLD.domain,)), ""))
    assert list(rows) == ["Domain", "Earlier names", "Certificate", "Users", "Open to", "Hermes", "Webhooks"]
    assert rows["Users"] == "alice (new password), bob (new password)"
    assert "hooks.example.com" in rows["Webhooks"]
