"""The program as its users meet it: a booted server, ssh, systemd, a real CA and a browser. Each test is one story."""

from __future__ import annotations

import os
import re
import signal
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import DOMAIN
from lab import World, lab_authority, session_token, snapshot_diff
from real.program import HOME, install
from real.terminal import Terminal
from real.test_dry_run import BESIDES
from real.test_wizard_real import GO_AHEAD, GOOD, LETSENCRYPT, answer
from vps import Login, Page, Vps, browse

PICTURES = Path("/state/pictures")
# As LETSENCRYPT, but this server has somebody whose name is proposed.
KEYS = [
    *LETSENCRYPT[:3],
    ("? User name [admin]:", "alice\r"),
    *LETSENCRYPT[4:7],
    ("? Another user? [y/N]", "\r"),
]
LIVE = "document.body.innerText.includes('live') && document.body.innerText.includes('Hermes Agent')"
ANSWERS = f"""domain = "{DOMAIN}"
[[users]]
name = "alice"
password_file = "/root/alice.pw"
"""
APPLY = "sudo hermes-setup apply --answers /root/answers.toml --yes"


@pytest.fixture
def system(debian: str) -> str:
    """What the server of the test is made of; "debian13" alone: nothing but its base system."""
    return f"{debian}-ready"


@pytest.fixture
def vps(world: World, system: str) -> Vps:
    """A booted server that reaches the package registries and trusts this world's Let's Encrypt; DOMAIN points to it."""
    new = world.make(Vps, system, "hermes", memory="3g")
    world.give_packages(new)
    new.trust(*world.acme.trusted)
    world.dns.host(DOMAIN, *new.addresses)
    new.write("/root/answers.toml", ANSWERS, mode=0o600)
    new.write("/root/alice.pw", GOOD + "\n", mode=0o600)
    return new


@pytest.fixture
def login(world: World, vps: Vps) -> Login:
    """Somebody at home with an account there."""
    return Login(world, vps)


@pytest.fixture
def ready(login: Login) -> Login:
    """The same; the program is there, and so is Hermes."""
    login.vps.add_hermes()
    install(login.vps)
    return login


@pytest.fixture
def done(ready: Login) -> Login:
    """The same; alice can sign in."""
    ready.run(APPLY)
    return ready


def chat(world: World, user: tuple[str, str] = ("alice", GOOD), name: str = "") -> Page:
    """What a browser shows of the chat, once it is connected."""
    shot = PICTURES / f"{name}.png" if name else None
    PICTURES.mkdir(exist_ok=True)
    roots = world.acme.roots()
    page = browse(world, f"https://{DOMAIN}/chat", user=user, until=LIVE, shot=shot, roots=roots)
    assert {state for _, state in page.sockets} == {"open"}, page
    assert {url.rpartition("/")[2] for url, _ in page.sockets} >= {"ws", "pty"}
    return page


def status(world: World, user: tuple[str, str] | None = None, cookie: str = "") -> int:
    headers = {"Cookie": cookie} if cookie else {}
    return world.fetch(f"https://{DOMAIN}/", auth=user, headers=headers, roots=world.acme.roots()).status


def cookie_of(world: World, user: tuple[str, str]) -> str:
    page = world.fetch(f"https://{DOMAIN}/", auth=user, roots=world.acme.roots())
    (cookie,) = page.all("Set-Cookie")
    return cookie.partition(";")[0]


