"""Ports 80 and 443 are free, or nginx has them. Other programs are never stopped."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.engine.changes import Change
from hermes_setup.engine.findings import Finding, block
from hermes_setup.host import Host, Listener
from hermes_setup.phrases import ports_named
from hermes_setup.stages.firewall.nat import redirected_ports
from hermes_setup.stages.firewall.packets import PORTS
from hermes_setup.stages.hermes.docker import PUBLISHERS
from hermes_setup.values import dataclass

_ADVICE = {
    "apache2": "If you don't need Apache's sites: sudo systemctl disable --now apache2. If you do, move Apache to other "
    "ports (/etc/apache2/ports.conf), or use it as the proxy instead of nginx.",
    "caddy": "If you don't need Caddy's sites: sudo systemctl disable --now caddy. If you do, use Caddy as the proxy.",
    "lighttpd": "If you don't need lighttpd's sites: sudo systemctl disable --now lighttpd",
    "haproxy": "If you don't need HAProxy: sudo systemctl disable --now haproxy",
    "traefik": "If you don't need Traefik, stop it: sudo systemctl disable --now traefik, or its container (docker ps)",
    "systemd": "A socket unit holds it for a service. Find it: systemctl list-sockets ; if you don't need it: sudo "
    "systemctl disable --now NAME.socket",
    **dict.fromkeys(
        PUBLISHERS,
        "A container publishes it. Find it: docker ps ; publish it on another port, or stop it: docker stop NAME "
        "(with Podman: podman ps, podman stop).",
    ),
}


@dataclass(frozen=True)
class Facts:
    """Who listens on the two ports; and the ports that a NAT rule redirects past them, with that rule."""

    holders: tuple[Listener, ...]
    redirected: tuple[tuple[int, str], ...] = ()


class Ports:
    """See the module."""

    def inspect(self, answers: Answers, host: Host) -> Facts:  # noqa: ARG002 - the same for every answer
        """Reads the machine's sockets, and the NAT rules (with userland-proxy off, Docker has rules and no socket)."""
        holders = tuple(each for each in host.listeners() if each.port in PORTS)
        return Facts(holders, redirected_ports(host, PORTS))

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:  # noqa: ARG002
        """No one but this machine's nginx listens on them; one finding for each process."""
        found: dict[tuple[int, str], list[Listener]] = {}
        for each in facts.holders:
            if not _our_nginx(each):
                found.setdefault((each.pid, each.process), []).append(each)
        taken = {each.port for sockets in found.values() for each in sockets}
        redirected = [_redirected(port, rule) for port, rule in facts.redirected if port not in taken]
        return [*(_taken(sockets) for sockets in found.values()), *redirected]

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:  # noqa: ARG002
        """Nothing."""
        return ()


def _our_nginx(each: Listener) -> bool:
    """True for an nginx of this machine; one in a container reads other files."""
    return each.process == "nginx" and not each.contained


def _redirected(port: int, rule: str) -> Finding:
    return block(
        "ports.taken",
        f"Port {port} is redirected by a NAT rule of this server, most likely to a container that publishes it.",
        "Visitors would never reach nginx there. hermes-setup doesn't change such rules.",
        "Find the container: docker ps ; publish it on another port, or stop it. No container? sudo iptables -t nat -S "
        "PREROUTING. Then run hermes-setup again.",
        rule,
    )


def _taken(sockets: Sequence[Listener]) -> Finding:
    one = sockets[0]
    ports = ports_named(each.port for each in sockets)
    where = ", ".join(
        f"[{each.address}]:{each.port}" if ":" in each.address else f"{each.address}:{each.port}" for each in sockets
    )
    who = one.process or "a process that can't be seen from here"
    about = [f"process {one.pid}" if one.pid else "", f"unit {one.unit}" if one.unit else ""]
    details = f" ({', '.join(part for part in about if part)})" if any(about) else ""
    if one.unit.startswith("docker-"):
        container = one.unit.removeprefix("docker-")
        do = f"It runs in container {container}: docker ps ; publish it on another port, or stop it: docker stop {container}"
    elif one.contained:
        do = f"It runs in container {one.unit.removeprefix('container-')}, on this server's own network: machinectl list, or lxc list."
    elif one.unit and one.of_user and one.process not in PUBLISHERS:
        do = f"If you don't need it, as {one.user}: systemctl --user disable --now {one.unit}. If you do, move it to another port."
    elif one.process in _ADVICE:
        do = _ADVICE[one.process]
    elif one.unit:
        do = f"If you don't need it: sudo systemctl disable --now {one.unit}. If you do, move it to another port."
    elif one.pid:
        do = f"See what it is: ps -fp {one.pid}. Stop it, or move it to another port."
    else:
        do = f"See what it is: sudo ss -tlnp 'sport = :{one.port}' ; sudo docker ps"
    return block(
        "ports.taken",
        f"{ports.capitalize()} {'are' if ' and ' in ports else 'is'} taken by {who}{details}.",
        "nginx has to listen there: Let's Encrypt checks the domain on port 80, and browsers use 443. hermes-setup doesn't "
        "stop other programs.",
        f"{do.removesuffix('.')}. Then run hermes-setup again.",
        where,
    )
