"""What nginx would read: all its files, their server blocks, and the folder where ours goes.

Sources: nginx's `ngx_conf_file.c` (includes), docs/http/request_processing (which server answers).
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

from hermes_setup.host import ABSENT, File, Files, Host, Link, Node
from hermes_setup.nginx.syntax import BadConfig, Directive, parse
from hermes_setup.values import dataclass

CONF = "/etc/nginx/nginx.conf"
FOLDER = "/etc/nginx"
HEADER = "# Written by hermes-setup."  # how each file of ours starts
PID = "/run/nginx.pid"  # unless nginx.conf says otherwise


@dataclass(frozen=True)
class Listen:
    """One `listen`: address ("*", "[::]", "203.0.113.5", "unix:..."), port, and the options that matter to a neighbour."""

    address: str
    port: int
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Server:
    """One `server` block, and the file it is in (as nginx opened it: a link's path, not its target)."""

    path: str
    line: int
    names: tuple[str, ...]
    listens: tuple[Listen, ...]
    ours: bool = False


@dataclass(frozen=True)
class Config:
    """All that nginx would read, starting with nginx.conf. `problem`: the first thing in it that can't be read, "" for none."""

    files: Mapping[str, str]  # path as opened -> text
    servers: tuple[Server, ...]
    includes: tuple[str, ...]  # patterns of includes inside http, in order
    user: str
    group: str
    pid: str
    real_ip: tuple[str, ...] = ()  # set_real_ip_from of the http block, which all sites inherit
    http: frozenset[str] = frozenset()  # the directives of others in the http block itself, which all sites inherit
    streams: tuple[Server, ...] = ()  # those of stream blocks, which can't share a port with those of http
    problem: str = ""

    @property
    def sites_folder(self) -> str:
        """The folder whose files are read inside http: "sites-enabled", else "conf.d", "" for neither."""
        for pattern in (f"{FOLDER}/sites-enabled/*", f"{FOLDER}/conf.d/*.conf"):
            if pattern in self.includes:
                return posixpath.dirname(pattern)
        return ""

    def others(self) -> list[Server]:
        """The server blocks of http that we did not write."""
        return [server for server in self.servers if not server.ours]

    def others_named(self, name: str) -> list[Server]:
        """Those of them that serve that name. (A leading dot in server_name means the name itself, too.)"""
        return [server for server in self.others() if {name, f".{name}"} & set(server.names)]

    def optional(self, path: str) -> bool:
        """True when nginx reads that file because a pattern finds it, so it starts without that file, too."""
        return any(
            fnmatch.fnmatchcase(posixpath.basename(path), posixpath.basename(pattern))
            for pattern in self.includes
            if _is_pattern(pattern) and posixpath.dirname(pattern) == posixpath.dirname(path)
        )


def read(host: Files) -> Config:
    """The configuration as it is on the disk now. Never raises: what can't be read is in `problem`."""
    reader = _Reader(host)
    reader.read_file(CONF, (), required=True)
    user = reader.user
    return Config(
        files=reader.files,
        servers=tuple(reader.servers),
        includes=tuple(reader.includes),
        user=user[0] if user else "nobody",
        group=user[1] if len(user) > 1 else (user[0] if user else "nogroup"),
        pid=reader.pid,
        real_ip=tuple(reader.real_ip),
        http=frozenset(reader.http),
        streams=tuple(reader.streams),
        problem=reader.problem,
    )


DEBIAN_DEFAULT = Config(  # what the distribution's package contains, for a forecast before it is installed
    files={},
    servers=(Server(f"{FOLDER}/sites-enabled/default", 1, ("_",), (Listen("*", 80, ("default_server",)),)),),
    includes=(f"{FOLDER}/conf.d/*.conf", f"{FOLDER}/sites-enabled/*"),
    user="www-data",
    group="www-data",
    pid=PID,
)


MAX_DEPTH = 12  # blocks within blocks; deeper is a file that includes itself


class _Reader:
    def __init__(self, host: Files) -> None:
        self.host = host
        self.seen: set[tuple[str, tuple[str, ...]]] = set()
        self.files: dict[str, str] = {}
        self.servers: list[Server] = []
        self.streams: list[Server] = []
        self.includes: list[str] = []
        self.real_ip: list[str] = []
        self.http: set[str] = set()
        self.user: tuple[str, ...] = ()
        self.pid = PID
        self.problem = ""

    def read_file(self, path: str, inside: tuple[str, ...], *, required: bool) -> None:
        if (path, inside) in self.seen or len(inside) > MAX_DEPTH:  # an include of itself
            return
        self.seen.add((path, inside))
        node = follow_links(self.host, path)
        if not isinstance(node, File):
            if required:
                self._problem(f"{path}: no such file")
            return
        text = node.content.decode("utf-8", "surrogateescape")
        self.files[path] = text
        try:
            directives = parse(text, path)
        except BadConfig as error:
            self._problem(error.message)
            return
        self._walk(directives, path, inside, ours=text.startswith(HEADER))

    def _walk(self, directives: Sequence[Directive], path: str, inside: tuple[str, ...], *, ours: bool) -> None:
        for directive in directives:
            if inside == ("http",) and not ours:
                self.http.add(directive.name)
            match directive.name, directive.block:
                case "include", None if directive.args:
                    self._include(directive.args[0], inside)
                case "user", None if not inside:
                    self.user = directive.args
                case "set_real_ip_from", None if inside == ("http",) and directive.args:
                    self.real_ip.append(directive.args[0])
                case "pid", None if not inside and directive.args:
                    self.pid = directive.args[0]
                case "server", tuple(block) if inside[-1:] == ("http",):
                    self.servers.append(_server(block, path, directive.line, ours=ours))
                    self._walk(block, path, (*inside, "server"), ours=ours)
                case "server", tuple(block) if inside[-1:] == ("stream",):
                    self.streams.append(_server(block, path, directive.line, ours=ours))
                case name, tuple(block) if name in ("http", "stream", "events", "location", "if", "mail"):
                    self._walk(block, path, (*inside, name), ours=ours)
                case _:
                    pass

    def _include(self, pattern: str, inside: tuple[str, ...]) -> None:
        pattern = pattern if pattern.startswith("/") else f"{FOLDER}/{pattern}"
        if inside[-1:] == ("http",):
            self.includes.append(pattern)
        for path in glob(self.host, pattern):
            self.read_file(path, inside, required=not _is_pattern(pattern))

    def _problem(self, text: str) -> None:
        self.problem = self.problem or text


def _server(block: Sequence[Directive], path: str, line: int, *, ours: bool) -> Server:
    names = tuple(name.lower() for d in block if d.name == "server_name" for name in d.args)
    listens = tuple(parse_listen(d.args) for d in block if d.name == "listen" and d.args)
    return Server(path, line, names, listens or (Listen("*", 80),), ours)


def parse_listen(args: Sequence[str]) -> Listen:
    """`listen`'s arguments (ngx_http_core_module): an address, a port, or both, then options."""
    text = args[0]
    if text.startswith("unix:"):
        return Listen(text, 0, tuple(args[1:]))
    match = re.fullmatch(r"(?:(\[[^\]]*\]|[^:\[\]]*?):)?(\d+)", text)
    address, port = (match.group(1) or "*", int(match.group(2))) if match else (text, 80)
    return Listen("*" if address in ("*", "0.0.0.0") else address, port, tuple(args[1:]))  # noqa: S104


def end_of_links(host: Files, path: str, hops: int = 10) -> tuple[str, Node]:
    """Where that path leads, links and all, and what is there; ABSENT for a dangling or circular link."""
    node = host.look(path)
    while isinstance(node, Link) and hops:
        path, hops = link_target(path, node), hops - 1
        node = host.look(path)
    return path, ABSENT if isinstance(node, Link) else node


def follow_links(host: Files, path: str) -> Node:
    """What is at that path, or behind its links; a dangling or circular link is ABSENT."""
    return end_of_links(host, path)[1]


def file_at(host: Files, path: str) -> File | None:
    """The file at that path, or behind its links; None for anything else."""
    node = follow_links(host, path)
    return node if isinstance(node, File) else None


def text_of(node: Node | None) -> str:
    """The text of a file, whatever bytes are in it; "" for anything else."""
    return node.content.decode("utf-8", "surrogateescape") if isinstance(node, File) else ""


def _is_pattern(text: str) -> bool:
    return any(char in text for char in "*?[")


def glob(host: Files, pattern: str) -> Iterator[str]:
    """The paths that match the pattern, in the order in which nginx reads them: by bytes, hidden files left out."""
    folder, name = posixpath.split(pattern)
    if not _is_pattern(name):
        yield pattern
        return
    for entry in host.names(folder):
        if fnmatch.fnmatchcase(entry, name) and (not entry.startswith(".") or name.startswith(".")):
            yield posixpath.join(folder, entry)


def version(host: Host) -> tuple[int, ...]:
    """nginx's version, () when it is not installed. `nginx -v` writes it to stderr."""
    return parse_version(host.ask(["nginx", "-v"]).err)


def parse_version(text: str) -> tuple[int, ...]:
    """The first thing in the text that looks like 1.22.1."""
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in match.groups()) if match else ()


def link_target(path: str, node: Node) -> str:
    """The full path that a link points to, "" for anything else."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), node.target)) if isinstance(node, Link) else ""


def content_behind(nodes: Mapping[str, Node], config: Config, path: str) -> bytes:
    """The bytes behind that path: the file's own, or those that nginx read through the link."""
    node = nodes.get(path)
    return node.content if isinstance(node, File) else config.files.get(path, "").encode("utf-8", "surrogateescape")


def upstream_address(site: str) -> str:
    """Where the site of ours with that text sends requests, "" when it has no upstream yet."""
    match = re.search(r"^upstream hermes_dashboard \{\s*server ([0-9A-Fa-f.:\[\]]+);", site, re.M)
    return match.group(1) if match else ""
