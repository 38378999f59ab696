"""Command lines: what they print, where, and how they end. Nothing here needs root, and nothing is changed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from hermes_setup import __version__

ROOT = Path(__file__).resolve().parents[1]
GOOD = 'domain = "hermes.example.com"\ncertificate = "self-signed"\n[[users]]\nname = "alice"\n'
HASH = "$6$rounds=5000$abcdefgh$" + "a" * 86


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """stderr on one line."""
        return " ".join(self.err.split())

    def tells(self, text: object) -> bool:
        """The text is on stderr, wherever a line may have been broken in it."""
        return "".join(str(text).split()) in "".join(self.err.split())


def run(
    *argv: str | os.PathLike[str],
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    before: Sequence[str] = (),
    script: str = "",
) -> Said:
    """`hermes-setup argv` without a terminal; `script` is a shell's, in which "$@" is that command."""
    command = [*before, sys.executable, "-W", "error", "-m", "hermes_setup", *map(str, argv)]
    if script:
        command = ["bash", "-c", script, "bash", *command]
    clean = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "TERM": "xterm-256color"}
    done = subprocess.run(
        command, input=stdin.encode(), capture_output=True, check=False, timeout=60, env={**clean, **(env or {})}
    )
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture
def nobody() -> Sequence[str]:
    """What runs a command as somebody who is not root, also where the tests are run by root."""
    return ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--") if os.geteuid() == 0 else ()


# ---- words ----


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["aply"], "Did you mean: hermes-setup apply?"),
        (["docter", "--json"], "Did you mean: hermes-setup doctor?"),
        (["uninstall"], "See all: hermes-setup --help"),
        (["apply"], "sudo hermes-setup apply --answers FILE.toml"),
        (["apply", "--answer", "x"], "Did you mean --answers?"),
        (["apply", "--answers"], "--answers needs a value after it."),
        (["apply", "--answers="], "--answers needs the name of a file."),
        (["apply", "f.toml"], "Did you mean: hermes-setup apply --answers f.toml?"),
        (["apply", "--answers", "x", "--dry-run", "--check"], "same look in two ways"),
        (["apply", "--answers", "x", "extra"], "'extra' is one word too many."),
        (["apply", "--answers", "x", "--yes=no"], "--yes takes no value."),
        (["--yes"], "There is no flag --yes here."),
        (["--dryrun"], "Did you mean --dry-run?"),
        (["doctor", "--yes"], "There is no flag --yes here."),
        (["doctor", "me"], "'me' is one word too many."),
        (["answers", "--json"], "The flags are: none."),
        (["users"], "users needs one more word."),
        (["users", "delete", "bob"], "users delete: there is no such command."),
        (["users", "list", "bob"], "'bob' is one word too many."),
        (["users", "add"], "The user's name is missing."),
        (["users", "add", "--from"], "--from needs a value after it."),
        (["users", "add", "bob", "--from", "/dev/null"], "users add --from FILE"),
        (["users", "add", "--from", "/dev/null", "--password-stdin"], "users add --from FILE"),
        (["users", "add", "--from", "/no/such/file"], "could not be read: No such file or directory."),
        (["users", "add", "--from", "/"], "could not be read: Is a directory."),
        (["users", "add", "--from="], "could not be read"),
        (["users", "add", "--from", "/dev/zero"], "larger than 16 MB"),
        (["users", "passwd", "bob", "--from", "/dev/null"], "There is no flag --from here."),
        (["users", "add", "bob", "carol"], "'carol' is one word too many."),
        (["users", "add", "b:b"], "can't contain a colon"),
        (["users", "add", "--", "-bob"], "can't start with -"),
        (["users", "add", "#bob"], "#"),
        (["users", "add", "x" * 65], "64"),
        (["users", "add", "a\nb"], ""),
        (["users", "remove", "bob", "--generate"], "There is no flag --generate here."),
        (["users", "sign-out"], "Sign out whom?"),
        (["users", "sign-out", "bob", "--all"], "Sign out whom?"),
        (["users", "sign-out", "", "--all"], "Sign out whom?"),  # a variable of a script that was not set
        (["users", "remove", "", "bob"], "'bob' is one word too many."),
        (["users", "add", "", "--from", "/dev/null"], "users add --from FILE"),
        (["users", "passwd", "bob", "--password", "hunter2hunter2"], "Did you mean --password-stdin?"),
    ],
)
def test_wrong_usage_is_told_with_what_to_type_instead(argv: list[str], told: str) -> None:
    said = run(*argv)
    assert said.code == 2, said
    assert said.out == ""
    assert said.tells(told), said
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    "argv", [["--version"], ["-V"], ["--help"], ["-h"], ["help"], ["apply", "--help"], ["users", "add", "-h"]]
)
def test_version_and_help_are_data_on_stdout(argv: list[str]) -> None:
    said = run(*argv)
    assert (said.code, said.err) == (0, "")
    assert (
        said.out == f"hermes-setup {__version__}\n"
        if "ersion" in argv[0] or argv == ["-V"]
        else said.out.startswith("hermes-setup puts")
    )


