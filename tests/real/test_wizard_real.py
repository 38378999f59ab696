"""The wizard at a terminal of 80x24, on real parts: the whole run by keyboard, ^C anywhere, back, "no", the menu."""

from __future__ import annotations

import re

import pytest

from conftest import DOMAIN
from lab import Machine, World, snapshot_diff, start_hermes
from real.program import hermes_setup, install, users
from real.terminal import Terminal

GOOD = "correct horse battery"
MADE_UP = re.compile(r"^    ([a-z0-9]{5}(?:-[a-z0-9]{5}){3})$", re.M)
OURS = "/opt/hermes-setup-under-test"


@pytest.fixture
def vps(world: World, machine: Machine) -> Machine:
    """nginx and certbot installed, nothing running, our program; Let's Encrypt answers."""
    machine.trust(*world.acme.trusted)
    install(machine)
    return machine


# What stands at the end of the screen when each question waits, and what is typed then.
LETSENCRYPT = [
    ("? Domain:", f"{DOMAIN}\r"),
    ("4) Another ACME authority\n  <) go back", "1\r"),
    ("? E-mail:", "\r"),
    ("? User name:", "alice\r"),
    ("2) I type my own, twice\n  <) go back", "2\r"),
    ("? Password for alice:", f"{GOOD}\r"),
    ("? Again, for alice:", f"{GOOD}\r"),
    ("? Another user? [y/N]", "y\r"),
    ("? User name:", "bob\r"),
    ("2) I type my own, twice\n  <) go back", "1\r"),
    ("(n: it is shown once more at the end) [y/n]", "y\r"),
    ("? Another user? [y/N]", "\r"),
]
SELF_SIGNED = [
    ("? Domain:", "hermes.localhost\r"),
    ("4) Another ACME authority\n  <) go back", "\r"),
    *LETSENCRYPT[3:8],
]
GO_AHEAD = "? Go ahead? [y/n]"


def waits(here: Terminal, shown: str) -> None:
    """That question waits for an answer (a list is drawn line by line, so its last line says so)."""
    here.waits(lambda text: _unmarked(text).endswith(shown))


def _unmarked(text: str) -> str:
    """The screen without the pointer of a list, which stands on one line or another."""
    return text.replace("\n > ", "\n   ").replace("\n> ", "\n  ").replace("\n   ", "\n  ")


def answer(here: Terminal, steps: list[tuple[str, str]]) -> None:
    for shown, keys in steps:
        waits(here, shown)
        here.type(keys)


def test_the_whole_run_by_keyboard_to_a_dashboard_that_is_served(world: World, vps: Machine) -> None:
    vps.start(["cron", "-f"])
    here = Terminal(vps)
    answer(here, LETSENCRYPT[:10])
    waits(here, LETSENCRYPT[10][0])
    (bob,) = MADE_UP.findall(here.text)
    answer(here, LETSENCRYPT[10:])
    waits(here, GO_AHEAD)
    here.type("y\r")
    assert here.ended(120) == 0, here.text
    assert f"https://{DOMAIN}/" in here.text
    assert GOOD not in here.raw
    roots = world.acme.roots()
    for user, password in (("alice", GOOD), ("bob", bob)):
        page = world.fetch(f"https://{DOMAIN}/", roots=roots, auth=(user, password))
        assert page.status == 502
        assert "Hermes is not running yet" in page.text
    assert world.fetch(f"https://{DOMAIN}/", roots=roots).status == 401
    assert users(vps) == ["alice", "bob"]
    assert not vps.exists("/var/lib/hermes-setup/draft.json")


def test_with_hermes_there_it_is_found_and_not_asked_for(world: World) -> None:
    vps = world.machine("debian13-ready", "hermes")
    install(vps)
    start_hermes(vps)
    here = Terminal(vps, "--dry-run")
    answer(here, [*SELF_SIGNED[:-1], ("? Another user? [y/N]", "\r")])
    assert here.ended() == 0
    assert "Which Hermes?" not in here.raw
    here = Terminal(vps)
    answer(here, [*SELF_SIGNED[:-1], ("? Another user? [y/N]", "\r"), (GO_AHEAD, "y\r")])
    assert here.ended() == 0
    page = vps.fetch("https://hermes.localhost/", auth=("alice", GOOD))
    assert "__HERMES_SESSION_TOKEN__" in page.text


