"""`hermes-setup users add`: one user, or everyone on a list."""

from __future__ import annotations

from hermes_setup.arguments import add_run_flags
from hermes_setup.commands import users
from hermes_setup.errors import WrongInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from hermes_setup.arguments import Parser
    from hermes_setup.session import Outcome, Session
    from hermes_setup.stages.users.list_file import ListedUser

HELP = "let a user sign in, or everyone on a list"
USAGE = """\
  hermes-setup users add NAME       [--password-stdin | --generate] [--yes] [--dry-run]
  hermes-setup users add --from FILE  [--generate] [--yes] [--dry-run]    a line each: NAME, NAME:PASSWORD or NAME:HASH
"""
MAX_SIZE = 16 * 1024 * 1024
SLOW_ROUNDS = 100_000  # rounds of a hash


def arguments(parser: Parser) -> None:
    """See `commands`."""
    parser.word("name", "the user")
    add_run_flags(parser)
    users.add_password_flags(parser)
    parser.flag(
        "--from", "a file with a line for each user: NAME, NAME:PASSWORD or NAME:HASH", metavar="FILE", dest="source"
    )


def run(arguments: argparse.Namespace, session: Session) -> Outcome:
    """The user can sign in."""
    users.choose_options(arguments, session)
    if arguments.source is not None:
        return _add_list(arguments, session)
    name = users.need_name("add", arguments.name)
    session.need_root()
    stored = users.need_set_up(session)
    from hermes_setup.stages.users import htpasswd

    if name in htpasswd.read(session.host) and name not in users.users_in_stopped_run(stored):
        raise WrongInput(f"{name} is there already.", hint=f"A new password: sudo hermes-setup users passwd {name}")
    hashed, made_up = users.new_password(name, arguments, session)
    return users.change(stored.with_hash(name, hashed), session, made_up)


def _add_list(arguments: argparse.Namespace, session: Session) -> Outcome:
    """Everyone on the list can sign in, after one run; or nothing was changed."""
    if arguments.name is not None or arguments.password_stdin:
        raise WrongInput(
            "The file after --from has the names and the passwords.", hint="hermes-setup users add --from FILE"
        )
    raw = _read(arguments.source)
    session.need_root()
    stored = users.need_set_up(session)
    from hermes_setup.phrases import listed
    from hermes_setup.stages.users import htpasswd, list_file
    from hermes_setup.ui.talk import say

    if raw.count(b"\n") > 300:
        say("A long list. Hashing a password is slow on purpose: about a minute for 3,000 of them ...")
    new, existing = list_file.parse(raw, arguments.source, htpasswd.read(session.host))
    _need_terminal_for_passwords(new, arguments, session)
    _warn_of_slow(new)
    if existing:
        say(f"Already there, and left as they are: {listed(existing)}.")
    hashes, made_up = _hashes(new, arguments, session)
    return users.change(stored.with_hashes(hashes), session, made_up)


def _need_terminal_for_passwords(new: Sequence[ListedUser], arguments: argparse.Namespace, session: Session) -> None:
    """Raises WrongInput where a password must be asked for or shown, and there is no terminal for that."""
    import sys

    from hermes_setup.phrases import listed

    bare = [each.name for each in new if not each.hash and not each.password]
    if bare and not arguments.generate and not session.interactive:
        raise WrongInput(
            f"{arguments.source} has no password for {listed(bare)}, and there is nobody to ask: this is not a terminal.",
            hint="In a terminal add --generate: they are made up and shown. Or write lines of name:password.",
        )
    if bare and not arguments.dry_run and not (sys.stdout and sys.stdout.isatty()):
        raise WrongInput(
            "The passwords of a list are made up for the screen only, and the output goes somewhere else.",
            hint="Type it in a terminal, without > and |. Or write lines of name:password.",
        )


def _warn_of_slow(new: Sequence[ListedUser]) -> None:
    from hermes_setup import passwords
    from hermes_setup.phrases import listed
    from hermes_setup.ui.talk import say

    if slow := [each.name for each in new if passwords.rounds(each.hash) > SLOW_ROUNDS]:
        say(
            f"warning: nginx waits while a password is checked, and with the hash of {listed(slow)} that takes long. "
            f"A new password fixes it: sudo hermes-setup users passwd {slow[0]}"
        )


def _hashes(
    new: Sequence[ListedUser], arguments: argparse.Namespace, session: Session
) -> tuple[dict[str, str], dict[str, str]]:
    """Name -> hash of everyone who is new; and the passwords that were made up for them."""
    from hermes_setup import passwords

    hashes: dict[str, str] = {}
    made_up: dict[str, str] = {}
    for user in new:
        if user.hash or user.password:
            hashes[user.name] = user.hash or passwords.hash_password(user.password)
        elif arguments.generate:
            made_up[user.name] = passwords.make_password()
            hashes[user.name] = passwords.hash_password(made_up[user.name], passwords.ROUNDS_MADE_UP)
        else:
            hashes[user.name], shown = users.ask_password(user.name, session)
            made_up.update(shown)
    return hashes, made_up


def _read(path: str) -> bytes:
    """The file's content. Where others can read it, that is said: it probably contains passwords."""
    import os
    import stat

    from hermes_setup import replaceable
    from hermes_setup.ui.talk import say

    try:
        raw, status = replaceable.read_own(path, MAX_SIZE + 1)
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "not a path"
        raise WrongInput(
            f"{path!r} could not be read: {reason}.", hint="Check the name: sudo hermes-setup users add --from FILE"
        ) from None
    if len(raw) > MAX_SIZE:
        raise WrongInput(f"{path} is larger than {MAX_SIZE >> 20} MB.", hint="Is it the right file?")
    if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077 and b":" in raw:
        say(
            f"warning: {path} contains passwords or hashes, and others can read it (mode {stat.S_IMODE(status.st_mode):o}). "
            f"Protect it: sudo chmod 600 {os.path.realpath(path)}"
        )
    return raw
