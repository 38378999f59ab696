"""Other people's machines: a neighbour's site, the recipe half done, a CA that says no, a power cut, a first look only."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator

import pytest

from conftest import DOMAIN
from lab import LETSENCRYPT, PEBBLE_URL, Machine, Problem, World, lab_authority, snapshot_diff
from real.program import apply, hermes_setup, install

HASH = "$6$rounds=5000$abcdefghijklmnop$KW7R0dWSfgMNbRXZLnQ/WBHpMmZHMLJ2B5n0gcg4RFsr7PkQFRUXlnwh/pVMQb0rVhdtJLhOrKiOwk0zTeFXh0"


def answers(certificate: str = "letsencrypt", domain: str = DOMAIN, more: str = "") -> str:
    return f'domain = "{domain}"\ncertificate = "{certificate}"\n{more}\n[[users]]\nname = "alice"\npassword_hash = "{HASH}"\n'


@pytest.fixture
def vps(world: World, debian: str) -> Machine:
    new = world.machine(f"{debian}-ready")
    world.dns.host(DOMAIN, *new.addresses)
    new.trust(*world.acme.trusted)
    new.start(["cron", "-f"])
    install(new)
    return new


def neighbour(machine: Machine, listens: str = "listen 80; listen 443 ssl;", name: str = "blog.example") -> None:
    certificate, key = lab_authority().issue(name)
    machine.write("/etc/nginx/blog.pem", certificate)
    machine.write("/etc/nginx/blog.key", key, mode=0o600)
    machine.write(
        "/etc/nginx/sites-enabled/blog",
        f"server {{ {listens} server_name {name}; ssl_certificate blog.pem; ssl_certificate_key blog.key;"
        ' location / { return 200 "the blog"; } }\n',
    )
    machine.run(["rm", "/etc/nginx/sites-enabled/default"])
    machine.run(["nginx"])
    machine.wait_for_port(443)


class Prober(threading.Thread):
    """Asks for the neighbour's page again and again; `failures` are the answers that were not it."""

    def __init__(self, world: World, address: str) -> None:
        super().__init__(daemon=True)
        self.world, self.address = world, address
        self.asked, self.failures = 0, list[str]()
        self.enough = threading.Event()

    def run(self) -> None:
        while not self.enough.wait(0.1):
            for url in ("http://blog.example/", "https://blog.example/"):
                try:
                    text = self.world.fetch(url, address=self.address).text
                except OSError as error:
                    text = repr(error)
                self.asked += 1
                if text != "the blog":
                    self.failures.append(text)

    def stop(self) -> None:
        self.enough.set()
        self.join()


EVERYWHERE = "listen 80; listen 443 ssl;"
BY_ADDRESS = "listen {v4}:80; listen {v4}:443 ssl; listen [{v6}]:443 ssl;"


@pytest.mark.parametrize(
    ("debian", "listens"), [("debian13", EVERYWHERE), ("debian13", BY_ADDRESS), ("debian12", EVERYWHERE)]
)
def test_a_neighbour_keeps_its_answers_and_its_place_as_the_default(world: World, vps: Machine, listens: str) -> None:
    v4, v6 = vps.addresses
    neighbour(vps, listens.format(v4=v4, v6=v6))
    prober = Prober(world, v4)
    prober.start()
    apply(vps, answers(), "--yes")
    apply(vps, answers(more='email = "me@example.com"'), "--yes")
    hermes_setup(vps, "users", "add", "bob", "--generate", "--yes")
    prober.stop()
    assert prober.asked > 40
    assert prober.failures == []
    for scheme in ("http", "https"):
        for address in (v4, v6) if "{v6}" not in listens and scheme == "https" and "[" in listens else (v4,):
            assert world.fetch(f"{scheme}://{v4}/", address=address).text == "the blog"
            assert world.fetch(f"{scheme}://{v4}/", address=address, host="who.example", sni="").text == "the blog"
    assert world.fetch(f"https://{DOMAIN}/", address=v4, roots=world.acme.roots()).status == 401
    # our SNI with another Host gets the neighbour, never Hermes
    assert world.fetch(f"https://{DOMAIN}/", address=v4, host="blog.example").text == "the blog"


def verdict(machine: Machine) -> str:
    """What nginx says of its configuration, less the time and its process."""
    return re.sub(r"^\S+ \S+ (\[\w+\]) \S+ ", r"\1 ", machine.run(["nginx", "-t"], check=False).err, flags=re.M)


def test_a_neighbours_broken_file_is_named_and_nothing_of_ours_goes_live(vps: Machine) -> None:
    vps.write("/etc/nginx/sites-enabled/broken", "server {\n  listen 81;\n  no_such_directive on;\n}\n")
    before = verdict(vps)
    said = apply(vps, answers("self-signed"), "--yes", code=1)
    assert "no_such_directive" in said.err
    assert "sudo nano +3 /etc/nginx/sites-enabled/broken" in said.err
    assert not vps.exists("/etc/nginx/sites-enabled/zz-hermes")
    assert not vps.exists("/etc/nginx/sites-available/hermes")
    assert verdict(vps) == before


