"""The site's file: golden texts, and what is planned from which facts. The real nginx judges them in real/test_golden.py."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from certificates import Server
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.backend import DEFAULT_BACKEND, Backend
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import Issuer
from hermes_setup.answers.user import User
from hermes_setup.answers.webhook_platforms import parse_endpoints
from hermes_setup.answers.webhooks import Webhooks
from hermes_setup.engine.changes import Change, Place, Probe, Run, Stamp
from hermes_setup.engine.findings import Severity
from hermes_setup.host import ABSENT, File, Folder, Link, Listener, Node, Records
from hermes_setup.nginx import syntax, tree
from hermes_setup.nginx.tree import Listen
from hermes_setup.nginx.tree import Server as Block
from hermes_setup.stages.addresses import trusted_proxies
from hermes_setup.stages.addresses.lists import allowed_in
from hermes_setup.stages.certificate.lineages import CHALLENGES
from hermes_setup.stages.certificate.serving import Served
from hermes_setup.stages.certificate.x509 import X509
from hermes_setup.stages.dns.cloudflare import networks
from hermes_setup.stages.proof import Proof
from hermes_setup.stages.site.facts import SITE_FILE, UNSET, Facts, WebhooksPlace
from hermes_setup.stages.site.stage import Site
from hermes_setup.state import stamps
from hermes_setup.system.overlay import Nothing
from hermes_setup.values import replace

GOLDEN = Path(__file__).parent / "golden"
ANSWERS = Answers(Domain.parse("hermes.example.com"), Issuer.parse("letsencrypt"), (User("alice"),))
SERVED = Served("/etc/ssl/golden/fullchain.pem", "/etc/ssl/golden/privkey.pem", trusted=True, fingerprint="aa")
BARE = Facts(
    config=tree.DEBIAN_DEFAULT,
    version=(1, 26, 3),
    openssl=(3, 5, 1),
    ipv6=True,
    sockets=(),
    addresses=("198.51.100.10", "2001:db8::10"),
    backend=DEFAULT_BACKEND,
    forwarded_for=True,
    served=None,
    shown_certificate="",
    nodes={},
    gate_text="",
    webroot=((CHALLENGES, ABSENT),),
    running=False,
    systemd=False,
    unit_active=False,
    loaded="",
    log_mode=0o640,
)
SECURE = replace(BARE, served=SERVED)


def beside(*listens: Listen, name: str = "blog.example") -> tree.Config:
    return replace(tree.DEBIAN_DEFAULT, servers=(Block("/etc/nginx/sites-enabled/blog", 1, (name,), listens),))


OWN = Webhooks(parse_endpoints(["webhook"]), Domain.parse("hooks.example.com"))
PAIR = (SERVED.certificate, SERVED.key)
CERTIFICATE = X509(
    ("hermes.example.com",),
    datetime(2026, 10, 1, tzinfo=timezone.utc),
    datetime(2026, 12, 30, tzinfo=timezone.utc),
    "",
    "",
    "",
    "",
)
BY_ADDRESS = beside(Listen("198.51.100.10", 80), Listen("198.51.100.10", 443, ("ssl",)))
CASES = {
    "http-1.18-no-ipv6": replace(BARE, version=(1, 18, 0), openssl=(3, 0, 2), ipv6=False),
    "http-1.26": BARE,
    "https-1.18-alone": replace(SECURE, version=(1, 18, 0), openssl=(3, 0, 2)),
    "https-1.22-neighbour-without-http2": replace(
        SECURE, version=(1, 22, 1), openssl=(3, 0, 15), config=beside(Listen("*", 443, ("ssl",)))
    ),
    "https-1.26": SECURE,
    "https-1.26-self-signed-other-backend": replace(
        SECURE, served=replace(SERVED, trusted=False), backend=Backend.parse("[::1]:9120"), forwarded_for=False
    ),
    "https-1.26-neighbour-by-address": replace(SECURE, config=BY_ADDRESS),
    "https-1.22-long-name": replace(SECURE, version=(1, 22, 1), openssl=(3, 0, 15)),
    "https-1.26-long-origin": SECURE,
    "https-1.26-allow": SECURE,
    "https-1.18-allow-from-here-too": replace(SECURE, version=(1, 18, 0), openssl=(3, 0, 2)),
    "https-1.22-allow-behind-cloudflare": replace(
        SECURE, version=(1, 22, 1), openssl=(3, 0, 15), real_ip=tuple(map(str, networks()))
    ),
    "https-1.26-webhooks": SECURE,
    "https-1.26-webhooks-waiting-for-their-name": replace(SECURE, served=replace(SERVED, x509=CERTIFICATE)),
    "https-1.22-webhooks-own-name-and-earlier-names": replace(
        SECURE,
        version=(1, 22, 1),
        openssl=(3, 0, 15),
        redirects=((Domain.parse("old.example.com"), SERVED), (Domain.parse("older.example.com"), None)),
    ),
    "https-1.26-webhooks-on-the-earlier-name-too": replace(
        SECURE, redirects=((Domain.parse("old.example.com"), SERVED),), real_ip=("173.245.48.0/20",)
    ),
    "https-1.26-webhooks-moving-to-another-name": replace(
        SECURE, served=replace(SERVED, x509=CERTIFICATE), webhooks_now=WebhooksPlace("calls.example.com", *PAIR)
    ),
}
MORE: dict[str, dict[str, Any]] = {
    "https-1.26-webhooks": {"webhooks": Webhooks(parse_endpoints(["webhook", "sms", "line:8647", "whatsapp_cloud"]))},
    "https-1.26-webhooks-waiting-for-their-name": {"webhooks": OWN},
    "https-1.26-webhooks-moving-to-another-name": {"webhooks": OWN},
    "https-1.26-webhooks-on-the-earlier-name-too": {
        "webhooks": Webhooks(parse_endpoints(["webhook"]), allow=("192.30.252.0/22",))
    },
    "https-1.22-webhooks-own-name-and-earlier-names": {
        "webhooks": replace(OWN, allow=("192.30.252.0/22", "2a0a:a440::/29"))
    },
}
ALLOW = {
    "https-1.26-allow": ("203.0.113.0/24", "2001:db8::/32"),
    "https-1.18-allow-from-here-too": ("0.0.0.0/0", "::/0", "127.0.0.1"),
    "https-1.22-allow-behind-cloudflare": ("203.0.113.5",),
}
# hashed up to 46 characters: "https://" and the second one are more than that, the name itself is not
LONG = {
    "https-1.22-long-name": Domain.parse("ec2-198-51-100-10.eu-central-1.compute.example.com"),
    "https-1.26-long-origin": Domain.parse("vps-12345678.customers.provider.example"),
}


def rendered(facts: Facts, domain: Domain = ANSWERS.domain, allow: tuple[str, ...] = (), **more: Any) -> str:
    answers = replace(ANSWERS, domain=domain, allow=allow, **more)
    (place,) = [c for c in Site().plan(answers, facts) if isinstance(c, Place) and c.path == SITE_FILE]
    assert isinstance(place.node, File)
    return place.node.content.decode()


@pytest.mark.parametrize("name", CASES)
def test_the_text_is_as_the_golden_file_has_it(name: str) -> None:
    """When a change is meant: python tests/test_site.py writes the files anew; read their diff."""
    assert rendered(CASES[name], LONG.get(name, ANSWERS.domain), ALLOW.get(name, ()), **MORE.get(name, {})) == (
        GOLDEN / f"{name}.conf"
    ).read_text("utf-8")


def test_there_is_no_golden_file_without_its_case() -> None:
    assert {path.stem for path in GOLDEN.glob("*.conf")} == set(CASES)


@pytest.mark.parametrize(
    ("facts", "listens"),
    [
        (SECURE, ["80", "[::]:80", "443 ssl", "[::]:443 ssl"]),
        (replace(SECURE, ipv6=False), ["80", "443 ssl"]),
        (replace(SECURE, version=(1, 22, 1)), ["80", "[::]:80", "443 ssl http2", "[::]:443 ssl http2"]),
        (
            replace(SECURE, version=(1, 22, 1), config=beside(Listen("*", 443, ("ssl", "http2")))),
            ["80", "[::]:80", "443 ssl http2", "[::]:443 ssl http2"],
        ),
        (
            replace(SECURE, config=beside(Listen("[::]", 80, ("ipv6only=off",)))),
            ["[::]:80", "443 ssl", "[::]:443 ssl"],
        ),
        (
            replace(SECURE, config=BY_ADDRESS),
            [
                "198.51.100.10:80",
                "127.0.0.1:80",
                "[::]:80",
                "198.51.100.10:443 ssl",
                "127.0.0.1:443 ssl",
                "[::]:443 ssl",
            ],
        ),
        # nginx runs, and already holds the port everywhere: the kernel would refuse the single address now
        (
            replace(
                SECURE, config=BY_ADDRESS, sockets=(Listener("0.0.0.0", 80), Listener("0.0.0.0", 443)), running=True
            ),
            ["80", "198.51.100.10:80", "[::]:80", "443 ssl", "198.51.100.10:443 ssl", "[::]:443 ssl"],
        ),
        (
            replace(SECURE, sockets=(Listener("203.0.113.7", 80),), running=True),
            ["127.0.0.1:80", "198.51.100.10:80", "[::]:80", "443 ssl", "[::]:443 ssl"],
        ),
    ],
)
def test_it_listens_where_the_neighbours_leave_room(facts: Facts, listens: list[str]) -> None:
    lines = [line.strip() for line in rendered(facts).splitlines()]
    assert [line[7:-1] for line in lines if line.startswith("listen ")] == listens


@pytest.mark.parametrize("name", ALLOW)
def test_the_list_can_be_read_back_from_the_site(name: str) -> None:
    assert allowed_in(rendered(CASES[name], allow=ALLOW[name])) == ALLOW[name]
    assert allowed_in(rendered(CASES[name])) == ()


def test_without_a_list_no_proxy_is_trusted_and_no_visitor_is_refused() -> None:
    text = rendered(SECURE)
    assert not any(words in text for words in ("geo ", "real_ip", "hermes_refused"))
    assert "real_ip" not in rendered(SECURE, allow=("203.0.113.5",))


def test_what_the_http_block_hands_down_is_unset_where_it_is_there_and_each_string_fits_nginx() -> None:
    config = replace(
        tree.DEBIAN_DEFAULT, http=frozenset({"auth_request", "limit_conn", "limit_req", "modsecurity", "gzip"})
    )
    text = rendered(replace(SECURE, config=config), webhooks=PATHS)
    locations = text.count("satisfy all;")
    for line in ("auth_request off;", "modsecurity off;", "limit_conn hermes_unlimited_connections 65535;"):
        assert text.count(line) == locations, line
        assert line not in rendered(SECURE)
    assert text.count("limit_req zone=") == locations + 2, (
        "none inherits a limit; with a check of passwords they have two, and the sign-out has none"
    )
    for each in (text, rendered(BARE)):
        assert max(len(found.encode()) for found in re.findall(r'"(?:[^"\\]|\\.)*"', each, re.S)) < 4000


@pytest.mark.parametrize(("place", "name", "value"), [(p, n, v) for p, each in UNSET.items() for n, v in each.items()])
def test_each_directive_that_we_unset_is_unset_wherever_it_counts(place: str, name: str, value: str) -> None:
    config = replace(tree.DEBIAN_DEFAULT, http=frozenset({name}))
    text = rendered(replace(SECURE, config=config), webhooks=PATHS)
    where = {"server": "listen 443", "location": "satisfy all;", "proxy": "proxy_pass http"}[place]
    assert text.count(f" {name} {value};") == text.count(where) > 0
    assert f" {name} " not in rendered(SECURE, webhooks=PATHS)


def test_sockets_have_an_upstream_without_kept_connections_also_where_nginx_keeps_them_by_itself() -> None:
    def sockets(version: tuple[int, ...]) -> str:
        return re.search(r"upstream hermes_sockets \{.*?\}", rendered(replace(SECURE, version=version)), re.S)[0]  # type: ignore[index]

    assert "keepalive" not in sockets((1, 29, 6))
    assert "keepalive 0;" in sockets((1, 29, 7))


def test_what_it_inherits_and_can_not_unset_is_said() -> None:
    config = replace(tree.DEBIAN_DEFAULT, http=frozenset({"sub_filter", "gzip"}))
    (found,) = Site().check(ANSWERS, replace(SECURE, config=config))
    assert (found.code, found.severity) == ("site.inherits", Severity.WARN)
    assert "sub_filter" in found.what


@dataclass
class Silent(Nothing):
    """Its DNS does not answer."""

    def dns(self, name: str, kind: str, *, server: str = "", seconds: float = 3.0) -> Records:  # noqa: ARG002
        return Records("timeout")


@pytest.mark.parametrize(("dashboard", "own"), [(True, True), (True, False), (False, True), (False, False)])
def test_each_server_believes_cloudflare_where_its_own_name_is_proxied_and_that_can_be_read_back(
    dashboard: bool, own: bool
) -> None:
    ranges = tuple(map(str, networks()))
    listed: dict[str, Any] = {"allow": ("203.0.113.5",), "webhooks": replace(OWN, allow=("192.30.252.0/22",))}
    served = replace(SECURE, real_ip=ranges if dashboard else (), webhooks_real_ip=ranges if own else ())
    text = rendered(served, **listed)
    assert text.count("real_ip_header CF-Connecting-IP;") == dashboard + own
    answers = replace(ANSWERS, **listed)
    assert trusted_proxies.for_dashboard(answers, Silent(), text) == served.real_ip
    assert trusted_proxies.for_webhooks(answers, Silent(), text) == served.webhooks_real_ip


def test_the_plan_says_what_changes_in_the_list() -> None:
    listed = replace(ANSWERS, allow=("203.0.113.5",))
    (here,) = [c for c in Site().plan(listed, SECURE) if isinstance(c, Place) and c.path == SITE_FILE]
    assert here.why.endswith("to these addresses only: 203.0.113.5")
    before = replace(SECURE, nodes={SITE_FILE: here.node})
    (open_again,) = [c for c in Site().plan(ANSWERS, before) if isinstance(c, Place) and c.path == SITE_FILE]
    assert open_again.why.endswith("to all addresses again")


def kinds(changes: list[Change]) -> list[str]:
    return [type(change).__name__ for change in changes]


def done(facts: Facts) -> Facts:
    """The facts after the plan has been carried out, and nginx has loaded it."""
    nodes = dict(facts.nodes)
    stamp = ""
    for change in Site().plan(ANSWERS, facts):
        match change:
            case Place(path, node):
                nodes[path] = node
            case Stamp(path, File() as node) if path == stamps.NGINX:
                stamp = node.content.decode()
            case _:
                pass
    shown = facts.served.fingerprint if facts.served else ""
    return replace(
        facts, nodes=nodes, webroot=((CHALLENGES, Folder()),), running=True, loaded=stamp, shown_certificate=shown
    )


@pytest.mark.parametrize("name", CASES)
def test_an_empty_plan_means_done(name: str) -> None:
    assert Site().plan(ANSWERS, done(CASES[name])) == []


def test_a_stopped_nginx_is_started_and_a_running_one_reloaded() -> None:
    finished = done(SECURE)
    for facts, argv in (
        (replace(finished, running=False), ("nginx",)),
        (replace(finished, running=False, systemd=True), ("systemctl", "enable", "--now", "nginx")),
        (replace(finished, loaded="old"), ("nginx", "-s", "reload")),
        (replace(finished, loaded="old", systemd=True, unit_active=True), ("systemctl", "reload", "nginx")),
        (replace(finished, shown_certificate="another certificate"), ("nginx", "-s", "reload")),
    ):
        plan = list(Site().plan(ANSWERS, facts))
        assert kinds(plan) == ["Stamp", "Run", "Stamp"]
        assert isinstance(plan[1], Run)
        assert plan[1].argv == argv


def test_nothing_takes_its_place_before_nginx_has_tried_it() -> None:
    plan = list(Site().plan(ANSWERS, SECURE))
    assert kinds(plan) == ["Place", "Probe", "Place", "Place", "Stamp", "Run", "Stamp"]
    assert isinstance(plan[1], Probe)
    assert [change.path for change in plan if isinstance(change, Place)][1:] == [
        SITE_FILE,
        "/etc/nginx/sites-enabled/zz-hermes",
    ]


def test_the_log_is_nobody_elses_from_its_first_byte() -> None:
    def wanted(mode: int | None) -> list[tuple[str, ...]]:
        plan = Site().plan(ANSWERS, replace(SECURE, log_mode=mode))
        return [change.argv for change in plan if isinstance(change, Run) and change.argv[-1].endswith("-access.log")]

    assert wanted(None) == [("install", "-m", "0640", "-g", "adm", "/dev/null", "/var/log/nginx/hermes-access.log")]
    assert wanted(0o644) == [("chmod", "o=", "/var/log/nginx/hermes-access.log")]
    assert wanted(0o640) == wanted(0o600) == []


@pytest.mark.parametrize(
    ("others", "name"),
    [(["default"], "zz-hermes"), (["zz-last"], "zzz-hermes"), (["zzzz"], "zzzz-hermes"), (["~x"], "~zz-hermes")],
)
def test_the_link_sorts_last(others: list[str], name: str) -> None:
    nodes = {f"/etc/nginx/sites-enabled/{other}": File(b"") for other in others}
    plan = Site().plan(ANSWERS, replace(SECURE, nodes=nodes))
    (link,) = [c.path for c in plan if isinstance(c, Place) and isinstance(c.node, Link)]
    assert link == f"/etc/nginx/sites-enabled/{name}"
    assert others[0] < name


def test_a_configuration_that_reads_only_conf_d_gets_the_link_there() -> None:
    facts = replace(SECURE, config=replace(tree.DEBIAN_DEFAULT, includes=("/etc/nginx/conf.d/*.conf",)))
    (link,) = [c for c in Site().plan(ANSWERS, facts) if isinstance(c, Place) and isinstance(c.node, Link)]
    assert (link.path, link.node) == ("/etc/nginx/conf.d/zz-hermes.conf", Link("../sites-available/hermes"))


@pytest.mark.parametrize(
    ("config", "code", "severity"),
    [
        (replace(tree.DEBIAN_DEFAULT, includes=()), "site.no-folder", Severity.BLOCK),
        (beside(Listen("*", 80), name="hermes.example.com"), "site.by-hand", Severity.NOTE),
        (
            replace(
                tree.DEBIAN_DEFAULT,
                servers=(Block("/etc/nginx/sites-enabled/x", 3, ("shop.example", "hermes.example.com"), ()),),
            ),
            "site.name-taken",
            Severity.BLOCK,
        ),
        (
            replace(tree.DEBIAN_DEFAULT, files={"/etc/nginx/sites-enabled/x": "proxy_pass http://127.0.0.1:9119;"}),
            "site.other-door",
            Severity.WARN,
        ),
        (
            replace(
                tree.DEBIAN_DEFAULT,
                servers=(Block("/etc/nginx/nginx.conf", 30, ("hermes.example.com",), (Listen("*", 80),)),),
            ),
            "site.name-taken",
            Severity.BLOCK,
        ),
        (
            replace(tree.DEBIAN_DEFAULT, streams=(Block("/etc/nginx/nginx.conf", 30, (), (Listen("*", 443),)),)),
            "site.stream",
            Severity.BLOCK,
        ),
    ],
)
def test_what_is_found_beside_us(config: tree.Config, code: str, severity: Severity) -> None:
    (finding,) = Site().check(ANSWERS, replace(SECURE, config=config))
    assert (finding.code, finding.severity) == (code, severity)


@pytest.mark.parametrize(
    ("behind", "said"),
    [
        (File(b"by hand"), f"{SITE_FILE}.by-hand"),
        (Link("../sites-available/dashboard"), "/etc/nginx/sites-available/dashboard"),
        (Link("/srv/hermes.conf"), "/srv/hermes.conf"),
        (Link(SITE_FILE), f"{SITE_FILE}.by-hand"),
    ],
)
def test_a_site_by_hand_stays_where_it_is_said_to_stay(behind: File | Link, said: str) -> None:
    path = "/etc/nginx/sites-enabled/hermes"
    config = replace(
        tree.DEBIAN_DEFAULT,
        files={path: "by hand"},
        servers=(Block(path, 1, ("hermes.example.com",), (Listen("*", 80),)),),
    )
    facts = replace(SECURE, config=config, nodes={path: behind})
    (finding,) = Site().check(ANSWERS, facts)
    assert said in finding.do
    places = {change.path: change.node for change in Site().plan(ANSWERS, facts) if isinstance(change, Place)}
    assert places[path] == ABSENT
    assert (said in places) == said.endswith(".by-hand")


@pytest.mark.parametrize(
    ("path", "optional"),
    [
        ("/etc/nginx/sites-enabled/dashboard", True),
        ("/etc/nginx/conf.d/hermes.conf", True),
        ("/etc/nginx/conf.d/hermes", False),
        ("/etc/nginx/nginx.conf", False),
        ("/etc/nginx/hermes.conf", False),
    ],
)
def test_what_a_pattern_finds_may_as_well_not_be_there(path: str, optional: bool) -> None:
    assert tree.DEBIAN_DEFAULT.optional(path) is optional


def test_a_copy_never_replaces_an_earlier_copy() -> None:
    nodes = {SITE_FILE: File(b"by hand"), f"{SITE_FILE}.by-hand": File(b"an earlier one")}
    plan = Site().plan(ANSWERS, replace(SECURE, nodes=nodes))
    assert Place(f"{SITE_FILE}.by-hand-2", File(b"by hand"), f"keep a copy of {SITE_FILE}") in plan


def test_the_old_domain_is_served_while_the_new_one_has_no_certificate() -> None:
    finished = done(SECURE)
    new = replace(ANSWERS, domain=Domain.parse("new.example.com"))
    plan = Site().plan(new, replace(finished, served=None))
    assert [change.path for change in plan if isinstance(change, Place)] == [
        f"{SITE_FILE}-next",
        "/etc/nginx/sites-enabled/zz-hermes-next",
    ]


# -- webhooks that move -----------------------------------------------------------------------------------------------


def hears(text: str) -> set[str]:
    """The names whose HTTPS servers take webhooks, in a site's text."""
    return {
        name
        for server in syntax.parse(text)
        if server.name == "server" and any("location" == each.name and "/webhooks/" in str(each.args) for each in server.block or ())
        for each in server.block or ()
        if each.name == "server_name"
        for name in each.args
    }  # fmt: skip


