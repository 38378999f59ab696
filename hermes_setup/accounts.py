"""Who may sign in: the lines of the htpasswd file, and the cookies of those who did. Text in, text out.

Rules kept here:
- A line that we did not write stays as it is, where it is.
- A cookie is good only together with the hash it was given for: its fingerprint stands beside it, so a password changed
  by anybody, with any tool, ends the cookie at the next run.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from hermes_setup.answers import User, UserEntry, parse_user
from hermes_setup.errors import WrongInput
from hermes_setup.passwords import (
    check_password,
    fingerprint,
    hash_password,
    is_hash,
    make_password,
    verify_password,
)
from hermes_setup.values import dataclass, field

USERS_FILE = "/etc/nginx/.htpasswd-hermes"
GATE_FILE = "/etc/nginx/hermes-gate.conf"
REALM = "Hermes"


def hashes(text: str) -> dict[str, str]:
    """Name -> hash of every line that nginx would take (ngx_http_auth_basic_module: name, colon, hash, rest ignored)."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        name, colon, rest = line.partition(":")
        if colon and name and not name.startswith("#"):
            found.setdefault(name, rest.partition(":")[0].strip())
    return found


def with_users(text: str, users: Sequence[User], gone: Sequence[str]) -> str:
    """The file with these users' lines changed, added or gone; every other line as it was.

    nginx passes over lines that begin with # (ngx_http_auth_basic_module.c), so the first one says whose file it is.
    """
    from hermes_setup import nginx  # here: the wizard's first question does not wait for it

    wanted = {user.name: user.hash for user in users if user.hash}
    ours = {*wanted, *gone}
    lines: list[str] = []
    seen: set[str] = set()
    for line in text.split("\n"):
        name, colon, rest = line.partition(":")
        if not colon or name.startswith("#") or name not in ours:
            lines.append(line)
        elif name in wanted and name not in seen:
            same = rest.partition(":")[0].strip() == wanted[name]
            lines.append(line if same else f"{name}:{wanted[name]}")
            seen.add(name)
    while lines and not lines[-1]:
        lines.pop()
    lines += [f"{name}:{hashed}" for name, hashed in wanted.items() if name not in seen]
    if not lines or not lines[0].startswith(nginx.OURS):
        lines.insert(0, f"{nginx.OURS} One user a line; lines added by hand are kept.")
    return "".join(f"{line}\n" for line in lines)


def named(names: Sequence[str], most: int = 12) -> str:
    """The names as a sentence takes them: all, or the first and how many more there are."""
    more = len(names) - most
    return ", ".join(names) if more < 2 else f"{', '.join(names[:most])} and {more:,} more"


@dataclass(frozen=True)
class Written:
    """When a line of the users' file was written: at that moment (UTC), or, where not `exact`, then or before."""

    at: datetime
    exact: bool


def mark(name: str, hashed: str) -> str:
    """A short name of a line, that gives nothing away: the same line, taken out and put back, is known again by it."""
    return fingerprint(f"{name}:{hashed}")


def dated(
    known: Mapping[str, Written],
    before: Mapping[str, str],
    after: Mapping[str, str],
    found: Written,
    now: Written | None,
) -> dict[str, Written]:
    """mark -> when, for the lines of `before` and those that a run is about to leave, `after`. What is known stays.

    A line that nobody knew is as `found`; one that the run writes is of `now`. An undoing writes no new lines, so its
    `now` is None: a line that comes back comes back with the time that it had.
    """
    when = {each: known.get(each, found) for each in (mark(*line) for line in before.items())}
    for line in after.items():
        if line not in before.items() and (written := now or known.get(mark(*line))):
            when[mark(*line)] = written
    return when


@dataclass(frozen=True)
class Token:
    """One cookie value. `name` "" is the program's own; `fingerprint` is that of the hash it goes with."""

    name: str
    value: str = field(repr=False)
    fingerprint: str

    @property
    def digest(self) -> str:
        """What may be written down to say "not this one any more"."""
        return hashlib.sha256(self.value.encode()).hexdigest()


