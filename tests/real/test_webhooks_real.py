"""Webhooks on real parts: a signed request from outside reaches the real gateway, and nothing else does."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from cryptography import x509

from conftest import DOMAIN
from lab import LETSENCRYPT, PEBBLE_URL, Machine, Problem, Reply, World, start_gateway, start_hermes
from real.program import apply, hermes_setup, install

PASSWORD = "correct horse battery"
HOOKS = "hooks.example.com"
CALLS = "calls.example.com"
NEW = "new.example.com"
SECRET = "a secret that only the sender knows"
CONFIG = """\
platforms:
  webhook:
    enabled: true
    extra:
      %s
      port: 8644
      secret: "%s"
      routes:
        deploys:
          prompt: "A deployment: {ref}"
          deliver: log
"""


def answers(acme: str, webhooks: str, domain: str = DOMAIN) -> str:
    start = f'domain = "{domain}"\ncertificate = "{acme}"\n'
    return start + f'{webhooks}\n[[users]]\nname = "alice"\npassword_file = "/root/alice.pw"\n'


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    """The headers with which GitHub sends (its docs: "Validating webhook deliveries")."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={digest}", "X-GitHub-Event": "push", "Content-Type": "application/json"}


def names(world: World, name: str) -> set[str]:
    """Those in the certificate that is shown for the name."""
    shown = world.fetch(f"https://{name}/", roots=world.acme.roots()).certificate
    assert shown
    return set(
        shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    )


@pytest.fixture
def vps(world: World, debian: str) -> Machine:
    """A server with the real Hermes, its gateway listening for webhooks on all addresses, and the program."""
    new = world.machine(f"{debian}-ready", "hermes")
    for name in (DOMAIN, HOOKS):
        world.dns.host(name, *new.addresses)
    new.trust(*world.acme.trusted)
    new.write("/root/alice.pw", PASSWORD + "\n", mode=0o600)
    new.start(["cron", "-f"])
    install(new)
    return new


@pytest.mark.parametrize("debian", ["debian13"])
def test_a_signed_request_reaches_the_gateway_and_nothing_else_does(world: World, vps: Machine) -> None:
    start_hermes(vps)
    gateway = start_gateway(vps, CONFIG % ("host: null", SECRET))
    directory = PEBBLE_URL
    roots = world.acme.roots()
    ran = apply(vps, answers(directory, '[webhooks]\nplatforms = ["webhook"]'), "--yes")
    assert "Hermes's webhook listens on all addresses, port 8644" in " ".join(ran.err.split())
    body = json.dumps({"ref": "refs/heads/main"}).encode()

    def post(name: str, path: str, headers: dict[str, str], data: bytes = body) -> Reply:
        return world.fetch(f"https://{name}{path}", method="POST", headers=headers, body=data, roots=roots)

    taken = post(DOMAIN, "/webhooks/deploys", signed(body))
    assert (taken.status, taken.all("Set-Cookie")) == (202, []), taken.text
    assert json.loads(taken.text)["status"] == "accepted"
    forged = post(DOMAIN, "/webhooks/deploys", signed(body, "a guess"))
    assert (forged.status, forged.header("WWW-Authenticate"), forged.all("Set-Cookie")) == (401, None, [])
    # what only looks like a webhook reaches neither the gateway nor, without a password, the dashboard
    odd = (
        *("/webhooks/../api/status", "/webhooks/%2e%2e/api/status", "/webhooks//deploys", "//webhooks/deploys"),
        *("/webhooks/deploys/", "/webhooks/deploys/x", "/webhooks/", "/webhooks", "/webhooks/.", "/webhooks/..%2fapi"),
        *("/x/../webhooks/deploys", "/webhooks/deploy%73", "/webhooks/deploys%00", "/webhooks/deploys;x", "/health"),
        *("/WEBHOOKS/deploys", "/webhooks\\deploys", "/./webhooks/deploys", "/p/x/webhooks/deploys"),
    )
    for path in odd:
        seen = post(DOMAIN, path, signed(body))
        assert seen.status in (400, 401, 404, 405), (path, seen.status, seen.text[:200])
        assert "accepted" not in seen.text, path
        assert "Unknown route" not in seen.text, path
    assert world.fetch(f"https://{DOMAIN}/webhooks/deploys", roots=roots).status == 403  # GET
    assert world.fetch(f"https://{DOMAIN}/", roots=roots).status == 401

    # a name of its own, in the same certificate
    own = f'[webhooks]\nplatforms = ["webhook"]\nhost = "{HOOKS}"'
    dry = apply(vps, answers(directory, own), "--dry-run")
    assert HOOKS in dry.err + dry.out
    apply(vps, answers(directory, own), "--yes")
    assert names(world, DOMAIN) == names(world, HOOKS) == {DOMAIN, HOOKS}
    assert post(HOOKS, "/webhooks/deploys", signed(body + b" "), body + b" ").status == 202
    assert post(DOMAIN, "/webhooks/deploys", signed(body)).status == 401  # the gate's
    for path in ("/", "/api/status", "/health", "/webhooks/../", *odd):
        assert world.fetch(f"https://{HOOKS}{path}", roots=roots).status in (400, 403, 404), path
    assert post(HOOKS, "/", {}).status == 404
    assert "Nothing to do" in apply(vps, answers(directory, own), "--yes").err

    # pinned, and all is well
    gateway.stop()
    start_gateway(vps, CONFIG % ("host: 127.0.0.1", SECRET))
    assert "webhooks." not in hermes_setup(vps, "doctor", "--json", code=0).out
    assert 'host = "hooks.example.com"' in hermes_setup(vps, "answers").out

    # away again: the certificate is for the one name, by the same lineage
    apply(vps, answers(directory, ""), "--yes")
    assert names(world, DOMAIN) == {DOMAIN}
    assert vps.run(["ls", "/etc/letsencrypt/renewal"]).out.split() == [f"{DOMAIN}.conf"]
    hermes_setup(vps, "undo", "--last", "--yes")
    assert names(world, HOOKS) == {DOMAIN, HOOKS}
    assert post(HOOKS, "/webhooks/deploys", signed(body + b"  "), body + b"  ").status == 202