def asks(text: str) -> set[str]:
    """The names that answer on port 80, and so the challenge."""
    return {
        name
        for server in syntax.parse(text)
        if server.name == "server" and any(each.name == "listen" and each.args == ("80",) for each in server.block or ())
        for each in server.block or ()
        if each.name == "server_name"
        for name in each.args
    }  # fmt: skip


def written(server: Server, answers: Answers) -> str:
    """The site's text once the plan is carried out."""
    stage = Site()
    for change in stage.plan(answers, stage.inspect(answers, server)):
        if isinstance(change, Place):
            server.put(change.path, change.node)
    left = [change for change in stage.plan(answers, stage.inspect(answers, server)) if isinstance(change, Place)]
    assert left == [], "the same again changes nothing"
    node = server.look(SITE_FILE)
    assert isinstance(node, File)
    return node.content.decode()


PATHS = Webhooks(parse_endpoints(["webhook"]))
CALLS = replace(OWN, host=Domain.parse("calls.example.com"))
DASHBOARD, HOOKS, CALLED = "hermes.example.com", "hooks.example.com", "calls.example.com"


@pytest.mark.parametrize(
    ("before", "names", "heard"),
    [
        (CALLS, [DASHBOARD, CALLED], {CALLED}),
        (PATHS, [DASHBOARD], {DASHBOARD}),
        (None, [DASHBOARD], set()),
    ],
)
def test_webhooks_stay_where_they_are_until_their_new_name_is_in_the_certificate(
    before: Webhooks | None, names: list[str], heard: set[str]
) -> None:
    server = Server()
    server.lineage(names=names)
    assert hears(written(server, replace(ANSWERS, webhooks=before))) == heard
    wanted = replace(ANSWERS, webhooks=OWN, allow=("203.0.113.5",))
    for _ in range(2):  # however often it is stopped before the certificate is there
        waiting = written(server, wanted)
        assert hears(waiting) == heard
        assert asks(waiting) == {DASHBOARD, HOOKS, *heard}
        assert allowed_in(waiting) == wanted.allow, "all else is as it is wanted now"
    server.lineage(names=[DASHBOARD, HOOKS])
    done = written(server, wanted)
    assert hears(done) == {HOOKS}
    assert asks(done) == {DASHBOARD, HOOKS}