def test_flags_may_stand_before_the_command(tmp_path: Path) -> None:
    assert run("--json", "doctor", "me").words.startswith("Error: 'me' is one word too many")
    assert run("--yes", "apply", f"--answers={tmp_path}/no.toml").tells(f"{tmp_path}/no.toml could not be read")


HEAVY = (
    "questionary",
    "prompt_toolkit",
    "rich",
    "jinja2",
    "dns",
    "passlib",
    "ssl",
    "asyncio",
    "subprocess",
    "dataclasses",
)


@pytest.mark.parametrize("argv", [["--version"], ["--help"]])
def test_version_and_help_import_nothing_heavy(argv: list[str]) -> None:
    code = f"import sys\nfrom hermes_setup.main import run\nrun({argv!r})\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not set(HEAVY) & set(done.stderr.split())
    ours = {name for name in done.stderr.split() if name.startswith("hermes_setup")}
    assert not any(name.startswith(("hermes_setup.stages", "hermes_setup.engine", "hermes_setup.ui")) for name in ours)
    assert argv == ["--help"] or ours == {"hermes_setup", "hermes_setup.main"}


def test_wrong_usage_does_not_wait_for_what_it_does_not_need() -> None:
    for argv in (["aply"], ["doctor", "me"]):
        code = f"import sys\nfrom hermes_setup.main import run\nrun({argv!r})\nprint(*sys.modules, file=sys.stdout)"
        done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
        heavy = {"questionary", "prompt_toolkit", "jinja2", "dns", "passlib", "inspect", "shutil"}
        assert not heavy & set(done.stdout.split())


# ---- who, and without a terminal ----


@pytest.mark.parametrize(
    "argv", [["users", "list"], ["users", "add", "bob"], ["answers"], ["doctor"], ["doctor", "--json"]]
)
def test_not_root_is_told_to_type_sudo(argv: list[str], nobody: Sequence[str]) -> None:
    said = run(*argv, before=nobody)
    assert said.code == 2
    assert "This needs root" in said.words
    assert "sudo hermes-setup" in said.words
    assert said.out == ""


@pytest.mark.parametrize("argv", [[], ["--dry-run"]])
@pytest.mark.parametrize("closed", ["", '"$@" <&-', '"$@" 2>&1 >&- <&-'])
def test_without_a_terminal_no_question_but_the_way_without_one(argv: list[str], closed: str) -> None:
    said = run(*argv, script=closed or '"$@"')
    assert said.code == 2, said
    assert "apply --answers FILE.toml --yes" in " ".join((said.out + said.err).split())


# ---- answers files ----


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    said = run("apply", "--answers", tmp_path / "no.toml")
    assert said.code == 2
    assert said.tells(f"{tmp_path}/no.toml could not be read: No such file or directory.")


def test_a_folder(tmp_path: Path) -> None:
    said = run("apply", "--answers", tmp_path)
    assert (said.code, "is a folder" in said.words) == (2, True)


def test_a_file_that_may_not_be_read(tmp_path: Path, nobody: Sequence[str]) -> None:
    path = tmp_path / "answers.toml"
    path.write_text(GOOD)
    path.chmod(0)
    said = run("apply", "--answers", path, before=nobody)
    assert said.code == 2
    assert "could not be read: Permission denied." in said.words


def test_a_path_that_is_none() -> None:
    for path in ("", "x" * 5000, "/dev/null/x", "/proc/self/mem"):
        said = run("apply", "--answers", path)
        assert said.code == 2, said
        assert "bug" not in said.err


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"domain: hermes.example.com\n", "is not TOML"),
        (b"\xff\xfed\0o\0", "is not UTF-8 text"),
        (b'domain = "b\xfccher.example.com"\n', "is not UTF-8 text"),
        (b"\x7fELF\x02\x01", "is not"),
        (b"[" * 100_000, "is n"),
        (b"a = " + b"{a=" * 5_000, "is n"),
        (b"", "domain"),
        (GOOD.partition("[[")[0].encode() + b"users = 3\n", "users"),
        (b'domian = "hermes.example.com"\n', "Did you mean domain?"),
        (b'domain = ["hermes.example.com"]\n', "domain"),
        (GOOD.encode().replace(b"self-signed", b"selfsigned"), "self-signed"),
        (GOOD.encode().replace(b"hermes.", b"https://hermes."), "whole URL"),
        (GOOD.encode() + b'pasword_file = "/root/x"\n', "password_file"),
        # a hash is looked at together with those that the machine has
        pytest.param(GOOD.encode() + b'password_hash = "$2y$05$abc"\n', "$6$", marks=pytest.mark.root),
        (b'firewall = "off"\n' + GOOD.encode(), '"leave"'),
    ],
)
def test_what_is_in_it_is_told_and_ends_with_2(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "answers.toml"
    path.write_bytes(content)
    path.chmod(0o600)
    said = run("apply", "--answers", path, "--dry-run")
    assert said.code == 2, said
    assert said.out == ""
    assert said.tells(told), said
    assert len(said.err) < 3000
    assert "Traceback" not in said.err


def test_a_hundred_megabytes_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "answers.toml"
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    said = run("apply", "--answers", path)
    assert said.code == 2
    assert "102400 kB" in said.words
    for endless in ("/dev/zero", "/dev/urandom"):
        said = run("apply", "--answers", endless)
        assert (said.code, "is too large" in said.words) == (2, True)


def test_answers_through_a_pipe_are_answers() -> None:
    said = run("apply", "--answers", "/dev/stdin", stdin=GOOD.replace("self-signed", "oops"), script='cat | "$@"')
    assert (said.code, "oops" in said.words) == (2, True), said


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o604, True), (0o644, True)])
def test_hashes_that_others_may_read_are_warned_of(
    tmp_path: Path, nobody: Sequence[str], mode: int, warned: bool
) -> None:
    path = tmp_path / "answers.toml"
    path.write_text(GOOD + f'password_hash = "{HASH}"\n')
    path.chmod(mode)
    if nobody:
        os.chown(path, 65534, 65534)
        for folder in (tmp_path, *list(tmp_path.parents)[:-2]):  # all but /tmp
            folder.chmod(0o755)
    said = run("apply", "--answers", path, before=nobody)
    assert said.code == 2
    assert ("warning:" in said.err) == warned
    assert said.tells(f"sudo chmod 600 {path}") == warned
    assert HASH not in said.out + said.err


