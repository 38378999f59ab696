"""The certificate on real parts: certbot, openssl, nginx and a real ACME CA, and what a power cut leaves of their files."""

from __future__ import annotations

import json
import time

import pytest

from conftest import BOTH, DOMAIN
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import Issuer
from hermes_setup.answers.user import User
from hermes_setup.engine.changes import Place, Run
from hermes_setup.nginx import render
from hermes_setup.stages.certificate.stage import Certificate
from hermes_setup.system.overlay import Nothing, Overlay
from lab import LETSENCRYPT, PEBBLE_URL, STAGING, Machine, Problem, World
from real.program import apply, hermes_setup, install

HASH = "$6$rounds=5000$abcdefghijklmnop$KW7R0dWSfgMNbRXZLnQ/WBHpMmZHMLJ2B5n0gcg4RFsr7PkQFRUXlnwh/pVMQb0rVhdtJLhOrKiOwk0zTeFXh0"
LE = "/etc/letsencrypt"


def answers(certificate: str = "letsencrypt", domain: str = DOMAIN) -> str:
    return f'domain = "{domain}"\ncertificate = "{certificate}"\n[[users]]\nname = "alice"\npassword_hash = "{HASH}"\n'


@pytest.fixture
def vps(world: World, debian: str) -> Machine:
    new = world.machine(f"{debian}-ready")
    world.dns.host(DOMAIN, *new.addresses)
    new.trust(*world.acme.trusted)
    new.start(["cron", "-f"])
    install(new)
    return new


def words(text: str) -> str:
    return " ".join(text.split())


def doctor(machine: Machine) -> list[str]:
    """The codes that doctor finds, but for Hermes, which does not run here."""
    told = json.loads(hermes_setup(machine, "doctor", "--json", code=4).out)
    assert told["pending"] == []
    return [each["code"] for each in told["findings"] if each["stage"] != "backend"]


@pytest.mark.parametrize("debian", ["debian13"])
def test_what_a_power_cut_left_of_certbots_files_is_replaced_and_said(world: World, vps: Machine) -> None:
    apply(vps, answers(), "--yes")
    conf = f"{LE}/renewal/{DOMAIN}.conf"
    vps.run(["truncate", "-s", "0", conf])
    first = world.fetch(f"https://{DOMAIN}/").certificate
    said = apply(vps, answers(), "--yes")
    assert f"sudo mv {conf} /root/" in words(said.err)
    assert world.fetch(f"https://{DOMAIN}/", roots=world.acme.roots()).certificate != first
    assert "Nothing to do" in apply(vps, answers(), "--yes").err
    # what we say to type works, and then nothing is left to say of it
    assert doctor(vps) == ["certificate.damaged"]
    vps.run(["mv", conf, "/root/"])
    assert doctor(vps) == []
    # the whole file as blocks that never reached the disk, and a live link to nothing
    other = f"{LE}/renewal/{DOMAIN}-hermes.conf"
    vps.run(["sh", "-c", f"s=$(stat -c %s {other}); truncate -s 0 {other}; truncate -s $s {other}"])
    vps.run(["sh", "-c", f"rm -r {LE}/archive/{DOMAIN}-hermes"])
    apply(vps, answers(), "--yes")
    assert world.fetch(f"https://{DOMAIN}/", roots=world.acme.roots()).status == 401
    assert "Nothing to do" in apply(vps, answers(), "--yes").err


@pytest.mark.parametrize("debian", BOTH)
def test_another_way_of_renewal_is_replaced_by_ours_in_place(world: World, vps: Machine) -> None:
    vps.run(
        ["certbot", "certonly", "--standalone", "-d", DOMAIN, "-n", "--agree-tos", "--register-unsafely-without-email"],
        timeout=120,
    )
    plan = apply(vps, answers(), "--dry-run")
    assert "certbot renews it by standalone" in words(plan.out + plan.err)
    apply(vps, answers(), "--yes")
    renewal = vps.text(f"{LE}/renewal/{DOMAIN}.conf")
    assert "authenticator = webroot" in renewal
    assert "Nothing to do" in apply(vps, answers(), "--yes").err
    assert doctor(vps) == []


def test_a_good_certificate_of_the_recipes_is_used_as_it_is(world: World, vps: Machine) -> None:
    vps.run(["mkdir", "-p", "/var/www/letsencrypt"])
    vps.write("/etc/nginx/sites-enabled/default", "server { listen 80; listen [::]:80; root /var/www/letsencrypt; }\n")
    by_hand = vps.start(["nginx", "-g", "daemon off;"])
    vps.wait_for_port(80)
    vps.run(
        ["certbot", "certonly", "--webroot", "-w", "/var/www/letsencrypt", "-d", DOMAIN, "-n", "--agree-tos"]
        + ["--register-unsafely-without-email"],
        timeout=120,
    )
    by_hand.stop()
    vps.run(["rm", "/etc/nginx/sites-enabled/default"])
    orders = world.acme.orders()
    apply(vps, answers(), "--yes")
    assert world.acme.orders() == orders
    assert world.fetch(f"https://{DOMAIN}/", roots=world.acme.roots()).status == 401


def test_a_certificate_with_more_names_stays_as_it_is(world: World, vps: Machine) -> None:
    world.dns.host("blog.example.com", *vps.addresses)
    vps.run(
        ["certbot", "certonly", "--standalone", "-d", DOMAIN, "-d", "blog.example.com", "-n", "--agree-tos"]
        + ["--register-unsafely-without-email"],
        timeout=120,
    )
    before = vps.text(f"{LE}/renewal/{DOMAIN}.conf")
    apply(vps, answers(), "--yes")
    assert vps.text(f"{LE}/renewal/{DOMAIN}.conf") == before
    assert vps.exists(f"{LE}/renewal/{DOMAIN}-hermes.conf")
    assert "Nothing to do" in apply(vps, answers(), "--yes").err


