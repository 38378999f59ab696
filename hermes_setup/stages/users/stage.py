"""Who may sign in stands in the htpasswd file, and each has a cookie that is good together with that line only."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup import phrases
from hermes_setup.answers.answers import Answers
from hermes_setup.engine.changes import Change, Place, Probe, Stamp
from hermes_setup.engine.findings import Finding, block, note, warn
from hermes_setup.host import ABSENT, File, Host, Node, Special
from hermes_setup.nginx import tree, trial
from hermes_setup.nginx.render import Renderer
from hermes_setup.passwords import make_token
from hermes_setup.stages.site.loading import STAMP
from hermes_setup.stages.users import cookies, htpasswd
from hermes_setup.stages.users.cookies import GATE_FILE
from hermes_setup.stages.users.htpasswd import USERS_FILE
from hermes_setup.values import dataclass, field


@dataclass(frozen=True)
class Facts:
    """The two files as they are, and the group that nginx's workers run as."""

    users_file: Node
    gate_file: Node
    group: str
    gate_is_loaded_by: tuple[str, ...]  # configuration files that include the gate file
    fresh: tuple[str, ...] = field(repr=False)  # random values, for cookies that have to be new

    @property
    def text(self) -> str:
        """The htpasswd file's content, "" when there is none."""
        return _text(self.users_file)


