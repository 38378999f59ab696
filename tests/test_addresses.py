"""The allowed addresses: how a list is read, who is in it, where the session comes from, what makes it a trap."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hermes_setup import ancestors
from hermes_setup.answers.allowed_addresses import parse_allow, parse_network, permits
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.fields import from_json, to_json
from hermes_setup.answers.file import read_table, to_toml
from hermes_setup.answers.issuer import Issuer
from hermes_setup.answers.user import User
from hermes_setup.answers.webhook_platforms import parse_endpoints
from hermes_setup.answers.webhooks import Webhooks
from hermes_setup.engine.findings import Severity
from hermes_setup.errors import WrongInput
from hermes_setup.host import ABSENT, File, Node, Records, Request, Response
from hermes_setup.nginx import tree
from hermes_setup.questions.addresses import typed_list
from hermes_setup.questions.draft import Draft
from hermes_setup.questions.menu import Intent, Visit, menu
from hermes_setup.questions.prompt import BACK, Back
from hermes_setup.stages.addresses import ssh, trusted_proxies
from hermes_setup.stages.addresses.ssh import SshSession
from hermes_setup.stages.addresses.stage import NOTHING, Addresses, Facts
from hermes_setup.stages.dns.cloudflare import networks
from hermes_setup.stages.proof import BYPASS_HEADER, SIGN_IN, BrowserVisit
from hermes_setup.system.overlay import Nothing, Overlay
from hermes_setup.values import replace
from test_questions import Script

ANSWERS = Answers(Domain.parse("hermes.example.com"), Issuer.parse("letsencrypt"), (User("alice"),))
HERE = SshSession("203.0.113.9")


def listed(*allow: str, **more: bool) -> Answers:
    return replace(ANSWERS, allow=parse_allow(allow), **more)


# -- the list -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("203.0.113.0/24", "203.0.113.0/24"),
        (" 203.0.113.5 ", "203.0.113.5"),
        ("203.0.113.5/32", "203.0.113.5"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("2001:0db8:0:0::5/128", "2001:db8::5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("127.0.0.1", "127.0.0.1"),
        ("10.0.0.0/8", "10.0.0.0/8"),
    ],
)
def test_a_network_is_taken_in_its_short_form(text: str, network: str) -> None:
    assert parse_network(text) == network
    assert parse_network(network) == network


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Nothing"),
        ("home.example.com", "not an address"),
        ("203.0.113", "not an address"),
        ("203.0.113.256", "not an address"),
        ("203.0.113.05", "not an address"),
        ("203.0.113.0/33", "0 to 32"),
        ("203.0.113.0/-1", "0 to 32"),
        ("203.0.113.0/", "0 to 32"),
        ("203.0.113.0/255.255.255.0", "0 to 32"),
        ("203.0.113.0/0.0.0.255", "0 to 32"),
        ("2001:db8::/129", "0 to 128"),
        ("2001:db8::/\u0663\u0662", "0 to 128"),
        ("203.0.113.0/24/24", "0 to 32"),
        ("203.0.113.5/24", "203.0.113.0/24"),
        ("203.0.113.5/24", "write 203.0.113.5"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("10.0.0.0/0", "0.0.0.0/0"),
        ("0.0.0.0", "anyone can have"),
        ("::", "anyone can have"),
        ("224.0.0.1", "anyone can have"),
        ("fe80::1%eth0", "network interface"),
        ("203.0.113.5 allowed; } evil {", "not an address"),
        ("203.0.113.0/24; }", "0 to 32"),
        ("[2001:db8::1]", "not an address"),
        ("203.0.113.5:443", "not an address"),
        ("all", "not an address"),
    ],
)
def test_what_is_no_network_is_told_why(text: str, reason: str) -> None:
    with pytest.raises(WrongInput) as refused:
        parse_network(text)
    assert reason in f"{refused.value.message} {refused.value.hint}"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([], "empty list"),
        ("203.0.113.5", "not a list"),
        ([5], "not a list"),
        ([["203.0.113.5"]], "not a list"),
        (["203.0.113.5", "203.0.113.5/32"], "twice"),
        (["203.0.113.5", "::ffff:203.0.113.5"], "twice"),
        (["203.0.113.5/8"], "first address"),
    ],
)
def test_the_key_of_the_answers_file_is_read_strictly(value: object, reason: str) -> None:
    table = {"domain": "hermes.example.com", "users": [{"name": "alice"}]}
    assert read_table(table).answers.allow == ()
    assert read_table({**table, "allow": ["203.0.113.5", "203.0.113.0/24"]}).answers.allow == (
        "203.0.113.5",
        "203.0.113.0/24",
    )
    with pytest.raises(WrongInput) as refused:
        read_table({**table, "allow": value})
    assert "allow" in refused.value.message
    assert reason in refused.value.message


def test_it_comes_back_from_the_notes_and_from_the_answers_command() -> None:
    answers = listed("203.0.113.0/24", "2001:db8::5")
    assert from_json(to_json(answers)) == answers
    assert from_json({key: value for key, value in to_json(answers).items() if key != "allow"}).allow == ()
    assert 'allow = ["203.0.113.0/24", "2001:db8::5"]\n' in to_toml(answers, {})
    assert "allow" not in to_toml(ANSWERS, {})


@pytest.mark.parametrize(
    ("allow", "address", "inside"),
    [
        ((), "203.0.113.9", True),
        (("203.0.113.9",), "203.0.113.9", True),
        (("203.0.113.0/24",), "203.0.113.9", True),
        (("203.0.113.0/24",), "203.0.114.9", False),
        (("203.0.113.0/24",), "::ffff:203.0.113.9", True),
        (("2001:db8::/32",), "203.0.113.9", False),
        (("::/0",), "203.0.113.9", False),
        (("0.0.0.0/0",), "2001:db8::1", False),
        (("10.0.0.0/8", "2001:db8::/64"), "2001:db8::1", True),
    ],
)
def test_who_is_in_it(allow: tuple[str, ...], address: str, inside: bool) -> None:
    assert permits(allow, address) is inside


# -- the session -----------------------------------------------------------------------------------------------------------

SAID = "SSH_CONNECTION=203.0.113.9 50000 198.51.100.10 22"


def kernels(address: str, port: int) -> str:
    """As a little-endian kernel prints it."""
    raw = ipaddress.ip_address(address).packed
    return "".join(raw[at : at + 4][::-1].hex().upper() for at in range(0, len(raw), 4)) + f":{port:04X}"


def table(*rows: tuple[str, int, str, int], state: str = "01") -> str:
    lines = [f" 0: {kernels(here, p)} {kernels(there, q)} {state} 0:0 0:0 0 0 0 1" for here, p, there, q in rows]
    return "\n".join(["  sl  local_address ...", *lines, ""])


@dataclass
class Processes(Nothing):
    """/proc: our process first, then its parents; and the connections."""

    environs: tuple[str, ...] = ()
    tcp: str = ""
    tcp6: str = ""

    def look(self, path: str) -> Node:
        pids = ["self", *(str(100 - number) for number in range(1, len(self.environs)))]
        for number, pid in enumerate(pids[: len(self.environs)]):
            if path == f"/proc/{pid}/environ":
                return File(self.environs[number].replace(" | ", "\0").encode())
            if path == f"/proc/{pid}/stat":
                parent = pids[number + 1] if number + 1 < len(self.environs) else "1"
                return File(f"5 (a) b (c)) S {parent} 5 5".encode())
        return {"/proc/net/tcp": File(self.tcp.encode()), "/proc/net/tcp6": File(self.tcp6.encode())}.get(path, ABSENT)


OURS = ("198.51.100.10", 22, "203.0.113.9", 50000)
OTHER = ("198.51.100.10", 22, "203.0.113.77", 50001)


@pytest.mark.parametrize(
    ("machine", "found"),
    [
        (Processes((SAID,), table(OURS)), HERE),
        # sudo keeps nothing, its parent had it; the nearest one counts
        (Processes(("A=b", "A=b", f"A=b | {SAID} | C=d", "SSH_CONNECTION=1.1.1.1 1 2.2.2.2 2"), table(OURS)), HERE),
        # sshd on [::] sees IPv4 in the clothes of IPv6, in the kernel's table and in the variable
        (Processes((SAID,), "", table(("::ffff:198.51.100.10", 22, "::ffff:203.0.113.9", 50000))), HERE),
        (Processes((SAID.replace("203", "::ffff:203"),), table(OURS)), HERE),
        (
            Processes(
                ("SSH_CONNECTION=2001:db8::9 50000 2001:db8::10 22",),
                "",
                table(("2001:db8::10", 22, "2001:db8::9", 50000)),
            ),
            SshSession("2001:db8::9"),
        ),
        # an old tmux: its connection is closed, and the one that is open is somebody's, most likely ours
        (Processes((SAID,), table(OTHER)), SshSession("203.0.113.77", sure=False)),
        (Processes((SAID,), table(OTHER, ("198.51.100.10", 22, "203.0.113.78", 5))), None),
        # the same address and another port: not sure
        (Processes((SAID,), table(("198.51.100.10", 22, "203.0.113.9", 50009))), SshSession("203.0.113.9", sure=False)),
        # mosh: nothing is open
        (Processes((SAID,), table()), SshSession("203.0.113.9", sure=False)),
        (Processes((SAID,), table(OURS, state="06")), SshSession("203.0.113.9", sure=False)),
        # a web visitor is nobody's session
        (
            Processes((SAID,), table(("198.51.100.10", 443, "192.0.2.1", 7))),
            SshSession("203.0.113.9", sure=False),
        ),
        (Processes((SAID,), table(OURS, ("198.51.100.10", 443, "192.0.2.1", 7))), HERE),
        # no session, or none that a browser could share
        (Processes(("A=b", "C=d"), table(OURS)), None),
        (Processes(()), None),
        (Processes(("SSH_CONNECTION=127.0.0.1 5 127.0.0.1 22",)), None),
        (Processes(("SSH_CONNECTION=fe80::1%eth0 5 fe80::2%eth0 22",)), None),
        (Processes(("SSH_CONNECTION=nonsense",)), None),
        (Processes(("SSH_CONNECTION=a b c d",)), None),
        (Processes(("XSSH_CONNECTION=203.0.113.9 50000 198.51.100.10 22",), table(OURS)), None),
    ],
)
def test_where_the_session_comes_from(machine: Processes, found: SshSession | None) -> None:
    assert ssh.find(machine) == found


@pytest.mark.parametrize(
    ("environs", "found"),
    [
        (("A=b | SUDO_USER=x", "A=b | PLAIN=1 | LOUD=2", "PLAIN=3 | NO=4"), {"PLAIN": "1"}),  # ours, sudo, a shell
        (("SUDO_USER=x", "PLAIN=1", "PLAIN=1"), {"PLAIN": "1"}),  # sudo twice: use_pty of sudoers(5)
        (("SUDO_USER=x", "NO= | SUDO_USER=x", "SUDO_USER=x", "PLAIN=a=b"), {"NO": "", "PLAIN": "a=b"}),  # sudo -s, sudo
        (("SUDO_USER=x | PLAIN=", "PLAIN=1 | NO=2"), {"PLAIN": "", "NO": "2"}),  # said behind sudo: that counts
        (("SUDO_USER=x", "A=b", "PLAIN=1"), {}),  # unset since
        (("SUDO_USER=x", "", "PLAIN=1"), {"PLAIN": "1"}),  # what cannot be read says nothing
        ((), {}),
    ],
)
def test_what_was_set_where_sudo_was_typed(environs: tuple[str, ...], found: dict[str, str]) -> None:
    assert ancestors.before_sudo(Processes(environs), ("PLAIN", "NO")) == found


def test_of_ipv6_the_network_is_offered() -> None:
    assert HERE.network == "203.0.113.9"
    assert SshSession("2001:db8:1:2:a:b:c:d").network == "2001:db8:1:2::/64"


# -- what makes it a trap --------------------------------------------------------------------------------------------------

BLOCK, WARN, NOTE = Severity.BLOCK, Severity.WARN, Severity.NOTE
GUESS = replace(HERE, sure=False)
BOTH = ("203.0.113.0/24", "2001:db8::/32")
FLARE = ("104.16.1.1",)


def test_what_is_said_on_purpose_for_one_run_blocks_nothing() -> None:
    facts = replace(NOTHING, session=HERE)
    (found,) = Addresses(lockout=True).check(listed("198.51.100.7"), facts)
    assert (found.code, found.severity) == ("addresses.not-this-one", NOTE)


@pytest.mark.parametrize(
    ("answers", "facts", "codes"),
    [
        (ANSWERS, replace(NOTHING, trusted_proxies=("0.0.0.0/0",)), [("addresses.spoofable", WARN)]),
        (ANSWERS, replace(NOTHING, trusted_proxies=("10.0.0.0/8", "0.0.0.0/1")), [("addresses.spoofable", WARN)]),
        (ANSWERS, replace(NOTHING, trusted_proxies=("10.0.0.0/8", "fc00::/7", "unix:", "lb.example")), []),
        # our server says itself whom it believes, and inherits nothing
        (ANSWERS, replace(NOTHING, trusted_proxies=("::/0",), cloudflare=FLARE), []),
        (listed(*BOTH), replace(NOTHING, session=HERE, ipv6=("2001:db8::10",)), []),
        (listed("198.51.100.7"), NOTHING, []),
        (listed("198.51.100.7"), replace(NOTHING, session=HERE), [("addresses.lockout", BLOCK)]),
        (listed("198.51.100.7"), replace(NOTHING, session=GUESS), [("addresses.not-this-one", NOTE)]),
        # in force already: the doctor does not block where its owner travels; another list does
        (
            listed("198.51.100.7"),
            replace(NOTHING, session=HERE, current=("198.51.100.7",)),
            [("addresses.not-this-one", NOTE)],
        ),
        (
            listed("198.51.100.7"),
            replace(NOTHING, session=HERE, current=("198.51.100.8",)),
            [("addresses.lockout", BLOCK)],
        ),
        (listed("203.0.113.9"), replace(NOTHING, ipv6=("2001:db8::10",)), [("addresses.one-family", NOTE)]),
        (listed("2001:db8::/32"), NOTHING, [("addresses.one-family", NOTE)]),
        (listed("2001:db8::/32"), replace(NOTHING, ipv6=("2001:db8::10",)), []),
        (listed("0.0.0.0/0", "::/0"), NOTHING, [("addresses.everybody", NOTE)]),
        (listed(*BOTH), replace(NOTHING, cloudflare=FLARE), [("addresses.cloudflare", NOTE)]),
        # Cloudflare's visitors come over both families, whatever the server has
        (
            listed("203.0.113.9"),
            replace(NOTHING, cloudflare=FLARE),
            [("addresses.cloudflare", NOTE), ("addresses.one-family", NOTE)],
        ),
        (
            listed(*BOTH),
            replace(NOTHING, trusted_proxies=("10.0.0.1", "unix:", "lb.example")),
            [("addresses.proxy", NOTE)],
        ),
        (listed(*BOTH), replace(NOTHING, trusted_proxies=("10.0.0.1", "::/0")), [("addresses.spoofable", BLOCK)]),
        (listed(*BOTH), replace(NOTHING, behind_balancer="/etc/nginx/x"), [("addresses.behind-a-proxy", BLOCK)]),
        (
            listed(*BOTH),
            replace(NOTHING, behind_balancer="/etc/nginx/x", trusted_proxies=("10.0.0.1",)),
            [("addresses.proxy", NOTE)],
        ),
        # our own setting takes the place of the inherited one
        (
            listed(*BOTH),
            replace(NOTHING, cloudflare=FLARE, trusted_proxies=("0.0.0.0/0",)),
            [("addresses.cloudflare", NOTE)],
        ),
    ],
)
def test_what_is_found(answers: Answers, facts: Facts, codes: list[tuple[str, Severity]]) -> None:
    found = Addresses().check(answers, facts)
    assert [(each.code, each.severity) for each in found] == codes
    assert Addresses().plan(answers, facts) == ()
    if codes and codes[0][0] == "addresses.lockout":
        assert "--allow-lockout" in found[0].do
        assert '"203.0.113.9"' in found[0].do


HOOKS = Domain.parse("hooks.example.com")


def hooked(*allow: str, own: bool = False, dashboard: tuple[str, ...] = ()) -> Answers:
    hooks = Webhooks(parse_endpoints(["webhook"]), HOOKS if own else None, parse_allow(allow))
    return replace(ANSWERS, webhooks=hooks, allow=dashboard)


@pytest.mark.parametrize(
    ("answers", "facts", "codes"),
    [
        (hooked(), replace(NOTHING, trusted_proxies=("0.0.0.0/0",)), [("addresses.spoofable", WARN)]),
        (hooked(*BOTH), replace(NOTHING, session=HERE), []),
        (hooked(*BOTH), replace(NOTHING, trusted_proxies=("0.0.0.0/0",)), [("addresses.spoofable", BLOCK)]),
        (hooked(*BOTH), replace(NOTHING, trusted_proxies=("10.0.0.1",)), [("addresses.proxy", NOTE)]),
        (hooked(*BOTH), replace(NOTHING, behind_balancer="/etc/nginx/x"), [("addresses.behind-a-proxy", BLOCK)]),
        (hooked(*BOTH), replace(NOTHING, webhooks_cloudflare=FLARE), [("addresses.cloudflare", NOTE)]),
        # the dashboard's name is not where these senders come
        (
            hooked(*BOTH, own=True),
            replace(NOTHING, cloudflare=FLARE, trusted_proxies=("::/0",)),
            [("addresses.spoofable", BLOCK)],
        ),
        (hooked("0.0.0.0/0", "::/0"), NOTHING, [("addresses.everybody", NOTE)]),
        (
            hooked("192.30.252.0/22"),
            replace(NOTHING, webhooks_ipv6=("2001:db8::10",)),
            [("addresses.one-family", NOTE)],
        ),
        (hooked("2001:db8::/32"), NOTHING, [("addresses.one-family", NOTE)]),
        # a sender is a server: its address stays
        (hooked("2001:db8::7"), replace(NOTHING, webhooks_ipv6=("2001:db8::10",)), []),
        # two lists: what both have is said once, what each has of its own is said of each
        (
            hooked(*BOTH, own=True, dashboard=BOTH),
            replace(NOTHING, trusted_proxies=("0.0.0.0/0",)),
            [("addresses.spoofable", BLOCK)],
        ),
        (
            hooked(*BOTH, dashboard=BOTH),
            replace(NOTHING, cloudflare=FLARE, webhooks_cloudflare=FLARE),
            [("addresses.cloudflare", NOTE)],
        ),
        (
            hooked(*BOTH, own=True, dashboard=BOTH),
            replace(NOTHING, cloudflare=FLARE, webhooks_cloudflare=FLARE),
            [("addresses.cloudflare", NOTE), ("addresses.cloudflare", NOTE)],
        ),
        (
            hooked(*BOTH, own=True, dashboard=BOTH),
            replace(NOTHING, cloudflare=FLARE, trusted_proxies=("0.0.0.0/0",)),
            [("addresses.cloudflare", NOTE), ("addresses.spoofable", BLOCK)],
        ),
    ],
)
def test_the_webhooks_list_is_judged_by_the_name_they_are_served_under(
    answers: Answers, facts: Facts, codes: list[tuple[str, Severity]]
) -> None:
    found = Addresses().check(answers, facts)
    assert [(each.code, each.severity) for each in found] == codes
    if codes and not answers.allow and answers.webhooks and answers.webhooks.allow:
        assert re.search("sender|webhooks", f"{found[0].what} {found[0].why} {found[0].do}")


@pytest.mark.parametrize(
    ("allow", "words"),
    [
        (("2001:db8:1:2:3:4:5:6",), ("is a single IPv6 address", "in: 2001:db8:1:2::/64")),
        (("2001:db8:1::5", "2001:db8:1::6"), ("are single IPv6 addresses", "in: 2001:db8:1::/64")),
        (("203.0.113.5", "2001:db8::/64", "fd00:8::2", "::1"), ()),
    ],
)
def test_a_single_ipv6_address_is_told_to_change(allow: tuple[str, ...], words: tuple[str, ...]) -> None:
    found = Addresses().check(listed(*allow, "203.0.113.9"), replace(NOTHING, ipv6=("2001:db8::10",)))
    assert [(each.code, each.severity) for each in found] == ([("addresses.single-ipv6", NOTE)] if words else [])
    assert all(word in f"{found[0].what} {found[0].do}" for word in words)


@dataclass
class Names(Nothing):
    """DNS, and files. `records` are every name's, or those of "name kind"."""

    records: Mapping[str, Records] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def dns(self, name: str, kind: str, *, server: str = "", seconds: float = 3.0) -> Records:
        self.asked.append(name)
        return self.records.get(f"{name} {kind}") or self.records.get(kind, Records("nodata"))

    def look(self, path: str) -> Node:
        return File(self.files[path].encode()) if path in self.files else ABSENT


