"""Linux namespaces, as few as the lab needs. A network namespace is an open file: it lasts as long as that is open."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def in_net(net: int, act: Callable[[], T]) -> T:
    """The result of act(), called in network namespace `net`: a socket that it made stays there."""
    results: list[T] = []
    errors: list[BaseException] = []

    def go() -> None:
        try:
            os.setns(net, os.CLONE_NEWNET)
            results.append(act())
        except BaseException as error:  # handed to the caller below
            errors.append(error)

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def new_net() -> int:
    """A new, empty network namespace."""

    def go() -> int:
        os.unshare(os.CLONE_NEWNET)
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    keep = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return in_net(keep, go)
    finally:
        os.close(keep)


def net_command(net: int, argv: Sequence[str]) -> list[str]:
    """The command that runs argv in network namespace `net` of this process."""
    return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{net}", "--", *argv]


def ip(net: int, lines: Sequence[str]) -> None:
    """Each line has been done by ip(8) in `net`."""
    done = subprocess.run(
        net_command(net, ["ip", "-batch", "-"]),
        input="\n".join(lines) + "\n",
        text=True,
        check=False,
        capture_output=True,
    )
    if done.returncode:
        raise OSError(f"ip: {done.stderr.strip()} in {lines}")


def sysctl(net: int, key: str, value: str) -> None:
    """A setting of the network namespace, such as net/ipv4/ip_forward, has this value."""

    def go() -> None:
        with open(f"/proc/sys/{key}", "w", encoding="ascii") as file:
            file.write(value)

    in_net(net, go)
