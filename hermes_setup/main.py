"""The command line: words in, an engine run with some answers, an exit code out. The only place that ends the process.

Data goes to stdout, talk to stderr. Nothing heavy is imported before it is known what is wanted.
"""

from __future__ import annotations

import os
import sys

from hermes_setup import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from types import FrameType
    from typing import Any, NoReturn

    from hermes_setup.answers.answers import Answers
    from hermes_setup.engine.changes import Change
    from hermes_setup.engine.events import Event
    from hermes_setup.engine.findings import Finding
    from hermes_setup.engine.stage import Step
    from hermes_setup.state.journal import Journal
    from hermes_setup.state.store import State
    from hermes_setup.state.written import Written
    from hermes_setup.system.local import Local

HELP = """\
hermes-setup puts the Hermes dashboard on the internet: behind nginx, with a certificate and named users.

  hermes-setup [--allow-lockout]    ask, show every change, then do it; later: what is there, and a menu
  hermes-setup --dry-run [--allow-lockout]    the same questions, then every change as a diff; writes nothing at all
  hermes-setup apply --answers FILE.toml [--dry-run | --check] [--yes] [--allow-lockout]
  hermes-setup users list           [--json]    who can sign in, how each came, when the line was changed last
  hermes-setup users add NAME       [--password-stdin | --generate] [--yes] [--dry-run]
  hermes-setup users add --from FILE  [--generate] [--yes] [--dry-run]    a line each: NAME, NAME:PASSWORD or NAME:HASH
  hermes-setup users passwd NAME    [--password-stdin | --generate] [--yes] [--dry-run]
  hermes-setup users remove NAME    [--yes] [--dry-run]
  hermes-setup users sign-out NAME  (or --all) [--yes] [--dry-run]
  hermes-setup undo --last          [--yes] [--dry-run] [--allow-lockout]    put back what the last run changed
  hermes-setup answers              print the file that would repeat this set-up (hashes, never passwords)
  hermes-setup doctor [--json]      what is wrong, and what would be changed; writes nothing
  hermes-setup rehearse [--answers FILE.toml]    the whole job for real, on a throwaway copy of this server
  hermes-setup --version | --help

  --yes       agree to what the plan shows, and to nothing else
  --dry-run   show every change, make none
  --check     show what would be changed; exit 4 when that is anything
  --allow-lockout  let the allowed addresses leave out the one that this ssh session comes from

Exit: 0 done, nothing to do, or "no"  1 a stage failed, its files were put back  2 wrong usage or answers
      3 a check blocks  4 doctor or --check found something  70 a bug of ours  75 another run is at work
      129 hung up  130 ^C  143 terminated: run the same again, it goes on where it stopped
"""

LOG = "/var/log/hermes-setup.log"
LARGEST_ANSWERS = 1024 * 1024
MOST = 16 * LARGEST_ANSWERS


class Stopped(BaseException):
    """A signal asks us to end. Not an Exception: nothing on the way may take it for an error and go on."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run, and end the process with the exit code that HELP names.

    At once: the next to last thing is that all output has left, and to clear a memory away that goes with the process
    takes a sixth of a short run.
    """
    try:
        code = run(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:  # before anything could begin, or once more in the last words
        code = 130
    if "signal" in sys.modules:  # else no more than --version was printed
        _deaf()
    _cursor()
    code = _flushed(code)
    if local := sys.modules.get("hermes_setup.system.local"):
        local.end_questions()
    os._exit(code)


def _deaf() -> None:
    """No signal that asks us to end is heard any more: this is the end already."""
    import signal

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _cursor() -> None:
    """The cursor is there, even if a line that moves was cut off in the middle."""
    import contextlib

    if "rich.live" in sys.modules and _terminal() and os.environ.get("TERM", "dumb") != "dumb":
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write("\x1b[?25h")
            sys.stderr.flush()


def _flushed(code: int) -> int:
    """The exit code, once all data has left: what did not arrive is not "done"."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError as error:
        _nowhere(1)
        if not isinstance(error, BrokenPipeError):
            _say(f"The output could not be written: {os.strerror(error.errno or 0)}.")
            code = code or 1
    try:
        if sys.stderr:
            sys.stderr.flush()
    except OSError:
        _nowhere(2)
    return code


def _nowhere(stream: int) -> None:
    """What is written to stdout (1) or stderr (2) goes nowhere, or Python complains of what is left when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream)


def run(argv: list[str]) -> int:
    """Do what the words say; the exit code. Every way to fail ends here."""
    if argv in (["--version"], ["-V"]):
        print(f"hermes-setup {__version__}")
        return 0
    if argv == ["help"] or "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0
    import gc

    gc.set_threshold(
        100_000
    )  # nothing that is imported is ever garbage, and looking for some in it takes a fifth of the start
    from hermes_setup.errors import HermesSetupError, WrongInput

    _catch_signals()
    if sys.stdin is None:  # closed by the caller: nobody is there, and nothing can be read
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 - until the end
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - likewise
    if reconfigure := getattr(sys.stdout, "reconfigure", None):
        # data is UTF-8 whatever the terminal's locale; but names in files that others wrote may be none
        reconfigure(encoding="utf-8", errors="surrogateescape")
    try:
        wishes = ("HERMES_SETUP_PLAIN", "NO_COLOR")
        if "SUDO_USER" in os.environ and not all(name in os.environ for name in wishes):
            from hermes_setup.ancestors import before_sudo
            from hermes_setup.system.local import Local

            os.environ.update(before_sudo(Local(), wishes))
        return _verb(argv)
    except HermesSetupError as error:
        if behind := _stop_behind(error):
            return _stopped(behind, argv)
        import contextlib

        from hermes_setup.ui.screen import Screen

        _log(f"error: {error.message}")
        with contextlib.suppress(OSError, SystemExit):  # the terminal may be gone; see below
            screen = _under_way.get("screen") or Screen()  # that of the run: it shows no finding twice
            screen.failed(error, log=LOG if _logging and not isinstance(error, WrongInput) else "")
        return error.exit_code
    except (KeyboardInterrupt, Stopped) as stop:
        return _stopped(stop, argv)
    except (
        BrokenPipeError,
        SystemExit,
    ):  # whoever read our output has enough, as `| head` does (SystemExit: rich's word)
        _nowhere(1)
        begun = _under_way or (_logging and not _finished)
        return _interrupted(129, "Nobody reads the output any more", argv) if begun else 0
    except Exception as error:  # noqa: BLE001 - the one place where a bug ends
        if behind := _stop_behind(error):
            return _stopped(behind, argv)
        return _bug(argv)


# -- ways to end ----------------------------------------------------------------------------------------------------------