ORANGE = Records("ok", ("104.16.1.1",))
GREY = Records("ok", ("198.51.100.10",))
SILENT = Records("timeout")
THROUGH = """server {
    if ($host != "hermes.example.com") {
        return 421;
    }
    set_real_ip_from 173.245.48.0/20;
}
"""


@pytest.mark.parametrize(
    ("records", "site", "believed"),
    [
        ({"A": ORANGE}, "", True),
        ({"A": GREY, "AAAA": Records("ok", ("2606:4700::1",))}, "", True),
        ({"A": ORANGE, "AAAA": SILENT}, "", True),
        ({"A": GREY}, "", False),
        ({"A": GREY}, THROUGH, False),
        ({}, "", False),
        # no answer: as it was
        ({"A": SILENT, "AAAA": SILENT}, "", False),
        ({"A": SILENT, "AAAA": SILENT}, THROUGH, True),
        ({"A": SILENT}, THROUGH, True),
    ],
)
def test_cloudflare_is_believed_while_the_name_points_there(
    records: dict[str, Records], site: str, believed: bool
) -> None:
    machine = Names(records)
    ranges = trusted_proxies.for_dashboard(listed("203.0.113.9"), machine, site)
    assert ranges == (tuple(map(str, networks())) if believed else ())
    assert len(networks()) > 20
    assert not any(net.prefixlen < 12 for net in networks())