RECIPE = f"""server {{
    listen 443 ssl;
    server_name {DOMAIN};
    ssl_certificate /etc/letsencrypt/live/{DOMAIN}/fullchain.pem;
    ssl_certificate_key /etc/letsencrypt/live/{DOMAIN}/privkey.pem;
    auth_basic "Restricted";
    auth_basic_user_file /etc/nginx/.htpasswd;
    location / {{ proxy_pass http://127.0.0.1:9119; proxy_set_header Host $host; }}
}}
server {{ listen 80; server_name {DOMAIN}; return 301 https://$host$request_uri; }}
"""


@pytest.mark.parametrize("where", ["sites-available/hermes", "sites-enabled/dashboard"])
def test_the_recipe_half_done_by_hand_is_taken_over(world: World, vps: Machine, where: str) -> None:
    vps.write(f"/etc/nginx/{where}", RECIPE)
    if where == "sites-available/hermes":
        vps.run(["ln", "-s", "/etc/nginx/sites-available/hermes", "/etc/nginx/sites-enabled/hermes"])
    assert vps.run(["nginx", "-t"], check=False).code == 1
    said = apply(vps, answers(), "--yes")
    name = where.rpartition("/")[2]
    copy = f"/etc/nginx/sites-available/{name}.by-hand"
    assert copy in said.err
    assert vps.text(copy) == RECIPE
    assert world.fetch(f"https://{DOMAIN}/", roots=world.acme.roots()).status == 401
    assert "Nothing to do" in apply(vps, answers(), "--yes").err


def test_a_name_that_shares_a_file_with_another_site_blocks_and_nothing_is_touched(vps: Machine) -> None:
    vps.write("/etc/nginx/sites-enabled/both", f"server {{\n  listen 80;\n  server_name shop.example {DOMAIN};\n}}\n")
    before = vps.snapshot()
    said = apply(vps, answers("self-signed"), "--yes", code=3)
    assert "shop.example" in said.err
    assert "/etc/nginx/sites-enabled/both" in said.err
    changed = {
        path
        for path in snapshot_diff(before, vps.snapshot())
        if not path.startswith(("/var/lib/hermes-setup", "/root"))
    }
    assert changed == set()


def test_too_many_requests_are_explained_and_not_repeated(world: World, vps: Machine) -> None:
    detail = f"too many certificates (5) already issued for this exact set of identifiers: {DOMAIN}, retry after 2099-12-01 10:20:30 UTC"
    world.acme.refuse(Problem("rateLimited", detail), LETSENCRYPT)
    said = apply(vps, answers(), "--yes", code=1)
    assert "2099-12-01 10:20" in said.err
    orders = world.acme.orders(LETSENCRYPT)
    said = apply(vps, answers(), "--yes", code=3)
    assert "2099-12-01 10:20" in said.err
    assert world.acme.orders(LETSENCRYPT) == orders
    vps.run(["nginx", "-t"])


def test_what_letsencrypt_could_not_reach_costs_no_real_order(world: World, vps: Machine) -> None:
    world.dns.set(DOMAIN, "A", "198.51.100.250")  # nobody is there; the server is told that it is its own
    world.dns.set(DOMAIN, "AAAA")
    said = apply(vps, answers(more='public_addresses = ["198.51.100.250"]'), "--yes", code=3, timeout=240)
    assert "test" in said.err
    assert world.acme.orders(LETSENCRYPT) == 0
    vps.run(["nginx", "-t"])


@contextlib.contextmanager
def asking(world: World, url: str) -> Iterator[list[object]]:
    """The statuses (or what went wrong) of that page, asked for again and again inside the block."""
    seen, enough = list[object](), threading.Event()

    def probe() -> None:
        while not enough.wait(0.22):  # as often as the gate's brake lets anybody ask
            try:
                seen.append(world.fetch(url).status)
            except OSError as error:
                seen.append(repr(error))

    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        enough.set()
        thread.join()
    assert len(seen) > 2


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("self-signed", "letsencrypt"),
        ("letsencrypt-staging", "letsencrypt"),
        ("letsencrypt", PEBBLE_URL),
        ("letsencrypt", "self-signed"),
    ],
)
def test_another_ca_takes_over_without_a_moment_of_outage(world: World, vps: Machine, first: str, then: str) -> None:
    apply(vps, answers(first), "--yes")
    before = world.fetch(f"https://{DOMAIN}/").certificate
    with asking(world, f"https://{DOMAIN}/") as seen:
        apply(vps, answers(then), "--yes")
    assert set(seen) == {401}
    after = world.fetch(f"https://{DOMAIN}/")
    assert after.certificate != before
    assert "Nothing to do" in apply(vps, answers(then), "--yes").err