@pytest.mark.parametrize("system", ["debian13"])
def test_1_the_first_time_from_ssh_to_the_chat_in_a_browser(world: World, vps: Vps, login: Login) -> None:
    vps.add_hermes()
    vps.copy_in(Path("/repo"), "/home/admin/hermes-setup")
    began = time.monotonic()
    here = Terminal(login, "-lc", "cd hermes-setup && sudo ./install.sh", command="bash")  # type: ignore[arg-type]  # it spawns
    here.waits(lambda text: "? Domain" in text, 200)
    answer(here, [*KEYS, (GO_AHEAD, "y\r")])
    assert here.ended(240) == 0, here.text
    print(f"from ./install.sh to the end of the wizard: {time.monotonic() - began:.0f} s")
    assert f"https://{DOMAIN}/" in here.text
    assert GOOD not in here.raw
    assert "v0.19.0" in chat(world, name=f"first-time-{vps.system}").text
    # an iPhone sends no Authorization on WebSockets: only what it was given at the sign-in
    url = f"wss://{DOMAIN}/api/ws?token={session_token(vps)}"
    roots = world.acme.roots()
    with world.websocket(url, origin=f"https://{DOMAIN}", roots=roots) as socket:
        assert socket.status == 401
    headers = {"Cookie": cookie_of(world, ("alice", GOOD))}
    with world.websocket(url, origin=f"https://{DOMAIN}", headers=headers, roots=roots) as socket:
        assert socket.status == 101
    assert vps.run(["systemctl", "is-system-running"]).out.strip() == "running"
    # 5. Reboot: everything is back without help.
    vps.reboot()
    vps.wait_for_port(9119)
    assert status(world, ("alice", GOOD)) == 200
    assert login.run("sudo hermes-setup doctor").code == 0
    chat(world)


@pytest.mark.parametrize("debian", ["debian12"])
def test_2_again_a_user_comes_and_one_goes(world: World, done: Login) -> None:
    before = cookie_of(world, ("alice", GOOD))
    bob = done.run("sudo hermes-setup users add bob --generate --yes").out.split("\t")[1].strip()
    assert status(world, ("alice", GOOD)) == status(world, ("bob", bob)) == status(world, cookie=before) == 200
    bobs = cookie_of(world, ("bob", bob))
    url = f"wss://{DOMAIN}/api/ws?token={session_token(done.vps)}"
    headers, roots = {"Cookie": before}, world.acme.roots()
    with world.websocket(url, origin=f"https://{DOMAIN}", headers=headers, roots=roots) as still_open:
        assert still_open.status == 101
        said = " ".join(done.run("sudo hermes-setup users remove alice --yes").err.split())
        assert status(world, ("alice", GOOD)) == status(world, cookie=before) == 401
        assert status(world, ("bob", bob)) == status(world, cookie=bobs) == 200
        assert "end every connection from before" in said
        with pytest.raises(Exception, match=r"(?i)close|reset|end"):
            for _ in range(100):
                still_open.receive(5)
    assert status(world, cookie=bobs) == 200


@pytest.mark.parametrize("debian", ["debian13"])
def test_3_a_dry_run_changes_nothing_and_the_run_does_what_it_forecast(world: World, ready: Login) -> None:
    vps = ready.vps
    # always moving: the journal, ssh's records of logins, apt's caches
    moving = (
        "/var/log/journal",
        "/var/log/wtmp",
        "/var/log/lastlog",
        "/var/log/btmp",
        "/var/lib/systemd",
        "/var/cache/apt",
    )
    moving += (
        "/root",
        "/tmp",
        HOME,
        "/var/log/nginx",
        "/home",
        "/var/lib/private",
        "/etc/.pwd.lock",
        "/var/lib/logrotate",
    )

    def state() -> tuple[object, ...]:
        asked = (
            ["systemctl", "list-units", "--no-legend", "--plain", "--type=service,timer"],
            ["nft", "list", "ruleset"],
        )
        return (*(vps.run(argv).out for argv in asked), vps.listeners())

    before, machine = vps.snapshot(leave_out=moving), state()
    said = ready.run("sudo hermes-setup apply --answers /root/answers.toml --dry-run").err
    assert snapshot_diff(before, vps.snapshot(leave_out=moving)) == {}
    assert state() == machine
    ready.run(APPLY)
    changed = set(snapshot_diff(before, vps.snapshot(leave_out=moving)))
    named = set(re.findall(r"^  [+~-] (/\S+): ", said, re.M))
    assert named - changed == set()
    assert {path for path in changed - named if not any(re.fullmatch(each, path) for each in BESIDES)} == set()