def test_wrong_answers_are_told_in_place_and_one_can_go_back_from_everywhere(vps: Machine) -> None:
    here = Terminal(vps)
    waits(here, "? Domain:")
    for wrong, why in [
        ("https://hermes.example.com/", "type only the name"),
        ("*.example.com", "wildcard"),
        ("192.0.2.7", "address"),
        ("localhost", ""),
        ("a;{b}.example.com", "can't contain"),
        ("x" * 260, ""),
    ]:
        here.type(f"\x05\x15{wrong}\r")
        stands = DOMAIN if "://" in wrong else wrong  # what was meant is proposed
        text = here.waits(lambda text, stands=stands: text.replace("\n", "").endswith(stands))
        assert why in " ".join(text[text.rindex("! ") :].split())
    here.type("\x05\x15hermes.localhost\r")
    answer(here, [("<) go back", "\r"), ("? User name:", "-oops\r")])
    here.waits(lambda text: "! " in text and text.endswith("? User name: -oops"))
    here.type("\x05\x15alice\r")
    answer(here, [("<) go back", "2\r"), ("? Password for alice:", "short\r")])
    here.waits(lambda text: "has 5 characters" in text and text.endswith("? Password for alice:"))
    here.type(f"{GOOD}\r")
    answer(here, [("? Again, for alice:", f"{GOOD}?\r")])
    here.waits(lambda text: "not the same" in text and text.endswith("? Password for alice:"))
    here.type(f"{GOOD}\r")
    answer(here, [("? Again, for alice:", f"{GOOD}\r"), ("? Another user? [y/N]", "maybe\r")])
    here.waits(lambda text: "neither yes nor no" in text)
    # all the way back from "Go ahead?", and forth again with what was said
    here.type("\r")
    answer(here, [(GO_AHEAD, "perhaps\r")])
    here.waits(lambda text: "neither yes nor no" in text and text.endswith(GO_AHEAD))
    here.type("<\r")
    answer(here, [("? Another user? [y/N]", "<\r")])
    answer(here, [("? User name: alice", "<\r"), ("<) go back", "<\r"), ("? Domain: hermes.localhost", "<\r")])
    here.waits("? Domain: hermes.localhost")
    assert "This is the first question" in here.text
    here.type("\r")
    answer(here, [("<) go back", "\r"), ("? User name: alice", "\r")])
    answer(here, [("3) I type my own, twice\n  <) go back", "1\r"), ("? Another user? [y/N]", "\r"), (GO_AHEAD, "y\r")])
    assert here.ended() == 0
    assert vps.fetch("https://hermes.localhost/", auth=("alice", GOOD)).status == 502
    assert GOOD not in here.raw


def test_ctrl_c_at_each_question_keeps_the_answers_and_again_asks_only_the_rest(vps: Machine) -> None:
    before = vps.snapshot()
    # What is answered only by the question after it is asked again: the password after its name, and its repetition.
    asked_again = {5: 4, 6: 4, 10: 9}
    step = 0
    while step < len(LETSENCRYPT):
        here = Terminal(vps)
        first = asked_again.get(step, step)
        answer(here, LETSENCRYPT[first:step])
        waits(here, LETSENCRYPT[step][0])
        if step:
            assert f"Domain: {DOMAIN} (from last time)" in here.raw
        assert here.raw.count("? ") >= 1
        here.interrupt()
        assert here.ended() == 130, step
        assert "Nothing was changed; your answers so far are kept" in " ".join(here.raw.split())
        assert "sudo hermes-setup" in here.raw
        assert "Traceback" not in here.raw
        here = Terminal(vps)
        answer(here, LETSENCRYPT[first : step + 1])
        after = LETSENCRYPT[step + 1][0] if step + 1 < len(LETSENCRYPT) else GO_AHEAD
        waits(here, after)
        here.interrupt()
        assert here.ended() == 130, step
        step += 1
    changed = [path for path in snapshot_diff(before, vps.snapshot()) if not path.startswith(OURS)]
    assert changed == ["/var/lib/hermes-setup", "/var/lib/hermes-setup/draft.json", "/var/lib/hermes-setup/lock"]
    assert GOOD not in vps.text("/var/lib/hermes-setup/draft.json")
    here = Terminal(vps)
    waits(here, GO_AHEAD)
    assert here.raw.count("(from last time") == 4
    here.type("n\r")
    assert here.ended() == 0


def test_no_at_go_ahead_changes_nothing_and_is_no_error(vps: Machine) -> None:
    before = vps.snapshot(leave_out=())
    here = Terminal(vps)
    answer(here, [*SELF_SIGNED[:-1], ("? Another user? [y/N]", "\r"), (GO_AHEAD, "n\r")])
    assert here.ended() == 0
    assert "Nothing was changed." in here.text
    changed = {path for path in snapshot_diff(before, vps.snapshot(leave_out=())) if not path.startswith("/root")}
    assert {path for path in changed if not path.startswith("/var/lib/hermes-setup")} == set()
    assert vps.listeners() == []