# ---- the streams ----


@pytest.mark.parametrize(
    "env", [{}, {"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}, {"CLICOLOR_FORCE": "1"}, {"TERM": "dumb"}]
)
def test_no_colour_where_it_is_no_terminal(env: dict[str, str]) -> None:
    for argv in (["aply"], ["--help"], ["apply", "--answers", "/nowhere"]):
        said = run(*argv, env=env)
        assert "\x1b" not in said.out + said.err


def test_what_is_shown_of_a_file_name_cannot_move_the_cursor(tmp_path: Path) -> None:
    said = run("apply", "--answers", tmp_path / "\x1b[2Jred\x07\udcff")
    assert said.code == 2
    assert "\x1b" not in said.err
    assert "\x07" not in said.err
    assert "\x1b" not in run("\x1b[31mx").err
    assert "\x1b" not in run("apply", "--\x1b[31mx").err


@pytest.mark.parametrize("argv", [["--help"], ["--version"]])
def test_a_reader_that_has_enough_is_no_error(argv: list[str]) -> None:
    said = run(*argv, script='"$@" | true; exit ${PIPESTATUS[0]}')
    assert (said.code, said.err) == (0, "")
    said = run(*argv, script='exec 3< <(true); wait; "$@" >/dev/fd/3 || "$@" >&-')
    assert (said.code, said.err) == (0, "")


def test_data_that_did_not_arrive_is_not_done() -> None:
    said = run("--help", script='"$@" >/dev/full')
    assert said.code == 1
    assert "No space left on device" in said.err
    assert "Traceback" not in said.err


def test_talk_that_cannot_be_written_changes_no_exit_code() -> None:
    """sudo makes a stderr that is closed one that can only be read."""
    for argv, code in ((["aply"], 2), (["doctor"], 4 if os.geteuid() == 0 else 2), (["--help"], 0)):
        said = run(*argv, script='"$@" 2</dev/null')
        assert said.code == code, (argv, said)


def test_a_reader_of_the_talk_that_is_gone_is_no_bug() -> None:
    said = run("aply", script='{ "$@" 2>&1 >&3 | true; exit ${PIPESTATUS[0]}; } 3>&1')
    assert said.code == 2, said
    said = run("aply", script='"$@" 2>/dev/full')
    assert said.code == 2, said
    said = run("aply", script='"$@" 2>&-')
    assert said.code == 2, said


# ---- ^C, from the first line of our code on ----

PRESSED = """
import os, signal, sys
left, begun = int(sys.argv.pop(1)), False

def hook(event, args):
    global left, begun
    if event == "import":
        begun = begun or args[0] == "hermes_setup.main"  # the first that __main__ loads
        left -= begun
        if begun and not left:
            os.kill(os.getpid(), signal.SIGINT)

sys.addaudithook(hook)
from hermes_setup.__main__ import main
main()
"""


def pressed_at(number: int, *argv: str) -> Said:
    """^C as the module of that number is about to be loaded."""
    clean = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "TERM": "xterm-256color"}
    command = [sys.executable, "-c", PRESSED, str(number), *argv]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=clean)
    return Said(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("argv", [("users", "list", "bob"), ("--help",)])
def test_ctrl_c_at_any_import_shows_no_traceback(argv: tuple[str, ...]) -> None:
    stopped = 0
    for number in range(1, 60, 2):
        said = pressed_at(number, *argv)
        assert "Traceback" not in said.err, (number, said.err)
        assert said.code in (-2, 130, 0, 2), (number, said)  # -2: before anything listens, the signal itself
        stopped += said.code in (-2, 130)
    assert stopped > 3
