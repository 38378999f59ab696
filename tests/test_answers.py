"""What is typed is parsed once, at the door, and refused there with a reason."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.backend import Backend
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.fields import FIELDS, JSON_ONLY, from_json, to_json
from hermes_setup.answers.file import LARGEST, read, read_table, to_toml
from hermes_setup.answers.issuer import Issuer, parse_email
from hermes_setup.answers.merge import merged
from hermes_setup.answers.user import User, parse_user
from hermes_setup.answers.webhook_platforms import parse_endpoints
from hermes_setup.answers.webhooks import Webhooks
from hermes_setup.errors import WrongInput
from hermes_setup.replaceable import need_own
from hermes_setup.values import replace

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@pytest.mark.parametrize(
    ("text", "plain", "shown"),
    [
        ("hermes.example.com", "hermes.example.com", "hermes.example.com"),
        ("  Hermes.Example.COM. ", "hermes.example.com", "hermes.example.com"),
        ("hermes.localhost", "hermes.localhost", "hermes.localhost"),
        ("bücher.example", "xn--bcher-kva.example", "bücher.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", "bücher.example"),
        ("a-b.c0.example", "a-b.c0.example", "a-b.c0.example"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah", "例え.テスト"),
        (f"{'a' * 63}.example", f"{'a' * 63}.example", f"{'a' * 63}.example"),
    ],
)
def test_a_host_name_is_taken(text: str, plain: str, shown: str) -> None:
    domain = Domain.parse(text)
    assert (domain.ascii, domain.shown) == (plain, shown)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("https://hermes.example.com", "whole URL"),
        ("https://hermes.example.com/x", "hermes.example.com"),
        ("hermes.example.com/", "path"),
        ("hermes.example.com:443", "port"),
        ("hermes.example.com:", "port"),
        ("*.example.com", "wildcard"),
        ("hermes example.com", "space"),
        ("hermes.example.com;", "';'"),
        ("hermes.example.com{", "'{'"),
        ("hermes.example.com}", "'}'"),
        ("$host.example.com", "'$'"),
        ('"hermes.example.com"', "'\"'"),
        ("'hermes.example.com'", '"\'"'),
        ("hermes.example.com\nserver_name evil;", "'\\n'"),
        ("hermes.example.com\x00", "'\\x00'"),
        ("hermes", "single word"),
        ("localhost", "single word"),
        ("203.0.113.5", "IP address"),
        ("2001:db8::1", "IP address"),
        ("[2001:db8::1]", "IP address"),
        ("1.2.3", "number"),
        ("-a.example.com", "-a"),
        ("a-.example.com", "a-"),
        ("a..example.com", "two dots"),
        (".example.com", "two dots"),
        ("hermes_x.example.com", "hermes_x"),
        (f"{'a' * 64}.example.com", "1 to 63"),
        (".".join(["a" * 60] * 5), "253"),
        ("me@example.com", "e-mail"),
        ("straße.de", "xn--"),
        ("xn--a.example\u200b.com", ""),
        ("a\u202e.example.com", ""),
        ("\ud800.example.com", ""),
    ],
)
def test_what_is_not_a_host_name_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(WrongInput) as refused:
        Domain.parse(text)
    assert reason in refused.value.message + refused.value.hint
    assert refused.value.hint


@pytest.mark.parametrize("text", ["me@example.com", "first.last+tag@sub.example.co", "o_x@example.com", ""])
def test_an_email_address_is_taken(text: str) -> None:
    assert parse_email(f" {text} ") == text


@pytest.mark.parametrize(
    "text",
    [
        "me",
        "me@",
        "@example.com",
        "me@localhost",
        "a b@example.com",
        "me@exa mple.com",
        "me@example.com;rm",
        "me\n@example.com",
    ]
    + [
        "-x@example.com",
        ".a@example.com",
        "a..b@example.com",
        "$(id)@example.com",
        "`id`@example.com",
        "me@@example.com",
    ]
    + ["ü@example.com", f"{'a' * 300}@example.com", "me@1.2.3.4"],
)
def test_what_is_not_an_email_address_is_refused(text: str) -> None:
    with pytest.raises(WrongInput):
        parse_email(text)


@pytest.mark.parametrize(
    "text", ["alice", "José", "anna maria", "a.b-c_d@e", "日本", "x" * 64, '"q"', "a;b{c}$d\\e'f#g"]
)
def test_a_user_name_is_taken(text: str) -> None:
    assert parse_user(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "a:b",
        "-alice",
        "#alice",
        "x" * 65,
        "a\nb",
        "a\tb",
        "a\x7f",
        "a\x00b",
        "a\u2028b",
        "a\u200bb",
        "\ud800",
    ],
)
def test_what_is_not_a_user_name_is_refused(text: str) -> None:
    with pytest.raises(WrongInput):
        parse_user(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("127.0.0.1:9119", "127.0.0.1:9119"),
        ("localhost:9119", "127.0.0.1:9119"),
        ("9120", "127.0.0.1:9120"),
        ("[::1]:9119", "[::1]:9119"),
        ("10.0.0.5:80", "10.0.0.5:80"),
    ],
)
def test_a_backend_is_taken(text: str, shown: str) -> None:
    assert str(Backend.parse(text)) == shown


@pytest.mark.parametrize(
    "text",
    ["", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "evil.com:80", "::1:9119", "0.0.0.0:9119"]
    + ["[::]:9119", "127.0.0.1:9119;", "http://127.0.0.1:9119", "300.0.0.1:1", "127.0.0.1:9119\n"][:-1],
)
def test_what_is_not_a_backend_is_refused(text: str) -> None:
    with pytest.raises(WrongInput):
        Backend.parse(text)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("letsencrypt", "letsencrypt"),
        ("LetsEncrypt", "letsencrypt"),
        ("https://acme-v02.api.letsencrypt.org/directory", "letsencrypt"),
        ("self-signed", "self-signed"),
        ("https://pebble.world.test:14000/dir", "https://pebble.world.test:14000/dir"),
    ],
)
def test_an_issuer_is_taken(text: str, word: str) -> None:
    assert Issuer.parse(text).text == word


@pytest.mark.parametrize(
    "text",
    [
        "",
        "letsencypt",
        "http://ca.example/dir",
        "https://",
        "https://a b/dir",
        "https://ca/$(id)",
        'https://ca/"',
        "ftp://x",
    ],
)
def test_what_is_not_an_issuer_is_refused(text: str) -> None:
    with pytest.raises(WrongInput):
        Issuer.parse(text)


USER = '[[users]]\nname = "alice"\n'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (USER, "domain"),
        ('domain = "hermes.example.com"', "no user"),
        ('domian = "hermes.example.com"\n' + USER, "Did you mean domain?"),
        ('domain = "hermes.example.com"\n[users]\nname = "alice"', "Write [[users]]"),
        ('domain = "hermes.example.com"\nfirewall = true\n' + USER, '"open" or "leave"'),
        ('domain = "hermes.example.com"\n' + USER + 'password = "x"', "Did you mean password_file?"),
        ('domain = "hermes..com"\n' + USER, "two dots in a row"),
        ('domain = "hermes.example.com"\nemail = "me@example"\n' + USER, "example is not a full domain"),
        ("domain = 5\n" + USER, "quotes"),
        ('domain = "x.example.com"\nfirewall = "off"\n' + USER, "leave"),
        ('domain = "x.example.com"\nusers = "alice"', "no user"),
        ('domain = "x.example.com"\nusers = ["alice"]', "not a table"),
        ('domain = "x.example.com"\n' + USER + 'password = "secret"', "password_"),
        ('domain = "x.example.com"\n' + USER + USER, "listed twice"),
        ('domain = "x.example.com"\n' + USER + 'password_file = "a.pw"', "full path"),
        ('domain = "x.example.com"\n' + USER + 'password_file = "/a"\npassword_hash = "$6$x"', "one of the two"),
        ('domain = "x.example.com"\npublic_addresses = ["x"]\n' + USER, "public_addresses"),
        ('domain = "x.example.com"\npublic_addresses = [5]\n' + USER, "public_addresses"),
    ],
)
def test_an_answers_file_is_read_strictly(text: str, reason: str) -> None:
    with pytest.raises(WrongInput) as refused:
        read_table(tomllib.loads(text))
    assert reason in f"{refused.value.message} {refused.value.hint}"


def test_the_printed_answers_are_an_answers_file_that_says_the_same() -> None:
    name = 'a"b\\c'
    answers = Answers(
        Domain.parse("bücher.example"),
        Issuer.parse("letsencrypt-staging"),
        (User(name), User("bob")),
        "me@example.com",
        Backend.parse("[::1]:9119"),
        "leave",
        ("203.0.113.5",),
    )
    read = read_table(tomllib.loads(to_toml(answers, {name: "$6$abc$def"})))
    assert read.answers == replace(answers, users=())
    assert [(user.name, user.password_hash) for user in read.users] == [(name, "$6$abc$def"), ("bob", "")]


def test_a_hash_is_never_shown_by_repr() -> None:
    assert "$6$" not in repr(User("alice", "$6$secret"))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('domain = "a;}"', "domain: "),
        ('domain = "a.example.com"\ncertificate = "nobody"', "certificate: "),
        ('domain = "a.example.com"\nemail = "-x y@z"', "email: "),
        ('domain = "a.example.com"\nbackend = "127.0.0.1:9119; }"', "backend: "),
        ('domain = "a.example.com"\nredirect_from = ["a.b;}"]', "redirect_from: "),
        ('domain = "a.example.com"\n[[users]]\nname = "x"\n[[users]]\nname = "a\\nb"', "users entry 2, name: "),
    ],
)
def test_an_error_names_the_key(lines: str, words: str) -> None:
    with pytest.raises(WrongInput) as wrong:
        read_table(tomllib.loads(lines if "users" in lines else f'{lines}\n[[users]]\nname = "alice"'))
    assert wrong.value.message.startswith(words)
    assert wrong.value.hint


# ---- a file on the disk ----


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "could not be read: No such file or directory"),
        (b"x" * (LARGEST + 1), "has 1025 kB"),
        (b'domain = "b\xfccher.example"', "is not UTF-8"),
        (b"domain = hermes.example.com", "is not TOML"),
        (b"a = " + b"[" * 100_000, "nested too deeply"),
        (b'domian = "hermes.example.com"', "Did you mean domain?"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_a_reason(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "answers.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WrongInput) as refused:
        read(str(path), "apply")
    assert reason in f"{refused.value.message} {refused.value.hint}"


@pytest.mark.parametrize(
    ("path", "reason"), [("", "needs the name of a file"), ("/", "is a folder"), ("\0", "not a path")]
)
def test_what_is_not_a_file_is_refused_with_the_command_to_type(path: str, reason: str) -> None:
    with pytest.raises(WrongInput) as refused:
        read(path, "rehearse")
    assert reason in refused.value.message
    assert "sudo hermes-setup rehearse --answers FILE.toml" in refused.value.hint


def test_a_file_is_read_and_what_should_be_fixed_in_it_comes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "answers.toml"
    path.write_bytes(b'\xef\xbb\xbfdomain = "hermes.example.com"\n[[users]]\nname = "alice"\n')
    path.chmod(0o644)
    assert read(str(path), "apply").warnings == (), "it holds no secret"
    path.write_text(to_toml(BASE, {"alice": "$6$rounds=200000$x$y"}))
    loose = read(str(path), "apply")
    assert [user.name for user in loose.users] == ["alice", "bob"]
    assert ["200000 rounds" in loose.warnings[0], "chmod 600" in loose.warnings[1]] == [True, True]
    path.chmod(0o600)
    assert read(str(path), "apply").warnings == loose.warnings[:1]


# ---- verbs: every change of answers, in one place ----

BASE = Answers(
    Domain.parse("hermes.example.com"),
    Issuer.parse("letsencrypt"),
    (User("alice", origin="answers"), User("bob")),
    removed=("carol",),
    redirects=(Domain.parse("old.example.com"),),
)


def test_a_user_who_is_added_is_the_last_and_not_to_be_removed_any_more() -> None:
    assert BASE.with_user(User("carol", "h")) == replace(BASE, users=(*BASE.users, User("carol", "h")), removed=())
    many = BASE.with_users((User("bob", "x"), User("dave", "y")))
    assert [(user.name, user.hash) for user in many.users] == [("alice", ""), ("bob", "x"), ("dave", "y")]


def test_many_passwords_are_as_one_after_the_other() -> None:
    one_by_one = BASE.with_hash("carol", "c").with_hash("alice", "a").with_hash("dave", "d")
    assert BASE.with_hashes({"carol": "c", "alice": "a", "dave": "d"}) == one_by_one
    assert BASE.with_hashes({}) == BASE


def test_a_new_password_does_not_change_who_brought_the_user() -> None:
    assert BASE.with_hash("alice", "h").users == (User("bob"), User("alice", "h", "answers"))
    assert BASE.with_hash("eve", "h").users[-1] == User("eve", "h", "menu")


def test_a_removed_user_is_noted() -> None:
    assert BASE.without_user("bob") == replace(BASE, users=BASE.users[:1], removed=("carol", "bob"))


def test_the_other_verbs_change_what_they_name_and_nothing_else() -> None:
    new, webhooks = Domain.parse("new.example.com"), Webhooks(parse_endpoints(["sms"]))
    cases = {
        BASE.with_cookies_revoked(("a",)).with_cookies_revoked(["b"]): {"revoked": ("a", "b")},
        BASE.with_domain(new): {"domain": new, "redirects": ()},
        BASE.with_domain(new, BASE.earlier_domains(new)): {"domain": new, "redirects": (*BASE.redirects, BASE.domain)},
        BASE.with_issuer(Issuer.parse("self-signed")): {"issuer": Issuer.parse("self-signed")},
        BASE.with_issuer(BASE.issuer, "me@example.com"): {"email": "me@example.com"},
        BASE.with_backend(Backend("127.0.0.1", 9200)): {"backend": Backend("127.0.0.1", 9200)},
        BASE.with_service(): {"service": True},
        BASE.with_webhooks(webhooks): {"webhooks": webhooks},
        BASE.with_allowed(["203.0.113.5"]): {"allow": ("203.0.113.5",)},
    }
    for changed, differs in cases.items():
        assert changed == replace(BASE, **differs)


# ---- one table for TOML and JSON ----

FULL = replace(
    BASE,
    email="me@example.com",
    backend=Backend("127.0.0.1", 9200),
    firewall="leave",
    public_addresses=("203.0.113.5",),
    revoked=("0" * 64,),
    allow=("203.0.113.0/24",),
    service=True,
    webhooks=Webhooks(parse_endpoints(["webhook", "sms"]), Domain.parse("hooks.example.com"), ("192.0.2.0/24",)),
    former_names=("older.example.com",),
)


def test_each_answer_survives_both_ways_to_write_it() -> None:
    assert from_json(json.loads(json.dumps(to_json(FULL)))) == FULL
    nothing_noted = replace(FULL, users=(), removed=(), revoked=(), former_names=())
    assert read_table(tomllib.loads(to_toml(replace(FULL, users=(User("alice"),)), {}))).answers == nothing_noted


def test_an_answers_file_leaves_out_most_of_what_is_the_default() -> None:
    least = Answers(BASE.domain, BASE.issuer, (User("alice"),))
    lines = ('domain = "hermes.example.com"', 'certificate = "letsencrypt"', 'firewall = "open"', "")
    assert to_toml(least, {}) == "\n".join([*lines, "[[users]]", 'name = "alice"', ""])


def test_each_attribute_is_a_field_a_note_or_the_users() -> None:
    known = {each.attribute for each in FIELDS} | set(JSON_ONLY) | {"users"}
    assert known == set(Answers.__match_args__)


def test_what_an_older_version_did_not_know_may_be_missing() -> None:
    later = ("service", "allow", "webhooks", "redirects", "dropped")
    least = {key: value for key, value in to_json(BASE).items() if key not in later}
    assert from_json(least) == replace(BASE, redirects=())


@pytest.mark.parametrize(
    "key", ["domain", "certificate", "email", "backend", "firewall", "public_addresses", "users", "gone", "revoked"]
)
def test_what_every_version_wrote_may_not_be_missing(key: str) -> None:
    with pytest.raises(WrongInput, match=f"The key {key} is missing"):
        from_json({name: value for name, value in to_json(BASE).items() if name != key})


@pytest.mark.parametrize(
    ("key", "value"),
    [("domain", ""), ("domain", 5), ("users", "alice"), ("users", [5]), ("gone", "carol"), ("allow", ["nowhere"])],
)
def test_what_was_edited_into_something_else_is_refused(key: str, value: object) -> None:
    with pytest.raises(WrongInput):
        from_json({**to_json(FULL), key: value})


@pytest.mark.parametrize("table", [["domain"], "domain", 5])
def test_answers_that_are_no_table_are_refused(table: object) -> None:
    with pytest.raises(WrongInput):
        from_json(table)


# ---- a file, where other answers held before ----


def test_a_user_of_the_menu_stays_and_one_whom_the_file_left_out_is_removed() -> None:
    stored = replace(
        BASE, users=(User("alice", "", "answers"), User("bob"), User("dave", "", "answers")), revoked=("r",)
    )
    new = merged(FULL, (User("erin", "h", "answers"),), stored, {"alice", "bob", "carol", "dave"})
    assert [user.name for user in new.users] == ["erin", "bob"]
    assert (new.removed, new.revoked, new.webhooks) == (("carol", "alice", "dave"), ("r",), FULL.webhooks)


def test_whose_line_is_not_there_need_not_be_removed() -> None:
    assert merged(FULL, (User("bob"),), BASE, {"bob"}).removed == ()


def test_a_password_that_was_agreed_to_and_not_written_is_still_the_one() -> None:
    stored = BASE.with_hash("alice", "pending")
    users = (User("alice", "", "answers"), User("bob", "", "answers"))
    assert merged(FULL, users, stored, {"bob"}).users[:2] == (User("alice", "pending", "answers"), users[1])
    assert merged(FULL, users, stored, {"alice", "bob"}).users[0].hash == "", "the line says it by now"
    assert merged(FULL, users, None, ()).users == users


MINIMAL = 'domain = "hermes.example.com"\ncertificate = "self-signed"\n[[users]]\nname = "alice"\n'
LOOSE = [
    ("answers.toml", 0o646, 0),
    ("answers.toml", 0o666, 0),
    ("answers.toml", 0o600, 65534),
    (".", 0o777, 0),
    (".", 0o755, 65534),
]


def _reads(path: Path) -> list[tuple[str, Callable[[], object]]]:
    from hermes_setup.commands.users.add import _read
    from hermes_setup.stages.users.answers_file import read_password_file

    return [
        ("answers", lambda: read(str(path), "apply")),
        ("password", lambda: read_password_file(str(path))),
        ("list", lambda: _read(str(path))),
    ]


@pytest.mark.root
@pytest.mark.parametrize(("name", "mode", "owner"), LOOSE)
def test_a_file_that_others_can_change_or_exchange_is_not_obeyed(
    tmp_path: Path, name: str, mode: int, owner: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "answers.toml"
    path.write_text(MINIMAL)
    os.chown(tmp_path / name, owner, 0)
    (tmp_path / name).chmod(mode)
    for what, reading in _reads(path):
        with pytest.raises(WrongInput) as refused:
            reading()
        assert f"sudo install -m 600 {path} /root/answers.toml" in refused.value.hint, what
    if mode & 0o022:
        return
    for what, reading in _reads(path):  # whoever typed sudo may be obeyed
        monkeypatch.setenv("SUDO_UID", "65534")
        assert reading(), what


@pytest.mark.root
def test_a_link_and_a_relative_path_lead_to_the_same_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "theirs").mkdir(mode=0o755)
    os.chown(tmp_path / "theirs", 65534, 0)
    (tmp_path / "theirs/answers.toml").write_text(MINIMAL)
    (tmp_path / "mine.toml").symlink_to("theirs/answers.toml")
    monkeypatch.chdir(tmp_path)
    for path in ("mine.toml", "theirs/answers.toml", "./theirs/../theirs/answers.toml"):
        with pytest.raises(WrongInput, match="nobody"):
            read(path, "apply")


@pytest.mark.root
def test_a_file_that_was_exchanged_after_it_was_opened_is_not_obeyed(tmp_path: Path) -> None:
    path = tmp_path / "answers.toml"
    path.write_text(MINIMAL)
    with path.open("rb") as file:
        need_own(str(path), file.fileno())
        path.unlink()
        path.write_text(MINIMAL)
        with pytest.raises(WrongInput):
            need_own(str(path), file.fileno())


def test_a_pipe_is_what_the_caller_gave(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, MINIMAL.encode())
    os.close(writing)
    try:
        assert read(f"/dev/fd/{reading}", "apply").users
    finally:
        os.close(reading)
