"""Users' lines and cookies: text in, text out."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_setup import passwords
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.file import UserEntry
from hermes_setup.answers.issuer import Issuer
from hermes_setup.answers.user import User
from hermes_setup.engine.changes import Place
from hermes_setup.errors import WrongInput
from hermes_setup.host import ABSENT, File, Node
from hermes_setup.nginx.render import Renderer
from hermes_setup.passwords import fingerprint
from hermes_setup.phrases import listed
from hermes_setup.stages.users import cookies, list_file
from hermes_setup.stages.users.answers_file import parse_password, resolve
from hermes_setup.stages.users.htpasswd import hashes, with_users
from hermes_setup.stages.users.list_file import ListedUser
from hermes_setup.stages.users.stage import Facts, Users
from hermes_setup.state.line_dates import LineDate, line_dates, line_id
from hermes_setup.values import replace

A, B = "$6$rounds=40000$aaaaaaaaaaaaaaaa$x", "$6$rounds=40000$bbbbbbbbbbbbbbbb$y"


HEAD = "# Written by hermes-setup. One user a line; lines added by hand are kept.\n"


def counting() -> Callable[[], str]:
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
    first = cookies.wanted({"alice": A, "bob": B}, (), (), fresh)
    assert cookies.wanted({"alice": A, "bob": B}, cookies.parse(cookies.render(first, Renderer())), (), fresh) == first


def test_a_changed_hash_ends_that_users_cookie_and_no_other() -> None:
    fresh = counting()
    first = {t.name: t for t in cookies.wanted({"alice": A, "bob": B}, (), (), fresh)}
    then = {t.name: t for t in cookies.wanted({"alice": B, "bob": B}, tuple(first.values()), (), fresh)}
    assert then["alice"].value != first["alice"].value
    assert then["bob"] == first["bob"]
    assert then[""] == first[""]


def test_a_revoked_cookie_is_replaced_once() -> None:
    fresh = counting()
    first = cookies.wanted({"alice": A}, (), (), fresh)
    revoked = [token.digest for token in first]
    then = cookies.wanted({"alice": A}, first, revoked, fresh)
    assert not {t.value for t in first} & {t.value for t in then}
    assert cookies.wanted({"alice": A}, then, revoked, fresh) == then


def test_a_removed_user_has_no_cookie() -> None:
    first = cookies.wanted({"alice": A, "bob": B}, (), (), counting())
    assert [token.name for token in cookies.wanted({"bob": B}, first, (), counting())] == ["", "bob"]


NAMES = st.text(
    st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp"), exclude_characters=":"), min_size=1, max_size=64
)


@settings(max_examples=60, deadline=None)
@given(st.lists(NAMES.filter(lambda name: name[0] not in "-# " and name[-1] != " "), unique=True, max_size=5))
def test_any_names_survive_the_gate_file_and_come_back(names: list[str]) -> None:
    wanted = cookies.wanted(dict.fromkeys(names, A), (), (), counting())
    assert cookies.parse(cookies.render(wanted, Renderer())) == wanted


def test_names_that_differ_in_case_or_are_long_become_exact_expressions() -> None:
    gate = cookies.render(cookies.wanted({"Al": A, "al": A, "7": A, "x" * 64: A}, (), (), counting()), Renderer())
    for name in ("Al", "al", "7", "x" * 64):
        assert f'"~^{name}$" "__Host-hermes_gate=' in gate


def test_a_cookie_is_looked_up_by_a_key_that_fits_every_nginx_and_a_name_is_no_variable() -> None:
    (own, alice) = cookies.wanted({"a$b": A}, (), (), counting())
    gate = cookies.render((own, alice), Renderer())
    assert f'"{alice.value[:14]}" "{alice.value[14:]} user a${{hermes_dollar}}b";' in gate
    assert f'"{own.value[:14]}" "{own.value[14:]} look";' in gate


@pytest.mark.parametrize(
    ("raw", "password"),
    [
        (b"correct horse\n", "correct horse"),
        (b"correct horse\r\n", "correct horse"),
        ("pässwörd-lang".encode(), "pässwörd-lang"),
    ],
)
def test_a_password_file_is_one_line(raw: bytes, password: str) -> None:
    assert parse_password(raw, "/root/a.pw", "alice") == password


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
        parse_password(raw, "/root/a.pw", "alice")
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
    users, made_up = resolve(entries, lines, files.get)
    by_name = {user.name: user.hash for user in users}
    assert [by_name[name] for name in ("same", "gone", "there", "hash")] == ["", "", "", ""]
    assert passwords.verify_password("battery staple", by_name["changed"])
    assert passwords.verify_password(made_up["new"], by_name["new"])
    assert list(made_up) == ["new"]


def test_a_new_user_whose_password_file_is_gone_is_an_error() -> None:
    with pytest.raises(WrongInput, match="does not exist"):
        resolve([UserEntry("new", password_file="/gone")], {}, lambda _path: None)


@pytest.mark.parametrize(
    "hashed", ["plain", "$6$short", "$2y$05$abc", f"$2y$04${'x' * 53}", f"$2a$05${'x' * 53}", "$apr1$a$b", "$6$salt$"]
)
def test_only_a_complete_hash_of_a_strong_kind_is_taken_from_an_answers_file(hashed: str) -> None:
    with pytest.raises(WrongInput):
        resolve([UserEntry("a", password_hash=hashed)], {}, lambda _path: None)


def test_one_check_costs_what_it_should() -> None:
    assert passwords.hash_password("correct horse").startswith(f"$6$rounds={passwords.ROUNDS}$")


def test_made_up_passwords_pass_the_rules_and_differ() -> None:
    made = {passwords.make_password() for _ in range(50)}
    assert len(made) == 50
    for password in made:
        passwords.check_password(password, user="alice")


def test_who_could_sign_in_before_the_first_run_is_reported() -> None:
    def codes(gate: Node) -> list[str]:
        facts = Facts(File(f"olduser:{A}\n".encode()), gate, "www-data", (), ("x",) * 9)
        wish = Answers(Domain.parse("hermes.example.com"), Issuer.parse("self-signed"), (User("alice", B),))
        return [finding.code for finding in Users().check(wish, facts)]

    assert codes(ABSENT) == ["users.earlier"]
    assert codes(File(b"")) == []


def test_who_comes_from_the_dialog_signs_in_once_more_and_the_plan_says_so() -> None:
    values = {"alice": f"{fingerprint(A)} {'a' * 32}", "": f"- {'b' * 32}"}
    earlier = "map $cookie_hermes_gate $hermes_realm {\n}\n"
    earlier += "".join(f"# token {value} {name}\n" for name, value in values.items())
    facts = Facts(File(f"alice:{A}\n".encode()), File(earlier.encode(), 0o600), "www-data", (), ("0" * 32,) * 9)
    wish = Answers(Domain.parse("hermes.example.com"), Issuer.parse("self-signed"), (User("alice"),))
    plan = Users().plan(wish, facts)
    (gate,) = [change for change in plan if isinstance(change, Place) and change.path == cookies.GATE_FILE]
    assert "everybody signs in once more" in gate.why
    text = gate.node.content.decode()
    assert "a" * 32 not in text, "whoever had the earlier value has nothing"
    assert "b" * 32 not in text, "nor had it from us"
    again = Users().plan(wish, replace(facts, gate_file=gate.node))
    assert not [change for change in again if isinstance(change, Place) and change.path == cookies.GATE_FILE]


def test_names_that_only_differ_in_case_are_a_warning_whoever_wrote_them() -> None:
    def warnings(text: str, *users: User) -> list[str]:
        facts = Facts(File(text.encode()), File(b""), "www-data", (), ("x",) * 9)
        wish = Answers(Domain.parse("hermes.example.com"), Issuer.parse("self-signed"), users)
        return [f"{each.severity.name} {each.what} {each.do}" for each in Users().check(wish, facts)]

    (new,) = warnings(f"Anna:{A}\n", User("anna", B))
    assert new.startswith("WARN Anna and anna differ only")
    assert "answer n" in new
    (there,) = warnings(f"Anna:{A}\nanna:{A}\nÉlan:{A}\nélan:{A}\n")
    assert "Anna and anna, Élan and élan differ" in there
    assert "answer n" not in there
    assert warnings(f"anna:{A}\n", User("hanna", B)) == []


# -- lists --------------------------------------------------------------------------------------------------------------

SHA = "$6$rounds=5000$abcdefgh$" + "a" * 86
BCRYPT = f"$2y$10${'x' * 53}"


def test_a_list_has_names_passwords_and_hashes() -> None:
    text = f"\ufeff# team\n\n  bob \r\ncarol:two: words \r\ndora:{SHA}:Dora D.\nAnna Smith:{BCRYPT}\r\n   # end"
    assert list_file.parse(text.encode(), "/team", {}) == (
        [
            ListedUser("bob"),
            ListedUser("carol", password="two: words "),
            ListedUser("dora", hash=SHA),
            ListedUser("Anna Smith", hash=BCRYPT),
        ],
        [],
    )


def test_who_is_there_already_stays_if_the_list_says_nothing_else() -> None:
    lines = {"bob": A, "carol": passwords.hash_password("correct horse"), "dora": SHA}
    text = f"bob\ncarol:correct horse\ndora:{SHA}\nerna\n"
    assert list_file.parse(text.encode(), "/team", lines) == ([ListedUser("erna")], ["bob", "carol", "dora"])
    for other in ("carol:battery staple", f"dora:{BCRYPT}", "bob:correct horse"):
        with pytest.raises(WrongInput, match="/team, line 2: .* exists already") as refused:
            list_file.parse(f"erna\n{other}\n".encode(), "/team", lines)
        assert "users passwd" in refused.value.hint


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("bob:", "password is empty"),
        ("bob:short-pw", "8 characters"),
        ("bob:bob", "3 characters"),
        ("bob:$apr1$abcdefgh$J2IOWkZkwFAaWkoqcTQvo.", "$apr1$ hashes are not accepted"),
        ("bob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "{SHA} hashes"),
        ("bob:{PLAIN}Secret-Secret", "{PLAIN} hashes"),
        ("bob:$2a$10$" + "x" * 53, "$2a$ hashes"),
        ("bob:$2y$10$" + "x" * 52, "looks like a hash"),
        ("bob:$6$abcdefgh$Secret", "looks like a hash"),
        ("bob:$Secret$Secret", "looks like a hash"),
        ("bob:{Secret}Secret", "looks like a hash"),
        ("bob:rl.3StKT.4T8M", "no way to tell"),
        ("bob:rl.3StKT.4T8M:Secret", "no way to tell"),
        ("bob:Secret:5f4dcc3b5aa765d61d8327deb882cf99", "no way to tell"),
        ("bob Secret-Secret", "more than a name"),
        ("bob\tSecret-Secret", "more than a name"),
        ("bob;Secret-Secret", "more than a name"),
        ("bob,Secret-Secret", "more than a name"),
        ("-bob:Secret-Secret", "can't start with -"),
        (":Secret-Secret", "name is empty"),
        ("bo\x07b:Secret-Secret", "control character"),
        ("x" * 65 + ":Secret-Secret", "64 is the most"),
        ("bob:Secret-\x07Secret", "control character"),
        ("erna:Secret-Secret", "erna is in line 1 already"),
    ],
)
def test_a_bad_line_is_named_by_its_number_and_never_repeated(line: str, reason: str) -> None:
    with pytest.raises(WrongInput) as refused:
        list_file.parse(f"erna\n{line}\ncarol\n".encode(), "/team", {})
    said = f"{refused.value.message} {refused.value.hint}"
    assert said.startswith("/team, line 2: ")
    assert reason in said
    assert "ecret" not in said


def test_all_bad_lines_are_numbered_at_once() -> None:
    with pytest.raises(WrongInput, match=r"line 2: .* Also wrong: line 4, 5\. No one was added\."):
        list_file.parse(b"erna\nerna\nbob\nbob:x\na b\n", "/team", {})
    with pytest.raises(WrongInput, match="line 3 is not UTF-8"):
        list_file.parse(b"a\nb\nb\xfccher\n", "/team", {})
    for nobody in (b"", b"# none\n\n"):
        with pytest.raises(WrongInput, match="has no users"):
            list_file.parse(nobody, "/team", {})


def test_ten_thousand_users_take_no_time_but_for_their_hashes() -> None:
    began = time.monotonic()
    new, _ = list_file.parse("".join(f"user{number}:{SHA}\n" for number in range(10_000)).encode(), "/team", {})
    users = [User(each.name, each.hash) for each in new]
    wish = Answers(Domain.parse("hermes.example.com"), Issuer.parse("self-signed"), tuple(users))
    text = with_users("", users, [])
    facts = Facts(File(text.encode()), ABSENT, "www-data", (), ("x",) * 10_001)
    assert Users().check(wish, facts) == []
    (gate, lines) = Users().plan(wish, facts)
    assert with_users(text, users, []) == text
    assert "and 9,988 more" in gate.why
    assert len(lines.why) < 200
    assert time.monotonic() - began < 10  # a second, where nothing else goes on


def test_of_many_names_the_first_are_listed() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(["a", "b", "c"], 2) == "a, b, c"
    assert listed([*"abcd"], 2) == "a, b and 2 more"
    assert listed([]) == ""


# -- since when -----------------------------------------------------------------------------------------------------------

NOW = datetime(2026, 3, 4, 12, tzinfo=timezone.utc)
FOUND, RUN = LineDate(NOW - timedelta(days=9), exact=False), LineDate(NOW, exact=True)


def test_a_line_that_a_run_writes_is_of_that_moment_and_others_are_as_they_were() -> None:
    early = LineDate(NOW - timedelta(days=99), exact=True)
    before, after = {"alice": A, "bob": A, "hand": A, "gone": A}, {"alice": A, "bob": B, "hand": A, "new": A}
    known = {line_id("alice", A): early, line_id("bob", A): early, line_id("long gone", A): early}
    assert line_dates(known, before, after, FOUND, RUN) == {
        line_id("alice", A): early,
        line_id("bob", A): early,  # for whoever undoes it
        line_id("bob", B): RUN,
        line_id("hand", A): FOUND,
        line_id("gone", A): FOUND,
        line_id("new", A): RUN,
    }


def test_the_same_line_written_again_is_a_new_one_and_undone_the_old_one() -> None:
    early = LineDate(NOW - timedelta(days=99), exact=True)
    known = {line_id("bob", A): early}
    assert line_dates(known, {}, {"bob": A}, FOUND, RUN) == {line_id("bob", A): RUN}
    assert line_dates(known, {}, {"bob": A}, FOUND, None) == {line_id("bob", A): early}
    assert line_dates({}, {}, {"bob": A}, FOUND, None) == {}, "nothing is claimed"
