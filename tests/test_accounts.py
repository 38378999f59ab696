"""Users' lines and cookies: text in, text out."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_setup import accounts, passwords
from hermes_setup.accounts import hashes, parse_list, render_gate, tokens, wanted_tokens, with_users
from hermes_setup.answers import Answers, Domain, Issuer, User, UserEntry
from hermes_setup.errors import WrongInput
from hermes_setup.host import ABSENT, File, Node
from hermes_setup.stages.users import Facts, Users

A, B = "$6$rounds=40000$aaaaaaaaaaaaaaaa$x", "$6$rounds=40000$bbbbbbbbbbbbbbbb$y"


HEAD = "# Written by hermes-setup. One user a line; lines added by hand are kept.\n"


def counting() -> accounts.Callable[[], str]:
    numbers = itertools.count()
    return lambda: f"{next(numbers):032x}"


def test_lines_that_we_did_not_write_stay_where_they_are() -> None:
    text = f"# by hand\ncarol:$apr1$x$y:her comment\nalice:{A}\n\nodd line\n"
    assert with_users(text, [User("alice", B), User("bob", A)], []) == (
        f"{HEAD}# by hand\ncarol:$apr1$x$y:her comment\nalice:{B}\n\nodd line\nbob:{A}\n"
    )


def test_a_user_without_a_hash_keeps_the_line_that_is_there() -> None:
    text = f"{HEAD}alice:{A}\n"
    assert with_users(text, [User("alice")], []) == text


def test_removing_takes_every_line_of_that_name_and_no_other() -> None:
    text = f"alice:{A}\nAlice:{A}\nalice:{B}\nalice2:{B}\n"
    assert with_users(text, [], ["alice"]) == f"{HEAD}Alice:{A}\nalice2:{B}\n"


def test_the_first_line_of_a_name_is_the_one_that_counts() -> None:
    assert hashes(f"alice:{A}\nalice:{B}\n#x:{A}\nnoline\n:{A}\n") == {"alice": A}


def test_cookies_stay_while_the_hashes_stay() -> None:
    fresh = counting()
    first = wanted_tokens({"alice": A, "bob": B}, (), (), fresh)
    assert wanted_tokens({"alice": A, "bob": B}, tokens(render_gate(first)), (), fresh) == first


def test_a_changed_hash_ends_that_users_cookie_and_no_other() -> None:
    fresh = counting()
    first = {t.name: t for t in wanted_tokens({"alice": A, "bob": B}, (), (), fresh)}
    then = {t.name: t for t in wanted_tokens({"alice": B, "bob": B}, tuple(first.values()), (), fresh)}
    assert then["alice"].value != first["alice"].value
    assert then["bob"] == first["bob"]
    assert then[""] == first[""]


def test_a_revoked_cookie_is_replaced_once() -> None:
    fresh = counting()
    first = wanted_tokens({"alice": A}, (), (), fresh)
    revoked = [token.digest for token in first]
    then = wanted_tokens({"alice": A}, first, revoked, fresh)
    assert not {t.value for t in first} & {t.value for t in then}
    assert wanted_tokens({"alice": A}, then, revoked, fresh) == then


def test_a_removed_user_has_no_cookie() -> None:
    first = wanted_tokens({"alice": A, "bob": B}, (), (), counting())
    assert [token.name for token in wanted_tokens({"bob": B}, first, (), counting())] == ["", "bob"]


NAMES = st.text(
    st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp"), exclude_characters=":"), min_size=1, max_size=64
)


@settings(max_examples=60, deadline=None)
@given(st.lists(NAMES.filter(lambda name: name[0] not in "-# " and name[-1] != " "), unique=True, max_size=5))
def test_any_names_survive_the_gate_file_and_come_back(names: list[str]) -> None:
    wanted = wanted_tokens(dict.fromkeys(names, A), (), (), counting())
    assert tokens(render_gate(wanted)) == wanted


def test_names_that_differ_in_case_or_are_long_become_exact_expressions() -> None:
    gate = render_gate(wanted_tokens({"Al": A, "al": A, "7": A, "x" * 64: A}, (), (), counting()))
    assert '"~^Hermes\\\\x3aAl$"' in gate
    assert '"~^Hermes\\\\x3aal$"' in gate
    assert '"Hermes:7"' in gate
    assert f'"~^Hermes\\\\x3a{"x" * 64}$"' in gate


@pytest.mark.parametrize(
    ("raw", "password"),
    [
        (b"correct horse\n", "correct horse"),
        (b"correct horse\r\n", "correct horse"),
        ("pässwörd-lang".encode(), "pässwörd-lang"),
    ],
)
def test_a_password_file_is_one_line(raw: bytes, password: str) -> None:
    assert accounts.password_from(raw, "/root/a.pw", "alice") == password


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"short",
        b"one line here\nand another",
        b"\xff\xfe1234567890",
        b"tab\tin the password",
        b"x" * 300,
        b"aaaaaaaaaaaaa",
    ],
)
def test_a_bad_password_is_refused_and_never_repeated(raw: bytes) -> None:
    with pytest.raises(WrongInput) as refused:
        accounts.password_from(raw, "/root/a.pw", "alice")
    said = refused.value.message + refused.value.hint
    assert "/root/a.pw" in said
    assert not raw.strip() or raw.decode("latin-1") not in said


def test_an_answers_file_leaves_lines_alone_that_already_say_so() -> None:
    hashed = passwords.hash_password("correct horse")
    entries = [
        UserEntry("same", password_file="/same"),
        UserEntry("gone", password_file="/gone"),
        UserEntry("changed", password_file="/changed"),
        UserEntry("new"),
        UserEntry("there"),
        UserEntry("hash", password_hash=hashed),
    ]
    files = {"/same": b"correct horse\n", "/changed": b"battery staple\n"}
    lines = dict.fromkeys(["same", "gone", "changed", "there", "hash"], hashed)
    users, made_up = accounts.resolve(entries, lines, files.get)
    by_name = {user.name: user.hash for user in users}
    assert [by_name[name] for name in ("same", "gone", "there", "hash")] == ["", "", "", ""]
    assert passwords.verify_password("battery staple", by_name["changed"])
    assert passwords.verify_password(made_up["new"], by_name["new"])
    assert list(made_up) == ["new"]


def test_a_new_user_whose_password_file_is_gone_is_an_error() -> None:
    with pytest.raises(WrongInput, match="not there"):
        accounts.resolve([UserEntry("new", password_file="/gone")], {}, lambda _path: None)


@pytest.mark.parametrize("hashed", ["plain", "$6$short", "$2y$05$abc", "$apr1$a$b", "$6$salt$"])
def test_only_a_complete_sha512_hash_is_taken_from_an_answers_file(hashed: str) -> None:
    with pytest.raises(WrongInput):
        accounts.resolve([UserEntry("a", password_hash=hashed)], {}, lambda _path: None)


def test_one_check_costs_what_it_should() -> None:
    assert passwords.hash_password("correct horse").startswith(f"$6$rounds={passwords.ROUNDS}$")


def test_made_up_passwords_pass_the_rules_and_differ() -> None:
    made = {passwords.make_password() for _ in range(50)}
    assert len(made) == 50
    for password in made:
        passwords.check_password(password, user="alice")


def test_who_could_sign_in_before_the_first_run_is_named() -> None:
    def codes(gate: Node) -> list[str]:
        facts = Facts(File(f"olduser:{A}\n".encode()), gate, "www-data", (), ("x",) * 9)
        wish = Answers(Domain.parse("hermes.example.com"), Issuer.parse("self-signed"), (User("alice", B),))
        return [finding.code for finding in Users().check(wish, facts)]

    assert codes(ABSENT) == ["users.earlier"]
    assert codes(File(b"")) == []


def test_a_list_of_users_is_names_or_lines_of_htpasswd() -> None:
    hashed = "$6$abcdefgh$" + "x" * 86
    raw = f"\ufeff# ours\n\nalice\nbob:{hashed}\n zoë :{hashed}:a comment\r\n".encode()
    assert parse_list(raw, "list") == {"alice": "", "bob": hashed, "zoë": hashed}


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "list names nobody"),
        (b"# only\n", "list names nobody"),
        (b"alice\nbob:secret words\n", "list, line 2: behind the colon"),
        (b"alice\nbob:$apr1$x$y\n", "list, line 2: behind the colon"),
        (b"alice:\n", "list, line 1: behind the colon"),
        (b"\nalice\nalice\n", "list, line 3: alice stands there twice"),
        (b"-x\n", "list, line 1: A user name cannot start with -"),
        (b"\xff\n", "not UTF-8"),
    ],
)
def test_a_wrong_line_of_a_list_is_named_by_its_number_and_never_shown(raw: bytes, words: str) -> None:
    with pytest.raises(WrongInput, match=re.escape(words)) as error:
        parse_list(raw, "list")
    assert "secret" not in error.value.message + error.value.hint
