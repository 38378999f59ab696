"""The keyboard, for real: a pseudo-terminal, the wizard in it, and what then stands on the screen."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pexpect
import pyte
import pytest

from hermes_setup import passwords
from hermes_setup.questions.prompt import BACK, Back, Choice, Prompt
from hermes_setup.ui.ask.lines import Lines
from hermes_setup.ui.terminal import Terminal

DRIVER = """
import json, sys
from hermes_setup.answers.backend import Backend
from hermes_setup.ui.ask import asker
from hermes_setup.questions.conversation import walk
from hermes_setup.questions.draft import Draft, Known
known = Known(fqdn="vps.example.net", addresses=("203.0.113.5",), login="anna",
              backends=(Backend("127.0.0.1", 9119), Backend("127.0.0.1", 9200)))
start = Draft.from_table(json.load(open(sys.argv[2]))) if len(sys.argv) > 2 else Draft()
def keep(draft):
    with open(sys.argv[1], "w") as file:
        json.dump(draft.to_table(), file)
try:
    draft, later = walk(start, known, asker(), keep)
except KeyboardInterrupt:
    print("STOPPED", file=sys.stderr)
    raise SystemExit(130)
print("DONE", *later, file=sys.stderr)
"""
GOOD = "correct horse battery"
SECONDS = 20.0


class Box:
    """A terminal of that size with the wizard in it."""

    def __init__(
        self,
        kept: Path,
        *args: str,
        rows: int = 24,
        columns: int = 80,
        env: Mapping[str, str] | None = None,
        redirect: str = "",
    ) -> None:
        self.kept = kept
        self.screen = pyte.HistoryScreen(columns, rows, history=1000)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        root = str(Path(__file__).parent.parent)
        clean = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("LC_", "LANG", "NO_COLOR", "COLUMNS"))
        }
        plain = {"TERM": "xterm", "LANG": "C.UTF-8", "PYTHONPATH": root, **(env or {})}
        command = f'exec "$0" -W error -c "$1" "$2" "${{@:3}}" {redirect}'
        self.child = pexpect.spawn(
            "/bin/bash",
            ["-c", command, sys.executable, DRIVER, str(kept), *args],
            dimensions=(rows, columns),
            env={**clean, **plain},
            timeout=SECONDS,
        )
        self.child.delaybeforesend = None

    def _pump(self, seconds: float) -> bool:
        try:
            data: bytes = self.child.read_nonblocking(65536, seconds)  # type: ignore[assignment]  # no encoding: bytes
        except (pexpect.TIMEOUT, pexpect.EOF) as end:
            return not isinstance(end, pexpect.EOF)
        self.raw += data
        self._stream.feed(data)
        return True

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def until(self, holds: Callable[[str], bool] | str) -> str:
        """The screen, as soon as it holds that, or as soon as its last line ends with that text."""
        ready = holds if callable(holds) else lambda text: text.endswith(holds)
        end = time.monotonic() + SECONDS
        open_ = True
        while not ready(self.text):
            assert time.monotonic() < end and open_, f"never came: {holds!r}\n{self.text}"
            open_ = self._pump(0.2)
        return self.text

    def type(self, keys: str) -> None:
        self.child.send(keys)

    def ended(self) -> int:
        """Its exit status, once it is over."""
        end = time.monotonic() + SECONDS
        while self._pump(0.2):
            assert time.monotonic() < end, self.text
        self.child.close()
        assert self.child.exitstatus is not None, f"signal {self.child.signalstatus}"
        return self.child.exitstatus

    def table(self) -> dict[str, object]:
        loaded: dict[str, object] = json.loads(self.kept.read_text())
        return loaded


Open = Callable[..., Box]


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Open]:
    boxes: list[Box] = []

    def start(*args: str, **options: object) -> Box:
        boxes.append(Box(tmp_path / f"kept-{len(boxes)}", *args, **options))  # type: ignore[arg-type]
        return boxes[-1]

    yield start
    for one in boxes:
        one.child.close(force=True)


# (what the last line of the screen ends with, what is typed then): the whole run
RUN = [
    ("? Domain [vps.example.net]:", "hermes.example.com\r"),
    ("<) go back", "1\r"),
    ("? E-mail:", "me@example.com\r"),
    ("? User name [anna]:", "\r"),
    ("<) go back", "2\r"),
    ("? Password for anna:", f"{GOOD}\r"),
    ("? Again, for anna:", f"{GOOD}\r"),
    ("? Another user? [y/N]", "y\r"),
    ("? User name:", "bob\r"),
    ("<) go back", "\r"),
    ("end) [y/n]", "y\r"),
    ("? Another user? [y/N]", "\r"),
    ("<) go back", "\x1b[B\r"),
]


def go(box: Box, steps: int = len(RUN)) -> None:
    for number, (shown, keys) in enumerate(RUN[:steps]):
        if keys == "1\r" or (shown, number) == ("<) go back", 12):
            box.until(lambda text: "arrow keys" in text and text.endswith("<) go back"))
        box.until(shown)
        box.type(keys)


def test_the_whole_run_by_keyboard(box: Open) -> None:
    here = box()
    go(here)
    assert here.until("DONE")
    assert here.ended() == 0
    table = here.table()
    users = table.pop("users")
    assert table == {
        **{"domain": "hermes.example.com", "certificate": "letsencrypt", "email": "me@example.com"},
        **{"backend": "127.0.0.1:9200", "at": "done", "name": ""},
    }
    assert isinstance(users, list)
    assert [user["name"] for user in users] == ["anna", "bob"]
    assert passwords.verify_password(GOOD, users[0]["hash"])
    assert GOOD.encode() not in here.raw
    assert b"\x1b[6n" not in here.raw, "it asked the terminal where its cursor is"


def test_no_line_is_wider_than_the_screen_and_each_question_says_what_it_is_about(box: Open) -> None:
    here = box()
    text = here.until("? Domain [vps.example.net]:")
    assert text.splitlines() == [
        "Enter takes the answer in [brackets]. < and Enter goes back. Ctrl-C stops.",
        "",
        "The name that you will open in the browser, like hermes.example.com. Its DNS",
        "record has to point to this server (203.0.113.5).",
        "? Domain [vps.example.net]:",
    ]


def test_a_wrong_answer_is_told_in_place_and_can_be_edited(box: Open) -> None:
    here = box()
    here.until("? Domain [vps.example.net]:")
    here.type("https://hermes.example.com/x\r")
    text = here.until("? Domain: hermes.example.com")  # what was meant is proposed: Enter would take it
    assert "! That is a whole URL; type only the name." in text
    here.type("\x1b[D\x1b[D\x7f\x7f")  # the cursor keys work in it
    here.type("\x05\x15hermes.example.com\r")
    here.until("go back")
    assert here.table()["domain"] == "hermes.example.com"


def told_and_asked_again(why: str, text: str) -> bool:
    return why in text and text.endswith("? Password for anna:")


def test_wrong_passwords_are_told_and_never_shown(box: Open) -> None:
    here = box()
    go(here, 5)
    for wrong, why in [("qqzzx", "has 5 characters"), ("x" * 300, "longer than 256"), ("abababababab", "repeats")]:
        here.until("? Password for anna:")
        here.type(f"{wrong}\r")
        here.until(partial(told_and_asked_again, why))
    here.type(f"{GOOD}\r")
    here.until("? Again, for anna:")
    here.type(f"{GOOD}r\r")
    here.until(lambda text: "not the same" in text and text.endswith("? Password for anna:"))
    assert b"qqzzx" not in here.raw
    assert GOOD.encode() not in here.raw


def test_back_from_every_kind_of_question(box: Open) -> None:
    here = box()
    go(here, 5)
    here.until("? Password for anna:")
    here.type("<\r")
    here.until(lambda text: text.endswith("go back") and "arrow" in text)
    here.type("<\r")
    here.until("? User name: anna")
    here.type("<\r")
    here.until("? E-mail: me@example.com")
    here.type("<\r")
    here.until("<) go back")
    here.type("<\r")
    here.until("? Domain: hermes.example.com")
    here.type("<\r")
    here.until(lambda text: "This is the first question" in text and text.endswith("? Domain: hermes.example.com"))
    here.type("\r")
    here.until("<) go back")


def test_a_smaller_sign_inside_a_text_is_only_a_sign(box: Open) -> None:
    here = box()
    here.until("? Domain [vps.example.net]:")
    here.type("a<b\r")
    assert "A host name can't contain '<'" in here.until("? Domain: a<b")


@pytest.mark.parametrize(
    ("key", "steps"), [*(("\x03", steps) for steps in range(len(RUN))), *(("\x04", steps) for steps in (0, 1, 5, 10))]
)
def test_stopping_at_each_question_ends_at_once_and_keeps_the_answers(box: Open, key: str, steps: int) -> None:
    here = box()
    go(here, steps)
    here.until(lambda text: text.endswith(RUN[steps][0]) and (RUN[steps][0] != "<) go back" or "arrow" in text))
    before = here.kept.read_text() if here.kept.exists() else None
    here.type(key)
    here.until("STOPPED")
    assert here.ended() == 130
    assert (here.kept.read_text() if here.kept.exists() else None) == before
    if before is not None:
        again = box(str(here.kept))
        text = again.until(lambda text: "? " in text and "Enter takes" in text)
        assert "(from last time)" in text
        assert "? Domain" not in text


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_a_signal_from_elsewhere_leaves_the_terminal_as_it_was(box: Open, steps: int) -> None:
    here = box()
    go(here, steps)
    here.until(RUN[steps][0])
    here.child.kill(signal.SIGINT)
    here.until("STOPPED")
    assert here.ended() == 130
    assert here.raw.count(b"\x1b[?25l") <= here.raw.count(b"\x1b[?25h"), "the cursor is hidden"
    assert here.raw.count(b"\x1b[?2004h") == here.raw.count(b"\x1b[?2004l"), "bracketed paste is left on"


@pytest.mark.parametrize("size", [(12, 40), (24, 30), (50, 200)])
@pytest.mark.parametrize("steps", [0, 1, 5])
def test_a_resized_terminal_goes_on(box: Open, size: tuple[int, int], steps: int) -> None:
    here = box()
    go(here, steps)
    here.until(RUN[steps][0])
    here.screen.resize(*size)
    here.child.setwinsize(*size)
    for shown, keys in RUN[steps : steps + 1]:
        del shown
        here.type(keys)
    after = RUN[steps + 1][0]
    here.until(lambda text: after.split()[-1] in text)


def test_forty_columns_are_enough(box: Open) -> None:
    here = box(rows=24, columns=40)
    go(here, 4)
    text = here.until("<) go back")
    assert "protects a program" in text
    go_on = [("<) go back", "1\r"), ("end)\n [y/n]", "")]
    here.type(go_on[0][1])
    here.until(lambda text: "saved it?" in text)


def test_what_is_typed_ahead_is_an_answer(box: Open) -> None:
    here = box()
    here.until("? Domain [vps.example.net]:")
    here.type("hermes.example.com\r2\rme@example.com\rcarol\r")
    here.until(lambda text: "Password for carol" in text)
    assert here.table()["certificate"] == "letsencrypt-staging"


def test_a_pasted_answer_with_its_line_end(box: Open) -> None:
    here = box()
    here.until("? Domain [vps.example.net]:")
    here.type("\x1b[200~hermes.example.com\n\x1b[201~\r")
    here.until("go back")
    assert here.table()["domain"] == "hermes.example.com"


@pytest.mark.parametrize(
    "env", [{"TERM": "dumb"}, {"HERMES_SETUP_PLAIN": "1"}, {"TERM": ""}, {"TERM": "dumb", "LC_ALL": "C"}]
)
def test_a_terminal_that_only_writes_lines(box: Open, env: dict[str, str]) -> None:
    here = box(env=env)
    steps = [
        ("? Domain [vps.example.net]:", "hermes.example.com\r"),
        ("? Certificate [1]:", "9\r"),
        ("? Certificate [1]:", "2\r"),
        ("? E-mail:", "<\r"),
        ("? Certificate [2]:", "\r"),
        ("? E-mail:", "\r"),
        ("? User name [anna]:", "\r"),
        ("? Password for anna [1]:", "2\r"),
        ("? Password for anna:", f"{GOOD}\r"),
        ("? Again, for anna:", f"{GOOD}\r"),
        ("? Another user? [y/N]", "\r"),
        ("? Which Hermes? [1]:", "2\r"),
    ]
    for number, (shown, keys) in enumerate(steps):
        if number == 2:
            here.until(lambda text: "not one of the choices" in text)
        here.until(shown)
        here.type(keys)
    here.until("DONE")
    assert here.ended() == 0
    assert b"\x1b" not in here.raw
    assert GOOD.encode() not in here.raw


def test_a_wrong_text_is_not_offered_again_where_only_lines_are_written(box: Open) -> None:
    here = box(env={"TERM": "dumb"})
    here.until("? Domain [vps.example.net]:")
    here.type("local host\r")
    here.until(lambda text: "! " in text and text.endswith("? Domain [vps.example.net]:"))
    here.type("https://hermes.example.com/x\r")
    here.until("? Domain [hermes.example.com]:")  # what was meant
    here.type("\r")
    here.until("? Certificate [1]:")
    here.type("\r")
    for typed in ("me", '"me"@example.com', "me"):
        here.until("? E-mail:")
        here.type(f"{typed}\r")
        here.until(lambda text: "! " in text.splitlines()[-2] and text.endswith("? E-mail:"))
    here.type("\r")  # is no address, and not the wrong one once more
    here.until("? User name [anna]:")
    assert here.table()["email"] == ""


LIST = Prompt(
    "who",
    "Who?",
    "",
    "",
    "choice",
    "bob",
    choices=(
        *(Choice(name, name) for name in ("bob", "Carol", "carl", "1st")),
        *(Choice("quit", "Quit", "q"), Choice("qa", "qa people"), Choice("ed", "bobby"), Choice("e", "\u00e9mile")),
    ),
    back=True,
)


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("Caro", "Carol"),
        ("CARL", "carl"),
        ("car", "car"),  # two begin so: not one of the choices, which is told
        ("bob", "bob"),  # one is called so, another begins so
        ("bobb", "ed"),
        ("q", "quit"),  # its own letter
        ("qa", "qa"),
        ("1", "bob"),  # a number is a number
        ("1s", "1s"),
        ("\u00c9", "e"),
        ("<", BACK),
        ("", "bob"),
        ("x", "x"),
    ],
)
def test_a_line_of_a_list_is_chosen_by_how_it_begins(
    typed: str, answer: str | Back, monkeypatch: pytest.MonkeyPatch
) -> None:
    with io.TextIOWrapper(io.BytesIO(f"{typed}\n".encode())) as keys:
        monkeypatch.setattr(sys, "stdin", keys)
        still = Terminal(keyboard=True, screen=True, moves=False, unicode=True)
        assert Lines(still, io.StringIO()).ask(LIST) == answer


def test_a_letter_moves_to_the_next_line_that_begins_with_it(box: Open) -> None:
    def pointed(line: str) -> Callable[[str], bool]:
        return lambda text: f"> {line}" in text and text.endswith("<) go back")

    here = box()
    go(here, 1)
    for key, line in [
        *(("l", "2) Let's Encrypt staging"), ("L", "1) Let's Encrypt: free"), ("s", "3) Self-signed")),
        *(("l", "1) Let's"), ("a", "4) Another"), ("z", "4) Another"), ("2", "2) Let's"), ("S", "3) Self-signed")),
    ]:
        here.until("<) go back")
        here.type(key)
        here.until(pointed(line))
    here.type("\r")
    here.until("? User name [anna]:")
    assert here.table()["certificate"] == "self-signed"


def test_a_pasted_password_may_bring_its_line_end(box: Open) -> None:
    here = box()
    go(here, 5)
    here.until("? Password for anna:")
    here.type(f"\x1b[200~{GOOD}\n\n\x1b[201~\r")
    here.until(partial(told_and_asked_again, "more than one line"))
    for asked in ("? Password for anna:", "? Again, for anna:"):
        here.until(asked)
        here.type(f"\x1b[200~{GOOD}\r\n\x1b[201~\r")
    here.until("? Another user? [y/N]")
    assert GOOD.encode() not in here.raw


@pytest.mark.parametrize("key", ["\x03", "\x04"])
@pytest.mark.parametrize("steps", [0, 3])
def test_lines_stop_too(box: Open, key: str, steps: int) -> None:
    here = box(env={"TERM": "dumb"})
    for shown, keys in [("net]:", "a.example.com\r"), ("[1]:", "\r"), ("E-mail:", "\r")][:steps]:
        here.until(shown)
        here.type(keys)
    here.until(["net]:", "", "", "[anna]:"][steps])
    here.type(key)
    here.until("STOPPED")
    assert here.ended() == 130


@pytest.mark.parametrize("env", [{}, {"LC_ALL": "C"}, {"LANG": "POSIX"}, {"NO_COLOR": "1"}, {"TERM": "vt100"}])
def test_what_we_write_is_ascii_and_without_colour(box: Open, env: dict[str, str]) -> None:
    here = box(env=env)
    go(here)
    here.until("DONE")
    assert here.raw.isascii()
    styles = set(re.findall(rb"\x1b\[([0-9;]*)m", here.raw))
    assert styles <= {b"", b"0", b"0;1", b"0;7", b"1"}, "a colour"


def test_stdout_stays_free_for_data(box: Open, tmp_path: Path) -> None:
    here = box(redirect=f"> {tmp_path / 'out'}")
    go(here)
    here.until("DONE")
    assert (tmp_path / "out").read_bytes() == b""


def test_with_stderr_in_a_file_the_questions_are_lines_in_it(box: Open, tmp_path: Path) -> None:
    here = box(redirect=f"2> {tmp_path / 'err'}")
    here.type("hermes.example.com\n1\n")
    here.type("\x04")
    assert here.ended() == 130
    assert "? Certificate [1]:" in (tmp_path / "err").read_text()


def test_bytes_that_are_no_utf8_are_refused_and_not_a_crash(box: Open) -> None:
    here = box(env={"TERM": "dumb"})
    here.until("net]:")
    here.child.send(b"b\xfccher.example.com\r")
    here.until(lambda text: "! A host name can't contain" in text)
