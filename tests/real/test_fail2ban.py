"""The filter of docs/how-to.md in the real fail2ban, over what the real nginx writes of a golden site."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from conftest import BOTH
from lab import Machine, World
from laws import sites, wire
from laws.asked import TYPED, Asked, basic
from laws.check import ACCESS_LOG, Bench
from laws.stand_in import StandIn

HOW_TO = Path(__file__).resolve().parents[2] / "docs" / "how-to.md"
FILTER, JAIL = "/etc/fail2ban/filter.d/hermes-setup.conf", "/etc/fail2ban/jail.d/hermes-setup.local"
GUESSES = 10
WRONG = " tried=wrong\n"
# No journal in the lab, so nothing to watch for ssh; and what would be a rule of the firewall is a note here.
HERE = "[DEFAULT]\naction = dummy\n[sshd]\nenabled = false\n"
SITES = {site.name: site for site in sites.SITES}
VICTIM = "203.0.113.99"
ALICE = sites.PEOPLE[0]
FETCHED = ((b"Sec-Fetch-Site", b"same-origin"), (b"Sec-Fetch-Mode", b"cors"))


def documented(path: str) -> str:
    """The file of that name in the how-to."""
    (text,) = re.findall(rf"^```\n(# {re.escape(path)}\n.*?)^```", HOW_TO.read_text("utf-8"), re.M | re.S)
    return str(text)


@pytest.fixture
def banning(world: World, debian: str) -> Bench:
    """A machine with nginx and fail2ban, and the how-to's two files."""
    machine = world.machine(f"{debian}-fail2ban")
    machine.write(FILTER, documented(FILTER))
    machine.write(JAIL, documented(JAIL))
    machine.write("/etc/fail2ban/jail.d/zz-lab.local", HERE)
    return Bench(machine)


def asked(source: str, target: str = "/api/status", agent: str = "curl", **more: bytes | str) -> Asked:
    """A request from that address; what is in `more` is a header, or the method."""
    method = str(more.pop("method", "GET"))
    headers = [(b"User-Agent", agent.encode("latin-1"))]
    headers += [
        (name.replace("_", "-").encode(), value.encode() if isinstance(value, str) else value)
        for name, value in more.items()
    ]
    address = "2001:db8::10" if ":" in source else "198.51.100.10"
    return Asked(
        0,
        source=source,
        address=address,
        method=method,
        target=target,
        host="hermes.example.com",
        headers=tuple(headers),
    )


def send(machine: Machine, requests: Iterable[Asked]) -> list[int]:
    """The status of each."""
    from lab import spaces

    def go() -> list[int]:
        found = []
        for one in requests:
            connection = wire.Connection(one)
            found.append(connection.ask(one).status)
            connection.close()
        return found

    return spaces.in_net(machine.net, go)


def guess(source: str, agent: str = "curl", target: str = "/api/status", name: str = "alice") -> Asked:
    """A wrong password of a program's."""
    return asked(source, target, agent, Authorization=basic(name, TYPED))