def test_a_limit_of_the_real_ca_lets_one_practise_on_staging(world: World, vps: Machine) -> None:
    until = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() + 7200))
    world.acme.refuse(
        Problem("rateLimited", f"too many certificates (5) already issued, retry after {until} UTC: see x"), LETSENCRYPT
    )
    apply(vps, answers(), "--yes", code=1)
    orders = world.acme.orders()
    assert until[:16] in words(apply(vps, answers(), "--yes", code=3).err)
    assert world.acme.orders() == orders
    vps.run(["certbot", "renew", "-q", "--no-random-sleep-on-renew"], timeout=60)  # as its timer does: a new log
    apply(vps, answers(), "--yes", code=3)
    assert world.acme.orders() == orders
    apply(vps, answers("letsencrypt-staging"), "--yes")
    assert world.fetch(f"https://{DOMAIN}/", roots=world.acme.roots(STAGING)).status == 401
    world.acme.accept(LETSENCRYPT)
    apply(vps, answers(), "--yes", code=3)


@pytest.mark.parametrize("debian", ["debian12"])
def test_a_rehearsal_that_fails_warns_until_one_goes_through(world: World, vps: Machine) -> None:
    apply(vps, answers(), "--yes")
    vps.run(["rm", "/var/lib/hermes-setup/stamps/renewal"])
    world.acme.refuse(Problem("serverInternal", "Service busy; retry later.", status=503), STAGING)
    said = apply(vps, answers(), "--yes")
    assert "renewing its certificate would fail" in words(said.err)
    assert vps.exists(f"{LE}/renewal-hooks/deploy/hermes-setup")
    assert doctor(vps) == ["renewal.would-fail"]
    assert world.fetch(f"https://{DOMAIN}/", roots=world.acme.roots()).status == 401
    world.acme.accept(STAGING)
    # a run right after it takes it as tried; this one comes later
    stamp = vps.text("/var/lib/hermes-setup/stamps/renewal").replace('"failed": "20', '"failed": "19')
    vps.write("/var/lib/hermes-setup/stamps/renewal", stamp, mode=0o600)
    apply(vps, answers(), "--yes")
    assert doctor(vps) == []


@pytest.mark.parametrize("debian", BOTH)
def test_with_another_ca_the_renewal_is_rehearsed_there_and_not_at_lets_encrypts(world: World, vps: Machine) -> None:
    apply(vps, answers(PEBBLE_URL), "--yes")
    assert world.acme.requests(STAGING) == {}
    assert world.fetch(f"https://{DOMAIN}/", roots=world.acme.roots()).status == 401
    assert "Nothing to do" in apply(vps, answers(PEBBLE_URL), "--yes").err
    assert doctor(vps) == []


@pytest.mark.parametrize("debian", BOTH)
def test_the_hook_never_fails_a_renewal_and_never_breaks_nginx(world: World, vps: Machine) -> None:
    apply(vps, answers("self-signed"), "--yes")
    vps.write("/root/hook", render.template("deploy-hook.sh"))
    before = world.fetch(f"https://{DOMAIN}/").certificate
    vps.write("/etc/nginx/conf.d/broken.conf", "this is no nginx\n")
    ran = vps.run(["sh", "/root/hook"])
    assert "not loaded yet" in ran.err
    assert world.fetch(f"https://{DOMAIN}/").certificate == before
    vps.run(["rm", "/etc/nginx/conf.d/broken.conf"])
    assert "hermes-setup" not in vps.run(["sh", "/root/hook"]).err
    vps.run(["nginx", "-s", "stop"])
    vps.wait_for(lambda: not vps.exists("/run/nginx.pid"), "nginx has ended")
    vps.run(["sh", "/root/hook"])
    assert not [each for each in vps.processes() if "nginx" in " ".join(each.argv)]


@pytest.mark.parametrize("debian", BOTH)
def test_a_self_signed_certificate_can_be_made_for_the_longest_name(vps: Machine) -> None:
    long = ".".join(["a" * 60, "b" * 60, "c" * 60, "d" * 50, "example", "com"])
    wish = Answers(Domain.parse(long), Issuer.parse("self-signed"), (User("alice"),))
    stage = Certificate()
    place, make = stage.plan(wish, stage.inspect(wish, Overlay(Nothing())))
    assert isinstance(place, Place)
    assert isinstance(make, Run)
    vps.run(["mkdir", "-p", place.path])
    vps.run(list(make.argv))
    shown = vps.run(["openssl", "x509", "-in", f"{place.path}/fullchain.pem", "-noout", "-text"]).out
    for part in (f"DNS:{long}", "CA:FALSE", "TLS Web Server Authentication"):
        assert part in shown


@pytest.mark.parametrize("debian", BOTH)
def test_a_self_signed_key_that_reached_the_disk_empty_is_replaced(world: World, vps: Machine) -> None:
    apply(vps, answers("self-signed"), "--yes")
    folder = f"/etc/ssl/hermes-setup/{DOMAIN}"
    assert vps.run(["stat", "-c", "%a %U", f"{folder}/1/privkey.pem"]).out.strip() == "600 root"
    vps.run(["truncate", "-s", "0", f"{folder}/1/privkey.pem"])
    apply(vps, answers("self-signed"), "--yes")
    assert vps.exists(f"{folder}/2/privkey.pem")
    assert world.fetch(f"https://{DOMAIN}/").status == 401
    assert "Nothing to do" in apply(vps, answers("self-signed"), "--yes").err
