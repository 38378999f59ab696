"""Each golden site is accepted by the real nginx of its age."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conftest import BOTH
from hermes_setup.nginx.render import Renderer
from hermes_setup.stages.users import cookies
from lab import Machine, lab_authority

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
OLDEST = {"debian12": ("http-", "https-1.18", "https-1.22"), "debian13": ("http-", "https-1.26")}
OBSOLETE = r".*\[warn\].*the \"http2_(?:max_field_size|max_header_size|recv_timeout)\" directive is obsolete, use .*"
"""What a newer nginx says of what the one of the golden site still needs."""
GATE = [cookies.Cookie("", "0" * 32, "-")] + [
    cookies.Cookie(name, f"{number:032x}"[::-1], "0" * 16)
    for number, name in enumerate(["alice", "Alice", "q\"u'o\\te", "a;b{c}$d#e", "x" * 64, "日本語", "a b", "~^x"], 1)
]


@pytest.mark.parametrize("debian", BOTH)
def test_nginx_accepts_every_golden_site(machine: Machine, debian: str) -> None:
    certificate, key = lab_authority().issue("hermes.example.com")
    machine.write("/etc/ssl/golden/fullchain.pem", certificate)
    machine.write("/etc/ssl/golden/privkey.pem", key, mode=0o600)
    machine.write(cookies.GATE_FILE, cookies.render(GATE, Renderer()), mode=0o600)
    tried = 0
    for path in sorted(GOLDEN.glob("*.conf")):
        if path.name.startswith(OLDEST[debian]):
            machine.write("/etc/nginx/sites-enabled/zz-hermes", path.read_text("utf-8"))
            ran = machine.run(["nginx", "-t"], check=False)
            said = re.sub(OBSOLETE, "", ran.err) if path.name.startswith("https-1.18") else ran.err
            assert (ran.code, "[warn]" in said) == (0, False), f"{path.name}: {ran.err}"
            tried += 1
    assert tried >= 4


def test_ten_thousand_users_are_no_error(machine: Machine) -> None:
    many = [cookies.Cookie(f"user{number}", f"{number:032x}"[::-1], "0" * 16) for number in range(1, 10_001)]
    machine.write(cookies.GATE_FILE, cookies.render([GATE[0], *many], Renderer()), mode=0o600)
    machine.write("/etc/nginx/conf.d/gate.conf", f"include {cookies.GATE_FILE};")
    machine.run(["nginx", "-t"])
