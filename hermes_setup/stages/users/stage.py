"""Who may sign in is in the htpasswd file, and each has a cookie that is valid together with that line only."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.engine.changes import Change, Place, Probe, Stamp
from hermes_setup.engine.findings import Finding, block, note, warn
from hermes_setup.host import ABSENT, File, Host, Node, Special
from hermes_setup.nginx import tree, trial
from hermes_setup.nginx.render import Renderer
from hermes_setup.phrases import listed
from hermes_setup.stages.users import cookies, htpasswd
from hermes_setup.stages.users.cookies import GATE_FILE, Cookie
from hermes_setup.stages.users.htpasswd import USERS_FILE
from hermes_setup.state import stamps
from hermes_setup.values import dataclass, field

NGINX_HASHES = ("$apr1$", "$6$", "$5$", "$1$", "$y$", "$2y$", "$2b$", "$2a$", "{SHA}", "{SSHA}", "{PLAIN}")
"""How hashes start that nginx itself or every crypt(3) of Debian and Ubuntu can check (ngx_crypt.c, crypt(5))."""


@dataclass(frozen=True)
class Facts:
    """The two files as they are, and the group that nginx's workers run as."""

    users_file: Node
    gate_file: Node
    group: str
    gate_is_loaded_by: tuple[str, ...]  # configuration files that include the gate file
    fresh: tuple[str, ...] = field(repr=False)  # random values, for new cookies

    @property
    def text(self) -> str:
        """The htpasswd file's content, "" when there is none."""
        return tree.text_of(self.users_file)