def test_senders_are_heard_where_they_were_while_the_webhooks_or_the_domain_move(world: World, vps: Machine) -> None:
    for name in (CALLS, NEW):
        world.dns.host(name, *vps.addresses)
    start_gateway(vps, CONFIG % ("host: 127.0.0.1", SECRET))
    roots = world.acme.roots()
    count = 0

    def heard(name: str) -> bool:
        nonlocal count
        count += 1
        body = json.dumps({"ref": f"refs/heads/{count}"}).encode()
        url = f"https://{name}/webhooks/deploys"
        seen = world.fetch(url, method="POST", headers=signed(body), body=body, roots=roots)
        assert seen.all("Set-Cookie") == []
        return seen.status == 202

    def own(name: str) -> str:
        return f'[webhooks]\nplatforms = ["webhook"]\nhost = "{name}"'

    paths = '[webhooks]\nplatforms = ["webhook"]'
    apply(vps, answers("letsencrypt", paths), "--yes")
    assert heard(DOMAIN)
    # to a name of their own, and to another one; the order fails at first, as one that is stopped would
    for before, after in ((DOMAIN, HOOKS), (HOOKS, CALLS)):
        world.acme.refuse(Problem("serverInternal", "try again later", status=500), LETSENCRYPT)
        apply(vps, answers("letsencrypt", own(after)), "--yes", code=1)
        assert heard(before), f"{before}, while {after} waits for its certificate"
        assert world.fetch(f"http://{after}/").status == 503  # the waiting page, and so the challenge
        world.acme.accept(LETSENCRYPT)
        apply(vps, answers("letsencrypt", own(after)), "--yes")
        assert heard(after)
        assert not heard(before) if before == DOMAIN else names(world, DOMAIN) == {DOMAIN, CALLS}
        assert "Nothing to do" in apply(vps, answers("letsencrypt", own(after)), "--yes").err

    # the domain moves; then the webhooks' name is given up, and its record with it
    led = f'redirect_from = ["{DOMAIN}"]\n'
    apply(vps, answers("letsencrypt", led + own(CALLS), NEW), "--yes")
    apply(vps, answers("letsencrypt", led + paths, NEW), "--yes")
    world.dns.remove(CALLS)
    assert heard(NEW)
    assert heard(DOMAIN), "the earlier name, to those who do not know the new one yet"
    for path in ("/", "/api/status", "/webhooks/", "/webhooks/../api/status"):
        seen = world.fetch(f"https://{DOMAIN}{path}", roots=roots)
        assert (seen.status, seen.header("Cache-Control")) == (307, "no-store"), path
    told = json.loads(hermes_setup(vps, "doctor", "--json", code=4).out)
    (flawed,) = [each for each in told["findings"] if each["code"] == "certificate.redirect-flawed"]
    assert CALLS in flawed["what"]
    vps.run(["certbot", "renew", "--dry-run", "--cert-name", DOMAIN, "--no-random-sleep-on-renew"], check=False)
    vps.run(["sh", "-c", flawed["do"].partition("alone: sudo ")[2]], timeout=120)  # what it says to type
    vps.run(["certbot", "renew", "--dry-run", "--no-random-sleep-on-renew"], timeout=120)
    assert "certificate.redirect-flawed" not in hermes_setup(vps, "doctor", "--json", code=4).out
    assert heard(DOMAIN)


def test_going_back_to_a_name_whose_certificate_holds_a_host_that_was_given_up(world: World, vps: Machine) -> None:
    world.dns.host(NEW, *vps.addresses)
    own = f'[webhooks]\nplatforms = ["webhook"]\nhost = "{HOOKS}"'
    led, back = f'redirect_from = ["{DOMAIN}"]\n', f'redirect_from = ["{NEW}"]\n'
    apply(vps, answers("letsencrypt", own), "--yes")
    apply(vps, answers("letsencrypt", led + own, NEW), "--yes")
    apply(vps, answers("letsencrypt", led, NEW), "--yes")
    world.dns.remove(HOOKS)
    apply(vps, answers("letsencrypt", back), "--yes")
    assert names(world, DOMAIN) == {DOMAIN}
    assert sorted(vps.run(["ls", "/etc/letsencrypt/renewal"]).out.split()) == [f"{DOMAIN}.conf", f"{NEW}.conf"]
    orders = world.acme.orders()
    assert "Nothing to do" in apply(vps, answers("letsencrypt", back), "--yes").err
    assert world.acme.orders() == orders
    vps.run(["certbot", "renew", "--dry-run", "--no-random-sleep-on-renew"], timeout=120)
    assert "renewal.would-fail" not in hermes_setup(vps, "doctor", "--json", code=4).out
