"""The firewall stage: what real filters printed goes in, openings and changes come out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import Issuer
from hermes_setup.engine.changes import Place, Run
from hermes_setup.engine.events import Doing
from hermes_setup.engine.failed_step import NoJournal
from hermes_setup.engine.findings import Severity
from hermes_setup.engine.loop import run
from hermes_setup.host import File, Node, Ran
from hermes_setup.stages.firewall import (
    firewalld,
    iptables,
    iptables_rules,
    iptables_save,
    nftables,
    nftables_conf,
    nftables_ruleset,
    ufw,
)
from hermes_setup.stages.firewall.closed_ports import closed_ports
from hermes_setup.stages.firewall.evaluation import Chain, Matches, Rule, evaluate
from hermes_setup.stages.firewall.packets import Packet, default_route_interfaces
from hermes_setup.stages.firewall.stage import Firewall
from hermes_setup.system.overlay import Nothing, Overlay
from hermes_setup.values import replace
from machines import steps

RECORDED = Path(__file__).parent / "recorded" / "firewall"
ANSWERS = Answers(Domain.parse("hermes.example.com"), Issuer.parse("letsencrypt"), ())
ADDRESSES = ("198.51.100.10", "2001:db8::10")


def recorded(name: str) -> str:
    return (RECORDED / name).read_text(encoding="utf-8")


def packet_to(port: int, *, ipv6: bool = False) -> Packet:
    return Packet(port, ipv6, ("eth0",), ADDRESSES)


def packets() -> tuple[Packet, ...]:
    return tuple(packet_to(port, ipv6=ipv6) for port in (80, 443) for ipv6 in (False, True))


class Box(Nothing):
    """A machine whose filters say what was recorded."""

    def __init__(self, said: Mapping[str, str | Ran], files: Mapping[str, str] | None = None) -> None:
        self.said = said
        self.files = {
            "/proc/net/if_inet6": "x",
            "/proc/net/route": recorded("route.txt"),
            "/proc/net/ipv6_route": recorded("ipv6_route.txt"),
            **(files or {}),
        }
        self.asked: list[str] = []

    def ask(self, argv: Sequence[str], *, seconds: float = 4.0) -> Ran:
        words = " ".join(argv)
        self.asked.append(words)
        answer = self.said.get(words)
        if answer is None:
            return Ran(127, "", "")
        return answer if isinstance(answer, Ran) else Ran(0, answer, "")

    def look(self, path: str) -> Node:
        return File(self.files[path].encode()) if path in self.files else super().look(path)

    def addresses(self) -> tuple[str, ...]:
        return ADDRESSES


UFW = {"/etc/ufw/ufw.conf": "ENABLED=yes\n", "/etc/default/ufw": "IPV6=yes\n"}


def ufw_box(name: str, numbered: str = "") -> Box:
    return Box({"ufw status verbose": recorded(name), "ufw status numbered": numbered and recorded(numbered)}, UFW)


def changes(box: Box, answers: Answers = ANSWERS) -> list[str]:
    stage = Firewall()
    return [
        " ".join(change.argv) if isinstance(change, Run) else f"place {change.path}"  # type: ignore[union-attr]
        for change in stage.plan(answers, stage.inspect(answers, box))
    ]


def findings(box: Box, answers: Answers = ANSWERS) -> list[str]:
    stage = Firewall()
    return [finding.code for finding in stage.check(answers, stage.inspect(answers, box))]


# -- nothing there, nothing to do ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "box",
    [
        Box({}),
        Box({"ufw status verbose": recorded("ufw-inactive.txt")}, UFW),
        Box(
            {
                "iptables-save": recorded("iptables-save-empty.txt"),
                "nft --json list ruleset": recorded("nft-empty.json"),
            }
        ),
        Box({"nft --json list ruleset": recorded("nft-open.json")}),
        Box({"firewall-cmd --state": Ran(252, "", "not running")}),
        ufw_box("ufw-nginx-full.txt"),
    ],
    ids=["no tools", "ufw off", "no rules", "rules that let them in", "firewalld off", "a profile of nginx's"],
)
def test_an_open_machine_is_left_alone(box: Box) -> None:
    assert changes(box) == []
    assert findings(box) == []


def test_ufw_is_not_even_asked_where_it_is_switched_off() -> None:
    box = Box({}, {"/etc/ufw/ufw.conf": "ENABLED=no\n"})
    changes(box)
    assert not [asked for asked in box.asked if asked.startswith("ufw")]


def test_where_nothing_may_be_seen_that_is_a_note_and_no_guess() -> None:
    denied = Ran(
        4, "", "iptables-save v1.8.11 (nf_tables): Could not fetch rule set: Permission denied (you must be root)"
    )
    box = Box(
        {
            "iptables-save": denied,
            "nft --json list ruleset": Ran(1, "", "cache initialization failed: Operation not permitted"),
        }
    )
    assert changes(box) == []
    assert findings(box) == ["firewall.unseen"]


def test_a_filter_that_does_not_answer_is_unsure() -> None:
    assert findings(Box({"nft --json list ruleset": Ran(124, "", "no answer")})) == ["firewall.unsure"]


# -- ufw -----------------------------------------------------------------------------------------------------------------


def test_ufw_that_knows_only_ssh_gets_two_rules() -> None:
    box = ufw_box("ufw-ssh-only.txt")
    assert changes(box) == ["ufw allow 80/tcp", "ufw allow 443/tcp"]
    stage = Firewall()
    undos = [change.undo(box) for change in stage.plan(ANSWERS, stage.inspect(ANSWERS, box))]
    assert [undo.argv for undo in undos if isinstance(undo, Run)] == [
        ("ufw", "--force", "delete", "allow", "80/tcp"),
        ("ufw", "--force", "delete", "allow", "443/tcp"),
    ]


def test_ufw_rules_for_some_sources_routes_and_ways_out_open_nothing() -> None:
    # 80 is open to 10.0.0.0/8 and for routed packets; 443 by LIMIT to everybody
    assert changes(ufw_box("ufw-many.txt")) == ["ufw allow 80/tcp"]


def test_a_rule_goes_before_the_one_that_denies_and_behind_those_that_deny_others() -> None:
    assert changes(ufw_box("ufw-deny-80.txt", "ufw-deny-80-numbered.txt")) == [
        "ufw insert 5 allow proto tcp to ::/0 port 80",
        "ufw insert 2 allow proto tcp to 0.0.0.0/0 port 80",
        "ufw allow 443/tcp",
    ]


def test_a_denial_that_cannot_be_found_in_the_numbered_list_is_unsure() -> None:
    box = ufw_box("ufw-deny-80.txt")
    assert changes(box) == ["ufw allow 443/tcp"]
    assert findings(box) == ["firewall.unsure"]


@pytest.mark.parametrize("answer", [Ran(124, "", "no answer"), Ran(1, "", "ERROR: problem running iptables")])
def test_ufw_that_says_nothing_clear_is_unsure_and_nothing_is_put_past_it(answer: Ran) -> None:
    rules = saved("-A INPUT -j ufw-user-input", "-A ufw-user-input -p tcp --dport 22 -j ACCEPT").replace(
        ":web", ":ufw-user-input"
    )
    box = Box({"ufw status verbose": answer, "iptables-save": rules}, UFW)
    assert changes(box) == []
    assert findings(box) == ["firewall.unsure"]


def test_what_a_removed_ufw_left_behind_is_no_firewall() -> None:
    box = Box({"iptables-save": recorded("iptables-save-cloud.txt")}, UFW)  # its files are there, the command is not
    assert [words.split()[0] for words in changes(box)] == ["iptables", "iptables"]


def test_ufw_without_ipv6_is_a_finding() -> None:
    box = Box({"ufw status verbose": recorded("ufw-no-ipv6.txt")}, {**UFW, "/etc/default/ufw": "IPV6=no\n"})
    assert findings(box) == ["firewall.no-ipv6"]
    assert changes(box) == []


def test_what_ufw_has_for_the_other_family_is_not_taken_back_with_ours() -> None:
    ipv4, ipv6 = "0.0.0.0/0", "::/0"
    for rows, wanted in (
        (["80/tcp  ALLOW IN  Anywhere"], [("allow", ipv6, "--force delete allow")]),
        (["80/tcp  LIMIT IN  Anywhere"], [("allow", ipv6, "--force delete allow")]),
        (["80/tcp (v6)  ALLOW IN  Anywhere (v6)"], [("allow", ipv4, "--force delete allow")]),
        (["80/tcp  DENY IN  Anywhere"], [("allow", ipv4, "deny"), ("allow", ipv6, "--force delete allow")]),
    ):
        openings = ufw.report(status(*rows), "", [packet_to(80), packet_to(80, ipv6=True)], ipv6=True).openings
        runs = [change for opening in openings for change in opening.changes if isinstance(change, Run)]
        rule = "proto tcp to {} port 80"
        assert [(" ".join(each.argv), " ".join(each.undo_argv)) for each in runs] == [
            (f"ufw {does} {rule.format(to)}", f"ufw {undo} {rule.format(to)}") for does, to, undo in wanted
        ]
    both = ["80/tcp  REJECT IN  Anywhere", "80/tcp (v6)  REJECT IN  Anywhere (v6)"]
    (opening, _) = ufw.report(status(*both), "", [packet_to(80), packet_to(80, ipv6=True)], ipv6=True).openings
    (change,) = opening.changes
    assert isinstance(change, Run)
    assert (change.argv, change.undo_argv) == (("ufw", "allow", "80/tcp"), ("ufw", "reject", "80/tcp"))


def test_of_several_rules_to_insert_the_last_place_comes_first_so_that_none_lands_too_early() -> None:
    rows = ["80  DENY IN  Anywhere", "Anywhere  DENY IN  203.0.113.0/24", "443  DENY IN  Anywhere"]
    numbered = "\n".join(f"[ {at}] {row}" for at, row in enumerate(rows, 1))
    openings = ufw.report(status(*rows), numbered, [packet_to(80), packet_to(443)], ipv6=True).openings
    assert [change.argv[2] for opening in openings for change in opening.changes if isinstance(change, Run)] == [
        "3",
        "1",
    ]
    chain = ("-p tcp --dport 80 -j DROP", "-s 203.0.113.0/24 -j DROP", "-p tcp --dport 443 -j DROP")
    text = saved(*(f"-A INPUT {rule}" for rule in chain), policy="ACCEPT")
    openings = iptables.report("iptables", text, None, [packet_to(80), packet_to(443)]).openings
    assert [change.argv[5] for opening in openings for change in opening.changes if isinstance(change, Run)] == [
        "3",
        "1",
    ]


def status(*rows: str, default: str = "deny") -> str:
    return "\n".join(
        ("Status: active", f"Default: {default} (incoming), allow (outgoing), disabled (routed)", "", *rows)
    )


@pytest.mark.parametrize(
    ("rows", "opens"),
    [
        (["80/tcp                     ALLOW IN    Anywhere"], True),
        (["80                         ALLOW IN    Anywhere"], True),
        (["80/udp                     ALLOW IN    Anywhere"], False),
        (["80,443/tcp                 ALLOW IN    Anywhere"], True),
        (["1:1000/tcp                 ALLOW IN    Anywhere"], True),
        (["81:1000/tcp                ALLOW IN    Anywhere"], False),
        (["Anywhere                   ALLOW IN    Anywhere"], True),
        (["Anywhere                   ALLOW IN    203.0.113.9"], False),
        (["80/tcp                     ALLOW IN    Anywhere                   # the web"], True),
        (["80/tcp                     ALLOW IN    Anywhere                   (log)"], True),
        (["80/tcp                     ALLOW OUT   Anywhere                   (out)"], False),
        (["80/tcp                     ALLOW FWD   Anywhere"], False),
        (["80/tcp on eth0             ALLOW IN    Anywhere"], True),
        (["Anywhere on eth0           ALLOW IN    Anywhere"], True),
        (["80/tcp on tailscale0       ALLOW IN    Anywhere"], False),
        (["198.51.100.10 80/tcp       ALLOW IN    Anywhere"], True),
        (["10.1.1.1 80/tcp            ALLOW IN    Anywhere"], False),
        (["80/tcp (v6)                ALLOW IN    Anywhere (v6)"], False),
        (["80/tcp                     DENY IN     Anywhere", "80        ALLOW IN    Anywhere"], False),
        (["80/tcp                     DENY IN     203.0.113.0/24", "80    LIMIT IN    Anywhere"], True),
        (["80,443/tcp (Nginx Full)    ALLOW IN    Anywhere"], True),
        (["22/tcp (OpenSSH)           ALLOW IN    Anywhere"], False),
    ],
)
def test_the_first_row_of_ufw_that_matches_everyone_decides(rows: list[str], opens: bool) -> None:
    assert ufw.evaluate_rows(ufw.parse(status(*rows)), packet_to(80)).outcomes == {"accept" if opens else "drop"}


def test_ufw_that_lets_in_by_default_is_open() -> None:
    assert not ufw.report(status(default="allow"), "", packets(), ipv6=True).openings


# -- iptables ------------------------------------------------------------------------------------------------------------


def test_a_large_clouds_final_reject_gets_rules_in_front_of_it() -> None:
    box = Box({"iptables-save": recorded("iptables-save-cloud.txt")})
    rule = "-p tcp -m tcp --dport {} -m comment --comment hermes-setup -j ACCEPT"
    assert changes(box) == [f"iptables -w 5 -I INPUT 6 {rule.format(port)}" for port in (80, 443)]
    assert findings(box) == ["firewall.not-kept"]


def test_the_file_that_brings_the_rules_back_is_changed_too_and_in_the_same_place() -> None:
    saved = recorded("iptables-save-cloud.txt")
    files = {"/usr/sbin/netfilter-persistent": "", "/etc/iptables/rules.v4": saved}
    box = Box({"iptables-save": saved}, files)
    assert changes(box)[2:] == ["place /etc/iptables/rules.v4", "iptables-restore --test /etc/iptables/rules.v4"]
    assert findings(box) == []
    stage = Firewall()
    place = next(each for each in stage.plan(ANSWERS, stage.inspect(ANSWERS, box)) if isinstance(each, Place))
    assert isinstance(place.node, File)
    lines = place.node.content.decode().splitlines()
    added = [line for line in lines if line not in saved.splitlines()]
    assert len(added) == 2
    assert lines.index(added[1]) + 1 == next(at for at, line in enumerate(lines) if "INPUT -j REJECT" in line)
    assert [line for line in lines if line not in added] == saved.splitlines()
    # where the live rules are open already, only the file is left, and after it nothing
    assert changes(Box({"iptables-save": ""}, files))[0] == "place /etc/iptables/rules.v4"
    assert changes(Box({"iptables-save": ""}, {**files, place.path: place.node.content.decode()})) == []


def test_ufw_and_a_clouds_reject_are_opened_both() -> None:
    rules = recorded("iptables-save-ufw.txt").replace(
        "-A INPUT -j ufw-before-logging-input",
        "-A INPUT -j REJECT --reject-with icmp-host-prohibited\n-A INPUT -j ufw-before-logging-input",
    )
    box = Box({"ufw status verbose": recorded("ufw-ssh-only.txt"), "iptables-save": rules}, UFW)
    assert [change.split()[0] for change in changes(box)] == ["iptables", "iptables", "ufw", "ufw"]


def test_ufws_own_chains_are_left_to_ufw() -> None:
    box = Box(
        {"ufw status verbose": recorded("ufw-ssh-only.txt"), "iptables-save": recorded("iptables-save-ufw.txt")}, UFW
    )
    assert changes(box) == ["ufw allow 80/tcp", "ufw allow 443/tcp"]


def test_of_two_rules_that_close_a_port_the_first_is_named() -> None:
    rules = (
        "-A INPUT -i lo -j ACCEPT",
        "-A INPUT -m bpf --bytecode x -j DROP",
        "-A INPUT -p tcp -j REJECT",
        "-A INPUT -j DROP",
    )
    verdicts = [
        dict(iptables_rules.verdicts(iptables_save.parse(saved(*some)), packet_to(80)))["filter"]
        for some in (rules, rules[2:])
    ]
    assert [verdict.closed_by and verdict.closed_by.text for verdict in verdicts] == [
        "-m bpf --bytecode x -j DROP",
        "-p tcp -j REJECT",
    ]
    assert [verdict.closed for verdict in verdicts] == [True, True]


def test_rules_of_many_kinds() -> None:
    report = iptables.report(
        "iptables", recorded("iptables-save-policy-drop.txt"), None, [packet_to(80), packet_to(443)]
    )
    assert [(opening.port, opening.why) for opening in report.openings] == [(443, "policy DROP")]
    assert report.unclear == ()


def saved(*rules: str, policy: str = "DROP") -> str:
    return "\n".join(("*filter", f":INPUT {policy} [0:0]", ":web - [0:0]", *rules, "COMMIT", ""))


@pytest.mark.parametrize(
    ("rules", "outcome"),
    [
        (["-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT"], "accept"),
        (["-A INPUT -p udp -m udp --dport 80 -j ACCEPT"], "drop"),
        (["-A INPUT -p tcp -m tcp --dport 1:79 -j ACCEPT"], "drop"),
        (["-A INPUT -p tcp -m tcp ! --dport 22 -j ACCEPT"], "accept"),
        (["-A INPUT -p tcp -m multiport --dports 22,80:90 -j ACCEPT"], "accept"),
        (["-A INPUT ! -i lo -j DROP", "-A INPUT -j ACCEPT"], "drop"),
        (["-A INPUT -i eth+ -j ACCEPT"], "accept"),
        (["-A INPUT -i docker0 -j ACCEPT"], "drop"),
        (["-A INPUT -s 10.0.0.0/8 -j ACCEPT"], "drop"),
        (["-A INPUT ! -s 10.0.0.0/8 -j DROP", "-A INPUT -j ACCEPT"], "drop"),
        (["-A INPUT -m set --match-set bad src -j DROP", "-A INPUT -j ACCEPT"], "accept"),
        (["-A INPUT -d 224.0.0.0/4 -j ACCEPT"], "drop"),
        (["-A INPUT -d 198.51.100.10/32 -p tcp --dport 80 -j ACCEPT"], "accept"),
        (["-A INPUT -m conntrack --ctstate INVALID -j DROP", "-A INPUT -j ACCEPT"], "accept"),
        (["-A INPUT -p tcp --syn -m connlimit --connlimit-above 20 -j REJECT", "-A INPUT -j ACCEPT"], "accept"),
        (["-A INPUT -p tcp --dport 80 -m limit --limit 25/min --limit-burst 100 -j ACCEPT"], "accept"),
        (
            [
                "-A INPUT -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP",
                "-A INPUT -j ACCEPT",
            ],
            "accept",
        ),
        (["-A INPUT -p tcp --tcp-flags FIN,SYN FIN,SYN -j DROP", "-A INPUT -j ACCEPT"], "accept"),
        (["-A INPUT -j web", "-A INPUT -j ACCEPT", "-A web -p tcp --dport 80 -j DROP"], "drop"),
        (["-A INPUT -j web", "-A INPUT -j ACCEPT", "-A web -j RETURN", "-A web -j DROP"], "accept"),
        (["-A INPUT -g web", "-A INPUT -j ACCEPT", "-A web -j LOG"], "drop"),
        (["-A INPUT -m rpfilter --validmark --invert -j DROP", "-A INPUT -j ACCEPT"], "accept"),
        (['-A INPUT -m comment --comment "-j DROP is not said here" -j ACCEPT'], "accept"),
        (["-A INPUT -p icmp -m icmp --icmp-type 8 -j ACCEPT"], "drop"),
        (["-A INPUT -m time --timestart 08:00 --timestop 18:00 -p tcp --dport 80 -j ACCEPT"], "unsure"),
        (["-A INPUT -m bpf --bytecode x -j DROP", "-A INPUT -j ACCEPT"], "unsure"),
        (["-A INPUT -p tcp --dport 80 -j NFQUEUE --queue-num 0", "-A INPUT -j ACCEPT"], "unsure"),
        (["-A INPUT -m bpf --bytecode x -j ACCEPT", "-A INPUT -j ACCEPT"], "accept"),
    ],
)
def test_iptables_rules_are_followed_as_the_kernel_does(rules: list[str], outcome: str) -> None:
    ((_, verdict),) = iptables_rules.verdicts(iptables_save.parse(saved(*rules)), packet_to(80))
    assert ("unsure" if verdict.unsure else "".join(verdict.outcomes)) == outcome
    assert not verdict.unsure or verdict.unclear


def test_no_stranger_comes_to_loopback_not_even_where_no_address_is_known() -> None:
    rules = iptables_save.parse(saved("-A INPUT -d 127.0.0.0/8 -j DROP", "-A INPUT -j ACCEPT"))
    ((_, verdict),) = iptables_rules.verdicts(rules, Packet(80, False))
    assert verdict.outcomes == {"accept"}


def test_a_stranger_comes_to_a_public_address_where_there_is_one() -> None:
    rules = iptables_save.parse(saved("-A INPUT -d 10.8.0.1/32 -j DROP", "-A INPUT -j ACCEPT"))
    for addresses, unsure in ((("9.9.9.9", "10.8.0.1"), False), (("10.0.0.5", "10.8.0.1"), True)):  # a tunnel, or NAT
        ((_, verdict),) = iptables_rules.verdicts(rules, Packet(80, False, ("eth0",), addresses))
        assert (verdict.unsure, "accept" in verdict.outcomes) == (unsure, True)


def test_chains_that_jump_in_a_circle_are_unsure_and_do_not_hang() -> None:
    tables = iptables_save.parse(saved("-A INPUT -j web", "-A web -j web"))
    ((_, verdict),) = iptables_rules.verdicts(tables, packet_to(80))
    assert verdict.unsure


# -- nftables ------------------------------------------------------------------------------------------------------------


def test_a_final_reject_of_nftables_gets_a_jump_in_front_of_it() -> None:
    box = Box({"nft --json list ruleset": recorded("nft-final-reject.json")})
    assert changes(box) == [
        "nft add chain inet filter hermes_setup; "
        'add rule inet filter hermes_setup tcp dport { 80, 443 } accept comment "hermes-setup"; '
        "insert rule inet filter input handle 7 jump hermes_setup"
    ]
    assert findings(box) == ["firewall.not-kept"]
    stage = Firewall()
    (change,) = stage.plan(ANSWERS, stage.inspect(ANSWERS, box))
    undo = change.undo(box)
    assert isinstance(undo, Run)
    assert undo.argv == ("nft", "add chain inet filter hermes_setup; flush chain inet filter hermes_setup")


def test_tables_of_iptables_are_not_read_twice() -> None:
    rules, same = recorded("iptables-save-cloud.txt"), recorded("nft-of-iptables.json")
    both, one = Box({"iptables-save": rules, "nft --json list ruleset": same}), Box({"iptables-save": rules})
    assert (changes(both), findings(both)) == (changes(one), findings(one))


def test_tables_of_nft_that_are_named_as_iptables_own_are_read_by_nft_which_alone_shows_them_whole() -> None:
    box = Box(
        {
            "iptables-save": recorded("iptables-save-refused.txt"),
            "ip6tables-save": recorded("ip6tables-save-without-sets.txt"),  # says that all of TCP is let in
            "nft --json list ruleset": recorded("nft-named-as-iptables.json"),
        }
    )
    opened = "tcp dport { 80, 443 } accept"
    assert [(words.split()[3], opened in words) for words in changes(box)] == [("ip", True), ("ip6", True)]
    legacy = saved("-A INPUT -j REJECT", policy="ACCEPT")  # a filter of its own, whatever nft's is called
    box.said = {**box.said, "iptables-save": legacy}
    assert [words.split()[0] for words in changes(box)] == ["iptables", "iptables", "nft", "nft"]


def match(left: dict[str, object], right: object) -> dict[str, object]:
    return {"match": {"op": "==", "left": left, "right": right}}


COUNTED: dict[str, object] = {"counter": {"packets": 0, "bytes": 0}}
DPORT: dict[str, object] = {"payload": {"protocol": "tcp", "field": "dport"}}
MAPPED: dict[str, object] = {"vmap": {"key": DPORT, "data": {"set": [[22, {"accept": None}]]}}}


@pytest.mark.parametrize(
    ("expr", "sets", "theirs"),
    [
        ([match(DPORT, 22), COUNTED, {"accept": None}], False, True),
        ([match(DPORT, 22), {"accept": None}], False, False),
        ([match(DPORT, {"set": [22, 25]}), COUNTED, {"accept": None}], False, False),
        ([match(DPORT, {"range": [22, 25]}), COUNTED, {"accept": None}], False, True),
        ([COUNTED, MAPPED], False, False),
        ([match(DPORT, 22), COUNTED, {"accept": None}], True, False),
    ],
)
def test_a_table_is_iptables_own_when_it_holds_only_what_iptables_writes(
    expr: list[dict[str, object]], sets: bool, theirs: bool
) -> None:
    table = nftables_ruleset.Table(
        "ip", "filter", [{"name": "INPUT"}], {"INPUT": [{"expr": expr}]}, {"web": [22]} if sets else {}
    )
    assert nftables_ruleset.written_by_iptables(table) is theirs


def test_a_table_that_iptables_save_refuses_is_read_by_nft_however_it_looks() -> None:
    text = ruleset([COUNTED, {"drop": None}]).replace("inet", "ip")
    text = text.replace('"chain": "input"', '"chain": "INPUT"').replace('"name": "input"', '"name": "INPUT"')
    for incompatible, closed in ((frozenset({("ip", "filter")}), 1), (frozenset[tuple[str, str]](), 0)):
        report = nftables.report(text, Nothing().look("/x"), [packet_to(80)], iptables=True, incompatible=incompatible)
        assert len(report.openings) == closed


def test_tables_of_iptables_without_its_tool_are_unsure() -> None:
    box = Box(
        {"nft --json list ruleset": recorded("nft-of-iptables.json")}
    )  # nft does not say what their matches match
    assert changes(box) == []
    assert findings(box) == ["firewall.unsure"]


@pytest.mark.parametrize(
    ("port", "ipv6", "outcome"),
    [
        (22, False, "accept"), (22, True, "accept"), (8005, False, "accept"), (25, False, "drop"), (80, False, "drop"),
        (80, True, "drop"), (9050, True, "accept"), (2222, False, "accept"), (8443, False, "accept"), (8443, True, "drop"),
        (81, False, "accept"), (82, False, "drop"), (1, False, "drop"), (99, True, "accept"), (443, False, "drop"),
        (8444, True, "accept"), (1234, False, "drop"),
    ],
)  # fmt: skip
def test_rules_of_many_kinds_are_followed_as_nftables_does(port: int, ipv6: bool, outcome: str) -> None:
    packet = Packet(port, ipv6, ("eth0",), ADDRESSES)
    report = nftables.report(recorded("nft-many.json"), Nothing().look("/x"), [packet], iptables=True)
    assert (not report.openings, report.unclear) == (outcome == "accept", ())


CONF = """#!/usr/sbin/nft -f
flush ruleset
table inet filter {
\tchain input {
\t\ttype filter hook input priority filter; policy accept;
\t\tiif lo accept # a } in a comment
\t\ttcp dport { 22, 8080-8090 } accept
\t\tcounter reject with icmpx type admin-prohibited
\t}
}
"""


def test_nftables_conf_gets_one_line_in_front_of_its_refusal() -> None:
    box = Box({"nft --json list ruleset": recorded("nft-final-reject.json")}, {nftables_conf.CONF: CONF})
    assert changes(box)[1:] == ["place /etc/nftables.conf", "nft --check --file /etc/nftables.conf"]
    assert findings(box) == []
    stage = Firewall()
    place = next(each for each in stage.plan(ANSWERS, stage.inspect(ANSWERS, box)) if isinstance(each, Place))
    assert isinstance(place.node, File)
    new = place.node.content.decode()
    line = '\t\ttcp dport { 80, 443 } accept comment "hermes-setup"\n'
    assert new == CONF.replace("\t\tcounter reject", f"{line}\t\tcounter reject")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (CONF, True),
        (CONF.replace("inet filter", "ip filter"), False),
        (CONF.replace("chain input", "chain in"), False),
        (CONF + CONF, False),
        (CONF.replace("hook input", "hook forward"), False),
        (CONF.replace("table inet filter {", 'include "/etc/nftables.d/*.nft"\ntable inet other {'), False),
        ("", False),
    ],
)
def test_a_chain_is_changed_in_the_file_only_where_there_is_no_doubt_which(text: str, found: bool) -> None:
    assert (nftables_conf.find_chain(text, "inet", "filter", "input") is not None) is found


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"nftables": [{}]}', '{"nftables": [{"rule": 1}]}', "netlink: Error"]
)
def test_words_that_are_no_ruleset_never_open_anything(text: str) -> None:
    assert nftables.report(text, Nothing().look("/x"), packets(), iptables=False).openings == ()


def ruleset(*exprs: list[dict[str, object]], policy: str = "accept", hook: str = "input", table: str = "filter") -> str:
    base = {
        "family": "inet",
        "table": table,
        "name": "input",
        "type": "filter",
        "hook": hook,
        "prio": 0,
        "policy": policy,
    }
    rules = [
        {"rule": {"family": "inet", "table": table, "chain": "input", "handle": at, "expr": expr}}
        for at, expr in enumerate(exprs)
    ]
    return json.dumps({"nftables": [{"table": {"family": "inet", "name": table}}, {"chain": base}, *rules]})


@pytest.mark.parametrize(
    "text",
    [
        ruleset([{"drop": None}], hook="prerouting"),
        ruleset([{"queue": None}]),
        ruleset([{"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 1}}, {"drop": None}]),
        ruleset([{"xt": {"type": "match", "name": "geoip"}}, {"drop": None}]),
        ruleset([{"something of next year": {}}]),
        ruleset([{"drop": None}], table="two words"),
    ],
)
def test_what_is_not_understood_is_unclear_and_changes_nothing(text: str) -> None:
    report = nftables.report(text, Nothing().look("/x"), [packet_to(80)], iptables=False)
    assert report.unclear
    assert not report.openings


# -- firewalld -----------------------------------------------------------------------------------------------------------


def firewalld_box(now: str, permanent: str) -> Box:
    return Box(
        {
            "firewall-cmd --state": recorded("firewalld-state.txt"),
            "firewall-cmd --get-default-zone": "public\n",
            "firewall-cmd --get-zone-of-interface=eth0": Ran(2, "", "no zone"),
            "firewall-cmd --zone=public --list-all": now,
            "firewall-cmd --permanent --zone=public --list-all": permanent,
        }
    )


def test_firewalld_is_opened_now_and_for_good() -> None:
    plain = recorded("firewalld-zone-permanent.txt")
    assert changes(firewalld_box(plain, plain)) == [
        f"firewall-cmd {flag}--zone=public --add-service={service}"
        for service in ("http", "https")
        for flag in ("", "--permanent ")
    ]
    opened = plain.replace("services: ", "services: http https ")
    assert changes(firewalld_box(opened, opened)) == []
    assert changes(firewalld_box(opened, plain)) == [
        f"firewall-cmd --permanent --zone=public --add-service={service}" for service in ("http", "https")
    ]


def test_a_rich_rule_that_refuses_everyone_is_unclear_and_one_for_some_lets_no_one_else_in() -> None:
    report = firewalld.report(
        "public",
        recorded("firewalld-zone.txt"),
        recorded("firewalld-zone-permanent.txt"),
        [packet_to(80), packet_to(443)],
    )
    assert report.unclear == ('firewalld, zone public: rule port port="443" protocol="tcp" reject',)
    assert (80, "zone public does not list http") in [(opening.port, opening.why) for opening in report.openings]


@pytest.mark.parametrize(
    ("field", "opens"),
    [
        ("  ports: 80/tcp 443/tcp", True),
        ("  ports: 1-1024/tcp", True),
        ("  ports: 80/udp", False),
        ("  target: ACCEPT", True),
        ("  target: DROP", False),
        ("  services: http3 ssh", False),
        ('  rich rules: \n\trule family="ipv4" port port="80" protocol="tcp" accept', True),
        ('  rich rules: \n\trule family="ipv6" port port="80" protocol="tcp" accept', False),
        ('  rich rules: \n\trule service name="http" log prefix="drop " accept', True),
    ],
)
def test_zones_of_firewalld(field: str, opens: bool) -> None:
    assert (not firewalld.report("public", field, field, [packet_to(80)]).openings) is opens


@pytest.mark.parametrize(
    ("zone", "closed"),
    [
        ("  services: http ssh", {8644}),
        ("  ports: 8000-9000/tcp", set[int]()),
        ('  rich rules: \n\trule service name="http" accept', {8644}),
    ],
)
def test_a_port_that_no_service_of_firewalld_names_can_be_asked_about(zone: str, closed: set[int]) -> None:
    assert closed_ports(firewalld_box(zone, zone), [8644]) == closed


def test_no_filter_is_asked_about_no_port() -> None:
    box = firewalld_box("", "")
    assert closed_ports(box, ()) == set()
    assert box.asked == []


# -- the stage -----------------------------------------------------------------------------------------------------------

CLOSED = [
    ufw_box("ufw-ssh-only.txt"),
    ufw_box("ufw-deny-80.txt", "ufw-deny-80-numbered.txt"),
    Box({"iptables-save": recorded("iptables-save-cloud.txt")}),
    Box(
        {"iptables-save": recorded("iptables-save-cloud.txt")},
        {"/usr/sbin/netfilter-persistent": "", "/etc/iptables/rules.v4": recorded("iptables-save-cloud.txt")},
    ),
    Box({"nft --json list ruleset": recorded("nft-final-reject.json")}, {nftables_conf.CONF: CONF}),
    firewalld_box(recorded("firewalld-zone-permanent.txt"), recorded("firewalld-zone-permanent.txt")),
]


@pytest.mark.parametrize("box", CLOSED)
def test_a_dry_run_reaches_its_end_and_a_second_look_finds_nothing_left(box: Box) -> None:
    machine = Overlay(box)
    assert [event for event in run(steps(Firewall()), ANSWERS, machine, NoJournal()) if isinstance(event, Doing)]
    assert Firewall().plan(ANSWERS, Firewall().inspect(ANSWERS, machine)) == ()


@pytest.mark.parametrize("box", CLOSED)
def test_with_leave_nothing_is_changed_and_the_commands_are_named(box: Box) -> None:
    leave = replace(ANSWERS, firewall="leave")
    assert changes(box, leave) == []
    assert "firewall.not-kept" not in findings(box, leave)
    stage = Firewall()
    closed = next(each for each in stage.check(leave, stage.inspect(leave, box)) if each.code == "firewall.closed")
    assert closed.severity is Severity.WARN
    assert "sudo " in closed.do


@pytest.mark.parametrize("box", CLOSED)
def test_no_change_is_about_ssh_or_switches_anything_on(box: Box) -> None:
    for words in changes(box):
        assert " 22" not in words
        assert not {"enable", "reload", "start", "flush", "default"} & set(words.split())


def test_the_outside_interfaces_are_those_with_a_default_route() -> None:
    assert default_route_interfaces(recorded("route.txt"), recorded("ipv6_route.txt")) == ("eth0",)
    assert default_route_interfaces("", "") == ()


def test_a_rule_that_does_not_match_everyone_neither_opens_nor_closes() -> None:
    some = [Rule(matches, action) for matches in (Matches.FEW, Matches.NONE) for action in ("accept", "drop")]
    assert evaluate(Chain((*some, Rule(Matches.LIMITED, "drop")), "accept"), {}).outcomes == {"accept"}
    assert evaluate(Chain(tuple(some), "drop"), {}).outcomes == {"drop"}