def _catch_signals() -> None:
    import signal

    def stop(number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a lost terminal tells everybody twice
        raise Stopped(number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, stop)


def _stop_behind(error: BaseException) -> BaseException | None:
    """The signal in whose wake this error came: a terminal that is gone refuses the last words, too."""
    import errno

    if isinstance(error, OSError) and error.errno == errno.EIO and error.filename is None:
        return Stopped(1)  # the terminal is gone, and its signal is still on its way (tty_ioctl(4))
    at = error.__context__
    while at is not None and not isinstance(at, (KeyboardInterrupt, Stopped)):
        at = at.__context__
    return at


def _stopped(stop: BaseException, argv: list[str]) -> int:
    if not isinstance(stop, Stopped):
        return _interrupted(130, "Stopped by Ctrl-C", argv)
    words = "The terminal was closed" if stop.number == 1 else "Stopped by a signal"
    return _interrupted(128 + stop.number, words, argv)


def _interrupted(code: int, words: str, argv: list[str]) -> int:
    import contextlib
    import shlex

    _deaf()
    _log(f"{words}: {shlex.join(argv)}")
    again = shlex.join(["sudo", "hermes-setup", *argv])
    with contextlib.suppress(OSError, ValueError):  # the terminal may be gone
        if _under_way:
            done = ", ".join(_under_way["done"]) or "nothing yet"
            sound = "Everything on this server is in a sound state."
            if _under_way["now"] == "Packages":
                sound = "What apt had begun may be half installed; the same again finishes it."
            _say(f"\n{words} during: {_under_way['now']}. Done so far: {done}. {sound}")
            _say(f"Go on: {again}")
        else:
            kept = "; answers given so far are kept" if _kept else ""
            _say(f"\n{words}. Nothing was changed{kept}. Go on: {again}")
    return code


_under_way: dict[str, Any] = {}
_finished = False
"""True once all that a changing run was to do is done, and only its farewell is left."""
_kept = False
"""True once the wizard keeps each answer on the disk: whoever is interrupted is asked only for the rest."""


def _bug(argv: list[str]) -> int:
    import platform
    import shlex
    import traceback

    kind = sys.exc_info()[0]
    _log(f"bug in: hermes-setup {shlex.join(argv)}\n{traceback.format_exc()}")
    _say(f"This is a bug in hermes-setup {__version__}, not a mistake of yours ({kind.__name__ if kind else '?'}).")
    if _logging and os.access(LOG, os.R_OK):
        _say(f"What happened stands at the end of {LOG}; it holds no password. Please report its last lines, with:")
    else:
        traceback.print_exc()
        _say("Please report the lines above, with:")
    _say(f"  hermes-setup {__version__}, Python {platform.python_version()}, {platform.platform()}")
    _say("Running it again is safe: it goes on where it stopped.")
    return 70


def _say(text: str) -> None:
    """The line stands on stderr. Where nobody can read it, that is no reason to fail."""
    try:
        print(_wrapped(text), file=sys.stderr, flush=True)
    except OSError:
        _nowhere(2)


def _wrapped(text: str) -> str:
    """Broken at words where the terminal would break it anywhere, in the middle of a command for one."""
    if not (sys.stderr and sys.stderr.isatty()):
        return text
    import textwrap

    try:
        width = os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        width = 80
    whole = {"break_long_words": False, "break_on_hyphens": False}
    return "\n".join(textwrap.fill(line, max(20, width - 1), **whole) for line in text.split("\n"))  # type: ignore[arg-type]


_logging = False


def _log(line: str) -> None:
    """The line is in the log, once a run that may change something has begun. A full disk does not end the run."""
    if not _logging:
        return
    import contextlib
    import time

    with contextlib.suppress(OSError):
        handle = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if os.fstat(handle).st_mode & 0o077:
                os.fchmod(handle, 0o600)
            if os.fstat(handle).st_size > 2 * LARGEST_ANSWERS:
                os.replace(LOG, f"{LOG}.1")
            os.write(handle, f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}\n".encode("utf-8", "replace"))
        finally:
            os.close(handle)


# -- words ----------------------------------------------------------------------------------------------------------------


def _verb(argv: list[str]) -> int:
    from hermes_setup.errors import WrongInput

    words = [word for word in argv if not word.startswith("-")]
    verb = words[0] if words else ""
    if not verb:
        flags = _flags(argv, {"--dry-run": False, "--allow-lockout": False}, 0)
        return _wizard(dry="--dry-run" in flags, lockout="--allow-lockout" in flags)
    rest = [word for number, word in enumerate(argv) if number != argv.index(verb)]
    match verb:
        case "apply":
            plain = ("--dry-run", "--check", "--yes", "--allow-lockout")
            flags = _flags(rest, {"--answers": True, **dict.fromkeys(plain, False)}, 0)
            if "--answers" not in flags:
                raise WrongInput("apply needs the file of answers.", hint="sudo hermes-setup apply --answers FILE.toml")
            if "--dry-run" in flags and "--check" in flags:
                raise WrongInput("--dry-run and --check are two ways of the same look.", hint="Keep one of them.")
            return _apply(
                flags["--answers"],
                dry="--dry-run" in flags,
                check="--check" in flags,
                yes="--yes" in flags,
                lockout="--allow-lockout" in flags,
            )
        case "users":
            return _users(rest)
        case "answers":
            _flags(rest, {}, 0)
            return _answers()
        case "undo":
            plain = ("--last", "--yes", "--dry-run", "--allow-lockout")
            flags = _flags(rest, dict.fromkeys(plain, False), 0)
            if "--last" not in flags:
                raise WrongInput("Only the last run can be undone.", hint="Say so: sudo hermes-setup undo --last")
            return _undo(dry="--dry-run" in flags, yes="--yes" in flags, lockout="--allow-lockout" in flags)
        case "rehearse":
            flags = _flags(rest, {"--answers": True}, 0)
            return _rehearse(flags.get("--answers"))
        case "doctor":
            flags = _flags(rest, {"--json": False}, 0)
            return _doctor(as_json="--json" in flags)
        case _:
            import difflib

            near = difflib.get_close_matches(verb, ["apply", "users", "undo", "answers", "doctor", "rehearse"], 1)
            raise WrongInput(
                f"hermes-setup has no command {verb!r}.",
                hint=f"Did you mean: hermes-setup {near[0]}?" if near else "See all: hermes-setup --help",
            )


def _flags(argv: Sequence[str], known: dict[str, bool], names: int) -> dict[str, str]:
    """The flags, and the plain words under "0", "1", ...; `known` says which flags take a value. Raises WrongInput."""
    from hermes_setup.errors import WrongInput

    found: dict[str, str] = {}
    plain: list[str] = []
    rest = list(argv)
    only_plain = False
    while rest:
        word = rest.pop(0)
        flag, equals, value = word.partition("=")
        if only_plain or not word.startswith("-") or word == "-":
            plain.append(word)
        elif word == "--":
            only_plain = True
        elif flag not in known:
            import difflib

            near = difflib.get_close_matches(flag, known, 1)
            raise WrongInput(
                f"There is no flag {flag} here.",
                hint=f"Did you mean {near[0]}?" if near else f"The flags are: {', '.join(known) or 'none'}.",
            )
        elif known[flag]:
            if not equals:
                if not rest:
                    raise WrongInput(f"{flag} needs a value behind it.", hint="See: hermes-setup --help")
                value = rest.pop(0)
            found[flag] = value
        elif equals:
            raise WrongInput(f"{flag} takes no value.", hint=f"Write only {flag}.")
        else:
            found[flag] = ""
    if len(plain) > names:
        if "--answers" in known and plain[names].endswith(".toml"):
            raise WrongInput(
                f"{plain[names]!r} is a word too many.",
                hint=f"Did you mean: hermes-setup apply --answers {plain[names]}?",
            )
        raise WrongInput(f"{plain[names]!r} is a word too many.", hint="See: hermes-setup --help")
    return {**found, **{str(number): word for number, word in enumerate(plain)}}


def _need_root() -> None:
    import shlex

    from hermes_setup.errors import WrongInput

    if os.geteuid() != 0:
        raise WrongInput(
            "This needs root: it reads and writes nginx's and certbot's files.",
            hint=f"Type it again with sudo in front: {shlex.join(['sudo', 'hermes-setup', *sys.argv[1:]])}",
        )


def _asker() -> AskerType:
    """Who is asked: one for the whole run, so that it introduces itself once."""
    global _the_asker
    if _the_asker is None:
        from hermes_setup.ui.ask import asker

        _the_asker = asker()
    return _the_asker


_the_asker: AskerType | None = None


def _screen() -> ScreenType:
    """What is drawn on: one for the whole run, so that no finding is told twice."""
    global _the_screen
    if _the_screen is None:
        from hermes_setup.ui.screen import Screen

        _the_screen = Screen()
    return _the_screen


_the_screen: ScreenType | None = None


def _renderer() -> RendererType:
    """What fills in the templates: one for the whole run."""
    global _the_renderer
    if _the_renderer is None:
        from hermes_setup.nginx.render import Renderer

        _the_renderer = Renderer()
    return _the_renderer


_the_renderer: RendererType | None = None


def _terminal() -> bool:
    streams = (sys.stdin, sys.stderr)  # None where the caller has closed it
    return all(stream is not None and stream.isatty() for stream in streams)


# -- commands -------------------------------------------------------------------------------------------------------------


def _apply(path: str, *, dry: bool, check: bool, yes: bool, lockout: bool) -> int:
    from hermes_setup.state.store import State
    from hermes_setup.values import replace

    answers, made_up = _wanted(path, state := State(), "apply")
    answers = replace(answers, lockout=lockout)
    return _carry_out(answers, state, made_up, dry=dry or check, check=check, yes=yes)


def _wanted(path: str, state: State, verb: str) -> tuple[Answers, dict[str, str]]:
    """What the file of answers asks for, on the machine as it is; and the passwords that were made up for it."""
    from hermes_setup.answers.answers import Answers, User
    from hermes_setup.errors import WrongInput
    from hermes_setup.stages.users import entries

    if path == "":
        raise WrongInput("--answers names no file.", hint=f"sudo hermes-setup {verb} --answers FILE.toml")
    wanted = _read_answers(path, verb)
    _need_root()
    lines, stored = _lines(), state.answers()
    pending = {user.name: user.hash for user in stored.users if user.hash} if stored else {}
    users, made_up = entries.resolve(wanted.users, {**pending, **lines}, _content)
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
            name for name in dict.fromkeys((*(stored.gone if stored else ()), *gone)) if _goes(name, named, lines)
        ),
        revoked=stored.revoked if stored else (),
    )
    return answers, made_up


