"""The certificate: which one is served, when a new one is asked for and how, and how a refusal is explained."""

from __future__ import annotations

import gzip
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificates import LIVE, NAME, NOW, Server, answers, ran, refuse
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import LETSENCRYPT, LETSENCRYPT_STAGING
from hermes_setup.engine.changes import Place, Run
from hermes_setup.engine.failed_step import NoJournal
from hermes_setup.engine.findings import Severity
from hermes_setup.engine.loop import StageFailed, run
from hermes_setup.errors import CommandFailed
from hermes_setup.host import ABSENT, File, Folder, Link, Node, Replaceable, Special
from hermes_setup.stages.certificate import certbot, lineages, rate_limits, refusals, serving, webroot, x509
from hermes_setup.stages.certificate.lineages import WEBROOT
from hermes_setup.stages.certificate.self_signed import FOLDER as SELF_SIGNED
from hermes_setup.stages.certificate.stage import Certificate
from hermes_setup.system.overlay import Overlay
from machines import Machine, steps

OURS = answers()
OTHER_CA = "https://ca.example.org/acme/directory"
DOMAIN = Domain.parse(NAME)


def planned(server: Server, wish: Answers = OURS) -> list[Run]:
    stage = Certificate()
    return [each for each in stage.plan(wish, stage.inspect(wish, server)) if isinstance(each, Run)]


def codes(server: Server, wish: Answers = OURS) -> list[str]:
    stage = Certificate()
    return [finding.code for finding in stage.check(wish, stage.inspect(wish, server))]


# -- what openssl and certbot wrote --------------------------------------------------------------------------------------

RECORDED = {
    "openssl 1.1.1": """notBefore=Nov 23 17:00:00 2026 GMT
notAfter=Feb 21 16:59:59 2027 GMT
serial=0345
issuer=C = US, O = Let's Encrypt, CN = E7
SHA256 Fingerprint=AA:0B:CC
-----BEGIN PUBLIC KEY-----
MFkw
-----END PUBLIC KEY-----
X509v3 Subject Alternative Name:
    DNS:hermes.example.com, DNS:WWW.example.com
""",
    "openssl 3.5": """notBefore=Nov 23 17:00:00 2026 GMT
notAfter=Feb 21 16:59:59 2027 GMT
serial=0345
issuer=C=US, O=Let's Encrypt, CN=E7
sha256 Fingerprint=AA:0B:CC
-----BEGIN PUBLIC KEY-----
MFkw
-----END PUBLIC KEY-----
X509v3 Subject Alternative Name:
    DNS:hermes.example.com, DNS:www.example.com
""",
}


@pytest.mark.parametrize("version", RECORDED)
def test_a_certificate_is_read_from_what_openssl_prints(version: str) -> None:
    found = x509.parse(RECORDED[version])
    assert found is not None
    assert found.names == ("hermes.example.com", "www.example.com")
    assert found.not_after == datetime(2027, 2, 21, 16, 59, 59, tzinfo=timezone.utc)
    assert (found.fingerprint, found.serial) == ("aa0bcc", "0345")


def test_a_name_in_the_issuer_is_no_name_of_the_certificate() -> None:
    found = x509.parse(RECORDED["openssl 3.5"].replace("CN=E7", "CN=DNS:evil.example"))
    assert found is not None
    assert "evil.example" not in found.names


@pytest.mark.parametrize("text", ["", "unable to load certificate", RECORDED["openssl 3.5"].partition("serial")[0]])
def test_half_a_certificate_is_none(text: str) -> None:
    assert x509.parse(text) is None


@given(st.text())
def test_no_renewal_file_is_too_strange_to_be_read(text: str) -> None:
    lineages.parse_renewal("x", text)


@pytest.mark.parametrize(
    ("lines", "webroot"),
    [
        (f"webroot_path = {WEBROOT},", WEBROOT),
        (f"webroot_path = {WEBROOT}, /srv/other", WEBROOT),
        (f'webroot_path = "{WEBROOT}",', WEBROOT),
        (f"webroot_path = /srv,\n[[webroot_map]]\n{NAME} = {WEBROOT}", WEBROOT),
        ("[[webroot_map]]\nother.example = /srv", ""),
    ],
)
def test_the_webroot_is_read_as_certbot_writes_it(lines: str, webroot: str) -> None:
    lineage = lineages.parse_renewal(
        NAME, f"fullchain = /f\nprivkey = /k\n[renewalparams]\nauthenticator = webroot\n{lines}\n"
    )
    assert lineage is not None
    assert lineage.webroot(DOMAIN) == webroot
    assert lineage.server == LETSENCRYPT