class Users:
    """See the module."""

    def __init__(self, renderer: Renderer | None = None) -> None:
        self._renderer = renderer or Renderer()

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Reads both files and nginx's configuration."""
        config = tree.read(host)
        users = host.look(USERS_FILE)
        lines = htpasswd.hashes(_text(users))
        return Facts(
            users_file=users,
            gate_file=host.look(GATE_FILE),
            group=(config if config.files else tree.DEBIAN_DEFAULT).group,
            gate_is_loaded_by=(GATE_FILE,) if GATE_FILE in config.files else (),
            fresh=tuple(make_token() for _ in range(len(lines) + len(answers.users) + 1)),
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """At least one user remains, and no two are easily mistaken for each other."""
        for path, node in ((USERS_FILE, facts.users_file), (GATE_FILE, facts.gate_file)):
            if not isinstance(node, (File, type(ABSENT))):
                why = node.why if isinstance(node, Special) else "a link or a folder"
                return [
                    block(
                        "users.not-a-file",
                        f"{path} is not a plain file ({why}).",
                        "The users' names and hashes go there, and nothing else is overwritten.",
                        f"Look at it (ls -la {path}) and move it away.",
                    )
                ]
        left = htpasswd.hashes(htpasswd.with_users(facts.text, answers.users, answers.removed))
        found: list[Finding] = []
        missing = [user.name for user in answers.users if user.name not in left]
        if not left:
            found.append(
                block(
                    "users.none",
                    "Nobody could sign in: there would be no user at all.",
                    "The dashboard opens only to named users; the last one cannot be removed.",
                    "Add one: sudo hermes-setup users add NAME",
                )
            )
        elif missing:
            found.append(
                warn(
                    "users.line-missing",
                    f"{phrases.listed(missing)} has no line in {USERS_FILE} any more, so cannot sign in.",
                    "Someone took it out by hand.",
                    f"Set a password: sudo hermes-setup users add {missing[0]}",
                )
            )
        folded: dict[str, str] = {}
        pairs = [(folded.setdefault(name.casefold(), name), name) for name in left]
        alike = [(one, other) for one, other in pairs if one != other]
        here = htpasswd.hashes(facts.text)
        if alike:
            found.append(
                warn(
                    "users.alike",
                    f"{phrases.listed([f'{one} and {other}' for one, other in alike])} differ only in upper and lower case.",
                    "Each is a user with a password of their own; people mix them up.",
                    f"If that is not meant{', answer n; or afterwards' if alike[0][1] not in here else ''}: "
                    f"sudo hermes-setup users remove {alike[0][1]}",
                )
            )
        known = {user.name for user in answers.users}
        earlier = [name for name in left if name not in known]
        if earlier and facts.gate_file == ABSENT:
            found.append(
                note(
                    "users.earlier",
                    f"{phrases.listed(earlier)} can sign in, too: the users' file had that line already.",
                    "It was made by hand, and lines of others are kept.",
                    f"If that is not meant, afterwards: sudo hermes-setup users remove {earlier[0]}",
                )
            )
        odd = [name for name, hashed in left.items() if not _nginx_takes(hashed)]
        if odd:
            found.append(
                warn(
                    "users.odd-hash",
                    f"The line of {phrases.listed(odd)} has no hash that every nginx can check.",
                    "Where this server's C library does not know it, signing in answers with an error (500) or never works.",
                    f"Set the password anew: sudo hermes-setup users passwd {odd[0]}",
                )
            )
        return found

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:
        """First the cookies that go, then the lines: a password that is gone has no cookie left at any moment."""
        text = htpasswd.with_users(facts.text, answers.users, answers.removed)
        lines = htpasswd.hashes(text)
        fresh = iter(facts.fresh)
        have = cookies.tokens(_text(facts.gate_file))
        wanted = cookies.wanted_tokens(lines, have, answers.revoked, lambda: next(fresh, None) or make_token())
        gate = File(cookies.render_gate(wanted, self._renderer).encode("utf-8", "surrogateescape"), 0o600, secret=True)
        users = File(text.encode("utf-8", "surrogateescape"), 0o640, group=facts.group, secret=True)
        changes: list[Change] = []
        if facts.gate_file != gate:
            if facts.gate_is_loaded_by:
                # Cleared first: it must not fit again once these are exchanged for others that nginx has never loaded.
                changes.append(Stamp(STAMP, ABSENT, "what nginx has loaded"))
                changes.append(Probe(trial.Trial({GATE_FILE: gate}), "have nginx try the new cookies on a copy"))
            bare = isinstance(facts.gate_file, File) and facts.gate_file.content == gate.content
            opened = "readable by root only; who could read the cookies is signed in with them: users sign-out --all"
            changes.append(Place(GATE_FILE, gate, opened if bare else _cookies_why(have, wanted)))
        if facts.users_file != users:
            changes.append(Place(USERS_FILE, users, _lines_why(htpasswd.hashes(facts.text), lines, facts, users)))
        return changes


def _cookies_why(have: Sequence[cookies.Token], wanted: Sequence[cookies.Token]) -> str:
    old = {token.name: token.value for token in have if token.name}
    new = {token.name: token.value for token in wanted if token.name}
    out = [name for name in old if new.get(name) != old[name]]
    if out:
        return f"sign out {phrases.listed(out)} everywhere"
    added = phrases.listed([name for name in new if name not in old]) or "hermes-setup itself"
    return f"a secret cookie for {added}: a password is checked once, and the chat works on iPhones"


def _lines_why(old: dict[str, str], new: dict[str, str], facts: Facts, wanted: File) -> str:
    said = []
    for verb, names in (
        ("add", [name for name in new if name not in old]),
        ("change the password of", [name for name in new if name in old and new[name] != old[name]]),
        ("remove", [name for name in old if name not in new]),
    ):
        if names:
            said.append(f"{verb} {phrases.listed(names)}")
    if not said and isinstance(facts.users_file, File):
        return f"readable by root and nginx ({wanted.group}) only"
    return "; ".join(said) or "the users' file"


def _nginx_takes(hashed: str) -> bool:
    """Hashes that nginx itself or every crypt(3) of Debian and Ubuntu can check (ngx_crypt.c, crypt(5))."""
    return hashed.startswith(
        ("$apr1$", "$6$", "$5$", "$1$", "$y$", "$2y$", "$2b$", "$2a$", "{SHA}", "{SSHA}", "{PLAIN}")
    ) or (len(hashed) == 13)


def _text(node: Node) -> str:
    return node.content.decode("utf-8", "surrogateescape") if isinstance(node, File) else ""
