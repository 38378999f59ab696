"""The allowed addresses on real parts: who is turned away, by what page, and who is not asked twice."""

from __future__ import annotations

import re

import pytest

from conftest import BOTH, DOMAIN
from lab import Machine, World, lab_authority, session_token, spaces, start_hermes
from real.program import apply, hermes_setup, install

PASSWORD = "correct horse battery"
ALICE = ("alice", PASSWORD)
HOME, HOME_SIX = "198.51.100.50", "2001:db8::50"
STRANGER, STRANGER_SIX = "198.51.100.1</code>", "2001:db8::"  # the world itself, which has several of the latter
SERVER, SERVER_SIX = "198.51.100.10", "2001:db8::10"
SITE = f"https://{DOMAIN}/"
LOOK = "X-Hermes-Look"


def answers(*allow: str) -> str:
    listed = "allow = [" + ", ".join(f'"{each}"' for each in allow) + "]\n" if allow else ""
    start = f'domain = "{DOMAIN}"\ncertificate = "self-signed"\n{listed}'
    return start + '[[users]]\nname = "alice"\npassword_file = "/root/alice.pw"\n'


@pytest.fixture
def vps(world: World, debian: str) -> Machine:
    """A server with the real Hermes and the program; nothing is set up."""
    new = world.machine(f"{debian}-ready", "hermes")
    world.dns.host(DOMAIN, *new.addresses)
    new.write("/root/alice.pw", PASSWORD + "\n", mode=0o600)
    install(new)
    return new


@pytest.fixture
def home(world: World, vps: Machine) -> Machine:
    """Somebody with the address HOME."""
    return world.machine("debian13", v4=HOME, v6=HOME_SIX, name="home")


def turned_away(page: object, address: str) -> bool:
    return (
        page.status == 403  # type: ignore[attr-defined]
        and f"<code>{address}" in page.text  # type: ignore[attr-defined]
        and page.all("Set-Cookie") == []  # type: ignore[attr-defined]
        and page.header("Cache-Control") == "no-store"  # type: ignore[attr-defined]
        and page.header("WWW-Authenticate") is None  # type: ignore[attr-defined]
    )