class Users:
    """See the module."""

    def __init__(self, renderer: Renderer | None = None) -> None:
        self._renderer = renderer or Renderer()

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Reads both files and nginx's configuration."""
        config = tree.read(host)
        users_file = host.look(USERS_FILE)
        lines = htpasswd.hashes(tree.text_of(users_file))
        return Facts(
            users_file=users_file,
            gate_file=host.look(GATE_FILE),
            group=(config if config.files else tree.DEBIAN_DEFAULT).group,
            gate_is_loaded_by=(GATE_FILE,) if GATE_FILE in config.files else (),
            fresh=tuple(cookies.make_token() for _ in range(len(lines) + len(answers.users) + 1)),
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """At least one user remains, and no two are easily mistaken for each other."""
        if blocked := _not_a_file(facts):
            return [blocked]
        after = htpasswd.hashes(htpasswd.with_users(facts.text, answers.users, answers.removed))
        return [
            *_no_one_left(answers, after),
            *_alike(after, htpasswd.hashes(facts.text)),
            *_there_before(answers, facts, after),
            *_hashes_that_nginx_cannot_check(after),
        ]

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:
        """First the cookies, then the lines: at no moment is there a cookie for a password that is no longer valid."""
        text = htpasswd.with_users(facts.text, answers.users, answers.removed)
        lines = htpasswd.hashes(text)
        fresh = iter(facts.fresh)
        known = tree.text_of(facts.gate_file)
        # values of an earlier version are good for nothing any more, our own neither: it was sent to other sites
        current = () if cookies.signs_everyone_out(known) else cookies.parse(known)
        wanted = cookies.wanted(lines, current, answers.revoked, lambda: next(fresh, None) or cookies.make_token())
        gate = File(cookies.render(wanted, self._renderer).encode("utf-8", "surrogateescape"), 0o600, secret=True)
        users = File(text.encode("utf-8", "surrogateescape"), 0o640, group=facts.group, secret=True)
        changes: list[Change] = []
        if facts.gate_file != gate:
            if facts.gate_is_loaded_by:
                # Cleared first: it must not fit again once these are replaced by others that nginx has never loaded.
                changes.append(Stamp(stamps.NGINX, ABSENT, "what nginx has loaded"))
                changes.append(Probe(trial.Trial({GATE_FILE: gate}), "have nginx test the new cookies on a copy"))
            same_text = isinstance(facts.gate_file, File) and facts.gate_file.content == gate.content
            only_root = (
                "let only root read it; anyone who could read the cookies is signed in with them: users sign-out --all"
            )
            why = only_root if same_text else _why_cookies(current, wanted)
            if cookies.signs_everyone_out(known):
                why = (
                    "a sign-in page instead of the browser's dialog, and a cookie that no other site can plant: everybody "
                    "signs in once more"
                )
            changes.append(Place(GATE_FILE, gate, why))
        if facts.users_file != users:
            changes.append(Place(USERS_FILE, users, _why_lines(htpasswd.hashes(facts.text), lines, facts, users)))
        return changes


def _not_a_file(facts: Facts) -> Finding | None:
    for path, node in ((USERS_FILE, facts.users_file), (GATE_FILE, facts.gate_file)):
        if not isinstance(node, (File, type(ABSENT))):
            why = node.why if isinstance(node, Special) else "a link or a folder"
            return block(
                "users.not-a-file",
                f"{path} is not a regular file ({why}).",
                "The users' names and hashes go there, and nothing else is overwritten.",
                f"Look at it (ls -la {path}) and move it away.",
            )
    return None


def _no_one_left(answers: Answers, after: dict[str, str]) -> list[Finding]:
    """Each user of the answers has a line, and there is one at all."""
    missing = [user.name for user in answers.users if user.name not in after]
    if not after:
        return [
            block(
                "users.none",
                "No one could sign in: there would be no user left.",
                "The dashboard only opens to its users; the last one can't be removed.",
                "Add one: sudo hermes-setup users add NAME",
            )
        ]
    if not missing:
        return []
    return [
        warn(
            "users.line-missing",
            f"{listed(missing)} can't sign in: {USERS_FILE} no longer has a line for that name.",
            "Someone removed it by hand.",
            f"Set a password: sudo hermes-setup users add {missing[0]}",
        )
    ]


def _alike(after: dict[str, str], before: dict[str, str]) -> list[Finding]:
    """No two names differ only in case."""
    folded: dict[str, str] = {}
    pairs = [(folded.setdefault(name.casefold(), name), name) for name in after]
    alike = [(one, other) for one, other in pairs if one != other]
    if not alike:
        return []
    second = alike[0][1]
    return [
        warn(
            "users.alike",
            f"{listed([f'{one} and {other}' for one, other in alike])} differ only in upper and lower case.",
            "Each is a user with a password of their own; people mix them up.",
            f"If that is not what you want{', answer n; or afterwards' if second not in before else ''}: "
            f"sudo hermes-setup users remove {second}",
        )
    ]


def _there_before(answers: Answers, facts: Facts, after: dict[str, str]) -> list[Finding]:
    """Who can sign in by a line that was there before the first run."""
    known = {user.name for user in answers.users}
    others = [name for name in after if name not in known]
    if not others or facts.gate_file != ABSENT:
        return []
    return [
        note(
            "users.earlier",
            f"{listed(others)} can sign in, too: the users' file already had that line.",
            "It was made by hand, and other people's lines are kept.",
            f"If that is not what you want, afterwards: sudo hermes-setup users remove {others[0]}",
        )
    ]


def _hashes_that_nginx_cannot_check(after: dict[str, str]) -> list[Finding]:
    odd = [name for name, hashed in after.items() if not hashed.startswith(NGINX_HASHES) and len(hashed) != 13]
    if not odd:
        return []
    return [
        warn(
            "users.odd-hash",
            f"The line of {listed(odd)} has a hash that not every nginx can check.",
            "If this server's C library does not know it, signing in answers with an error (500) or never works.",
            f"Set the password again: sudo hermes-setup users passwd {odd[0]}",
        )
    ]


def _why_cookies(current: Sequence[Cookie], wanted: Sequence[Cookie]) -> str:
    old = {cookie.name: cookie.value for cookie in current if cookie.name}
    new = {cookie.name: cookie.value for cookie in wanted if cookie.name}
    signed_out = [name for name in old if new.get(name) != old[name]]
    if signed_out:
        return f"sign out {listed(signed_out)} everywhere"
    added = listed([name for name in new if name not in old]) or "hermes-setup itself"
    return f"a secret cookie for {added}: a password is checked once, and the chat works on iPhones"


def _why_lines(old: dict[str, str], new: dict[str, str], facts: Facts, wanted: File) -> str:
    parts = []
    for verb, names in (
        ("add", [name for name in new if name not in old]),
        ("change the password of", [name for name in new if name in old and new[name] != old[name]]),
        ("remove", [name for name in old if name not in new]),
    ):
        if names:
            parts.append(f"{verb} {listed(names)}")
    if not parts and isinstance(facts.users_file, File):
        return f"let only root and nginx ({wanted.group}) read it"
    return "; ".join(parts) or "the users' file"