def _goes(name: str, named: Collection[str], lines: Collection[str]) -> bool:
    return name in lines and name not in named


def _read_answers(path: str, verb: str) -> AnswersFileType:
    import stat

    from hermes_setup.answers.file import read_table
    from hermes_setup.errors import WrongInput

    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    example = f"sudo hermes-setup {verb} --answers FILE.toml"
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_size > LARGEST_ANSWERS:
                raise WrongInput(
                    f"{path} has {status.st_size // 1024} kB; answers are a page of text.", hint="Is it the right file?"
                )
            raw = file.read(LARGEST_ANSWERS + 1)
    except IsADirectoryError:
        raise WrongInput(f"{path} is a folder.", hint=f"Name the file in it: {example}") from None
    except (OSError, ValueError) as error:
        words = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "not a path"
        raise WrongInput(f"{path} could not be read: {words}.", hint=f"Check the name: {example}") from None
    if len(raw) > LARGEST_ANSWERS:
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
    from hermes_setup import passwords

    for user in answers.users:
        if user.password_hash and passwords.rounds(user.password_hash) > 100_000:
            _say(
                f"warning: the hash of {user.name} has {passwords.rounds(user.password_hash)} rounds: nginx's worker waits "
                "while each wrong guess is checked. 27000 are enough: openssl passwd -6 makes one with 5000."
            )
    if any(user.password_hash for user in answers.users) and status.st_mode & 0o077:
        _say(
            f"warning: {path} holds password hashes and others may read it (mode {stat.S_IMODE(status.st_mode):o}). "
            f"Close it: sudo chmod 600 {path}"
        )
    return answers


def _content(path: str, most: int = 4096) -> bytes | None:
    """A file's content, up to `most` bytes; None when it is not there. Raises WrongInput when it cannot be read."""
    from hermes_setup.errors import WrongInput

    try:
        with open(path, "rb") as file:
            return file.read(most)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        words = os.strerror(error.errno or 0) if isinstance(error, OSError) else "not a path"
        raise WrongInput(f"{path!r} could not be read: {words}.", hint="It should be a file with one line.") from None


def _lines() -> dict[str, str]:
    """Name -> hash, as they stand in the users' file now."""
    from hermes_setup.stages.users import htpasswd

    return htpasswd.hashes((_content(htpasswd.USERS_FILE, MOST) or b"").decode("utf-8", "surrogateescape"))


