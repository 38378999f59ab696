"""What somebody who comes back sees first."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.backend import Backend as Place
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import Issuer
from hermes_setup.answers.user import User
from hermes_setup.answers.webhook_platforms import parse_endpoints
from hermes_setup.answers.webhooks import Webhooks
from hermes_setup.host import ABSENT, Listener
from hermes_setup.questions.conversation import review
from hermes_setup.stages.certificate import stage as certificate
from hermes_setup.stages.certificate.serving import Served
from hermes_setup.stages.certificate.x509 import X509
from hermes_setup.stages.hermes import stage as backend
from hermes_setup.stages.hermes.api import Status
from hermes_setup.stages.hermes.dashboards import Dashboard, Found
from hermes_setup.stages.renewal import rehearsal, timers
from hermes_setup.stages.renewal import stage as renewal
from hermes_setup.stages.users import accounts
from hermes_setup.state.line_dates import LineDate, line_id
from hermes_setup.values import replace
from hermes_setup.wizard import status

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
ALICE, BOB = User("alice", "", "answers"), User("bob", "", "menu")


def answers(issuer: str = "letsencrypt", **more: object) -> Answers:
    made = Answers(Domain.parse("hermes.example.com"), Issuer.parse(issuer), (ALICE, BOB))
    return Answers(**{**made.__dict__, **more})


def cert(days: float | None) -> certificate.Facts:
    leaf = None
    if days is not None:
        leaf = X509(("hermes.example.com",), NOW - timedelta(days=30), NOW + timedelta(days=days), "1", "i", "f", "k")
    served = Served("/c", "/k", True, x509=leaf)
    return certificate.Facts(served, (), False, NOW, "n", None, "certbot", (), None, 1)


def renew(who: str) -> renewal.Facts:
    return renewal.Facts(
        None, True, False, timers.Schedule(who), ABSENT, rehearsal.LastRehearsal.parse(""), "certbot", NOW
    )


@pytest.mark.parametrize(
    ("issuer", "days", "who", "words"),
    [
        ("letsencrypt", 61.5, "timer", "Let's Encrypt, 61 days left (until 2027-01-24), renewed by systemd's timer"),
        ("letsencrypt", 20, "cron", "20 days left (until 2026-12-13), renewed by cron"),
        ("letsencrypt", -2, "", "expired on 2026-11-21, nothing renews it"),
        ("self-signed", 800, "", "signed by this server itself, 800 days left"),
        ("letsencrypt", None, "timer", "none yet"),
    ],
)
def test_the_certificate(issuer: str, days: float | None, who: str, words: str) -> None:
    told = dict(status.lines(answers(issuer), [cert(days), renew(who)], {"alice": "h"}))
    assert words in told["Certificate"]


def test_the_users_and_how_each_came() -> None:
    told = dict(status.lines(answers(), [], {"alice": "h", "bob": "h", "carol": "h"}))
    assert told["Users"] == "alice (from the file), bob, carol (by hand)"
    assert dict(status.lines(answers(), [], {}))["Users"] == "nobody"


def test_the_users_with_where_from_and_since_when() -> None:
    found, known = LineDate(NOW, exact=False), {line_id("alice", "h"): LineDate(NOW - timedelta(days=1), exact=True)}
    who = accounts.accounts(answers(), {"bob": "h", "alice": "h", "carol": "h"}, known, found)
    assert [f"{each.name}: {each.words}" for each in who] == [
        "bob: by menu or command, changed 2026-11-23 12:00 UTC or before",
        "alice: from the answers file, changed 2026-11-22 12:00 UTC",
        "carol: by hand, changed 2026-11-23 12:00 UTC or before",
    ]
    assert who[1].table == {"name": "alice", "how": "answers", "changed": "2026-11-22T12:00:00Z", "exact": True}
    (lost,) = accounts.accounts(None, {"alice": "other"}, known, found)
    assert (lost.how, lost.written) == ("hand", found), "the line is not the one that was noted"


def test_the_answers_once_more_before_the_plan() -> None:
    hooks = Webhooks(parse_endpoints(["sms:8081"]), Domain.parse("hooks.example.com"))
    ours = replace(answers(), users=(User("alice", "$6$x"), User("bob")), webhooks=hooks)
    told = dict(review(ours, ""))
    assert told["Users"] == "alice (new password), bob (password as before)"
    assert "$6$" not in str(told)
    assert told["Hermes"] == "does not run yet"
    assert told["Webhooks"] == "sms:8081, at https://hooks.example.com/"


def test_hermes_and_who_may_come() -> None:
    at = Place("127.0.0.1", 9119)
    listener = Listener("127.0.0.1", 9119, 5, "hermes", "hermes-dashboard.service", "bob")
    runs = Dashboard(listener, at, Status("0.19.0", False))
    facts = backend.Facts(Found((runs,)))
    told = dict(status.lines(answers(allow=("203.0.113.0/24",)), [facts], {}))
    assert told["Hermes"] == "0.19.0, running at 127.0.0.1:9119, unit hermes-dashboard.service"
    assert told["Open to"] == "203.0.113.0/24"
    stopped = dict(status.lines(answers(), [backend.Facts()], {}))
    assert stopped["Hermes"] == "not running"
    assert stopped["Open to"] == "every address, with a password"
