"""Hermes that other machines can reach: whose socket it is, and the setting that makes it listen on 127.0.0.1 only."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from hermes_setup.engine.findings import Finding, block, warn
from hermes_setup.host import Listener
from hermes_setup.stages.hermes import docker
from hermes_setup.stages.hermes.dashboards import PORT, Dashboard, Found, described


def check(found: Found) -> list[Finding]:
    """Hermes, and what may be it, listens on this machine's loopback only."""
    exposed = {
        (0 if each.process in docker.PUBLISHERS else each.pid, each.process, each.port): each
        for each in found.listeners
        if not ipaddress.ip_address(each.address).is_loopback and each not in found.others
    }
    return [_finding(each, found.hermes_at(each), found.containers) for each in exposed.values()]


def _finding(each: Listener, dashboard: Dashboard | None, containers: Sequence[docker.Container]) -> Finding:
    where = "on all addresses of this server" if each.everywhere else f"on {each.address}"
    what = "Hermes" if dashboard else "Something (probably Hermes)"
    published = each.process in docker.PUBLISHERS
    fix = _fix_in_docker(each, containers) or _fix(each)
    if dashboard and dashboard.status.login and not published:
        return warn(
            "backend.login-only",
            f"{what} listens {where}, port {each.port}{described(each)}; only its own login protects it there.",
            "Anyone can try passwords on it, bypassing this site and without encryption.",
            fix,
        )
    return block(
        "backend.open",
        f"{what} listens {where}, port {each.port}{described(each)}: anyone on the internet may be able to reach it without a password.",
        "This site's password protects nothing while Hermes can be reached without it. "
        + (
            "And ufw does not block it: Docker's rules come before ufw's."
            if published
            else "A firewall may block it today and not tomorrow."
        ),
        fix,
    )


def _fix(each: Listener) -> str:
    """What to change, as far as the socket alone tells."""
    if each.contained:
        return (
            f"It runs in container {each.unit.partition('-')[2]}, on this server's own network (network_mode: host): in its "
            f"command, set --host 127.0.0.1 --port {each.port} after hermes dashboard, and start it again."
        )
    if each.process in docker.PUBLISHERS:
        return f'In the compose file, write the port as "127.0.0.1:{each.port}:{PORT}" (the same for docker run -p), and start it again.'
    if each.unit and each.of_user:
        return (
            f"Make it listen on 127.0.0.1 only. As {each.user}: systemctl --user edit --full {each.unit} ; set --host "
            f"127.0.0.1 --port {each.port} in ExecStart ; systemctl --user restart {each.unit}"
        )
    if each.unit:
        return (
            f"Make it listen on 127.0.0.1 only: sudo systemctl edit --full {each.unit} ; set --host 127.0.0.1 --port "
            f"{each.port} in ExecStart ; sudo systemctl restart {each.unit}"
        )
    return f"Stop it, then start it with: hermes dashboard --host 127.0.0.1 --port {each.port} --no-open"


def _fix_in_docker(each: Listener, containers: Sequence[docker.Container]) -> str:
    """What to change, for a listener of a container that Docker knows; "" for another."""
    ports = [(container, port) for container in containers for port in container.published if port.port == each.port]
    if each.process in docker.PUBLISHERS and ports:
        container, port = ports[0]
        line = f'"127.0.0.1:{port.port}:{port.container_port}"'
        if container.files:
            return (
                f"In {' or '.join(container.files)}, under ports of the service {container.service}, write: - {line} (in the "
                f"long form: host_ip: 127.0.0.1)\nthen: {container.up_command}"
            )
        return f"Recreate the container {container.name} with -p {line.strip(chr(34))} instead of the port that it publishes now."
    own = next((one for one in containers if one.on_host_network and each.unit == f"docker-{one.id}"), None)
    if own and own.files:
        return (
            f"In {' or '.join(own.files)}, in the command of the service {own.service} (network_mode: host), set --host 127.0.0.1 "
            f"--port {each.port} after hermes dashboard, then: {own.up_command}"
        )
    return ""
