"""Users through interrupted runs, lost output and hand-made lines: who may sign in is who was agreed to."""

from __future__ import annotations

import json
import re

import pytest

from conftest import DOMAIN
from hermes_setup.stages.users.htpasswd import USERS_FILE
from lab import Machine, World, start_hermes
from real.program import apply, hermes_setup, install, users
from real.terminal import Terminal
from real.test_secrets import files_with
from real.test_wizard_real import waits

ALICE = f'domain = "{DOMAIN}"\ncertificate = "self-signed"\n[[users]]\nname = "alice"\n'
BOTH = ALICE + '[[users]]\nname = "bob"\n'


@pytest.fixture
def vps(world: World, machine: Machine) -> Machine:
    install(machine)
    return machine


def test_who_was_to_go_goes_even_if_the_run_that_was_told_so_failed(vps: Machine) -> None:
    apply(vps, BOTH, "--yes")
    vps.run(
        [
            "sh",
            "-c",
            "cp -p /etc/nginx/.htpasswd-hermes /root/held; mount --bind /root/held /etc/nginx/.htpasswd-hermes",
        ]
    )
    apply(vps, ALICE, "--yes", code=1)
    assert users(vps) == ["alice", "bob"]
    vps.run(["umount", "/etc/nginx/.htpasswd-hermes"])
    apply(vps, ALICE, "--yes")
    assert users(vps) == ["alice"]


def test_a_new_password_by_the_menu_does_not_take_a_user_from_the_answers_file(vps: Machine) -> None:
    apply(vps, BOTH, "--yes")
    here = Terminal(vps)
    waits(here, "q) Quit")
    here.type("1\r")
    waits(here, "<) go back")
    here.type("2\r")
    here.waits(lambda text: "? Who?" in text and text.rstrip().endswith("go back"))
    here.type("2\r")
    here.waits(lambda text: "Make one up" in text and "arrow" in text)
    here.type("\r")
    waits(here, "(n: it is shown once more at the end) [y/n]")
    here.type("y\r")
    waits(here, "? Go ahead? [y/n]")
    here.type("y\r")
    assert here.ended() == 0, here.text
    apply(vps, ALICE, "--yes")
    assert users(vps) == ["alice"]


def test_a_password_that_nobody_could_read_makes_no_user(vps: Machine) -> None:
    vps.write("/root/a.toml", ALICE, mode=0o600)
    run = "hermes-setup apply --answers /root/a.toml --yes"
    for stdout in (">/dev/full", ">&-"):
        ran = vps.run(["bash", "-c", f"{run} {stdout}"], check=False)
        assert ran.code == 1, ran
        assert "nothing was changed" in ran.err
        assert users(vps) == []
    assert "alice\t" in hermes_setup(vps, *run.split()[1:]).out
    for words in ("users add carol --generate --yes >&-", "users add carol --generate --yes >/dev/full"):
        assert vps.run(["bash", "-c", f"hermes-setup {words}"], check=False).code == 1
    assert users(vps) == ["alice"]
    # no stdin; no stderr; no room for talk
    assert vps.run(["bash", "-c", "hermes-setup users passwd alice --password-stdin --yes <&-"], check=False).code == 2
    quiet = vps.run(["bash", "-c", "hermes-setup users add dora --generate --yes 2>&-"])
    assert len(quiet.out.splitlines()) == 1
    assert quiet.out.startswith("dora\t")
    full = vps.run(["bash", "-c", "hermes-setup users add erna --generate --yes 2>/dev/full"])
    assert full.out.startswith("erna\t")
    assert users(vps) == ["alice", "dora", "erna"]


def test_a_line_by_hand_never_earns_the_cookie_of_one_who_is_called_alike(world: World) -> None:
    vps = world.machine("debian13-ready", "hermes")
    world.dns.host(DOMAIN, *vps.addresses)
    install(vps)
    start_hermes(vps)
    apply(vps, ALICE, "--yes")
    hashed = vps.run(["openssl", "passwd", "-6", "hers alone"]).out.strip()
    vps.run(["sh", "-c", f"printf '%s\\n' 'ALICE:{hashed}' >>/etc/nginx/.htpasswd-hermes"])
    page = world.fetch(f"https://{DOMAIN}/", auth=("ALICE", "hers alone"))
    assert page.status == 200
    assert page.all("Set-Cookie") == []
    hermes_setup(vps, "users", "sign-out", "--all", "--yes")
    assert len(world.fetch(f"https://{DOMAIN}/", auth=("ALICE", "hers alone")).all("Set-Cookie")) == 1
    # and one that is no UTF-8 at all is no reason to fail
    vps.run(["sh", "-c", r"printf '\377\376:{SHA}x\n' >>/etc/nginx/.htpasswd-hermes"])
    apply(vps, ALICE, "--yes")
    hermes_setup(vps, "users", "list")


