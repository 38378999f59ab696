"""The copy, seen from inside: how it comes about, and who answers the calls that come into it.

Its file systems are overlays (overlayfs in the kernel's documentation) whose upper layers are one tmpfs; its network is
connected to nothing but its own internet. The real network is kept open for one use: apt's downloads.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import pickle
import re
import shlex
import shutil
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Sequence
from urllib.parse import urlsplit

from hermes_setup.errors import CommandFailed, HermesSetupError
from hermes_setup.host import Listener
from hermes_setup.system.local import PATH, Local
from hermes_setup.system.rehearsal import Part, internet, python, standins

BASE = "/tmp"  # noqa: S108 - a folder that each machine has; the layers are mounted over it, in the copy's namespace only
ROOT = f"{BASE}/root"
OWN = "/run/hermes-setup-rehearsal"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
SHARE = 0.8  # of the memory that is free now: what the copy may write at most
MOST_FOLDERS = 10_000
# What is no file system of files, or one that may keep its caller waiting for ever.
_NOT_COPIED = re.compile(
    r"proc|sysfs|devtmpfs|devpts|mqueue|hugetlbfs|cgroup2?|securityfs|debugfs|tracefs|bpf|pstore|efivarfs|configfs|"
    r"binfmt_misc|autofs|fuse.*|nsfs|rpc_pipefs|nfs.*|cifs|smb.*|ceph|9p"
)
_OWN_FOLDERS = ("/proc", "/sys", "/dev", "/run", "/tmp")  # noqa: S108 - the copy's own are new and empty
_NODES = ("null", "zero", "full", "random", "urandom", "tty")
APT = """\
#!/bin/sh
# hermes-setup rehearse: only downloads meet the real network; every package is unpacked and started in the copy alone.
[ ! -e {own}/proxies ] || . {own}/proxies
outside() {{
    nsenter --net={net} unshare --mount sh -c 'mount -n --bind {own}/resolv.conf /etc/resolv.conf && exec "$@"' - {apt} "$@"
}}
case " $* " in
*" update "* | *" download "*) outside "$@" ;;
*) outside --download-only "$@" && exec {apt} "$@" ;;
esac
"""
# A process that is called cron and does nothing: who starts renewals on the real machine is looked for by that name.
CLOCK = "import signal; open('/proc/self/comm', 'w').write('cron'); signal.pause()"


class Copy(Local):
    """A Local of the copy. `net` is an open file: the machine's own network, for downloads only."""

    def __init__(self, root: str, net: int) -> None:
        super().__init__(root)
        self._net = f"/proc/{os.getpid()}/fd/{net}"
        self._held: dict[tuple[str, int], Listener] = {}
        self._pebble = ""

    def listeners(self) -> tuple[Listener, ...]:
        """See `Rehearsal.listeners`."""
        return tuple(self._held.get((each.address, each.port), each) for each in super().listeners())

    def _all(self, *lines: str) -> None:
        for line in lines:
            self.run(line.split())

    # -- its files ----------------------------------------------------------------------------------------------------

    def build(self) -> int:
        """From here on, this process and all that it starts see the copy's files; the bytes that they may write.

        Raises CommandFailed.
        """
        room = int(_free_memory() * SHARE)
        folders = [each for top in ("/run", BASE, "/dev/shm") for each in _folders(top)]  # noqa: S108 - as everywhere
        resolver = _read("/etc/resolv.conf")
        mounted = _mounted()
        self._all(f"mount -n -t tmpfs -o mode=755,size={room} rehearsal {BASE}")
        for number, path in enumerate(["/", *(path for path in mounted if path != "/")]):
            self._layer(path, f"{BASE}/{number}")
        self._all(
            f"mount -n -t proc proc {ROOT}/proc",
            f"mount -n --bind {ROOT}/proc/sys {ROOT}/proc/sys",
            f"mount -n -o remount,bind,ro {ROOT}/proc/sys",
            f"mount -n -t sysfs -o ro sysfs {ROOT}/sys",
            f"mount -n -t tmpfs -o mode=755,nosuid dev {ROOT}/dev",
            f"mount -n -t tmpfs -o mode=755,nosuid,nodev run {ROOT}/run",
            f"mount -n -t tmpfs -o mode=1777,nosuid,nodev tmp {ROOT}{BASE}",
        )
        for name in _NODES:
            open(f"{ROOT}/dev/{name}", "wb").close()
            self._all(f"mount -n --bind /dev/{name} {ROOT}/dev/{name}")
        for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
            os.symlink(target, f"{ROOT}/dev/{name}")
        os.mkdir(f"{ROOT}/dev/shm")  # noqa: S108 - where POSIX shared memory is (shm_overview(7))
        os.chmod(f"{ROOT}/dev/shm", 0o1777)  # noqa: S103, S108 - as everywhere
        for path, status in folders:  # programs expect theirs; without what is in them, systemd's sockets above all
            os.mkdir(f"{ROOT}{path}")
            os.chown(f"{ROOT}{path}", status.st_uid, status.st_gid)
            os.chmod(f"{ROOT}{path}", stat.S_IMODE(status.st_mode))
        # One shell: between the two, the old root lies over the new one (pivot_root(8)).
        self.run(("sh", "-c", 'cd "$1" && pivot_root . . && umount -l .', "-", ROOT))
        os.chdir("/")
        os.makedirs(OWN, 0o755)
        _write(f"{OWN}/resolv.conf", resolver)
        _replace("/etc/resolv.conf", resolver)
        proxies = {key: os.environ.pop(key) for key in list(os.environ) if key.lower().endswith("_proxy")}
        lines = [f"export {key}={shlex.quote(value)}\n" for key, value in proxies.items()]
        _write(f"{OWN}/proxies", "".join(lines).encode(), 0o600)  # they may hold a password
        if apt := shutil.which("apt-get", path=PATH):
            _replace("/usr/local/sbin/apt-get", APT.format(own=OWN, net=self._net, apt=apt).encode(), 0o755)
        for key in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            os.environ.pop(key, None)
        os.environ["REQUESTS_CA_BUNDLE"] = BUNDLE  # a certbot from pip trusts only its own list otherwise
        return room

    def _layer(self, path: str, layer: str) -> None:
        """That path of the copy is the machine's; what is written there goes to `layer`."""
        target = f"{ROOT}{path}".rstrip("/")
        if not os.path.isdir(path):  # a file that was mounted over another: container runtimes do that in /etc
            with contextlib.suppress(OSError):
                if stat.S_ISREG(os.lstat(target).st_mode):
                    shutil.copy2(path, target, follow_symlinks=False)
            return
        status = os.stat(path)
        for folder in (f"{layer}/upper", f"{layer}/work", target):
            os.makedirs(folder, exist_ok=True)
        os.chown(f"{layer}/upper", status.st_uid, status.st_gid)
        os.chmod(f"{layer}/upper", stat.S_IMODE(status.st_mode))
        lower = path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")
        options = (
            f"lowerdir={lower},upperdir={layer}/upper,workdir={layer}/work,index=off,metacopy=off,redirect_dir=off"
        )
        try:
            self.run(("mount", "-n", "-t", "overlay", "-o", options, "overlay", target))
        except CommandFailed:
            if path == "/":
                raise
            self.run(
                ("mount", "-n", "--bind", path, target)
            )  # a file system that cannot be a layer (vfat): read only, then
            self.run(("mount", "-n", "-o", "remount,bind,ro", target))

    # -- what is missing in it ------------------------------------------------------------------------------------------

    def fetch_authority(self) -> str:
        """Pebble is there; else why not."""
        self._pebble = shutil.which("pebble", path=PATH) or ""
        if self._pebble:
            return ""
        if not shutil.which("apt-get", path=PATH):
            return "this server has no apt-get to fetch it with"
        os.makedirs(f"{OWN}/pebble")
        os.chdir(f"{OWN}/pebble")  # where apt-get puts it
        try:
            for update in (False, True):
                with contextlib.suppress(CommandFailed):
                    if update:
                        self.run(("apt-get", "update", "-q"), seconds=300)
                    self.run(("apt-get", "download", "-q", "pebble"), seconds=120)
                    self.run(("dpkg-deb", "-x", *glob.glob("*.deb"), "."))
                    self._pebble = f"{OWN}/pebble/usr/bin/pebble"
                    return ""
        finally:
            os.chdir("/")
        if "Package: pebble" in self.ask(("apt-cache", "show", "pebble")).out:
            return "its package could not be downloaded"
        return "this distribution has no package of it"

    # -- its network ----------------------------------------------------------------------------------------------------

    def connect(  # noqa: PLR0913 - called once, each by its name
        self, part: Part, held: Sequence[Listener], *, device: str, links: Sequence[str], nginx: bool, clock: bool
    ) -> tuple[bool, str]:
        """The copy has the machine's addresses, firewall and taken ports, and an internet around it.

        Whether Hermes is played in it, and why the firewall could not be copied ("": it could).
        """
        if missing := [name for name, program in _TOOLS if not shutil.which(program, path=PATH)]:
            self.run(("apt-get", "install", "-q", "-y", "--no-install-recommends", *missing))
        for number, pem in enumerate(self._surround(part, device)):
            self._trust(pem, f"hermes-setup-rehearsal-{number}")
        # Pebble knows no account of Let's Encrypt's: certbot makes a new one.
        for name in internet.LETSENCRYPT:
            shutil.rmtree(f"/etc/letsencrypt/accounts/{name}", ignore_errors=True)
        _replace("/etc/resolv.conf", resolvers(_read("/etc/resolv.conf")))
        for link in links:  # rules of the firewall may name them
            any(self.ask(("ip", "link", "add", link, "type", kind)).ok for kind in ("dummy", "bridge"))
        unfiltered = self._filter()
        plays = self._stand_in(part, held)
        if clock:
            subprocess.Popen([sys.executable, "-I", "-c", CLOCK])
        if nginx:
            with contextlib.suppress(CommandFailed):  # where it cannot start any more, the stage of the site says why
                self.run(("nginx",), seconds=30)
        return plays, unfiltered

    def whole(self) -> bool:
        """The internet of the copy, and the authority in it, are still there."""
        return self._internet.poll() is None

    def _surround(self, part: Part, device: str) -> Sequence[str]:
        """A cable leads to an internet; the certificates (PEM) to trust there."""
        folder = f"{OWN}/internet"
        os.mkdir(folder, 0o700)
        url = urlsplit(part.directory)
        order = internet.Order(
            domain=part.domain,
            addresses=part.addresses,
            public=part.public,
            names=tuple(dict.fromkeys((*internet.LETSENCRYPT, url.hostname or internet.LETSENCRYPT[0]))),
            port=url.port or 443,
            directory=url.path,
            pebble=self._pebble,
            folder=folder,
        )
        self._internet = subprocess.Popen(  # its stdin stays open as long as this lives
            ["unshare", "--net", "--", *python("internet")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._hear()
        four, six = [a for a in part.addresses if ":" not in a], [a for a in part.addresses if ":" in a]
        self._all(
            "ip link set lo up",
            f"ip link add {device} type veth peer name {internet.CABLE} netns {self._internet.pid}",
            *(f"ip addr add {a}/32 dev {device}" for a in four),
            *(f"ip addr add {a}/128 dev {device} nodad" for a in six),
            f"ip link set {device} up",
            f"ip route add default via {internet.HERE[0]} dev {device} onlink",
            *([f"ip -6 route add default via {internet.HERE[1]} dev {device}"] if six else []),
        )
        assert self._internet.stdin  # noqa: S101 - a pipe, see above
        self._internet.stdin.write(order.text())
        self._internet.stdin.flush()
        trusted: list[str] = json.loads(self._hear())
        return trusted

    def _hear(self) -> str:
        """The next line of the internet's. Raises HermesSetupError with its last words when there is none."""
        assert self._internet.stdout  # noqa: S101 - pipes, see above
        assert self._internet.stderr  # noqa: S101
        if line := self._internet.stdout.readline():
            return line
        last = self._internet.stderr.read().strip().splitlines()[-1:]
        raise HermesSetupError(
            f"The copy's own internet did not start: {' '.join(last) or 'it was killed'}.", hint="Run it again."
        )

    def _trust(self, pem: str, name: str) -> None:
        """Every program of the copy trusts that certificate, also after an update of the list."""
        path = f"/usr/local/share/ca-certificates/{name}.crt"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _write(path, pem.encode())
        os.makedirs(os.path.dirname(BUNDLE), exist_ok=True)
        _replace(BUNDLE, _read(BUNDLE) + pem.encode())
        mark = self.run(("openssl", "x509", "-noout", "-hash", "-in", path)).out.strip()
        with contextlib.suppress(FileExistsError):
            os.symlink(path, f"/etc/ssl/certs/{mark}.0")

    def _filter(self) -> str:
        """The machine's packet filter stands in the copy's network; else the words of what refused its rules."""
        saved = [
            (("nft", "list", "ruleset"), ("nft", "-f", "-")),
            (("iptables-save",), ("iptables-restore",)),
            (("ip6tables-save",), ("ip6tables-restore",)),
        ]
        refused = ""
        for save, restore in saved:
            rules = self.ask(("nsenter", f"--net={self._net}", *save)).out
            if not rules.strip():
                continue
            try:
                self.run(restore, stdin=rules.encode())
            except CommandFailed as error:
                refused = refused or " ".join(error.output.split()[:30])
            else:
                if save[0] == "nft":  # which shows the others' rules, too
                    return ""
        return refused

    def _stand_in(self, part: Part, held: Sequence[Listener]) -> bool:
        """Every place is taken; True when Hermes is played where none is."""
        taken = {(each.address, each.port) for each in held}
        found = [each for each in held if (each.address, each.port) in part.dashboards]
        # A proxy in front of it, or a process that could not be seen, listens elsewhere: the place is what counts.
        hidden = [Listener(*at) for at in part.dashboards if at not in taken]
        played = [] if part.dashboards or any(each.port == part.play[1] for each in held) else [Listener(*part.play)]
        for each in [*held, *hidden, *played]:
            both = each.address == "::" and ("0.0.0.0", each.port) not in taken  # noqa: S104 - compared, not bound
            kind = standins.Dashboard if each in (*found, *hidden, *played) else standins.Other
            if standins.stand_in(each, kind, both=both) and each in held:
                self._held[each.address, each.port] = each
        return bool(played)


_TOOLS = (("iproute2", "ip"), ("openssl", "openssl"))


def resolvers(text: bytes) -> bytes:
    """The machine's resolv.conf for its copy, where every address answers but the machine's own (127.0.0.53, most often)."""
    lines = [line for line in text.splitlines() if not re.match(rb"\s*nameserver\s+(127\.|::1|0\.0\.0\.0|fe80)", line)]
    if not any(line.split()[:1] == [b"nameserver"] for line in lines):
        lines.append(b"nameserver 1.1.1.1")
    return b"\n".join(lines) + b"\n"


def _folders(top: str) -> list[tuple[str, os.stat_result]]:
    """Every folder below that one, outer ones first; other file systems that are mounted there are passed over."""
    found: list[tuple[str, os.stat_result]] = []
    with contextlib.suppress(OSError):
        device = os.lstat(top).st_dev
        for folder, names, _ in os.walk(top):
            if folder == "/run/systemd":
                names.clear()  # /run/systemd/system says that systemd runs (sd_booted(3)); in the copy it does not
            kept = []
            for name in names:
                with contextlib.suppress(OSError):
                    status = os.lstat(f"{folder}/{name}")
                    if stat.S_ISDIR(status.st_mode) and status.st_dev == device and len(found) < MOST_FOLDERS:
                        kept.append(name)
                        found.append((f"{folder}/{name}", status))
            names[:] = kept
    return found


def _mounted() -> list[str]:
    """Where file systems with files are mounted, the outer ones first (proc(5), mountinfo)."""
    found: dict[str, bool] = {}
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields, _, rest = line.partition(" - ")
            path = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), fields.split()[4])
            found[path] = not _NOT_COPIED.fullmatch(rest.split()[0])
    own = tuple(f"{folder}/" for folder in _OWN_FOLDERS)
    return sorted(path for path, copied in found.items() if copied and not f"{path}/".startswith(own))