def test_the_menu_of_a_machine_that_is_set_up(vps: Machine) -> None:
    here = Terminal(vps)
    answer(here, [*SELF_SIGNED[:-1], ("? Another user? [y/N]", "\r"), (GO_AHEAD, "y\r")])
    assert here.ended() == 0

    def menu(*steps: tuple[str, str], code: int = 0) -> Terminal:
        there = Terminal(vps)
        answer(there, [("q) Quit", steps[0][0]), *steps[1:]])
        assert there.ended() == code, there.text
        return there

    def status(user: str, password: str) -> int:
        return vps.fetch("https://hermes.localhost/", auth=(user, password)).status

    users_are = "5) List them: where each one comes from, and when its line last changed\n  <) go back"
    told = menu(("q\r", "")).raw  # quit
    assert "Address      https://hermes.localhost/" in told
    assert "signed by this server itself, 8" in told
    assert "Users        alice" in told
    assert "Hermes       not running" in told
    there = Terminal(vps)
    answer(there, [("q) Quit", "1\r"), (users_are, "1\r"), ("? User name:", "alice\r")])
    there.waits(lambda text: "alice is there already" in text and text.endswith("? User name: alice"))
    there.type("\x05\x15bob\r")
    waits(there, "2) I type my own, twice\n  <) go back")
    there.type("1\r")
    waits(there, "[y/n]")
    (bob,) = MADE_UP.findall(there.text)
    answer(there, [("[y/n]", "n\r"), (GO_AHEAD, "y\r")])
    assert there.ended() == 0
    assert status("bob", bob) == 502, there.raw
    assert there.raw.count(bob) == 2, "it was wanted once more at the end"

    menu(
        ("1\r", ""),
        (users_are, "2\r"),
        ("1) alice\n  2) bob\n  <) go back", "2\r"),
        ("2) I type my own, twice\n  <) go back", "2\r"),
        ("? Password for bob:", f"{GOOD} too\r"),
        ("? Again, for bob:", f"{GOOD} too\r"),
        (GO_AHEAD, "y\r"),
    )
    assert status("bob", bob) == 401
    assert status("bob", f"{GOOD} too") == 502
    menu(
        ("1\r", ""),
        (users_are, "3\r"),
        ("1) alice\n  2) bob\n  <) go back", "2\r"),
        ("? Remove bob? [y/N]", "y\r"),
        (GO_AHEAD, "y\r"),
    )
    assert users(vps) == ["alice"]
    assert status("bob", f"{GOOD} too") == 401
    menu(("9\r", ""), (GO_AHEAD, "y\r"))  # undo
    assert status("bob", f"{GOOD} too") == 502
    menu(("9\r", ""), (GO_AHEAD, "<\r"), ("q) Quit", "9\r"), (GO_AHEAD, "y\r"))
    assert status("bob", f"{GOOD} too") == 401
    # the last one stays, and the menu says why
    there = Terminal(vps)
    answer(there, [("q) Quit", "1\r"), (users_are, "3\r")])
    there.sees("last user cannot be")
    answer(there, [(users_are, "5\r")])
    there.sees("by menu or command, changed")
    answer(there, [("q) Quit", "7\r")])
    there.sees("signed by this server")  # a warning
    answer(there, [("q) Quit", "q\r")])  # and the menu is there again
    assert there.ended() == 0


@pytest.mark.parametrize("size", [(12, 40), (40, 132)])
def test_a_window_that_is_resized_in_the_middle_goes_on(vps: Machine, size: tuple[int, int]) -> None:
    here = Terminal(vps)
    answer(here, SELF_SIGNED[:3])
    waits(here, SELF_SIGNED[3][0])
    here.resize(*size)
    here.type("2\r")
    for shown, keys in [
        ("? Password for alice:", f"{GOOD}\r"),
        ("? Again, for alice:", f"{GOOD}\r"),
        ("? Another user? [y/N]", "\r"),
        (GO_AHEAD, "y\r"),
    ]:
        here.waits(lambda text, shown=shown: " ".join(text.split()).endswith(shown))
        here.type(keys)
        here.resize(24, 80)
        here.resize(*size)
    assert here.ended() == 0
    assert vps.fetch("https://hermes.localhost/", auth=("alice", GOOD)).status == 502


