"""Servers of other people: what else nginx serves there keeps its answers, its place as the default and its protocols."""

from __future__ import annotations

import re
import ssl
import threading

import pytest

from conftest import DOMAIN
from lab import Machine, World, lab_authority
from lab.web import open_socket
from real.program import apply, hermes_setup, install

HASH = "$6$rounds=5000$abcdefghijklmnop$KW7R0dWSfgMNbRXZLnQ/WBHpMmZHMLJ2B5n0gcg4RFsr7PkQFRUXlnwh/pVMQb0rVhdtJLhOrKiOwk0zTeFXh0"
SITE = "/etc/nginx/sites-available/hermes"
BLOG_LOG = "/var/log/nginx/blog.log"


def answers(domain: str = DOMAIN, more: str = "") -> str:
    return f'domain = "{domain}"\ncertificate = "self-signed"\n{more}\n[[users]]\nname = "alice"\npassword_hash = "{HASH}"\n'


@pytest.fixture
def vps(world: World, debian: str) -> Machine:
    new = world.machine(f"{debian}-ready")
    world.dns.host(DOMAIN, *new.addresses)
    install(new)
    return new


def blog(machine: Machine, listens: str, path: str = "/etc/nginx/sites-enabled/blog") -> None:
    """nginx runs, with a blog in it and without the distribution's example."""
    certificate, key = lab_authority().issue("blog.example")
    machine.write("/etc/nginx/blog.pem", certificate)
    machine.write("/etc/nginx/blog.key", key, mode=0o600)
    machine.write(
        path,
        f"log_format blog '$http_host [$http_cookie] [$http_x_hermes_look] $http_authorization';"
        f"server {{ access_log {BLOG_LOG} blog; {listens} server_name blog.example; ssl_certificate blog.pem; ssl_certificate_key blog.key;"
        ' location / { return 200 "the blog"; } }\n',
    )
    machine.run(["rm", "/etc/nginx/sites-enabled/default"])
    machine.run(["nginx"])
    machine.wait_for_port(443)


class Prober(threading.Thread):
    """Asks for the blog about ten times a second at each address; `failures` are the answers that were not it."""

    def __init__(self, world: World, urls: list[tuple[str, str]]) -> None:
        super().__init__(daemon=True)
        self.world, self.urls = world, urls
        self.asked, self.failures = 0, list[str]()
        self.enough = threading.Event()

    def run(self) -> None:
        while not self.enough.wait(0.05):
            for url, address in self.urls:
                try:
                    text = self.world.fetch(url, address=address).text
                except OSError as error:
                    text = repr(error)
                self.asked += 1
                if text != "the blog":
                    self.failures.append(f"{url} at {address}: {text}")

    def __enter__(self) -> Prober:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.enough.set()
        self.join()


def is_the_default(world: World, address: str, scheme: str) -> bool:
    """Whoever asks for no name, or for one that nobody has, meets the blog."""
    bare = f"[{address}]" if ":" in address else address
    seen = {
        world.fetch(f"{scheme}://{bare}/", address=address, host=host, sni=sni).text
        for host in (bare, "who.example")
        for sni in ("", "who.example")
    }
    return seen == {"the blog"}


LAYOUTS = {
    "one socket for both families": "listen [::]:80 ipv6only=off; listen [::]:443 ssl ipv6only=off;",
    "one address of HTTPS": "listen 80; listen [::]:80; listen {v4}:443 ssl;",
    "its own default": "listen 80 default_server; listen [::]:80 default_server;"
    " listen 443 ssl default_server; listen [::]:443 ssl default_server;",
}


