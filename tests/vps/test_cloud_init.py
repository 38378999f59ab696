"""A server that sets itself up on its first boot: docs/examples/cloud-init.yaml, by the real cloud-init."""

from __future__ import annotations

import hashlib
from pathlib import Path

from conftest import DOMAIN
from lab import World
from real.test_wizard_real import GOOD
from vps import Vps

EXAMPLE = Path("/repo/docs/examples/cloud-init.yaml")
RELEASE = "hermes-setup-0.1.0"


def test_the_example_sets_a_server_up_on_its_first_boot(world: World) -> None:
    shop = world.machine("debian13", name="download")
    world.dns.host("example.org", *shop.addresses)
    shop.copy_in(Path("/repo"), f"/srv/build/{RELEASE}")
    shop.run(["mkdir", "-p", "/srv/web/hermes-setup"])
    tarball = f"/srv/web/hermes-setup/{RELEASE}.tar.gz"
    shop.run(["tar", "-C", "/srv/build", "-czf", tarball, RELEASE])
    shop.start(["python3", "-m", "http.server", "80", "--directory", "/srv/web"])
    shop.wait_for_port(80)

    vps = world.make(Vps, "debian13", memory="3g")
    world.give_packages(vps)
    vps.trust(*world.acme.trusted)
    world.dns.host(DOMAIN, *vps.addresses)
    vps.run(
        ["sh", "-c", "apt-get -qq update && apt-get -qq install -y --no-install-recommends cloud-init"], timeout=200
    )
    hashed = shop.run(["openssl", "passwd", "-6", "-stdin"], input=GOOD).out.strip()
    wanted = EXAMPLE.read_text("utf-8")
    for old, new in {
        "$6$SALT$HASH": hashed,
        "SHA256SUM": hashlib.sha256(shop.read(tarball)).hexdigest(),
        "https://example.org": "http://example.org",  # the download place of this world has no certificate
    }.items():
        assert old in wanted
        wanted = wanted.replace(old, new)
    vps.write("/var/lib/cloud/seed/nocloud/user-data", wanted, mode=0o600)
    vps.write("/var/lib/cloud/seed/nocloud/meta-data", "instance-id: first\n")
    vps.write("/etc/cloud/cloud.cfg.d/99-lab.cfg", "datasource_list: [NoCloud]\nnetwork: {config: disabled}\n")
    vps.reboot()
    vps.run(["cloud-init", "status", "--wait"], timeout=240, check=False)
    log = vps.text("/var/log/cloud-init-output.log")
    assert f"https://{DOMAIN}/" in log, log[-4000:]
    roots = world.acme.roots()
    assert world.fetch(f"https://{DOMAIN}/", roots=roots, auth=("alice", GOOD)).status == 502
    assert world.fetch(f"https://{DOMAIN}/", roots=roots).status == 401
    assert GOOD not in log
    assert vps.text("/root/hermes.toml").startswith(f'domain = "{DOMAIN}"')
