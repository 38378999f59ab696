"""Where visitors are passed to stays where it was set, and nobody else's process gets them."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.backend import Backend, parse_backend_user
from hermes_setup.engine.changes import Place
from hermes_setup.engine.findings import Finding, Severity
from hermes_setup.errors import WrongInput
from hermes_setup.host import ABSENT, File, Listener, Node, Response
from hermes_setup.stages import all_steps, for_addresses, for_undo, for_users
from hermes_setup.stages.hermes import dashboards, unit
from hermes_setup.stages.hermes.stage import Hermes
from hermes_setup.stages.hermes.upstream import Upstream, as_shown
from hermes_setup.stages.site.facts import SITE_FILE
from hermes_setup.stages.site.stage import Site
from hermes_setup.stages.webhooks import Webhooks
from hermes_setup.state import upstream
from hermes_setup.state.upstream import UpstreamNote
from hermes_setup.system import sockets
from hermes_setup.values import replace
from test_hermes import OTHER, RECORDED, Dockered, Machine, answers, says

USUAL, OWN = Backend("127.0.0.1", 9119), Backend("127.0.0.1", 9200)
SITE = "# Written by hermes-setup.\nupstream hermes_dashboard {{\n    server {};\n}}\n"
UNIT = "# Written by hermes-setup.\n[Service]\nUser={}\nExecStart=/opt/hermes dashboard --host 127.0.0.1 --port {}\n"


@dataclass
class Server(Machine):
    """With files, and with addresses of its own."""

    nodes: dict[str, Node] = field(default_factory=dict)

    def look(self, path: str) -> Node:
        return self.nodes.get(path, super().look(path))

    def addresses(self) -> tuple[str, ...]:
        return ("10.0.0.1",)


def process(owner: str, at: Backend = USUAL, **more: object) -> Listener:
    """A socket that the user opened, whatever the process calls itself."""
    told = {"process": "python3", "owner": owner, "user": owner, "pid": 812, **more}
    return Listener(at.address, at.port, **told)  # type: ignore[arg-type]


def server(
    *listeners: Listener,
    note: UpstreamNote | None = None,
    site: Backend | None = None,
    silent: bool = False,
    **more: Node,
) -> Server:
    """Each listener answers as Hermes does, unless `silent`."""
    nodes: dict[str, Node] = {upstream.PATH: upstream.to_file(note)} if note else {}
    if site:
        nodes[SITE_FILE] = File(SITE.format(site).encode())
    nodes |= {unit.UNIT: each for name, each in more.items() if name == "unit_file"}
    heard = {} if silent else {str(dashboards.address_of(each)): says() for each in listeners}
    return Server(list(listeners), heard, nodes=nodes)


def checked(machine: Machine, wanted: Answers | None = None) -> list[Finding]:
    wanted = wanted or answers()
    return [*Upstream().check(wanted, Upstream().inspect(wanted, machine))]


def planned(machine: Machine, wanted: Answers | None = None) -> tuple[UpstreamNote | None, str]:
    """What would be noted, and the line of the plan; (None, "") for nothing."""
    wanted = wanted or answers()
    (*changes,) = Upstream().plan(wanted, Upstream().inspect(wanted, machine))
    if not changes:
        return None, ""
    (change,) = changes
    assert isinstance(change, Place)
    assert isinstance(change.node, File)
    assert (change.path, change.node.mode) == (upstream.PATH, 0o600)
    return upstream.parse(change.node), change.why


# ---- where visitors are passed to ----


@pytest.mark.parametrize("known", [{"note": UpstreamNote(OWN, "debian")}, {"site": OWN}])
@pytest.mark.parametrize("other", [USUAL, Backend("127.0.0.1", 9300)])
@pytest.mark.parametrize("hermes_runs", [True, False])
def test_whatever_dashboard_comes_up_the_site_stays_where_it_is(
    known: dict[str, object], other: Backend, hermes_runs: bool
) -> None:
    hermes = [process("debian", OWN)] if hermes_runs else []
    machine = server(process("mallory", other), *hermes, **known)  # type: ignore[arg-type]
    assert Site().inspect(answers(), machine).backend == OWN
    assert dashboards.set_upstream(machine) == OWN
    codes = [each.code for each in Hermes().check(answers(), Hermes().inspect(answers(), machine))]
    assert codes == ([] if hermes_runs else ["backend.none", "backend.elsewhere"])
    assert planned(machine)[0] in (None, UpstreamNote(OWN, "debian" if hermes_runs else ""))


def test_the_answers_move_it_and_the_plan_says_from_where_to_where_and_whose_it_is() -> None:
    machine = server(process("debian", OWN), process("carol"), note=UpstreamNote(OWN, "debian"))
    wanted = answers("9119")
    assert Site().inspect(wanted, machine).backend == USUAL
    note, why = planned(machine, wanted)
    assert note == UpstreamNote(USUAL, "carol")
    assert why == (
        "pass visitors to 127.0.0.1:9119 (python3 of carol, process 812), no longer to 127.0.0.1:9200; from now on, only a "
        "process of carol may be there"
    )
    assert checked(machine, wanted) == []


def test_a_first_set_up_takes_what_it_finds_and_notes_whose_it_is() -> None:
    note, why = planned(server(process("debian", OWN)))
    assert note == UpstreamNote(OWN, "debian")
    assert why.startswith("pass visitors to 127.0.0.1:9200 (python3 of debian, process 812); from now on, only")
    assert planned(server(process("root"))) == (
        UpstreamNote(USUAL, "root"),
        "pass visitors to 127.0.0.1:9119 (python3, process 812)",
    )
    assert planned(server()) == (UpstreamNote(USUAL), "pass visitors to 127.0.0.1:9119, where Hermes does not run now")
    assert planned(server(), answers("10.0.0.5:9119"))[0] == UpstreamNote(Backend("10.0.0.5", 9119))


def test_before_it_runs_the_only_hermes_that_is_installed_says_whose_it_will_be() -> None:
    machine = server()
    machine.nodes |= {
        "/etc/passwd": File(b"debian:x:1000:1000::/home/debian:/bin/bash\n"),
        "/home/debian/.local/bin/hermes": File(b"#!", 0o755, "debian"),
    }
    assert planned(machine)[0] == UpstreamNote(USUAL, "debian")
    machine.nodes[upstream.PATH] = upstream.to_file(UpstreamNote(USUAL))
    assert planned(machine) == (None, ""), "what is installed later is no reason for a change"


def test_who_answers_before_anybody_was_noted_is_not_taken_for_the_owner() -> None:
    """As at an upgrade from a version without the note, while Hermes is down."""

    def seen(owner: str, user: str, wanted: Answers | None = None) -> tuple[list[str], UpstreamNote | None]:
        machine = server(process(user), site=USUAL)
        machine.nodes |= {
            "/etc/passwd": File(b"debian:x:1000:1000::/home/debian:/bin/bash\n"),
            "/home/debian/.local/bin/hermes": File(b"#!", 0o755, owner),
        }
        return [each.code for each in checked(machine, wanted)], planned(machine, wanted)[0]

    assert seen("debian", "mallory")[0] == ["backend.other-user"]
    assert seen("debian", "debian") == ([], UpstreamNote(USUAL, "debian"))
    assert seen("debian", "root") == ([], UpstreamNote(USUAL, "debian"))
    assert seen("debian", "carol", replace(answers(), backend_user="carol")) == ([], UpstreamNote(USUAL, "carol"))


def test_an_installation_of_ones_own_makes_nobody_the_owner() -> None:
    machine = server(process("mallory"), site=USUAL)
    machine.nodes["/etc/passwd"] = File(
        b"debian:x:1000:1000::/home/debian:/bin/bash\nmallory:x:1001:1001::/home/mallory:/bin/bash\n"
    )
    for name in ("debian", "mallory"):
        machine.nodes[f"/home/{name}/.local/bin/hermes"] = File(b"#!", 0o755, name)
    (found,) = checked(machine)
    assert (found.code, "debian and mallory could each run one" in found.what) == ("backend.other-user", True)
    assert checked(machine, replace(answers(), backend_user="mallory")) == []
    machine.nodes[upstream.PATH] = upstream.to_file(UpstreamNote(USUAL, "mallory"))
    assert checked(machine) == [], "who was noted stays that"


def test_whose_it_is_is_noted_as_soon_as_it_runs_and_never_again() -> None:
    unknown = server(process("debian"), note=UpstreamNote(USUAL))
    assert planned(unknown)[0] == UpstreamNote(USUAL, "debian")
    old = server(process("debian"), site=USUAL)
    note, why = planned(old)
    assert note == UpstreamNote(USUAL, "debian")
    assert why.startswith("note whose process visitors are passed to, at 127.0.0.1:9119 (python3 of debian")
    for listener in (process("debian"), process("root"), process("mallory")):
        assert planned(server(listener, note=UpstreamNote(USUAL, "debian"))) == (None, "")
    silent = server(process("mallory"), note=UpstreamNote(USUAL), silent=True)
    assert planned(silent) == (None, ""), "something that is not Hermes is nobody's Hermes"


def test_what_the_plan_showed_is_what_is_set_whoever_comes_before_the_yes() -> None:
    shown = server(process("debian", OWN))
    changes = Upstream().plan(answers(), Upstream().inspect(answers(), shown))
    pinned = as_shown(answers(), changes)
    assert (pinned.backend, pinned.backend_user) == (OWN, "debian")
    assert as_shown(answers(), ()) == answers()
    later = server(process("mallory", USUAL))
    assert Site().inspect(pinned, later).backend == OWN
    assert planned(later, pinned)[0] == UpstreamNote(OWN, "debian")
    assert [each.code for each in checked(server(process("mallory", OWN)), pinned)] == ["backend.other-user"]


def test_with_one_set_a_second_dashboard_does_not_stop_anything() -> None:
    both = [process("debian", OWN), process("mallory", pid=813)]
    first = Hermes().check(answers(), Hermes().inspect(answers(), server(*both)))
    assert [each.code for each in first] == ["backend.two"]
    machine = server(*both, note=UpstreamNote(OWN, "debian"))
    assert Hermes().check(answers(), Hermes().inspect(answers(), machine)) == []


def test_webhooks_keep_off_the_port_that_is_set_while_hermes_is_down() -> None:
    from hermes_setup.answers.webhook_platforms import parse_endpoints
    from hermes_setup.answers.webhooks import Webhooks as Wanted

    wanted = replace(answers(), webhooks=Wanted(parse_endpoints(["webhook:9200"])))
    codes = {
        at: [each.code for each in Webhooks().check(wanted, Webhooks().inspect(wanted, server(site=at)))]
        for at in (OWN, USUAL)
    }
    assert codes == {OWN: ["webhooks.backend"], USUAL: ["webhooks.none"]}


# ---- whose process is there ----


@pytest.mark.parametrize(
    ("listener", "expected", "blocks"),
    [
        (process("debian"), "debian", False),
        (process("mallory"), "debian", True),
        (process("root"), "debian", False),
        (process("debian"), "root", True),
        (process("mallory"), "", False),  # it is not known yet whose it is
        (process("root", process="docker-proxy"), "debian", False),
        (process("mallory", process="docker-proxy"), "debian", True),  # a name is a process's own choice
        (process("mallory", user="root"), "debian", True),  # handed on to a daemon
        (process("mallory", pid=0, process="", user=""), "debian", True),  # its process is not seen
        (process("10000", unit="docker-0123456789ab"), "10000", False),  # network_mode: host, its own user
        (process("mallory", unit="docker-0123456789ab"), "debian", True),  # rootless Docker, Podman
        (process("mallory", unit=unit.NAME), "debian", True),  # no unit of ours is there
        (replace(process("mallory"), address="0.0.0.0"), "debian", True),
        (replace(process("mallory"), address="::"), "debian", True),
        (process("mallory", Backend("::1", 9119)), "debian", False),  # not where visitors are passed to
        (process("mallory", OWN), "debian", False),
    ],
)
@pytest.mark.parametrize("silent", [False, True])
def test_only_root_and_the_user_who_was_noted_may_be_there(
    listener: Listener, expected: str, blocks: bool, silent: bool
) -> None:
    machine = server(listener, note=UpstreamNote(USUAL, expected), silent=silent)
    found = checked(machine)
    assert [(each.code, each.severity) for each in found] == [("backend.other-user", Severity.BLOCK)] * blocks


@pytest.mark.parametrize(
    ("listener", "blocks"),
    [
        (process("hermes"), False),
        (process("debian"), True),  # who was noted before there was the unit
        (process("bob", unit=unit.NAME), False),  # User= in a drop-in: it is still what systemd started for us
        (process("mallory", unit=unit.NAME, user="hermes"), True),  # handed on to it
        (process("bob", unit=unit.NAME, of_user=True), True),  # a unit of that name of bob's own systemd
    ],
)
def test_with_a_unit_of_ours_its_user_counts(listener: Listener, blocks: bool) -> None:
    ours = File(UNIT.format("hermes", 9119).encode())
    machine = server(listener, note=UpstreamNote(USUAL, "debian"), unit_file=ours)
    assert bool(checked(machine)) is blocks
    assert planned(machine)[0] == UpstreamNote(USUAL, "hermes")


def test_a_unit_of_ours_for_another_port_or_of_somebody_else_says_nothing() -> None:
    for text in (UNIT.format("hermes", 9300), UNIT.format("hermes", 9119).partition("\n")[2]):
        machine = server(process("debian"), note=UpstreamNote(USUAL, "debian"), unit_file=File(text.encode()))
        assert checked(machine) == []
        assert planned(machine) == (None, "")


@pytest.mark.parametrize(
    ("listener", "noted", "of_unit", "user"),
    [
        (process("debian"), "", "", "debian"),
        (process("mallory"), "debian", "", "debian"),
        (process("root", process="docker-proxy"), "debian", "", "debian"),
        (process("root"), "", "", "root"),
        (None, "debian", "", "debian"),
        (None, "", "", ""),
        (process("hermes"), "", "hermes", "hermes"),
        (process("mallory"), "", "hermes", "hermes"),
        (process("bob", unit=unit.NAME), "", "hermes", "bob"),  # User= in a drop-in
        (process("mallory", unit=unit.NAME, user="hermes"), "", "hermes", "hermes"),
    ],
)
def test_whom_hermes_runs_as_is_never_a_stranger(
    listener: Listener | None, noted: str, of_unit: str, user: str
) -> None:
    ours = {"unit_file": File(UNIT.format(of_unit, 9119).encode())} if of_unit else {}
    machine = server(*([listener] if listener else []), note=UpstreamNote(USUAL, noted), **ours)
    assert Upstream().inspect(answers(), machine).runs_as(answers()) == user


def test_a_note_about_another_place_says_nothing_about_this_one() -> None:
    machine = server(process("carol"), note=UpstreamNote(OWN, "debian"))
    assert checked(machine, answers("9119")) == []


def test_another_machine_is_not_judged_by_the_sockets_of_this_one() -> None:
    remote, own = Backend("10.0.0.5", 9119), Backend("10.0.0.1", 9119)
    wildcard = replace(process("mallory"), address="0.0.0.0")
    machine = server(wildcard, note=UpstreamNote(remote, "debian"))
    assert checked(machine) == []
    codes = [each.code for each in Hermes().check(answers(), Hermes().inspect(answers(), machine))]
    assert "backend.remote" in codes, "also where the answers no longer name it"
    assert [each.code for each in checked(server(wildcard, note=UpstreamNote(own, "debian")))] == ["backend.other-user"]


def test_who_says_that_the_other_user_is_meant_moves_the_note() -> None:
    machine = server(process("mallory"), note=UpstreamNote(USUAL, "debian"))
    wanted = replace(answers(), backend_user="mallory")
    assert checked(machine, wanted) == []
    note, why = planned(machine, wanted)
    assert note == UpstreamNote(USUAL, "mallory")
    assert why.endswith("only a process of mallory may be there (until now: debian)")
    ours = server(process("hermes"), unit_file=File(UNIT.format("hermes", 9119).encode()))
    assert [each.code for each in checked(ours, wanted)] == ["backend.other-user"]


def test_the_finding_says_whose_it_is_and_what_to_type_in_words_that_can_be_shown() -> None:
    machine = server(process("mallory"), note=UpstreamNote(USUAL, "debian"))
    machine.nodes["/proc/812/cmdline"] = File(b"/tmp/\x1b[2J\nfake\0--port\0" + b"9" * 500 + b"\0")
    (finding,) = checked(machine)
    assert finding.what == (
        "A process of mallory listens at 127.0.0.1:9119, where visitors are passed to (python3 of mallory, process 812). It should "
        "be debian's."
    )
    assert "sudo kill 812" in finding.do
    assert 'backend_user = "mallory"' in finding.do
    assert finding.evidence.startswith("/tmp/?[2J?fake --port 999")
    assert len(finding.evidence) == 123
    (unseen,) = checked(server(process("mallory", pid=0), note=UpstreamNote(USUAL, "debian")))
    assert "sudo ss -ltnp sport = :9119" in unseen.do


def test_what_docker_publishes_without_a_process_is_roots() -> None:
    inspected = (RECORDED / "compose-published.json").read_text("utf-8")
    machine = Dockered([], {"127.0.0.1:9119": says()}, inspected=inspected)
    assert planned(machine)[0] == UpstreamNote(USUAL, "root")


def test_who_may_be_in_a_hurry_to_sign_somebody_out_is_not_asked_whose_hermes_it_is() -> None:
    assert "upstream" in [step.name for step in all_steps()]
    for steps in (for_users(), for_addresses(), for_undo(before=True, names_stay=False)):
        assert not {"upstream", "backend"} & {step.name for step in steps}


def test_something_of_another_user_that_is_not_hermes_is_told_of_twice_and_never_noted() -> None:
    machine = server(process("mallory"), note=UpstreamNote(USUAL, "debian"))
    machine.answers["127.0.0.1:9119"] = OTHER
    assert [each.code for each in checked(machine)] == ["backend.other-user"]
    assert planned(machine) == (None, "")


# ---- what is read ----


@pytest.mark.parametrize(
    "node",
    [
        ABSENT,
        File(b""),
        File(b"[]"),
        File(b"\xff"),
        File(b'{"backend": 5, "user": "debian"}'),
        File(b'{"backend": "nowhere", "user": "debian"}'),
        File(b'{"backend": "127.0.0.1:9200"}'),
        File(b'{"backend": "127.0.0.1:9200", "user": 0}'),
        File(b'{"user": "debian"}'),
    ],
)
def test_a_note_that_cannot_be_read_is_none_and_the_site_counts(node: Node) -> None:
    assert upstream.parse(node) is None
    machine = server(site=OWN)
    machine.nodes[upstream.PATH] = node
    assert dashboards.set_upstream(machine) == OWN


def test_a_note_is_read_as_it_was_written() -> None:
    for each in (UpstreamNote(OWN, "debian"), UpstreamNote(Backend("::1", 1))):
        assert upstream.parse(upstream.to_file(each)) == each
    assert json.loads(upstream.to_file(UpstreamNote(OWN, "debian")).content) == {
        "backend": "127.0.0.1:9200",
        "user": "debian",
    }


def test_a_users_name_is_one_that_can_stand_in_a_line() -> None:
    for name in ("debian", "1001", "svc-hermes", "a.b@corp.example", "machine$", "jörg"):
        assert parse_backend_user(name) == name
    for odd in ("", "-x", "a b", "a\nb", "a" * 65, "a;b", 'a"b'):
        with pytest.raises(WrongInput):
            parse_backend_user(odd)


@pytest.mark.root
def test_a_socket_that_was_handed_on_to_a_process_of_root_is_still_its_users(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_text("sl\n0: 0100007F:239F 00000000:0000 0A 0:0 0:0 0 4242424 0 12 1 0 100 0 0 10 0\n")
    for pid, uid, name in ((7, 0, b"dbus-daemon"), (8, 4242424, b"docker\x1b[2J-proxy"), (9, 4242424, b"later")):
        (tmp_path / f"{pid}/fd").mkdir(parents=True)
        (tmp_path / f"{pid}/comm").write_bytes(name + b"\n")
        (tmp_path / f"{pid}/fd/3").symlink_to("socket:[12]")
        os.chown(tmp_path / str(pid), uid, 0)
    (found,) = sockets.listeners(str(tmp_path))
    assert (found.pid, found.user, found.whose) == (8, "4242424", "4242424")
    assert found.process == "docker?[2J-proxy"
    shutil.rmtree(tmp_path / "8")
    shutil.rmtree(tmp_path / "9")
    (left,) = sockets.listeners(str(tmp_path))
    assert (left.pid, left.user, left.whose) == (7, "root", "4242424"), (
        "its process has ended, and the socket is open still"
    )


def test_an_answer_of_headless_hermes_is_nobodys_dashboard() -> None:
    machine = server(process("debian"), note=UpstreamNote(USUAL))
    machine.answers["127.0.0.1:9119"] = Response(503, body=b"")
    assert planned(machine) == (None, "")
