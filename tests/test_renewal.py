"""The renewal: what starts it, the hook for nginx, and the rehearsal, whose failure warns until one succeeds."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificates import NAME, NOW, Server, answers, refuse
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import LETSENCRYPT, LETSENCRYPT_STAGING
from hermes_setup.engine.changes import Probe, Run
from hermes_setup.engine.events import Seen
from hermes_setup.engine.failed_step import NoJournal
from hermes_setup.engine.findings import Finding, Severity
from hermes_setup.engine.loop import run
from hermes_setup.host import File, Folder
from hermes_setup.nginx import render
from hermes_setup.stages.certificate import lineages, self_signed, serving
from hermes_setup.stages.renewal.hook import HOOK
from hermes_setup.stages.renewal.rehearsal import LastRehearsal
from hermes_setup.stages.renewal.stage import Renewal
from hermes_setup.stages.renewal.timers import parse_units
from hermes_setup.state import stamps
from hermes_setup.system.overlay import Overlay
from hermes_setup.values import replace
from machines import Machine, steps

OURS = answers()
OTHER_CA = "https://ca.example.org/acme/directory"
UNIT = "Id={}\nLoadState={}\nActiveState={}\nUnitFileState={}\n"
NO_SNAP = UNIT.format("snap.certbot.renew.timer", "not-found", "inactive", "")
DEBIAN = (
    "SHELL=/bin/sh\n0 */12 * * * root test -x /usr/bin/certbot -a \\! -d /run/systemd/system && perl -e "
    "'sleep int(rand(43200))' && certbot -q renew --no-random-sleep-on-renew\n"
)


class Later(Server):
    """A server whose clock can be moved."""

    moved = timedelta(0)

    def now(self) -> datetime:
        return NOW + self.moved


def set_up(certbot_does: object = lambda *_: None, *, cron: bool = True, **lineage: object) -> Later:
    """A server whose certificate is there, and whose cron is at work."""
    server = Later(certbot_does)  # type: ignore[arg-type]
    server.lineage(**lineage)  # type: ignore[arg-type]
    if cron:
        server.put("/etc/cron.d/certbot", File(DEBIAN.encode()))
        server.put("/proc/77/comm", File(b"cron\n"))
        server.put("/proc/77", Folder())
        server.put("/proc", Folder())
    return server


def systemd(server: Server, *units: str) -> Server:
    server.put("/run/systemd/system", Folder())
    server.units = "\n".join(units)
    return server


def done(server: Server, wish: Answers = OURS) -> list[Finding]:
    events = list(run(steps(Renewal()), wish, server, NoJournal()))
    return list(dict.fromkeys(finding for event in events if isinstance(event, Seen) for finding in event.findings))


def plan(server: Server, wish: Answers = OURS) -> list[object]:
    return list(Renewal().plan(wish, Renewal().inspect(wish, server)))


def codes(server: Server, wish: Answers = OURS) -> list[str]:
    return [finding.code for finding in Renewal().check(wish, Renewal().inspect(wish, server))]


# -- who starts it -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "enables", "found"),
    [
        (("loaded", "active", "enabled"), False, []),
        (("loaded", "active", "static"), False, []),
        (("loaded", "inactive", "enabled"), True, []),
        (("loaded", "inactive", "disabled"), True, []),
        (("loaded", "active", "disabled"), True, []),  # gone after the next restart
        (("masked", "inactive", "masked"), False, ["renewal.nobody"]),
        (("not-found", "inactive", ""), False, ["renewal.nobody"]),
    ],
)
def test_the_timer_runs_and_will_after_a_restart(unit: tuple[str, ...], enables: bool, found: list[str]) -> None:
    server = systemd(
        set_up(), UNIT.format("certbot.timer", *unit), NO_SNAP
    )  # Debian's cron file stays out of systemd's way
    commands = [each.argv for each in plan(server) if isinstance(each, Run)]
    assert commands == ([("systemctl", "enable", "--now", "certbot.timer")] if enables else [])
    assert codes(server) == found


def test_a_masked_timer_is_named_with_the_command_that_unmasks_it() -> None:
    server = systemd(set_up(), UNIT.format("certbot.timer", "masked", "inactive", "masked"), NO_SNAP)
    (finding,) = Renewal().check(OURS, Renewal().inspect(OURS, server))
    assert "unmask certbot.timer" in finding.do


def test_the_snaps_timer_will_do() -> None:
    none = UNIT.format("certbot.timer", "not-found", "inactive", "")
    server = systemd(set_up(), none, UNIT.format("snap.certbot.renew.timer", "loaded", "active", "enabled"))
    assert codes(server) == []


@pytest.mark.parametrize(
    ("path", "text", "under_systemd", "somebody"),
    [
        ("/etc/cron.d/certbot", DEBIAN, False, True),
        ("/etc/cron.d/certbot", DEBIAN, True, False),
        ("/etc/crontab", "0 3 * * * root /opt/certbot/bin/certbot renew -q\n", True, True),
        ("/etc/crontab", "# 0 3 * * * root certbot renew -q\n", False, False),
        ("/etc/crontab", "0 3 * * * root certbot certificates\n", False, False),
        ("/var/spool/cron/crontabs/root", "@daily certbot -q renew\n", False, True),
        ("/etc/cron.daily/certbot", "#!/bin/sh\nexec certbot renew --quiet\n", False, True),
    ],
)
def test_a_crontab_counts_where_cron_is_at_work(path: str, text: str, under_systemd: bool, somebody: bool) -> None:
    server = set_up()
    server.put("/etc/cron.d/certbot", File(b""))
    server.put(path, File(text.encode()))
    if under_systemd:
        systemd(server, NO_SNAP)
    assert (codes(server) == []) == somebody
    server.put("/proc/77/comm", File(b"bash\n"))
    assert codes(server) == ["renewal.nobody"]


def test_the_units_of_systemctl_are_told_apart() -> None:
    one, two = parse_units(UNIT.format("a.timer", "loaded", "active", "enabled") + "\n" + NO_SNAP)
    assert (one["Id"], one["ActiveState"], two["LoadState"]) == ("a.timer", "active", "not-found")
    assert parse_units("") == []


# -- the hook for nginx ---------------------------------------------------------------------------------------------------


def test_the_hook_is_placed_says_whose_it_is_and_is_a_shell_script() -> None:
    server = set_up()
    done(server)
    hook = server.look(HOOK)
    assert isinstance(hook, File)
    assert (hook.mode, hook.content.split(b"\n")[0]) == (0o755, b"#!/bin/sh")
    assert b"Written by hermes-setup" in hook.content.split(b"\n")[1]
    assert subprocess.run(["sh", "-n"], input=hook.content, check=False).returncode == 0
    server.put(HOOK, File(hook.content + b"exit 1\n", 0o755))
    assert any(getattr(each, "path", "") == HOOK for each in plan(server))


@pytest.mark.parametrize(
    ("line", "off"),
    [("no-directory-hooks = True", True), ("no-directory-hooks", True), ("# no-directory-hooks", False), ("", False)],
)
def test_hooks_that_are_turned_off_are_reported(line: str, off: bool) -> None:
    server = set_up()
    server.put(f"{lineages.FOLDER}/cli.ini", File(f"max-log-backups = 0\n{line}\n".encode()))
    assert codes(server) == (["renewal.hooks-off"] if off else [])


# -- the rehearsal -------------------------------------------------------------------------------------------------------


def test_it_is_rehearsed_once_and_then_nothing_is_left_to_do() -> None:
    server = set_up()
    assert done(server) == []
    (argv,) = server.ran
    assert argv[1:4] == ("renew", "--cert-name", NAME)
    assert {"--dry-run", "--no-random-sleep-on-renew", "--non-interactive"} <= set(argv)
    assert plan(server) == []


@pytest.mark.parametrize("change", ["webroot", "server"])
def test_it_is_rehearsed_again_when_what_it_spoke_for_has_changed(change: str) -> None:
    server = set_up()
    done(server)
    server.lineage(**({"webroot": "/srv"} if change == "webroot" else {"server": OTHER_CA}))
    wish = OURS if change == "webroot" else answers(OTHER_CA)
    assert [type(each) for each in plan(server, wish)] == [Probe]


@pytest.mark.parametrize(
    ("certificate", "server", "named"),
    [
        ("letsencrypt", LETSENCRYPT, False),
        ("letsencrypt-staging", LETSENCRYPT_STAGING, False),
        (OTHER_CA, OTHER_CA, True),
    ],
)
def test_another_ca_is_named_or_the_dry_run_would_go_to_lets_encrypts(
    certificate: str, server: str, named: bool
) -> None:
    machine = set_up(server=server)
    done(machine, answers(certificate))
    (argv,) = machine.ran
    assert (("--server", OTHER_CA) in zip(argv, argv[1:], strict=False)) == named


FAILED = "  Domain: x\n  Type:   connection\n  Detail: 198.51.100.10: Fetching http://x: Timeout during connect\n"


def test_a_failed_rehearsal_warns_leaves_the_hook_and_is_taken_again_by_the_next_run() -> None:
    server = set_up(refuse(FAILED))
    (finding,) = done(server)
    assert (finding.code, finding.severity) == ("renewal.would-fail", Severity.WARN)
    assert "Timeout during connect" in finding.evidence
    assert isinstance(server.look(HOOK), File)
    assert codes(server) == ["renewal.would-fail"]  # what doctor says from now on
    server.moved = timedelta(minutes=10)
    assert done(server)
    assert len(server.ran) == 2
    server.programs["/usr/bin/certbot"] = lambda *_: None
    server.moved = timedelta(minutes=20)
    done(server)
    assert codes(server) == []
    assert plan(server) == []


def test_a_clock_that_was_set_back_since_does_not_put_it_off() -> None:
    server = set_up(refuse(FAILED))
    done(server)
    server.moved = -timedelta(days=400)
    assert [type(each) for each in plan(server)] == [Probe]


def test_one_that_was_cut_short_has_not_passed() -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    server = set_up()
    done(server)
    server.lineage(webroot="/srv")
    server.programs["/usr/bin/certbot"] = stopped
    with pytest.raises(KeyboardInterrupt):
        done(server)
    assert stamps.RENEWAL not in server.files()


@given(st.builds(LastRehearsal, st.text("abc /.:", min_size=1), st.none() | st.just(NOW), st.text(), st.text()))
def test_a_stamp_is_read_as_it_was_written(last: LastRehearsal) -> None:
    read = LastRehearsal.parse(last.text())
    assert read == (last if last.failed else LastRehearsal(last.scope))


@given(st.text())
def test_any_stamp_can_be_read(text: str) -> None:
    LastRehearsal.parse(text)
    LastRehearsal.parse("{" + text)


def test_a_dry_run_on_a_bare_machine_says_the_timer_comes_with_the_package_and_rehearses_nothing() -> None:
    server = Overlay(systemd(Server(), UNIT.format("certbot.timer", "not-found", "inactive", ""), NO_SNAP))
    server.run((), gives="packages")
    server.run((), gives=serving.fact_name(OURS))
    events = list(run(steps(Renewal()), OURS, server, NoJournal()))
    assert all(event.findings == () for event in events if isinstance(event, Seen))
    assert stamps.RENEWAL not in server._nodes


# -- what is left behind -------------------------------------------------------------------------------------------------


def test_an_unused_certificate_is_reported_with_the_command_that_removes_it() -> None:
    server = set_up()
    server.lineage("old.example.com", names=["old.example.com"])
    (finding,) = Renewal().check(OURS, Renewal().inspect(OURS, server))
    assert finding.code == "certificate.left-behind"
    assert finding.do.endswith("certbot delete --cert-name old.example.com")


def test_all_unused_certificates_are_one_note() -> None:
    server = set_up()
    for name in ("a.example.com", "b.example.com", "c.example.com"):
        server.lineage(name, names=[name])
        server.pair(f"{self_signed.FOLDER}/{name}/1", names=[name], key="own", days=825)
    acme, own = Renewal().check(OURS, Renewal().inspect(OURS, server))
    assert acme.what.startswith("The certificates a.example.com, b.example.com and c.example.com are no longer needed")
    assert acme.do.count("sudo certbot delete --cert-name") == 3
    assert own.do.endswith("sudo rm -r " + " ".join(f"{self_signed.FOLDER}/{each}.example.com" for each in "abc"))


def test_what_an_undo_brings_back_into_use_is_not_left_behind() -> None:
    server = set_up()
    server.lineage("old.example.com", names=["old.example.com"])
    server.pair(f"{self_signed.FOLDER}/older.example.com/1", names=["older.example.com"], key="own", days=825)
    server.world[("old.example.com", "A")] = ("198.51.100.10",)
    before = replace(OURS, redirects=(Domain.parse("old.example.com"), Domain.parse("older.example.com")))
    assert codes(server, before) == []


def test_an_unused_self_signed_one_is_reported_too() -> None:
    server = set_up()
    for name in ("old.example.com", "blog.example.com"):
        server.pair(f"{self_signed.FOLDER}/{name}/1", names=[name], key="own", days=825)
    server.put(
        "/etc/nginx/sites-enabled/blog", File(f"ssl_certificate {self_signed.FOLDER}/blog.example.com/1/x;".encode())
    )
    (finding,) = Renewal().check(OURS, Renewal().inspect(OURS, server))
    assert finding.do.endswith(f"sudo rm -r {self_signed.FOLDER}/old.example.com")


def test_one_that_another_site_uses_or_that_comes_another_way_is_not() -> None:
    server = set_up()
    server.lineage("blog.example.com", names=["blog.example.com"])
    server.put(
        "/etc/nginx/sites-enabled/blog", File(b"ssl_certificate /etc/letsencrypt/live/blog.example.com/fullchain.pem;")
    )
    server.lineage("shop.example.com", names=["shop.example.com"], webroot="/srv/shop")
    assert codes(server) == []


def test_a_self_signed_set_up_has_nothing_to_renew_and_reports_what_certbot_still_renews() -> None:
    server = set_up(cron=False)
    server.pair(f"{self_signed.FOLDER}/{NAME}/1", key="own", days=825)
    assert plan(server, answers("self-signed")) == []
    assert codes(server, answers("self-signed")) == ["certificate.left-behind"]


def test_while_the_new_one_is_not_there_yet_nothing_is_left_behind() -> None:
    server = set_up()
    assert "certificate.left-behind" not in codes(server, answers(domain="new.example.com"))


# -- the certificates of redirected domains ------------------------------------------------------------------------------------

OLD = Domain.parse("old.example.com")
MOVED = replace(OURS, redirects=(OLD,), former_names=("hooks.example.com", "old.example.com"))


@pytest.mark.parametrize(
    ("names", "known", "left", "words"),
    [
        (["old.example.com"], ["old.example.com"], 0.8, ""),
        (["old.example.com"], None, 0.8, ""),  # DNS does not answer, which says nothing
        (["old.example.com", NAME], ["old.example.com"], 0.8, ""),  # the domain itself: another stage's business
        (
            ["old.example.com", "hooks.example.com"],
            ["old.example.com", "hooks.example.com"],
            0.8,
            "covers hooks.example.com, which nothing",
        ),
        (["old.example.com", "hooks.example.com"], None, 0.8, "covers hooks.example.com, which nothing"),
        # of before such names were kept, or made by hand
        (["old.example.com", "blog.example.com"], ["old.example.com"], 0.8, "covers blog.example.com, which nothing"),
        (["old.example.com", "blog.example.com"], ["old.example.com", "blog.example.com"], 0.8, ""),
        (["old.example.com"], [], 0.8, "old.example.com has no DNS record any more"),
        (["old.example.com", "hooks.example.com"], [], 0.8, "old.example.com has no DNS record any more"),
        (["old.example.com"], ["old.example.com"], 0.2, "expires on 2026-12-11 12:00 UTC"),
        (["old.example.com"], ["old.example.com"], -0.1, "expires on 2026-11-14 12:00 UTC"),
    ],
)
def test_what_keeps_a_redirected_domains_certificate_from_its_renewal_is_reported(
    names: Sequence[str], known: Sequence[str] | None, left: float, words: str
) -> None:
    server = set_up()
    server.lineage("old.example.com", names=names, left=left)
    server.world = {(name, "A"): ("198.51.100.10",) for name in known or ()}
    if known is None:
        server.dns = Overlay(Machine()).dns  # type: ignore[method-assign]
    found = [each for each in Renewal().check(MOVED, Renewal().inspect(MOVED, server)) if each.code != "renewal.nobody"]
    assert [each.code for each in found] == (["certificate.redirect-flawed"] if words else [])
    assert words in "".join(each.what for each in found)


def test_the_command_for_it_makes_the_same_lineage_for_the_one_name() -> None:
    server = set_up()
    server.lineage("old.example.com", names=["old.example.com", "hooks.example.com"], server=LETSENCRYPT_STAGING)
    server.world[("old.example.com", "A")] = ("198.51.100.10",)
    (finding,) = Renewal().check(MOVED, Renewal().inspect(MOVED, server))
    assert " -d old.example.com --cert-name old.example.com --server " + LETSENCRYPT_STAGING in finding.do
    assert finding.do.count(" -d ") == 1
    assert "--renew-with-new-domains" in finding.do


def test_a_rehearsal_that_fails_for_an_unneeded_name_says_how_to_remove_it() -> None:
    said = "  Domain: blog.example.com\n  Type:   dns\n  Detail: DNS problem: NXDOMAIN looking up A\n"
    (finding,) = done(set_up(refuse(said), names=[NAME, "blog.example.com"]))
    assert "does not need blog.example.com, which is in that certificate" in finding.do
    assert f" -d {NAME} --cert-name {NAME} " in finding.do
    assert "A record of blog.example.com" in finding.do


def test_the_template_is_in_the_package() -> None:
    assert render.template("deploy-hook.sh").startswith("#!/bin/sh\n")
