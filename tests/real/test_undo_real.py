"""`undo --last` on real parts: the machine is as it was, the neighbours are served, and once more does it again."""

from __future__ import annotations

import re

import pytest

from conftest import DOMAIN
from hermes_setup.stages.users import cookies
from lab import Machine, World, snapshot_diff
from real.program import COMMAND, apply, hermes_setup, install, users
from real.terminal import Terminal
from real.test_interrupted import by_signal

GOOD = "correct horse battery"
ANSWERS = f"""
domain = "{DOMAIN}"
certificate = "letsencrypt"
[[users]]
name = "alice"
password_file = "/root/alice.pw"
"""
# What stays, each with its reason.
STAYS = re.compile(
    r"/etc/letsencrypt.*|/var/lib/letsencrypt.*|/var/log.*"  # certificates, and their logs
    r"|/var/lib/hermes-setup.*|/opt/.*|/root.*|/usr/local/.*"  # the program and its notes
    r"|/var/lib/nginx.*|/run.*"  # nginx's own
    r"|/var/www(/letsencrypt.*)?|/etc/letsencrypt/renewal-hooks.*"  # folders, empty
)


@pytest.fixture
def vps(world: World, server: Machine) -> Machine:
    """nginx serves a shop; the program is there."""
    install(server)
    server.start(["cron", "-f"])
    server.write(
        "/etc/nginx/sites-enabled/shop",
        'server { listen 80; server_name shop.example.com; location / { return 200 "the shop"; } }\n',
    )
    server.run(["nginx", "-s", "reload"])
    server.write("/root/alice.pw", GOOD + "\n", mode=0o600)
    return server


def status(world: World, user: tuple[str, str]) -> int:
    return world.fetch(f"https://{DOMAIN}/", auth=user, roots=world.acme.roots()).status


@pytest.mark.parametrize("debian", ["debian13"])
def test_the_first_run_undone_leaves_the_server_as_it_was_and_once_more_brings_it_back(
    world: World, vps: Machine
) -> None:
    assert "no run to undo" in hermes_setup(vps, "undo", "--last", code=2).err
    before = vps.snapshot()
    apply(vps, ANSWERS, "--yes")
    assert status(world, ("alice", GOOD)) == 502
    listeners, disk = vps.listeners(), vps.snapshot()
    told = hermes_setup(vps, "undo", "--last", "--dry-run").err
    assert "/etc/nginx/sites-enabled/zz-hermes" in told
    assert vps.snapshot() == disk
    assert vps.listeners() == listeners
    assert "Add --yes" in hermes_setup(vps, "undo", "--last", code=2).err

    told = hermes_setup(vps, "undo", "--last", "--yes").err
    assert "Nothing is set up here any more" in told
    assert {path for path in snapshot_diff(before, vps.snapshot()) if not STAYS.fullmatch(path)} == set()
    assert vps.fetch(f"http://{DOMAIN}/", host="shop.example.com").text == "the shop"
    assert [each.port for each in vps.listeners() if each.process == "nginx" and each.port == 443] == []
    assert "Nothing is set up here yet" in hermes_setup(vps, "doctor", code=4).err
    assert "/etc/letsencrypt/renewal-hooks/deploy/hermes-setup" not in vps.snapshot()

    assert "Done again" in hermes_setup(vps, "undo", "--last", "--yes").err
    assert status(world, ("alice", GOOD)) == 502
    apply(vps, ANSWERS, "--yes")  # the renewal is rehearsed again
    assert "Nothing to do" in apply(vps, ANSWERS, "--yes").err
    hermes_setup(vps, "undo", "--last", "--yes")
    apply(vps, ANSWERS, "--yes")
    assert status(world, ("alice", GOOD)) == 502, "set up anew, with the certificate that stayed"


def test_a_user_who_came_goes_and_what_somebody_edited_stays(world: World, vps: Machine) -> None:
    apply(vps, ANSWERS, "--yes")
    bob = hermes_setup(vps, "users", "add", "bob", "--generate", "--yes").out.split("\t")[1].strip()
    (token,) = [each for each in cookies.parse(vps.text(cookies.GATE_FILE)) if each.name == "bob"]
    cookie = f"__Host-hermes_gate={token.value}"
    assert status(world, ("bob", bob)) == 502
    told = hermes_setup(vps, "undo", "--last", "--yes").err
    assert "Undone" in told
    assert told.count("have nginx load the new configuration, without dropping a connection ...") == 1
    assert status(world, ("bob", bob)) == 401
    known = world.fetch(f"https://{DOMAIN}/", headers={"Cookie": cookie}, roots=world.acme.roots())
    assert known.status == 401, "his cookie is good no more"
    assert status(world, ("alice", GOOD)) == 502
    assert users(vps) == ["alice"]
    assert "bob" not in hermes_setup(vps, "answers").out
    # done again, and then edited by hand: that file stays, the others go back
    hermes_setup(vps, "undo", "--last", "--yes")
    assert status(world, ("bob", bob)) == 502
    vps.run(["sh", "-c", "echo 'carol:$6$x$y' >>/etc/nginx/.htpasswd-hermes"])
    told = hermes_setup(vps, "undo", "--last", "--yes").err
    assert ".htpasswd-hermes has been edited since that run" in " ".join(told.split())
    assert "carol" in vps.text("/etc/nginx/.htpasswd-hermes")