SITES = THROUGH + THROUGH.replace("hermes.", "hooks.")


@pytest.mark.parametrize(
    ("answers", "records", "site", "believed"),
    [
        # (the dashboard's server, the webhooks' own)
        (hooked(*BOTH), {"A": ORANGE}, "", (True, False)),
        (hooked(*BOTH, own=True), {"A": ORANGE}, "", (True, True)),
        (hooked(*BOTH, own=True), {"hermes.example.com A": GREY, "hooks.example.com A": ORANGE}, "", (False, True)),
        (hooked(*BOTH, own=True), {"hermes.example.com A": ORANGE, "hooks.example.com A": GREY}, "", (True, False)),
        (hooked(own=True, dashboard=BOTH), {"A": ORANGE}, "", (True, False)),
        (hooked(*BOTH, own=True, dashboard=BOTH), {"A": ORANGE}, "", (True, True)),
        (hooked(*BOTH, own=True, dashboard=BOTH), {"A": GREY}, SITES, (False, False)),
        (hooked(*BOTH, own=True, dashboard=BOTH), {"A": SILENT}, SITES, (True, True)),
        (hooked(*BOTH, own=True, dashboard=BOTH), {"A": SILENT}, THROUGH, (True, False)),
        (hooked(own=True), {"A": ORANGE}, SITES, (True, False)),
        (ANSWERS, {"A": ORANGE}, "", (True, False)),
        (ANSWERS, {"A": GREY}, SITES, (False, False)),
        (ANSWERS, {"A": SILENT}, SITES, (True, False)),
    ],
)
def test_each_server_believes_cloudflare_for_its_own_list_and_name(
    answers: Answers, records: dict[str, Records], site: str, believed: tuple[bool, bool]
) -> None:
    machine = Names(records)
    found = trusted_proxies.for_dashboard(answers, machine, site), trusted_proxies.for_webhooks(answers, machine, site)
    assert found == tuple(tuple(map(str, networks())) if each else () for each in believed)