def _users(argv: list[str]) -> int:
    from hermes_setup import phrases
    from hermes_setup.answers.answers import User
    from hermes_setup.answers.fields import parse_user
    from hermes_setup.errors import WrongInput
    from hermes_setup.state.store import State
    from hermes_setup.values import replace

    do = next((word for word in argv if not word.startswith("-")), "")
    rest = [word for number, word in enumerate(argv) if number != (argv.index(do) if do else -1)]
    common = {"--yes": False, "--dry-run": False}
    match do:
        case "list":
            return _list(as_json="--json" in _flags(rest, {"--json": False}, 0))
        case "add" | "passwd":
            source = {"--from": True} if do == "add" else {}
            flags = _flags(rest, {**common, "--password-stdin": False, "--generate": False, **source}, 1)
        case "remove":
            flags = _flags(rest, common, 1)
        case "sign-out":
            flags = _flags(rest, {**common, "--all": False}, 1)
            if ("--all" in flags) == ("0" in flags):
                raise WrongInput("Sign out whom?", hint="hermes-setup users sign-out NAME, or: users sign-out --all")
        case _:
            raise WrongInput(
                f"users {do}: there is no such command." if do else "users needs one more word.",
                hint="hermes-setup users list | add NAME | passwd NAME | remove NAME | sign-out NAME",
            )
    if "--from" in flags:
        return _add_list(flags["--from"], flags)
    if "0" not in flags and do != "sign-out":
        raise WrongInput("The user's name is missing.", hint=f"hermes-setup users {do} NAME")
    name = parse_user(flags["0"]) if "0" in flags else ""
    _need_root()
    state = State()
    stored, lines = state.answers(), _lines()
    if stored is None:
        raise WrongInput("Nothing is set up here yet.", hint="Start with: sudo hermes-setup")
    begun = {user.name for user in stored.users if user.hash} | {
        *stored.gone
    }  # by a run that was stopped before its end
    if do == "add" and name in lines and name not in begun:
        raise WrongInput(f"{name} is there already.", hint=f"A new password: sudo hermes-setup users passwd {name}")
    if do != "add" and name and name not in lines and not (do == "remove" and name in begun):
        raise WrongInput(f"There is no user {name}.", hint=f"There are: {phrases.listed([*lines]) or 'none'}.")
    made_up: dict[str, str] = {}
    others = tuple(user for user in stored.users if user.name != name)
    if do == "remove":
        answers = replace(stored, users=others, gone=(*stored.gone, name))
    elif do == "sign-out":
        answers = replace(stored, revoked=(*stored.revoked, *_revoked(name)))
    else:
        hashed, made_up = _new_hash(name, flags)
        known = next((user for user in stored.users if user.name == name), User(name))
        answers = replace(
            stored,
            users=(*others, replace(known, hash=hashed)),
            gone=tuple(gone for gone in stored.gone if gone != name),
        )
    code = _carry_out(answers, state, made_up, dry="--dry-run" in flags, yes="--yes" in flags, stages=_user_stages())
    if code == 0 and "--dry-run" not in flags and do in ("remove", "passwd", "sign-out"):
        _say_retiring()
    return code


def _list(*, as_json: bool) -> int:
    from hermes_setup.commands import status
    from hermes_setup.state.store import State
    from hermes_setup.ui.screen import Screen, users_json

    _need_root()
    state = State()
    who = status.users(state.answers(), _lines(), state.lines(), _found())
    if as_json:
        print(users_json(__version__, [each.table for each in who]))
    else:
        Screen(sys.stdout).users_table([(each.name, each.words) for each in who])
    return 0


def _found() -> Written:
    """All that can be said of a line of which nothing was noted: it is no younger than its file."""
    from datetime import datetime, timezone

    from hermes_setup.stages.users import htpasswd
    from hermes_setup.state import written

    try:
        at = os.stat(htpasswd.USERS_FILE).st_mtime
    except OSError:
        at = 0  # then there are no lines
    return written.Written(datetime.fromtimestamp(at, timezone.utc), exact=False)


def _add_list(path: str, flags: dict[str, str]) -> int:
    """Everybody on the list can sign in, after one run; or nothing was changed."""
    from hermes_setup import passwords, phrases
    from hermes_setup.answers.answers import User
    from hermes_setup.errors import WrongInput
    from hermes_setup.stages.users import lists
    from hermes_setup.state.store import State
    from hermes_setup.values import replace

    if "0" in flags or "--password-stdin" in flags:
        raise WrongInput(
            "The file behind --from brings the names and the passwords.", hint="hermes-setup users add --from FILE"
        )
    raw = _read_list(path)
    _need_root()
    state = State()
    stored = state.answers()
    if stored is None:
        raise WrongInput("Nothing is set up here yet.", hint="Start with: sudo hermes-setup")
    if raw.count(b"\n") > 300:
        _say("A long list. To hash a password is slow on purpose: a minute for some 3,000 of them ...")
    new, there = lists.read_list(raw, path, _lines())
    bare = [each.name for each in new if not each.hash and not each.password]
    if bare and "--generate" not in flags and not _terminal():
        raise WrongInput(
            f"{path} has no password for {phrases.listed(bare)}, and nobody can be asked: this is no terminal.",
            hint="In a terminal add --generate: they are made up and shown. Or write lines of name:password.",
        )
    if bare and "--dry-run" not in flags and not (sys.stdout and sys.stdout.isatty()):
        raise WrongInput(
            "The passwords of a list are made up for the screen only, and the output goes elsewhere.",
            hint="Type it in a terminal, without > and |. Or write lines of name:password.",
        )
    if slow := [each.name for each in new if passwords.rounds(each.hash) > 100_000]:
        _say(
            f"warning: nginx's worker waits while a wrong guess is checked, and with the hash of {phrases.listed(slow)} that "
            f"is long. A new password mends it: sudo hermes-setup users passwd {slow[0]}"
        )
    if there:
        _say(f"There already, and left as they are: {phrases.listed(there)}.")
    hashes: dict[str, str] = {}
    made_up: dict[str, str] = {}
    for user in new:
        if user.hash or user.password:
            hashes[user.name] = user.hash or passwords.hash_password(user.password)
        elif "--generate" in flags:
            made_up[user.name] = passwords.make_password()
            hashes[user.name] = passwords.hash_password(made_up[user.name], passwords.ROUNDS_MADE_UP)
        else:
            hashes[user.name], shown = _new_hash(user.name, {})
            made_up.update(shown)
    was = {user.name: user for user in stored.users}
    answers = replace(
        stored,
        users=(
            *(user for user in stored.users if user.name not in hashes),
            *(replace(was.get(name, User(name)), hash=hashed) for name, hashed in hashes.items()),
        ),
        gone=tuple(name for name in stored.gone if name not in hashes),
    )
    return _carry_out(answers, state, made_up, dry="--dry-run" in flags, yes="--yes" in flags, stages=_user_stages())


def _read_list(path: str) -> bytes:
    """The file's content. Who else can read it is told: it is likely to hold passwords."""
    import stat

    from hermes_setup.errors import WrongInput

    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            raw = file.read(MOST + 1)
    except (OSError, ValueError) as error:
        words = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "not a path"
        raise WrongInput(
            f"{path!r} could not be read: {words}.", hint="Check the name: sudo hermes-setup users add --from FILE"
        ) from None
    if len(raw) > MOST:
        raise WrongInput(f"{path} is larger than {MOST >> 20} MB.", hint="Is it the right file?")
    if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077 and b":" in raw:
        _say(
            f"warning: {path} holds passwords or hashes, and others may read it (mode {stat.S_IMODE(status.st_mode):o}). "
            f"Close it: sudo chmod 600 {os.path.realpath(path)}"
        )
    return raw


