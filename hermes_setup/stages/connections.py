"""Nobody is served on from before the reload: the old workers have ended, and the connections that they held with them.

nginx cannot tell one user's connections from another's. At a reload all old workers stop accepting, and each goes on until the
last connection it holds is closed; a chat may hold it for days. So it is all of them or none, and the step stands in a run only
where that was agreed to.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.engine.changes import Change, Run
from hermes_setup.engine.findings import Finding
from hermes_setup.host import Host
from hermes_setup.nginx import end_draining, processes, tree
from hermes_setup.stages.site.loading import RUNNING
from hermes_setup.values import dataclass

WHY = (
    "end every connection from before: everybody's chat reconnects by itself; running downloads, also of other sites on "
    "this nginx, are cut"
)


@dataclass(frozen=True)
class Facts:
    """nginx's master (0: it does not run), and whether it has old workers by now."""

    master: int
    draining: bool


class Connections:
    """See the module."""

    def inspect(self, answers: Answers, host: Host) -> Facts:  # noqa: ARG002 - the same for every answer
        """Reads /proc. In memory, a reload that was taken as done leaves old workers."""
        now = processes.workers(host, tree.read(host).pid)
        return Facts(now.master, bool(now.draining) or host.given(RUNNING))

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:  # noqa: ARG002
        """Nothing is in the way."""
        return ()

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:  # noqa: ARG002
        """One command, which looks by itself which old workers there are when it runs."""
        if not facts.master or not facts.draining:
            return ()
        argv = (sys.executable, "-I", end_draining.__file__, str(facts.master))
        hint = "Try again: sudo hermes-setup users end-connections"
        return (Run(argv, WHY, irreversible=True, seconds=30, hint=hint),)