def test_a_damaged_key_takes_nothing_off_the_air_and_a_closed_webroot_is_opened(world: World, vps: Machine) -> None:
    apply(vps, answers(), "--yes")
    vps.run(["chmod", "700", "/var/www/letsencrypt"])
    assert "/var/www/letsencrypt" in apply(vps, answers(), "--yes").err
    assert vps.run(["stat", "-c", "%a", "/var/www/letsencrypt"]).out.strip() == "755"
    before = world.fetch(f"https://{DOMAIN}/").certificate
    vps.run(["sh", "-c", f"echo garbage >$(readlink -f /etc/letsencrypt/live/{DOMAIN}/privkey.pem)"])
    with asking(world, f"https://{DOMAIN}/") as seen:
        world.acme.refuse(Problem("serverInternal", "try again later", status=500), LETSENCRYPT)
        apply(vps, answers(), "--yes", code=1)
        world.acme.accept(LETSENCRYPT)
        apply(vps, answers(), "--yes")
    assert set(seen) == {401}
    assert world.fetch(f"https://{DOMAIN}/", roots=world.acme.roots()).certificate != before
    assert "Nothing to do" in apply(vps, answers(), "--yes").err


def test_a_new_name_takes_over_only_when_its_certificate_is_there(world: World, vps: Machine) -> None:
    apply(vps, answers(), "--yes")
    apply(vps, answers(domain="new.example.com"), "--yes", code=3)  # no DNS yet
    assert world.fetch(f"https://{DOMAIN}/", roots=world.acme.roots()).status == 401
    world.dns.host("new.example.com", *vps.addresses)
    world.acme.refuse(Problem("serverInternal", "try again later", status=500), LETSENCRYPT)
    apply(vps, answers(domain="new.example.com"), "--yes", code=1)
    assert world.fetch(f"https://{DOMAIN}/", roots=world.acme.roots()).status == 401
    world.acme.accept(LETSENCRYPT)
    apply(vps, answers(domain="new.example.com"), "--yes")
    assert world.fetch("https://new.example.com/", roots=world.acme.roots()).status == 401
    assert not vps.exists("/etc/nginx/sites-available/hermes-next")
    assert f"certbot delete --cert-name {DOMAIN}" in " ".join(hermes_setup(vps, "doctor", code=4).err.split())
    assert "Nothing to do" in apply(vps, answers(domain="new.example.com"), "--yes").err


def test_the_old_name_leads_to_the_new_one_without_one_failed_request(world: World, vps: Machine) -> None:
    apply(vps, answers(), "--yes")
    new, roots = "new.example.com", world.acme.roots()
    world.dns.host(new, *vps.addresses)
    moved = answers(domain=new, more=f'redirect_from = ["{DOMAIN}"]')
    with asking(world, f"https://{DOMAIN}/") as seen:
        apply(vps, moved, "--yes")
    assert seen == sorted(seen, key=[401, 307].index), "first the gate, then the redirect, and nothing else"
    for scheme in ("http", "https"):
        led = world.fetch(f"{scheme}://{DOMAIN}/chat?x=1", roots=roots)
        assert (led.status, led.header("Location")) == (307, f"https://{new}/chat?x=1")
        assert led.header("Cache-Control") == "no-store", (
            "or browsers would go in a circle once the names are exchanged"
        )
        assert led.all("Set-Cookie") == []
    assert world.fetch(f"https://{new}/", roots=roots).status == 401
    assert world.fetch(f"https://{new}/", roots=roots, host=DOMAIN, sni=new).status in (307, 421)
    assert "certbot delete" not in hermes_setup(vps, "doctor", code=4).err  # it is still in use
    vps.run(["certbot", "renew", "--dry-run", "--no-random-sleep-on-renew"], timeout=120)
    assert "Nothing to do" in apply(vps, moved, "--yes").err
    assert f'redirect_from = ["{DOMAIN}"]' in hermes_setup(vps, "answers").out
    # back, the other way round
    with asking(world, f"https://{new}/") as seen:
        apply(vps, answers(more=f'redirect_from = ["{new}"]'), "--yes")
    assert seen == sorted(seen, key=[401, 307].index)
    assert world.fetch(f"https://{DOMAIN}/", roots=roots).status == 401
    # and gone, when it is not named any more
    apply(vps, answers(), "--yes")
    assert f"certbot delete --cert-name {new}" in " ".join(hermes_setup(vps, "doctor", code=4).err.split())
    with pytest.raises(OSError):
        world.fetch(f"https://{new}/", roots=roots)


def test_without_network_it_ends_within_seconds(world: World) -> None:
    alone = world.machine("debian13-ready", resolver="192.0.2.53")
    install(alone)
    alone.run(["ip", "route", "flush", "table", "main"])
    alone.write("/root/answers.toml", answers())
    import time

    began = time.monotonic()
    said = hermes_setup(alone, "apply", "--answers", "/root/answers.toml", "--dry-run", code=3)
    assert time.monotonic() - began < 6
    assert "DNS" in said.err or "looked up" in said.err