def _revoked(name: str) -> tuple[str, ...]:
    from hermes_setup.stages.users import cookies

    gate = (_content(cookies.GATE_FILE, MOST) or b"").decode("utf-8", "surrogateescape")
    return tuple(token.digest for token in cookies.tokens(gate) if name in ("", token.name))


def _new_hash(name: str, flags: dict[str, str]) -> tuple[str, dict[str, str]]:
    """The hash of the password that was asked for, read from stdin, or made up (then it is in the second value)."""
    from hermes_setup import passwords
    from hermes_setup.errors import WrongInput
    from hermes_setup.stages.users import entries

    if "--generate" in flags and "--password-stdin" in flags:
        raise WrongInput("--generate and --password-stdin are two ways to one password.", hint="Keep one of them.")
    if "--generate" in flags:
        made = passwords.make_password()
        return passwords.hash_password(made), {name: made}
    if "--password-stdin" in flags:
        if sys.stdin.isatty():
            _say(f"Password of {name}, then Enter and Ctrl-D (it shows; without --password-stdin it would not):")
        return passwords.hash_password(entries.password_from(sys.stdin.buffer.read(4096), "stdin", name)), {}
    if not _terminal():
        raise WrongInput(
            "Nobody can be asked for the password: this is no terminal.",
            hint="Add --generate (one is made up and printed), or --password-stdin and send it on stdin.",
        )
    from hermes_setup.questions import wizard

    asked = wizard.new_password(name, _asker())
    if isinstance(asked, wizard.Back):
        raise WrongInput("No password was given, so nothing was changed.", hint="Run it again when you have one.")
    return asked[0].hash, asked[1]


def _say_retiring() -> None:
    from hermes_setup.nginx import processes, tree
    from hermes_setup.system.local import Local

    host = Local()
    if left := processes.retiring(host, tree.read(host).pid):
        _say(
            f"Connections that were open before (a chat in a browser, most likely) live on in {left} old nginx "
            f"process{'es' if left > 1 else ''}, up to an hour after they fall silent. "
            "End them now (a second's outage for every site on this server): sudo nginx -s stop; sudo nginx"
            if not os.path.isdir("/run/systemd/system")
            else f"Connections that were open before (a chat in a browser, most likely) live on in {left} old nginx "
            f"process{'es' if left > 1 else ''}. End them now (a moment's outage for every site on this server): "
            "sudo systemctl restart nginx"
        )


def _undo(*, dry: bool, yes: bool, lockout: bool, asked: bool = False) -> int:
    """What the last run changed is put back, once that is agreed to. Undone twice: done again."""
    from hermes_setup.engine.stage import Step
    from hermes_setup.errors import WrongInput
    from hermes_setup.stages import for_undo
    from hermes_setup.stages.undo import DONE, Undo
    from hermes_setup.state.store import State
    from hermes_setup.system.local import Local
    from hermes_setup.values import replace

    _need_root()
    state = State()
    stored = state.answers()
    for last, stopped in state.runs((_content(DONE) or b"").decode("utf-8", "replace")):
        back = Undo(last.name, last.whole())
        if not stopped and not back.leaves(back.look(Local())):  # it failed, and put everything back itself
            continue
        before = last.before()
        if not (answers := before or stored):
            continue
        same = stored and before and before.names == stored.names
        seen = for_undo(before=bool(before), names_stay=bool(same), lockout=lockout)
        answers = replace(answers, lockout=lockout)
        return _carry_out(
            answers,
            state,
            {},
            dry=dry,
            yes=yes,
            asked=asked,
            stages=(Step("undo", "Undo the last run", back), *seen),
            undoes=last,
        )
    raise WrongInput("There is no run to undo.", hint="See what is here: sudo hermes-setup doctor")


def _rehearse(path: str | None) -> int:
    """The job on a copy of this machine: with the file's answers, else those of the set-up here, else made-up ones."""
    from hermes_setup.commands.rehearse import rehearse
    from hermes_setup.stages import all_steps
    from hermes_setup.stages.hermes import stage as backend
    from hermes_setup.state.store import State
    from hermes_setup.system.local import Local
    from hermes_setup.ui.screen import Screen

    state = State()
    if path is not None:
        answers = _wanted(path, state, "rehearse")[0]
    else:
        _need_root()
        answers = state.answers() or _sensible()
    screen = Screen()
    screen.say(
        f"A rehearsal for {answers.domain.shown}: every step for real, on a throwaway copy of this server. The server itself "
        "is not changed, and Let's Encrypt is not asked."
    )
    if path is None and state.answers() is None:
        screen.say("Name and user are made up. With your own: sudo hermes-setup rehearse --answers FILE.toml", "dim")
    dashboards = [(at.address, at.port) for at in backend.proved(Local(), everywhere=True)]
    return rehearse(answers, all_steps(), dashboards, screen)


def _sensible() -> Answers:
    """Answers for someone who has none yet."""
    from hermes_setup import passwords
    from hermes_setup.answers.answers import Answers, User
    from hermes_setup.answers.fields import Domain, Issuer

    user = User("you", passwords.hash_password(passwords.make_password()))
    return Answers(Domain.parse("hermes.example.com"), Issuer.parse("letsencrypt"), (user,))


def _answers() -> int:
    from hermes_setup import phrases
    from hermes_setup.answers.answers import User
    from hermes_setup.answers.file import to_toml
    from hermes_setup.errors import WrongInput
    from hermes_setup.passwords import is_hash
    from hermes_setup.state.store import State
    from hermes_setup.values import replace

    _need_root()
    stored = State().answers()
    if stored is None:
        raise WrongInput("Nothing is set up here yet.", hint="Start with: sudo hermes-setup")
    lines = _lines()
    names = list(dict.fromkeys([*(user.name for user in stored.users), *lines]))
    odd = [name for name in names if name in lines and not is_hash(lines[name])]
    if odd:
        _say(
            f"warning: the line of {phrases.listed(odd)} has no $6$ or bcrypt hash, so it is left out; it was made by hand."
        )
    users = tuple(User(name) for name in names if name not in odd)
    sys.stdout.write(to_toml(replace(stored, users=users), lines))
    return 0


def _doctor(*, as_json: bool) -> int:
    from hermes_setup.engine.findings import warn
    from hermes_setup.engine.loop import Blocked, preflight
    from hermes_setup.engine.loop import run as engine_run
    from hermes_setup.engine.undoing import NoJournal
    from hermes_setup.stages import all_steps
    from hermes_setup.state.store import State
    from hermes_setup.system.local import Local
    from hermes_setup.system.overlay import Overlay

    _need_root()
    stored = State().answers()
    if stored is None:
        never = warn(
            "setup.never",
            "Nothing is set up here yet.",
            "There are no answers on this machine.",
            "Start: sudo hermes-setup",
        )
        return _diagnosis("", [("setup", never)], [], as_json=as_json)
    host, stages = Local(), all_steps()
    known = preflight(stages, stored, host)
    pending: list[Event] = []
    try:
        for event in engine_run(stages, stored, Overlay(host), NoJournal(), known):
            pending.append(event)
    except Blocked:
        pass  # its findings are among those of the preflight
    found = list(known.findings)
    if _looks(pending, "proof") and not _changes(pending):
        unseen = warn(
            "setup.unproven",
            "All is in place, but nobody has seen it work yet.",
            "The last run was stopped, or refused, before its proof.",
            "Have it proven: sudo hermes-setup",
        )
        found.append(("setup", unseen))
    return _diagnosis(stored.domain.ascii, found, _changes(pending), as_json=as_json)


