"""The allowed addresses as one meets them who comes by ssh: with sudo, in a tmux that outlived its session, by the menu."""

from __future__ import annotations

import pytest

from conftest import DOMAIN
from lab import World
from real.terminal import Terminal
from real.test_wizard_real import GO_AHEAD, answer
from vps import Login, Vps
from vps.test_stories import ANSWERS, APPLY, done, login, ready, system

__all__ = ["done", "login", "ready", "system", "vps"]  # fixtures

HERE = "198.51.100.1"  # where Login comes from: the world itself
EVERY = "2) Every address again, with a password as before\n  <) go back"


@pytest.fixture
def vps(world: World, system: str) -> Vps:
    """A booted server with a self-signed site: no certificate is fetched here."""
    new = world.make(Vps, system, "hermes", memory="3g")
    world.dns.host(DOMAIN, *new.addresses)
    new.write("/root/answers.toml", ANSWERS.replace("[[users]]", 'certificate = "self-signed"\n[[users]]'), mode=0o600)
    new.write("/root/alice.pw", "correct horse battery\n", mode=0o600)
    return new


@pytest.mark.parametrize("debian", ["debian12"])
def test_the_session_is_found_under_sudo_and_not_left_out_by_accident(world: World, done: Login, debian: str) -> None:
    def write(*allow: str) -> None:
        listed = ", ".join(f'"{each}"' for each in allow)
        words = f'certificate = "self-signed"\nallow = [{listed}]\n[[users]]'
        done.vps.write("/root/answers.toml", ANSWERS.replace("[[users]]", words), mode=0o600)

    def wide() -> int:
        return world.fetch(f"https://{DOMAIN}/").status

    write("192.0.2.0/24")
    for line in (
        APPLY,
        APPLY.replace("sudo", "sudo -i"),
        f"sudo su - -c '{APPLY.removeprefix('sudo ')}'",
        f"sudo sh -c 'env -i PATH=$PATH setsid -w {APPLY.removeprefix('sudo ')}'",
        APPLY.replace("--yes", "--dry-run"),
    ):
        ran = done.run(line, check=False)
        assert ran.code == 3, (line, ran)
        assert f'"{HERE}"' in ran.err
        assert "--allow-lockout" in ran.err
        assert wide() == 401
    # nobody's session: from a unit of systemd, nothing is refused, and the doctor only tells
    assert done.vps.run(APPLY.removeprefix("sudo ").split(), check=False).code == 0
    assert wide() == 403
    ran = done.run("sudo hermes-setup doctor", check=False)
    assert "is not among the allowed addresses" in ran.err + ran.out
    assert "Nothing to do" in done.run(APPLY).err
    write("192.0.2.0/25")
    assert done.run(APPLY, check=False).code == 3
    done.run(f"{APPLY} --allow-lockout")
    assert wide() == 403
    write(HERE)
    done.run(APPLY)
    assert wide() == 401


def test_a_tmux_that_outlived_its_session_is_a_guess(world: World, done: Login) -> None:
    """Its processes name a connection that is closed; a list is not refused for its sake."""
    home = world.machine("debian13", v4="198.51.100.50", v6=None, name="home")
    told = f"SSH_CONNECTION='{home.addresses[0]} 50000 198.51.100.10 22'"
    # another session is open, from HERE: most likely ours, offered and not enforced
    line = f"sudo env {told} sh -c 'hermes-setup apply --answers /root/listed.toml --yes; exit $?'"
    words = 'certificate = "self-signed"\nallow = ["192.0.2.0/24"]\n[[users]]'
    done.vps.write("/root/listed.toml", ANSWERS.replace("[[users]]", words), mode=0o600)
    ran = done.run(line)
    assert f"{HERE}, where this ssh session comes from, is not among" in ran.err.replace("\n", " ")


def test_the_menu_offers_where_one_sits_first(world: World, done: Login) -> None:
    def menu(*steps: tuple[str, str], code: int = 0, flags: str = "") -> Terminal:
        here = Terminal(done, "hermes-setup", *flags.split(), command="sudo")  # type: ignore[arg-type]  # it spawns
        answer(here, [("q) Quit", "2\r"), *steps])
        assert here.ended(120) == code, here.text
        return here

    first = menu(
        (f"1) Only {HERE}, where this ssh session comes from\n  2) Type a list\n  <) go back", "1\r"), (GO_AHEAD, "y\r")
    )
    assert f"The dashboard opens to: {HERE}." in first.raw
    assert world.fetch(f"https://{DOMAIN}/").status == 401
    assert f'allow = ["{HERE}"]' in done.run("sudo hermes-setup answers").out
    # without it: told why; on purpose: with the flag
    here = Terminal(done, "hermes-setup", command="sudo")  # type: ignore[arg-type]  # it spawns
    answer(here, [("q) Quit", "2\r"), (EVERY, "1\r"), (f"? Addresses: {HERE}", "\x05\x15192.0.2.0/24\r")])
    here.waits(lambda text: f"{HERE}, where this ssh session comes from, is not among them" in text)
    here.interrupt()
    assert here.ended() == 130
    menu(
        (EVERY, "1\r"),
        (f"? Addresses: {HERE}", "\x05\x15192.0.2.0/24\r"),
        (GO_AHEAD, "y\r"),
        flags="--allow-lockout",
    )
    assert world.fetch(f"https://{DOMAIN}/").status == 403
    # "Change the answers" keeps the list; and everybody may come again
    menu((EVERY.replace("2)", "3)"), "3\r"), (GO_AHEAD, "y\r"))
    assert world.fetch(f"https://{DOMAIN}/").status == 401
    assert "allow" not in done.run("sudo hermes-setup answers").out
