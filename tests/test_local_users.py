"""Who else on this server reaches Hermes: the plan, its undo, and what is in the way. The real nft is in tests/real."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.backend import Backend
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.fields import from_json, to_json
from hermes_setup.answers.file import AnswersFile, read, to_toml
from hermes_setup.answers.issuer import Issuer
from hermes_setup.answers.user import User
from hermes_setup.engine.changes import Change, Run
from hermes_setup.engine.findings import Finding, Severity
from hermes_setup.errors import WrongInput
from hermes_setup.host import ABSENT, File, Folder, Link, Node, Ran, Replaceable
from hermes_setup.nginx import tree
from hermes_setup.nginx.render import Renderer
from hermes_setup.stages.firewall import nftables
from hermes_setup.stages.firewall.packets import Packet
from hermes_setup.stages.firewall.report import Report
from hermes_setup.stages.hermes import unit
from hermes_setup.stages.hermes.installations import Installation
from hermes_setup.stages.local_users import table
from hermes_setup.stages.local_users.stage import LocalUsers
from hermes_setup.state import upstream
from hermes_setup.values import replace
from hermes_setup.wizard.waiting import ssh_tunnel
from machines import Machine

PEOPLE = b"""\
root:x:0:0:root:/root:/bin/bash
www-data:x:33:33::/var/www:/usr/sbin/nologin
bob:x:1000:1000::/home/bob:/bin/bash
debian:x:1001:1001::/home/debian:/bin/bash
"""
ANSWERS = Answers(Domain.parse("hermes.example.com"), Issuer.parse("self-signed"), (User("alice"),), local_users=())
AT = Backend("127.0.0.1", 9119)
BOB = Installation("/home/bob/.local/bin/hermes", "bob", "/home/bob")


class Server(Machine):
    """With an nft that loads what stands in the file, and a systemd that does so by our unit."""

    def __init__(self, *, systemd: bool = True) -> None:
        super().__init__({"nft": self._nft, "systemctl": self._systemctl})
        self.table = ""
        self.started = False
        self.nft = Ran(0, "", "")
        self.put("/etc/passwd", File(PEOPLE))
        self.put(BOB.program, File(b"", 0o755, "bob"))
        self.put(unit.UNIT, File(unit.text(BOB, AT, Renderer()).encode()))
        if systemd:
            self.put("/run/systemd/system", Folder())

    def ask(self, argv: Sequence[str], *, seconds: float = 4.0) -> Ran:
        if argv[0] == "nft":
            found = (
                self.nft if not self.nft.ok else Ran(0 if self.table else 1, self.table, "No such file or directory")
            )
            return found
        if argv[0] == "systemctl":
            return Ran(0, f"ActiveState={'active' if self.started else 'inactive'}\nNeedDaemonReload=no\n", "")
        if argv[:2] == ("getent", "passwd") and argv[-1] == "carol":  # of a directory
            return Ran(0, "carol:*:70001:70001::/home/carol:/bin/bash\n", "")
        return super().ask(argv, seconds=seconds)

    def _nft(self, _machine: Machine, argv: Sequence[str]) -> None:
        self.table = "" if tuple(argv) == table.DROP else self._listed()

    def _systemctl(self, _machine: Machine, argv: Sequence[str]) -> None:
        if argv[1] != "daemon-reload":
            self.started = argv[1] != "stop"
            self.table = self._listed() if self.started else ""

    def _listed(self) -> str:
        file = self.look(table.FILE)
        assert isinstance(file, File)
        comment = file.content.decode().partition('comment "')[2].partition('"')[0]
        entries = [{"chain": {"hook": "output"}}, {"rule": {"comment": comment, "expr": []}}]
        return json.dumps({"nftables": entries})

    def plan(self, answers: Answers = ANSWERS) -> list[Change]:
        return list(LocalUsers().plan(answers, LocalUsers().inspect(answers, self)))

    def findings(self, answers: Answers = ANSWERS) -> list[Finding]:
        return list(LocalUsers().check(answers, LocalUsers().inspect(answers, self)))

    def codes(self, answers: Answers = ANSWERS) -> list[str]:
        return [each.code for each in self.findings(answers)]

    def apply(self, answers: Answers = ANSWERS) -> list[Change]:
        """The undos, the last first."""
        undos = []
        for change in self.plan(answers):
            undos.insert(0, change.undo(self))
            change.apply(self)
        assert self.plan(answers) == []
        return [undo for undo in undos if undo]

    def files(self) -> dict[str, Node]:
        """Without folders: those that were made stay."""
        return {path: node for path, node in super().files().items() if not isinstance(node, Folder)}

    @property
    def rule(self) -> str:
        file = self.look(table.FILE)
        assert isinstance(file, File)
        (rule,) = (line.strip() for line in file.content.decode().splitlines() if "skuid" in line)
        return rule.partition(" comment")[0]


def test_root_nginx_and_hermes_reach_it_and_whoever_is_named() -> None:
    server = Server()
    (place, *_) = server.plan()
    assert place.why == (
        "let only root, www-data (nginx) and bob (Hermes) reach Hermes's port 9119 on this server: no other user can, not even through ssh -L"
    )
    server.apply()
    assert server.rule == 'oif "lo" tcp dport 9119 meta skuid != { 0, 33, 1000 } reject with tcp reset'
    assert [server.look(link) for link in table.LINKS] == [Link(table.UNIT)] * 2
    before = server.table
    server.apply(replace(ANSWERS, local_users=("debian", "carol")))
    assert "{ 0, 33, 1000, 1001, 70001 }" in server.rule
    assert server.table != before
    server.apply(replace(ANSWERS, backend=Backend("10.0.0.5", 9120)))
    assert server.rule.startswith("ip daddr 10.0.0.5 tcp dport 9120 meta skuid != { 0, 33 }")


def test_whom_hermes_runs_as_is_who_is_expected_where_visitors_are_passed_to() -> None:
    server = Server()
    server.put(unit.UNIT, ABSENT)
    server.apply()
    assert "{ 0, 33, 1000 }" in server.rule, "the only Hermes there is"
    server.put(BOB.program, ABSENT)
    server.apply()
    assert "{ 0, 33 }" in server.rule, "nobody has one"
    server.put(upstream.PATH, upstream.to_file(upstream.UpstreamNote(AT, "debian")))
    server.apply()
    assert "{ 0, 33, 1001 }" in server.rule, "noted when it ran"
    server.apply(replace(ANSWERS, backend_user="bob"))
    assert "{ 0, 33, 1000 }" in server.rule


def test_the_unit_starts_the_nft_that_was_looked_at() -> None:
    server = Server()
    server.apply()
    assert "ExecStart=/usr/sbin/nft -f" in tree.text_of(server.look(table.UNIT))
    server.put("/usr/bin/nft", File(b""))
    server.put("/usr/local/sbin/nft", Link("/usr/bin/nft"))
    server.apply()
    unit_file = tree.text_of(server.look(table.UNIT))
    assert "ExecStart=/usr/local/sbin/nft -f" in unit_file
    assert 'ExecStop=/usr/local/sbin/nft "add table' in unit_file


def test_a_file_that_others_can_replace_is_not_loaded_as_root() -> None:
    server = Server()
    server.others[table.FILE] = (Replaceable(table.FOLDER, ("bob",)),)
    (found,) = server.findings()
    assert (found.code, found.severity) == ("local-users.replaceable", Severity.BLOCK)
    assert f"sudo chown root:root {table.FOLDER}" in found.do
    assert server.plan() == []


@pytest.mark.parametrize(
    ("login", "named", "who"),
    [
        ("debian", (), "bob"),
        ("debian", ("debian",), "debian"),
        ("bob", (), "bob"),
        ("root", (), "root"),
        ("carol", (), "bob"),
        ("carol", ("carol",), "carol"),  # a directory's
    ],
)
def test_the_tunnel_by_ssh_is_for_a_user_who_is_let_in(login: str, named: tuple[str, ...], who: str) -> None:
    server = Server()
    answers = replace(ANSWERS, local_users=named)
    assert f"127.0.0.1:9119 {login}@" in ssh_tunnel(answers, server, login), "not in force yet"
    server.apply(answers)
    said = ssh_tunnel(answers, server, login)
    assert f"127.0.0.1:9119 {who}@" in said
    assert (f"Not as {login}: local_users" in said) == (who != login)
    other = replace(answers, backend=Backend("127.0.0.1", 9120))
    assert f"127.0.0.1:9120 {login}@" in ssh_tunnel(other, server, login), "that port is open to all"


def test_the_tunnel_is_for_root_where_nobody_else_is_let_in() -> None:
    server = Server()
    server.put(unit.UNIT, ABSENT)
    server.put(BOB.program, ABSENT)
    server.apply()
    assert "127.0.0.1:9119 root@" in ssh_tunnel(ANSWERS, server, "debian")


def test_nothing_is_looked_at_or_planned_without_the_key_and_all_goes_with_it() -> None:
    nobody = replace(ANSWERS, local_users=None)
    server = Server()
    assert server.plan(nobody) == []
    files = server.files()
    server.apply()
    server.apply(nobody)
    assert server.files() == files
    assert (server.table, server.started) == ("", False)


@pytest.mark.parametrize("systemd", [True, False])
def test_each_change_has_an_undo_that_loads_what_was_loaded_before(systemd: bool) -> None:
    server = Server(systemd=systemd)
    files = server.files()
    wider, nobody = replace(ANSWERS, local_users=("debian",)), replace(ANSWERS, local_users=None)
    for answers in (ANSWERS, wider, nobody):
        before, loaded = server.files(), server.table
        undos = server.apply(answers)
        done = server.files(), server.table
        for undo in sorted(undos, key=lambda undo: isinstance(undo, Run)):  # files first
            undo.apply(server)
        assert (server.files(), server.table) == (before, loaded)
        server.apply(answers)
        assert (server.files(), server.table) == done
    assert server.files() == files


def test_what_is_in_the_way_blocks_and_nothing_is_planned() -> None:
    server = Server()
    strangers = replace(ANSWERS, local_users=("debian", "mallory"))
    assert (server.codes(strangers), server.plan(strangers)) == (["local-users.unknown"], [])
    server.nft = Ran(127, "", "nft: no such command")
    assert (server.codes(), server.plan()) == (["local-users.no-nftables"], [])
    server.nft = Ran(1, "", "Operation not permitted (you must be root)")
    assert (server.codes(), server.plan()) == (["local-users.refused"], [])


def test_a_table_that_was_emptied_is_told_and_loaded_again() -> None:
    server = Server()
    assert server.codes() == []
    server.apply()
    assert server.codes() == []
    server.table = ""
    assert server.codes() == ["local-users.not-loaded"]
    assert [change.argv for change in server.plan() if isinstance(change, Run)] == [
        ("systemctl", "reload-or-restart", table.NAME)
    ]
    server.apply()
    assert server.codes() == []
    server.table = server.table.replace("hermes-setup ", "")
    assert server.plan(), "a rule that was changed by hand"


def test_without_systemd_nothing_keeps_it_and_that_is_told() -> None:
    server = Server(systemd=False)
    server.apply()
    assert server.codes() == ["local-users.not-kept"]
    assert [change for change in server.ran if change[0] == "systemctl"] == []
    assert not [path for path in server.files() if path.startswith(table.UNITS) and "local" in path]


def said(folder: Path, value: str) -> AnswersFile:
    """A file of answers with that value."""
    (folder / "server.toml").write_text(
        f'domain = "hermes.example.com"\nlocal_users = {value}\n[[users]]\nname = "alice"\n', "utf-8"
    )
    return read(str(folder / "server.toml"), "apply")


@pytest.mark.parametrize(
    ("value", "expected"), [("[]", ()), ('["root"]', ()), ('["debian", "root", "debian"]', ("debian",))]
)
def test_the_key_alone_counts_in_a_file_in_json_and_back(value: str, expected: tuple[str, ...], tmp_path: Path) -> None:
    answers = said(tmp_path, value).answers
    assert answers.local_users == expected
    (tmp_path / "again.toml").write_text(to_toml(replace(answers, users=(User("alice"),)), {}), "utf-8")
    assert read(str(tmp_path / "again.toml"), "apply").answers.local_users == expected
    assert from_json(to_json(answers)).local_users == expected
    assert from_json(to_json(replace(answers, local_users=None))).local_users is None


@pytest.mark.parametrize("value", ['"debian"', "true", "[1]", '["a b"]', '["1000"]', '["a;b"]', '[""]', '["-x"]'])
def test_what_is_no_list_of_unix_users_is_refused(value: str, tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match="local_users"):
        said(tmp_path, value)


def test_the_firewalls_stage_does_not_read_it_as_a_rule_for_strangers() -> None:
    chain = {
        "family": "inet",
        "table": table.TABLE,
        "name": "local_users",
        "type": "filter",
        "prio": -150,
        "policy": "accept",
    }
    rule = {"family": "inet", "table": table.TABLE, "chain": "local_users", "handle": 3}
    expr = [
        {"match": {"op": "!=", "left": {"meta": {"key": "skuid"}}, "right": {"set": [0, 33]}}},
        {"reject": {"type": "tcp reset"}},
    ]

    def report(hook: str) -> Report:
        entries = [{"table": chain}, {"chain": {**chain, "hook": hook}}, {"rule": {**rule, "expr": expr}}]
        packets = [Packet(443, ipv6=six) for six in (False, True)]
        return nftables.report(json.dumps({"nftables": entries}), ABSENT, packets, iptables=False)

    assert report("output") == Report()
    assert report("input") != Report()
