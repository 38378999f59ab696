"""Hermes that others than this machine can reach: whose socket it is, and the setting that makes it listen for nginx only."""

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
    what = "Hermes" if dashboard else "Something (Hermes, most likely)"
    published = each.process in docker.PUBLISHERS
    fix = _fix_in_docker(each, containers) or _fix(each)
    if dashboard and dashboard.status.login and not published:
        return warn(
            "backend.login-only",
            f"{what} listens {where}, port {each.port}{described(each)}; only its own login guards it there.",
            "Everybody can try passwords at it, past this site's gate and without encryption.",
            fix,
        )
    return block(
        "backend.open",
        f"{what} listens {where}, port {each.port}{described(each)}: everybody on the internet may reach it without a password.",
        "A password in front of it would guard nothing while there is a second door. "
        + (
            "And ufw does not close it: the rules of Docker come before those of ufw."
            if published
            else "A firewall may hide it today and not tomorrow."
        ),
        fix,
    )


def _fix(each: Listener) -> str:
    """What to change where, by what is seen of the socket alone."""
    if each.contained:
        return (
            f"It is in container {each.unit.partition('-')[2]}, on this server's own network (network_mode: host): "
            f"put --host 127.0.0.1 --port {each.port} behind hermes dashboard in its command, and start it anew."
        )
    if each.process in docker.PUBLISHERS:
        return f'In the compose file, write the port as "127.0.0.1:{each.port}:{PORT}" (or docker run -p the same), and start it anew.'
    if each.unit and each.of_user:
        return (
            f"Let it listen on 127.0.0.1 only. As {each.user}: systemctl --user edit --full {each.unit} ; put --host "
            f"127.0.0.1 --port {each.port} into ExecStart ; systemctl --user restart {each.unit}"
        )
    if each.unit:
        return (
            f"Let it listen on 127.0.0.1 only: sudo systemctl edit --full {each.unit} ; put --host 127.0.0.1 --port "
            f"{each.port} into ExecStart ; sudo systemctl restart {each.unit}"
        )
    return f"Stop it and start it with: hermes dashboard --host 127.0.0.1 --port {each.port} --no-open"


def _fix_in_docker(each: Listener, containers: Sequence[docker.Container]) -> str:
    """What to change where, for a listener of a container that Docker tells of; "" for another."""
    ports = [(container, port) for container in containers for port in container.published if port.port == each.port]
    if each.process in docker.PUBLISHERS and ports:
        container, port = ports[0]
        line = f'"127.0.0.1:{port.port}:{port.inner}"'
        if container.files:
            return (
                f"In {' or '.join(container.files)}, at the service {container.service}, under ports, write: - {line} (in the "
                f"long form: host_ip: 127.0.0.1)\nthen: {container.up}"
            )
        return f"Start the container {container.name} anew with -p {line.strip(chr(34))} instead of what it has now."
    own = next((one for one in containers if one.on_host_network and each.unit == f"docker-{one.id}"), None)
    if own and own.files:
        return (
            f"In {' or '.join(own.files)}, at the service {own.service} (network_mode: host), put --host 127.0.0.1 --port "
            f"{each.port} behind hermes dashboard in its command, then: {own.up}"
        )
    return ""
