"""What a file of answers asks for, on the machine as it is."""

from __future__ import annotations

import os
import stat
import sys

from hermes_setup import passwords
from hermes_setup.answers.answers import Answers, User
from hermes_setup.answers.file import AnswersFile, read_table
from hermes_setup.errors import WrongInput
from hermes_setup.session import Session
from hermes_setup.stages.users import entries, htpasswd
from hermes_setup.ui.talk import say

LARGEST = 1024 * 1024


def wanted(path: str, verb: str, session: Session) -> tuple[Answers, dict[str, str]]:
    """The answers, and the passwords that were made up for them."""
    if path == "":
        raise WrongInput("--answers names no file.", hint=f"sudo hermes-setup {verb} --answers FILE.toml")
    wanted = _read_answers(path, verb)
    session.need_root()
    lines, stored = htpasswd.read(session.host), session.state.answers()
    pending = {user.name: user.hash for user in stored.users if user.hash} if stored else {}
    users, made_up = entries.resolve(wanted.users, {**pending, **lines}, content)
    # agreed to by a run that did not come that far: its password has been shown already
    users = tuple(
        User(user.name, user.hash or ("" if user.name in lines else pending.get(user.name, "")), user.origin)
        for user in users
    )
    named = {user.name for user in users}
    before = stored.users if stored else ()
    kept = tuple(user for user in before if user.origin == "menu" and user.name not in named)
    gone = tuple(user.name for user in before if user.origin == "answers" and user.name not in named)
    answers = Answers(
        domain=wanted.domain,
        issuer=wanted.issuer,
        users=(*users, *kept),
        email=wanted.email,
        backend=wanted.backend,
        service=wanted.service,
        firewall=wanted.firewall,
        public_addresses=wanted.public_addresses,
        allow=wanted.allow,
        webhooks=wanted.webhooks,
        redirects=wanted.redirects,
        # those of a run that was stopped before it came to them, too
        gone=tuple(
            name
            for name in dict.fromkeys((*(stored.gone if stored else ()), *gone))
            if name in lines and name not in named
        ),
        revoked=stored.revoked if stored else (),
    )
    return answers, made_up


def _read_answers(path: str, verb: str) -> AnswersFile:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    example = f"sudo hermes-setup {verb} --answers FILE.toml"
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_size > LARGEST:
                raise WrongInput(
                    f"{path} has {status.st_size // 1024} kB; answers are a page of text.", hint="Is it the right file?"
                )
            raw = file.read(LARGEST + 1)
    except IsADirectoryError:
        raise WrongInput(f"{path} is a folder.", hint=f"Name the file in it: {example}") from None
    except (OSError, ValueError) as error:
        words = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "not a path"
        raise WrongInput(f"{path} could not be read: {words}.", hint=f"Check the name: {example}") from None
    if len(raw) > LARGEST:
        raise WrongInput(f"{path} is larger than a page of answers.", hint="Is it the right file?")
    try:
        table = tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise WrongInput(f"{path} is not UTF-8 text.", hint="Save it as UTF-8; TOML is always that.") from None
    except tomllib.TOMLDecodeError as error:
        raise WrongInput(
            f"{path} is not TOML: {error}.", hint='A line looks like: domain = "hermes.example.com"'
        ) from None
    except RecursionError:
        raise WrongInput(f"{path} is nested too deeply.", hint="Is it the right file?") from None
    answers = read_table(table)
    for user in answers.users:
        if user.password_hash and passwords.rounds(user.password_hash) > 100_000:
            say(
                f"warning: the hash of {user.name} has {passwords.rounds(user.password_hash)} rounds: nginx's worker waits "
                "while each wrong guess is checked. 27000 are enough: openssl passwd -6 makes one with 5000."
            )
    if any(user.password_hash for user in answers.users) and status.st_mode & 0o077:
        say(
            f"warning: {path} holds password hashes and others may read it (mode {stat.S_IMODE(status.st_mode):o}). "
            f"Close it: sudo chmod 600 {path}"
        )
    return answers


def content(path: str) -> bytes | None:
    """The first 4 kB of a password file; None when it is not there. Raises WrongInput when it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(4096)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        words = os.strerror(error.errno or 0) if isinstance(error, OSError) else "not a path"
        raise WrongInput(f"{path!r} could not be read: {words}.", hint="It should be a file with one line.") from None