@pytest.mark.parametrize("debian", BOTH)
def test_an_address_and_a_password(world: World, vps: Machine, home: Machine, debian: str) -> None:
    hermes = start_hermes(vps)
    apply(vps, answers(), "--yes")
    cookie = {"Cookie": world.fetch(SITE, auth=ALICE).all("Set-Cookie")[0].partition(";")[0]}
    assert world.fetch(SITE, headers=cookie).status == 200
    ran = apply(vps, answers(HOME, HOME_SIX + "/128"), "--yes")
    assert f"to these addresses only: {HOME}, {HOME_SIX}" in ran.err.replace("\n", " ").replace("  ", " ")

    # at home: as ever
    for server in (SERVER, SERVER_SIX):
        assert home.fetch(SITE, address=server).status == 401
        assert home.fetch(SITE, address=server, auth=("alice", "not hers")).status == 401
        page = home.fetch(SITE, address=server, auth=ALICE)
        assert (page.status, len(page.all("Set-Cookie"))) == (200, 1)
        assert "__HERMES_SESSION_TOKEN__" in page.text
        assert home.fetch(SITE, address=server, headers=cookie).status == 200
    chat = f"wss://{DOMAIN}/api/ws?token={session_token(vps)}"
    with home.websocket(chat, origin=f"https://{DOMAIN}", headers=cookie) as open_chat:
        assert open_chat.status == 101

    # elsewhere: the page, whatever is shown
    with world.websocket(chat, origin=f"https://{DOMAIN}", headers=cookie) as no_chat:
        assert no_chat.status == 403
    gate = vps.read("/etc/nginx/hermes-gate.conf").decode()
    own = next(line.split()[3] for line in gate.splitlines() if line.startswith("# token - "))
    for server, seen in ((SERVER, STRANGER), (SERVER_SIX, STRANGER_SIX)):
        for path in ("", "chat", "api/status", "assets/x.js", "x/%2e%2e/", "a/../b?x=<script>", "/x"):
            assert turned_away(world.fetch(SITE + path, address=server), seen), path
        for headers in (
            cookie,
            {"Cookie": f"__Host-hermes_gate={own}", LOOK: own},
            {
                **cookie,
                "X-Forwarded-For": HOME,
                "X-Real-IP": HOME,
                "CF-Connecting-IP": HOME,
                "Forwarded": f"for={HOME}",
            },
            {"X-Forwarded-For": "<script>$host</script>", "Referer": "<script>"},
        ):
            assert turned_away(world.fetch(SITE, address=server, headers=headers), seen), headers
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            assert turned_away(world.fetch(SITE, address=server, method=method, auth=ALICE), seen), method
        assert world.fetch(SITE, address=server, method="HEAD", auth=ALICE).status == 403
        assert world.fetch(SITE, address=server, host="evil.example").status == 421
        # what is no dashboard stays open to all
        assert world.fetch(f"http://{DOMAIN}/x", address=server).status == 301
        vps.write("/var/www/letsencrypt/.well-known/acme-challenge/token", "good")
        found = world.fetch(f"http://{DOMAIN}/.well-known/acme-challenge/token", address=server)
        assert (found.status, found.text) == (200, "good")
    # no password was looked at, so a flood of them costs nothing
    assert {world.fetch(SITE, auth=("alice", "wrong")).status for _ in range(15)} == {403}

    # on the server: only hermes-setup's own pass, which is no password
    for server in ("127.0.0.1", SERVER):
        assert vps.fetch(SITE, address=server, headers=cookie).status == 403
    assert vps.fetch(SITE, address="127.0.0.1", headers={LOOK: own}).status == 401
    assert vps.fetch(SITE, address="127.0.0.1", headers={LOOK: "0" * 32}).status == 403
    assert vps.fetch(SITE, address=SERVER, headers={LOOK: own}).status == 403

    # nothing to do; the doctor sees through it (4: self-signed)
    assert "Nothing to do" in apply(vps, answers(HOME, HOME_SIX), "--yes").err
    said = hermes_setup(vps, "doctor", code=4)
    assert "proof." not in said.out + said.err
    assert set(re.findall(r"addresses\.[a-z0-9-]+", said.out + said.err)) <= {"addresses.single-ipv6"}
    assert f'allow = ["{HOME}", "{HOME_SIX}"]' in hermes_setup(vps, "answers").out
    # a user more, and all is as it was
    hermes_setup(vps, "users", "add", "bob", "--generate", "--yes")
    assert turned_away(world.fetch(SITE, headers=cookie), STRANGER)
    assert home.fetch(SITE, headers=cookie).status == 200

    # a users' file that nginx cannot read is no matter of addresses
    vps.run(["mv", "/etc/nginx/.htpasswd-hermes", "/root/"])
    unread = home.fetch(SITE, auth=ALICE)
    assert (unread.status, "address" in unread.text) == (403, False)
    assert turned_away(world.fetch(SITE), STRANGER)
    vps.run(["mv", "/root/.htpasswd-hermes", "/etc/nginx/"])

    # Hermes is down: home sees that, others still do not get so far
    hermes.stop()
    down = home.fetch(SITE, headers=cookie)
    assert (down.status, "Hermes is not running" in down.text) == (502, True)
    assert turned_away(world.fetch(SITE, headers=cookie), STRANGER)
    # and open again
    dry = apply(vps, answers(), "--dry-run").err
    assert "to all addresses again" in dry.replace("\n", " ").replace("  ", " ")
    assert turned_away(world.fetch(SITE, headers=cookie), STRANGER)
    apply(vps, answers(), "--yes")
    assert world.fetch(SITE, headers=cookie).status == 502


def test_what_is_wrong_with_a_list_is_told_and_nothing_is_done(vps: Machine) -> None:
    for allow, words in (((f"{HOME}/24",), "198.51.100.0/24"), ((HOME, HOME), "twice"), (("home.example",), "not an")):
        ran = apply(vps, answers(*allow), "--yes", code=2)
        assert words in ran.err
    assert vps.run(["test", "-e", "/etc/nginx/sites-available/hermes"], check=False).code == 1
    dry = apply(vps, answers("0.0.0.0/0"), "--dry-run")
    assert "The allowed addresses include all of IPv4" in (dry.out + dry.err).replace("\n", " ")
    assert "can also be reached over IPv6" in (dry.out + dry.err).replace("\n", " ")


