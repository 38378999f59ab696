"""Files, folders and links of this machine. Paths here are real ones; messages name what the caller calls them."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import stat
from functools import lru_cache

from hermes_setup import durable
from hermes_setup.errors import HermesSetupError
from hermes_setup.host import ABSENT, Absent, File, Folder, Link, Node, Special

LARGEST = 16 * 1024 * 1024
OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
NO_FILE = "a device, a pipe or a socket"


def look(path: str) -> Node:
    """See `Files.look`."""
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            return Link(os.readlink(path))
        if stat.S_ISDIR(status.st_mode):
            return Folder(stat.S_IMODE(status.st_mode), _user(status.st_uid), _group(status.st_gid))
        if not stat.S_ISREG(status.st_mode):
            return Special(NO_FILE)
        return _read(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ESRCH):
            return ABSENT
        return Special(os.strerror(error.errno or 0))


def _read(path: str) -> File | Special:
    """The file there. Whoever may write its folder could have put another thing there since it was looked at: no link is
    followed, nothing is waited for (a pipe's writer, a lease: fifo(7), fcntl(2)), and what was opened is what counts.
    """
    handle = os.open(path, OPEN)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            return Special(NO_FILE)
        if status.st_size > LARGEST:
            return Special(f"{status.st_size} bytes, too large to be ours")
        with open(handle, "rb", closefd=False) as file:
            content = file.read(LARGEST) or b""  # None: nothing yet, as of /proc/kmsg
        return File(content, stat.S_IMODE(status.st_mode), _user(status.st_uid), _group(status.st_gid))
    finally:
        os.close(handle)


def names(folder: str) -> tuple[str, ...]:
    """See `Files.names`."""
    try:
        return tuple(sorted(os.listdir(folder), key=os.fsencode))
    except OSError:
        return ()


def put(path: str, node: Node, shown: str) -> None:
    """See `System.put`. `shown` is the path as messages name it."""
    try:
        _put(path, node, shown)
    except OSError as error:
        raise HermesSetupError(
            f"{shown} could not be {'removed' if isinstance(node, Absent) else 'written'}: "
            f"{os.strerror(error.errno or 0)}.",
            hint=_hint(error, shown),
        ) from error


def _put(path: str, node: Node, shown: str) -> None:
    match node:
        case File():
            _make_parents(path)
            durable.write(path, node.content, mode=node.mode, uid=_uid(node.owner), gid=_gid(node.group))
        case Link():
            _make_parents(path)
            durable.link(path, node.target)
        case Folder():
            _make_parents(path)
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, 0o700)
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                os.fchown(handle, _uid(node.owner), _gid(node.group))
                os.fchmod(handle, node.mode)
            finally:
                os.close(handle)
            durable.sync_folder(os.path.dirname(path))
        case Absent():
            _remove(path)
        case Special():
            raise HermesSetupError(f"{shown} is special ({node.why}) and is never written.")


def _make_parents(path: str) -> None:
    """The folder above is there (root's, 0755 for each that had to be made)."""
    folder = os.path.dirname(path)
    if os.path.isdir(folder):
        return
    _make_parents(folder)
    os.mkdir(folder, 0o755)
    os.chmod(folder, 0o755)  # noqa: S103 - whatever the umask says, nginx's workers must pass through
    durable.sync_folder(os.path.dirname(folder))


def _remove(path: str) -> None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(status.st_mode):
        os.rmdir(path)
    else:
        os.unlink(path)
    durable.sync_folder(os.path.dirname(path))


def _hint(error: OSError, path: str) -> str:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "The disk is full. Look at: df -h; df -i. Make room, then run hermes-setup again."
        case errno.EROFS:
            return "The disk is read-only, often after an error: look at `dmesg | tail`."
        case errno.ENOTEMPTY:
            return f"Other files are in it: ls -la {path}"
        case errno.EPERM | errno.EACCES:
            return (
                f"Even root isn't allowed to: look at `lsattr -d {path}` (an immutable file), and run this with sudo."
            )
        case _:
            return f"Look at: ls -la {os.path.dirname(path)}"


@lru_cache
def _user_name(uid: int) -> str:
    return pwd.getpwuid(uid).pw_name  # one that is not there raises, so it is looked up again


@lru_cache
def _group_name(gid: int) -> str:
    return grp.getgrgid(gid).gr_name


def _user(uid: int) -> str:
    try:
        return _user_name(uid)
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return _group_name(gid)
    except KeyError:
        return str(gid)


def _uid(owner: str) -> int:
    try:
        return int(owner) if owner.isdigit() else pwd.getpwnam(owner).pw_uid
    except KeyError:
        raise HermesSetupError(f"This machine has no user {owner}.", hint=f"Look at: getent passwd {owner}") from None


def _gid(group: str) -> int:
    try:
        return int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise HermesSetupError(f"This machine has no group {group}.", hint=f"Look at: getent group {group}") from None
