"""Whose Hermes runs as a service: never that of someone who merely put one there; and the undo of each change."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.backend import Backend
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import Issuer
from hermes_setup.engine.changes import Place, Run
from hermes_setup.engine.failed_step import put_back
from hermes_setup.engine.findings import Severity
from hermes_setup.host import ABSENT, File, Folder, Link, Node, Ran, Replaceable, Request, Response
from hermes_setup.nginx.render import Renderer
from hermes_setup.stages.hermes import api, installations, service, service_checks, unit, unit_program
from hermes_setup.stages.hermes.installations import Installation
from hermes_setup.stages.hermes.stage import Facts, Hermes
from hermes_setup.values import replace
from machines import Machine

AT = Backend("127.0.0.1", 9119)
PEOPLE = """\
root:x:0:0:root:/root:/bin/bash
www-data:x:33:33::/var/www:/usr/sbin/nologin
hermesagent:x:998:998::/var/lib/hermesagent:/usr/sbin/nologin
bob:x:1000:1000::/home/bob:/bin/bash
mallory:x:1001:1001::/home/mallory:/bin/bash
locked:x:1002:1002::/home/locked:/usr/sbin/nologin
"""
SHARED = "/opt/hermes/bin/hermes"


def program(owner: str = "root") -> File:
    return File(b"#!/bin/sh\n", 0o755, owner)


def own(user: str) -> str:
    return f"/home/{user}/.local/bin/hermes"


def server(nodes: dict[str, File | Link | Folder], runs: str = "") -> Machine:
    """With systemd, these programs and, if one is given, the unit of ours that runs (program, user)."""
    machine = Machine()
    machine.put("/etc/passwd", File(PEOPLE.encode()))
    machine.put("/run/systemd/system", Folder())
    for path, node in nodes.items():
        machine.put(path, node)
    if runs:
        path, user = runs.split()
        found = Installation(path, user, f"/home/{user}")
        machine.put(unit.UNIT, File(unit.text(found, AT, Renderer()).encode()))
        machine.put(unit.WANTED, Link(unit.UNIT))
    return machine


def chosen(machine: Machine) -> tuple[str, str] | None:
    found = service.look(machine).chosen
    return (found.program, found.user) if found else None


def codes(machine: Machine, at: Backend = AT) -> list[str]:
    return [
        each.code
        for each in service_checks.check(service.look(machine), at, running=False)
        if each.code != "service.node"
    ]


def plan(machine: Machine, *, active: bool = False, at: Backend = AT) -> list[Place | Run]:
    facts = service.look(machine)
    if active:
        facts = replace(facts, active=True)
    return list(service.plan(facts, at, lambda _host: True, Renderer(), running=False))  # type: ignore[arg-type]  # no others in it


DOT = Folder(0o755, "bob")


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ({own("bob"): program("bob")}, (own("bob"), "bob")),
        ({own("bob"): Link("../x"), "/home/bob/.local/x": program("bob")}, (own("bob"), "bob")),
        ({"/home/bob/.hermes/hermes-agent/venv/bin/hermes": program("bob")}, None),
        # a shared one: its owner's, even where that is not a person; root's belongs to the one who uses it, else to root
        ({SHARED: program("hermesagent")}, (SHARED, "hermesagent")),
        ({SHARED: program(), "/opt/hermes": Folder(0o755, "hermesagent")}, (SHARED, "hermesagent")),
        ({SHARED: program(), "/home/bob/.hermes": DOT}, (SHARED, "bob")),
        ({SHARED: program()}, (SHARED, "root")),
        ({SHARED: program(), "/usr/local/bin/hermes": Link(SHARED)}, ("/usr/local/bin/hermes", "root")),
        # the shared one under a name of the user's own counts once
        ({SHARED: program(), own("bob"): Link(SHARED), "/home/bob/.hermes": DOT}, (own("bob"), "bob")),
    ],
)
def test_the_one_that_is_there_is_its_owners(
    nodes: dict[str, File | Link | Folder], expected: tuple[str, str] | None
) -> None:
    path = "/home/bob/.hermes/hermes-agent/venv/bin/hermes"
    assert chosen(server(nodes)) == (expected or (path, "bob"))


@pytest.mark.parametrize(
    ("nodes", "codes_"),
    [
        ({SHARED: program("bob"), own("mallory"): program("mallory")}, ["service.several"]),
        ({SHARED: program(), own("mallory"): Link(SHARED)}, ["service.several"]),
        ({SHARED: program(), "/home/bob/.hermes": DOT, "/home/mallory/.hermes": DOT}, ["service.several"]),
        ({own("bob"): program("bob"), own("mallory"): program("mallory")}, ["service.several"]),
        ({own("mallory"): Link("gone")}, ["service.not-installed"]),
        ({own("mallory"): File(b"", 0o644, "mallory")}, ["service.not-installed"]),
        ({own("locked"): program("locked")}, ["service.not-installed"]),
        ({"/root/.local/bin/hermes": Link("/home/bob/x"), "/home/bob/x": program("bob")}, ["service.not-installed"]),
        ({SHARED: program()}, ["service.root"]),
    ],
)
def test_none_is_chosen_where_several_could_be_meant(nodes: dict[str, File | Link | Folder], codes_: list[str]) -> None:
    machine = server(nodes)
    assert codes(machine) == codes_
    assert bool(plan(machine)) == (codes_ == ["service.root"])
    assert (service.candidate(machine) is None) == (codes_ != ["service.root"])


@pytest.mark.parametrize("other", [program("mallory"), Link(SHARED), Link("gone")])
def test_a_unit_of_ours_keeps_its_user_and_its_program(other: File | Link) -> None:
    nodes: dict[str, File | Link | Folder] = {SHARED: program("bob"), own("mallory"): other}
    machine = server(nodes, f"{SHARED} bob")
    assert chosen(machine) == (SHARED, "bob")
    assert codes(machine) == []
    assert not [each for each in plan(machine) if isinstance(each, Place)]
    machine.put(SHARED, ABSENT)
    assert codes(machine) == ["service.lost"]
    assert plan(machine) == []


def test_a_home_with_a_space_can_be_named_and_stranger_ones_are_a_finding() -> None:
    path = "/home/bob smith/.local/bin/hermes"
    machine = server({path: program("bob")})
    machine.put("/etc/passwd", File(b"bob:x:1000:1000::/home/bob smith:/bin/bash\n"))
    (place,) = [each for each in plan(machine) if isinstance(each, Place) and each.path == unit.UNIT]
    assert isinstance(place.node, File)
    assert f'ExecStart="{path}" dashboard --host'.encode() in place.node.content
    assert b'Environment="PATH=/home/bob smith/' in place.node.content
    machine.put(unit.UNIT, place.node)
    assert chosen(machine) == (path, "bob")
    machine = server({"/home/50%/.local/bin/hermes": program("bob")})
    machine.put("/etc/passwd", File(b"bob:x:1000:1000::/home/50%:/bin/bash\n"))
    assert codes(machine) == ["service.odd-path"]
    assert plan(machine) == []


def test_another_machine_cannot_have_a_service_here() -> None:
    machine = server({own("bob"): program("bob")})
    assert codes(machine, Backend("10.20.0.2", 9119)) == ["service.remote"]
    assert plan(machine, at=Backend("10.20.0.2", 9119)) == []


def test_the_undo_of_a_restart_is_a_restart_with_the_old_unit_read_first() -> None:
    machine = server({own("bob"): program("bob")}, f"{own('bob')} bob")
    steps = plan(machine, active=True, at=Backend("127.0.0.1", 9130))
    remembered = [(step, undo) for step in steps if (undo := step.undo(machine))]
    for step in steps:
        if isinstance(step, Place):
            step.apply(machine)
    machine.ran.clear()
    assert put_back([(step, _at_once(undo)) for step, undo in remembered], machine) == []
    assert machine.ran == [("systemctl", "daemon-reload"), ("systemctl", "restart", unit.NAME)]
    assert b"--port 9119" in machine.look(unit.UNIT).content  # type: ignore[union-attr]  # it is a file
    fresh = plan(server({own("bob"): program("bob")}))
    assert [step.undo_argv for step in fresh if isinstance(step, Run)][-1] == ("systemctl", "stop", unit.NAME)


def test_a_unit_of_an_earlier_version_is_replaced_and_the_restart_is_said() -> None:
    machine = server({own("bob"): program("bob")}, f"{own('bob')} bob")
    now = machine.look(unit.UNIT)
    assert isinstance(now, File)
    assert [step.argv for step in plan(machine, active=True) if isinstance(step, Run)] == [
        ("systemctl", "daemon-reload")
    ]
    machine.put(unit.UNIT, replace(now, content=now.content.replace(b"UMask=0077\n", b"")))
    place, *_, restart, _ = plan(machine, active=True)
    assert isinstance(place, Place)
    assert place.node == now
    assert isinstance(restart, Run)
    assert restart.argv == ("systemctl", "restart", unit.NAME)
    assert restart.why == "restart Hermes, which ends what it is doing, and wait until it answers"


def _at_once(undo: object) -> Place | Run:
    """Without the look at what comes of it: nothing answers here."""
    assert isinstance(undo, (Place, Run))
    return Run(undo.argv, undo.why) if isinstance(undo, Run) else undo


def test_the_wait_for_hermes_gives_one_request_little_time_and_asks_again() -> None:
    """Hermes may take a request before it can answer it: that one request must not use up the time of all."""
    requests: list[Request] = []

    class Starting(Machine):
        def ask(self, argv: Sequence[str], *, seconds: float = 4.0) -> Ran:  # noqa: ARG002
            return Ran(0, "", "")

        def fetch(self, request: Request) -> Response:
            requests.append(request)
            return Response(0, error="timeout")

    machine = Starting()
    facts = service.look(server({own("bob"): program("bob")}))
    wanted = Answers(Domain.parse("hermes.example.com"), Issuer.parse("letsencrypt"), (), service=True)
    steps = Hermes().plan(wanted, Facts(service=facts))
    (until,) = [step.until for step in steps if isinstance(step, Run) and step.until]
    assert not until.holds(machine, None)
    assert [request.seconds for request in requests] == [api.SECONDS]


def test_a_unit_that_the_answers_do_not_ask_for_is_seen() -> None:
    assert unit.ours_exists(server({}, f"{SHARED} bob"))
    assert not unit.ours_exists(server({}))


def test_no_second_one_is_started_beside_one_that_is_run_by_hand() -> None:
    facts = service.look(server({own("bob"): program("bob")}, f"{own('bob')} bob"))
    assert service.plan(facts, AT, lambda _host: True, Renderer(), running=True) == ()
    assert [each.code for each in service_checks.check(facts, AT, running=True)] == ["service.running"]


HANDS = (Replaceable("/opt/hermes", ("mallory",)),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ExecStart=/opt/hermes/bin/hermes dashboard", "root"),
        ("User=bob\nExecStart=/opt/hermes/bin/hermes dashboard", "bob"),
        ("User=bob\nUser=\nExecStart=/opt/hermes/bin/hermes", "root"),
        ("User=bob\nExecStart=-+/opt/hermes/bin/hermes dashboard", "root"),
        ('User=bob\nExecStart=@"/opt/hermes/bin/hermes" \\\n  dashboard', "bob"),
        ("User=mallory\nExecStart=/opt/hermes/bin/hermes dashboard", ""),  # their own
        ("ExecStart=/usr/bin/hermes dashboard", ""),
    ],
)
@pytest.mark.parametrize("dropin", [False, True])
def test_a_unit_whose_program_others_can_replace_blocks_whoever_wrote_it(
    text: str, expected: str, dropin: bool
) -> None:
    machine = server({unit.UNIT: File(f"[Service]\n{'' if dropin else text}\n".encode())})
    if dropin:
        machine.put(f"{unit.UNIT}.d/own.conf", File(f"[Service]\n{text}\n".encode()))
    machine.others = {SHARED: HANDS}
    found = unit_program.check(unit_program.look(machine, None))
    assert [(each.code, each.severity) for each in found] == (
        [("service.replaceable", Severity.BLOCK)] if expected else []
    )
    for each in found:
        assert f"runs {SHARED} as {expected}, and others can replace it" in each.what
        assert "/opt/hermes (by mallory)" in each.what


def test_a_service_is_not_planned_for_a_program_that_others_can_replace() -> None:
    machine = server({SHARED: program(), "/home/bob/.hermes": DOT})
    machine.others = {SHARED: (*HANDS, Replaceable("/home/bob", ("bob",)))}
    wanted = Answers(Domain.parse("hermes.example.com"), Issuer.parse("self-signed"), (), service=True)
    found = Hermes().check(wanted, Hermes().inspect(wanted, machine))
    (blocking,) = [each for each in found if each.severity is Severity.BLOCK]
    assert (blocking.code, "bob)" in blocking.what) == ("service.replaceable", False)
    machine.others = {SHARED: (Replaceable("/home/bob", ("bob",)),)}
    found = Hermes().check(wanted, Hermes().inspect(wanted, machine))
    assert all(each.severity is not Severity.BLOCK for each in found)


def test_node_is_asked_as_its_owner_with_the_owners_home_and_never_as_root_where_others_can_replace_it() -> None:
    asked = []

    class Asking(Machine):
        def ask(self, argv: Sequence[str], *, seconds: float = 4.0) -> Ran:  # noqa: ARG002
            asked.append(tuple(argv))
            return Ran(0, "v22.1.0\n", "")

    machine = Asking()
    bob = installations.with_node(machine, Installation(own("bob"), "bob", "/home/bob"))
    assert bob.node == "22.1.0"
    assert asked.pop()[:5] == ("runuser", "-u", "bob", "--", "env")
    machine.put("/usr/local/bin/node", File(b"", 0o755, "bob"))
    machine.others = {"/usr/local/bin/node": (Replaceable("/usr/local/bin/node", ("bob",)),)}
    assert installations.with_node(machine, Installation(SHARED, "root", "/root")).node == ""
    assert asked == []
    machine.put("/root/.hermes/node/bin/node", File(b"", 0o755))
    assert installations.with_node(machine, Installation(SHARED, "root", "/root")).node == "22.1.0"
    assert "HOME=/root" in asked[0]


def test_a_users_link_into_the_kernels_files_is_not_followed() -> None:
    """Reading /proc/kmsg takes the lines out of it."""
    looked = []

    class Looking(Machine):
        def look(self, path: str) -> Node:
            looked.append(path)
            return super().look(path)

    machine = Looking()
    for at in ("/proc/kmsg", "/sys/kernel/tracing/trace_pipe", "/dev/watchdog"):
        machine.put(at, File(b"", 0o755))
        machine.put(own("bob"), Link(f"../../../..{at}"))
        looked.clear()
        assert installations.executable(machine, own("bob")) is None
        assert at not in looked