def test_stopped_in_the_middle_the_same_again_completes(world: World, vps: Machine) -> None:
    before = vps.snapshot()
    apply(vps, ANSWERS, "--yes")
    here = Terminal(vps, "undo", "--last", "--yes")
    here.has_said("[1/1]")
    by_signal(9)(here, vps)
    vps.run(["nginx", "-t"])
    told = hermes_setup(vps, "undo", "--last", "--yes").err
    assert "Nothing is set up here any more" in told
    assert {path for path in snapshot_diff(before, vps.snapshot()) if not STAYS.fullmatch(path)} == set()


MOVED = ANSWERS.replace(DOMAIN, "chat.example.com")


def names(vps: Machine) -> list[str]:
    """Those that our site serves over HTTPS."""
    site = vps.text("/etc/nginx/sites-available/hermes")
    return re.findall(r"server_name (\S+);", site[site.index("listen 443") :])


def test_a_run_that_was_stopped_and_gone_on_with_is_undone_whole(world: World, vps: Machine) -> None:
    vps.write("/root/answers.toml", ANSWERS, mode=0o600)
    here = Terminal(vps, "apply", "--answers", "/root/answers.toml", "--yes")
    here.has_said("Users: 2 changes")
    by_signal(9)(here, vps)
    apply(vps, ANSWERS, "--yes")
    assert status(world, ("alice", GOOD)) == 502
    world.dns.host("chat.example.com", *vps.addresses)
    vps.write("/root/answers.toml", MOVED, mode=0o600)
    here = Terminal(vps, "apply", "--answers", "/root/answers.toml", "--yes")
    here.has_said("Site over HTTP: ")
    by_signal(9)(here, vps)
    apply(vps, MOVED, "--yes")
    assert names(vps) == ["chat.example.com"]
    assert "before the last run" in hermes_setup(vps, "undo", "--last", "--yes").err
    assert names(vps) == [DOMAIN]
    assert status(world, ("alice", GOOD)) == 502
    hermes_setup(vps, "undo", "--last", "--yes")
    assert names(vps) == ["chat.example.com"]
    hermes_setup(vps, "undo", "--last", "--yes")
    hermes_setup(vps, "undo", "--last", "--yes")
    hermes_setup(vps, "undo", "--last", "--yes")
    assert names(vps) == [DOMAIN], "to and fro"


def test_what_somebody_wrote_into_the_site_comes_back_and_a_cookie_that_was_taken_stays_out(
    world: World, vps: Machine
) -> None:
    apply(vps, ANSWERS, "--yes")
    site = vps.text("/etc/nginx/sites-available/hermes").replace("110m", "500m")
    vps.write("/etc/nginx/sites-available/hermes", site)
    apply(vps, ANSWERS, "--yes")
    assert "110m" in vps.text("/etc/nginx/sites-available/hermes")
    hermes_setup(vps, "undo", "--last", "--yes")
    assert vps.text("/etc/nginx/sites-available/hermes") == site
    apply(vps, ANSWERS, "--yes")
    # Killed before its reload; the reload is somebody else's; then the removal is killed before its reload, too.
    vps.write("/root/bob.pw", GOOD + "\n", mode=0o600)
    here = Terminal(vps, "-c", f"{COMMAND} users add bob --password-stdin --yes </root/bob.pw", command="sh")
    here.has_said("Users: 2 changes")
    by_signal(9)(here, vps)
    vps.run(["nginx", "-s", "reload"])
    (token,) = [each for each in cookies.parse(vps.text(cookies.GATE_FILE)) if each.name == "bob"]
    cookie = {"Cookie": f"__Host-hermes_gate={token.value}"}

    def opens() -> bool:
        return world.fetch(f"https://{DOMAIN}/", headers=cookie, roots=world.acme.roots()).status == 502

    vps.wait_for(opens, "the new workers know bob")
    here = Terminal(vps, "users", "remove", "bob", "--yes")
    here.has_said("Users: 2 changes")
    by_signal(9)(here, vps)
    assert "reload" in hermes_setup(vps, "doctor", code=4).err
    hermes_setup(vps, "users", "remove", "bob", "--yes")  # the same again, as it was told
    assert not opens()
    assert users(vps) == ["alice"]
