"""DNS: what is asked, and what comes of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from certificates import Server
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import Issuer
from hermes_setup.answers.webhook_platforms import parse_endpoints
from hermes_setup.answers.webhooks import Webhooks
from hermes_setup.engine.findings import Finding, Severity, block, note
from hermes_setup.host import ABSENT, File, Link, Node, Ran, Records
from hermes_setup.stages.dns import cloudflare, records
from hermes_setup.stages.dns.caa import refusal
from hermes_setup.stages.dns.facts import Facts, Family
from hermes_setup.stages.dns.own_addresses import public_address
from hermes_setup.stages.dns.queries import resolvers
from hermes_setup.stages.dns.queries.plan import QueryPlan
from hermes_setup.stages.dns.queries.query import Query
from hermes_setup.stages.dns.quick import facts_if_all_is_well
from hermes_setup.stages.dns.stage import Dns
from hermes_setup.stages.dns.waiting import only_dns_blocks, still_blocking
from hermes_setup.system.overlay import Nothing
from hermes_setup.values import replace

NAME = "hermes.example.com"
V4, V6 = "198.51.100.10", "2001:db8::10"
ELSE4, ELSE6 = "203.0.113.9", "2001:db8:9::9"
NS1, NS2 = "198.51.100.53", "198.51.100.54"
CLOUD4, CLOUD6 = "104.16.1.1", "2606:4700::6810:101"
LE, STAGING, SELF, ACME = "letsencrypt", "letsencrypt-staging", "self-signed", "https://ca.internal/dir"


def answers(certificate: str = LE, *, name: str = NAME, given: Sequence[str] = ()) -> Answers:
    return Answers(Domain.parse(name), Issuer.parse(certificate), (), public_addresses=tuple(given))


def ok(*values: str, ttl: int = 300, server: str = "") -> Records:
    return Records("ok", tuple(values), ttl, server)


NODATA, GONE = Records("nodata", ttl=60), Records("nxdomain", ttl=60)
SERVFAIL, REFUSED, SILENT, DEAD = Records("servfail"), Records("refused"), Records("timeout"), Records("error")


def family(kind: str, said: Records, own: Records | None = None, public: Sequence[Records] = ()) -> Family:
    return Family(kind, (replace(said, server=NS1),), tuple(public), said if own is None else own)


def seen(a: Records = NODATA, aaaa: Records = NODATA, **more: object) -> Facts:
    given: dict[str, object] = {"interfaces": (V4, V6), **more}
    return Facts(a=family("A", a), aaaa=family("AAAA", aaaa), **given)  # type: ignore[arg-type]


def check(facts: Facts, certificate: str = LE, **more: object) -> list[Finding]:
    return list(Dns().check(answers(certificate, **more), (facts,)))  # type: ignore[arg-type]


def codes(found: Sequence[Finding]) -> list[str]:
    return [finding.code for finding in found]


# -- from facts to findings -----------------------------------------------------------------------------------------

V4_ONLY = (V4,)
NAT = ("10.0.0.5",)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param(seen(ok(V4), ok(V6)), [], id="both right"),
        pytest.param(seen(ok(V4)), [], id="only A, right"),
        pytest.param(seen(NODATA, ok(V6)), [], id="only AAAA, right"),
        pytest.param(seen(NODATA, ok(V6), interfaces=(V6,)), [], id="a server with IPv6 only"),
        pytest.param(seen(ok(V4), interfaces=NAT, outside=V4_ONLY), [], id="behind NAT, the outside view fits"),
        pytest.param(seen(GONE, GONE), ["dns.missing"], id="no such name"),
        pytest.param(seen(), ["dns.missing"], id="a name without addresses"),
        pytest.param(seen(ok(ELSE4)), ["dns.foreign"], id="another server"),
        pytest.param(seen(ok(ELSE4), ok(ELSE6)), ["dns.foreign"], id="another server, both families: one finding"),
        pytest.param(
            seen(ok(ELSE4), ok(ELSE6), interfaces=V4_ONLY), ["dns.foreign"], id="another server, and no IPv6 here"
        ),
        pytest.param(seen(ok(V4, ELSE4)), ["dns.one-wrong"], id="one of two A records"),
        pytest.param(seen(ok(V4), ok(ELSE6)), ["dns.one-wrong"], id="A right, AAAA wrong"),
        pytest.param(seen(ok(ELSE4), ok(V6)), ["dns.one-wrong"], id="AAAA right, A wrong"),
        pytest.param(seen(ok(V4), ok(ELSE6), interfaces=V4_ONLY), ["dns.no-ipv6-here"], id="AAAA, no IPv6 here"),
        pytest.param(seen(NODATA, ok(ELSE6), interfaces=V4_ONLY), ["dns.no-ipv6-here"], id="only AAAA, no IPv6 here"),
        pytest.param(
            seen(ok(V4), ok(ELSE6), interfaces=(V4, "fd7a::1")), ["dns.no-ipv6-here"], id="a VPN's IPv6 is none"
        ),
        pytest.param(seen(ok(CLOUD4, "104.16.2.1"), ok(CLOUD6)), ["dns.cloudflare"], id="Cloudflare: one finding"),
        pytest.param(seen(ok(CLOUD4), interfaces=NAT), ["dns.cloudflare"], id="Cloudflare, address unknown"),
        pytest.param(seen(ok("10.0.0.5"), interfaces=NAT, outside=V4_ONLY), ["dns.private"], id="a private address"),
        pytest.param(seen(ok("127.0.0.1")), ["dns.private"], id="loopback"),
        pytest.param(seen(ok("100.64.1.1")), ["dns.private"], id="a carrier's shared space"),
        pytest.param(seen(ok(V4), interfaces=NAT), ["dns.unknown-address"], id="NAT, no outside view"),
        pytest.param(seen(ok(V4), interfaces=()), ["dns.unknown-address"], id="no address at all"),
        pytest.param(seen(ok(ELSE4), interfaces=NAT, outside=V4_ONLY), ["dns.foreign"], id="NAT, and another server"),
        pytest.param(seen(SERVFAIL, SERVFAIL), ["dns.servfail"], id="both SERVFAIL: one finding"),
        pytest.param(seen(REFUSED, REFUSED), ["dns.refused"], id="both REFUSED"),
        pytest.param(seen(SILENT, SILENT), ["dns.timeout"], id="both silent"),
        pytest.param(seen(DEAD, DEAD), ["dns.timeout"], id="no network"),
        pytest.param(seen(NODATA, SERVFAIL), ["dns.servfail"], id="no A, and AAAA fails"),
        pytest.param(seen(ok(V4), SERVFAIL), ["dns.servfail"], id="A right, AAAA fails"),
        pytest.param(seen(SILENT, SILENT, caa=((NAME, SILENT),)), ["dns.timeout"], id="CAA too: still one finding"),
        pytest.param(
            seen(ok(V4), caa=((NAME, NODATA), ("example.com", SERVFAIL))), ["dns.caa-servfail"], id="CAA fails"
        ),
        pytest.param(seen(ok(V4), caa=((NAME, SILENT),)), ["dns.caa-servfail"], id="CAA is silent"),
        pytest.param(seen(ok(V4), caa=((NAME, GONE), ("com", NODATA))), [], id="no CAA anywhere"),
    ],
)
def test_what_is_found(facts: Facts, expected: list[str]) -> None:
    found = check(facts)
    assert codes(found) == expected
    assert all(finding.what and finding.why and finding.do for finding in found)


@pytest.mark.parametrize(
    ("facts", "lines"),
    [
        pytest.param(seen(), [f"{NAME}.  A  {V4}", f"{NAME}.  AAAA  {V6}"], id="missing, both families"),
        pytest.param(seen(interfaces=(V6,)), [f"{NAME}.  AAAA  {V6}"], id="missing, IPv6 only"),
        pytest.param(seen(interfaces=NAT, outside=V4_ONLY), [f"{NAME}.  A  {V4}"], id="missing, NAT"),
        pytest.param(seen(ok(ELSE4)), [f"{NAME}.  A  {V4}", ELSE4], id="foreign"),
        pytest.param(
            seen(ok(ELSE4), interfaces=(V6,)), [f"{NAME}.  AAAA  {V6}", f"delete the A record {ELSE4}"], id="v4 to v6"
        ),
        pytest.param(
            seen(ok(V4), ok(ELSE6), interfaces=V4_ONLY),
            [f"delete the AAAA record {ELSE6}", "or give the server that address"],
            id="no IPv6 here",
        ),
        pytest.param(seen(ok(V4, ELSE4)), [f"delete the A record {ELSE4}"], id="one of two"),
        pytest.param(seen(ok(V4), ok(ELSE6)), [f"{NAME}.  AAAA  {V6}", f"delete the AAAA record {ELSE6}"], id="AAAA"),
        pytest.param(seen(ok(CLOUD4)), ["DNS only", "Full (strict)", V4], id="Cloudflare"),
        pytest.param(seen(ok(ELSE4), interfaces=NAT), [f'public_addresses = ["{ELSE4}"]'], id="unknown"),
        pytest.param(
            seen(ok(ELSE4), chain=("old.example.net",)), [f"{NAME}.  CNAME  old.example.net."], id="an alias in the way"
        ),
        pytest.param(
            seen(ok(V4), caa=((NAME, NODATA), ("example.com", ok('0 issue "other.org"')))),
            ['example.com.  CAA  0 issue "letsencrypt.org"', f'{NAME}.  CAA  0 issue "letsencrypt.org"'],
            id="CAA on a parent",
        ),
    ],
)
def test_the_exact_record_to_set_is_given(facts: Facts, lines: list[str]) -> None:
    [finding] = check(facts)
    for line in lines:
        assert line in finding.do


def test_a_family_that_is_right_is_not_told_to_change() -> None:
    for facts in (seen(ok(V4), ok(ELSE6)), seen(ok(V4, ELSE4), ok(V6)), seen(ok(V4), ok(ELSE6), interfaces=V4_ONLY)):
        [finding] = check(facts)
        assert f"A  {V4}" not in finding.do.replace("AAAA", "")


def test_a_wrong_aaaa_says_that_it_is_tried_first() -> None:
    [finding] = check(seen(ok(V4), ok(ELSE6)))
    assert "first" in finding.why
    assert ELSE6 in finding.what
    assert f"AAAA at {NS1}: {ELSE6} (TTL 300 s)" in finding.evidence


@pytest.mark.parametrize("certificate", [LE, STAGING, ACME])
@pytest.mark.parametrize(
    "facts", [seen(), seen(ok(ELSE4)), seen(SERVFAIL, SERVFAIL), seen(ok(CLOUD4)), seen(SILENT, SILENT)]
)
def test_a_ca_that_looks_stops_the_set_up(certificate: str, facts: Facts) -> None:
    assert [finding.severity for finding in check(facts, certificate)] == [Severity.BLOCK]


@pytest.mark.parametrize(
    "facts", [seen(), seen(ok(ELSE4)), seen(SERVFAIL, SERVFAIL), seen(ok(CLOUD4)), seen(SILENT, ok(V6))]
)
def test_self_signed_only_gets_notes(facts: Facts) -> None:
    assert [finding.severity for finding in check(facts, SELF)] == [Severity.NOTE]


def test_one_family_that_fails_beside_a_right_one_only_warns() -> None:
    [finding] = check(seen(ok(V4), SERVFAIL))
    assert finding.severity is Severity.WARN
    assert "AAAA" in finding.what


def test_cloudflare_only_warns_once_there_is_a_certificate() -> None:
    [finding] = check(seen(ok(CLOUD4), certificate=True))
    assert finding.severity is Severity.WARN


def test_what_the_user_says_overrules_what_is_seen() -> None:
    assert check(seen(ok(ELSE4)), given=[ELSE4]) == []
    assert codes(check(seen(ok(V4)), given=[ELSE4])) == ["dns.foreign"]
    assert codes(check(seen(ok(ELSE4), interfaces=NAT), given=[V4])) == ["dns.foreign"]
    assert codes(check(seen(ok(ELSE4), interfaces=NAT), given=[V6])) == ["dns.foreign"]


@pytest.mark.parametrize("address", ["10.0.0.5", "127.0.0.1", "127.0.1.1"])
def test_for_a_private_ca_every_address_of_this_machine_counts(address: str) -> None:
    assert check(seen(ok(address), interfaces=NAT), ACME) == []
    assert codes(check(seen(ok(address), interfaces=NAT))) == ["dns.private"]


@pytest.mark.parametrize(
    ("certificate", "getent", "severity"),
    [
        (ACME, ("10.0.0.5",), Severity.WARN),
        (ACME, ("127.0.1.1",), Severity.WARN),
        (ACME, (ELSE4,), Severity.BLOCK),
        (ACME, (), Severity.BLOCK),
        (LE, ("10.0.0.5",), Severity.BLOCK),
        (SELF, ("127.0.0.1",), Severity.NOTE),
    ],
)
def test_a_name_from_etc_hosts_will_do_for_a_private_ca(
    certificate: str, getent: tuple[str, ...], severity: Severity
) -> None:
    [finding] = check(seen(GONE, GONE, interfaces=NAT, getent=getent), certificate)
    assert (finding.code, finding.severity) == ("dns.missing", severity)


def test_names_that_cannot_be_public_are_told_so() -> None:
    [finding] = check(seen(GONE, GONE), name="hermes.local")
    assert "self-signed" in finding.do


def zone_says(a: dict[str, Records], own: Records = NODATA, aaaa: Records = NODATA) -> Facts:
    zone = tuple(replace(said, server=server) for server, said in a.items())
    six = tuple(replace(aaaa, server=server) for server in a)
    return Facts(a=Family("A", zone, (), own), aaaa=Family("AAAA", six, (), aaaa), interfaces=(V4, V6))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param(
            zone_says({NS1: ok(V4), NS2: ok(ELSE4)}, ok(V4)), ["dns.inconsistent"], id="one still has the old one"
        ),
        pytest.param(zone_says({NS1: ok(V4), NS2: NODATA}, ok(V4)), ["dns.inconsistent"], id="one has none"),
        pytest.param(
            zone_says({NS1: ok(V4), NS2: GONE}, ok(V4)), ["dns.inconsistent"], id="one does not know the name"
        ),
        pytest.param(zone_says({NS1: ok(V4), NS2: SILENT}, ok(V4)), [], id="one is silent"),
        pytest.param(zone_says({NS1: ok(V4), NS2: REFUSED}, ok(V4)), [], id="one does not serve the zone"),
        pytest.param(zone_says({NS1: ok(ELSE4), NS2: NODATA}, ok(ELSE4)), ["dns.foreign"], id="none is right"),
        pytest.param(zone_says({NS1: ok(V4)}, ok(ELSE4)), ["dns.stale-cache"], id="our resolver has the old one"),
        pytest.param(
            zone_says({NS1: ok(V4)}, GONE), ["dns.stale-cache"], id="our resolver remembers that there was none"
        ),
        pytest.param(zone_says({NS1: ok(V4)}, SILENT), [], id="our resolver is silent"),
        pytest.param(zone_says({NS1: ok(ELSE4)}, ok(V4)), ["dns.foreign"], id="our resolver alone has the right one"),
        pytest.param(zone_says({NS1: SILENT}, ok(V4)), ["dns.timeout"], id="AAAA unknown"),
        pytest.param(zone_says({NS1: SILENT}, ok(V4), ok(V6)), [], id="port 53 closed: our resolver is believed"),
    ],
)
def test_servers_and_caches_that_differ(facts: Facts, expected: list[str]) -> None:
    if expected == ["dns.timeout"]:
        facts = replace(facts, aaaa=Family("AAAA", (SILENT,), (), SILENT))
    found = check(facts)
    assert codes(found) == expected
    if expected and expected[0] in ("dns.inconsistent", "dns.stale-cache", "dns.timeout"):
        assert found[0].severity is Severity.WARN


def test_an_old_answer_says_how_long_it_stays() -> None:
    [finding] = check(zone_says({NS1: ok(V4)}, ok(ELSE4, ttl=1750)))
    assert "30 minutes" in finding.why
    assert ELSE4 in finding.what


def test_a_view_of_the_name_inside_the_own_network_is_not_old() -> None:
    facts = zone_says({NS1: ok(V4)}, ok("10.0.0.5"))
    assert check(replace(facts, interfaces=("10.0.0.5",), outside=(V4,))) == []


def test_signatures_that_resolvers_reject_are_told_although_the_zone_answers() -> None:
    bad = Family("A", (ok(V4, server=NS1),), (SERVFAIL, SILENT), SERVFAIL)
    facts = Facts(a=bad, aaaa=family("AAAA", NODATA), interfaces=(V4,))
    [finding] = check(facts)
    assert finding.code == "dns.servfail"
    assert "DS" in finding.do
    assert check(replace(facts, a=replace(bad, public=(ok(V4),)))) == []


# -- CAA ------------------------------------------------------------------------------------------------------------

LETS = '0 issue "letsencrypt.org"'


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([LETS], None),
        (['0 issue "LetsEncrypt.ORG"'], None),
        (['0 ISSUE "letsencrypt.org"'], None),
        (['128 issue "letsencrypt.org"'], None),
        (['0 issue "other.org"', LETS], None),
        (['0 issue ";"', LETS], None),
        (['0 iodef "mailto:me@example.com"'], None),
        (['0 issuewild ";"'], None),
        (['0 issuewild "letsencrypt.org"', '0 issue "other.org"'], "issuer"),
        (['0 issue "other.org"'], "issuer"),
        (['0 issue "notletsencrypt.org"'], "issuer"),
        (['0 issue ";"'], "nobody"),
        (['0 issue ""'], "nobody"),
        (['0 issue "letsencrypt.org; validationmethods=dns-01"'], "method"),
        (['0 issue "letsencrypt.org; validationmethods=dns-01,http-01"'], None),
        (['0 issue "letsencrypt.org;validationmethods=dns-01"', LETS], None),
        (['0 issue "letsencrypt.org; accounturi=https://acme-v02.api.letsencrypt.org/acme/acct/1"'], None),
        (['128 tbs "x"', LETS], "critical"),
        (['0 tbs "x"', LETS], None),
    ],
)
def test_who_may_sign(records: list[str], reason: str | None) -> None:
    assert refusal(records) == reason
    found = check(seen(ok(V4), caa=((NAME, ok(*records)),)))
    assert ("dns.caa" in [f.code for f in found if f.severity is Severity.BLOCK]) == (reason is not None)


def test_a_record_bound_to_an_account_is_noted() -> None:
    [finding] = check(seen(ok(V4), caa=((NAME, ok('0 issue "letsencrypt.org; accounturi=https://x/1"')),)))
    assert (finding.code, finding.severity) == ("dns.caa", Severity.NOTE)
    assert check(seen(ok(V4), caa=((NAME, ok('0 issue "letsencrypt.org; accounturi=https://x/1"', LETS)),))) == []


def test_caa_is_nobodys_business_for_other_issuers() -> None:
    facts = seen(ok(V4), caa=((NAME, ok('0 issue ";"')),))
    assert check(facts, ACME) == []
    assert check(facts, SELF) == []
    assert codes(check(facts, STAGING)) == ["dns.caa"]


# -- what is asked --------------------------------------------------------------------------------------------------


@dataclass
class World(Nothing):
    """A machine and the DNS it can see. `zone`: what is so; `cached`: what its own resolver says instead."""

    zone: dict[tuple[str, str], Records] = field(default_factory=dict)
    cached: dict[tuple[str, str], Records] = field(default_factory=dict)
    at: dict[str, Callable[[str, str], Records | None]] = field(default_factory=dict)  # servers that differ
    interfaces: tuple[str, ...] = (V4, V6)
    mirror: str = ""
    hosts: str = ""
    own: Records | None = None  # how the machine's own resolver fails
    public: Records | None = SILENT  # how public resolvers do
    asked: list[Query] = field(default_factory=list)
    files: dict[str, Node] = field(default_factory=dict)

    def look(self, path: str) -> Node:
        return self.files.get(path) or super().look(path)

    def addresses(self) -> tuple[str, ...]:
        return self.interfaces

    def ask(self, argv: Sequence[str], *, seconds: float = 4.0) -> Ran:
        assert list(argv[:2]) == ["getent", "ahosts"]
        self.asked.append(Query(argv[2], "ahosts"))
        return Ran(0, self.hosts, "") if self.hosts else Ran(2, "", "")

    def known(self, name: str, kind: str) -> Records:
        if (name, kind) in self.zone:
            return self.zone[name, kind]
        return NODATA if any(name == n or n.endswith("." + name) for n, _ in self.zone) else GONE

    def dns(self, name: str, kind: str, *, server: str = "", seconds: float = 3.0) -> Records:
        self.asked.append(Query(name, kind, server))
        return replace(self._dns(name, kind, server), server=server)

    def _dns(self, name: str, kind: str, server: str) -> Records:
        if server in self.at and (said := self.at[server](name, kind)):
            return said
        if name in ("myip.opendns.com", "o-o.myaddr.l.google.com"):
            if not self.mirror or (":" in self.mirror) != (":" in server):
                return DEAD
            return ok(f'"{self.mirror}"' if kind == "TXT" else self.mirror)
        if server == "":
            return self.own or self.cached.get((name, kind)) or self.resolve(name, kind)
        if server in resolvers.PUBLIC:
            return self.public or self.resolve(name, kind)
        return self.known(name, kind)

    def resolve(self, name: str, kind: str, hops: int = 0) -> Records:
        alias = self.known(name, "CNAME")
        if hops > 8:
            return SERVFAIL
        return (
            self.resolve(alias.values[0][:-1], kind, hops + 1)
            if alias.values and kind != "CNAME"
            else self.known(name, kind)
        )


def world(a: Sequence[str] = (V4,), aaaa: Sequence[str] = (V6,), **more: object) -> World:
    zone = {
        ("example.com", "NS"): ok("ns1.example.net.", "ns2.example.net."),
        ("ns1.example.net", "A"): ok(NS1),
        ("ns2.example.net", "A"): ok(NS2),
        ("com", "SOA"): ok("x"),
        **({(NAME, "A"): ok(*a)} if a else {}),
        **({(NAME, "AAAA"): ok(*aaaa)} if aaaa else {}),
    }
    return World(zone=zone, **more)  # type: ignore[arg-type]


def findings(machine: World, certificate: str = LE, seconds: float = 4.0, **more: object) -> list[Finding]:
    wish = answers(certificate, **more)  # type: ignore[arg-type]
    dns = Dns(seconds)
    return list(dns.check(wish, dns.inspect(wish, machine)))


def silent_here(_name: str, _kind: str) -> Records:
    return SILENT


def test_a_right_name_is_found_right_with_few_queries() -> None:
    machine = world()
    assert findings(machine) == []
    servers = [query.server for query in machine.asked]
    assert set(servers) == {"", NS1, NS2}, "neither public resolvers nor the view from outside"
    assert sorted(q.kind for q in machine.asked if q.server == NS1) == ["A", "AAAA"]
    assert len(machine.asked) == len(set(machine.asked)) <= 20
    assert Query("com", "NS") not in machine.asked


@pytest.mark.parametrize(
    ("machine", "certificate", "expected"),
    [
        pytest.param(world((), ()), LE, ["dns.missing"], id="missing"),
        pytest.param(World(), LE, ["dns.missing"], id="nothing of the domain exists"),
        pytest.param(world((ELSE4,), ()), LE, ["dns.foreign"], id="foreign"),
        pytest.param(world((V4,), (), interfaces=NAT, mirror=V4), LE, [], id="NAT"),
        pytest.param(world((ELSE4,), (), interfaces=NAT, mirror=V4), LE, ["dns.foreign"], id="NAT, foreign"),
        pytest.param(
            world((V4,), (), interfaces=NAT), LE, ["dns.unknown-address"], id="NAT that cannot be seen through"
        ),
        pytest.param(world((), (V6,), interfaces=(V6,)), LE, [], id="IPv6 only"),
        pytest.param(world((V4,), (ELSE6,), interfaces=(V4,)), LE, ["dns.no-ipv6-here"], id="no IPv6"),
        pytest.param(world(cached={(NAME, "A"): ok(ELSE4)}), LE, ["dns.stale-cache"], id="stale"),
        pytest.param(
            world(cached={(NAME, "A"): GONE, (NAME, "AAAA"): GONE}), LE, ["dns.stale-cache"], id="stale nothing"
        ),
        pytest.param(
            world((V4,), (), at={NS2: lambda _n, k: ok(ELSE4) if k == "A" else None}),
            LE,
            ["dns.inconsistent"],
            id="differ",
        ),
        pytest.param(world(at={NS1: lambda *_: REFUSED, NS2: lambda *_: REFUSED}), LE, [], id="53 closed, own knows"),
        pytest.param(
            world(at={NS1: lambda *_: SERVFAIL, NS2: lambda *_: SERVFAIL}, own=SERVFAIL),
            LE,
            ["dns.servfail"],
            id="servfail",
        ),
        pytest.param(world(own=DEAD, public=None), LE, [], id="own resolver dead, public ones know"),
        pytest.param(world(own=SERVFAIL, public=None), LE, [], id="own resolver broken, public ones know"),
        pytest.param(world((ELSE4,), (), own=DEAD, public=None), LE, ["dns.foreign"], id="own dead, foreign"),
        pytest.param(
            world(own=DEAD, public=DEAD, at={NS1: lambda *_: DEAD, NS2: lambda *_: DEAD}),
            LE,
            ["dns.timeout"],
            id="no network",
        ),
        pytest.param(
            world((), (), hosts="10.0.0.5 STREAM hermes\n", interfaces=NAT), ACME, ["dns.missing"], id="/etc/hosts"
        ),
        pytest.param(world(("10.0.0.5",), (), interfaces=NAT), ACME, [], id="a private CA and name"),
        pytest.param(world((), ()), SELF, ["dns.missing"], id="self-signed"),
    ],
)
def test_from_the_network_to_the_findings(machine: World, certificate: str, expected: list[str]) -> None:
    assert codes(findings(machine, certificate)) == expected


def test_a_localhost_name_is_never_asked_for() -> None:
    machine = world()
    assert findings(machine, SELF, name="hermes.localhost") == []
    assert machine.asked == []
    [finding] = findings(machine, LE, name="hermes.localhost")
    assert (finding.code, finding.severity) == ("dns.missing", Severity.BLOCK)
    assert machine.asked == []


def test_a_private_ca_may_sign_for_a_localhost_name() -> None:
    machine = world(hosts="::1  STREAM hermes.localhost\n::1  DGRAM\n127.0.0.1 STREAM\n")
    assert [f.severity for f in findings(machine, ACME, name="hermes.localhost")] == [Severity.WARN]
    assert machine.asked == [Query("hermes.localhost", "ahosts")]


def test_an_alias_is_followed_into_another_zone_past_the_cache() -> None:
    machine = world((), ())
    machine.zone |= {
        (NAME, "CNAME"): ok("box.provider.net."),
        ("provider.net", "NS"): ok("ns.provider.net."),
        ("ns.provider.net", "A"): ok("192.0.2.53"),
        ("box.provider.net", "A"): ok(ELSE4),
    }
    machine.cached = {(NAME, "CNAME"): GONE, (NAME, "A"): GONE, (NAME, "AAAA"): GONE}  # from before it was made
    [finding] = findings(machine)
    assert finding.code == "dns.foreign"
    assert Query("box.provider.net", "A", "192.0.2.53") in machine.asked
    assert "CNAME  box.provider.net." in finding.do
    machine.zone["box.provider.net", "A"] = ok(V4)
    assert codes(findings(machine)) == ["dns.stale-cache"]


def test_an_alias_that_leads_in_a_circle_ends() -> None:
    machine = world((), ())
    machine.zone |= {(NAME, "CNAME"): ok("b.example.com."), ("b.example.com", "CNAME"): ok(f"{NAME}.")}
    assert codes(findings(machine)) == ["dns.missing", "dns.caa-servfail"]


def test_a_refusing_caa_record_is_looked_up_past_the_cache() -> None:
    machine = world(cached={("example.com", "CAA"): ok('0 issue "other.org"')})
    assert findings(machine) == []
    machine.zone["example.com", "CAA"] = ok('0 issue "other.org"')
    assert codes(findings(machine)) == ["dns.caa"]
    machine.zone[NAME, "CAA"] = ok(LETS)
    assert findings(machine) == []


def test_the_nearest_caa_set_counts_and_a_failure_nearer_still_refuses() -> None:
    machine = world(cached={(NAME, "CAA"): SERVFAIL, ("example.com", "CAA"): ok(LETS)}, public=SERVFAIL)
    assert codes(findings(machine)) == ["dns.caa-servfail"]
    assert findings(machine, ACME) == []


def test_what_the_user_says_makes_the_view_from_outside_needless() -> None:
    machine = world((ELSE4,), (), interfaces=NAT, mirror=V4)
    assert findings(machine, given=[ELSE4]) == []
    assert not [query for query in machine.asked if query.name == "myip.opendns.com"]


def test_both_mirrors_are_asked_and_a_broken_one_does_no_harm() -> None:
    machine = world((V4,), (), interfaces=NAT, mirror=V4, at={"208.67.222.222": lambda *_: ok("127.0.0.1", "nonsense")})
    assert findings(machine) == []


def test_the_certificate_that_is_there_is_seen() -> None:
    machine = world((CLOUD4,), (), files={f"/etc/letsencrypt/live/{NAME}/fullchain.pem": Link("x")})
    assert [finding.severity for finding in findings(machine)] == [Severity.WARN]


def test_a_name_with_many_labels_is_climbed() -> None:
    name = ".".join(["x"] * 60) + ".example.com"
    machine = world()
    machine.zone[name, "A"] = ok(V4)
    assert findings(machine, name=name) == []


def test_it_changes_nothing() -> None:
    assert Dns().plan(answers(), (Facts(),)) == ()


# -- the deadline ---------------------------------------------------------------------------------------------------


@dataclass
class Blocking(World):
    """Whatever `blocks` says never comes back."""

    blocks: Callable[[Query], bool] = lambda _query: True
    never: threading.Event = field(default_factory=threading.Event)

    def dns(self, name: str, kind: str, *, server: str = "", seconds: float = 3.0) -> Records:
        if self.blocks(Query(name, kind, server)):
            self.asked.append(Query(name, kind, server))
            self.never.wait()
        return super().dns(name, kind, server=server, seconds=seconds)


def blocking(blocks: Callable[[Query], bool], **more: object) -> Blocking:
    return Blocking(blocks=blocks, **{**world(**more).__dict__})  # type: ignore[arg-type]


@pytest.mark.parametrize("certificate", [LE, SELF, ACME])
def test_a_network_that_swallows_everything_is_left_at_the_deadline(certificate: str) -> None:
    machine = blocking(lambda _query: True)
    began = time.monotonic()
    assert codes(findings(machine, certificate, seconds=0.3)) == ["dns.timeout"]
    assert time.monotonic() - began < 2
    machine.never.set()


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        pytest.param(lambda q: q.server == NS2, [], id="one name server"),
        pytest.param(lambda q: q.server in (NS1, NS2), [], id="port 53 outward, all name servers"),
        pytest.param(lambda q: q.server != "", [], id="port 53 outward, public resolvers too"),
        pytest.param(lambda q: q.server == "", [], id="the own resolver, public ones answer"),
        pytest.param(lambda q: q.kind == "CAA", ["dns.caa-servfail"], id="CAA"),
        pytest.param(lambda q: q.kind == "AAAA" and q.name == NAME, ["dns.timeout"], id="AAAA"),
    ],
)
def test_silence_of_some_is_made_up_for_by_others(blocks: Callable[[Query], bool], expected: list[str]) -> None:
    machine = blocking(blocks, public=None)
    assert codes(findings(machine, seconds=0.8)) == expected
    machine.never.set()


def test_silent_name_servers_beside_one_that_answered_are_not_waited_for() -> None:
    known = {
        Query("example.com", "NS"): ok("ns1.example.net.", "ns2.example.net."),
        Query("ns1.example.net", "A"): ok(NS1),
        Query("ns2.example.net", "A"): ok(NS2),
        Query(NAME, "A", NS1): ok(V4),
        Query(NAME, "AAAA", NS1): ok(V6),
    }
    known |= {Query(name, "NS"): NODATA for name in (NAME, "com")}
    early = QueryPlan(NAME, "acme", (V4, V6), addresses_given=False, known=known, elapsed=0.1)
    assert Query(NAME, "A", NS2) in early.wanted()
    assert Query(NAME, "A", NS2) not in replace(early, elapsed=0.4).wanted()


def test_public_resolvers_that_are_silent_beside_a_failure_of_our_own_are_not_waited_for() -> None:
    late = QueryPlan(
        NAME, "letsencrypt", (V4,), addresses_given=True, known={Query("example.com", "NS"): SERVFAIL}, elapsed=0.3
    )
    assert Query("example.com", "NS", "1.1.1.1") in late.wanted()
    assert Query("example.com", "NS", "1.1.1.1") not in replace(late, elapsed=0.7).wanted()


@pytest.mark.parametrize("certificate", [SELF, ACME])
def test_public_resolvers_are_not_asked_about_names_of_a_private_network(certificate: str) -> None:
    machine = world((), ())
    findings(machine, certificate)
    assert not {query.server for query in machine.asked} & set(resolvers.PUBLIC)


def test_a_mistake_in_the_host_is_not_swallowed() -> None:
    machine = world(at={NS1: lambda *_: 1 / 0})  # type: ignore[arg-type, return-value]
    with pytest.raises(ZeroDivisionError):
        findings(machine)


def test_cloudflares_ranges_are_read() -> None:
    ranges = cloudflare.networks()
    assert len(ranges) == 22
    assert {net.version for net in ranges} == {4, 6}


# -- in all ----------------------------------------------------------------------------------------------------------


def test_an_outage_of_dns_does_not_keep_the_owner_of_a_certificate_from_fixing_the_site() -> None:
    failed = seen(Records("timeout"), Records("timeout"))
    assert [found.severity for found in check(failed)] == [Severity.BLOCK]
    assert [found.severity for found in check(replace(failed, certificate=True))] == [Severity.WARN]


def test_each_name_of_the_certificate_has_to_point_here() -> None:
    wish = replace(answers(), webhooks=Webhooks(parse_endpoints(["sms"]), Domain.parse("hooks.example.com")))
    machine = world()
    found = list(Dns().check(wish, Dns().inspect(wish, machine)))
    assert codes(found) == ["dns.missing"]
    assert found[0].what.startswith("hooks.example.com does not exist")
    machine.zone[("hooks.example.com", "A")] = ok(V4)
    assert list(Dns().check(wish, Dns().inspect(wish, machine))) == []


# -- what others ask ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "aaaa", "proxied", "no_address"),
    [
        (ok(V4), NODATA, (), False),
        (ok(V4, CLOUD4), ok(CLOUD6), (CLOUD4, CLOUD6), False),
        (ok(CLOUD4), SILENT, (CLOUD4,), False),
        (ok(V4), SILENT, None, False),
        (NODATA, GONE, (), True),
        (NODATA, SERVFAIL, None, False),
    ],
)
def test_the_records_of_a_name(a: Records, aaaa: Records, proxied: tuple[str, ...] | None, no_address: bool) -> None:
    machine = World(cached={(NAME, "A"): a, (NAME, "AAAA"): aaaa})
    found = records.of(machine, [NAME, NAME, "hermes.local"])
    assert found == {NAME: records.NameRecords(a, aaaa), "hermes.local": records.NameRecords()}
    assert found[NAME].cloudflare == proxied
    assert sorted(machine.asked) == [Query(NAME, "A"), Query(NAME, "AAAA")], "once, and never for private names"
    assert records.has_no_address(machine, NAME) is no_address


def test_the_public_address_is_one_that_the_internet_can_reach() -> None:
    assert public_address(World(interfaces=("10.0.0.5", V4, V6))) == V4
    assert public_address(World(interfaces=NAT)) == ""


def test_a_wait_helps_where_only_dns_blocks_and_ends_when_it_does_not() -> None:
    machine = world((), ())
    blocking = still_blocking(answers(), machine)
    assert codes(blocking) == ["dns.missing"]
    assert only_dns_blocks(blocking)
    assert only_dns_blocks([*blocking, note("ports.x", "", "", "")])
    assert not only_dns_blocks([*blocking, block("ports.x", "", "", "")])
    assert not only_dns_blocks([])
    machine.zone[(NAME, "A")] = ok(V4)
    machine.cached = {(NAME, "A"): GONE}  # the resolver's cache only warns
    assert still_blocking(answers(), machine) == []


# -- the quick look -------------------------------------------------------------------------------------------------


class Settled(Server):
    """A server with a good certificate whose own resolver says `ahosts` (lines of getent's)."""

    def __init__(
        self, ahosts: str = f"{V4}  STREAM {NAME}\n{V4}  DGRAM\n{V6}  STREAM\n", interfaces: Sequence[str] = (V4, V6)
    ) -> None:
        super().__init__()
        self.lineage()
        self.put("/var/lib/hermes-setup/stamps/renewal", File(b"0123"))
        self.ahosts, self.interfaces = ahosts, tuple(interfaces)

    def addresses(self) -> tuple[str, ...]:
        return self.interfaces

    def ask(self, argv: Sequence[str], *, seconds: float = 4.0) -> Ran:
        if argv[0] == "getent":
            self.asked.append(tuple(argv))
            assert argv[:5] == ("getent", "-s", "dns", "-A", "ahosts")
            return Ran(0, self.ahosts, "") if self.ahosts else Ran(2, "", "")
        return super().ask(argv, seconds=seconds)


def test_the_quick_look_is_enough_where_the_certificate_is_good_and_the_name_points_here() -> None:
    found = facts_if_all_is_well(answers(), Settled())
    assert [(facts.a.actual.values, facts.aaaa.actual.values) for facts in found] == [((V4,), (V6,))]
    assert Dns().check(answers(), found) == []
    assert Dns(quick=True).inspect(answers(), Settled()) == found
    only4 = facts_if_all_is_well(answers(), Settled(ahosts=f"{V4} STREAM\n"))
    assert only4[0].aaaa.actual == Records("nodata")
    assert Dns().check(answers(), only4) == []


@pytest.mark.parametrize(
    ("server", "wish"),
    [
        (Settled(ahosts=f"{V4} STREAM\n{ELSE6} STREAM\n"), answers()),
        (Settled(ahosts=f"{ELSE4} STREAM\n"), answers()),
        (Settled(ahosts=""), answers()),
        (Settled(interfaces=("10.0.0.5",), ahosts="10.0.0.5 STREAM\n"), answers()),
        (Settled(ahosts=f"{V4} STREAM\n"), answers(given=(ELSE4,))),
        (Settled(), answers(STAGING)),  # the CA is to be asked
        (Settled(), replace(answers(), webhooks=Webhooks(parse_endpoints(["sms"]), Domain.parse("hooks.example.com")))),
    ],
    ids=["one wrong", "foreign", "gone", "behind NAT", "told otherwise", "another CA", "a name that is not in it"],
)
def test_more_is_asked_where_the_quick_look_does_not_find_all_well(server: Settled, wish: Answers) -> None:
    assert facts_if_all_is_well(wish, server) == ()


@pytest.mark.parametrize("path", ["/etc/hosts", "/etc/hostname", "/proc/sys/kernel/hostname"])
def test_a_name_that_stands_in_a_file_here_is_asked_for_outside(path: str) -> None:
    server = Settled()
    server.put(path, File(f"127.0.1.1 {NAME.upper()} hermes\n".encode()))
    assert facts_if_all_is_well(answers(), server) == ()


@pytest.mark.parametrize("left", [0.3, 0.05, -0.1])
def test_a_certificate_that_should_be_renewed_is_no_case_for_the_quick_look(left: float) -> None:
    server = Settled()
    server.lineage(left=left)
    assert facts_if_all_is_well(answers(), server) == ()


@pytest.mark.parametrize(
    ("path", "node"),
    [
        (f"/etc/letsencrypt/renewal/{NAME}.conf", ABSENT),
        ("/var/lib/hermes-setup/stamps/renewal", ABSENT),
        ("/var/lib/hermes-setup/stamps/renewal", File(b'{"state": "0123", "failed": "2026-11-23T12:00:00+00:00"}')),
    ],
    ids=["no certificate", "never rehearsed", "rehearsal failed"],
)
def test_where_the_ca_is_to_be_asked_the_quick_look_is_not_enough(path: str, node: Node) -> None:
    server = Settled()
    server.put(path, node)
    assert facts_if_all_is_well(answers(), server) == ()