def test_a_neighbour_by_name_of_the_machine_and_one_with_a_dot_in_front(vps: Machine) -> None:
    vps.write("/etc/nginx/sites-enabled/status", "server { listen localhost:80; server_name status; }\n")
    vps.run(["rm", "/etc/nginx/sites-enabled/default"])
    apply(vps, ALICE, "--yes")
    vps.run(["nginx", "-t"])
    vps.write("/etc/nginx/sites-enabled/all", f"server {{ listen 80; server_name .{DOMAIN}; }}\n")
    said = apply(vps, ALICE, "--yes", code=3).err
    assert "/etc/nginx/sites-enabled/all" in said


BCRYPT = "$2y$05$abcdefghijklmnopqrstuurtEvHOjcCIBtEiELzQvs3IQLViD2skK"
"""Of "her own secret", as `htpasswd -B` makes them."""


def told(machine: Machine) -> dict[str, tuple[str, str, bool]]:
    """Name -> how, when, whether that is exact: as `users list` has it."""
    found = json.loads(hermes_setup(machine, "users", "list", "--json").out)["users"]
    return {user["name"]: (user["how"], user["changed"], user["exact"]) for user in found}


def loads(machine: Machine) -> int:
    return machine.text("/var/log/hermes-setup.log").count("run nginx -s reload")


def test_everybody_on_a_list_can_sign_in_after_one_run_and_a_second_one_adds_whom_it_names_more(world: World) -> None:
    vps = world.machine("debian13-ready", "hermes")
    world.dns.host(DOMAIN, *vps.addresses)
    install(vps)
    start_hermes(vps)
    apply(vps, ALICE, "--yes")

    def status(user: str, password: str) -> int:
        return world.fetch(f"https://{DOMAIN}/", auth=(user, password)).status

    sha = vps.run(["openssl", "passwd", "-6", "zebra staple 7"]).out.strip()
    people = f"# the team\n\nbob:correct: horse\r\n  carol:{BCRYPT}:a comment\ndora:{sha}\nAlice:battery staple\n"
    vps.write("/root/team", people, mode=0o644)
    before = loads(vps)
    said = hermes_setup(vps, "users", "add", "--from", "/root/team", "--yes")
    assert loads(vps) == before + 1
    assert said.out == ""
    words = " ".join(said.err.split())
    assert "sudo chmod 600 /root/team" in words
    assert "warning: alice and Alice differ only in upper and lower case." in words
    good = {"bob": "correct: horse", "carol": "her own secret", "dora": "zebra staple 7", "Alice": "battery staple"}
    for user, password in good.items():
        assert status(user, password) == 200, user
        assert status(user, f"{password}?") == 401, user
    assert users(vps) == ["alice", *good]
    assert "users.alike" in hermes_setup(vps, "doctor", "--json", code=4).out
    # with one more it adds one; the same again changes nothing
    vps.write("/root/team", f"{people}erna:hunter2 hunter3\n", mode=0o600)
    again = hermes_setup(vps, "users", "add", "--from", "/root/team", "--yes").err
    assert "Already there, and left as they are: bob, carol, dora, Alice." in again
    assert "chmod" not in again
    assert status("erna", "hunter2 hunter3") == 200
    assert "Nothing to do" in hermes_setup(vps, "users", "add", "--from", "/root/team", "--yes").err
    for secret in (*good.values(), "hunter2 hunter3"):
        assert files_with(vps, secret).get(0, set()) - {"/root/team"} == set()
    # those who came together go together, and come back as they were
    since = told(vps)
    assert since["erna"][0] == "menu"
    assert since["erna"][2]
    hermes_setup(vps, "undo", "--last", "--yes")
    assert status("erna", "hunter2 hunter3") == 401
    assert told(vps) == {name: user for name, user in since.items() if name != "erna"}
    hermes_setup(vps, "undo", "--last", "--yes")
    assert status("erna", "hunter2 hunter3") == 200
    assert told(vps) == since


