"""What is installed is used; what dpkg was interrupted in is finished first."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import Issuer
from hermes_setup.engine.changes import Run
from hermes_setup.host import File, Ran
from hermes_setup.stages.packages import Packages
from hermes_setup.system.overlay import Nothing, Overlay

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
