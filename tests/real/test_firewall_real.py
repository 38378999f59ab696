"""Firewalls of the real kernel: shut before, open after what the stage plans, and shut again when that is taken back."""

from __future__ import annotations

import json
import socket

import pytest

from conftest import BOTH
from lab import Machine, World
from lab.spaces import in_net
from real.program import HOME, install

LISTEN = """
import signal, socket
for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
    for port in (22, 80, 443, 9999):
        new = socket.socket(family)
        if family == socket.AF_INET6:
            new.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        new.bind((address, port))
        new.listen(50)
        globals()[f"keep{family}{port}"] = new
signal.pause()
"""

STAGE = """
import json, sys
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import Issuer
from hermes_setup.engine.events import Doing, Seen
from hermes_setup.engine.loop import run
from hermes_setup.engine.stage import Step
from hermes_setup.engine.failed_step import NoJournal
from hermes_setup.stages.firewall.stage import Firewall
from hermes_setup.system.local import Local

class Journal(NoJournal):
    undos = []
    def record(self, stage, change, undo):
        self.undos.append(undo)

wanted = Answers(Domain.parse("hermes.example.com"), Issuer.parse("self-signed"), ())
done, seen = [], []
for event in run([Step("firewall", "Firewall", Firewall())], wanted, Local(), Journal()):
    if isinstance(event, Doing):
        done.append(" ".join(getattr(event.change, "argv", ())) or event.change.path)
    if isinstance(event, Seen):
        seen += [finding.code for finding in event.findings]
if "undo" in sys.argv:
    for undo in reversed(Journal.undos):
        undo.apply(Local())
print(json.dumps([done, seen]))
"""

CLOUD = """*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p {icmp} -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT
-A INPUT -j REJECT
COMMIT
"""

CONF = """#!/usr/sbin/nft -f
flush ruleset
table inet filter {
	chain input {
		type filter hook input priority filter; policy accept;
		ct state established,related accept
		iif lo accept   # a brace } in a comment
		tcp dport { 22, 8080-8090 } accept
		meta l4proto { icmp, ipv6-icmp } accept
		counter reject with icmpx type admin-prohibited
	}
}
"""

MAP = """table ip web {
	chain in { type filter hook input priority 0; policy drop; ct state established accept; tcp dport vmap { 22 : accept, 443 : accept }; }
}
table ip6 web {
	chain in {
		type filter hook input priority 10; policy drop;
		meta l4proto ipv6-icmp accept
		ct state vmap { established : accept, invalid : drop }
		tcp dport 22 accept
	}
}
"""

NAMED_AS_IPTABLES_DOES = """table ip filter {
	chain INPUT {
		type filter hook input priority 0; policy drop;
		ct state established accept
		tcp dport 22 accept
	}
}
table ip6 filter {
	chain INPUT {
		type filter hook input priority 0; policy drop;
		meta l4proto ipv6-icmp accept
		ct state established accept
		tcp dport { 22, 25 } accept
	}
}
"""

SSH = {"22"}
WEB = {"22", "80", "443"}


def reached(world: World, address: str) -> set[str]:
    """The ports to which a stranger can connect."""

    def go() -> set[str]:
        found = set()
        for port in (22, 80, 443, 9999):
            try:
                socket.create_connection((address, port), 0.5).close()
                found.add(str(port))
            except OSError:
                pass
        return found

    return in_net(world.net, go)


def everywhere(world: World, vps: Machine) -> list[set[str]]:
    return [reached(world, address) for address in vps.addresses]


def stage(vps: Machine, *flags: str) -> tuple[list[str], list[str]]:
    told = vps.run(["python3", "-c", STAGE, *flags], env={"PYTHONPATH": HOME}).out
    done, seen = json.loads(told)
    return done, seen


@pytest.fixture
def vps(world: World, machine: Machine) -> Machine:
    install(machine)
    machine.start(["python3", "-c", LISTEN])
    machine.wait_for_port(9999)
    return machine


def cloud(vps: Machine) -> None:
    vps.run(["iptables-restore"], input=CLOUD.format(icmp="icmp"))
    vps.run(["ip6tables-restore"], input=CLOUD.format(icmp="ipv6-icmp"))


