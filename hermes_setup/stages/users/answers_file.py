"""The users of an answers file, with the hash that each gives on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from hermes_setup import replaceable
from hermes_setup.answers.file import UserEntry
from hermes_setup.answers.user import User
from hermes_setup.errors import WrongInput
from hermes_setup.passwords import check_password, hash_password, is_hash, make_password, verify_password


def resolve(
    entries: Sequence[UserEntry], lines: Mapping[str, str], read: Callable[[str], bytes | None]
) -> tuple[tuple[User, ...], dict[str, str]]:
    """The users of an answers file, and the passwords that were made up for them.

    `lines` are the hashes on the machine; `read` gives a file's content, None when it is missing. A password that matches
    the line, or a missing password_file while the line is there, leaves the line alone. Raises WrongInput.
    """
    users: list[User] = []
    made_up: dict[str, str] = {}
    for entry in entries:
        line = lines.get(entry.name, "")
        if entry.password_hash:
            if not is_hash(entry.password_hash):
                raise WrongInput(
                    f"password_hash of {entry.name} is not a complete $6$ or bcrypt hash, the kinds that every server can check.",
                    hint="Make one with: openssl passwd -6",
                )
            users.append(User(entry.name, "" if entry.password_hash == line else entry.password_hash, "answers"))
        elif entry.password_file:
            raw = read(entry.password_file)
            if raw is None and not line:
                raise WrongInput(
                    f"{entry.password_file}, the password_file of {entry.name}, does not exist.",
                    hint=f"Write the password into it (sudo nano {entry.password_file}), or remove the key: then one is "
                    "made up.",
                )
            password = None if raw is None else parse_password(raw, entry.password_file, entry.name)
            keep = password is None or verify_password(password, line)
            users.append(User(entry.name, "" if keep or password is None else hash_password(password), "answers"))
        elif line:
            users.append(User(entry.name, "", "answers"))
        else:
            made_up[entry.name] = make_password()
            users.append(User(entry.name, hash_password(made_up[entry.name]), "answers"))
    return tuple(users), made_up


def read_password_file(path: str) -> bytes | None:
    """The first 4 kB of a password file; None when it does not exist. Raises WrongInput when it can't be read, or others can change it."""
    try:
        return replaceable.read_own(path, 4096)[0]
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        words = os.strerror(error.errno or 0) if isinstance(error, OSError) else "not a path"
        raise WrongInput(f"{path!r} can't be read: {words}.", hint="It should be a file with one line.") from None


def parse_password(raw: bytes, where: str, user: str) -> str:
    """The password in a file or on stdin: one line, its line end dropped. Raises WrongInput, never with the text."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise WrongInput(f"{where} is not UTF-8 text.", hint="Save the password in it as UTF-8, on one line.") from None
    text = text.removeprefix("\ufeff").removesuffix("\n").removesuffix("\r")
    try:
        return check_password(text, user=user)
    except WrongInput as error:
        raise WrongInput(f"{where}: {error.message}", hint=error.hint) from None