@pytest.mark.parametrize("debian", ["debian12"])
def test_4_a_renewal_by_the_timers_own_command_is_served_under_an_open_chat(world: World, done: Login) -> None:
    vps = done.vps
    assert vps.run(["systemctl", "is-active", "certbot.timer"]).out.strip() == "active"
    (argv,) = re.findall(r"argv\[\]=(.*?) ;", vps.run(["systemctl", "show", "-p", "ExecStart", "certbot.service"]).out)

    def serial() -> int:
        return world.fetch(f"https://{DOMAIN}/", roots=world.acme.roots()).certificate.serial_number

    first = serial()
    url = f"wss://{DOMAIN}/api/ws?token={session_token(vps)}"
    headers = {"Cookie": cookie_of(world, ("alice", GOOD))}
    with world.websocket(url, origin=f"https://{DOMAIN}", headers=headers, roots=world.acme.roots()) as socket:
        vps.run(["sh", "-c", f"{argv} --force-renewal --no-random-sleep-on-renew"], timeout=120)
        vps.wait_for(lambda: serial() != first, "the new certificate is served")
        socket.connection.ping().wait(10)
        assert socket.status == 101


def lost(world: World, login: Login, here: Terminal) -> None:
    """The line is dead in the middle: nobody hears of it, and the person comes back from elsewhere."""
    world.cut(login.vps)
    os.kill(here.child.pid, signal.SIGKILL)
    here.child.wait()
    world.mend(login.vps)


# What has just been said when the line goes dead.
MOMENTS = [
    "Looking at this server",
    "Go ahead?",
    "Users",
    "Let's Encrypt's test servers look",
    "fetch a certificate from",
]


def test_6_the_line_drops_at_five_moments(world: World, ready: Login) -> None:
    vps = ready.vps
    for moment in MOMENTS:
        argv = ("hermes-setup", "apply", "--answers", "/root/answers.toml")
        here = Terminal(ready, *argv, command="sudo")  # type: ignore[arg-type]  # it spawns
        began = "Looking at this server"
        while began not in here.until(lambda text: began in text or "is running" in text):  # the lost one is ending
            here.ended()
            here = Terminal(ready, *argv, command="sudo")  # type: ignore[arg-type]  # it spawns
        if moment not in MOMENTS[:2]:
            here.has_said("Go ahead?")
            here.type("y\r")
        here.has_said(moment, 120)
        lost(world, ready, here)
        if moment in MOMENTS[3:]:
            vps.run(["nginx", "-t"])
        again = ready.run(
            "sudo hermes-setup doctor", check=False
        )  # back again: it answers, whatever the other one does
        assert again.code in (0, 4), again
    ran = ready.run(APPLY, check=False)
    if ran.code == 75:  # the lost one still waits for its answer; it is said how to end it
        (command,) = re.findall(r"sudo kill \d+", ran.err)
        ready.run(command)
        vps.wait_for(lambda: ready.run(APPLY, check=False).code != 75, "it has ended")
        ran = ready.run(APPLY)
    assert ran.code == 0, ran
    assert "Nothing to do" in ready.run(APPLY).err
    assert status(world, ("alice", GOOD)) == 200


@pytest.mark.parametrize("system", ["debian13"])
def test_6_the_line_drops_inside_apt(world: World, vps: Vps, login: Login) -> None:
    install(vps)
    argv = ("hermes-setup", "apply", "--answers", "/root/answers.toml", "--yes")
    here = Terminal(login, *argv, command="sudo")  # type: ignore[arg-type]  # it spawns
    here.has_said("install nginx and certbot", 120)
    vps.wait_for(lambda: any("dpkg" in each.argv[0] for each in vps.processes()), "dpkg is at work", 60)
    lost(world, login, here)
    vps.wait_for(lambda: not any("hermes_setup" in each.argv for each in vps.processes()), "it has ended", 60)
    login.run(APPLY)
    assert status(world, ("alice", GOOD)) == 502
    assert vps.run(["dpkg", "--audit"]).out == ""