def test_whose_word_counts_in_all_sites_counts_here_but_not_everybodys(world: World, vps: Machine) -> None:
    vps.write("/etc/nginx/conf.d/realip.conf", "set_real_ip_from 0.0.0.0/0;\nreal_ip_header X-Forwarded-For;\n")
    said = apply(vps, answers(HOME), "--yes", code=3)
    assert "lets anyone say which address" in said.err.replace("\n", " ")
    said = apply(vps, answers(), "--dry-run")  # without a list it is a warning
    assert "Wrong passwords are counted by that address" in " ".join(said.err.split())
    vps.write("/etc/nginx/conf.d/realip.conf", "set_real_ip_from 198.51.100.1;\nreal_ip_header X-Forwarded-For;\n")
    apply(vps, answers(HOME), "--yes")
    assert world.fetch(SITE, headers={"X-Forwarded-For": HOME}).status == 401
    assert turned_away(world.fetch(SITE, headers={"X-Forwarded-For": "192.0.2.9"}), "192.0.2.9")
    odd = world.fetch(SITE, headers={"X-Forwarded-For": "<b>$host"})
    assert turned_away(odd, STRANGER)


def test_a_neighbour_whose_socket_takes_both_families(world: World, vps: Machine, home: Machine) -> None:
    """Then nginx sees IPv4 visitors as ::ffff:198.51.100.50; the list goes by the address in it."""
    certificate, key = lab_authority().issue("blog.example")
    vps.write("/etc/ssl/blog.pem", certificate)
    vps.write("/etc/ssl/blog.key", key, mode=0o600)
    both = "listen [::]:80 ipv6only=off; listen [::]:443 ssl ipv6only=off; server_name blog.example;"
    pair = "ssl_certificate /etc/ssl/blog.pem; ssl_certificate_key /etc/ssl/blog.key;"
    vps.write("/etc/nginx/sites-enabled/blog", f"server {{ {both} {pair} }}\n")
    vps.run(["rm", "/etc/nginx/sites-enabled/default"])
    apply(vps, answers(HOME), "--yes")
    assert home.fetch(SITE, address=SERVER).status == 401
    assert turned_away(home.fetch(SITE, address=SERVER_SIX), HOME_SIX)
    assert turned_away(world.fetch(SITE, address=SERVER), f"::ffff:{STRANGER}")
    # what the page names can be put on the list as it stands there
    apply(vps, answers("::ffff:198.51.100.1"), "--yes")
    assert world.fetch(SITE, address=SERVER).status == 401
    assert turned_away(home.fetch(SITE, address=SERVER), f"::ffff:{HOME}")


def test_webhooks_behind_cloudflare_go_by_the_senders_own_address(world: World, vps: Machine) -> None:
    edge = world.machine("debian13", v4=None, v6=None, name="edge")
    spaces.ip(world.net, ["addr add 172.64.0.1/24 dev br0"])
    spaces.ip(edge.net, ["addr add 172.64.0.7/24 dev eth0", "route add default via 172.64.0.1"])
    sender, hooks = "192.30.252.9", "hooks.example.com"
    wish = answers() + f'[webhooks]\nplatforms = ["webhook"]\nhost = "{hooks}"\nallow = ["192.30.252.0/22"]\n'

    def post(who: Machine | World, name: str = hooks) -> int:
        sent = {"CF-Connecting-IP": sender, "X-Forwarded-For": sender}
        return who.fetch(f"https://{name}/webhooks/x", address=SERVER, method="POST", headers=sent).status

    world.dns.host(hooks, SERVER, None)
    vps.write("/etc/nginx/conf.d/realip.conf", "set_real_ip_from 0.0.0.0/0;\nreal_ip_header X-Forwarded-For;\n")
    assert "pretend to be an allowed sender of webhooks" in " ".join(apply(vps, wish, "--yes", code=3).err.split())
    vps.run(["rm", "/etc/nginx/conf.d/realip.conf"])
    apply(vps, wish, "--yes")
    assert (post(edge), post(world)) == (403, 403)
    world.dns.host(hooks, "104.16.1.1", None)  # the orange cloud, for this name alone
    assert f"{hooks} points to Cloudflare's proxy" in " ".join(apply(vps, wish, "--yes").err.split())
    assert (post(edge), post(world)) == (502, 403)  # 502: let in, and there is no gateway
    assert vps.read("/etc/nginx/sites-available/hermes").decode().count("real_ip_header") == 1
    # under the dashboard's name
    world.dns.host(DOMAIN, "104.16.1.1", None)
    wish = wish.replace(f'host = "{hooks}"\n', "")
    apply(vps, wish, "--yes")
    assert (post(edge, DOMAIN), post(world, DOMAIN)) == (502, 403)
    assert "Nothing to do" in apply(vps, wish, "--yes").err