# -- which one is served -------------------------------------------------------------------------------------------------


def test_a_good_certificate_is_served_and_reused() -> None:
    server = Server()
    server.lineage()
    served = serving.certificate_for(OURS, server)
    assert served is not None
    assert (served.certificate, served.key, served.trusted) == (f"{LIVE}/fullchain.pem", f"{LIVE}/privkey.pem", True)
    assert planned(server) == []


def test_a_second_look_with_nothing_to_do_costs_three_processes() -> None:
    server = Server()
    server.lineage()
    serving.certificate_for(OURS, server)
    assert sorted(argv[1] for argv in server.asked) == ["pkey", "verify", "x509"]


@pytest.mark.parametrize(
    "what", ["conf torn", "conf empty", "live gone", "dangling", "certificate empty", "other key", "no key", "nuls"]
)
def test_what_a_power_cut_left_is_replaced_and_never_a_crash(what: str) -> None:
    server = Server()
    server.lineage()
    conf, archive = f"{lineages.FOLDER}/renewal/{NAME}.conf", f"{lineages.FOLDER}/archive/{NAME}/1"
    match what:
        case "conf torn":
            server.put(conf, File(b"version = 2.1.0\nfullchain = /etc/lets"))
        case "conf empty":
            server.put(conf, File(b""))
        case "live gone":
            for part in ("fullchain", "privkey"):
                server.put(f"{LIVE}/{part}.pem", ABSENT)
        case "dangling":
            server.put(f"{archive}/fullchain.pem", ABSENT)
        case "certificate empty":
            server.put(f"{archive}/fullchain.pem", File(b""))
        case "other key":
            server.put(f"{archive}/privkey.pem", File(b"another"))
        case "no key":
            server.put(f"{archive}/privkey.pem", File(b"garbage"))
        case "nuls":
            server.put(conf, File(b"\0" * 500))
    assert serving.certificate_for(OURS, server) is None
    (order,) = planned(server)
    assert "--cert-name" in order.argv
    name = order.argv[order.argv.index("--cert-name") + 1]
    assert name == (NAME if what == "other key" else f"{NAME}-hermes")
    assert ("certificate.damaged" in codes(server)) == (what != "other key")


def test_while_the_ca_is_changed_the_old_certificate_is_served() -> None:
    server = Server()
    server.lineage(server=LETSENCRYPT_STAGING, key="fake")
    served = serving.certificate_for(OURS, server)
    assert served is not None
    assert not served.trusted
    (order,) = planned(server)
    assert order.argv[order.argv.index("--server") + 1] == LETSENCRYPT
    assert "Let's Encrypt's staging" in order.why


def test_of_two_the_one_from_the_wanted_ca_is_served_whatever_lives_longer() -> None:
    server = Server()
    server.lineage(left=0.4)
    server.pair(f"{SELF_SIGNED}/{NAME}/1", left=0.9, days=825, key="own")
    assert (served := serving.certificate_for(OURS, server)) and served.certificate.startswith(lineages.FOLDER)
    own = serving.certificate_for(answers("self-signed"), server)
    assert own is not None
    assert own.certificate == f"{SELF_SIGNED}/{NAME}/1/fullchain.pem"


def test_the_newest_complete_self_signed_pair_is_served_and_half_a_pair_is_skipped() -> None:
    server = Server()
    for number in (1, 2):
        server.pair(f"{SELF_SIGNED}/{NAME}/{number}", key=f"own{number}", days=825)
    server.put(f"{SELF_SIGNED}/{NAME}/3/privkey.pem", File(b"half"))
    served = serving.certificate_for(answers("self-signed"), server)
    assert served is not None
    assert served.certificate == f"{SELF_SIGNED}/{NAME}/2/fullchain.pem"


