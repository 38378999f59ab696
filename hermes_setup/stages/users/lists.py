"""Many users at once, from a list."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hermes_setup.answers.fields import parse_user
from hermes_setup.errors import WrongInput
from hermes_setup.passwords import check_password, is_hash, verify_password
from hermes_setup.phrases import listed
from hermes_setup.values import dataclass, field


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
        too = f" Wrong, too: line {listed([str(each) for each, _ in more])}." if more else ""
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