def cloud_kept(vps: Machine) -> None:
    vps.write("/usr/sbin/netfilter-persistent", "#!/bin/sh\n", mode=0o755)
    vps.write("/etc/iptables/rules.v4", CLOUD.format(icmp="icmp"))
    vps.write("/etc/iptables/rules.v6", CLOUD.format(icmp="ipv6-icmp"))
    reboot_iptables(vps)


def reboot_iptables(vps: Machine) -> None:
    vps.run(["nft", "flush", "ruleset"])
    vps.run(["iptables-restore", "/etc/iptables/rules.v4"])
    vps.run(["ip6tables-restore", "/etc/iptables/rules.v6"])


def nft(vps: Machine, text: str) -> None:
    vps.write("/etc/nftables.conf", text, mode=0o755)
    reboot_nft(vps)


def reboot_nft(vps: Machine) -> None:
    vps.run(["nft", "flush", "ruleset"])
    vps.run(["nft", "-f", "/etc/nftables.conf"])


@pytest.mark.parametrize("debian", BOTH)
def test_a_clouds_final_reject(world: World, vps: Machine) -> None:
    cloud(vps)
    assert everywhere(world, vps) == [SSH, SSH]
    done, seen = stage(vps, "undo")
    assert len(done) == 4
    assert seen == ["firewall.not-kept"]
    assert everywhere(world, vps) == [SSH, SSH]
    stage(vps)
    assert everywhere(world, vps) == [WEB, WEB]
    assert stage(vps) == ([], ["firewall.not-kept"])


def test_iptables_rules_that_a_file_keeps_are_open_after_a_restart_too(world: World, vps: Machine) -> None:
    cloud_kept(vps)
    assert everywhere(world, vps) == [SSH, SSH]
    stage(vps)
    assert everywhere(world, vps) == [WEB, WEB]
    reboot_iptables(vps)
    assert everywhere(world, vps) == [WEB, WEB]
    assert stage(vps) == ([], [])


@pytest.mark.parametrize("debian", BOTH)
@pytest.mark.parametrize(
    ("text", "before"),
    [(CONF, [SSH, SSH]), (MAP, [{"22", "443"}, SSH]), (NAMED_AS_IPTABLES_DOES, [SSH, SSH])],
    ids=["a final reject", "policies and maps", "named as iptables does"],
)
def test_nftables(world: World, vps: Machine, text: str, before: list[set[str]]) -> None:
    nft(vps, text)
    assert everywhere(world, vps) == before
    stage(vps, "undo")
    assert everywhere(world, vps) == before
    assert vps.text("/etc/nftables.conf") == text
    done, _ = stage(vps)
    assert "nft --check --file /etc/nftables.conf" in done
    assert everywhere(world, vps) == [WEB, WEB]
    assert stage(vps) == ([], [])
    reboot_nft(vps)
    assert everywhere(world, vps) == [WEB, WEB]
    assert stage(vps) == ([], [])


def test_what_is_open_is_left_alone_and_what_is_not_understood_is_told(world: World, vps: Machine) -> None:
    assert stage(vps) == ([], [])
    nft(vps, "table inet f { chain in { type filter hook input priority 0; meta mark 7 tcp dport 80 drop; }; }\n")
    before = vps.run(["nft", "list", "ruleset"]).out
    assert stage(vps) == ([], ["firewall.unsure"])
    assert vps.run(["nft", "list", "ruleset"]).out == before


def test_ufw(world: World, vps: Machine) -> None:
    if not vps.exists("/usr/sbin/ufw"):
        world.give_packages(vps)
        vps.run(["sh", "-c", "apt-get -qq update && apt-get -qq install -y ufw"], timeout=180)
    vps.run(["ufw", "allow", "22/tcp"])
    vps.run(["ufw", "deny", "80"])
    vps.run(["ufw", "allow", "proto", "tcp", "to", "0.0.0.0/0", "port", "443"])  # IPv4's alone
    vps.run(["ufw", "--force", "enable"])
    before = vps.run(["ufw", "status", "numbered"]).out
    assert everywhere(world, vps) == [SSH | {"443"}, SSH]
    stage(vps, "undo")
    assert everywhere(world, vps) == [SSH | {"443"}, SSH]
    assert vps.run(["ufw", "status", "numbered"]).out == before
    stage(vps)
    assert everywhere(world, vps) == [WEB, WEB]
    assert stage(vps) == ([], [])