def test_7_the_recipe_half_done_is_taken_over(world: World, ready: Login) -> None:
    vps = ready.vps
    recipe = f"""server {{
    listen 443 ssl;
    server_name {DOMAIN};
    ssl_certificate /etc/letsencrypt/live/{DOMAIN}/fullchain.pem;
    ssl_certificate_key /etc/letsencrypt/live/{DOMAIN}/privkey.pem;
    location / {{ proxy_pass http://127.0.0.1:9119; proxy_set_header Host $host; }}
}}
"""
    vps.write("/etc/nginx/sites-available/hermes", recipe)
    vps.run(["ln", "-s", "/etc/nginx/sites-available/hermes", "/etc/nginx/sites-enabled/hermes"])
    assert vps.run(["systemctl", "restart", "nginx"], check=False).code
    said = " ".join(ready.run(APPLY).err.split())
    assert "made by hand" in said
    (kept,) = re.findall(r"Its text stays: (\S+)", said)
    assert vps.text(kept) == recipe
    assert vps.run(["systemctl", "is-active", "nginx"]).out.strip() == "active"
    assert status(world, ("alice", GOOD)) == 200
    chat(world)


class Prober(threading.Thread):
    """Asks for the neighbour ten times a second; `failures` are the answers that were not its own."""

    def __init__(self, world: World) -> None:
        super().__init__(daemon=True)
        self.world, self.asked, self.failures, self.enough = world, 0, list[str](), threading.Event()

    def run(self) -> None:
        while not self.enough.wait(0.1):
            for url in ("http://shop.example.com/", "https://shop.example.com/"):
                try:
                    said = self.world.fetch(url, roots=lab_authority().pem).text
                except (OSError, ssl.SSLError) as error:
                    said = repr(error)
                self.asked += 1
                if said != "the shop":
                    self.failures.append(f"{time.monotonic():.2f} {url}: {said}")


@pytest.fixture
def prober(world: World, vps: Vps) -> Iterator[Prober]:
    """A shop with its own certificate is on the server already, and somebody asks for it all the time."""
    certificate, key = lab_authority().issue("shop.example.com")
    vps.write("/etc/nginx/shop.pem", certificate)
    vps.write("/etc/nginx/shop.key", key, mode=0o600)
    vps.write(
        "/etc/nginx/sites-enabled/shop",
        "server { listen 80; listen [::]:80; listen 443 ssl; listen [::]:443 ssl; server_name shop.example.com;"
        ' ssl_certificate shop.pem; ssl_certificate_key shop.key; location / { return 200 "the shop"; } }\n',
    )
    vps.run(["rm", "/etc/nginx/sites-enabled/default"])
    vps.run(["systemctl", "reload-or-restart", "nginx"])
    vps.wait_for_port(443)
    world.dns.host("shop.example.com", *vps.addresses)
    asking = Prober(world)
    asking.start()
    yield asking
    asking.enough.set()
    asking.join()


def test_8_another_site_is_served_throughout(world: World, prober: Prober, done: Login) -> None:
    done.run("sudo hermes-setup users add bob --generate --yes")
    done.run("sudo hermes-setup users remove bob --yes")
    prober.enough.set()
    prober.join()
    print(f"{prober.asked} requests for the neighbour while it was set up and changed")
    assert prober.asked > 50
    assert prober.failures == []
    assert status(world, ("alice", GOOD)) == 200
    v4, v6 = done.vps.addresses
    for address in (v4, v6):
        bare = f"[{address}]" if ":" in address else address
        assert world.fetch(f"http://{bare}/", address=address).text == "the shop"


def blocked(login: Login, *words: str) -> None:
    """The run is refused before anything is changed; the first finding has these words."""
    leave_out = ("/root", "/home", "/tmp", "/var/log", "/var/lib/hermes-setup", "/var/lib/systemd", "/var/cache", HOME)
    before = login.vps.snapshot(leave_out=leave_out)
    ran = login.run(APPLY, check=False)
    assert ran.code == 3, ran
    (first,) = re.findall(r"BLOCKS: .*?(?=\n(?:BLOCKS|warning|note): |\Z)", ran.err, re.S)[:1]
    for word in words:
        assert word in " ".join(first.split()), ran.err
    assert snapshot_diff(before, login.vps.snapshot(leave_out=leave_out)) == {}


