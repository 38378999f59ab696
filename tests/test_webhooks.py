"""Webhooks without a machine: what may be named, what is seen at a port, and the names in the certificate."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from certificates import NAME, Server
from certificates import answers as wish
from hermes_setup.answers.answers import Answers, User, Webhooks
from hermes_setup.answers.fields import Backend, Domain
from hermes_setup.answers.file import read_table, to_toml
from hermes_setup.answers.platforms import PLATFORMS, Endpoint, parse_endpoints
from hermes_setup.answers.table import from_json, to_json
from hermes_setup.engine.findings import Severity
from hermes_setup.errors import WrongInput
from hermes_setup.host import Listener, Ran, Request, Response
from hermes_setup.stages.certificate import serving
from hermes_setup.stages.certificate.stage import Certificate
from hermes_setup.stages.webhooks import Webhooks as Stage
from hermes_setup.stages.webhooks import listening
from hermes_setup.system.overlay import Nothing
from hermes_setup.values import replace

HOOKS = Domain.parse("hooks.example.com")
OURS = wish()
BOTH = replace(OURS, webhooks=Webhooks(parse_endpoints(["webhook", "sms"]), HOOKS))
USERS = [{"name": "alice"}]


# -- what may be named --------------------------------------------------------------------------------------------------


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
        ({"webhooks": ["webhook"]}, r"webhooks is a table"),
        ({"webhooks": {}}, "names no platforms"),
        ({"webhooks": {"platforms": []}}, "names no platforms"),
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
        ({"redirect_from": ["a.example.com", "A.example.com"]}, "named twice"),
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
def test_each_platform_has_a_path_that_its_own_pattern_takes(platform: object) -> None:
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


# -- what is seen -------------------------------------------------------------------------------------------------------

POST_ONLY = Response(405, (("Server", "Python/3.13 aiohttp/3.14.1"),))


@dataclass
class Machine(Nothing):
    """Listeners, and what is answered at each port; ufw, where `ufw` is its status."""

    sockets: Sequence[Listener] = ()
    answers: dict[int, Response] = field(default_factory=dict)
    rules: str = ""
    asked: list[Request] = field(default_factory=list)

    def listeners(self) -> tuple[Listener, ...]:
        return tuple(self.sockets)

    def ask(self, argv: Sequence[str], *, seconds: float = 4.0) -> Ran:  # noqa: ARG002
        return Ran(0, self.rules, "") if argv[0] == "iptables-save" and self.rules else Ran(127, "", "")

    def fetch(self, request: Request) -> Response:
        self.asked.append(request)
        return self.answers.get(request.port, Response(0, error="refused"))


def at(port: int, address: str = "127.0.0.1") -> Listener:
    return Listener(address, port, 7, "python3")


def seen(machine: Machine, answers: Answers = BOTH) -> list[tuple[str, Severity]]:
    stage = Stage()
    return [(each.code, each.severity) for each in stage.check(answers, stage.inspect(answers, machine))]


CLOSED = "*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n"


@pytest.mark.parametrize(
    ("sockets", "responses", "rules", "expected"),
    [
        ([at(8644), at(8080)], {8644: POST_ONLY, 8080: POST_ONLY}, "", []),
        ([at(8644)], {8644: POST_ONLY}, "", [("webhooks.none", Severity.WARN)]),
        (
            [at(8644), at(8080)],
            {8644: POST_ONLY, 8080: Response(403, (("Server", "Jetty(12)"),))},
            "",
            [("webhooks.other", Severity.WARN)],
        ),
        ([at(8644), at(8080)], {8644: POST_ONLY, 8080: Response(404, POST_ONLY.headers)}, "", [("webhooks.other", Severity.WARN)]),
        (
            [at(8644, "0.0.0.0"), at(8644, "::"), at(8080)],
            {8644: POST_ONLY, 8080: POST_ONLY},
            "",
            [("webhooks.wide", Severity.WARN)],
        ),
        (
            [at(8644, "0.0.0.0"), at(8080)],
            {8644: POST_ONLY, 8080: POST_ONLY},
            CLOSED,
            [("webhooks.wide", Severity.NOTE)],
        ),
        # one that the answers do not name: a note, once
        ([at(8644), at(8080), at(3978, "0.0.0.0")], {8644: POST_ONLY, 8080: POST_ONLY, 3978: POST_ONLY}, "", [("webhooks.wide", Severity.NOTE)]),
        ([at(8644), at(8080), at(3978, "0.0.0.0")], {8644: POST_ONLY, 8080: POST_ONLY, 3978: POST_ONLY}, CLOSED, []),
        ([at(8644), at(8080), at(3978, "0.0.0.0")], {8644: POST_ONLY, 8080: POST_ONLY, 3978: Response(200)}, "", []),
    ],
)  # fmt: skip
def test_what_is_found(
    sockets: list[Listener], responses: dict[int, Response], rules: str, expected: list[tuple[str, Severity]]
) -> None:
    assert seen(Machine(sockets, responses, rules)) == expected


def test_of_two_platforms_with_one_usual_port_the_one_that_knows_its_path_is_offered() -> None:
    machine = Machine([at(8646), at(8645), at(22), at(8080, "127.0.0.1")])

    def fetch(request: Request) -> Response:
        known = request.path in ("/line/webhook", "/wecom/callback")
        return Response(405 if known else 404, POST_ONLY.headers)

    machine.fetch = fetch  # type: ignore[method-assign]
    assert [each.platform.name for each in listening(machine)] == ["line", "wecom_callback"]
    assert listening(Machine([at(22), at(9119)])) == ()


def test_on_another_machine_nothing_is_judged() -> None:
    far = replace(BOTH, backend=Backend("10.0.0.5", 9119))
    machine = Machine()
    assert seen(machine, far) == []
    assert machine.asked == []


PAGES = Response(200, (("Server", "uvicorn"),), b'{"version": "0.19.0", "auth_required": false}')
BACKEND = ("webhooks.backend", Severity.BLOCK)


@pytest.mark.parametrize(
    ("endpoint", "backend", "port", "response", "expected"),
    [
        # the port of a dashboard that answers, whichever it is
        ("line:9119", None, 9119, PAGES, [BACKEND]),
        ("line:9120", None, 9120, PAGES, [BACKEND]),
        ("line:9119", Backend("127.0.0.1", 9120), 9119, PAGES, [BACKEND]),
        # of the one that is named, or looked for, and does not run now
        ("line:9119", None, 0, PAGES, [BACKEND]),
        ("line:9200", Backend("127.0.0.1", 9200), 0, PAGES, [BACKEND]),
        ("line:9119", Backend("10.0.0.5", 9119), 0, PAGES, [BACKEND]),
        # a gateway that does listen there, beside a dashboard elsewhere
        ("line:9119", None, 9119, POST_ONLY, []),
        ("line:9200", None, 9200, POST_ONLY, []),
        ("line:9200", None, 9200, Response(404, body=PAGES.body), [("webhooks.other", Severity.WARN)]),
    ],
)
def test_the_dashboards_port_is_no_platforms(
    endpoint: str, backend: Backend | None, port: int, response: Response, expected: list[tuple[str, Severity]]
) -> None:
    wanted = replace(OURS, backend=backend, webhooks=Webhooks(parse_endpoints([endpoint])))
    assert seen(Machine([at(port)] if port else [], {port: response}), wanted) == expected


# -- the names in the certificate ---------------------------------------------------------------------------------------


def orders(server: Server, answers: Answers) -> list[Sequence[str]]:
    stage = Certificate()
    return [each.argv for each in stage.plan(answers, stage.inspect(answers, server)) if hasattr(each, "argv")]


def names(argv: Sequence[str]) -> list[str]:
    return [argv[at + 1] for at, word in enumerate(argv) if word == "-d"]


def test_a_second_name_gets_into_the_same_lineage_and_leaves_it_again() -> None:
    server = Server()
    server.lineage()
    (order,) = orders(server, BOTH)
    assert names(order) == [NAME, "hooks.example.com"]
    assert order[order.index("--cert-name") + 1] == NAME
    assert "--renew-with-new-domains" in order
    served = serving.certificate_for(BOTH, server)
    assert served  # meanwhile the one name is served on
    assert served.certificate.endswith(f"live/{NAME}/fullchain.pem")
    server.lineage(names=[NAME, "hooks.example.com"])
    assert orders(server, BOTH) == []
    # the state says that the second name was ours
    (order,) = orders(server, OURS.following(BOTH))
    assert (names(order), order[order.index("--cert-name") + 1]) == ([NAME], NAME)
    # nobody says so: it may be another's, so it is served and left as it is
    assert orders(server, OURS) == []


def test_a_name_that_was_ours_is_remembered_until_it_holds() -> None:
    assert OURS.following(BOTH).former_names == ("hooks.example.com",)
    assert OURS.following(OURS.following(BOTH)).former_names == ("hooks.example.com",)
    assert BOTH.following(OURS.following(BOTH)).former_names == ()
    # for good: the certificate of an earlier name may hold it for years
    assert OURS.following(OURS.following(BOTH).settled()).former_names == ("hooks.example.com",)
    assert OURS.following(None) == OURS
    moved = replace(OURS, domain=Domain.parse("new.example.com"))
    assert moved.following(OURS).former_names == (NAME,)


NEW = Domain.parse("new.example.com")


def test_going_back_to_a_name_whose_certificate_holds_a_host_that_was_given_up_makes_it_anew_once() -> None:
    server = Server()
    server.lineage(names=[NAME, "hooks.example.com"])
    away = replace(BOTH, domain=NEW).following(BOTH).settled()
    without = replace(away, webhooks=None).following(away).settled()
    back = replace(without, domain=OURS.domain, redirects=(NEW,)).following(without)
    (order,) = orders(server, back)
    assert (names(order), order[order.index("--cert-name") + 1]) == ([NAME], NAME)
    assert {"--force-renewal", "--renew-with-new-domains"} <= set(order)
    server.lineage(names=[NAME])
    assert orders(server, back) == orders(server, back.settled()) == []


def test_a_host_that_became_an_earlier_name_stays_in_the_certificate() -> None:
    server = Server()
    server.lineage(names=[NAME, "hooks.example.com"])
    leads = replace(OURS, redirects=(HOOKS,)).following(BOTH)
    assert orders(server, leads) == []
    served = serving.certificate_for(leads.about(HOOKS), server)
    assert served
    assert serving.reasons_to_replace(leads.about(HOOKS), served, server.now()) == []


def test_a_name_that_was_never_ours_stays_where_somebody_put_it() -> None:
    server = Server()
    server.lineage(names=[NAME, "blog.example.com"])
    assert orders(server, OURS.following(BOTH)) == []


def test_a_self_signed_certificate_holds_both_names() -> None:
    (order,) = orders(Server(), replace(BOTH, issuer=wish("self-signed").issuer, users=(User("alice"),)))
    assert f"subjectAltName=DNS:{NAME},DNS:hooks.example.com" in order
