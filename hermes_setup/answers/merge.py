"""What an answers file asks for, on a machine that may be set up already."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.user import User
from hermes_setup.values import replace


def merged(wanted: Answers, users: Sequence[User], stored: Answers | None, lines: Collection[str]) -> Answers:
    """The file's answers with these users of it, and with what the file does not decide.

    `users` are those of the file, each with the hash for its line ("" leaves the line as it is). Users who were added in
    the menu or by a command stay. Users of an earlier file who are not in this one are removed, and so are those whom a
    run that was stopped did not get to. `lines` are the names in the users' file.
    """
    if stored is None:
        return replace(wanted, users=tuple(users))
    named = {user.name for user in users}
    pending = unwritten(stored)
    # agreed to by a run that did not come that far: its password has been shown already
    own = (
        user if user.hash or user.name in lines else replace(user, hash=pending.get(user.name, "")) for user in users
    )
    kept = (user for user in stored.users if user.origin == "menu" and user.name not in named)
    dropped = (user.name for user in stored.users if user.origin == "answers")
    removed = (name for name in dict.fromkeys((*stored.removed, *dropped)) if name in lines and name not in named)
    return replace(wanted, users=(*own, *kept), removed=tuple(removed), revoked=stored.revoked)


def unwritten(stored: Answers | None) -> dict[str, str]:
    """Name -> hash that was agreed to and is on no machine yet."""
    return {user.name: user.hash for user in stored.users if user.hash} if stored else {}
