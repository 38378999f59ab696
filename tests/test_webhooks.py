"""Webhooks without a machine: what is seen on a platform's port, and whether only nginx can reach it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from certificates import answers as wish
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.backend import Backend
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.webhook_platforms import parse_endpoints
from hermes_setup.answers.webhooks import Webhooks
from hermes_setup.engine.findings import Severity
from hermes_setup.host import Listener, Ran, Request, Response
from hermes_setup.stages.webhooks import Webhooks as Stage
from hermes_setup.stages.webhooks import listening
from hermes_setup.system.overlay import Nothing
from hermes_setup.values import replace

HOOKS = Domain.parse("hooks.example.com")
OURS = wish()
BOTH = replace(OURS, webhooks=Webhooks(parse_endpoints(["webhook", "sms"]), HOOKS))


POST_ONLY = Response(405, (("Server", "Python/3.13 aiohttp/3.14.1"),))


@dataclass
class Machine(Nothing):
    """Listeners, what is answered at each port, and the rules that iptables-save prints."""

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


def test_another_users_process_on_a_platforms_port_is_told() -> None:
    mallorys = Listener("127.0.0.1", 8644, 7, "python3", user="mallory", owner="mallory")
    hermes = Listener("127.0.0.1", 8080, 8, "python3", user="hermes", owner="hermes")
    roots, docker = replace(mallorys, user="root", owner="root"), replace(mallorys, unit="docker-1", owner="100999")
    answers = {8644: POST_ONLY, 8080: POST_ONLY}
    for there, expected in ((mallorys, ["webhooks.other-user"]), (roots, []), (docker, [])):
        wanted = BOTH.with_backend(Backend("127.0.0.1", 9119), "hermes")
        assert [code for code, _ in seen(Machine([there, hermes], answers), wanted)] == expected, there
    assert seen(Machine([mallorys, hermes], answers)) == [], "whose Hermes it is, nothing says"