def test_webhooks_of_a_name_that_has_another_certificate_are_served_with_that_until_then() -> None:
    server = Server()
    server.lineage(names=[DASHBOARD])
    server.lineage("new.example.com", names=["new.example.com", HOOKS], key="real2")
    moved = replace(ANSWERS, domain=Domain.parse("new.example.com"), webhooks=OWN)
    assert hears(written(server, moved)) == {HOOKS}
    back = written(server, replace(ANSWERS, webhooks=OWN, redirects=(moved.domain,)))
    assert hears(back) == {HOOKS}
    assert back.count("ssl_certificate /etc/letsencrypt/live/new.example.com/fullchain.pem;") == 2
    # unless that certificate is gone: nginx would not start
    server.put("/etc/letsencrypt/archive/new.example.com/1/fullchain.pem", ABSENT)
    assert hears(written(server, replace(ANSWERS, webhooks=OWN))) == set()


def test_a_redirected_domain_serves_webhooks_as_long_as_they_are_paths_of_the_domain() -> None:
    old = Domain.parse("old.example.com")
    facts = replace(SECURE, redirects=((old, SERVED),))
    assert hears(rendered(facts, webhooks=PATHS)) == {DASHBOARD, "old.example.com"}
    assert hears(rendered(facts, webhooks=OWN)) == {HOOKS}
    assert hears(rendered(facts)) == set()


