"""nginx, certbot and openssl are installed: those of the machine where they are there already, else the distribution's.

And only root can replace them, and each other program that hermes-setup runs as root.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.engine.changes import Change, Probe, Run
from hermes_setup.engine.findings import Finding, block, warn
from hermes_setup.errors import CommandFailed, HermesSetupError
from hermes_setup.host import File, Host, Replaceable, System
from hermes_setup.phrases import all_of
from hermes_setup.replaceable import cure
from hermes_setup.stages.certificate import certbot
from hermes_setup.values import dataclass

APT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "NEEDRESTART_MODE": "a",
    "NEEDRESTART_SUSPEND": "1",
    "UCF_FORCE_CONFFOLD": "1",
    "APT_LISTCHANGES_FRONTEND": "none",
}
LOCK = ("-o", "DPkg::Lock::Timeout=600", "-o", "Dpkg::Use-Pty=0")
KEEP = ("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold")
DPKG_STATUS = "/var/lib/dpkg/status"
DPKG_UPDATES = "/var/lib/dpkg/updates"
LEAST_MEMORY_KB = 350 * 1024
PROGRAMS = (
    *(
        "nginx",
        "openssl",
        "apt-get",
        "dpkg",
        "systemctl",
        "runuser",
        "getent",
        "stat",
        "sh",
        "docker",
        "install",
        "chmod",
    ),
    *("nft", "ufw", "firewall-cmd", "iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save"),
    *("ip6tables-restore", "iptables-legacy-save", "ip6tables-legacy-save"),
)
"""What stages run as root; certbot's are found by `certbot.binaries`."""
UNFINISHED = re.compile(
    r"^Status: \S+ \S+ (half-installed|unpacked|half-configured|triggers-awaited|triggers-pending)$", re.M
)


@dataclass(frozen=True)
class Facts:
    """What is installed."""

    missing: tuple[str, ...]
    unfinished: int  # packages that dpkg was interrupted in
    apt: bool
    lock_holder: str
    memory_kb: int  # free for programs, swap included; 0: unknown
    replaceable: tuple[tuple[str, tuple[Replaceable, ...]], ...] = ()  # programs, and what others can replace of each


