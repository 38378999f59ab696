"""The containers of this machine's Docker: where their ports are published, and which compose files start them.

Sources: docker-inspect(1); the labels are Compose's (docker/compose, pkg/api/labels.go).
"""

from __future__ import annotations

import json
import posixpath
import shlex
from collections.abc import Mapping
from typing import Any

from hermes_setup.host import Absent, Host
from hermes_setup.values import dataclass

SOCKET = "/run/docker.sock"
PUBLISHERS = ("docker-proxy", "rootlessport", "rootlesskit")
"""The processes that listen for a container: Docker's, rootless Podman's, rootless Docker's."""


@dataclass(frozen=True)
class Published:
    """A port of a container that is published on a port of this machine."""

    address: str  # of this machine: "0.0.0.0" and "::" are all
    port: int
    container_port: int


@dataclass(frozen=True)
class Container:
    """A running container."""

    id: str  # 12 digits, as `docker ps` shows it
    name: str
    on_host_network: bool
    published: tuple[Published, ...]
    files: tuple[str, ...]  # of Compose, () where it was started otherwise
    service: str
    project: str = ""
    folder: str = ""  # the project's

    @property
    def up_command(self) -> str:
        """The command that recreates it from its compose files, all of them, and under its project's name."""
        words = ["sudo", "docker", "compose", *(["-p", self.project] if self.project else [])]
        if self.folder and self.folder != posixpath.dirname(self.files[0]):
            words += ["--project-directory", self.folder]
        return shlex.join([*words, *(word for file in self.files for word in ("-f", file)), "up", "-d"])


def containers(host: Host) -> tuple[Container, ...]:
    """The running ones; () where Docker is not installed or does not answer."""
    if isinstance(host.look(SOCKET), Absent):
        return ()
    ids = host.ask(("docker", "ps", "--quiet", "--no-trunc")).out.split()
    return parse(host.ask(("docker", "inspect", *ids)).out) if ids else ()


def parse(text: str) -> tuple[Container, ...]:
    """The containers in what `docker inspect` printed; anything that does not look like one is skipped."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    return tuple(_container(each) for each in found if isinstance(each, dict)) if isinstance(found, list) else ()


def _container(shown: Mapping[str, Any]) -> Container:
    config, host_config = shown.get("Config") or {}, shown.get("HostConfig") or {}
    labels = config.get("Labels") or {}
    ports = (shown.get("NetworkSettings") or {}).get("Ports") or {}
    return Container(
        str(shown.get("Id", ""))[:12],
        str(shown.get("Name", "")).lstrip("/"),
        host_config.get("NetworkMode") == "host",
        tuple(
            Published(place.get("HostIp") or "0.0.0.0", int(place["HostPort"]), int(inner.partition("/")[0]))  # noqa: S104 - as Docker says
            for inner, places in ports.items()
            if inner.endswith("/tcp")
            for place in places or ()
        ),
        tuple(filter(None, str(labels.get("com.docker.compose.project.config_files", "")).split(","))),
        *(str(labels.get(f"com.docker.compose.{key}", "")) for key in ("service", "project", "project.working_dir")),
    )
