"""Where visitors are passed to, and whose process is there: noted when it is set, and judged at every later look.

Any local user can take the port while Hermes is down, and answer as Hermes does. So the upstream does not follow what is
found, and nobody's process counts there but root's, that of our unit's user, or of the user who was noted. The kernel says
whose socket it is (the uid in /proc/net/tcp: `net/ipv4/tcp_ipv4.c`, set when the socket is opened). A process's name is its
own choice, and a socket can be handed on to a process of somebody else.
"""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.backend import Backend
from hermes_setup.engine.changes import Change, Place
from hermes_setup.engine.findings import Finding, block
from hermes_setup.host import File, Host, Listener
from hermes_setup.phrases import all_of
from hermes_setup.stages.hermes import dashboards, installations, unit
from hermes_setup.stages.hermes.dashboards import described
from hermes_setup.state import upstream
from hermes_setup.state.upstream import UpstreamNote
from hermes_setup.values import dataclass

LONGEST = 120
"""Characters of another process's command line that are shown."""


@dataclass(frozen=True)
class Facts:
    """Where visitors are passed to, and who may be there."""

    at: Backend
    before: Backend | None  # where they are passed to now
    noted: UpstreamNote | None
    holder: Listener  # the socket there
    here: bool  # `at` is this machine
    running: bool  # a dashboard answers there
    of_unit: str  # User= of our unit, where it runs a dashboard there; "" for no such unit
    installed: str  # whose the only Hermes of this machine is; "" where that is not clear, or no longer matters
    command: str = ""  # what the process was started as
    owners: tuple[str, ...] = ()  # of all installations, but for root; as `installed`, not looked for when one is noted

    def expected(self, answers: Answers) -> str:
        """The user whose process has to be there, besides root; "" while that is not known.

        Whoever answers first is not taken for the owner: where nobody was noted yet, it is whose the only Hermes is.
        """
        noted = self.noted.user if self.noted and self.noted.at == self.at else ""
        installed = self.installed if self.installed != "root" else ""  # a shared one is run by any user
        return answers.backend_user or self.of_unit or noted or installed

    def stranger(self, answers: Answers) -> bool:
        """True for a socket there of a user who is not to be there."""
        expected, holder = self.expected(answers), self.holder
        started_for_us = bool(self.of_unit) and holder.unit == unit.NAME and not holder.of_user
        ours = started_for_us and holder.user == holder.whose  # User= in a drop-in; not a socket that was handed on
        # set up before, with nobody noted, and several have a Hermes, which anybody can bring about: whose is it?
        doubtful = self.before is not None and self.running and any(each != holder.whose for each in self.owners)
        wrong = holder.whose != expected if expected else doubtful
        return self.here and wrong and holder.whose not in ("", "root") and not ours

    def user_to_note(self, answers: Answers) -> str:
        """The user who is expected there; before anyone is: whose process is there now, or whose Hermes would be."""
        noted = self.noted is not None and self.noted.at == self.at
        if expected := self.expected(answers):
            return expected
        if self.running:
            return self.holder.whose
        return "" if noted else self.installed

    def runs_as(self, answers: Answers) -> str:
        """The user whom Hermes runs as, or would; never a stranger, "" while that is not known."""
        seen = self.holder.whose if self.running and not self.stranger(answers) else ""
        return seen if seen not in ("", "root") else self.user_to_note(answers)


def look(answers: Answers, host: Host) -> Facts:
    """Reads the note and our unit, and asks as `dashboards.find` does."""
    found = dashboards.find(host, answers.backend)
    at = found.chosen or found.looked_for
    here = at.local or at.address in host.addresses()
    holder = found.holder or Listener(at.address, at.port)
    ours, noted = unit.of_ours(host), upstream.parse(host.look(upstream.PATH))
    unknown = here and not (noted and noted.at == at)
    installed = installations.find(host) if unknown else ()
    only = installations.the_only_one(installed)
    return Facts(
        at=at,
        before=dashboards.set_upstream(host),
        noted=noted,
        holder=holder if here else Listener(at.address, at.port),
        here=here,
        running=found.running is not None,
        of_unit=ours.user if ours and here and (answers.service or ours.port == at.port) else "",
        installed=only.user if only else "",
        owners=tuple(sorted({each.user for each in installed} - {"", "root"})),
        command=_command(host, holder.pid) if here and holder.pid else "",
    )


class Upstream:
    """See the module."""

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """See `look`."""
        return look(answers, host)

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """Nobody else's process is where visitors are passed to."""
        return [_other_user(answers, facts)] if facts.stranger(answers) else []

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:
        """What is noted is where visitors are passed to, and whose process is there, as soon as one is."""
        note = UpstreamNote(facts.at, facts.user_to_note(answers))
        if facts.noted == note:
            return ()
        return (Place(upstream.PATH, upstream.to_file(note), _why(facts, note)),)


def as_shown(answers: Answers, changes: Sequence[Change]) -> Answers:
    """The same, naming the upstream and the user that a plan with these changes has shown: no other is set after a yes."""
    for change in changes:
        if isinstance(change, Place) and change.path == upstream.PATH and (note := upstream.parse(change.node)):
            return answers.with_backend(note.at, note.user)
    return answers


def _why(facts: Facts, note: UpstreamNote) -> str:
    """From where to where, and whose process it is."""
    process = described(facts.holder) if facts.running else ", where Hermes does not run now"
    earlier = facts.noted.user if facts.noted and facts.noted.at == facts.at else ""
    until_now = f" (until now: {earlier})" if earlier else ""
    only = (
        f"; from now on, only a process of {note.user} may be there{until_now}" if note.user not in ("", "root") else ""
    )
    if facts.before == facts.at:
        return f"note whose process visitors are passed to, at {note.at}{process}{only}"
    instead = f", no longer to {facts.before}" if facts.before else ""
    return f"pass visitors to {note.at}{process}{instead}{only}"


def _other_user(answers: Answers, facts: Facts) -> Finding:
    holder = facts.holder
    stop = f"sudo kill {holder.pid}" if holder.pid else f"to see it: sudo ss -ltnp sport = :{facts.at.port}"
    expected, owners = facts.expected(answers), all_of(sorted({*facts.owners, holder.whose}))
    whose = (
        f"It should be {expected}'s." if expected else f"Whose it should be is not clear: {owners} could each run one."
    )
    return block(
        "backend.other-user",
        f"A process of {holder.whose} listens at {facts.at}, where visitors are passed to{described(holder)}. {whose}",
        "Any user of this server can take that port while Hermes is down, and gets what visitors send from then on.",
        f'If it isn\'t yours, stop it ({stop}), then start Hermes again. If it is: sudo hermes-setup, "Hermes"; or in the '
        f'answers: backend_user = "{holder.whose}"',
        facts.command,
    )


def _command(host: Host, pid: int) -> str:
    """What a process was started as (proc(5), cmdline), in a line that can be shown: it may be anything."""
    node = host.look(f"/proc/{pid}/cmdline")
    words = node.content[: 4 * LONGEST].decode("utf-8", "replace").split("\0") if isinstance(node, File) else []
    text = "".join(each if each.isprintable() else "?" for each in " ".join(words).strip())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
