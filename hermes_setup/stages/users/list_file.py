"""Many users at once, from a list."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hermes_setup.answers.user import parse_user
from hermes_setup.errors import WrongInput
from hermes_setup.passwords import check_password, is_hash, verify_password
from hermes_setup.phrases import listed
from hermes_setup.values import dataclass, field


@dataclass(frozen=True)
class ListedUser:
    """A user as a list has one: with a hash, with a password, or (both "") with neither yet."""

    name: str
    hash: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


def parse(raw: bytes, where: str, lines: Mapping[str, str]) -> tuple[list[ListedUser], list[str]]:
    """Who on a list is new, and who exists already with the same password (or with any, where the list has none).

    A line is a name, name:password, or name:hash as htpasswd writes it; empty ones and those with # are ignored.
    `lines` are the hashes on the machine. Raises WrongInput with the numbers of all bad lines, never with their text:
    a forgotten colon would show a password.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = raw.count(b"\n", 0, error.start) + 1
        raise WrongInput(f"{where}, line {number} is not UTF-8 text.", hint="Save the list as UTF-8.") from None
    new: list[ListedUser] = []
    existing: list[str] = []
    seen: dict[str, int] = {}
    wrong: list[tuple[int, WrongInput]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            user = _parse_line(line.removesuffix("\r"))
            if (first := seen.setdefault(user.name, number)) != number:
                raise WrongInput(f"{user.name} is in line {first} already.", hint="Keep one of the two lines.")
            if user.name not in lines:
                new.append(user)
            elif _same_password(user, lines[user.name]):
                existing.append(user.name)
            else:
                raise WrongInput(
                    f"{user.name} exists already, maybe with another password.",
                    hint=f"Remove the line from the list. To set a new password: sudo hermes-setup users passwd {user.name}",
                )
        except WrongInput as error:
            wrong.append((number, error))
    if wrong:
        (number, first_wrong), *more = wrong
        also = f" Also wrong: line {listed([str(each) for each, _ in more])}." if more else ""
        raise WrongInput(
            f"{where}, line {number}: {first_wrong.message}{also} No one was added.", hint=first_wrong.hint
        )
    if not seen:
        raise WrongInput(f"{where} has no users in it.", hint="Write one user name per line.")
    return new, existing


def _parse_line(line: str) -> ListedUser:
    name, colon, secret = line.partition(":")
    if not colon:
        if re.search(r"[\s,;|]", name.strip()):
            raise WrongInput(
                "There is more than a name, but no colon.",
                hint="Write a name, or name:password. (For a name with a space: sudo hermes-setup users add 'NAME')",
            )
        return ListedUser(parse_user(name))
    user = parse_user(name)
    if re.match(r"\$[\w-]+\$|\{[\w-]+\}", secret):
        hashed = secret.partition(":")[0].strip()  # what is behind a second colon is htpasswd's comment
        if is_hash(hashed):
            return ListedUser(user, hash=hashed)
        kind = next((each for each in _OTHER_HASHES if secret.startswith(each)), "")
        raise WrongInput(
            f"{kind} hashes are not accepted: passwords are easily guessed from them, or not every nginx can check them."
            if kind
            else "What follows the colon looks like a hash, but is not a complete $6$ or bcrypt ($2y$, $2b$) one.",
            hint="Leave only the name on that line; then a new password is made up (--generate) or asked for.",
        )
    if re.fullmatch(r"[./0-9A-Za-z]{13}(:.*)?|(.*:)?[0-9A-Fa-f]{32,}", secret.strip()):
        raise WrongInput(
            "What follows the colon may be an old kind of hash (DES, MD5) or a password: there is no way to tell.",
            hint="Leave only the name on that line; or, if it is a password, choose one of another length.",
        )
    return ListedUser(user, password=check_password(secret, user=user))


_OTHER_HASHES = ("$apr1$", "$1$", "$5$", "$y$", "$2a$", "{SHA}", "{SSHA}", "{PLAIN}")


def _same_password(user: ListedUser, line: str) -> bool:
    """True when the list asks for nothing but what that hash is."""
    if user.password:
        return verify_password(user.password, line)
    return user.hash in ("", line)