class Packages:
    """See the module."""

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Reads dpkg's status file and asks the programs themselves."""
        missing = () if host.given("packages") else _missing(answers, host)
        status = host.look(DPKG_STATUS)
        unfinished = len(UNFINISHED.findall(status.content.decode(errors="replace"))) if isinstance(status, File) else 0
        # what dpkg had not written into that file yet when it was interrupted (apt-pkg/deb/debsystem.cc, CheckUpdates)
        unfinished += sum(name.isdigit() for name in host.names(DPKG_UPDATES))
        memory = host.look("/proc/meminfo")
        return Facts(
            missing=missing,
            unfinished=0 if host.given("dpkg configured") else unfinished,
            apt=not missing or host.ask(["apt-get", "--version"]).ok,
            lock_holder=_lock_holder(host) if missing or unfinished else "",
            memory_kb=_available_kb(memory.content.decode()) if isinstance(memory, File) else 0,
            replaceable=_replaceable(host),
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:  # noqa: ARG002
        """Programs are root's; apt is there when it is needed, and enough memory to run it."""
        found = [_others(program, parts) for program, parts in facts.replaceable]
        if facts.missing and not facts.apt:
            found.append(
                block(
                    "packages.no-apt",
                    f"{all_of(facts.missing)} {'are' if len(facts.missing) > 1 else 'is'} not installed, and this server has no apt-get.",
                    "hermes-setup can install packages on Debian and Ubuntu only.",
                    f"Install {all_of(facts.missing)} yourself, then run hermes-setup again.",
                )
            )
        if facts.lock_holder and facts.missing:
            found.append(
                warn(
                    "packages.apt-busy",
                    f"Another program is installing packages right now: {facts.lock_holder}.",
                    "On a new server this is the system's own first update. It takes a few minutes; don't stop it.",
                    "Nothing: the installation waits for it, up to ten minutes.",
                )
            )
        if facts.missing and 0 < facts.memory_kb < LEAST_MEMORY_KB:
            found.append(
                warn(
                    "packages.low-memory",
                    f"Only {facts.memory_kb // 1024} MB of memory is free.",
                    "Installing packages and certbot need about 350 MB for a short time. With less, the system may kill one of them.",
                    "Stop something large for now, or add swap: sudo fallocate -l 1G /swapfile && sudo chmod 600 /swapfile "
                    "&& sudo mkswap /swapfile && sudo swapon /swapfile",
                )
            )
        return found

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:  # noqa: ARG002
        """Finish what dpkg was interrupted in, then install what is missing."""
        changes: list[Change] = []
        if facts.lock_holder and (facts.missing or facts.unfinished):
            changes.append(Probe(wait_for_apt, f"wait for {facts.lock_holder} to finish installing packages"))
        if facts.unfinished:
            changes.append(
                Run(
                    ("dpkg", "--configure", "-a", "--force-confdef", "--force-confold"),
                    "finish the package installation that was interrupted",
                    gives="dpkg configured",
                    env=APT,
                    hint="See why: sudo dpkg --configure -a",
                )
            )
        if facts.missing:
            changes.append(Probe(fetch_lists, "fetch the package lists (apt-get update)"))
            changes.append(
                Run(
                    ("apt-get", *LOCK, *KEEP, "install", "-q", "-y", "--no-install-recommends", *facts.missing),
                    f"install {all_of(facts.missing)} from the distribution",
                    gives="packages",
                    irreversible=True,
                    env=APT,
                    seconds=1800,
                    hint="Can this server reach the internet? See why it failed: sudo apt-get update; sudo apt-get install "
                    + " ".join(facts.missing),
                )
            )
        return changes


def _missing(answers: Answers, host: Host) -> tuple[str, ...]:
    """What is wanted and not installed."""
    missing = [argv[0] for argv in (("nginx", "-v"), ("openssl", "version")) if not host.ask(argv).ok]
    # certbot takes most of a second to print its version, so it is only looked for
    if not answers.issuer.self_signed and not certbot.binaries(host):
        missing.append("certbot")
    return tuple(missing)


def _replaceable(host: Host) -> tuple[tuple[str, tuple[Replaceable, ...]], ...]:
    """The programs that others than root can replace, and the folders of the PATH, where they could make one, each with
    what they can replace; a part that was named already only once.
    """
    found: dict[str, tuple[Replaceable, ...]] = {}
    seen: set[Replaceable] = set()
    for program in (*certbot.BIN_FOLDERS, *PROGRAMS, *certbot.binaries(host)):
        if new := tuple(each for each in host.replaceable(program) if each not in seen):
            found[program] = new
            seen.update(new)
    return tuple(found.items())


def _others(program: str, parts: Sequence[Replaceable]) -> Finding:
    if program in certbot.BIN_FOLDERS:
        return block(
            "packages.replaceable",
            f"Users other than root can make programs in {program}: {', '.join(map(str, parts[:3]))}.",
            "Whoever is root looks for programs there, hermes-setup and certbot's hooks too, so they could do anything on "
            "this server.",
            f"Make it root's: {cure(parts, f'ls -ld {program}')}",
        )
    return block(
        "packages.replaceable",
        f"Users other than root can replace {program}, or what it consists of: {', '.join(map(str, parts[:3]))}.",
        "hermes-setup runs it as root, so they could do anything on this server.",
        f"Make it root's: {cure(parts, f'remove that {program}, and install it for all of this server')}",
    )


def fetch_lists(system: System) -> Sequence[Finding]:
    """apt's lists are as fresh as they can be: one broken source among many is no reason to stop."""
    try:
        system.run(("apt-get", *LOCK, "update", "-q"), env=APT, seconds=900)
    except CommandFailed as error:
        return [
            warn(
                "packages.lists",
                "Some package lists could not be fetched.",
                "A source in /etc/apt doesn't answer, or its key has expired. hermes-setup continues with the lists it has.",
                "See which one: sudo apt-get update",
                error.output,
            )
        ]
    return ()


def wait_for_apt(system: System) -> Sequence[Finding]:
    """apt's and dpkg's locks are free. Raises HermesSetupError when a program still holds one after ten minutes.

    apt-get waits for dpkg's lock by itself (DPkg::Lock::Timeout), but never for the one of its lists.
    """
    if not system.wait(lambda: not _lock_holder(system), seconds=600):
        raise HermesSetupError(
            f"{_lock_holder(system)} is still installing packages after ten minutes.",
            hint="See what it is doing: ps aux | grep -e apt -e dpkg ; when it has finished, run hermes-setup again.",
        )
    return ()


def _lock_holder(host: Host) -> str:
    """Who holds dpkg's lock: its inode in /proc/locks (proc(5)), then the process's name; "" when they are free."""
    stat = host.ask(
        ["stat", "-c", "%i", "/var/lib/dpkg/lock-frontend", "/var/lib/apt/lists/lock", "/var/lib/dpkg/lock"]
    )
    locks = host.look("/proc/locks")
    inodes = set(stat.out.split())
    for line in locks.content.decode(errors="replace").splitlines() if isinstance(locks, File) else ():
        fields = line.split()
        if len(fields) > 5 and "->" not in fields and fields[5].rpartition(":")[2] in inodes:
            title = host.look(f"/proc/{fields[4]}/cmdline")
            name = (
                title.content.replace(b"\0", b" ").decode(errors="replace").strip() if isinstance(title, File) else ""
            )
            return f"{name[:80] or 'process'} (process {fields[4]})"
    return ""


def _available_kb(meminfo: str) -> int:
    """MemAvailable + SwapFree in KiB (proc(5)); 0 when it doesn't say."""
    found = dict(re.findall(r"^(\w+):\s+(\d+) kB$", meminfo, re.M))
    return int(found.get("MemAvailable", 0)) + int(found.get("SwapFree", 0)) if "MemAvailable" in found else 0
