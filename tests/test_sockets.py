"""Sockets and addresses, read from /proc as the kernel prints them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from hermes_setup.host import Listener
from hermes_setup.system import sockets

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LINE = "   {n}: {local} {remote} {state} 00000000:00000000 00:00000000 00000000     {uid}        0 {inode} 1 0000 100 0 0 10 0\n"


def row(local: str, inode: int, state: str = "0A", uid: int = 0) -> str:
    remote = "00000000:0000" if len(local) < 20 else f"{'0' * 32}:0000"
    return LINE.format(n=0, local=local, remote=remote, state=state, uid=uid, inode=inode)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_text(
        HEAD + row("00000000:0050", 11) + row("0100007F:239F", 12, uid=4242424) + row("0100007F:239F", 99, state="01")
    )
    (tmp_path / "net/tcp6").write_text(
        HEAD
        + row(f"{'0' * 32}:01BB", 13)
        + row(f"{'0' * 24}01000000:0016", 14)
        + row("B80D0120" + "0" * 16 + "10000000:0051", 15)
    )
    for pid, name, group, inodes in (
        (7, "nginx", "0::/system.slice/nginx.service\n", (11, 13)),
        (70, "nginx", "0::/system.slice/nginx.service\n", (11, 13)),
        (8, "hermes", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/hermes-dashboard.service\n", (12,)),
        (9, "python3", "0::/system.slice/docker-0123456789abcdef0123456789abcdef.scope\n", (15,)),
    ):
        folder = tmp_path / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "comm").write_text(f"{name}\n")
        (folder / "cgroup").write_text(group)
        (folder / "fd/0").symlink_to("/dev/null")
        for number, inode in enumerate(inodes, 3):
            (folder / f"fd/{number}").symlink_to(f"socket:[{inode}]")
    (tmp_path / "50").mkdir()  # a process that went away meanwhile
    return tmp_path


def test_every_listener_is_told_with_its_process_and_unit(proc: Path) -> None:
    me = sockets._user(str(proc))
    assert sockets.listeners(str(proc)) == (
        Listener("::1", 22, owner="root"),
        Listener("0.0.0.0", 80, 7, "nginx", "nginx.service", me, owner="root"),
        Listener("2001:db8::10", 81, 9, "python3", "docker-0123456789ab", me, owner="root"),
        Listener("::", 443, 7, "nginx", "nginx.service", me, owner="root"),
        Listener("127.0.0.1", 9119, 8, "hermes", "hermes-dashboard.service", me, of_user=True, owner="4242424"),
    )


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        (f"0::/system.slice/docker-{'ab' * 32}.scope", "docker-abababababab"),
        (f"12:pids:/docker/{'ab' * 32}\n1:name=systemd:/docker/{'ab' * 32}", "docker-abababababab"),
        (f"0::/machine.slice/libpod-{'cd' * 32}.scope/container", "docker-cdcdcdcdcdcd"),
        (f"0::/kubepods.slice/kubepods-pod1.slice/crio-{'ef' * 32}.scope", "docker-efefefefefef"),
        (f"0::/some/other/{'ef' * 32}", "docker-efefefefefef"),
        ("9:name=systemd:/system.slice/nginx.service\n8:pids:/", "nginx.service"),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/hermes-dashboard.service",
            "hermes-dashboard.service",
        ),
        ("0::/user.slice/user-1000.slice/user@1000.service/tmux-spawn-1.scope", ""),  # stopping it ends the session
        ("0::/user.slice/user-1000.slice/session-3.scope", ""),
        ("0::/machine.slice/machine-web.scope/payload/system.slice/nginx.service", "container-web"),
        ("0::/machine.slice/systemd-nspawn@web.service/payload/system.slice/nginx.service", "container-web"),
        ("0::/lxc.payload.web/system.slice/nginx.service", "container-web"),
        ("0::/machine.slice/machine-qemu-1-vm.scope", ""),
        ("0::/", ""),
        ("", ""),
    ],
)
def test_the_control_group_names_the_unit_or_the_container(proc: Path, cgroup: str, unit: str) -> None:
    (proc / "9/cgroup").write_text(cgroup)
    assert next(each.unit for each in sockets.listeners(str(proc)) if each.port == 81) == unit


def test_a_unit_of_a_users_own_systemd_is_told_apart(proc: Path) -> None:
    assert {each.unit: each.of_user for each in sockets.listeners(str(proc)) if each.unit} == {
        "nginx.service": False,
        "hermes-dashboard.service": True,
        "docker-0123456789ab": False,
    }


def test_processes_of_the_container_that_we_are_in_are_this_machines_own(proc: Path) -> None:
    (proc / "self").mkdir()
    (proc / "self/cgroup").write_text((proc / "9/cgroup").read_text())
    assert [each.unit for each in sockets.listeners(str(proc)) if each.port == 81] == [""]


def test_a_machine_without_ipv6_or_without_sockets_is_no_error(tmp_path: Path) -> None:
    assert sockets.listeners(str(tmp_path)) == ()
    assert sockets.addresses(str(tmp_path)) == ()


def test_addresses_leave_out_loopback_and_link_local(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/fib_trie").write_text(
        "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n"
        "     +-- 127.0.0.0/8 2 0 2\n        |-- 127.0.0.1\n           /32 host LOCAL\n"
        "     |-- 198.51.100.10\n        /32 host LOCAL\n     |-- 198.51.100.255\n        /32 link BROADCAST\n"
        "     |-- 169.254.1.1\n        /32 host LOCAL\n     |-- 10.0.0.5\n        /32 host LOCAL\n"
    )
    (tmp_path / "net/if_inet6").write_text(
        "00000000000000000000000000000001 01 80 10 80       lo\n"
        "fe8000000000000000fc00fffe000001 04 40 20 80     eth0\n"
        "20010db8000000000000000000000010 04 40 00 80     eth0\n"
    )
    assert sockets.addresses(str(tmp_path)) == ("10.0.0.5", "198.51.100.10", "2001:db8::10")


def test_a_socket_of_this_very_process_is_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (mine,) = [each for each in sockets.listeners() if each.port == port]
    assert (mine.address, mine.pid) == ("127.0.0.1", os.getpid())
    assert mine.process