def test_9_what_is_in_the_way_is_said_before_anything_is_changed(world: World, ready: Login) -> None:
    vps = ready.vps
    # Apache on port 80
    vps.run(["systemctl", "stop", "nginx"])
    vps.run(["sh", "-c", "apt-get -qq update && apt-get -qq install -y --no-install-recommends apache2"], timeout=200)
    vps.wait_for_port(80)
    blocked(ready, "apache2", "sudo systemctl disable --now apache2")
    assert vps.run(["systemctl", "is-active", "apache2"]).out.strip() == "active", "nothing is stopped for the user"
    vps.run(["systemctl", "disable", "--now", "apache2"])
    vps.run(["systemctl", "start", "nginx"])
    # something on 9119 for the whole world
    vps.run(["systemctl", "stop", "hermes-dashboard"])
    vps.run(["systemd-run", "--unit=door", "python3", "-m", "http.server", "9119"])
    vps.wait_for_port(9119)
    blocked(ready, "door", "127.0.0.1")
    vps.run(["systemctl", "stop", "door"])
    vps.run(["systemctl", "start", "hermes-dashboard"])
    vps.wait_for_port(9119, 60)
    # AAAA elsewhere
    world.dns.host(DOMAIN, vps.addresses[0], "2001:db8::dead")
    blocked(ready, "2001:db8::dead", "AAAA", vps.addresses[1])
    world.dns.host(DOMAIN, *vps.addresses)
    # a firewall with only ssh open, on a port that is not 22
    vps.run(["sed", "-i", "s/^#*Port .*/Port 2222/", "/etc/ssh/sshd_config"])
    vps.run(["systemctl", "restart", "ssh"])
    rules = "table inet filter { chain input { type filter hook input priority 0; policy drop; ct state established accept; "
    rules += "iif lo accept; meta l4proto ipv6-icmp accept; tcp dport 2222 accept; }; }"
    vps.run(["nft", rules])
    elsewhere = Login(world, vps, "admin", 2222)
    ran = elsewhere.run(APPLY)
    assert "nft" in ran.err
    assert status(world, ("alice", GOOD)) == 200
    assert "tcp dport 2222 accept" in vps.run(["nft", "list", "ruleset"]).out
    assert elsewhere.run("sudo hermes-setup doctor").code == 0


def test_9_ufw_with_only_ssh_open_on_a_port_of_its_own(world: World, ready: Login) -> None:
    vps = ready.vps
    vps.run(["sed", "-i", "s/^#*Port .*/Port 2222/", "/etc/ssh/sshd_config"])
    vps.run(["systemctl", "restart", "ssh"])
    elsewhere = Login(world, vps, "admin", 2222)
    elsewhere.run(
        "sudo apt-get -qq update && sudo DEBIAN_FRONTEND=noninteractive apt-get -qq install -y ufw >/dev/null"
    )
    elsewhere.run("sudo ufw allow 2222/tcp && sudo ufw --force enable")
    with pytest.raises(OSError, match=r"(?i)time"):
        world.fetch(f"http://{DOMAIN}/", timeout=2)
    shown = elsewhere.run("sudo hermes-setup apply --answers /root/answers.toml --dry-run").err
    assert "ufw" in shown
    elsewhere.run(APPLY)
    assert status(world, ("alice", GOOD)) == 200
    rules = elsewhere.run("sudo ufw status").out
    assert re.search(r"^2222/tcp +ALLOW", rules, re.M)
    assert elsewhere.run("sudo hermes-setup doctor").code == 0
    vps.reboot()
    vps.wait_for_port(9119, 60)
    assert status(world, ("alice", GOOD)) == 200


