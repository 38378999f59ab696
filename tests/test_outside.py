"""The look from outside: before the first real order only, and every answer that the challenge token can get."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from certificates import NAME, NOW, Server, answers, refuse
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.issuer import LETSENCRYPT_STAGING
from hermes_setup.engine.changes import Probe, Stamp
from hermes_setup.engine.events import Seen
from hermes_setup.engine.failed_step import NoJournal
from hermes_setup.engine.findings import Finding, Severity
from hermes_setup.engine.loop import Blocked, run
from hermes_setup.host import File, Request, Response
from hermes_setup.stages.certificate import lineages
from hermes_setup.stages.outside import ChallengeToken, Outside, StagingOrder
from hermes_setup.state import stamps
from hermes_setup.system.overlay import Overlay
from machines import steps

OURS = answers()
FOUR, SIX, LOCAL = "198.51.100.10", "2001:db8::10", "127.0.0.1"


def tokens(server: Server) -> list[str]:
    return [
        path for path, node in server.files().items() if path.startswith(lineages.CHALLENGES) and isinstance(node, File)
    ]


def ours(server: Server, request: Request) -> Response:
    """nginx, with our site over HTTP."""
    node = server.look(f"{lineages.WEBROOT}{request.path}")
    return Response(200, body=node.content) if isinstance(node, File) else Response(404)


def nginx_here(then: Response | None = None, at: str = FOUR) -> Server:
    """Our nginx answers everywhere, but at that address another does."""
    server = Server(lambda *_: None)
    server.world = {(NAME, "A"): (FOUR,), (NAME, "AAAA"): (SIX,)}
    server.answer = lambda machine, request: then if then and request.address == at else ours(machine, request)
    return server


def looked(server: Server, wish: Answers = OURS) -> list[Finding]:
    events = list(run(steps(Outside()), wish, server, NoJournal()))
    return [finding for event in events if isinstance(event, Seen) for finding in event.findings]


@pytest.mark.parametrize(
    ("certificate", "there", "passed", "looks"),
    [
        ("letsencrypt", {}, False, 2),
        ("letsencrypt", {}, True, 0),
        ("letsencrypt", None, False, 0),
        ("letsencrypt", {"server": LETSENCRYPT_STAGING}, False, 2),
        ("letsencrypt-staging", {}, False, 0),
        ("self-signed", {}, False, 0),
        ("https://ca.example.org/directory", {}, False, 0),
    ],
)
def test_it_looks_before_the_first_real_order_for_a_name_and_never_else(
    certificate: str, there: dict[str, str] | None, passed: bool, looks: int
) -> None:
    server, wish = Server(), answers(certificate)
    if there is None:
        server.lineage()
    elif there:
        server.lineage(**there)
    if passed:
        server.put(stamps.outside(wish.domain), File(b"passed"))
    plan = Outside().plan(wish, Outside().inspect(wish, server))
    assert sum(isinstance(each, Probe) for each in plan) == looks
    assert sum(isinstance(each, Stamp) for each in plan) == (1 if looks else 0)


def test_all_well_leaves_a_stamp_and_no_token_and_is_not_done_twice() -> None:
    server = nginx_here()
    assert looked(server) == []
    assert tokens(server) == []
    assert [argv[-1] for argv in server.ran] == ["--dry-run"]
    assert looked(server) == []
    assert len(server.ran) == 1


def test_the_token_is_asked_for_at_every_address_of_the_name() -> None:
    server, seen = nginx_here(), list[Request]()

    def answer(machine: Server, request: Request) -> Response:
        seen.append(request)
        return ours(machine, request)

    server.answer = answer
    ChallengeToken(OURS.domain)(server)
    assert [request.address for request in seen] == [LOCAL, FOUR, SIX]
    assert {(request.port, request.name, request.tls) for request in seen} == {(80, NAME, False)}


CLOUDFLARE = (("Server", "cloudflare"), ("CF-RAY", "1-FRA"))


@pytest.mark.parametrize(
    ("answer", "at", "code", "severity", "word"),
    [
        (Response(404, (("Server", "Apache"),)), FOUR, "outside.other-server", Severity.BLOCK, "Another server"),
        (Response(200, body=b"parked"), SIX, "outside.other-server", Severity.BLOCK, SIX),
        (Response(401), LOCAL, "outside.other-server", Severity.BLOCK, "Another site on this server"),
        (
            Response(301, (("Location", "https://x/"),)),
            LOCAL,
            "outside.other-server",
            Severity.BLOCK,
            "Another site on this server",
        ),
        (Response(0, error="refused"), LOCAL, "outside.nginx-silent", Severity.BLOCK, "refused"),
        (Response(522, CLOUDFLARE), FOUR, "outside.cloudflare", Severity.BLOCK, "Cloudflare"),
        (
            Response(301, (*CLOUDFLARE, ("Location", "https://x/"))),
            FOUR,
            "outside.redirected",
            Severity.WARN,
            "https://x/",
        ),
        (Response(0, error="timeout"), FOUR, "outside.unreachable", Severity.WARN, "timeout"),
        (Response(0, error="refused"), SIX, "outside.unreachable", Severity.WARN, "refused"),
    ],
)
def test_each_wrong_answer_is_its_own_finding(
    answer: Response, at: str, code: str, severity: Severity, word: str
) -> None:
    server = nginx_here(answer, at)
    (finding,) = ChallengeToken(OURS.domain)(server)
    assert (finding.code, finding.severity) == (code, severity)
    assert word in finding.what
    assert tokens(server) == []


def test_an_address_that_cannot_be_reached_from_here_hides_no_foreign_one() -> None:
    server = nginx_here()
    answer = {LOCAL: None, FOUR: Response(0, error="timeout"), SIX: Response(404)}
    server.answer = lambda machine, request: answer[request.address] or ours(machine, request)
    assert [finding.code for finding in ChallengeToken(OURS.domain)(server)] == [
        "outside.other-server",
        "outside.unreachable",
    ]


def test_what_is_wrong_on_this_server_itself_is_the_only_thing_said() -> None:
    server = nginx_here()
    server.answer = lambda _machine, _request: Response(404)
    (finding,) = ChallengeToken(OURS.domain)(server)
    assert "on this server" in finding.what


def test_a_cloud_that_does_not_let_a_server_reach_its_own_address_does_not_stop_it() -> None:
    server = nginx_here()
    server.answer = lambda machine, request: (
        ours(machine, request) if request.address == LOCAL else Response(0, error="timeout")
    )
    assert {finding.code for finding in looked(server)} == {"outside.unreachable"}
    assert len(server.ran) == 1


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_no_token_stays_whatever_happens(stop: type[BaseException]) -> None:
    server = nginx_here()

    def broken(_machine: Server, _request: Request) -> Response:
        raise stop

    server.answer = broken
    with pytest.raises(stop):
        ChallengeToken(OURS.domain)(server)
    assert tokens(server) == []


def test_a_name_served_elsewhere_costs_no_order() -> None:
    server = nginx_here(Response(404))
    with pytest.raises(Blocked):
        looked(server)
    assert server.ran == []
    assert stamps.outside(OURS.domain) not in server.files()


REFUSED = "  Domain: x\n  Type:   connection\n  Detail: 198.51.100.10: Fetching http://x: Timeout during connect\n"


def test_what_lets_encrypts_test_says_blocks_with_its_own_words_and_is_asked_again_next_time() -> None:
    server = nginx_here()
    server.programs["/usr/bin/certbot"] = refuse(REFUSED)  # type: ignore[assignment]
    with pytest.raises(Blocked) as blocked:
        looked(server)
    (finding,) = blocked.value.findings
    assert finding.code == "outside.refused"
    assert "Timeout during connect" in finding.what
    assert "Timeout during connect" in finding.evidence
    assert "firewall at your provider" in finding.do
    assert stamps.outside(OURS.domain) not in server.files()


def test_the_dry_run_is_for_the_certificate_that_will_be_ordered() -> None:
    server = nginx_here()
    server.lineage(names=[NAME, "blog.example.com"], webroot="/var/www/blog")
    looked(server)
    (argv,) = server.ran
    assert argv[argv.index("--cert-name") + 1] == f"{NAME}-hermes"


TLS = "requests.exceptions.SSLError: certificate verify failed: certificate is not yet valid"


def clock(date: str) -> Callable[[Server, Request], Response]:
    return lambda _machine, request: Response(200, (("Date", date),)) if request.tls else Response(404)


@pytest.mark.parametrize(
    ("date", "code"),
    [
        ("Mon, 23 Nov 2026 13:10:00 GMT", "outside.clock"),
        ("Wed, 23 Nov 2022 12:00:00 GMT", "outside.clock"),
        ("Mon, 23 Nov 2026 12:01:00 GMT", "outside.refused"),
        ("yesterday", "outside.refused"),
        ("", "outside.refused"),
    ],
)
def test_a_wrong_clock_is_told_from_a_broken_network(date: str, code: str) -> None:
    assert f"{NOW:%H:%M}" == "12:00"
    server = Server(refuse(TLS))
    server.world[("acme-v02.api.letsencrypt.org", "A")] = ("198.51.100.2",)
    server.answer = clock(date)
    assert [finding.code for finding in StagingOrder(OURS, "/usr/bin/certbot", NAME)(server)] == [code]


def test_a_dry_run_shows_the_looks_and_takes_none() -> None:
    server = nginx_here(Response(404))
    assert [
        event for event in run(steps(Outside()), OURS, Overlay(server), NoJournal()) if isinstance(event, Seen)
    ] == [Seen("outside", ())]
    assert server.ran == []