_TOKEN = re.compile(r"# token ([0-9a-f]{16}|-) ([0-9a-f]{32}) (.*)\Z")


def tokens(text: str) -> tuple[Token, ...]:
    """The cookies in a gate file that we wrote."""
    found = (_TOKEN.match(line) for line in text.split("\n"))
    return tuple(Token(match.group(3), match.group(2), match.group(1)) for match in found if match)


def wanted_tokens(
    lines: Mapping[str, str], have: Sequence[Token], revoked: Sequence[str], fresh: Callable[[], str]
) -> tuple[Token, ...]:
    """A cookie for the program and one for each line: the one it has, if that still goes with the line's hash."""
    by_name = {token.name: token for token in have if token.digest not in revoked}
    found = [by_name.get("") or Token("", fresh(), "-")]
    for name, hashed in lines.items():
        mark = fingerprint(hashed)
        old = by_name.get(name)
        found.append(old if old and old.fingerprint == mark else Token(name, fresh(), mark))
    return tuple(found)


@dataclass(frozen=True)
class _Line:
    name: str
    value: str
    fingerprint: str
    key: str


def render_gate(wanted: Sequence[Token]) -> str:
    """The gate file for these cookies.

    nginx's map compares plain keys without case and only up to a length (ngx_http_map_module), so a name with letters
    becomes a regular expression: ALICE, added by hand tomorrow, must not get alice's cookie.
    """
    from hermes_setup import nginx

    lines = []
    for token in wanted:
        text = f"{REALM}:{token.name}"
        key = f"~{nginx.exact(text)}" if re.search("[A-Za-z]", token.name) else nginx.map_key(text)
        lines.append(_Line(token.name, token.value, token.fingerprint, key))
    return nginx.render("gate.conf", tokens=lines)


def program_token(gate: str) -> str:
    """The program's own cookie value, "" when there is none yet."""
    return next((token.value for token in tokens(gate) if not token.name), "")


def resolve(
    entries: Sequence[UserEntry], lines: Mapping[str, str], read: Callable[[str], bytes | None]
) -> tuple[tuple[User, ...], dict[str, str]]:
    """The users of an answers file, and the passwords that were made up for them.

    `lines` are the hashes on the machine; `read` gives a file's content, None when it is gone. A password that matches
    the line, or a password_file that is gone while the line is there, leaves the line alone. Raises WrongInput.
    """
    users: list[User] = []
    made_up: dict[str, str] = {}
    for entry in entries:
        line = lines.get(entry.name, "")
        if entry.password_hash:
            if not is_hash(entry.password_hash):
                raise WrongInput(
                    f"password_hash of {entry.name} is not a whole $6$ or bcrypt hash, the kinds that every server can check.",
                    hint="Make one with: openssl passwd -6",
                )
            users.append(User(entry.name, "" if entry.password_hash == line else entry.password_hash, "answers"))
        elif entry.password_file:
            raw = read(entry.password_file)
            if raw is None and not line:
                raise WrongInput(
                    f"{entry.password_file}, the password_file of {entry.name}, is not there.",
                    hint=f"Write the password into it (sudo nano {entry.password_file}), or leave the key out: "
                    "then one is made up.",
                )
            password = None if raw is None else password_from(raw, entry.password_file, entry.name)
            keep = password is None or verify_password(password, line)
            users.append(User(entry.name, "" if keep or password is None else hash_password(password), "answers"))
        elif line:
            users.append(User(entry.name, "", "answers"))
        else:
            made_up[entry.name] = make_password()
            users.append(User(entry.name, hash_password(made_up[entry.name]), "answers"))
    return tuple(users), made_up


