"""What only looks, leaves nothing: no file, no listener, no process; and a forecast says what a run then does."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping

import pytest

from conftest import BOTH, DOMAIN
from lab import Machine, World, snapshot_diff
from real.program import HOME, apply, hermes_setup, install

SELF_SIGNED = f"""
domain = "{DOMAIN}"
certificate = "self-signed"
[[users]]
name = "alice"
"""
LETSENCRYPT = SELF_SIGNED.replace('"self-signed"', '"letsencrypt"')

# A whole disk, with what is in memory only: name, kind, mode, owner, size, time of the last change, target; contents too.
EVERYTHING = r"""
import hashlib, os, sys
out = {}
for top in ("/etc", "/var", "/run", "/tmp", "/root", "/usr/local", "/opt", "/srv", "/home", "/dev/shm", "/boot"):
    for folder, names, files in os.walk(top):
        for path in [folder, *(os.path.join(folder, name) for name in files)]:
            try:
                s = os.lstat(path)
                content = os.readlink(path) if os.path.islink(path) else ""
                if os.path.isfile(path) and not os.path.islink(path) and s.st_size < 1 << 22:
                    content = hashlib.sha256(open(path, "rb").read()).hexdigest()
                out[path] = [s.st_mode, s.st_uid, s.st_gid, s.st_size, s.st_mtime_ns, content]
            except OSError as error:
                out[path] = [str(error)]
import json
json.dump(out, sys.stdout)
"""


def everything(machine: Machine) -> Mapping[str, object]:
    """Every path that could be written to, also where the machine keeps it in memory."""
    found = json.loads(machine.run(["python3", "-I", "-S", "-c", EVERYTHING]).out)
    assert isinstance(found, dict)
    assert len(found) > 500
    return found


def unchanged(machine: Machine, before: Mapping[str, object]) -> None:
    after = everything(machine)
    assert {path for path in {*before, *after} if before.get(path) != after.get(path)} == set()


@pytest.mark.parametrize("debian", BOTH)
def test_a_dry_run_on_a_bare_machine_reaches_its_end_and_leaves_every_file_identical(bare: Machine) -> None:
    install(bare)
    bare.run(["apt-get", "-q", "update"])  # apt-cache would like to write a cache of that
    bare.run(["sh", "-c", "rm -f /var/cache/apt/*.bin"])
    bare.write("/root/answers.toml", LETSENCRYPT, mode=0o600)
    files, disk, processes = everything(bare), bare.snapshot(leave_out=()), bare.processes()
    ran = hermes_setup(bare, "apply", "--answers", "/root/answers.toml", "--dry-run")
    words = " ".join(ran.err.split())
    assert "That was a dry run: nothing has been changed." in words
    for part in ("install nginx", "certbot", "server_name", "fetch a certificate", "auth_basic", "ssl_certificate"):
        assert part in words, part
    assert ran.out == ""
    hermes_setup(bare, "apply", "--answers", "/root/answers.toml", "--check", code=4)
    hermes_setup(bare, "doctor", code=4)
    hermes_setup(bare, "users", "list")
    hermes_setup(bare, "answers", code=2)
    unchanged(bare, files)
    assert list(snapshot_diff(disk, bare.snapshot(leave_out=()))) == []
    assert bare.listeners() == []
    assert bare.processes() == processes


def test_what_only_looks_at_a_machine_that_is_set_up_writes_nothing(world: World, machine: Machine) -> None:
    machine.trust(*world.acme.trusted)
    install(machine)
    machine.start(["cron", "-f"])
    hermes_setup_says = apply(machine, LETSENCRYPT, "--yes").err
    assert "Done" in hermes_setup_says
    # the program's own requests pass the gate, so nginx's logs may grow; nothing else may
    logs = re.compile(r"/var/log/nginx(/.*)?")
    before = {path: entry for path, entry in everything(machine).items() if not logs.fullmatch(path)}
    processes = [process.argv for process in machine.processes()]
    file = ("--answers", "/root/answers.toml")
    hermes_setup(machine, "apply", *file, "--check")
    hermes_setup(machine, "apply", *file, "--dry-run")
    doctor = hermes_setup(machine, "doctor", "--json", code=4)
    hermes_setup(machine, "users", "list")
    hermes_setup(machine, "answers")
    hermes_setup(machine, "users", "add", "bob", "--generate", "--dry-run")
    hermes_setup(machine, "users", "remove", "alice", "--dry-run", code=3)
    hermes_setup(machine, "users", "sign-out", "--all", "--dry-run")
    after = {path: entry for path, entry in everything(machine).items() if not logs.fullmatch(path)}
    assert {path for path in {*before, *after} if before.get(path) != after.get(path)} == set()
    assert [process.argv for process in machine.processes()] == processes
    told = json.loads(doctor.out)
    assert [(each["severity"], each["code"]) for each in told["findings"] if each["severity"] != "note"] == [
        ("warn", "backend.none")
    ]
    assert told["pending"] == []


# What a run changes besides, each with its reason; everything else stands in the forecast.
BESIDES = {
    r"/var/lib/hermes-setup(/.*)?": "the program's own notes; its log",
    r"/var/log/hermes-setup\.log": "the log",
    r"/etc/letsencrypt(/(accounts|archive|live|renewal|csr|keys|\.updated).*)?": "certbot's own, by its command",
    r"/etc/letsencrypt/renewal-hooks(/(pre|post|deploy))?": "folders that certbot makes",
    r"/var/lib/letsencrypt(/.*)?|/var/log/letsencrypt(/.*)?": "certbot's own",
    r"/etc/ssl/hermes-setup/.+/(privkey|fullchain)\.pem": "openssl's, by its command",
    r"/var/lib/nginx(/.*)?|/var/log/nginx(/.*)?": "nginx's own, when it is started",
    r"/etc/ssl/hermes-setup|/etc/ssl/hermes-setup/[^/]+|/var/www(/.*)?": "folders above what stands in the forecast",
}


@pytest.mark.parametrize("answers", [SELF_SIGNED, LETSENCRYPT], ids=["self-signed", "letsencrypt"])
def test_the_forecast_names_exactly_what_the_run_then_changes(world: World, machine: Machine, answers: str) -> None:
    machine.trust(*world.acme.trusted, world.acme.roots())
    install(machine)
    machine.start(["cron", "-f"])
    machine.write("/root/answers.toml", answers, mode=0o600)
    wide = {"COLUMNS": "400"}
    before = machine.snapshot(leave_out=("/root", "/tmp", HOME))
    forecast = machine.run(
        ["hermes-setup", "apply", "--answers", "/root/answers.toml", "--dry-run"], env=wide, timeout=120
    ).err
    named = set(re.findall(r"^  [+~-] (/\S+): ", forecast, re.M))
    assert len(named) > 5, forecast
    apply(machine, answers, "--yes")
    changed = set(snapshot_diff(before, machine.snapshot(leave_out=("/root", "/tmp", HOME))))
    unnamed = {path for path in changed - named if not any(re.fullmatch(each, path) for each in BESIDES)}
    print("besides:", *sorted(changed - named), sep="\n  ")
    assert unnamed == set()
    assert named - changed == set()
    # and what the files hold is what was shown of them
    for path in sorted(each for each in named if each.startswith("/etc/nginx/sites-available")):
        last = forecast.rpartition(f" {path}: ")[2].splitlines()[1:]
        diff = list(itertools.takewhile(lambda line: line.startswith("    "), last))
        shown = [line[5:] for line in diff if line.startswith("    +") and not line.startswith("    +++")]
        text = machine.text(path).splitlines()
        assert shown
        assert [line for line in shown if line not in text] == []