def test_an_expired_certificate_is_served_until_there_is_a_better_one() -> None:
    server = Server()
    server.lineage(left=-0.1)
    assert serving.certificate_for(OURS, server) is not None
    (order,) = planned(server)
    assert "it has expired" in order.why


def test_a_good_one_from_another_ca_serves_before_an_expired_one_from_the_right() -> None:
    server = Server()
    server.lineage(left=-0.1)
    server.lineage(f"{NAME}-0001", server=LETSENCRYPT_STAGING, key="fake")
    assert (served := serving.certificate_for(OURS, server)) and served.lineage
    assert served.lineage.name == f"{NAME}-0001"


def test_one_from_the_right_ca_serves_before_a_longer_lived_self_signed_one_whatever_is_wrong_with_its_renewal() -> (
    None
):
    server = Server()
    server.lineage(webroot="/srv")
    server.pair(f"{SELF_SIGNED}/{NAME}/1", days=825, key="own")
    assert (served := serving.certificate_for(OURS, server)) and served.trusted


@pytest.mark.parametrize(
    ("name", "covered"),
    [("*.example.com", True), ("*.hermes.example.com", False), ("*.com", False), ("example.com", False)],
)
def test_a_star_is_one_label(name: str, covered: bool) -> None:
    found = x509.parse(RECORDED["openssl 3.5"].replace("DNS:hermes.example.com", f"DNS:{name}"))
    assert found is not None
    assert found.covers(DOMAIN) == covered


