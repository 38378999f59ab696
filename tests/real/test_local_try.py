"""The try on one machine: no domain, no Hermes, no systemd, in what a plain container may do and no more."""

from __future__ import annotations

import re
import time

import pytest

from lab import Machine, World
from real.test_install_real import TREE, unpack

# What `docker run` leaves to root (moby/profiles: oci/caps/defaults.go); no new namespaces, no mounts, no network set-up.
DOCKER = (
    *("chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "net_bind_service"),
    *("net_raw", "sys_chroot", "mknod", "audit_write", "setfcap"),
)
CAPS = ",".join(("-all", *(f"+{name}" for name in DOCKER)))
CONTAINER = ("setpriv", f"--bounding-set={CAPS}", f"--inh-caps={CAPS.replace('+', '-')}", "--")


@pytest.mark.parametrize("debian", ["debian13"])
def test_a_try_in_a_plain_container(world: World, bare: Machine, debian: str) -> None:
    unpack(bare)
    assert bare.run([*CONTAINER, "unshare", "--mount", "true"], check=False).code != 0
    assert bare.run([*CONTAINER, "ip", "link", "add", "x", "type", "dummy"], check=False).code != 0
    command = [*CONTAINER, "./install.sh", "apply", "--answers", "docs/examples/local.toml", "--yes"]
    ran = bare.run(command, cwd=TREE, timeout=400, check=False)
    assert ran.code == 0, ran.out + ran.err
    password = re.search(r"^admin\t([a-z0-9-]{23})$", ran.out, re.M)
    assert password, ran.out
    assert "https://hermes.localhost/" in ran.err

    gate = bare.fetch("https://hermes.localhost/")
    assert gate.status == 401
    assert bare.fetch("https://hermes.localhost/", auth=("admin", "not it at all")).status == 401
    page = bare.fetch("https://hermes.localhost/", auth=("admin", password.group(1)))
    assert page.status == 502
    assert "Hermes is not running yet" in page.text
    assert page.header("Strict-Transport-Security") is None
    assert gate.header("Strict-Transport-Security") is None
    shown = bare.run(
        ["sh", "-c", "openssl s_client -connect 127.0.0.1:443 -servername hermes.localhost </dev/null 2>/dev/null"]
    ).out
    assert "self-signed certificate" in shown.lower().replace("self signed", "self-signed")
    plain = bare.fetch("http://hermes.localhost/x")
    assert (plain.status, plain.header("Location")) == (301, "https://hermes.localhost/x")
    assert bare.fetch("https://hermes.localhost/", host="evil.example").status == 421

    began = time.monotonic()
    again = bare.run(command, cwd=TREE, timeout=60)
    assert "Nothing to do" in again.err
    assert again.out == ""
    assert time.monotonic() - began < 20
    assert bare.run([*CONTAINER, "hermes-setup", "doctor"], check=False).code == 4  # self-signed is a warning
