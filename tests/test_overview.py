"""What somebody who comes back sees first."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from hermes_setup import hermes, overview
from hermes_setup.answers import Answers, Domain, Issuer, User, Webhooks
from hermes_setup.answers import Backend as Place
from hermes_setup.certbot import Leaf, Served
from hermes_setup.host import ABSENT, Listener
from hermes_setup.passwords import fingerprint
from hermes_setup.stages import backend, certificate, renewal
from hermes_setup.state import Line
from hermes_setup.webhooks import parse_hooks

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
ALICE, BOB = User("alice", "", "answers"), User("bob", "", "menu")


def answers(issuer: str = "letsencrypt", **more: object) -> Answers:
    made = Answers(Domain.parse("hermes.example.com"), Issuer.parse(issuer), (ALICE, BOB))
    return Answers(**{**made.__dict__, **more})


def cert(days: float | None) -> certificate.Facts:
    leaf = None
    if days is not None:
        leaf = Leaf(("hermes.example.com",), NOW - timedelta(days=30), NOW + timedelta(days=days), "1", "i", "f", "k")
    served = Served("/c", "/k", True, leaf=leaf)
    return certificate.Facts(served, (), False, NOW, "n", None, "certbot", (), None, 1)


def renew(who: str) -> renewal.Facts:
    return renewal.Facts(None, True, False, who, "", ABSENT, renewal.Rehearsed.read(""), "certbot", NOW)


@pytest.mark.parametrize(
    ("issuer", "days", "who", "words"),
    [
        ("letsencrypt", 61.5, "timer", "Let's Encrypt, 61 days left (until 2027-01-24), renewed by systemd's timer"),
        ("letsencrypt", 20, "cron", "20 days left (until 2026-12-13), renewed by cron"),
        ("letsencrypt", -2, "", "ended on 2026-11-21, nobody renews it"),
        ("self-signed", 800, "", "signed by this server itself, 800 days left"),
        ("letsencrypt", None, "timer", "none yet"),
    ],
)
def test_the_certificate(issuer: str, days: float | None, who: str, words: str) -> None:
    told = dict(overview.lines(answers(issuer), [cert(days), renew(who)], {"alice": "h"}))
    assert words in told["Certificate"]


def test_the_users_and_how_each_came() -> None:
    told = dict(overview.lines(answers(), [], {"alice": "h", "bob": "h", "carol": "h"}))
    assert told["Users"] == "alice (from the file), bob, carol (by hand)"
    assert dict(overview.lines(answers(), [], {}))["Users"] == "nobody"


def test_hermes_and_who_may_come() -> None:
    at = Place("127.0.0.1", 9119)
    listener = Listener("127.0.0.1", 9119, 5, "hermes", "hermes-dashboard.service", "bob")
    runs = backend.Dashboard(listener, at, hermes.Status("0.19.0", False))
    facts = backend.Facts((runs,), (listener,), None, None, ())
    told = dict(overview.lines(answers(allow=("203.0.113.0/24",)), [facts], {}))
    assert told["Hermes"] == "0.19.0, running at 127.0.0.1:9119, unit hermes-dashboard.service"
    assert told["Open to"] == "203.0.113.0/24"
    stopped = dict(overview.lines(answers(), [backend.Facts((), (), None, None, ())], {}))
    assert stopped["Hermes"] == "not running"
    assert stopped["Open to"] == "every address, with a password"


def test_how_each_user_came_and_when_the_line_was_changed() -> None:
    ours = replace(answers(), users=(User("alice", origin="answers"), User("bob"), User("carol")))
    lines = {"alice": "$6$a", "bob": "$6$b", "carol": "$6$new", "hand": "$6$h"}
    known = {
        "alice": Line(fingerprint("$6$a"), "2026-11-01T12:00:05Z", ours=True),
        "bob": Line(fingerprint("$6$b"), "2026-11-02T12:00:05Z", ours=False),
        "carol": Line(fingerprint("$6$old"), "2026-11-01T12:00:05Z", ours=True),
    }
    edited = "2026-11-24 03:52 UTC"
    assert overview.users(ours, lines, known, edited) == [
        ("alice", "from the answers file; line changed 2026-11-01 12:00 UTC"),
        ("bob", "added here; line by hand, seen 2026-11-02 12:00 UTC"),
        ("carol", f"added here; line by hand, not before the last run, {edited} at the latest"),
        ("hand", f"by hand; line not after {edited}"),
    ]


def test_the_answers_once_more_before_the_plan() -> None:
    hooks = Webhooks(parse_hooks(["sms:8081"]), Domain.parse("hooks.example.com"))
    ours = replace(answers(), users=(User("alice", "$6$x"), User("bob")), webhooks=hooks)
    told = dict(overview.review(ours, ""))
    assert told["Users"] == "alice (new password), bob (password as before)"
    assert "$6$" not in str(told)
    assert told["Hermes"] == "does not run yet"
    assert told["Webhooks"] == "sms:8081, at https://hooks.example.com/"
