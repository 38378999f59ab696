"""The copy's file systems: overlays (overlayfs in the kernel's documentation) over this machine's, written in memory only.

The upper layers are folders of one tmpfs, so what the copy may write is bounded, and goes with it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import stat

from hermes_setup.errors import CommandFailed
from hermes_setup.system.local import Local
from hermes_setup.system.processes import PATH

OWN = "/run/hermes-setup-rehearsal"
RESOLV_CONF = "/etc/resolv.conf"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
LAYERS = "/tmp"  # noqa: S108 - a folder that each machine has; the layers are mounted over it, in the copy's namespace only
ROOT = f"{LAYERS}/root"
MEMORY_SHARE = 0.8  # of the memory that is free now: what the copy may write at most
MAX_FOLDERS = 10_000
# What is no file system of files, or one that may keep its caller waiting forever.
_NOT_COPIED = re.compile(
    r"proc|sysfs|devtmpfs|devpts|mqueue|hugetlbfs|cgroup2?|securityfs|debugfs|tracefs|bpf|pstore|efivarfs|configfs|"
    r"binfmt_misc|autofs|fuse.*|nsfs|rpc_pipefs|nfs.*|cifs|smb.*|ceph|9p"
)
_NEW_AND_EMPTY = ("/proc", "/sys", "/dev", "/run", "/tmp")  # noqa: S108 - the copy's own
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_APT_GET = """\
#!/bin/sh
# hermes-setup rehearse: only downloads use the real network; every package is unpacked and started in the copy alone.
[ ! -e {own}/proxies ] || . {own}/proxies
outside() {{
    nsenter --net={net} unshare --mount sh -c 'mount -n --bind {own}/resolv.conf /etc/resolv.conf && exec "$@"' - {apt} "$@"
}}
case " $* " in
*" update "* | *" download "*) outside "$@" ;;
*) outside --download-only "$@" && exec {apt} "$@" ;;
esac
"""


def build(copy: Local, net: str) -> int:
    """From here on, this process and all that it starts see the copy's files; how many bytes they may write.

    `net` is the path of the machine's own network namespace, for downloads. Raises CommandFailed.
    """
    size = int(_free_memory() * MEMORY_SHARE)
    folders = [each for top in ("/run", LAYERS, "/dev/shm") for each in _folders(top)]  # noqa: S108 - as everywhere
    resolv_conf = read(RESOLV_CONF)
    mounted = _mounted()
    run_all(copy, f"mount -n -t tmpfs -o mode=755,size={size} rehearsal {LAYERS}")
    for number, path in enumerate(["/", *(path for path in mounted if path != "/")]):
        _mount_layer(copy, path, f"{LAYERS}/{number}")
    _mount_own_folders(copy)
    for path, status in folders:  # programs expect theirs; without what is in them, systemd's sockets above all
        os.mkdir(f"{ROOT}{path}")
        os.chown(f"{ROOT}{path}", status.st_uid, status.st_gid)
        os.chmod(f"{ROOT}{path}", stat.S_IMODE(status.st_mode))
    # One shell: between the two, the old root lies over the new one (pivot_root(8)).
    copy.run(("sh", "-c", 'cd "$1" && pivot_root . . && umount -l .', "-", ROOT))
    os.chdir("/")
    os.makedirs(OWN, 0o755)
    write(f"{OWN}/resolv.conf", resolv_conf)
    replace(RESOLV_CONF, resolv_conf)
    _let_apt_download(net)
    for key in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        os.environ.pop(key, None)
    os.environ["REQUESTS_CA_BUNDLE"] = BUNDLE  # a certbot from pip trusts only its own list otherwise
    return size


def run_all(copy: Local, *lines: str) -> None:
    """Each line was run as a command. Raises CommandFailed."""
    for line in lines:
        copy.run(line.split())


def _mount_layer(copy: Local, path: str, layer: str) -> None:
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
    options = f"lowerdir={lower},upperdir={layer}/upper,workdir={layer}/work,index=off,metacopy=off,redirect_dir=off"
    try:
        copy.run(("mount", "-n", "-t", "overlay", "-o", options, "overlay", target))
    except CommandFailed:
        if path == "/":
            raise
        # A file system that can't be a layer (vfat) is there to be read only.
        copy.run(("mount", "-n", "--bind", path, target))
        copy.run(("mount", "-n", "-o", "remount,bind,ro", target))


def _mount_own_folders(copy: Local) -> None:
    """The copy has a /proc, /sys, /dev, /run and /tmp of its own."""
    run_all(
        copy,
        f"mount -n -t proc proc {ROOT}/proc",
        f"mount -n --bind {ROOT}/proc/sys {ROOT}/proc/sys",
        f"mount -n -o remount,bind,ro {ROOT}/proc/sys",
        f"mount -n -t sysfs -o ro sysfs {ROOT}/sys",
        f"mount -n -t tmpfs -o mode=755,nosuid dev {ROOT}/dev",
        f"mount -n -t tmpfs -o mode=755,nosuid,nodev run {ROOT}/run",
        f"mount -n -t tmpfs -o mode=1777,nosuid,nodev tmp {ROOT}{LAYERS}",
    )
    for name in _DEVICES:
        open(f"{ROOT}/dev/{name}", "wb").close()
        run_all(copy, f"mount -n --bind /dev/{name} {ROOT}/dev/{name}")
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(target, f"{ROOT}/dev/{name}")
    os.mkdir(f"{ROOT}/dev/shm")  # noqa: S108 - where POSIX shared memory is (shm_overview(7))
    os.chmod(f"{ROOT}/dev/shm", 0o1777)  # noqa: S103, S108 - as everywhere


def _let_apt_download(net: str) -> None:
    """apt-get downloads through the machine's own network, and its proxies if there are any."""
    proxies = {key: os.environ.pop(key) for key in list(os.environ) if key.lower().endswith("_proxy")}
    lines = [f"export {key}={shlex.quote(value)}\n" for key, value in proxies.items()]
    write(f"{OWN}/proxies", "".join(lines).encode(), 0o600)  # they may contain a password
    if apt := shutil.which("apt-get", path=PATH):
        replace("/usr/local/sbin/apt-get", _APT_GET.format(own=OWN, net=net, apt=apt).encode(), 0o755)


def _folders(top: str) -> list[tuple[str, os.stat_result]]:
    """Every folder below that one, outer ones first; other file systems that are mounted there are left out."""
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
                    if stat.S_ISDIR(status.st_mode) and status.st_dev == device and len(found) < MAX_FOLDERS:
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
    own = tuple(f"{folder}/" for folder in _NEW_AND_EMPTY)
    return sorted(path for path, copied in found.items() if copied and not f"{path}/".startswith(own))


def _free_memory() -> int:
    """Bytes that can be used without swapping anything out (proc(5), meminfo)."""
    for line in read("/proc/meminfo").decode("ascii", "replace").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 512 * 1024 * 1024


def read(path: str) -> bytes:
    """The file's content, b"" where it can't be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def write(path: str, content: bytes, mode: int = 0o644) -> None:
    """The file has that content."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with open(handle, "wb") as file:
        file.write(content)


def replace(path: str, content: bytes, mode: int = 0o644) -> None:
    """The path is a file with that content, whatever it was: a link may point to what the copy does not have."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    write(path, content, mode)
