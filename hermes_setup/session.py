"""What one run of the program carries. It is passed along, so that no module has to remember anything.

Session     the options, the state, the machine, the screen, and what is under way
Outcome     how a command, or a part of it, ended; only `main` makes an exit code of it
"""

from __future__ import annotations

import os
from enum import Enum
from functools import cached_property

from hermes_setup.log import Log
from hermes_setup.values import dataclass, field, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from hermes_setup.nginx.render import Renderer
    from hermes_setup.questions.prompt import Asker
    from hermes_setup.state.store import State
    from hermes_setup.system.local import Local
    from hermes_setup.ui.screen import Screen


class Outcome(Enum):
    """How something ended without an error."""

    DONE = "changes were made, and what was wanted holds"
    NOTHING_TO_DO = "what was wanted held already"
    SHOWN = "what was asked for is on the screen; nothing was to be changed"
    FOUND = "something needs attention: pending changes, or findings"
    DECLINED = "the user said no"
    BLOCKED = "a check blocks, and the user stopped there"
    FAILED = "a stage of a rehearsal failed"
    BACK = "the user wants to go back to the question before"
    OTHER_DOMAIN = "the user wants to type another domain"


@dataclass(frozen=True)
class Options:
    """The flags of this run. They are not answers, and not kept."""

    dry: bool = False  # show every change, make none
    check: bool = False  # the same, and the outcome says whether there is any
    yes: bool = False  # the user agreed beforehand
    lockout: bool = False  # the allowed addresses may leave out the one that this ssh session comes from


@dataclass(frozen=True)
class UnderWay:
    """Changes are being made: which step is running, and which are done. It grows with them."""

    steps: list[str] = field(default_factory=list)  # all that were started; the last one is running
    done: list[str] = field(default_factory=list)  # those that changed something, and hold

    @property
    def now(self) -> str:
        """The step that is running."""
        return self.steps[-1] if self.steps else "the first step"


class Session:
    """One run, from its arguments to its end. What takes time to load is made when it is first needed."""

    def __init__(self, argv: Sequence[str] = ()) -> None:
        self.argv = tuple(argv)
        self.options = Options()
        self.log = Log()
        self.under_way: UnderWay | None = None
        """None before the first change, and again once all are made."""
        self.finished = False
        """True once all changes are made, and only the end is to be shown."""
        self.answers_kept = False
        """True where each answer is saved as it is given: after ^C only the rest is asked."""

    @cached_property
    def interactive(self) -> bool:
        """True when someone can read questions and answer them."""
        from hermes_setup.ui.talk import is_terminal

        return is_terminal()

    @cached_property
    def state(self) -> State:
        """The program's own state on the disk."""
        from hermes_setup.state.store import State

        return State()

    @cached_property
    def host(self) -> Local:
        """This machine; its commands and writes are logged."""
        from hermes_setup.system.local import Local

        return Local(log=self.log.write)

    @cached_property
    def screen(self) -> Screen:
        """One for the whole run, so that no finding is shown twice."""
        from hermes_setup.ui.screen import Screen

        return Screen()

    def fresh_screen(self) -> Screen:
        """One on which nothing was shown yet: on it findings are shown once more."""
        from hermes_setup.ui.screen import Screen

        return Screen()

    @cached_property
    def asker(self) -> Asker:
        """One for the whole run, so that it introduces itself once."""
        from hermes_setup.ui.ask import asker

        return asker()

    @cached_property
    def renderer(self) -> Renderer:
        """Fills in the templates; it knows what earlier runs rendered."""
        from hermes_setup.nginx.render import Renderer

        return Renderer(self.state.rendered())

    def choose(self, **options: bool) -> None:
        """The run has these options from here on."""
        self.options = replace(self.options, **options)

    def need_root(self) -> None:
        """Raises WrongInput, with the line to type, for any user but root."""
        if os.geteuid() == 0:
            return
        import shlex

        from hermes_setup.errors import WrongInput

        raise WrongInput(
            "This needs root: it reads and writes nginx's and certbot's files.",
            hint=f"Type it again with sudo in front: {shlex.join(['sudo', 'hermes-setup', *self.argv])}",
        )

    def close(self) -> None:
        """No command that was started to answer a question runs any more."""
        if "host" in vars(self):
            self.host.kill_queries()