# -- when a new one is asked for, and how --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lineage", "why"),
    [
        ({"webroot": ""}, "certbot renews it by nginx"),
        ({"webroot": "/var/www/html"}, "through /var/www/html"),
        ({"server": OTHER_CA}, f"it is from {OTHER_CA}"),
        ({"left": -0.5}, "it has expired"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_said_and_it_is_replaced_in_place(
    lineage: dict[str, str], why: str
) -> None:
    server = Server()
    server.lineage(**lineage)
    (order,) = planned(server)
    assert why in order.why
    assert "--force-renewal" in order.argv
    assert "--break-my-certs" not in order.argv
    assert order.argv[order.argv.index("--cert-name") + 1] == NAME


@pytest.mark.parametrize(
    ("there", "wanted", "needed"),
    [
        (LETSENCRYPT, "letsencrypt-staging", True),
        (OTHER_CA, "letsencrypt-staging", True),
        (LETSENCRYPT_STAGING, OTHER_CA, False),
        (LETSENCRYPT_STAGING, "letsencrypt", False),
    ],
)
def test_certbot_gets_the_flag_when_a_test_certificate_replaces_a_trusted_one(
    there: str, wanted: str, needed: bool
) -> None:
    server = Server()  # renewal.py, _avoid_invalidating_lineage: the same from 1.21 to 5.6
    server.lineage(server=there)
    (order,) = planned(server, answers(wanted))
    assert ("--break-my-certs" in order.argv) == needed


def test_a_certificate_with_more_names_is_another_sites_and_left_alone() -> None:
    server = Server()
    server.lineage(names=[NAME, "blog.example.com"], webroot="/var/www/blog")
    (order,) = planned(server)
    assert order.argv[order.argv.index("--cert-name") + 1] == f"{NAME}-hermes"
    assert "--force-renewal" not in order.argv


def test_a_folder_in_certbots_way_is_walked_around() -> None:
    server = Server()
    server.put(f"{lineages.FOLDER}/archive/{NAME}", Folder())
    (order,) = planned(server)
    assert order.argv[order.argv.index("--cert-name") + 1] == f"{NAME}-hermes"


@pytest.mark.parametrize(
    ("email", "flags"),
    [("me@example.com", ("--email", "me@example.com", "--no-eff-email")), ("", ("--register-unsafely-without-email",))],
)
def test_the_order_needs_no_keyboard(email: str, flags: tuple[str, ...]) -> None:
    (order,) = planned(Server(), answers(email=email))
    assert order.argv[:6] == ("/usr/bin/certbot", "certonly", "--webroot", "-w", WEBROOT, "-d")
    assert {"--non-interactive", "--agree-tos", "--key-type", "ecdsa", *flags} <= set(order.argv)


@pytest.mark.parametrize(
    ("left", "certificate", "found", "plans"),
    [
        (0.5, "letsencrypt", [], 0),
        (0.3, "letsencrypt", [], 0),
        (0.2, "letsencrypt", ["certificate.ends-soon"], 0),
        (-0.1, "letsencrypt", [], 1),
        (0.5, "self-signed", ["certificate.self-signed"], 0),
        (0.3, "self-signed", ["certificate.self-signed"], 1),
    ],
)
def test_near_its_end_is_a_share_of_its_life(left: float, certificate: str, found: list[str], plans: int) -> None:
    for days in (6, 45, 90, 825):
        server = Server()
        if certificate == "letsencrypt":
            server.lineage(left=left, days=days)
        else:
            server.pair(f"{SELF_SIGNED}/{NAME}/1", left=left, days=days, key="own")
        assert codes(server, answers(certificate)) == found
        assert len(planned(server, answers(certificate))) == plans


def test_leaving_a_trusted_certificate_warns_of_what_browsers_remember() -> None:
    server = Server()
    server.lineage()
    stage = Certificate()
    found = {
        each.code: each for each in stage.check(answers("self-signed"), stage.inspect(answers("self-signed"), server))
    }
    assert set(found) == {"certificate.hsts", "certificate.self-signed"}
    assert "until" not in found["certificate.self-signed"].what, "the old one's end is not the new one's"


def test_a_self_signed_one_is_made_beside_the_old_one() -> None:
    long = ".".join(["a" * 60] * 4)
    wish = answers("self-signed", domain=long)
    server = Server()
    server.pair(f"{SELF_SIGNED}/{long}/1", names=[long], left=0.1, days=825, key="own")
    stage = Certificate()
    place, make = stage.plan(wish, stage.inspect(wish, server))
    assert isinstance(place, Place)
    assert (place.path, place.node) == (f"{SELF_SIGNED}/{long}/2", Folder(0o700))
    assert isinstance(make, Run)
    assert f"subjectAltName=DNS:{long}" in make.argv
    assert len(make.argv[make.argv.index("-subj") + 1]) < 64  # X.520: a common name holds no more


def test_a_dry_run_goes_on_with_the_path_that_certbot_would_write() -> None:
    server = Overlay(Server())
    for _ in run(steps(Certificate()), OURS, server, NoJournal()):
        pass
    served = serving.certificate_for(OURS, server)
    assert served is not None
    assert served.certificate == f"{LIVE}/fullchain.pem"
    assert Certificate().plan(OURS, Certificate().inspect(OURS, server)) == ()


# -- one certbot ---------------------------------------------------------------------------------------------------------


def test_the_snap_with_its_official_link_is_one_certbot() -> None:
    server = Server()
    server.put("/usr/bin/certbot", Link("/snap/bin/certbot"))
    server.put("/snap/bin/certbot", Link("/usr/bin/snap"))
    server.put("/usr/bin/snap", File(b"ELF", 0o755))
    assert certbot.binaries(server) == ("/usr/bin/certbot",)


def test_the_snap_beside_the_distributions_is_two() -> None:
    server = Server()
    server.put("/snap/bin/certbot", Link("/usr/bin/snap"))
    server.put("/usr/bin/snap", File(b"ELF", 0o755))
    assert certbot.binaries(server) == ("/usr/bin/certbot", "/snap/bin/certbot")
    assert "certificate.two-certbots" in codes(server)


def test_a_link_that_a_removed_snap_left_is_none() -> None:
    server = Server()
    server.put("/usr/local/bin/certbot", Link("/snap/bin/certbot"))
    assert certbot.binary(server) == "/usr/bin/certbot"


def test_folders_that_are_one_hold_one_certbot() -> None:
    server = Server()
    server.put("/usr/sbin", Link("bin"))
    server.put("/usr/sbin/certbot", File(b"the same", 0o755))
    assert certbot.binaries(server) == ("/usr/bin/certbot",)


# -- limits --------------------------------------------------------------------------------------------------------------

TOO_MANY = (
    "An unexpected error occurred:\nError creating new order :: too many certificates (5) already issued for this exact set of "
    "identifiers in the last 168h0m0s, retry after {time:%Y-%m-%d %H:%M:%S} UTC: see https://letsencrypt.org/docs/rate-limits/\n"
)
LOGGED = '{{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "{}"}}'
LATER = NOW + timedelta(hours=30)


@pytest.mark.parametrize("number", [0, 1, 14])
def test_a_limit_is_remembered_by_certbots_log_however_often_its_timer_ran_since(number: int) -> None:
    server = Server()
    for newer in range(number):
        server.put(f"{rate_limits.LOG}.{newer}" if newer else rate_limits.LOG, File(b"no renewals were attempted"))
    server.log(LOGGED.format(TOO_MANY.format(time=LATER)), number)
    stage = Certificate()
    (finding,) = stage.check(OURS, stage.inspect(OURS, server))
    assert (finding.code, finding.severity) == ("certificate.rate-limited", Severity.BLOCK)
    assert "2026-11-24 18:00 UTC" in finding.what


def test_a_limit_that_has_ended_or_is_not_needed_stops_nobody() -> None:
    server = Server()
    server.log(LOGGED.format(TOO_MANY.format(time=NOW - timedelta(seconds=1))))
    assert codes(server) == []
    server.log(LOGGED.format(TOO_MANY.format(time=LATER)))
    server.lineage()
    assert codes(server) == []


def test_a_limit_of_one_ca_does_not_stop_another() -> None:
    server = Server()
    server.log(LOGGED.format(TOO_MANY.format(time=LATER)))
    assert "certificate.rate-limited" not in codes(server, answers("letsencrypt-staging"))
    server.log(LOGGED.format(TOO_MANY.format(time=LATER)), server=LETSENCRYPT_STAGING)
    assert codes(server) == []  # a dry run of certbot names the real server, and asks the staging one


def test_runs_in_one_log_as_debian_keeps_it_are_told_apart() -> None:
    server = Server()
    limit = LOGGED.format(TOO_MANY.format(time=LATER))
    server.put(rate_limits.LOG, File((ran("all well", LETSENCRYPT_STAGING) + ran(limit) + ran("", OTHER_CA)).encode()))
    assert codes(server) == ["certificate.rate-limited"]
    assert "certificate.rate-limited" not in codes(server, answers("letsencrypt-staging"))
    assert codes(server, answers(OTHER_CA)) == []
    assert codes(server, answers(domain="new.example.com")) == []


def test_one_renewal_of_certificates_from_two_cas_is_told_apart() -> None:
    server = Server()
    both = ran("all well", OTHER_CA) + ran(LOGGED.format(TOO_MANY.format(time=LATER))).partition("Arguments")[2]
    server.put(rate_limits.LOG, File(both.encode()))
    assert codes(server) == ["certificate.rate-limited"]
    assert codes(server, answers(OTHER_CA)) == []


def test_a_rotated_log_is_read_and_an_incomplete_one_is_skipped() -> None:
    server = Server()
    packed = gzip.compress(ran(LOGGED.format(TOO_MANY.format(time=LATER))).encode())
    server.put(f"{rate_limits.LOG}.1.gz", File(packed))
    assert codes(server) == ["certificate.rate-limited"]
    for torn in (packed[:20], packed[: len(packed) // 2], b"", b"no gzip"):
        server.put(f"{rate_limits.LOG}.1.gz", File(torn))
        assert codes(server) == []


@pytest.mark.parametrize(
    ("text", "until"),
    [
        (
            'too many failed authorizations (5) for "hermes.example.com" in the last 1h0m0s, retry after 2026-11-24 18:00:00 UTC',
            True,
        ),
        (
            'too many failed authorizations (5) for \\"hermes.example.com\\" in the last 1h, retry after 2026-11-24 18:00:00 UTC',
            True,
        ),
        (
            'too many certificates (50) already issued for "example.com" in the last 168h, retry after 2026-11-24 18:00:00 UTC',
            True,
        ),
        (
            'too many failed authorizations (5) for "blog.example.com" in the last 1h0m0s, retry after 2026-11-24 18:00:00 UTC',
            False,
        ),
        ("too many new orders (300) from this account in the last 3h0m0s, retry after 2026-11-24T18:00:00Z", True),
        (f"rateLimited\nDate: {NOW:%a, %d %b %Y %H:%M:%S} GMT\nRetry-After: 108000\n", True),
        ("rateLimited, and no word of when", False),
        ("retry after 2026-11-24 18:00:00 UTC of something else", False),
    ],
)
def test_when_one_may_ask_again(text: str, until: bool) -> None:
    assert rate_limits.retry_after(text, DOMAIN) == (LATER if until else None)


def test_failed_attempts_of_the_last_hour_are_counted() -> None:
    server = Server()
    server.log('"status": "invalid"')
    server.log('"status": "invalid"', 1, ago=timedelta(minutes=50))
    server.log('"status": "invalid"', 2, ago=timedelta(minutes=70))
    server.log('"status": "invalid"', 3, server=LETSENCRYPT_STAGING)
    server.log('"status": "valid"', 4)
    assert rate_limits.failed_attempts(server, OURS) == 2
    assert codes(server) == ["certificate.tries"]


# -- how a refusal is explained -------------------------------------------------------------------------------------------


def problem(kind: str, detail: str) -> str:
    return (
        "Saving debug log to /var/log/letsencrypt/letsencrypt.log\nRequesting a certificate for hermes.example.com\n\n"
        "Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported these "
        f"problems:\n  Domain: hermes.example.com\n  Type:   {kind}\n  Detail: {detail}\n\nHint: The Certificate Authority "
        "failed to download the temporary challenge files created by Certbot.\n\nSome challenges have failed.\nAsk for help "
        "or search for solutions at https://community.letsencrypt.org. See the logfile /var/log/letsencrypt/letsencrypt.log "
        "or re-run Certbot with -v for more details.\n"
    )


URL = "http://hermes.example.com/.well-known/acme-challenge/x"
REFUSALS = [
    (problem("connection", f"198.51.100.1: Fetching {URL}: Timeout during connect (likely firewall problem)"), 1, "firewall at your provider"),
    (problem("connection", f"2001:db8::1: Fetching {URL}: Timeout during connect (likely firewall problem)"), 1, "AAAA"),
    (problem("connection", f"198.51.100.1: Fetching {URL}: Connection refused"), 1, "hostname -I"),
    (problem("unauthorized", f"198.51.100.1: Invalid response from {URL}: 404"), 1, "Another server answered"),
    (problem("unauthorized", f"2001:db8::1: Invalid response from {URL}: 404"), 1, "2001:db8::1 is its AAAA record"),
    (problem("unauthorized", f'2606:4700::1: Invalid response from {URL}: "<title>Cloudflare'), 1, "grey cloud"),
    (problem("dns", "DNS problem: NXDOMAIN looking up A for hermes.example.com"), 1, "Set the A record"),
    (problem("caa", "CAA record for example.com prevents issuance"), 1, 'CAA  0 issue "letsencrypt.org"'),
    (problem("connection", f"198.51.100.1: Fetching {URL}: Connection refused"), 1, "five failures in an hour"),
    (TOO_MANY.format(time=LATER), 1, "Try again after 2026-11-24 18:00 UTC"),
    ("Your account is paused. Please visit: https://portal.letsencrypt.org/sfe/v1/unpause?jwt=x", 1, "unpause?jwt=x"),
    ("Another instance of Certbot is already running.", 1, "ps -C certbot"),
    ("", -9, "memory"),
    ("Requesting a certificate\n", 137, "memory"),
    ("requests.exceptions.ConnectionError: HTTPSConnectionPool: Max retries exceeded: Name or service not known", 1, "network"),
    ("ConnectionError: HTTPSConnectionPool(host='acme.example.org', port=443): Max retries exceeded (<x at 0x7f>)", 1,
     "certbot could not reach acme.example.org"),
    ("ssl.SSLCertVerificationError: certificate verify failed: certificate is not yet valid", 1, "clock"),
    ("An unexpected error occurred:\nThe server will not issue certificates for the identifier :: Error creating new order :: "
     'Cannot issue for "hermes.localhost": Domain name does not end with a valid public suffix (TLD)', 1, "self-signed"),
    ("Unable to register an account with ACME server. Error: contact email has forbidden domain \"example.com\"", 1, "e-mail address"),
    ("urn:ietf:params:acme:error:externalAccountRequired :: binding is missing", 1, "--eab-kid"),
    ("Missing command line flag or config entry for this setting:\nPlease choose an account\nChoices: [...]", 1, "accounts"),
    ("Traceback (most recent call last):\n  File x\nImportError: cannot import name 'ContextManager'", 1, "--reinstall"),
    ("An unexpected error occurred:\npkg_resources.DistributionNotFound: The 'zope.interface' distribution was not found and "
     "is required by the application\nAsk for help or search", 1, "zope.interface"),
    ("AttributeError: module 'lib' has no attribute 'X509_V_FLAG_NOTIFY_POLICY'", 1, "--reinstall"),
    ("OSError: [Errno 28] No space left on device: '/etc/letsencrypt/archive'", 28, "df -h"),
    ("An unexpected error occurred:\nThe service is down for maintenance or had an internal error. :: Service busy", 1, "of its own"),
    ("something that nobody has seen before {with braces}", 1, "{with braces}"),
]  # fmt: skip


@pytest.mark.parametrize(("output", "code", "word"), REFUSALS)
def test_a_refusal_is_explained_with_the_next_thing_to_do(output: str, code: int, word: str) -> None:
    server = Server(refuse(output, code))
    with pytest.raises(StageFailed) as failed:
        list(run(steps(Certificate()), OURS, server, NoJournal()))
    cause = failed.value.cause
    assert word in f"{cause.message} {cause.hint}"
    assert cause.hint
    assert isinstance(cause, CommandFailed)
    assert cause.output == output


def test_the_name_that_certbot_names_is_the_one_to_fix() -> None:
    said = problem("dns", "DNS problem: NXDOMAIN looking up A for hooks.example.com")
    explained = refusals.explain(
        CommandFailed("x", output=said.replace(f"Domain: {NAME}", "Domain: hooks.example.com")), DOMAIN
    )
    assert "Set the A record of hooks.example.com" in explained.hint
    said = 'Error creating new order :: Cannot issue for "hooks.localhost": not a valid public suffix'
    assert "for hooks.localhost" in refusals.explain(CommandFailed("x", output=said), DOMAIN).message


def test_a_certbot_that_cannot_be_started_is_not_blamed_on_the_ca() -> None:
    error = CommandFailed("certbot could not be started: No such file or directory.", code=127)
    assert refusals.explain(error, DOMAIN).args == error.args


BY_BOB = (Replaceable("/var/www", ("bob",)),)
BY_NGINX = (Replaceable("/var/www", ("www-data",)),)


@pytest.mark.parametrize(
    ("nodes", "others", "expected"),
    [
        ({}, (), None),
        ({lineages.CHALLENGES: Folder()}, (), None),
        (
            {lineages.CHALLENGES: Folder(0o755, "bob")},
            (Replaceable(lineages.CHALLENGES, ("bob",)),),
            None,
        ),  # the site mends it
        ({lineages.WEBROOT: Link("/srv/acme")}, (), None),  # root's own choice
        ({lineages.WEBROOT: Link("/srv/acme")}, (Replaceable("/srv/acme", ("bob",)),), Severity.BLOCK),
        ({lineages.CHALLENGES: Link("/srv/acme")}, (), Severity.BLOCK),
        ({lineages.WEBROOT: File(b"")}, (), Severity.BLOCK),
        ({lineages.CHALLENGES: Special("a pipe")}, (), Severity.BLOCK),
        ({}, BY_BOB, Severity.BLOCK),
        ({}, BY_NGINX, Severity.WARN),  # they see all requests anyway
        ({}, (*BY_NGINX, *BY_BOB), Severity.BLOCK),
    ],
)
def test_nobody_but_root_decides_where_certbot_writes(
    nodes: dict[str, Node], others: tuple[Replaceable, ...], expected: Severity | None
) -> None:
    machine = Machine()
    machine.put("/etc/nginx/nginx.conf", File(b"user www-data;"))
    for path, node in nodes.items():
        machine._nodes[path] = node
    machine.others = {lineages.CHALLENGES: others}
    found = webroot.check(webroot.look(machine))
    assert [(each.code, each.severity) for each in found] == (
        [("certificate.webroot", expected)] if expected is not None else []
    )
    assert all("sudo" in each.do or "ls -ld" in each.do for each in found)