OLD, NEW = "[01/Jan/2020:00:00:00 +0000]", "[01/Jan/2040:00:00:00 +0000]"
HIDERS: dict[str, Callable[[str], Asked]] = {
    "203.0.113.10": guess,
    "203.0.113.11": lambda source: guess(source, f"x {OLD}"),
    "203.0.113.12": lambda source: guess(source, '2020-01-01T00:00:00Z x" tried=-'),
    "203.0.113.13": lambda source: guess(source, 'x" tried=right'),
    "203.0.113.14": lambda source: guess(source, "x" * 6000),
    "203.0.113.15": lambda source: guess(source, "é\x7f\xff\\"),
    "203.0.113.16": lambda source: guess(source, target=f"/{OLD.replace(' ', '%20')}%0a%0d%22"),
    "203.0.113.17": lambda source: guess(source, name=f"x {NEW} y\n"),
    "203.0.113.18": lambda source: guess(source, name=f'- {OLD} "GET'),
    "203.0.113.19": lambda source: asked(
        source, "/.hermes/sign-in", method="POST", Authorization=basic("alice", TYPED), Sec_Fetch_Site="same-origin"
    ),
    "203.0.113.20": lambda source: asked(
        source,
        "/.hermes/password",
        Authorization=basic("alice", TYPED),
        Sec_Fetch_Site="none",
        Sec_Fetch_Mode="navigate",
    ),
    # signed in as alice, and after somebody else's password
    "203.0.113.21": lambda source: asked(
        source,
        "/.hermes/sign-in",
        method="POST",
        Authorization=basic("bob", TYPED),
        Cookie=f"__Host-hermes_gate={ALICE.token}",
    ),
    "2001:db8:5::5": guess,
}
HARMLESS: dict[str, Callable[[str], Asked]] = {
    # two hundred visits without a password: pages, what they fetch, programs, a cookie that has ended, an old one's
    "203.0.113.30": lambda source: asked(
        source, "/", Accept="text/html", Sec_Fetch_Site="none", Sec_Fetch_Mode="navigate"
    ),
    "203.0.113.31": lambda source: asked(source, Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="cors"),
    "203.0.113.32": asked,
    "203.0.113.33": lambda source: asked(source, "/", Accept="text/html", Cookie=f"__Host-hermes_gate={sites.GONE}"),
    # a browser's remembered password, which nobody asks for and nobody checks
    "203.0.113.34": lambda source: asked(source, Sec_Fetch_Site="same-origin", Authorization=basic("alice", TYPED)),
    # who is in
    "203.0.113.35": lambda source: asked(source, Authorization=basic(ALICE.name, ALICE.password)),
    "203.0.113.36": lambda source: asked(
        source, Cookie=f"__Host-hermes_gate={ALICE.token}", Authorization=basic("alice", TYPED)
    ),
    # without a password there is nothing to count, however it is told
    "203.0.113.37": lambda source: asked(source, agent='x" tried=wrong'),
    "203.0.113.38": lambda source: asked(source, target="/tried=wrong%0a", agent="tried=wrong"),
}
# Each tries to have the victim banned; a wrong password makes its line one that counts, for itself.
FRAMERS: dict[str, Callable[[str], Asked]] = {
    "203.0.113.50": lambda source: guess(source, f'x" tried=wrong\x0b{VICTIM} - - {OLD} "GET / HTTP/1.1" 401 1 0.1 "x'),
    "203.0.113.51": lambda source: guess(source, target=f"/%0a{VICTIM}%20-%20-%20{OLD.replace(' ', '%20')}"),
    "203.0.113.52": lambda source: guess(source, name=f"x\n{VICTIM} - -"),
    "203.0.113.53": lambda source: asked(
        source, Authorization=basic("alice", TYPED), X_Forwarded_For=VICTIM, CF_Connecting_IP=VICTIM
    ),
    "203.0.113.54": lambda source: guess(source, f'{VICTIM} - - [] "" 401 1 0.1 "" tried=wrong'),
}


@pytest.mark.parametrize("debian", BOTH)
def test_it_bans_who_guesses_and_nobody_else(banning: Bench, debian: str) -> None:
    machine = banning.machine
    site = SITES["https-1.26" if debian == "debian13" else "https-1.18-alone"]
    with banning.serving(site), StandIn(machine.net, site.upstreams):
        send(machine, [make(source) for source, make in HARMLESS.items() for _ in range(-(-200 // len(HARMLESS)))])
        send(machine, [HARMLESS["203.0.113.30"]("203.0.113.30")] * 200)
        # right up to the limit, which is nobody's ban: a person who mistypes, and signs in
        almost = ["203.0.113.60", VICTIM]
        send(machine, [guess(source) for source in almost for _ in range(GUESSES - 1)])
        assert send(machine, [asked(source, Authorization=basic(ALICE.name, ALICE.password)) for source in almost]) == [
            200,
            200,
        ]
        guessers = {**FRAMERS, **HIDERS}
        statuses = send(machine, [make(source) for source, make in guessers.items() for _ in range(GUESSES)])
        assert set(statuses) <= {401, 403}, statuses
        lines = machine.text(ACCESS_LOG)
        assert lines.count(WRONG) == GUESSES * len(guessers) + (GUESSES - 1) * len(almost), lines
        server = machine.start(["fail2ban-server", "-f", "--logtarget", "STDOUT", "start"])

        def banned() -> set[str]:
            ran = machine.run(["fail2ban-client", "get", "hermes-setup", "banip"], check=False)
            return set(ran.out.split())

        try:
            machine.wait_for(lambda: banned() >= set(guessers), "who guesses is banned", 40)
        except AssertionError:
            raise AssertionError(f"not banned: {set(guessers) - banned()}\n{server.output}") from None
        assert banned() == set(guessers)
        # one more of the victim's own is the tenth: it was counted all the time, so the silence above means something
        send(machine, [guess(VICTIM)])
        machine.wait_for(lambda: VICTIM in banned(), "a guess that is written while it runs is seen", 20)
        server.stop()
    matched = machine.run(["fail2ban-regex", ACCESS_LOG, "hermes-setup"]).out
    assert f"{lines.count(WRONG) + 1} matched" in matched, matched