@pytest.mark.parametrize("debian", BOTH)
def test_behind_cloudflare_the_visitors_own_address_counts(world: World, vps: Machine, debian: str) -> None:
    edge = world.machine("debian13", v4=None, v6=None, name="edge")
    spaces.ip(world.net, ["addr add 172.64.0.1/24 dev br0", "addr add 2606:4700::1/64 dev br0 nodad"])
    spaces.ip(edge.net, ["addr add 172.64.0.7/24 dev eth0", "route add default via 172.64.0.1"])

    def through(visitor: str, **more: str) -> object:
        headers = {"CF-Connecting-IP": visitor, **{key.replace("_", "-"): value for key, value in more.items()}}
        return edge.fetch(SITE, address=SERVER, headers=headers)

    apply(vps, answers(HOME, HOME_SIX), "--yes")
    assert turned_away(through(HOME), "172.64.0.7")  # nobody said that Cloudflare stands there
    world.dns.host(DOMAIN, "104.16.1.1", "2606:4700::6810:101")
    drift = hermes_setup(vps, "doctor", code=4)
    assert "Cloudflare" in drift.out + drift.err
    ran = apply(vps, answers(HOME, HOME_SIX), "--yes")
    assert "takes the visitor's address from Cloudflare" in ran.err.replace("\n", " ").replace("  ", " ")
    assert through(HOME).status == 401  # type: ignore[attr-defined]
    assert through(HOME_SIX).status == 401  # type: ignore[attr-defined]
    assert turned_away(through("192.0.2.9"), "192.0.2.9")
    assert turned_away(through("192.0.2.9", X_Forwarded_For=HOME), "192.0.2.9")
    for odd in ("", "<b>x</b>", "$host", f"{HOME}, 192.0.2.9"):
        assert "<b>" not in (page := through(odd)).text  # type: ignore[attr-defined]
        assert turned_away(page, "192.0.2.9" if "," in odd else "172.64.0.7"), odd
    # nobody else is believed
    assert turned_away(world.fetch(SITE, address=SERVER, headers={"CF-Connecting-IP": HOME}), STRANGER)
    assert "Nothing to do" in apply(vps, answers(HOME, HOME_SIX), "--yes").err
    # DNS is silent: it stays so
    for kind in ("A", "AAAA"):
        world.dns.fail(DOMAIN, kind, "SERVFAIL")
    assert "set_real_ip_from" not in apply(vps, answers(HOME, HOME_SIX), "--dry-run").err
    # without a list, too: wrong passwords are counted, and logged, by the visitor's address
    world.dns.clear()
    world.dns.host(DOMAIN, "104.16.1.1", "2606:4700::6810:101")
    apply(vps, answers(), "--yes")
    through("192.0.2.77")
    world.fetch(SITE, address=SERVER, headers={"CF-Connecting-IP": "192.0.2.78"})
    log = vps.text("/var/log/nginx/hermes-access.log").splitlines()
    assert [line.split()[0] for line in log[-2:]] == ["192.0.2.77", "198.51.100.1"]
    apply(vps, answers(HOME, HOME_SIX), "--yes")
    # the grey cloud, and all is as before
    world.dns.clear()
    world.dns.host(DOMAIN, SERVER, SERVER_SIX)
    apply(vps, answers(HOME, HOME_SIX), "--yes")
    assert turned_away(through(HOME), "172.64.0.7")
