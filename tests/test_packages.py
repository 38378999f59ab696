"""What is installed is used; what dpkg was interrupted in is finished first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import Issuer
from hermes_setup.engine.changes import Run
from hermes_setup.engine.findings import Severity
from hermes_setup.host import File, Ran, Replaceable
from hermes_setup.stages.packages import PROGRAMS, Packages
from hermes_setup.system.overlay import Nothing, Overlay
from machines import Machine

WANTED = Answers(Domain.parse("hermes.example.com"), Issuer.parse("letsencrypt"), ())


@dataclass
class Bare(Nothing):
    """A machine with apt and nothing else."""

    def ask(self, argv: object, *, seconds: float = 4.0) -> Ran:
        return Ran(0, "apt 3.0", "") if isinstance(argv, list) and argv[0] == "apt-get" else Ran(127, "", "")


@pytest.mark.parametrize(
    ("path", "content", "first"),
    [
        ("/var/lib/dpkg/status", b"Package: nginx\nStatus: install ok unpacked\n", "dpkg"),
        ("/var/lib/dpkg/status", b"Package: nginx\nStatus: install ok installed\n", "apt-get"),
        ("/var/lib/dpkg/updates/0003", b"Package: nginx\n", "dpkg"),
        ("/var/lib/dpkg/updates/tmp.i", b"", "apt-get"),
    ],
)
def test_an_interrupted_installation_is_finished_before_the_next(path: str, content: bytes, first: str) -> None:
    machine = Overlay(Bare())
    machine.put(path, File(content))
    plan = Packages().plan(WANTED, Packages().inspect(WANTED, machine))
    assert next(change.argv[0] for change in plan if isinstance(change, Run)) == first


BOB = (Replaceable("/home/bob/venv", ("bob",)),)


def blocked(others: dict[str, tuple[Replaceable, ...]], certbot: str = "/usr/bin/certbot") -> list[tuple[str, str]]:
    machine = Machine()
    machine.others = others
    machine.put(certbot, File(b"", 0o755))
    found = [each for each in Packages().check(WANTED, Packages().inspect(WANTED, machine)) if "apt" not in each.code]
    assert all((each.code, each.severity) == ("packages.replaceable", Severity.BLOCK) for each in found)
    return [(each.what, each.do) for each in found]


def test_programs_that_others_can_replace_are_named_before_any_is_run() -> None:
    assert blocked({}) == []
    for program in ("nginx", "docker", "systemctl", "nft", "openssl", "/usr/bin/certbot"):
        ((what, do),) = blocked({program: BOB})
        assert what == f"Users other than root can replace {program}, or what it consists of: /home/bob/venv (by bob)."
        assert do.endswith(f"remove that {program}, and install it for all of this server")
    ((what, do),) = blocked({"/usr/local/bin/certbot": BOB}, "/usr/local/bin/certbot")
    assert "/usr/local/bin/certbot" in what


def test_a_folder_of_the_path_is_named_once_for_all_that_is_in_it() -> None:
    parts = (Replaceable("/usr/local/bin", ("bob",)),)
    ((what, do),) = blocked({"/usr/local/bin": parts, "docker": parts})
    assert what == "Users other than root can make programs in /usr/local/bin: /usr/local/bin (by bob)."
    assert do.endswith("sudo chown root:root /usr/local/bin && sudo chmod go-w /usr/local/bin")


def test_every_program_that_the_stages_run_is_looked_at() -> None:
    """Read from the source: the first word of each command."""
    source = "\n".join(path.read_text() for path in Path("hermes_setup").rglob("*.py") if "rehearsal/" not in str(path))
    named = set(re.findall(r"""(?:ask|Run|run)\(\s*[\[(]\s*\*?\(?"([a-z0-9-]+)"\s*,""", source))
    named |= set(re.findall(r"""argv = \(?\s*[\[(]*\*?\(?"([a-z0-9-]+)"\s*,""", source))
    named |= set(re.findall(r"""(?:ask|Run|run)\(\s*[\[(]f?"([a-z0-9-]+)""", source))
    assert {"nginx", "systemctl", "docker", "openssl", "nft", "ufw", "stat", "runuser", "getent"} <= named
    assert named <= {*PROGRAMS}