def _diagnosis(
    domain: str, findings: list[tuple[str, Finding]], pending: list[tuple[str, Change]], *, as_json: bool
) -> int:
    """What was found is shown, or printed as JSON; 4 when something wants to be mended."""
    from hermes_setup.engine.findings import Severity
    from hermes_setup.ui.screen import Screen, doctor_json

    ok = not pending and all(finding.severity is Severity.NOTE for _, finding in findings)
    if as_json:
        print(doctor_json(__version__, domain, findings, pending, ok=ok))
    else:
        Screen().doctor(findings, pending)
    return 0 if ok else 4


def _changes(events: Sequence[Event]) -> list[tuple[str, Change]]:
    """(stage, change) of each change among the events, without those that only look or take notes."""
    from hermes_setup.engine.changes import Place, Run
    from hermes_setup.engine.events import Doing

    return [
        (event.stage, event.change)
        for event in events
        if isinstance(event, Doing) and isinstance(event.change, (Place, Run))
    ]


def _looks(events: Sequence[Event], stage: str = "") -> bool:
    """True when something among the events (of that stage) is still to be seen to work."""
    from hermes_setup.engine.changes import Probe
    from hermes_setup.engine.events import Doing

    return any(
        isinstance(event, Doing) and isinstance(event.change, Probe) and stage in ("", event.stage) for event in events
    )


def _user_stages() -> tuple[Step, ...]:
    from hermes_setup.stages import for_users

    return for_users(_renderer())


def _address_stages(*, lockout: bool) -> tuple[Step, ...]:
    from hermes_setup.stages import for_addresses

    return for_addresses(_renderer(), lockout=lockout)


def _wizard(*, dry: bool, lockout: bool) -> int:
    if _terminal() and os.geteuid() == 0:
        _say(f"hermes-setup {__version__}")  # at once: what a question needs takes a moment to load
    from hermes_setup.errors import WrongInput
    from hermes_setup.questions import wizard
    from hermes_setup.state.store import State
    from hermes_setup.values import replace

    if not _terminal():
        raise WrongInput(
            "Nobody can be asked: this is no terminal.",
            hint="Write the answers into a file: sudo hermes-setup apply --answers FILE.toml --yes (an example: "
            "docs/examples/server.toml)",
        )
    _need_root()
    state = State()
    if not dry:
        with state.lock("hermes-setup"):  # while another run is at work, all these questions would be for nothing
            pass
    if dry:
        _say(
            "A dry run: the same questions, and nothing is changed. A password that it shows is for practice, and valid nowhere."
        )
    stored = state.answers()
    if stored is not None:
        return _again(state, replace(stored, lockout=lockout), dry=dry)
    return _ask_all(state, wizard.Draft() if dry else _draft(state), None, dry=dry)


def _draft(state: State) -> DraftType:
    from hermes_setup.errors import WrongInput
    from hermes_setup.questions import wizard

    try:
        return wizard.Draft.from_table(state.draft() or {})
    except WrongInput:
        return wizard.Draft()


def _ask_all(state: State, draft: DraftType, previous: Answers | None, *, dry: bool) -> int:
    """The questions, the answers once more, the plan, "Go ahead?", and back from there when that is wanted."""
    from hermes_setup.questions import wizard
    from hermes_setup.values import replace

    keyboard = _asker()
    known = _first_known(previous)

    global _kept
    _kept = not dry and previous is None

    def keep(now: DraftType) -> None:
        if _kept:
            state.keep_draft(now.to_table())

    back, later = False, dict[str, str]()
    while True:
        draft, later = wizard.walk(
            draft, known, keyboard, keep, back=back, later=later, look=lambda now: _all_known(now, previous)
        )
        _review(draft.answers(previous))
        code = _unless_blocked(draft.answers(previous), state, later, dry=dry)
        if code == _WANTS_DOMAIN:
            draft, back = replace(draft, domain=None, redirect=None), False
        elif code == _WANTS_BACK:
            back = True  # and all is looked at anew: what was in the way may be gone, or be there now
        else:
            return code


_WANTS_BACK = -1
_WANTS_DOMAIN = -2


def _unless_blocked(answers: Answers, state: State, later: dict[str, str], *, dry: bool) -> int:
    """As `_carry_out`; a check that blocks is shown, and who was asked is asked what now."""
    from hermes_setup.commands import blocked
    from hermes_setup.engine.loop import Blocked
    from hermes_setup.questions import wizard
    from hermes_setup.system.local import Local
    from hermes_setup.ui.screen import Screen

    wanted = {} if dry else later
    try:
        return _promised(wanted, lambda: _carry_out(answers, state, later, dry=dry, asked=True))
    except Blocked as stopped:
        if _under_way:  # it had begun: what is done is told by the one handler of all failures
            raise
        screen = Screen()
        screen.findings(stopped.findings)
        waiting = blocked.curable(stopped.findings)
        if waiting:
            screen.say(blocked.meanwhile(answers, Local(), os.environ.get("SUDO_USER", "root")))
        unfit = any(finding.code.startswith("dns.") for finding in stopped.findings)
        match wizard.what_now(_asker(), waiting=waiting, unfit=unfit, kept=state.draft() is not None):
            case "wait":
                blocked.wait(answers, Local(), screen)
                return _unless_blocked(answers, state, later, dry=dry)
            case "again":
                return _unless_blocked(answers, state, later, dry=dry)
            case "domain":
                return _WANTS_DOMAIN
            case "back":
                return _WANTS_BACK
            case _:
                _show_passwords(wanted)
                return stopped.exit_code


def _promised(made_up: dict[str, str], act: Callable[[], int], *, kept: bool = True) -> int:
    """As `act`; who wanted to see a made-up password once more at the end sees it at an end that comes too early, too.

    Unless nothing had begun and nothing is `kept`: then it is no password.
    """
    from hermes_setup.engine.loop import Blocked

    try:
        return act()
    except BaseException as error:
        import contextlib

        if _under_way or (kept and not isinstance(error, Blocked)):  # whom a check stops is asked what now
            with contextlib.suppress(OSError):  # the terminal may be gone
                _show_passwords(made_up)
        raise


def _show_passwords(made_up: dict[str, str]) -> None:
    from hermes_setup.ui.screen import Screen

    screen = Screen()
    for name, password in made_up.items():
        screen.say(f"The password of {name}, shown only this once; save it now:")
        screen.hang("    ", password, body="bold")


