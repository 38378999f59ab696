"""`hermes-setup users ...`: who can sign in. What the commands in this folder share."""

from __future__ import annotations

from hermes_setup.errors import WrongInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from hermes_setup.answers.answers import Answers
    from hermes_setup.arguments import Parser
    from hermes_setup.questions.connections import OfSignedOut
    from hermes_setup.session import Outcome, Session

ORDER = ("list", "add", "passwd", "remove", "sign-out", "end-connections")


def need_name(do: str, name: str | None) -> str:
    """The user's name. Raises WrongInput where it is missing or not allowed."""
    from hermes_setup.answers.user import parse_user

    if not name:
        raise WrongInput("The user's name is missing.", hint=f"hermes-setup users {do} NAME")
    return parse_user(name)


def need_set_up(session: Session) -> Answers:
    """The answers that hold here. Raises WrongInput where nothing is set up."""
    stored = session.state.answers()
    if stored is None:
        raise WrongInput("Nothing is set up here yet.", hint="Start with: sudo hermes-setup")
    return stored


def need_user(name: str, answers: Answers, session: Session, *, unfinished: bool = False) -> None:
    """Raises WrongInput where there is no such user. `unfinished`: one of a run that was stopped counts, too."""
    from hermes_setup.phrases import listed
    from hermes_setup.stages.users import htpasswd

    lines = htpasswd.read(session.host)
    if name not in lines and not (unfinished and name in users_in_stopped_run(answers)):
        raise WrongInput(f"There is no user {name}.", hint=f"There are: {listed([*lines]) or 'none'}.")


def users_in_stopped_run(answers: Answers) -> set[str]:
    """Users that a run was to add, change or remove which was stopped before its end."""
    return {*(user.name for user in answers.users if user.hash), *answers.removed}


def choose_options(arguments: argparse.Namespace, session: Session) -> None:
    """The flags that all commands share which change users are the session's options."""
    session.choose(dry=arguments.dry_run, yes=arguments.yes)


def change(
    answers: Answers, session: Session, made_up: Mapping[str, str] | None = None, *, end_connections: bool = False
) -> Outcome:
    """The users are as in these answers, once the user agreed; and with `end_connections` nobody is connected from before."""
    from hermes_setup.job import Job, carry_out
    from hermes_setup.stages import for_users

    steps = for_users(session.renderer, end_connections=end_connections)
    return carry_out(Job(answers, steps, made_up or {}, whole_setup=False), session)


def add_connection_flags(parser: Parser) -> None:
    """The flags that say what becomes of open connections."""
    parser.flag("--end-connections", "end all open connections: chats reconnect, running downloads are cut")
    parser.flag("--keep-connections", "let open connections go on until they close")


def ends_connections(do: OfSignedOut, name: str, arguments: argparse.Namespace, session: Session) -> bool:
    """Whether all open connections are to end, too: as the flags say, else as the user does, else as Enter would.

    It is asked where someone can answer and is connected; with --yes it is not, and a dry run says what would be asked.
    """
    from hermes_setup.nginx import processes
    from hermes_setup.questions import connections
    from hermes_setup.questions.prompt import Back, agreed
    from hermes_setup.ui.talk import say

    end, keep = arguments.end_connections, arguments.keep_connections
    if end and keep:
        raise WrongInput(f"{connections.END} and {connections.KEEP} can't be used together.", hint="Keep one of them.")
    by_default = connections.ENDS[do]
    if end or keep or session.options.yes or not processes.has_connections(session.host):
        return bool(end or (by_default and not keep))
    question = connections.prompt(do, name)
    if session.options.dry:
        say(
            f'A real run would ask: "{question.text}" (Enter: {question.default}; {question.flag} answers it). '
            f"{connections.ALSO}"
        )
    if session.options.dry or not session.interactive:
        return by_default
    while isinstance(reply := agreed(session.asker, question), Back):
        session.asker.tell("There is no question before this one. Nothing has been changed yet; Ctrl-C stops.")
    return reply


def add_password_flags(parser: Parser) -> None:
    """The flags that say where a new password comes from."""
    parser.flag("--password-stdin", "read the password from stdin")
    parser.flag("--generate", "make up a password, and print it once")


def new_password(name: str, arguments: argparse.Namespace, session: Session) -> tuple[str, dict[str, str]]:
    """The hash of the password that was asked for, read from stdin, or made up (then it is in the second value)."""
    import sys

    from hermes_setup import passwords
    from hermes_setup.stages.users.answers_file import parse_password
    from hermes_setup.ui.talk import say

    if arguments.generate and arguments.password_stdin:
        raise WrongInput("--generate and --password-stdin are two sources for one password.", hint="Keep one of them.")
    if arguments.generate:
        made = passwords.make_password()
        return passwords.hash_password(made), {name: made}
    if arguments.password_stdin:
        if sys.stdin.isatty():
            say(
                f"Type the password of {name}, then Enter and Ctrl-D. (It is visible; without --password-stdin it isn't.)"
            )
        return passwords.hash_password(parse_password(sys.stdin.buffer.read(4096), "stdin", name)), {}
    return ask_password(name, session)


def ask_password(name: str, session: Session) -> tuple[str, dict[str, str]]:
    """The hash of the password that was typed or made up at the keyboard; see `new_password`."""
    from hermes_setup.questions.menu import ask_password as ask_at_keyboard
    from hermes_setup.questions.prompt import Back

    if not session.interactive:
        raise WrongInput(
            "Can't ask for the password: this is not a terminal.",
            hint="Add --generate (one is made up and printed), or --password-stdin and send it on stdin.",
        )
    asked = ask_at_keyboard(name, session.asker)
    if isinstance(asked, Back):
        raise WrongInput("No password was given, so nothing was changed.", hint="Run it again when you have one.")
    return asked[0].users[0].hash, asked[1]


def say_open_connections(outcome: Outcome, session: Session) -> None:
    """Where a change that holds now leaves connections from before open, that is said, and how to end them."""
    from hermes_setup.nginx import processes, tree
    from hermes_setup.questions import connections
    from hermes_setup.session import Outcome
    from hermes_setup.ui.talk import say

    if outcome not in (Outcome.DONE, Outcome.NOTHING_TO_DO):
        return
    if processes.workers(session.host, tree.read(session.host).pid).draining:
        say(
            "Connections from before, most likely a chat in a browser, stay open until they close. "
            f"To end them all now: sudo hermes-setup users end-connections. {connections.ALSO}"
        )
