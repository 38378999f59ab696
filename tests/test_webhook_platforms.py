"""The platforms that may be named in [webhooks], and what is refused with a reason."""

from __future__ import annotations

import re
import sys

import pytest

from certificates import NAME
from certificates import answers as wish
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.fields import from_json, to_json
from hermes_setup.answers.file import read_table, to_toml
from hermes_setup.answers.webhook_platforms import PLATFORMS, Endpoint, parse_endpoints
from hermes_setup.answers.webhooks import Webhooks
from hermes_setup.errors import WrongInput
from hermes_setup.values import replace

HOOKS = Domain.parse("hooks.example.com")
OURS = wish()
USERS = [{"name": "alice"}]


def test_the_answers_survive_the_state_and_the_answers_file() -> None:
    whole = replace(
        OURS,
        webhooks=Webhooks(parse_endpoints(["msgraph", "sms:8081"]), HOOKS, ("192.0.2.0/24",)),
        redirects=(Domain.parse("old.example.com"),),
        former_names=("older.example.com",),
    )
    assert from_json(to_json(whole)) == whole
    assert from_json({k: v for k, v in to_json(OURS).items() if k not in ("webhooks", "redirects", "dropped")}) == OURS
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    again = read_table(tomllib.loads(to_toml(whole, {}))).answers
    assert (again.webhooks, again.redirects) == (whole.webhooks, whole.redirects)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"webhooks": ["webhook"]}, r"webhooks is not a table"),
        ({"webhooks": {}}, "lists no platforms"),
        ({"webhooks": {"platforms": []}}, "lists no platforms"),
        ({"webhooks": {"platforms": "sms"}}, r"\[webhooks\] platforms is not a list"),
        ({"webhooks": {"platforms": [8644]}}, r"\[webhooks\] platforms is not a list"),
        ({"webhooks": {"platforms": ["slack"]}}, "Slack needs no webhook.*Those that do: webhook, "),
        ({"webhooks": {"platforms": ["webhok"]}}, '"webhok" is not a platform'),
        ({"webhooks": {"platforms": ["sms:x"]}}, "1 to 65535"),
        ({"webhooks": {"platforms": ["sms:22"]}}, "sms:22 can't be right: port 22 is used by ssh"),
        ({"webhooks": {"platforms": ["webhook:80"]}}, "port 80 is used by the web server"),
        ({"webhooks": {"platforms": ["webhook:0443"]}}, "port 443 is used by the web server.*usually 8644"),
        ({"webhooks": {"platforms": ["sms", "sms:8081"]}}, "sms is listed twice"),
        ({"webhooks": {"platforms": ["line", "msgraph"]}}, "can't both listen on port 8646.*msgraph_webhook:8647$"),
        ({"webhooks": {"platforms": ["wecom_callback", "bluebubbles"]}}, "on port 8645.*bluebubbles:8647$"),
        ({"webhooks": {"platforms": ["wecom_callback", "bluebubbles", "sms:8647"]}}, "bluebubbles:8648$"),
        ({"webhooks": {"platforms": ["webhook:9118", "sms:9118"]}}, "sms:9120$"),
        ({"webhooks": {"platforms": ["webhook:65535", "sms:65535"]}}, "sms:1024$"),
        ({"webhooks": {"platforms": ["sms"], "host": "hooks"}}, "single word"),
        ({"webhooks": {"platforms": ["sms"], "hosts": "x"}}, "unknown key: hosts"),
        ({"webhooks": {"platforms": ["sms"], "allow": []}}, r"\[webhooks\] allow is an empty list: no webhook would"),
        ({"webhooks": {"platforms": ["sms"], "allow": "192.0.2.1"}}, r"\[webhooks\] allow is not a list"),
        (
            {"webhooks": {"platforms": ["sms"], "allow": ["192.0.2.1/24"]}},
            r"\[webhooks\] allow: 192.0.2.1/24 is not the first",
        ),
        ({"allow": []}, "^allow is an empty list: nobody could open the dashboard"),
        ({"redirect_from": "old.example.com"}, "not a list"),
        ({"redirect_from": [NAME]}, "the domain itself"),
        ({"redirect_from": ["a.example.com", "A.example.com"]}, "listed twice"),
        (
            {"redirect_from": ["hooks.example.com"], "webhooks": {"platforms": ["sms"], "host": "hooks.example.com"}},
            "hooks.example.com can't be the webhooks' host: it is an earlier name",
        ),
    ],
)
def test_what_is_wrong_is_refused_with_a_reason(table: dict[str, object], words: str) -> None:
    with pytest.raises(WrongInput) as refused:
        read_table({"domain": NAME, "users": USERS, **table})
    assert re.search(words, f"{refused.value.message} {refused.value.hint}")


def test_a_host_that_is_the_dashboards_own_name_is_no_second_name() -> None:
    table = {"domain": NAME, "users": USERS, "webhooks": {"platforms": ["sms"], "host": NAME.upper()}}
    hooks = read_table(table).answers.webhooks
    assert hooks
    assert hooks.host is None


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda each: each.name)
def test_each_platform_has_a_path_that_its_own_pattern_matches(platform: object) -> None:
    each = Endpoint.parse(platform.name).platform  # type: ignore[attr-defined]
    pattern = re.compile(f"^{each.pattern or re.escape(each.path)}$")
    assert pattern.match(each.path.replace("<route>", "my-route_1"))
    for odd in (
        "/webhooks/../x",
        "/webhooks/",
        "/webhooks/.",
        "/webhooks/a/b",
        "/webhooks/%2e",
        "//webhooks/a",
        each.path + "/",
    ):
        assert not pattern.match(odd)
