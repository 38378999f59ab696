"""Hermes in a container of the real Docker, by a compose file: found, never left open, and served once it is closed."""

from __future__ import annotations

import pytest

from conftest import DOMAIN
from lab import World, spaces
from real.program import install
from real.test_wizard_real import GOOD
from vps import Login, Vps
from vps.test_stories import ANSWERS, APPLY

# The image is empty but for a shell; what Hermes needs is the server's own, read only.
COMPOSE = """services:
  agent:
    image: tiny
    command: ["/opt/hermes/bin/hermes", "dashboard", "--host", "HOST", "--port", "9119", "--no-open"]
    volumes: ["/usr:/usr:ro", "/opt:/opt:ro", "/etc:/etc:ro", "/srv/agent/home:/tmp/hermes"]
    environment: {HOME: /root, HERMES_HOME: /tmp/hermes}
    PLACE
"""
# What a server of its own needs no word of: its kernel's settings may be written there.
DAEMON = '{"ip-forward": false, "storage-driver": "vfs"}'
DROP_IN = "[Service]\nEnvironment=DOCKER_ALLOW_IPV6_ON_IPV4_INTERFACE=1\n"
IMAGE = """
mkdir -p /srv/image/bin /srv/image/tmp /srv/image/root && cp /usr/bin/busybox /srv/image/bin/
for name in lib lib64; do ln -s usr/$name /srv/image/$name; done
tar -C /srv/image -c . | docker import - tiny
"""
HASH = f"from plugins.dashboard_auth.basic import hash_password; print(hash_password({GOOD!r}))"
PACKAGES = ("docker.io", "docker-cli", "docker-compose", "iptables", "busybox-static")


@pytest.fixture
def login(world: World) -> Login:
    """A server with the real Docker, and Hermes's files."""
    vps = world.make(Vps, "debian13-ready", "hermes", memory="4g")
    world.give_packages(vps)
    vps.trust(*world.acme.trusted)
    world.dns.host(DOMAIN, *vps.addresses)
    spaces.sysctl(vps.net, "net/ipv4/ip_forward", "1")  # in there /proc/sys cannot be written
    vps.write("/etc/docker/daemon.json", DAEMON)
    vps.write("/etc/systemd/system/docker.service.d/lab.conf", DROP_IN)
    install_packages = f"apt-get -qq update && apt-get -qq install -y --no-install-recommends {' '.join(PACKAGES)}"
    vps.run(["sh", "-c", install_packages], timeout=200)
    vps.run(["sh", "-ec", IMAGE])
    install(vps)
    vps.write("/root/answers.toml", ANSWERS, mode=0o600)
    vps.write("/root/alice.pw", GOOD + "\n", mode=0o600)
    return Login(world, vps)


def up(vps: Vps, place: str, host: str = "0.0.0.0") -> None:
    vps.write("/srv/agent/compose.yml", COMPOSE.replace("PLACE", place).replace("HOST", host))
    # Hermes 0.19 listens beyond loopback only with a sign-in of its own
    hashed = vps.run(["/opt/hermes/bin/python", "-c", HASH], cwd="/tmp").out.strip()
    config = f"dashboard:\n  basic_auth:\n    username: agent\n    password_hash: '{hashed}'\n"
    vps.write("/srv/agent/home/config.yaml", config)
    vps.run(["docker", "compose", "-f", "/srv/agent/compose.yml", "up", "-d"], timeout=120)
    try:
        vps.wait_for(lambda: answers(vps), "Hermes answers", 60)
    except AssertionError:
        print(vps.run(["docker", "compose", "-f", "/srv/agent/compose.yml", "logs"], check=False).out)
        raise


def answers(vps: Vps) -> bool:
    try:
        return vps.fetch("http://127.0.0.1:9119/api/status").status > 0
    except OSError:
        return False  # docker-proxy takes the connection before anybody in the container does


def test_a_port_that_compose_publishes_to_the_world_stops_the_run_and_names_the_line(
    world: World, login: Login
) -> None:
    up(login.vps, 'ports: ["9119:9119"]')
    assert world.fetch(f"http://{login.vps.addresses[0]}:9119/api/status").status == 200, "it is open to the world"
    stopped = login.run(APPLY, check=False)
    assert stopped.code == 3
    words = " ".join(stopped.err.split())
    assert 'In /srv/agent/compose.yml, under ports of the service agent, write: - "127.0.0.1:9119:9119"' in words
    assert words.count("backend.open") <= 1
    assert not login.vps.exists("/etc/nginx/sites-enabled/zz-hermes")
    # as it was told
    up(login.vps, 'ports: ["127.0.0.1:9119:9119"]')
    login.run(APPLY)
    roots = world.acme.roots()
    page = world.fetch(f"https://{DOMAIN}/", roots=roots, auth=("alice", GOOD))
    assert page.status == 302, "Hermes's own sign-in, which it insists on there"
    assert str(page.header("Location")).startswith("/login")
    told = login.run("sudo hermes-setup doctor --json").out
    assert '"backend.login"' in told
    assert '"proof.' not in told

    # the other way that Hermes's documentation names: the container on the server's own network
    up(login.vps, "network_mode: host", "127.0.0.1")
    assert "__HERMES_SESSION_TOKEN__" in world.fetch(f"https://{DOMAIN}/", roots=roots, auth=("alice", GOOD)).text
    assert login.run("sudo hermes-setup doctor").code == 0