def test_a_dry_run_asks_the_same_and_writes_nothing_not_even_the_answers(vps: Machine) -> None:
    before = vps.snapshot(leave_out=())
    here = Terminal(vps, "--dry-run")
    answer(here, [*LETSENCRYPT[:7], ("? Another user? [y/N]", "\r")])
    assert here.ended(90) == 0
    assert "That was a dry run: nothing has been changed." in here.text
    assert "server_name" in here.raw
    assert list(snapshot_diff(before, vps.snapshot(leave_out=()))) == []
    here = Terminal(vps, "--dry-run")
    waits(here, "? Domain:")
    here.interrupt()
    assert here.ended() == 130
    assert "kept" not in here.raw


def test_the_wish_for_a_still_screen_and_the_review_under_sudo(vps: Machine) -> None:
    sudo = "env -u HERMES_SETUP_PLAIN SUDO_USER=admin hermes-setup --dry-run; :"  # all of it that matters here
    here = Terminal(
        vps, "-c", sudo, command="sh", columns=40, env={"HERMES_SETUP_PLAIN": "1", "TERM": "xterm-256color"}
    )
    for shown, keys in [
        *(("? Domain:", "hermes.localhost\r"), ("? Certificate [3]:", "s\r"), ("? User name [admin]:", "\r")),
        *(("[1]:", "i type\r"), ("? Password for admin:", f"{GOOD}\r"), ("? Again, for admin:", f"{GOOD}\r")),
        ("? Another user? [y/N]", "\r"),
    ]:
        here.until(shown)
        here.type(keys)
    assert here.ended() == 0
    assert "\x1b" not in here.raw
    lines = here.raw.splitlines()
    at = lines.index("Your answers:")
    assert lines[at - 1] == ""
    assert lines[at + 1] == "Domain       hermes.localhost"


@pytest.mark.parametrize("argv", [(), ("--dry-run",)])
def test_without_a_terminal_the_way_without_questions_is_named(vps: Machine, argv: tuple[str, ...]) -> None:
    ran = hermes_setup(vps, *argv, code=2)
    assert "apply --answers FILE.toml" in " ".join(ran.err.split())
    assert ran.out == ""


def test_while_another_run_is_at_work_nothing_is_asked(world: World) -> None:
    machine = world.machine()
    install(machine)
    machine.run(["mkdir", "-m", "700", "/var/lib/hermes-setup"])
    hold = "import fcntl, time; f = open('/var/lib/hermes-setup/lock', 'w'); f.write('process 7'); f.flush(); "
    holder = machine.start(["python3", "-c", f"{hold}fcntl.flock(f, 2); print('held', flush=True); time.sleep(600)"])
    machine.wait_for(lambda: "held" in holder.output, "the lock is held")
    here = Terminal(machine)
    here.has_said("process 7")
    assert here.ended() == 75
    assert "Domain" not in here.raw


@pytest.mark.parametrize("pressed", ["", "\r"], ids=["by itself", "at Enter"])
def test_before_the_record_is_there_it_tells_what_to_set_waits_and_goes_on(
    world: World, vps: Machine, pressed: str
) -> None:
    world.dns.host(DOMAIN)  # the zone is there, the name has no address
    here = Terminal(vps, env={"SUDO_USER": "admin"})
    answer(here, [*LETSENCRYPT[:3], ("? User name [admin]:", "alice\r"), *LETSENCRYPT[4:7]])
    answer(here, [("? Another user? [y/N]", "\r")])
    screen = here.waits(lambda text: "5) Stop here" in text)
    words = " ".join(here.raw.split())
    assert f"{DOMAIN}. A {vps.addresses[0]}" in words
    assert f"ssh -L 9119:127.0.0.1:9119 admin@{vps.addresses[0]}" in words
    assert "1) Wait here" in screen
    here.type("1\r")
    here.sees("Waiting for the record")
    here.until(lambda text: re.search(r"^\d\d:\d\d:\d\d  .* has no address", text, re.M) is not None)
    assert not vps.exists("/etc/nginx/sites-enabled/zz-hermes")
    world.dns.host(DOMAIN, *vps.addresses)
    here.type(pressed)
    here.sees("There it is", 45 if not pressed else 15)
    waits(here, GO_AHEAD)
    here.interrupt()
    assert here.ended() == 130
    world.dns.host(DOMAIN)
    again = Terminal(vps, env={"SUDO_USER": "admin"})
    again.waits(lambda text: "5) Stop here" in text)
    assert f"Domain: {DOMAIN} (from last time)" in again.raw
    again.interrupt()
    assert again.ended() == 130