def _free_memory() -> int:
    """Bytes that can be taken without pushing somebody out (proc(5), meminfo)."""
    for line in _read("/proc/meminfo").decode("ascii", "replace").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 512 * 1024 * 1024


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _write(path: str, content: bytes, mode: int = 0o644) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with open(handle, "wb") as file:
        file.write(content)


def _replace(path: str, content: bytes, mode: int = 0o644) -> None:
    """The path is a file with that content, whatever it was: a link may lead into what the copy does not have."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    _write(path, content, mode)


def main(control: str, net: str, root: str) -> None:
    """Process 1 of the copy, and its child, which does what it is told until nobody is there to tell."""
    child = os.fork()
    if child:
        os.close(int(control))
        os.close(int(net))
        while os.wait()[0] != child:  # everybody's orphans come here
            pass
        os._exit(0)
    os.umask(0o022)
    copy = Copy(root, int(net))
    with socket.socket(fileno=int(control)) as calls:
        os.set_inheritable(calls.fileno(), False)
        os.set_inheritable(int(net), False)
        while True:
            _, handles, _, _ = socket.recv_fds(calls, 1, 1)
            if not handles:
                os._exit(0)
            threading.Thread(target=_answer, args=(copy, handles[0]), daemon=True).start()


def _answer(copy: Copy, handle: int) -> None:
    with socket.socket(fileno=handle) as peer, contextlib.suppress(OSError):
        what, args, options = pickle.loads(b"".join(iter(lambda: peer.recv(65536), b"")))  # noqa: S301 - our own
        try:
            told = (True, getattr(copy, what)(*args, **options))
        except Exception as error:  # noqa: BLE001 - raised again where the call came from
            told = (False, error)
        try:
            data = pickle.dumps(told)
        except Exception as error:  # noqa: BLE001 - an answer must come, or nobody ever goes on
            data = pickle.dumps(
                (False, HermesSetupError(f"The copy gave an answer that cannot be passed on: {error}."))
            )
        peer.sendall(data)