def _review(answers: Answers) -> None:
    """The answers are on the screen once more, before anything is made of them."""
    from hermes_setup.commands import status
    from hermes_setup.stages.hermes.stage import proved
    from hermes_setup.system.local import Local
    from hermes_setup.ui.screen import Screen

    found = next(iter(proved(Local())), None) if answers.backend is None else None
    screen = Screen()
    screen.say()
    screen.say("Your answers:", "bold")
    screen.overview(status.review(answers, str(found or "")))


def _first_known(previous: Answers | None) -> KnownType:
    """What the first question wants to know. Nobody is asked for it, and little is imported: somebody waits."""
    from socket import gethostname

    from hermes_setup.questions import wizard
    from hermes_setup.system.local import Local

    name = gethostname()
    return wizard.Known(
        fqdn=name if "." in name and not name.endswith((".localdomain", ".internal", ".local")) else "",
        addresses=Local().addresses(),
        login=os.environ.get("SUDO_USER", ""),
        previous=previous,
    )


def _all_known(known: KnownType, previous: Answers | None) -> KnownType:
    """What the machine says already, all that the later questions need."""
    from hermes_setup.stages import webhooks
    from hermes_setup.stages.hermes import service
    from hermes_setup.stages.hermes.stage import proved
    from hermes_setup.system.local import Local
    from hermes_setup.values import replace

    host = Local()
    backends = proved(host)
    idle = None if backends else service.idle(host)
    return replace(
        known,
        idle=idle.user if idle else "",
        hooks=webhooks.listening(host) if not previous else (),
        backends=backends,
        users=tuple(_lines()),
    )


def _again(state: State, stored: Answers, *, dry: bool) -> int:
    """A machine that was agreed about before: finish what is unfinished, else the menu."""
    from hermes_setup.questions import menu

    if state.begun():
        _say(f"The set-up of {stored.domain.label} was begun and not finished. It goes on from where it stopped.")
        _say("To change an answer: < and Enter at its question.")
        return _go_on(state, stored, dry=dry)
    visit = _visit(stored, _look_over(stored))
    if visit.pending:
        _say("Not everything is as it should be. Enter shows what would put it right.")
    while True:
        code = _grant(menu.menu(visit, _asker()), state, dry=dry)
        if code >= 0:
            return code


def _visit(stored: Answers, pending: int | None) -> VisitType:
    """What the menu knows: at once what is at hand, the rest when it is asked for."""
    from hermes_setup.questions import menu
    from hermes_setup.stages import webhooks
    from hermes_setup.stages.addresses.ssh import find
    from hermes_setup.stages.hermes import service
    from hermes_setup.stages.hermes.stage import proved
    from hermes_setup.system.local import Local

    host = Local()

    def idle() -> str:
        found = service.idle(host)
        return found.user if found else ""

    return menu.Visit(
        stored,
        tuple(_lines()),
        find(host),
        pending,
        listening=lambda: webhooks.listening(host),
        backends=lambda: proved(host),
        idle=idle,
        cookies=_revoked,
    )


def _grant(wish: WishType, state: State, *, dry: bool) -> int:
    """What was chosen in the menu is done; _WANTS_BACK leads to the menu again."""
    match wish.do:
        case "quit":
            return 0
        case "list":
            _list(as_json=False)
            return _WANTS_BACK
        case "check":
            return _doctor(as_json=False)
        case "undo":
            return _undo(dry=dry, yes=False, lockout=wish.answers.lockout, asked=True)
        case "addresses":
            return _readdress(state, wish.answers, dry=dry)
        case "show" | "domain" | "certificate" | "hermes" | "webhooks":
            return _unless_blocked(wish.answers, state, {}, dry=dry)
    made_up = dict(wish.made_up)
    code = _promised(
        made_up,
        lambda: _carry_out(wish.answers, state, made_up, dry=dry, asked=True, stages=_user_stages()),
        kept=False,
    )
    if code == 0 and not dry and wish.do != "add":
        _say_retiring()
    return code


def _readdress(state: State, answers: Answers, *, dry: bool) -> int:
    """The dashboard opens to these addresses, once that is agreed to; no user changes."""
    from hermes_setup.stages.addresses.stage import told

    code = _carry_out(answers, state, {}, dry=dry, asked=True, stages=_address_stages(lockout=answers.lockout))
    if code == 0 and not dry and _finished:
        _say(f"The dashboard opens to: {told(answers.allow) or 'every address'}.")
        _say_retiring()
    return code


def _go_on(state: State, stored: Answers, *, dry: bool) -> int:
    """What was agreed to is done; going back from the plan leads to the questions."""
    from hermes_setup.questions import wizard

    code = _unless_blocked(stored, state, {}, dry=dry)
    return _ask_all(state, wizard.Draft.again(stored), stored, dry=dry) if code < 0 else code


def _look_over(stored: Answers) -> int | None:
    """What is set up here is on the screen, with what the checks found. How many changes a run would make; None if it is blocked."""
    from hermes_setup.commands import status
    from hermes_setup.engine.findings import Severity
    from hermes_setup.engine.loop import Blocked, preflight
    from hermes_setup.stages import all_steps
    from hermes_setup.system.local import Local

    host, screen, steps = Local(), _screen(), all_steps(_renderer(), lockout=stored.lockout)
    known = preflight(steps, stored, host)
    screen.overview(status.lines(stored, known.facts.values(), _lines()))
    if told := [finding for _, finding in known.findings if finding.severity > Severity.NOTE]:
        screen.findings(told)
        screen.say()
    try:
        return len(_changes(_forecast(steps, stored, host, known)[1]))
    except Blocked:
        return None


# -- one run --------------------------------------------------------------------------------------------------------------