def test_a_redirect_is_for_ever_only_from_http_to_https() -> None:
    text = rendered(replace(SECURE, redirects=((Domain.parse("old.example.com"), SERVED),)), webhooks=PATHS)
    assert text.count("return 301 ") == 1
    before = [text[:at].rstrip().rsplit("\n", 1)[1] for at in range(len(text)) if text.startswith("return 307 ", at)]
    assert before == ["        add_header Cache-Control no-store always;"] * 2


@pytest.mark.parametrize(
    ("earlier", "words"),
    [
        (["old.example.com"], "; old.example.com redirects there"),
        (["old.example.com", "xn--bcher-kva.example"], "; old.example.com and b\u00fccher.example redirect there"),
    ],
)
def test_the_plan_names_the_redirected_domains_as_people_do(earlier: list[str], words: str) -> None:
    names = tuple(map(Domain.parse, earlier))
    facts = replace(SECURE, redirects=tuple((name, SERVED) for name in names))
    plan = Site().plan(replace(ANSWERS, redirects=names), facts)
    (place,) = [change for change in plan if isinstance(change, Place) and change.path == SITE_FILE]
    assert place.why.endswith(words)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Folder(0o700, "root", "admins"), Folder(0o755, "root", "admins")),  # nginx may enter it, and no more than that
        (Folder(0o755, "www-data", "www-data"), Folder(0o755, "root", "www-data")),
        (Folder(0o777), Folder(0o755)),
        (Folder(0o2775, "root", "admins"), Folder(0o2755, "root", "admins")),
        (Folder(0o755), None),
        (Link("/srv/letsencrypt"), None),
    ],
)
def test_the_folders_of_the_challenges_are_roots_and_nginx_can_enter_them(before: Node, after: Folder | None) -> None:
    folders = (("/var/www/letsencrypt", before), (CHALLENGES, Folder()))
    plan = Site().plan(ANSWERS, replace(done(SECURE), webroot=folders))
    assert [(change.path, change.node) for change in plan if isinstance(change, Place)] == (
        [("/var/www/letsencrypt", after)] if after else []
    )


def test_a_site_whose_certificate_is_missing_stays_in_memory_until_there_is_another() -> None:
    finished = done(SECURE)
    assert Site().plan(ANSWERS, replace(finished, served=None, shown_certificate="aa")) == ()
    assert Site().plan(ANSWERS, replace(finished, served=None, shown_certificate="")) != ()


def test_a_stamp_that_is_no_text_is_one_that_does_not_fit() -> None:
    server = Server()
    server.lineage()
    for path in (stamps.NGINX, "/var/lib/hermes-setup/stamps/proof"):
        server.put(path, File(b"\xff\xfe\x00"))
    assert Site().inspect(ANSWERS, server).loaded
    stage = Proof()
    assert any(isinstance(change, Probe) for change in stage.plan(ANSWERS, stage.inspect(ANSWERS, server)))


if __name__ == "__main__":
    for case, its_facts in CASES.items():
        (GOLDEN / f"{case}.conf").write_text(
            rendered(its_facts, LONG.get(case, ANSWERS.domain), ALLOW.get(case, ()), **MORE.get(case, {})), "utf-8"
        )
