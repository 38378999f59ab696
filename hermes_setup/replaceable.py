"""Who besides root can replace what is at a path: they decide what runs there, and what is read there.

Looked at are each folder on the way, each link and where it leads, and the file itself; of a program also what it starts
at once: the interpreter behind `#!`, the libraries of that interpreter's virtual environment, and the program that a
shell script hands over to by `exec`. Sources: path_resolution(7), execve(2) ("Interpreter scripts"), unlink(2) for
sticky folders, acl(5) and linux/posix_acl_xattr.h, PEP 405 for pyvenv.cfg.
"""

from __future__ import annotations

import contextlib
import grp
import os
import posixpath
import pwd
import re
import shlex
import stat
import struct
from collections.abc import Collection, Iterable, Iterator

from hermes_setup.errors import WrongInput
from hermes_setup.host import Replaceable

EVERYBODY = "everybody"
HOPS = 40  # links on one way; the kernel follows as many (path_resolution(7))
DEPTH = 5  # scripts that start scripts; the kernel goes as deep (execve(2))
UNMAPPED = 65534  # whose files of users outside of a container's user namespace are (proc(5), overflowuid)
SCRIPT = 64 * 1024  # bytes of a script that are looked through
_PEOPLES = ("/home/", "/root/", "/tmp/", "/run/user/")  # noqa: S108 - compared; what lies there is not root's to take
_OPEN_FILES = ("/dev/fd/", "/dev/stdin", "/dev/tty", "/proc/self/fd/")
_SHELLS = ("sh", "bash", "dash", "ash", "ksh", "zsh")
_EXEC = re.compile(rb"""^[^#\n]*?\bexec\s+["']?(/[^\s"'$;&|]+)""", re.MULTILINE)
_ACL_USER, _ACL_GROUP_OBJ, _ACL_GROUP, _ACL_WRITE = 0x02, 0x04, 0x08, 0x02


def on_the_way(path: str, root: str = "") -> tuple[Replaceable, ...]:
    """What users other than root can replace on the way to that file or folder, or change in it; () where only root can.

    `root` is put before every path (for tests). Where nothing is there, that is where the way ends.
    """
    found: dict[str, tuple[str, ...]] = {}
    steps = list(_way(path, root))
    missing = not os.path.exists(f"{root}{path}")
    for number, (at, status) in enumerate(steps, 1):
        # in the folder where the way ends, who can make a new name decides what it leads to
        if names := _writers(f"{root}{at}", status, by_name=missing and number == len(steps)):
            found[at] = names
    return tuple(Replaceable(at, names) for at, names in found.items())


def in_folder(path: str, root: str = "") -> tuple[Replaceable, ...]:
    """The same for a folder and the names in it: who can make a new one in a sticky folder counts, too."""
    found = on_the_way(path, root)
    with contextlib.suppress(OSError):
        names = _writers(f"{root}{path}", os.stat(f"{root}{path}"), by_name=True)
        if names and all(each.path != path for each in found):
            found += (Replaceable(path, names),)
    return found


def of_program(path: str, root: str = "", search: Collection[str] = ()) -> tuple[Replaceable, ...]:
    """What users other than root can replace of a program: on the way to it, and of what it starts at once.

    `search` are the folders in which `#!/usr/bin/env NAME` looks for it.
    """
    seen: list[str] = []
    ahead = [(path, 0)]
    found: dict[str, Replaceable] = {}
    while ahead:
        at, depth = ahead.pop(0)
        if at in seen:
            continue
        seen.append(at)
        for each in (*on_the_way(at, root), *_libraries(at, root)):
            found.setdefault(each.path, each)
        if depth < DEPTH:
            ahead += [(next_one, depth + 1) for next_one in _started_by(f"{root}{at}", root, search)]
    return tuple(found.values())


def by_others(found: Iterable[Replaceable], *names: str) -> tuple[Replaceable, ...]:
    """What others than these users can replace."""
    kept = [(each.path, tuple(by for by in each.by if by not in names)) for each in found]
    return tuple(Replaceable(path, by) for path, by in kept if by)