def test_one_bad_line_and_nobody_of_the_list_is_added(vps: Machine) -> None:
    apply(vps, ALICE, "--yes")
    before = vps.snapshot()
    for line, reason in (
        ("eve:$apr1$abcdefgh$J2IOWkZkwFAaWkoqcTQvo.", "$apr1$ hashes are not accepted"),
        ("eve:hunter2", "The password has 7 characters"),
        ("eve Hunter2Hunter2", "There is more than a name"),
        ("alice:Hunter2Hunter2", "alice exists already"),
    ):
        vps.write("/root/team", f"bob:correct horse\n{line}\n", mode=0o600)
        said = hermes_setup(vps, "users", "add", "--from", "/root/team", "--yes", code=2)
        words = " ".join(said.err.split())
        assert f"/root/team, line 2: {reason}" in words, words
        assert "No one was added." in words
        assert "hunter2" not in (said.out + said.err).lower()
        vps.run(["rm", "/root/team"])
    assert vps.snapshot() == before


def test_passwords_are_made_up_for_a_list_on_a_terminal_only(vps: Machine) -> None:
    apply(vps, ALICE, "--yes")
    vps.write("/root/team", "bob\ncarol\n")
    no = hermes_setup(vps, "users", "add", "--from", "/root/team", "--generate", "--yes", code=2).err
    assert "for the screen only" in " ".join(no.split())
    assert "not a terminal" in hermes_setup(vps, "users", "add", "--from", "/root/team", "--yes", code=2).err
    hermes_setup(vps, "users", "add", "--from", "/root/team", "--generate", "--dry-run")
    assert users(vps) == ["alice"]
    here = Terminal(vps, "users", "add", "--from", "/root/team", "--generate", "--yes")
    assert here.ended() == 0, here.text
    made = re.findall(r"(\w+)\s+([a-z0-9]{5}(?:-[a-z0-9]{5}){3})\b", here.text)
    assert [name for name, _ in made] == ["bob", "carol"]
    for name, password in made:
        page = vps.fetch(f"https://{DOMAIN}/", address="127.0.0.1", auth=(name, password))
        assert page.status == 502, "let in; there is no Hermes"
        assert here.raw.count(password) == 1
        assert files_with(vps, password) == {}


def test_each_user_has_where_from_and_since_when_and_nothing_is_made_up(vps: Machine) -> None:
    apply(vps, ALICE, "--yes")
    hermes_setup(vps, "users", "add", "bob", "--generate", "--yes")
    alice, bob = told(vps)["alice"], told(vps)["bob"]
    assert (alice[0], alice[2]) == ("answers", True)
    assert (bob[0], bob[2]) == ("menu", True)
    assert alice[1] <= bob[1]
    # by hand: the file's time is all there is to know, and what was known before stays
    vps.run(["sh", "-c", f"echo 'carol:{BCRYPT}' >>{USERS_FILE}; touch -d '2021-02-03 04:05:06 UTC' {USERS_FILE}"])
    assert told(vps) == {"alice": alice, "bob": bob, "carol": ("hand", "2021-02-03T04:05:06Z", False)}
    hermes_setup(vps, "users", "add", "dora", "--generate", "--yes")
    assert told(vps)["carol"] == ("hand", "2021-02-03T04:05:06Z", False), "another line of the file was written since"
    # somebody else's change of our line is seen; one of ours is known to the second again
    vps.run(["sh", "-c", f"sed -i 's/^bob:.*/bob:{BCRYPT.replace('/', '.')}/' {USERS_FILE}"])
    assert told(vps)["bob"][2] is False
    hermes_setup(vps, "users", "passwd", "bob", "--generate", "--yes")
    changed = told(vps)["bob"]
    assert changed[2]
    assert changed[1] > bob[1] or changed[1] == bob[1]
    # gone and back
    hermes_setup(vps, "users", "remove", "bob", "--yes")
    hermes_setup(vps, "undo", "--last", "--yes")
    assert told(vps)["bob"] == changed
    line = next(line for line in hermes_setup(vps, "users", "list").out.splitlines() if line.startswith("carol"))
    assert line == "carol\tby hand, changed 2021-02-03 04:05 UTC or before"
    # notes of an older version, which had none
    vps.run(["rm", "/var/lib/hermes-setup/lines.json"])
    assert not any(exact for _, _, exact in told(vps).values())
    hermes_setup(vps, "users", "remove", "bob", "--yes")