def test_the_facts_of_the_webhooks_name() -> None:
    machine = Names({"hooks.example.com A": ORANGE, "hermes.example.com AAAA": Records("ok", ("2001:db8::10",))})
    facts = Addresses().inspect(hooked(*BOTH, own=True), machine)
    assert facts == replace(NOTHING, webhooks_cloudflare=("104.16.1.1",))
    assert set(machine.asked) == {"hooks.example.com"}
    assert Addresses().inspect(hooked(*BOTH), machine) == replace(NOTHING, webhooks_ipv6=("2001:db8::10",))


def test_the_ranges_are_in_one_file_with_its_date() -> None:
    files = list((Path(__file__).parents[1] / "hermes_setup").rglob("*"))
    holding = [path for path in files if path.is_file() and b"173.245.48.0" in path.read_bytes()]
    assert [path.name for path in holding if path.suffix != ".pyc"] == ["cloudflare.txt"]
    assert re.search(r"^# .* on 20\d\d-\d\d-\d\d\.", holding[0].read_text("ascii"), re.M)


def test_without_a_list_dns_is_asked_only_where_nginx_believes_everyone() -> None:
    machine = Names({"A": ORANGE}, {tree.CONF: "http { set_real_ip_from 10.0.0.1; }"})
    assert Addresses().inspect(ANSWERS, machine) == NOTHING
    assert machine.asked == []
    machine = Names({"A": ORANGE}, {tree.CONF: "http { set_real_ip_from 0.0.0.0/0; }"})
    facts = Addresses().inspect(ANSWERS, machine)
    assert (facts.trusted_proxies, facts.cloudflare) == (("0.0.0.0/0",), ("104.16.1.1",))


