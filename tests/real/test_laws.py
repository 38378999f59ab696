"""The laws of the gate, held against random requests to each golden site; and that each would be seen to break."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from conftest import BOTH
from lab import Machine
from laws import table
from laws.check import Bench
from laws.sites import GOLDEN, SITES

EACH = 300
"""Requests to a golden site. tests/laws/run makes more, and again what a seed made here."""
BY_NAME = {site.name: site for site in SITES}
KINDS = {
    "hermes", "hook", "page", "challenge", "no challenge", "signed in", "wrong", "to the page", "signed out", "button",
    "challenge file", "moved", "refused", "403", "421", "400",
}  # fmt: skip


def test_each_golden_site_is_asked() -> None:
    assert {path.stem for path in GOLDEN.glob("*.conf")} == set(BY_NAME)
    assert EACH * len(SITES) >= 5000


@pytest.mark.parametrize("debian", BOTH)
def test_the_laws_hold(machine: Machine, debian: str) -> None:
    bench, seed, kinds, asked = Bench(machine), random.SystemRandom().randrange(10**6), Counter[str](), 0
    for site in SITES:
        if site.debian == debian:
            findings = bench.run(site, seed, range(EACH))
            assert not findings.wrong, (
                f"{findings}\nAgain: tests/laws/run --seed {seed} --requests ... --site {site.name}"
            )
            kinds, asked = kinds + findings.kinds, asked + findings.asked
    print(f"seed {seed}, {asked} requests: {dict(kinds.most_common())}")
    assert set(kinds) >= KINDS, "every row of the tables is met"


def test_who_asks_gets_what_the_table_says(machine: Machine) -> None:
    seen = table.fill(Bench(machine), BY_NAME["https-1.26"])
    assert [(row[0], words) for row, words in seen] == [(row[0], row[-1]) for row in table.ROWS]


SATISFY = "satisfy any;\nallow 203.0.113.0/24;\ndeny all;\n"
LOCATION = "    location = /.hermes/sign-in {\n"
ASSETS = "    location /assets/ {\n        proxy_pass http://hermes_dashboard;\n    }\n"
Change = tuple[str, str]
PLANTED: dict[str, tuple[str, tuple[Change, ...], str]] = {
    # name: the site, what is replaced in it (or in the gate file), and what is to be said of it
    "satisfy is inherited": ("https-1.26", (("        satisfy all;\n        allow all;\n", ""), ("map", f"{SATISFY}map")), "law 1"),
    "a cookie for a name that was only typed": (
        "https-1.26",
        (("        add_header Set-Cookie $hermes_old_cookie always;\n        return 401", "        add_header Set-Cookie $hermes_new_cookie always;\n        return 401"),),
        "law 1",
    ),
    "alice's browser stays alice": ("https-1.26", (("Set-Cookie $hermes_door_cookie;", "Set-Cookie $hermes_cookie;"),), "the tables say"),
    "pages elsewhere act": ("https-1.26", (("if ($hermes_foreign)", 'if ($hermes_foreign = "x")'),), "a page elsewhere"),
    "a browser's remembered password counts": ("https-1.26", (("if ($hermes_door = script)", "if ($hermes_door = x)"),), "law 3"),
    "a page lets in by a remembered password": ("https-1.26", (("if ($hermes_door = page)", "if ($hermes_door = x)"),), "law 3"),
    "any cookie of that name": ("https-1.26", (("\\k<hermes_rest> ", "[0-9a-f]{18} "),), "law 2"),
    "the first version's cookie still counts": ("https-1.26", (("(?:^|; )__Host-hermes_gate=", "hermes_gate="),), "law 2"),
    "a location beside the gate": ("https-1.26", ((LOCATION, ASSETS + LOCATION),), "law 2"),
    "a longer location, without a check": (
        "https-1.26",
        ((LOCATION, ASSETS.replace("/assets/", "~ \\.js$") + LOCATION),),
        "law 2",
    ),
    "other names are served": ("https-1.26", (('if ($host != "hermes.example.com")', 'if ($host = "x")'),), "tables say: 421"),
    "the password is sent on": ("https-1.26", (('        proxy_set_header Authorization "";\n', ""),), "the password is sent on"),
    "the cookie is sent on": ("https-1.26", (("proxy_set_header Cookie $hermes_cookies", "proxy_set_header Cookie $http_cookie"),), "is sent on"),
    "whatever is upgraded": ("https-1.26", (("proxy_set_header Upgrade $hermes_upgrade", "proxy_set_header Upgrade $http_upgrade"),), "Upgrade:"),
    "the log believes what is typed": ("https-1.26", (("- $hermes_user [", "- $remote_user ["),), "law 6"),
    "the log has the address as it was sent": ("https-1.26", (("$request_method $uri ", "$request_method $request_uri "),), "law 5"),
    "what is not checked is wrong": ("https-1.26", (("            return 420;\n", "            return 401;\n"),), "law 6: tried=wrong"),
    "the list does not hold for signing in": (
        "https-1.26-allow",
        ((f"{LOCATION}        # Before any password is checked, and whatever cookie is shown: address and password, never one for the other.\n        if ($hermes_refused)", f'{LOCATION}        if ($hermes_refused = "x")'),),
        "a cookie where there is none to be had",
    ),
    "anybody is Cloudflare": ("https-1.22-allow-behind-cloudflare", (("    set_real_ip_from 173.245.48.0/20;\n", "    set_real_ip_from 0.0.0.0/0;\n"),), "the log has the address"),
    "a hook takes any spelling": ("https-1.26-webhooks", (('if ($request_uri !~ "', 'if ($request_uri ~ "^x'),), "a platform was reached"),
    "an upstream orders nginx about": ("https-1.26", (("    proxy_ignore_headers X-Accel-Redirect", "    proxy_ignore_headers X-Accel-Limit-Rate"),), "Hermes was not asked"),
    "an upstream gets at anybody's cookie": (
        "https-1.26-webhooks",
        (("    proxy_ignore_headers X-Accel-Redirect", "    proxy_ignore_headers X-Accel-Limit-Rate"), ("$hermes_door_cookie always", "$hermes_new_cookie always")),
        "law 1",
    ),
    "hermes-setup's cookie counts everywhere": ("https-1.26", (('"~^look\\|', '"~^[^|]*\\|'),), "law 2"),
    "a picture signs out": ("https-1.26", (("(?:navigate|)\\|(?:document|)\\|\\|(?!", "[^|]*\\|[^|]*\\|\\|(?!"),), "tables say: button"),
    "a platform's answer is a page": ("https-1.26-webhooks", (("default-src 'none'; sandbox; ", ""),), "may be a page"),
    "a browser is a platform": ("https-1.26-webhooks", (("if ($http_sec_fetch_site)", 'if ($http_sec_fetch_site = "x")'),), "tables say: 403"),
    "a frame of any page": ("https-1.26", (("frame-ancestors 'self'", "frame-ancestors *"),), "may be framed"),
}  # fmt: skip


@pytest.mark.parametrize("debian", BOTH)
def test_what_breaks_a_law_is_seen(machine: Machine, debian: str) -> None:
    bench, missed = Bench(machine), []
    for name, (at, changes, said) in PLANTED.items():
        if BY_NAME[at].debian != debian:
            continue

        def plant(site: str, gate: str, changes: tuple[Change, ...] = changes, name: str = name) -> tuple[str, str]:
            for before, after in changes:
                assert before in site + gate, f"{name}: {before} is not there"
                count = 1 if before == "map" else -1
                site, gate = (
                    site.replace(before, after, count),
                    gate.replace(before, after) if before != "map" else gate,
                )
            return site, gate

        for start in range(0, 2000, 250):  # some need one request in a thousand
            findings = bench.run(BY_NAME[at], 1, range(start, start + 250), plant)
            if any(said in what for _, whats in findings.wrong.values() for what in whats):
                break
        else:
            missed.append(f"{name}: {findings}")
    assert not missed, "\n\n".join(missed)
