"""An answers file, in TOML: read strictly, and written."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping

from hermes_setup import passwords, replaceable
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.fields import FIELDS, at_key, known_keys, read_fields, text_of, without_empty
from hermes_setup.answers.user import parse_user
from hermes_setup.errors import WrongInput
from hermes_setup.values import dataclass, field, replace

LARGEST = 1024 * 1024
SLOW = 100_000  # rounds of a hash
KEYS = (*(each.key for each in FIELDS), "users")
USER_KEYS = ("name", "password_file", "password_hash")


@dataclass(frozen=True)
class UserEntry:
    """A user as an answers file has one; `stages.users.answers_file` says which hash that gives on a machine."""

    name: str
    password_file: str = ""
    password_hash: str = field(default="", repr=False)


@dataclass(frozen=True)
class AnswersFile:
    """What an answers file says: `answers` without users, whose passwords depend on the machine; and the users' entries.

    `warnings` are about the file itself: it works, and something in it should be fixed.
    """

    answers: Answers
    users: tuple[UserEntry, ...]
    warnings: tuple[str, ...] = ()


def read(path: str, verb: str) -> AnswersFile:
    """What the file says; `hermes-setup VERB --answers` was given its path. Raises WrongInput for one that can't be used."""
    example = f"sudo hermes-setup {verb} --answers FILE.toml"
    if path == "":
        raise WrongInput("--answers needs the name of a file.", hint=example)
    raw, status = _content(path, example)
    found = read_table(_toml(raw, path))
    return replace(found, warnings=_warnings(found, path, status))


def read_table(table: Mapping[str, object]) -> AnswersFile:
    """The answers in a TOML document. Raises WrongInput, naming the key, for anything missing, unknown or wrong."""
    known_keys(table, KEYS, "the answers file")
    return AnswersFile(Answers(users=(), **read_fields(table)), _users(table.get("users", [])))


def _content(path: str, example: str) -> tuple[bytes, os.stat_result]:
    """What the file has, and its mode. A device or a pipe is good, too."""
    try:
        raw, status = replaceable.read_own(path, LARGEST + 1)
    except IsADirectoryError:
        raise WrongInput(f"{path} is a folder.", hint=f"Name the file in it: {example}") from None
    except (OSError, ValueError) as error:
        words = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "not a path"
        raise WrongInput(f"{path} could not be read: {words}.", hint=f"Check the name: {example}") from None
    if len(raw) > LARGEST:
        how = f"has {-(-status.st_size // 1024)} kB" if stat.S_ISREG(status.st_mode) else "is too large"
        raise WrongInput(
            f"{path} {how}; an answers file has at most {LARGEST // 1024} kB.", hint="Is it the right file?"
        )
    return raw, status


def _toml(raw: bytes, path: str) -> dict[str, object]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise WrongInput(f"{path} is not UTF-8 text.", hint="Save it as UTF-8; TOML is always that.") from None
    except tomllib.TOMLDecodeError as error:
        raise WrongInput(
            f"{path} is not TOML: {error}.", hint='A line looks like: domain = "hermes.example.com"'
        ) from None
    except RecursionError:
        raise WrongInput(f"{path} is nested too deeply.", hint="Is it the right file?") from None


def _warnings(found: AnswersFile, path: str, status: os.stat_result) -> tuple[str, ...]:
    slow = [
        f"the hash of {user.name} has {passwords.rounds(user.password_hash)} rounds: nginx's worker waits while each wrong "
        "guess is checked. 27000 are enough; openssl passwd -6 uses 5000."
        for user in found.users
        if user.password_hash and passwords.rounds(user.password_hash) > SLOW
    ]
    hashes = any(user.password_hash for user in found.users)
    if not hashes or not status.st_mode & 0o077:
        return tuple(slow)
    mode = f"{stat.S_IMODE(status.st_mode):o}"
    loose = f"{path} contains password hashes, and others can read it (mode {mode}). Fix: sudo chmod 600 {path}"
    return (*slow, loose)


def _users(value: object) -> tuple[UserEntry, ...]:
    if isinstance(value, dict):
        raise WrongInput("[users] in single brackets is one table; users are a list.", hint="Write [[users]].")
    if not isinstance(value, list) or not value:
        raise WrongInput(
            "The answers file names no user, so nobody could sign in.",
            hint='Add:\n[[users]]\nname = "alice"',
        )
    entries: list[UserEntry] = []
    for number, table in enumerate(value, 1):
        entry = _user(table, number)
        if any(entry.name == other.name for other in entries):
            raise WrongInput(f"{entry.name} is listed twice.", hint="Keep one of the two entries.")
        entries.append(entry)
    return tuple(entries)


def _user(table: object, number: int) -> UserEntry:
    if not isinstance(table, dict):
        raise WrongInput(f"users entry {number} is not a table.", hint='Write [[users]] and under it name = "alice".')
    known_keys(table, USER_KEYS, f"users entry {number}")
    name, path, hashed = (text_of(table.get(key, ""), key, required=key == "name") for key in USER_KEYS)
    entry = UserEntry(at_key(f"users entry {number}, name", parse_user, name), path, hashed)
    if path and hashed:
        raise WrongInput(f"{entry.name} has a password_file and a password_hash.", hint="Keep one of the two.")
    if path and not path.startswith("/"):
        raise WrongInput(
            f"password_file of {entry.name} is not a full path.", hint=f'Write "/root/{entry.name}.pw", for example.'
        )
    return entry


def to_toml(answers: Answers, hashes: Mapping[str, str]) -> str:
    """The file that would repeat this set-up; `hashes` are the lines that are on the machine."""
    plain: list[str] = []
    tables: list[str] = []
    for each in FIELDS:
        value = each.write(getattr(answers, each.attribute))
        if not each.always and value == each.write(getattr(Answers, each.attribute)):
            continue
        if isinstance(value, dict):
            inner = without_empty(value)
            tables += ["", f"[{each.key}]", *(f"{key} = {_spelled(one)}" for key, one in inner.items())]
        else:
            plain.append(f"{each.key} = {_spelled(value)}")
    for user in answers.users:
        tables += ["", "[[users]]", f"name = {_spelled(user.name)}"]
        if hashes.get(user.name):
            tables.append(f"password_hash = {_spelled(hashes[user.name])}")
    return "\n".join([*plain, *tables]) + "\n"


def _spelled(value: object) -> str:
    """The value in TOML (TOML 1.0: booleans, integers, arrays, basic strings)."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case list():
            return f"[{', '.join(map(_spelled, value))}]"
        case _:
            escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
            return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'