def _carry_out(
    answers: Answers,
    state: State,
    made_up: dict[str, str],
    *,
    dry: bool,
    check: bool = False,
    yes: bool = False,
    asked: bool = False,
    stages: Sequence[Step] = (),
    undoes: Journal | None = None,
) -> int:
    """Look, show every change, ask, do. One path for the wizard, the answers file, the menu and the dry run.

    `asked`: the wizard asked for these answers, so one can go back to it (_WANTS_BACK), it has shown the made-up
    passwords, and those in `made_up` are wanted once more at the end. `stages`: only these, and no long farewell. `undoes`: the run that
    this one puts back.
    """
    from hermes_setup import phrases
    from hermes_setup.errors import WrongInput
    from hermes_setup.stages import all_steps
    from hermes_setup.state import written
    from hermes_setup.system.local import Local

    screen = _screen()
    # Who looks on wants to know of all that is amiss; a run that only has to hold what holds asks what it needs.
    renderer = _renderer()
    every = stages or all_steps(renderer, lockout=answers.lockout, quick_dns=not (dry or asked))
    renderer.known |= state.rendered()
    renderer.forget()  # what is no longer rendered, as the cookies of who is gone, is not kept
    answers = answers.following(state.answers())
    gone = undoes is not None and undoes.before() is None
    if dry:
        events = _forecast(every, answers, Local(), None)[1]
        changed = screen.forecast(events, diffs=True)
        if changed and made_up and not asked:
            screen.say(
                f"A password for {phrases.listed([*made_up])} will be made up, and shown once, when it is done for real."
            )
        if changed:
            screen.say("That was a dry run: nothing has been changed.", "bold")
        return 4 if check and changed else 0
    with state.lock(" ".join(["hermes-setup", *sys.argv[1:3]])):
        global _finished, _logging  # from here on something may be changed, and the log says what
        _logging = True
        host = Local(log=_log)
        if not stages:
            screen.say("Looking at this server ...", "dim")
        known, events = _forecast(every, answers, host, None)
        if not _changes(events):
            # Stopped, or refused, before it was proven: that it is there does not say that it works.
            if _looks(events) or undoes:
                state.open(state.answers())
                _work(every, answers, host, state.begin(), screen, known)
                _under_way.clear()
            state.settle(None if gone else answers)
            _finished = True
            state.keep_rendered({} if gone else renderer.used)
            screen.findings(finding for _, finding in known.findings)
            screen.say("Nothing to do: everything is as it should be.", "bold")
            return 0
        screen.forecast(events)
        if not yes:
            if not _terminal():
                raise WrongInput(
                    "Nobody can be asked to go ahead: this is no terminal.", hint="Add --yes to agree to this plan."
                )
            agreed = _go_ahead(back=asked)
            if agreed == "back":
                return _WANTS_BACK
            if agreed == "no":
                screen.say("Nothing was changed.")
                if asked and not stages:  # the answers are kept, so these are going to be good
                    _show_passwords(made_up)
                return 0
        if made_up and not asked:
            screen.say("Made-up passwords, shown only this once; save them now:", "bold")
            _hand_over(made_up)
        state.open(state.answers())
        if not gone:
            state.agree(answers)
        _note_lines(state, events, written.Written(host.now(), exact=True) if undoes is None else None)
        journal = state.begin(undoes=undoes.name if undoes else "")
        renderer.forget()
        _work(every, answers, host, journal, screen, known if yes else None)
        state.settle(None if gone else answers)
        _under_way.clear()
        _finished = True
        state.keep_rendered({} if gone else renderer.used)
        if undoes:
            screen.say(_undone(undoes, [finding.code for _, finding in known.findings], gone=gone), "bold")
        elif stages:
            screen.say(f"Done. Who can sign in: {phrases.listed([*_lines()])}.", "bold")
            if asked:
                _show_passwords(made_up)
        else:
            screen.done(answers, made_up if asked else {}, who=_lines())
    return 0


def _undone(run: Journal, codes: Sequence[str], *, gone: bool) -> str:
    """The last words of an undoing."""
    if "undo.edited" in codes:
        return "Undone, but for what was edited since (above)."
    if gone:
        return "Undone. Nothing is set up here any more. To start again: sudo hermes-setup"
    if run.undoes:
        return "Done again: it is as it was after that run. Once more, and it is undone."
    return "Undone: it is as it was before the last run. Once more, and that run is done again."


def _note_lines(state: State, events: Sequence[Event], now: Written | None) -> None:
    """When the lines were written that the run of these events is about to change, or to leave. See `accounts.dated`."""
    from hermes_setup.engine.changes import Place
    from hermes_setup.host import File
    from hermes_setup.stages.users import htpasswd
    from hermes_setup.state import written

    before = after = _lines()
    for _, change in _changes(events):
        if isinstance(change, Place) and change.path == htpasswd.USERS_FILE:
            text = change.node.content if isinstance(change.node, File) else b""
            after = htpasswd.hashes(text.decode("utf-8", "surrogateescape"))
    state.keep_lines(written.dated(state.lines(), before, after, _found(), now))


def _hand_over(made_up: dict[str, str]) -> None:
    """The passwords stand on stdout. Raises HermesSetupError where they could not: nobody would know them."""
    from hermes_setup.errors import HermesSetupError

    try:
        if sys.stdout is None:
            raise OSError(9, os.strerror(9))
        for name, password in made_up.items():
            print(f"{name}\t{password}", flush=True)
    except OSError as error:
        _nowhere(1)
        raise HermesSetupError(
            f"The made-up password could not be written to stdout ({os.strerror(error.errno or 0)}), so nothing was changed.",
            hint="Let stdout go to the screen or to a file with room, or bring a password of your own.",
        ) from None


def _forecast(
    stages: Sequence[Step], answers: Answers, host: Local, known: PreflightType | None
) -> tuple[PreflightType, list[Event]]:
    """What is there, and what a run would do: told by the same run over a machine whose writes stay in memory.

    Raises Blocked, with all findings, when a check blocks.
    """
    from hermes_setup.engine.loop import preflight
    from hermes_setup.engine.loop import run as engine_run
    from hermes_setup.engine.undoing import NoJournal
    from hermes_setup.system.overlay import Overlay

    known = known or preflight(stages, answers, host)
    return known, list(engine_run(stages, answers, Overlay(host), NoJournal(), known))


def _work(
    stages: Sequence[Step],
    answers: Answers,
    host: Local,
    journal: Journal,
    screen: ScreenType,
    known: PreflightType | None,
) -> None:
    """The run itself, drawn as it goes; what has been done so far is known to whoever interrupts it."""
    from hermes_setup.engine.events import Doing, Finished, Started
    from hermes_setup.engine.loop import run as engine_run

    done: list[str] = []
    _under_way.update(done=done, now="the first step", screen=screen)
    with screen.progress() as progress:
        host.heard = progress.heard
        for event in engine_run(stages, answers, host, journal, known):
            match event:
                case Started():
                    _under_way["now"] = event.title
                    _log(f"stage {event.stage}")
                case Doing():
                    _log(f"{event.stage}: {event.change.why}")
                case Finished() if event.changed:
                    done.append(event.title)
                case _:
                    pass
            progress.show(event)


def _go_ahead(*, back: bool) -> str:
    from hermes_setup.questions import wizard
    from hermes_setup.values import replace

    answer = wizard.agreed(_asker(), replace(wizard.GO_AHEAD, back=back))
    return "back" if isinstance(answer, wizard.Back) else ("yes" if answer else "no")


if TYPE_CHECKING:
    from hermes_setup.answers.file import AnswersFile as AnswersFileType
    from hermes_setup.engine.loop import Preflight as PreflightType
    from hermes_setup.nginx.render import Renderer as RendererType
    from hermes_setup.questions.menu import Visit as VisitType
    from hermes_setup.questions.menu import Wish as WishType
    from hermes_setup.questions.wizard import Asker as AskerType
    from hermes_setup.questions.wizard import Draft as DraftType
    from hermes_setup.questions.wizard import Known as KnownType
    from hermes_setup.ui.screen import Screen as ScreenType