def test_nobody_is_asked_for_a_private_name() -> None:
    machine = Names({"A": ORANGE})
    private = replace(listed("203.0.113.9"), domain=Domain.parse("hermes.localhost"))
    assert trusted_proxies.for_dashboard(private, machine, "") == ()
    assert machine.asked == []


def test_the_facts_of_a_machine() -> None:
    conf = """http {
        set_real_ip_from 10.0.0.1;
        server { listen 443 ssl proxy_protocol; server_name x; set_real_ip_from 0.0.0.0/0; }
        }"""
    machine = Names({"AAAA": Records("ok", ("2606:4700::1",))}, {tree.CONF: conf})
    facts = Addresses().inspect(listed("203.0.113.9"), machine)
    assert facts == Facts(None, (), ("2606:4700::1",), ("2606:4700::1",), ("10.0.0.1",), tree.CONF)
    elsewhere = Names(files={tree.CONF: "http { server { listen 8443 ssl proxy_protocol; } }"})
    assert Addresses().inspect(listed("203.0.113.9"), elsewhere) == NOTHING


# -- the proof -------------------------------------------------------------------------------------------------------------

TOKEN = "0" * 32


@dataclass
class Gate(Nothing):
    """nginx as the site's file has it, or as a broken one would; every request is kept."""

    allow: tuple[str, ...] = ()
    lets_all_in: bool = False
    no_password: bool = False
    page: bytes = b""
    asked: list[Request] = field(default_factory=list)

    def addresses(self) -> tuple[str, ...]:
        return ("198.51.100.10",)

    def look(self, path: str) -> Node:
        return File(f"# token - {TOKEN} \n".encode()) if path.endswith("hermes-gate.conf") else ABSENT

    def fetch(self, request: Request) -> Response:
        self.asked.append(request)
        headers = dict(request.headers)
        if request.port == 80:
            return Response(301, (("Location", f"https://{request.name}/"),))
        if "Host" in headers:
            return Response(421)
        if request.path.startswith("/api/ws"):
            said = f'"{request.path.partition("token=")[2]}"'.encode()
            return Response(101 if said in self.page and TOKEN in headers.get("Cookie", "") else 403)
        passes = request.address == "127.0.0.1" and headers.get(BYPASS_HEADER) == TOKEN
        if not (permits(self.allow, request.address) or passes or self.lets_all_in):
            return Response(403, body=b"If it is your server: run <code>sudo hermes-setup</code> on it")
        if request.path == SIGN_IN:
            return Response(403, body=b"wrong")
        passes = self.no_password or TOKEN in headers.get("Cookie", "")
        return Response(200, body=self.page) if passes else Response(401, body=f"<form action={SIGN_IN}>".encode())


