"""What is drawn, as text: each screen at 80 and at 40 columns, with values that mean no good."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import re
import struct
import termios
import time
from collections.abc import Sequence

import pyte
import pytest
from rich.cells import cell_len

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import Issuer
from hermes_setup.answers.user import User
from hermes_setup.engine.changes import Change, Place, Probe, Run, Stamp
from hermes_setup.engine.events import Did, Doing, Event, Finished, Seen, Started
from hermes_setup.engine.findings import Finding, block, note, warn
from hermes_setup.engine.loop import Blocked, StageFailed
from hermes_setup.errors import CommandFailed, HermesSetupError, WrongInput
from hermes_setup.host import ABSENT, File, Folder, Link, Node
from hermes_setup.ui.diff import difference
from hermes_setup.ui.end import show_doctor, show_done, show_error
from hermes_setup.ui.forecast import show_forecast
from hermes_setup.ui.json import doctor_json
from hermes_setup.ui.screen import Screen
from hermes_setup.ui.terminal import Terminal
from hermes_setup.ui.typed_command import command_line
from hermes_setup.values import replace

PLAIN = Terminal(keyboard=False, screen=False, moves=False, unicode=True)
ASCII = Terminal(keyboard=False, screen=False, moves=False, unicode=False)
REAL = Terminal(keyboard=True, screen=True, moves=True, unicode=True)
EVIL = "[bold]x[/bold] \x1b[2J\x1b]0;t\x07 [/] \x9b1m :smile: \u202e"
WIDE = "用" * 64


class Paper:
    """A screen whose lines can be read."""

    def __init__(self, width: int = 80, terminal: Terminal = PLAIN) -> None:
        self.stream = io.StringIO()
        self.screen = Screen(self.stream, terminal, width)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


def harmless(paper: Paper, width: int = 0) -> None:
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", paper.text)
    if width:
        assert max(map(cell_len, paper.lines), default=0) <= width, paper.text


def answers(*names: str, issuer: str = "letsencrypt", domain: str = "hermes.example.com") -> Answers:
    return Answers(Domain.parse(domain), Issuer.parse(issuer), tuple(User(name) for name in names))


SITE = Place("/etc/nginx/sites-available/hermes", File(b"server {\n    listen 80;\n}\n"), "the site over HTTP")
SECRET = Place(
    "/etc/nginx/.htpasswd-hermes",
    File(b"alice:$6$canary\n", 0o640, "root", "www-data", secret=True),
    "alice may sign in",
)
INSTALL = Run(
    ("apt-get", "-y", "install", "nginx"),
    "install nginx",
    gives="packages",
    irreversible=True,
    env={"DEBIAN_FRONTEND": "x y"},
)
RELOAD = Run(("nginx", "-s", "reload"), "nginx serves it", gives="nginx loaded 1", undo_argv=("nginx", "-s", "reload"))
STAMP = Stamp("/var/lib/hermes-setup/stamps/nginx", File(b"1"), "what nginx has loaded")
PROBE = Probe(lambda system: (), "a token is fetched by name")


def doings(*changes: tuple[Change, Node | None] | Change) -> list[Event]:
    events: list[Event] = [Started("site", "Site over HTTP", 1, 2), Seen("site", ())]
    for entry in changes:
        change, before = entry if isinstance(entry, tuple) else (entry, ABSENT if isinstance(entry, Place) else None)
        events += [Doing("site", change, before), Did("site", change)]
    return [*events, Finished("site", "Site over HTTP", len(changes)), Started("x", "Never shown", 2, 2)]


# ---- findings ----


def test_a_finding_says_what_why_and_what_to_do() -> None:
    paper = Paper()
    paper.screen.findings(
        [
            note("a.note", "Hermes is not running yet.", "A page says so.", "hermes dashboard"),
            warn("a.warn", "The record is old.", "", ""),
            block("ports.taken", "Port 80 is taken.", "nginx needs it.", "systemctl stop apache2", "line 1\nline 2"),
        ]
    )
    assert paper.lines == [
        "BLOCKS: Port 80 is taken.",
        "  why: nginx needs it.",
        "  do:  systemctl stop apache2",
        "  seen: line 1",
        "        line 2",
        "warning: The record is old.",
        "note: Hermes is not running yet.",
        "  why: A page says so.",
        "  do:  hermes dashboard",
    ]


def test_a_finding_is_shown_once() -> None:
    paper, one = Paper(), warn("a.b", "Once.", "", "")
    paper.screen.findings([one, one])
    paper.screen.findings([one])
    assert paper.lines == ["warning: Once."]


@pytest.mark.parametrize(("lines", "first"), [(1, "0"), (40, "0"), (41, "(1 line before)"), (100, "(60 lines before)")])
def test_of_long_evidence_the_end_is_shown_where_the_reason_stands(lines: int, first: str) -> None:
    paper = Paper()
    paper.screen.findings([note("a.b", "What.", "", "", "\n".join(map(str, range(lines))))])
    assert paper.lines[1] == f"  seen: {first}"
    assert paper.lines[-1].split()[-1] == str(lines - 1)
    assert len(paper.lines) == 1 + min(lines, 41)


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("value", [EVIL, WIDE, "x" * 500, "", "\n\n"])
def test_hostile_values_in_findings(width: int, value: str) -> None:
    paper = Paper(width)
    paper.screen.findings([block("a.b", value, value, value, value)])
    harmless(paper, width)
    if value == EVIL:
        assert "[bold]x[/bold]" in paper.text


def test_the_rows_below_a_long_head_have_room() -> None:
    paper = Paper(40)
    paper.screen.hang("[10/14] Look from outside: ", "fetch a token by name, as a CA does it ...\nand so on", "bold")
    assert paper.lines == [
        "[10/14] Look from outside: fetch a token",
        "            by name, as a CA does it ...",
        "            and so on",
    ]
    paper = Paper(30)
    paper.screen.hang("[10/14] Look from outside: ", "unbreakable")
    assert paper.lines == ["[10/14] Look from outside:", "            unbreakable"]
    paper = Paper(40)
    paper.screen.hang("  why: ", "a short head has the text below itself, aligned")
    assert paper.lines == ["  why: a short head has the text below", "       itself, aligned"]
    paper = Paper(80)
    paper.screen.hang("Who can sign in: ", ", ".join(["somebody"] * 9))
    assert paper.lines[1].startswith(" " * 17 + "somebody")


@pytest.mark.parametrize("term", ["dumb", "unknown", "", "xterm"])
def test_where_nothing_moves_the_width_is_the_terminals_too(term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.delenv("COLUMNS", raising=False)
    outer, inner = os.openpty()
    fcntl.ioctl(outer, termios.TIOCSWINSZ, struct.pack("4H", 24, 40, 0, 0))
    with open(inner, "w") as stream:
        screen = Screen(stream, replace(REAL, moves=False))
        screen.pairs([("Certificate", "Let's Encrypt, 89 days left, renewed by systemd's timer")])
        fcntl.ioctl(outer, termios.TIOCSWINSZ, struct.pack("4H", 24, 60, 0, 0))  # and while it runs
        screen.say("w " * 40)
    drawn = b""
    with contextlib.suppress(OSError):  # EIO: all is read
        while True:
            drawn += os.read(outer, 4096)
    os.close(outer)
    assert drawn.decode().splitlines() == [
        "Certificate  Let's Encrypt, 89 days",
        "            left, renewed by systemd's",
        "            timer",
        ("w " * 30).strip(),
        ("w " * 10).strip(),
    ]


# ---- the forecast ----


def test_the_forecast_names_each_change_under_its_stage() -> None:
    paper = Paper()
    link = Place("/etc/nginx/sites-enabled/zz-hermes", Link("../sites-available/hermes"), "enable the site")
    gone = Place("/etc/nginx/sites-enabled/old", ABSENT, "take the old link away")
    old = File(b"server {\n}\n", 0o600)
    count = show_forecast(
        paper.screen,
        doings(
            INSTALL, SECRET, (SITE, old), link, (gone, Link("x")), RELOAD, STAMP, PROBE, Place("/d", Folder(0o700), "w")
        ),
    )
    assert count == 7
    assert paper.lines == [
        "Site over HTTP",
        "  > apt-get install: install nginx (cannot be undone)",
        "  + /etc/nginx/.htpasswd-hermes: alice may sign in",
        "  ~ /etc/nginx/sites-available/hermes: the site over HTTP",
        "  + /etc/nginx/sites-enabled/zz-hermes: enable the site",
        "  - /etc/nginx/sites-enabled/old: take the old link away",
        "  > nginx reload: nginx serves it",
        "  + /d: w",
        "To see every file and command in full: the same with --dry-run.",
    ]


def test_a_dry_run_shows_each_file_as_a_diff() -> None:
    paper = Paper()
    show_forecast(paper.screen, doings((SITE, File(b"server {\n    listen 8080;\n}\n")), STAMP, PROBE), diffs=True)
    assert paper.lines[2:] == [
        "    --- /etc/nginx/sites-available/hermes (now)",
        "    +++ /etc/nginx/sites-available/hermes (then)",
        "    @@ -1,3 +1,3 @@",
        "     server {",
        "    -    listen 8080;",
        "    +    listen 80;",
        "     }",
        "  * /var/lib/hermes-setup/stamps/nginx: what nginx has loaded",
        "  ? only in a real run: a token is fetched by name",
    ]


@pytest.mark.parametrize(
    ("place", "before"),
    [
        (SECRET, ABSENT),
        (SECRET, File(b"bob:$6$canary\n")),
        (Place("/p", File(b"new\n"), "why"), File(b"canary", 0o640)),  # what not everybody may read, nobody sees here
        (Place("/p", ABSENT, "why"), File(b"canary", 0o600)),
        (Place("/p", File(b"canary", 0o600), "why"), None),
        (Place("/p", File(b"canary", 0o644, secret=True), "why"), None),
        (Place("/p", Link("/x"), "why"), File(b"canary", 0o600)),
    ],
)
@pytest.mark.parametrize("diffs", [True, False])
def test_a_secret_is_never_shown(place: Place, before: Node, diffs: bool) -> None:
    paper = Paper()
    show_forecast(paper.screen, doings((place, before)), diffs=diffs)
    assert "canary" not in paper.text
    assert place.why in paper.text
    assert ("not shown" in paper.text) is diffs


def test_what_a_command_reads_is_not_shown() -> None:
    paper = Paper()
    show_forecast(paper.screen, doings(Run(("x",), "why", stdin=b"canary")), diffs=True)
    assert "canary" not in paper.text
    assert "(its input is not shown)" in paper.text


def test_a_long_line_of_a_file_stays_one_line_in_the_diff() -> None:
    paper = Paper(40)
    show_forecast(paper.screen, doings(Place("/p", File(b"x" * 300), "why")), diffs=True)
    assert "    +" + "x" * 300 in paper.lines


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (File(b"\xff\xfe"), File(b"text"), ["(not text: 2 bytes now, 4 bytes then)"]),
        (ABSENT, File(b"\0\0\0"), ["(not text: nothing now, 3 bytes then)"]),
        (File(b"a\n"), File(b"a"), ["(only line ends differ)"]),
        (File(b"a\r\n"), File(b"a\n"), ["(only line ends differ)"]),
        (File(b"a\n"), File(b"a\n", 0o600), []),
        (Link("x"), File(b"a\n"), ["--- /p (now)", "+++ /p (then)", "@@ -0,0 +1 @@", "+a"]),
    ],
)
def test_differences(before: Node, after: Node, lines: list[str]) -> None:
    assert difference("/p", before, after) == lines


def test_nothing_to_do_is_said() -> None:
    paper = Paper()
    assert show_forecast(paper.screen, doings(PROBE)) == 0
    assert paper.lines[-1] == "Nothing to change: everything is as it should be."


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize("diffs", [True, False])
def test_hostile_values_in_the_forecast(width: int, diffs: bool) -> None:
    paper = Paper(width)
    content = File(EVIL.encode())
    show_forecast(
        paper.screen,
        doings(
            (Place("/p" + EVIL, content, EVIL), File(b"[red]\x1b[1m")),
            Run(("echo", EVIL), WIDE),
            Place("/l", Link(EVIL), EVIL),
        ),
        diffs=diffs,
    )
    harmless(paper, 0 if diffs else width)
    assert "[bold]x[/bold]" in paper.text


# ---- progress ----


def test_off_a_terminal_there_is_a_line_for_each_change_and_each_result() -> None:
    paper = Paper()
    events: list[Event] = [
        *(Started("dns", "DNS records", 1, 12), Seen("dns", ()), Finished("dns", "DNS records", 0)),
        *(Started("site", "Site", 2, 12), Seen("site", ()), Doing("site", STAMP), Did("site", STAMP)),
        *(Doing("site", SITE, ABSENT), Did("site", SITE), Doing("site", RELOAD), Did("site", RELOAD)),
        Finished("site", "Site", 3),
        *(Started("look", "Look", 3, 12), Seen("look", (warn("l.x", "Slow.", "", ""),)), Doing("look", PROBE)),
        *(Did("look", PROBE), Finished("look", "Look", 1)),
    ]
    with paper.screen.progress() as progress:
        for event in events:
            progress.show(event)
    assert paper.lines == [
        "[ 1/12] DNS records: ok",
        "[ 2/12] Site: the site over HTTP ...",
        "[ 2/12] Site: nginx serves it ...",
        "[ 2/12] Site: 2 changes",
        "warning: Slow.",
        "[ 3/12] Look: a token is fetched by name ...",
        "[ 3/12] Look: ok, with a warning",
    ]
    assert progress.changes == 2


def test_a_finding_from_the_preflight_is_not_said_again() -> None:
    paper, known = Paper(), warn("l.x", "Slow.", "", "")
    paper.screen.findings([known])
    with paper.screen.progress() as progress:
        progress.show(Seen("look", (known,)))
    assert paper.lines == ["warning: Slow."]


def test_on_a_terminal_the_moving_line_is_gone_at_the_end_also_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    paper = Paper(40, REAL)
    with pytest.raises(RuntimeError), paper.screen.progress() as progress:
        progress.show(Started("site", "Site", 2, 12))
        progress.show(Doing("site", Place("/p", ABSENT, WIDE + EVIL), ABSENT))
        raise RuntimeError
    assert "Site: " in paper.text
    assert "\x1b[2J" not in paper.text
    paper_with_rows = pyte.Screen(40, 10)
    pyte.Stream(paper_with_rows).feed(paper.text.replace("\n", "\r\n"))
    assert "".join(paper_with_rows.display).strip() == "", "it had more than one row, and one was left"
    assert paper.text.count("\x1b[?25l") == paper.text.count("\x1b[?25h") > 0, "the cursor is hidden"


def test_off_a_terminal_and_on_one_that_stands_still_nothing_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    still = Terminal(keyboard=True, screen=True, moves=False, unicode=True)
    for terminal in (PLAIN, still):
        paper = Paper(80, terminal)
        with paper.screen.progress() as progress:
            for event in doings(SITE, RELOAD):
                progress.show(event)
        paper.screen.findings([block("a.b", "What.", "", "")])
        assert "\x1b" not in paper.text
        assert "\r" not in paper.text


# ---- failures ----


def test_what_a_command_says_stands_below_the_moving_line_while_it_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    paper, screen = Paper(40, REAL), pyte.Screen(40, 10)
    with paper.screen.progress() as progress:
        progress.show_output("before anything is at work")
        progress.show(Started("packages", "Packages", 7, 14))
        progress.show(Doing("packages", RELOAD))
        for line in ("Unpacking", "Setting up " + WIDE + EVIL):
            progress.show_output(line)
        end = time.monotonic() + 5
        while "Setting up" not in paper.text and time.monotonic() < end:
            time.sleep(0.01)
        pyte.Stream(screen).feed(paper.text.replace("\n", "\r\n"))
        rows = [row for row in screen.display if row.strip()]
        assert "[ 7/14] Packages: nginx serves it" in rows[0]
        assert rows[1].startswith("  | Setting up ")
        assert len(rows) == 2
        progress.show(Did("packages", RELOAD))
        progress.show_output("after it has ended")
    screen.reset()
    pyte.Stream(screen).feed(paper.text.replace("\n", "\r\n"))
    assert "".join(screen.display).strip() == "", "a row of it was left"


def test_a_failed_command_shows_all_it_said_but_not_a_flood_and_the_next_step() -> None:
    paper = Paper()
    output = "\n".join(f"line {n}" for n in range(225)) + "\n\x1b[31mE: broken [bold]\n"
    cause = CommandFailed("apt-get ended with 100.", "Run: apt-get update", output, 100)
    show_error(
        paper.screen, StageFailed("packages", cause, ["/etc/x was changed by someone since"]), log="/var/log/x.log"
    )
    assert paper.lines[0] == "Failed: apt-get ended with 100."
    assert paper.lines[1] == "  | (26 lines before)"
    assert paper.lines[201:] == [
        "  | E: broken [bold]",
        "The files of this step were put back as they were, except:",
        "  - /etc/x was changed by someone since",
        "Next: Run: apt-get update",
        "More is in /var/log/x.log",
    ]


def test_what_blocks_is_shown_as_findings() -> None:
    paper = Paper()
    show_error(paper.screen, Blocked([block("a.b", "Port 80 is taken.", "Why.", "Do.")]), log="/x")
    assert paper.lines[:3] == ["BLOCKS: Port 80 is taken.", "  why: Why.", "  do:  Do."]
    assert "Nothing was changed in this step." in paper.text


@pytest.mark.parametrize(
    "error", [WrongInput("What [b]", "Do."), HermesSetupError("What [b]", "Do."), CommandFailed("What [b]", "Do.")]
)
def test_other_errors_say_what_and_what_next(error: HermesSetupError) -> None:
    paper = Paper()
    show_error(paper.screen, error)
    assert paper.lines == ["Error: What [b]", "  Do."]


# ---- the end ----


def test_the_end_says_where_who_and_how_to_go_on() -> None:
    paper = Paper()
    show_done(paper.screen, answers("alice", "bob"), {})
    assert paper.lines == [
        "",
        "Done. Your Hermes dashboard is at",
        "",
        "    https://hermes.example.com/",
        "",
        "Who can sign in: alice, bob",
        "",
        "Add a user    sudo hermes-setup users add NAME",
        "New password  sudo hermes-setup users passwd NAME",
        "Check         sudo hermes-setup doctor",
        "Undo          sudo hermes-setup undo --last",
        "Sign out      https://hermes.example.com/.hermes/sign-out",
    ]


def test_at_forty_columns_the_commands_are_whole_below_their_labels() -> None:
    paper = Paper(40)
    show_done(paper.screen, answers("alice"), {})
    assert paper.lines[-10:] == [
        "Add a user",
        "    sudo hermes-setup users add NAME",
        "New password",
        "    sudo hermes-setup users passwd NAME",
        "Check",
        "    sudo hermes-setup doctor",
        "Undo",
        "    sudo hermes-setup undo --last",
        "Sign out",
        "    https://hermes.example.com/.hermes/sign-out",
    ]
    paper = Paper(20)
    show_done(paper.screen, answers("alice"), {})
    assert "    sudo hermes-setup users passwd NAME" in paper.lines, "the terminal breaks it, and copies it whole"


def test_the_end_says_from_where_it_opens() -> None:
    paper = Paper()
    show_done(paper.screen, replace(answers("alice"), allow=("203.0.113.0/24", "2001:db8::/32")), {})
    assert "Opens only from: 203.0.113.0/24, 2001:db8::/32" in paper.lines


def test_a_password_to_show_stands_alone_on_its_line_and_in_no_address() -> None:
    paper = Paper(40)
    show_done(paper.screen, answers("alice"), {"alice": "abcde-fghij-klmno-pqrst"})
    assert paper.text.count("abcde-fghij-klmno-pqrst") == 1
    assert "    abcde-fghij-klmno-pqrst" in paper.lines
    assert "@" not in paper.text


@pytest.mark.parametrize(
    ("issuer", "words"),
    [
        ("self-signed", "signed its certificate itself"),
        ("letsencrypt-staging", "a test certificate"),
        ("letsencrypt", ""),
    ],
)
def test_what_the_browser_will_say_is_said_before(issuer: str, words: str) -> None:
    paper = Paper(200)
    show_done(paper.screen, answers("alice", issuer=issuer), {})
    assert words in paper.text
    assert ("browser warns" in paper.text) is bool(words)


@pytest.mark.parametrize("terminal", [PLAIN, ASCII])
@pytest.mark.parametrize("width", [40, 80])
def test_hostile_and_wide_names_do_not_break_the_end(width: int, terminal: Terminal) -> None:
    paper = Paper(width, terminal)
    show_done(paper.screen, answers(WIDE, EVIL, domain="bücher.example.com"), {EVIL: "abcde"})
    harmless(paper)
    assert "[bold]x[/bold]" in paper.text.replace("\n", "").replace(" ", "").replace("x[/", "x[/")
    urls = [line for line in paper.lines if "https://" in line]
    assert urls[0] == "    https://xn--bcher-kva.example.com/"
    assert urls[1].endswith(" https://xn--bcher-kva.example.com/.hermes/sign-out")
    assert len(urls) == 2
    assert all(cell_len(line) <= width for line in paper.lines if "https://" not in line)
    if terminal is ASCII:
        assert paper.text.isascii()


# ---- streams ----


@pytest.mark.parametrize("terminal", [PLAIN, replace(REAL, moves=False)])
@pytest.mark.parametrize("path", ["/dev/null", "/dev/full"])
def test_a_stream_that_takes_nothing_is_no_reason_to_fail(path: str, terminal: Terminal) -> None:
    handle = os.open(path, os.O_RDONLY if path == "/dev/null" else os.O_WRONLY)  # sudo makes the first of a closed one
    stream = open(handle, "w", buffering=1, closefd=False)
    screen = Screen(stream, terminal)
    screen.findings([warn("a.b", "What.", "Why.", "Do.")])
    show_error(screen, HermesSetupError("x" * 10_000))
    show_done(screen, answers("alice"), {})
    null = os.open("/dev/null", os.O_WRONLY)
    os.dup2(null, handle)
    stream.close()
    os.close(null)
    os.close(handle)


# ---- tables ----


def test_users_for_eyes_are_aligned_and_for_programs_have_a_tab() -> None:
    eyes, pipe = Paper(80, REAL), Paper(80, PLAIN)
    for paper in (eyes, pipe):
        paper.screen.users_table([("alice", "answers file"), ("用用用用", "by hand"), (EVIL, "by hand")])
        assert "[bold]x" in paper.text
    starts = {cell_len(re.split("answers file|by hand", line)[0]) for line in eyes.lines}
    assert len(starts) == 1
    assert pipe.lines[:2] == ["alice\tanswers file", "用用用用\tby hand"]
    data = Paper(80, ASCII)
    data.screen.users_table([("zo\u00e9", "by hand"), ("x\x1b[2J\r\u202e", "by hand")])
    assert data.lines == ["zo\u00e9\tby hand", "x??\tby hand"], "data is not written as a terminal's locale wants it"
    eyes = Paper(80, replace(REAL, unicode=False))
    eyes.screen.users_table([("zo\u00e9", "by hand")])
    assert eyes.lines == ["zo\\xe9  by hand"]
    empty = Paper()
    empty.screen.users_table([])
    assert empty.text == ""


@pytest.mark.parametrize(
    ("findings", "pending", "last"),
    [
        ([], [], "All is well."),
        ([("a", note("a.b", "N", "", ""))], [("s", STAMP), ("s", PROBE)], "All is well."),
        ([("a", warn("a.b", "W", "", ""))], [], "1 warning, no change pending."),
        (
            [("a", block("a.b", "B", "", "")), ("a", block("a.c", "C", "", ""))],
            [("s", SITE)],
            "2 problems, 1 change pending.",
        ),
    ],
)
def test_doctor_ends_with_the_sum(
    findings: Sequence[tuple[str, Finding]], pending: Sequence[tuple[str, Change]], last: str
) -> None:
    paper = Paper()
    show_doctor(paper.screen, findings, pending)
    assert paper.lines[-1] == last


def test_doctor_for_programs() -> None:
    text = doctor_json(
        "1.2.3",
        "a.example.com",
        [("dns", warn("dns.x", "ü\x1b\udc80", "why", "do", "seen"))],
        [("site", SITE), ("site", INSTALL), ("site", STAMP), ("site", PROBE)],
        ok=False,
    )
    assert text.isascii()
    loaded = json.loads(text)
    assert list(loaded) == ["schema", "version", "domain", "ok", "findings", "pending"]
    assert loaded["ok"] is False
    assert loaded["findings"] == [
        {
            **{"stage": "dns", "code": "dns.x", "severity": "warn", "what": "ü\x1b\udc80"},
            **{"why": "why", "do": "do", "evidence": "seen"},
        }
    ]
    assert [(entry["kind"], entry["what"]) for entry in loaded["pending"]] == [
        ("place", SITE.path),
        ("run", command_line(INSTALL)),
        ("stamp", STAMP.path),
        ("probe", ""),
    ]


def test_a_command_is_shown_so_that_it_could_be_typed() -> None:
    assert command_line(Run(("a", "b c", "$(x)", ""), "w", env={"A": "1;2"})) == "A='1;2' a 'b c' '$(x)' ''"