@pytest.mark.parametrize(
    ("debian", "layout"),
    [
        ("debian13", "one socket for both families"),
        ("debian12", "one address of HTTPS"),
        ("debian12", "its own default"),
    ],
)
def test_the_neighbour_is_asked_all_the_time_and_always_answers(world: World, vps: Machine, layout: str) -> None:
    v4, v6 = vps.addresses
    blog(vps, LAYOUTS[layout].format(v4=v4))
    at = [("http", v4), ("http", v6), ("https", v4)] + ([] if "{v4}" in LAYOUTS[layout] else [("https", v6)])
    assert all(is_the_default(world, address, scheme) for scheme, address in at)
    with Prober(world, [(f"{scheme}://blog.example/", address) for scheme, address in at]) as prober:
        apply(vps, answers(), "--yes")
        hermes_setup(vps, "users", "sign-out", "--all", "--yes")
        assert "Nothing to do" in apply(vps, answers(), "--yes").err
    assert prober.asked > 30
    assert prober.failures == []
    assert [each for each in at if not is_the_default(world, each[1], each[0])] == []
    told = vps.text(BLOG_LOG)
    assert "not-this-name.invalid" in told, "the proof has met it"
    assert not re.search("hermes_gate|[0-9a-f]{32}|Basic", told), "and has told it no secret"
    for scheme, address in at:
        seen = world.fetch(f"{scheme}://{DOMAIN}/", address=address)
        assert (seen.status, seen.header("Location")) == (
            (301, f"https://{DOMAIN}/") if scheme == "http" else (401, None)
        ), (scheme, address)


def test_where_only_conf_d_is_read_the_site_is_there(world: World, vps: Machine) -> None:
    conf = vps.text("/etc/nginx/nginx.conf")
    vps.write("/etc/nginx/nginx.conf", conf.replace("include /etc/nginx/sites-enabled/*;", ""))
    blog(vps, "listen 80; listen 443 ssl;", "/etc/nginx/conf.d/zzz-blog.conf")
    v4, _ = vps.addresses
    apply(vps, answers(), "--yes")
    assert world.fetch(f"https://{DOMAIN}/", address=v4).status == 401
    assert is_the_default(world, v4, "http")
    assert is_the_default(world, v4, "https")
    assert "Nothing to do" in apply(vps, answers(), "--yes").err


def protocol(world: World, address: str, name: str) -> str | None:
    """What the server chooses when the browser offers HTTP/2 and HTTP/1.1 (ALPN)."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        open_socket(world.net, address, 443, 10) as raw,
        context.wrap_socket(raw, server_hostname=name) as tls,
    ):
        return tls.selected_alpn_protocol()


@pytest.mark.parametrize(
    ("debian", "theirs", "ours"),
    [
        # before 1.25.1 http2 belongs to the socket, so ours has it only where it changes nothing for them
        ("debian12", "listen 443 ssl;", "http/1.1"),
        ("debian12", "listen 443 ssl http2;", "h2"),
        ("debian12", "", "h2"),
        ("debian13", "listen 443 ssl;", "h2"),
    ],
)
def test_http2_is_for_us_and_is_never_switched_on_for_a_neighbour(
    world: World, vps: Machine, theirs: str, ours: str
) -> None:
    v4, _ = vps.addresses
    before = None
    if theirs:
        blog(vps, theirs)
        before = protocol(world, v4, "blog.example")
    apply(vps, answers(), "--yes")
    assert protocol(world, v4, DOMAIN) == ours
    if theirs:
        assert protocol(world, v4, "blog.example") == before


def test_a_file_of_ours_that_was_broken_by_hand_is_put_back(world: World, vps: Machine) -> None:
    apply(vps, answers(), "--yes")
    whole = vps.text(SITE)
    for broken in (whole.replace("}", "", 1), "", "garbage\n", whole + "\nserver { listen 80; }\n"):
        vps.write(SITE, broken)
        apply(vps, answers(), "--yes")
        assert vps.text(SITE) == whole
        vps.run(["nginx", "-t"])
        assert world.fetch(f"https://{DOMAIN}/").status == 401


LONG = "ec2-198-51-100-10.eu-central-1.compute.example.com"
LONGEST = ".".join(["h" * 63, "e" * 63, "r" * 63, "mes" * 13, "example.com"])


@pytest.mark.parametrize(("debian", "name"), [("debian12", LONG), ("debian13", LONG), ("debian13", LONGEST)])
def test_a_long_name_is_served_like_any_other(world: World, vps: Machine, name: str) -> None:
    world.dns.host(name, *vps.addresses)
    apply(vps, answers(name), "--yes")
    assert world.fetch(f"https://{name}/").status == 401
    assert "Nothing to do" in apply(vps, answers(name), "--yes").err