@pytest.mark.parametrize(
    ("allow", "gate", "codes"),
    [
        ((), Gate(), []),
        (("203.0.113.0/24",), Gate(("203.0.113.0/24",)), []),
        (("127.0.0.1",), Gate(("127.0.0.1",)), []),
        (("0.0.0.0/0",), Gate(("0.0.0.0/0",)), []),
        (("203.0.113.0/24",), Gate(("203.0.113.0/24",), lets_all_in=True), ["proof.addresses"]),
        (("203.0.113.0/24",), Gate(("203.0.113.0/24",), no_password=True), ["proof.password"]),
        ((), Gate(no_password=True), ["proof.password"]),
        (("198.51.100.10",), Gate(("198.51.100.10",)), []),
        # shut to one that should get in
        (("127.0.0.1",), Gate(("203.0.113.0/24",)), ["proof.password"]),
    ],
)
def test_the_proof_sees_the_list_and_what_is_behind_it(allow: tuple[str, ...], gate: Gate, codes: list[str]) -> None:
    found = BrowserVisit(replace(ANSWERS, allow=allow))(Overlay(gate))
    assert [each.code for each in found] == codes
    passed = [request for request in gate.asked if BYPASS_HEADER in dict(request.headers)]
    assert all(request.address == "127.0.0.1" for request in passed)
    assert bool(passed) == (not permits(allow, "127.0.0.1") and codes != ["proof.addresses"])