def password_from(raw: bytes, where: str, user: str) -> str:
    """The password in a file or on stdin: one line, its line end dropped. Raises WrongInput, never with the text."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise WrongInput(
            f"{where} is not UTF-8 text.", hint="Write the password in it as UTF-8, on one line."
        ) from None
    text = text.removeprefix("\ufeff").removesuffix("\n").removesuffix("\r")
    try:
        return check_password(text, user=user)
    except WrongInput as error:
        raise WrongInput(f"{where}: {error.message}", hint=error.hint) from None


@dataclass(frozen=True)
class Listed:
    """A user as a list names one: with a hash, with a password, or (both "") with neither yet."""

    name: str
    hash: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


def read_list(raw: bytes, where: str, lines: Mapping[str, str]) -> tuple[list[Listed], list[str]]:
    """Who on a list is new, and who is there already with that very password (or with any, where the list says none).

    A line is a name, name:password, or name:hash as htpasswd writes it; empty ones and those with # count for nothing.
    `lines` are the hashes on the machine. Raises WrongInput with the numbers of all bad lines, never with their text:
    a colon that was forgotten would show a password.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = raw.count(b"\n", 0, error.start) + 1
        raise WrongInput(f"{where}, line {number} is not UTF-8 text.", hint="Save the list as UTF-8.") from None
    new: list[Listed] = []
    there: list[str] = []
    seen: dict[str, int] = {}
    wrong: list[tuple[int, WrongInput]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            user = _listed(line.removesuffix("\r"))
            if (first := seen.setdefault(user.name, number)) != number:
                raise WrongInput(f"{user.name} stands in line {first} already.", hint="Keep one of the two lines.")
            if user.name not in lines:
                new.append(user)
            elif _keeps(user, lines[user.name]):
                there.append(user.name)
            else:
                raise WrongInput(
                    f"{user.name} is there already, and the password is not known to be this one.",
                    hint=f"Take the line out of the list. For a new password: sudo hermes-setup users passwd {user.name}",
                )
        except WrongInput as error:
            wrong.append((number, error))
    if wrong:
        (number, first_wrong), *more = wrong
        too = f" Wrong, too: line {named([str(each) for each, _ in more])}." if more else ""
        raise WrongInput(f"{where}, line {number}: {first_wrong.message}{too} Nobody was added.", hint=first_wrong.hint)
    if not seen:
        raise WrongInput(f"{where} names nobody.", hint="Write one user name a line.")
    return new, there


def _listed(line: str) -> Listed:
    name, colon, secret = line.partition(":")
    if not colon:
        if re.search(r"[\s,;|]", name.strip()):
            raise WrongInput(
                "There is more than a name, and no colon.",
                hint="Write a name, or name:password. (A name with a space in it: sudo hermes-setup users add 'NAME')",
            )
        return Listed(parse_user(name))
    user = parse_user(name)
    if re.match(r"\$[\w-]+\$|\{[\w-]+\}", secret):
        hashed = secret.partition(":")[0].strip()  # what stands behind a second colon is htpasswd's comment
        if is_hash(hashed):
            return Listed(user, hash=hashed)
        kind = next((each for each in _OTHER_HASHES if secret.startswith(each)), "")
        raise WrongInput(
            f"A {kind} hash is not taken over: passwords are guessed from it fast, or not every nginx can check it."
            if kind
            else "What stands behind the colon looks like a hash, and is no whole $6$ or bcrypt ($2y$, $2b$) one.",
            hint="Leave only the name on that line, and a new password is made up (--generate) or asked for.",
        )
    if re.fullmatch(r"[./0-9A-Za-z]{13}(:.*)?|(.*:)?[0-9A-Fa-f]{32,}", secret.strip()):
        raise WrongInput(
            "What stands behind the colon may be an old kind of hash (DES, MD5) or a password: nobody can tell.",
            hint="Leave only the name on that line; or, if it is a password, take one of another length.",
        )
    return Listed(user, password=check_password(secret, user=user))


_OTHER_HASHES = ("$apr1$", "$1$", "$5$", "$y$", "$2a$", "{SHA}", "{SSHA}", "{PLAIN}")


def _keeps(user: Listed, line: str) -> bool:
    if user.password:
        return verify_password(user.password, line)
    return user.hash in ("", line)
