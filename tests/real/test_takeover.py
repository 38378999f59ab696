"""What somebody made by hand: taken over whole, said, kept as a copy; and where that cannot be, named and left alone."""

from __future__ import annotations

import pytest

from conftest import DOMAIN
from lab import Machine, World, snapshot_diff
from real.program import apply, hermes_setup, install

HASH = "$6$rounds=5000$abcdefghijklmnop$KW7R0dWSfgMNbRXZLnQ/WBHpMmZHMLJ2B5n0gcg4RFsr7PkQFRUXlnwh/pVMQb0rVhdtJLhOrKiOwk0zTeFXh0"
RECIPE = f"""server {{
    listen 80;
    server_name {DOMAIN};
    auth_basic "Restricted";
    auth_basic_user_file /etc/nginx/.htpasswd;
    location / {{ proxy_pass http://127.0.0.1:9119; proxy_set_header Host $host; }}
}}
"""


def answers(domain: str = DOMAIN) -> str:
    return f'domain = "{domain}"\ncertificate = "self-signed"\n[[users]]\nname = "alice"\npassword_hash = "{HASH}"\n'


@pytest.fixture
def vps(world: World, debian: str) -> Machine:
    new = world.machine(f"{debian}-ready")
    world.dns.host(DOMAIN, *new.addresses)
    install(new)
    return new


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("link", "file"),
    [
        ("/etc/nginx/sites-enabled/dashboard", "/etc/nginx/sites-available/dashboard"),
        ("/etc/nginx/sites-enabled/default", "/etc/nginx/sites-available/default"),
        ("", "/etc/nginx/conf.d/hermes.conf"),
    ],
)
def test_a_site_made_by_hand_leaves_nginx_and_its_text_stays_where_it_is_said_to_be(
    world: World, vps: Machine, link: str, file: str
) -> None:
    vps.write(file, RECIPE)
    if link:
        vps.run(["ln", "-sf", file, link])
    vps.run(["nginx"])
    shown = apply(vps, answers(), "--dry-run")
    assert words(shown.out + shown.err).count(link or file)
    said = words(apply(vps, answers(), "--yes").err)
    kept = [path for path in (file, f"/etc/nginx/sites-available/{file.rpartition('/')[2]}.by-hand") if path in said]
    assert [vps.text(path) for path in kept if vps.exists(path)], said
    for path in kept:
        if "stays" in said:
            assert vps.exists(path) or path == file, f"{path} was promised"
    assert f"stays: {kept[-1]}" in said or f"stays in {kept[-1]}" in said
    assert vps.text(kept[-1]) == RECIPE
    assert not vps.exists(link or file)
    assert world.fetch(f"http://{DOMAIN}/").status == 301
    assert world.fetch(f"https://{DOMAIN}/").status == 401
    assert "Nothing to do" in apply(vps, answers(), "--yes").err


def unchanged(machine: Machine, before: object) -> bool:
    ours = ("/var/lib/hermes-setup", "/root")
    return not [path for path in snapshot_diff(before, machine.snapshot()) if not path.startswith(ours)]


def test_a_server_inside_nginx_conf_itself_is_named_and_left_alone(vps: Machine) -> None:
    conf = vps.text("/etc/nginx/nginx.conf").rstrip().removesuffix("}")
    if "mail {" in conf:
        conf = vps.text("/etc/nginx/nginx.conf")
        at = conf.index("http {") + len("http {")
        conf = f"{conf[:at]}\n{RECIPE}\n{conf[at:]}"
    vps.write("/etc/nginx/nginx.conf", conf)
    vps.run(["nginx", "-t"])
    line = next(n for n, text in enumerate(conf.splitlines(), 1) if text.startswith("server {"))
    before = vps.snapshot()
    said = words(apply(vps, answers(), "--yes", code=3).err)
    assert f"sudo nano +{line} /etc/nginx/nginx.conf" in said
    assert unchanged(vps, before)
    vps.run(["nginx", "-t"])


def test_a_name_that_shares_its_server_with_another_is_named_with_its_line(vps: Machine) -> None:
    vps.write(
        "/etc/nginx/sites-enabled/both",
        f"# ours\n\nserver {{\n  listen 80;\n  server_name shop.example {DOMAIN};\n}}\n",
    )
    before = vps.snapshot()
    said = words(apply(vps, answers(), "--yes", code=3).err)
    assert "shop.example" in said
    assert "sudo nano +3 /etc/nginx/sites-enabled/both" in said
    assert unchanged(vps, before)


def test_a_file_whose_other_parts_somebody_needs_stays(vps: Machine) -> None:
    """A map or an upstream beside our server may be used by another file: nginx itself says so, before anything moves."""
    vps.write("/etc/nginx/sites-enabled/dashboard", RECIPE + "upstream shared { server 127.0.0.1:9000; }\n")
    shop = "server { listen 80; server_name shop.example; location / { proxy_pass http://shared; } }\n"
    vps.write("/etc/nginx/sites-enabled/shop", shop)
    vps.run(["nginx"])
    before = vps.snapshot()
    said = words(apply(vps, answers(), "--yes", code=1).err)
    assert "shared" in said
    assert vps.text("/etc/nginx/sites-enabled/shop") == shop
    assert {path for path in snapshot_diff(before, vps.snapshot()) if "/nginx/sites" in path} == set()
    vps.run(["nginx", "-t"])


@pytest.mark.parametrize("debian", ["debian12", "debian13"])
def test_lines_of_the_users_file_that_were_made_by_hand_stay_and_work(world: World, vps: Machine, debian: str) -> None:
    for name, flags in (("carol", ["-apr1"]), ("erin", ["-6"]), ("frank", ["-1"])):
        line = vps.run(["openssl", "passwd", *flags, "-salt", "abcdefgh", f"{name}s own"]).out.strip()
        vps.run(["sh", "-c", f"printf '%s\\n' '{name}:{line}' >>/etc/nginx/.htpasswd-hermes"])
    lines = vps.text("/etc/nginx/.htpasswd-hermes").splitlines()
    apply(vps, answers(), "--yes")
    assert set(lines) < set(vps.text("/etc/nginx/.htpasswd-hermes").splitlines())
    cookies = set()
    for name in ("carol", "erin", "frank"):
        page = world.fetch(f"https://{DOMAIN}/", auth=(name, f"{name}s own"))
        assert page.status == 502  # through the gate; no Hermes behind it
        assert world.fetch(f"https://{DOMAIN}/", auth=(name, "another's")).status == 401
        cookies.add(name)
    assert "Nothing to do" in apply(vps, answers(), "--yes").err
    hermes_setup(vps, "users", "remove", "carol", "--yes")
    assert world.fetch(f"https://{DOMAIN}/", auth=("carol", "carols own")).status == 401


def test_there_and_back_again_between_two_names(world: World, vps: Machine) -> None:
    world.dns.host("new.example.com", *vps.addresses)
    for name, other in ((DOMAIN, "new.example.com"), ("new.example.com", DOMAIN), (DOMAIN, "new.example.com")):
        apply(vps, answers(name), "--yes")
        assert world.fetch(f"https://{name}/").status == 401
        assert world.fetch(f"https://{other}/").status == 421
        assert "Nothing to do" in apply(vps, answers(name), "--yes").err
