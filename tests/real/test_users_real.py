"""Users through interrupted runs, lost output and hand-made lines: who may sign in is who was agreed to."""

from __future__ import annotations

import pytest

from conftest import DOMAIN
from hermes_setup.passwords import hash_password
from lab import Machine, World, start_hermes
from real.program import apply, hermes_setup, install
from real.terminal import Terminal
from real.test_wizard_real import waits

ALICE = f'domain = "{DOMAIN}"\ncertificate = "self-signed"\n[[users]]\nname = "alice"\n'
HASH = hash_password("correct horse battery")
BOTH = ALICE + '[[users]]\nname = "bob"\n'


@pytest.fixture
def vps(world: World, machine: Machine) -> Machine:
    install(machine)
    return machine


def users(machine: Machine) -> list[str]:
    return [line.partition("\t")[0] for line in hermes_setup(machine, "users", "list").out.splitlines()]


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


def test_a_list_of_users_comes_by_one_run_or_not_at_all(world: World, vps: Machine) -> None:
    world.dns.host(DOMAIN, *vps.addresses)
    start_hermes(vps)
    apply(vps, ALICE.replace("[[users]]", f'[[users]]\npassword_hash = "{HASH}"'), "--yes")
    vps.write("/root/wrong.txt", f"bob\ncarol:{HASH}\ndave:correct horse battery\n")
    said = hermes_setup(vps, "users", "add", "--from", "/root/wrong.txt", "--yes", code=2)
    assert "/root/wrong.txt, line 3: behind the colon stands no $6$ hash" in said.err
    assert "correct horse" not in said.err + said.out
    assert users(vps) == ["alice"]
    vps.write("/root/list.txt", f"# the new ones\n\nbob\ncarol:{HASH}\nalice\n")
    dry = hermes_setup(vps, "users", "add", "--from", "/root/list.txt", "--dry-run")
    assert "add bob, carol" in " ".join(dry.err.split())
    assert users(vps) == ["alice"]
    made = hermes_setup(vps, "users", "add", "--from", "/root/list.txt", "--yes")
    assert "There already, and left as they are: alice." in made.err
    (line,) = made.out.splitlines()
    name, password = line.split("\t")
    for who in ((name, password), ("carol", "correct horse battery"), ("alice", "correct horse battery")):
        assert world.fetch(f"https://{DOMAIN}/", auth=who).status == 200
    again = hermes_setup(vps, "users", "add", "--from", "-", "--yes", stdin="bob\ncarol\n")
    assert "Nothing to do" in again.err
    # how each came, and when the line was last changed
    vps.run(["sh", "-c", f"echo 'hand:{HASH}' >> /etc/nginx/.htpasswd-hermes"])
    told = dict(line.split("\t") for line in hermes_setup(vps, "users", "list").out.splitlines())
    assert list(told) == ["alice", "bob", "carol", "hand"]
    assert told["alice"].startswith("from the answers file; line changed 20")
    assert told["bob"].startswith("added here; line changed 20")
    assert told["hand"].startswith("by hand; line not after 20")
    for path in ("/var/log/hermes-setup.log", "/var/lib/hermes-setup/users.json", "/var/lib/hermes-setup/answers.json"):
        text = vps.read(path).decode()
        assert password not in text, path
        assert HASH not in text, path


def test_a_new_password_by_the_menu_does_not_take_a_user_from_the_answers_file(vps: Machine) -> None:
    apply(vps, BOTH, "--yes")
    here = Terminal(vps)
    here.waits(lambda text: "< goes back" in text or "go back" in text or "[y/n]" in text or "arrow" in text)
    here.type("2\r")
    here.waits(lambda text: "bob" in text and "arrow" in text)
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