@pytest.mark.parametrize("session", ["Zb3-_x" * 7, "-" + "a" * 42, "_-" + "a" * 41, "a" * 42 + "-"])
@pytest.mark.parametrize(
    "page", ['<script>window.__HERMES_SESSION_TOKEN__="%s";</script>', "{__HERMES_SESSION_TOKEN__: '%s'}"]
)
def test_the_chats_token_is_sent_as_the_page_has_it(session: str, page: str) -> None:
    """Python's secrets.token_urlsafe, which Hermes makes it by, begins with '-' once in 64 times."""
    gate = Gate(page=(page % session).encode().replace(b"'", b'"'))
    assert BrowserVisit(ANSWERS)(Overlay(gate)) == []
    assert {request.path for request in gate.asked if "ws" in request.path} == {f"/api/ws?token={session}"}


# -- the menu --------------------------------------------------------------------------------------------------------------

SIX = SshSession("2001:db8:1:2::9")


@pytest.mark.parametrize(
    ("allow", "here", "replies", "wanted"),
    [
        ((), HERE, ("addresses", "here"), ("203.0.113.9",)),
        ((), SIX, ("addresses", "here"), ("2001:db8:1:2::/64",)),
        (("192.0.2.1",), HERE, ("addresses", "here"), ("192.0.2.1", "203.0.113.9")),
        (("192.0.2.1",), HERE, ("addresses", "all"), ()),
        ((), None, ("addresses", "here", "type", "192.0.2.1, 2001:db8::/32"), ("192.0.2.1", "2001:db8::/32")),
        ((), HERE, ("addresses", "type", "192.0.2.1", "203.0.113.0/24 192.0.2.1"), ("203.0.113.0/24", "192.0.2.1")),
        ((), HERE, ("addresses", "type", "203.0.113.5/24", "", "203.0.113.0/24"), ("203.0.113.0/24",)),
        ((), GUESS, ("addresses", "type", "192.0.2.1"), ("192.0.2.1",)),
        ((), HERE, ("addresses", "type", BACK, BACK, "addresses", "all", "here"), ("203.0.113.9",)),
    ],
)
def test_the_menu_asks_for_the_list(
    allow: tuple[str, ...], here: SshSession | None, replies: tuple[str | Back, ...], wanted: tuple[str, ...]
) -> None:
    script = Script(*replies)
    visit = Visit(listed(*allow), ("alice",), here)
    assert menu(visit, script) == Intent("addresses", replace(visit.answers, allow=wanted))
    assert not script.replies


def test_this_session_is_offered_first_and_once() -> None:
    def offered(here: SshSession | None, *allow: str) -> list[str]:
        script = Script("addresses", BACK, "quit")
        menu(Visit(listed(*allow), ("alice",), here), script)
        question = script.asked[1][0]
        assert question.default == question.choices[0].value
        return [choice.value for choice in question.choices]

    assert offered(HERE) == ["here", "type"]
    assert offered(HERE, "192.0.2.1") == ["here", "type", "all"]
    assert offered(HERE, "203.0.113.0/24") == ["type", "all"]
    assert offered(None, "192.0.2.1") == ["type", "all"]


def test_a_list_without_this_session_is_typed_on_purpose_only() -> None:
    with pytest.raises(WrongInput, match=r"203\.0\.113\.9") as refused:
        typed_list("192.0.2.1", HERE)
    assert "--allow-lockout" in refused.value.hint
    assert typed_list("192.0.2.1", HERE, lockout=True) == ("192.0.2.1",)


def test_changing_other_answers_keeps_the_list() -> None:
    before = listed("192.0.2.1")
    draft = Draft(before.domain, "", before.issuer, before.users, at="done")
    assert draft.answers(before).allow == ("192.0.2.1",)