@pytest.mark.parametrize("family", ["v4", "v6"])
def test_9_one_family_alone_is_enough(world: World, family: str) -> None:
    vps = world.make(Vps, "debian13-ready", **{"v6" if family == "v4" else "v4": None})  # type: ignore[arg-type]
    vps.trust(*world.acme.trusted)
    world.dns.host(DOMAIN, *(vps.addresses if family == "v4" else (None, vps.addresses[0])))
    vps.write("/root/answers.toml", ANSWERS, mode=0o600)
    vps.write("/root/alice.pw", GOOD + "\n", mode=0o600)
    install(vps)
    vps.run(["hermes-setup", "apply", "--answers", "/root/answers.toml", "--yes"], timeout=120)
    page = world.fetch(f"https://{DOMAIN}/", auth=("alice", GOOD), roots=world.acme.roots(), address=vps.addresses[0])
    assert page.status == 502


def test_9_behind_nat_the_public_address_is_on_no_interface(world: World) -> None:
    vps = world.make(Vps, "debian13-ready", v4="10.0.0.5", v6=None)
    world.behind_nat(vps, "198.51.100.77")
    vps.trust(*world.acme.trusted)
    vps.write("/root/answers.toml", ANSWERS, mode=0o600)
    vps.write("/root/alice.pw", GOOD + "\n", mode=0o600)
    install(vps)
    argv = ["hermes-setup", "apply", "--answers", "/root/answers.toml", "--yes"]
    world.dns.host(DOMAIN, "198.51.100.10")
    refused = vps.run(argv, timeout=120, check=False)
    assert refused.code == 3
    assert "198.51.100.77" in refused.err, "what the record should say"
    world.dns.host(DOMAIN, "198.51.100.77")
    vps.run(argv, timeout=120)
    page = world.fetch(f"https://{DOMAIN}/", auth=("alice", GOOD), roots=world.acme.roots())
    assert page.status == 502


def test_10_one_cpu_and_a_gigabyte_of_memory_are_enough(ready: Login) -> None:
    most = ready.vps.limit_memory(1 << 30)
    ready.run("sudo systemctl restart hermes-dashboard")  # what was taken before does not count
    ready.vps.wait_for_port(9119, 60)
    began = time.monotonic()
    probe = "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); "
    probe += "print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
    argv = "hermes-setup apply --answers /root/answers.toml --yes"
    said = ready.run(f'sudo taskset -c 0 python3 -c "{probe}" {argv}').out
    (peak,) = re.findall(r"^peak (\d+)$", said, re.M)
    print(
        f"peak memory of the program and what it ran, largest single process: {int(peak) // 1024} MB; of the whole server, with "
        f"Hermes and the new files: {int(most.read_text('ascii')) >> 20} MB; {time.monotonic() - began:.0f} s"
    )
    assert int(peak) < 200 * 1024
    assert (1 << 25) < int(most.read_text("ascii")) <= 1 << 30
    assert "Nothing to do" in ready.run(APPLY).err


SLOW = """
import os, select, socket, sys, time
far = socket.create_connection((sys.argv[1], int(sys.argv[2])))
late = []
open_ = {0, far.fileno()}
while open_ or late:
    wait = max(0, late[0][0] - time.monotonic()) if late else None
    for fd in select.select(list(open_), [], [], wait)[0]:
        data = os.read(fd, 4096)
        late.append((time.monotonic() + 0.15, far.fileno() if fd == 0 else 1, data))
        if not data:
            open_.discard(fd)
    while late and late[0][0] <= time.monotonic():
        _, to, data = late.pop(0)
        if not data:
            sys.exit()
        while data:
            data = data[os.write(to, data):]
"""


def test_11_an_old_terminal_on_a_slow_line(world: World, ready: Login, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW, "utf-8")
    ready.flags = (f"-oProxyCommand=/usr/bin/python3 {tmp_path}/slow.py %h %p",)
    env = {"TERM": "vt100", "LANG": "C", "LC_ALL": "C"}
    here = Terminal(ready, "hermes-setup", "--dry-run", command="sudo", env=env)  # type: ignore[arg-type]  # it spawns
    answer(here, KEYS)
    assert here.ended() == 0, here.text
    assert here.raw.isascii()
    assert "That was a dry run" in here.raw
    assert "\N{REPLACEMENT CHARACTER}" not in here.raw