def read_own(path: str, most: int) -> tuple[bytes, os.stat_result]:
    """The first `most` bytes of the file, and its status. Never waits for somebody to open the other end of a pipe.

    Raises OSError and ValueError as `open` does, and WrongInput as `need_own`.
    """
    with open(path, "rb", opener=_opener) as file:
        need_own(path, file.fileno())
        os.set_blocking(file.fileno(), True)
        return file.read(most), os.fstat(file.fileno())


def _opener(path: str, flags: int) -> int:
    """Opens it without waiting for a pipe's other end, and never as this process's terminal (open(2))."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def need_own(path: str, handle: int) -> None:
    """Raises WrongInput where the open file is for root to obey, and others can change it or put another in its place.

    Others are all but root and whoever typed the command: the user before sudo, else who logged in (proc(5), loginuid).
    What has no name in a folder (the shell's `<(...)`, a pipe or a terminal as /dev/stdin) is what the caller gave.
    """
    status = os.fstat(handle)
    if os.geteuid() or (path.startswith(_OPEN_FILES) and not stat.S_ISREG(status.st_mode)):
        return
    typed = path if path.startswith("/") else f"{os.getcwd()}/{path}"
    found = by_others(on_the_way(typed), *_who_typed())
    if stat.S_ISCHR(status.st_mode) and not status.st_uid:  # what others write into /dev/zero is nobody's to read
        found = tuple(each for each in found if each.path != os.path.realpath(path))
    if not found and not os.path.samestat(os.stat(path), status):
        found = (Replaceable(path, (EVERYBODY,)),)  # it was another a moment ago
    if found:
        copy = f"/root/{posixpath.basename(path)}"
        raise WrongInput(
            f"Other users can change {path} or put another file there: {', '.join(map(str, found[:3]))}. It says what is done as root.",
            hint=f"Read it through, and use a copy of root's: sudo install -m 600 {shlex.quote(path)} {shlex.quote(copy)}",
        )


def cure(found: Iterable[Replaceable], instead: str) -> str:
    """What to type so that only root can replace all that; `instead` where a part of it lies in somebody's home."""
    paths = [each.path for each in found]
    if any(posixpath.join(path, "").startswith(_PEOPLES) for path in paths):
        return instead
    words = " ".join(map(shlex.quote, paths))
    return f"sudo chown root:root {words} && sudo chmod go-w {words}"


def _way(path: str, root: str) -> Iterator[tuple[str, os.stat_result]]:
    """Each folder, link and file on that way, as the kernel goes it, with its status; shorter where nothing is there."""
    at, links = "/", 0
    ahead = [part for part in path.split("/") if part][::-1]
    with contextlib.suppress(OSError):
        yield at, os.lstat(f"{root}/")
        while ahead:
            part = ahead.pop()
            if part in (".", ".."):
                at = posixpath.dirname(at) if part == ".." else at
                continue
            at = posixpath.join(at, part)
            status = os.lstat(f"{root}{at}")
            yield at, status
            if stat.S_ISLNK(status.st_mode):
                target, links = os.readlink(f"{root}{at}"), links + 1
                if links > HOPS:
                    return
                ahead += [part for part in target.split("/") if part][::-1]
                at = "/" if target.startswith("/") else posixpath.dirname(at)


def _writers(real: str, status: os.stat_result, *, by_name: bool) -> tuple[str, ...]:
    """The users other than root who can replace it or change what is in it.

    `by_name`: new names in a sticky folder count as well, in which nobody can replace what belongs to another.
    """
    mode = status.st_mode
    sticky = stat.S_ISDIR(mode) and bool(mode & stat.S_ISVTX) and not by_name
    names: set[str] = set()
    if not stat.S_ISLNK(mode) or _in_sticky_folder(real):  # what a link says, nobody can change; its folder counts
        names |= _user(status.st_uid)
    if not stat.S_ISLNK(mode) and not sticky:
        if mode & stat.S_IWOTH:
            names.add(EVERYBODY)
        if mode & stat.S_IWGRP:
            names |= _group_writers(real, status.st_gid)
    return (EVERYBODY,) if EVERYBODY in names else tuple(sorted(names))


def _in_sticky_folder(real: str) -> bool:
    mode = os.lstat(os.path.dirname(real)).st_mode
    return bool(mode & stat.S_ISVTX) and bool(mode & (stat.S_IWGRP | stat.S_IWOTH))


def _group_writers(real: str, gid: int) -> set[str]:
    """Whom the group's bit lets write: with an access list it stands for all of that (acl(5), "mask")."""
    try:
        acl = os.getxattr(real, "system.posix_acl_access", follow_symlinks=False)
    except OSError:
        return _members(gid)
    names: set[str] = set()
    for tag, permissions, number in struct.iter_unpack("<HHI", acl[4 : 4 + (len(acl) - 4) // 8 * 8]):
        if permissions & _ACL_WRITE:
            if tag == _ACL_USER:
                names |= _user(number)
            elif tag in (_ACL_GROUP, _ACL_GROUP_OBJ):
                names |= _members(gid if tag == _ACL_GROUP_OBJ else number)
    return names


def _user(uid: int) -> set[str]:
    if uid == 0 or (uid == UNMAPPED and os.lstat("/").st_uid == UNMAPPED):
        return set()
    try:
        return {pwd.getpwuid(uid).pw_name}
    except KeyError:
        return {f"the user with the number {uid}"}


def _who_typed() -> set[str]:
    """The users in whose name this runs as root."""
    numbers = [os.environ.get("SUDO_UID", ""), os.environ.get("PKEXEC_UID", "")]
    with contextlib.suppress(OSError), open("/proc/self/loginuid", encoding="ascii") as file:
        numbers.append(file.read().strip())
    names = {name for number in numbers if number.isdigit() for name in _user(int(number))}
    return names | {os.environ.get("DOAS_USER", "root")}


def _members(gid: int) -> set[str]:
    """The users other than root in that group, whose own group it is, too."""
    users = {each.pw_name: each for each in pwd.getpwall()}
    names = {name for name, each in users.items() if each.pw_gid == gid}
    with contextlib.suppress(KeyError):
        names |= set(grp.getgrgid(gid).gr_mem)
    return {name for name in names if name not in users or users[name].pw_uid != 0}


def _started_by(real: str, root: str, search: Collection[str]) -> Iterator[str]:
    """The paths of what a script starts at once; none for any other program."""
    text = _script(real)
    first = os.fsdecode(text.partition(b"\n")[0][2:]).split()
    if not first or not first[0].startswith("/"):
        return
    yield first[0]
    shell = first[0]
    if posixpath.basename(first[0]) == "env":
        named = [word for word in first[1:] if not word.startswith("-") and "=" not in word]
        shell = next(
            (at for name in named[:1] for each in search if os.path.isfile(root + (at := f"{each}/{name}"))), ""
        )
        if shell:
            yield shell
    if posixpath.basename(shell) in _SHELLS:
        yield from (os.fsdecode(each) for each in _EXEC.findall(text))


def _script(real: str) -> bytes:
    """The text of a script; b"" for anything else."""
    try:
        handle = _opener(real, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        is_script = stat.S_ISREG(os.fstat(handle).st_mode) and os.pread(handle, 2, 0) == b"#!"
        return os.pread(handle, SCRIPT, 0) if is_script else b""
    except OSError:
        return b""
    finally:
        os.close(handle)


def _libraries(python: str, root: str) -> Iterator[Replaceable]:
    """What of the libraries of that virtual environment others can replace; nothing for any other program."""
    folder = posixpath.dirname(posixpath.dirname(python))
    if not posixpath.basename(python).startswith("python") or not os.path.isfile(f"{root}{folder}/pyvenv.cfg"):
        return
    for version in _names(f"{root}{folder}/lib"):
        libraries = f"{folder}/lib/{version}/site-packages"
        own = on_the_way(libraries, root)
        yield from own
        for name in () if own else _names(f"{root}{libraries}"):
            real = f"{root}{libraries}/{name}"
            with contextlib.suppress(OSError):
                if names := _writers(real, os.lstat(real), by_name=False):
                    yield Replaceable(f"{libraries}/{name}", names)


def _names(real: str) -> list[str]:
    try:
        return sorted(os.listdir(real))
    except OSError:
        return []
