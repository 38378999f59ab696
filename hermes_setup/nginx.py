"""nginx's configuration: read as nginx reads it, rendered, and tried on a copy before it takes its place.

Sources: nginx's `ngx_conf_file.c` (tokens, quotes, includes), docs/http/request_processing (which server answers),
`ngx_http_auth_basic_module`, `ngx_hash.c` (why long map keys fail). crossplane would parse it, too, but it opens the
paths itself and so would look past an Overlay; see docs/explanation/decisions/0003-own-nginx-parser.md.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from hermes_setup.errors import CommandFailed, HermesSetupError
from hermes_setup.findings import Finding
from hermes_setup.host import ABSENT, Absent, File, Files, Folder, Host, Link, Node, System
from hermes_setup.values import dataclass, field

CONF = "/etc/nginx/nginx.conf"
FOLDER = "/etc/nginx"
PID = "/run/nginx.pid"
OURS = "# Written by hermes-setup."
TRIAL = "/run/hermes-setup/nginx"


class BadConfig(HermesSetupError):
    """A file that nginx would not accept, either."""


# -- reading ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Directive:
    """One directive; `block` is None where it ends with a semicolon. `spans` are the places of its arguments in the text."""

    name: str
    args: tuple[str, ...]
    line: int
    spans: tuple[tuple[int, int], ...] = field(default=(), compare=False)
    block: tuple[Directive, ...] | None = None


_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<comment>\#[^\n]*)|(?P<mark>[{};])
      |(?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
      |(?P<word>(?:\\.|\$\{[^}]*\}|[^\s{};\\"'])(?:\\.|\$\{[^}]*\}|[^\s{};\\])*)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"""\\(["'\\ trn])""")
_ESCAPED = {"t": "\t", "r": "\r", "n": "\n"}


@lru_cache(maxsize=256)  # several stages read the same files
def parse(text: str, path: str = "nginx.conf") -> tuple[Directive, ...]:
    """The directives of one file. Raises BadConfig with the line where nginx would stop, too."""
    tokens = list(_tokens(text, path))
    directives, rest = _block(tokens, 0, path, top=True)
    if rest != len(tokens):
        raise BadConfig(f'{path}:{tokens[rest][3]}: there is a "}}" too many.', hint=f"Look at: sudo nano {path}")
    return directives


def _tokens(text: str, path: str) -> Iterator[tuple[str, str, tuple[int, int], int]]:
    at, line = 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match:
            raise BadConfig(f"{path}:{line}: a quote is opened and never closed.", hint=f"Look at: sudo nano {path}")
        kind = match.lastgroup or ""
        if kind in ("mark", "quoted", "word"):
            yield kind, match.group(), match.span(), line
        line += match.group().count("\n")
        at = match.end()


def _block(
    tokens: Sequence[tuple[str, str, tuple[int, int], int]], at: int, path: str, *, top: bool
) -> tuple[tuple[Directive, ...], int]:
    found: list[Directive] = []
    words: list[tuple[str, tuple[int, int], int]] = []
    while at < len(tokens):
        kind, text, span, line = tokens[at]
        at += 1
        if kind != "mark":
            words.append((_unquote(text) if kind == "quoted" else _ESCAPE.sub(_plain, text), span, line))
        elif text == "}":
            if words or top:
                raise BadConfig(f'{path}:{line}: unexpected "}}".', hint=f"Look at: sudo nano {path}")
            return tuple(found), at
        elif not words:
            raise BadConfig(f'{path}:{line}: unexpected "{text}".', hint=f"Look at: sudo nano {path}")
        else:
            block: tuple[Directive, ...] | None = None
            name, _, start = words[0]
            if text == "{":
                if name.endswith("_by_lua_block"):
                    at, block = _skip_lua(tokens, at), ()
                else:
                    block, at = _block(tokens, at, path, top=False)
            args = tuple(word for word, _, _ in words[1:])
            found.append(Directive(name, args, start, tuple(where for _, where, _ in words[1:]), block))
            words = []
    if words or not top:
        raise BadConfig(f'{path}: ends in the middle, a ";" or "}}" is missing.', hint=f"Look at: sudo nano {path}")
    return tuple(found), at


def _skip_lua(tokens: Sequence[tuple[str, str, tuple[int, int], int]], at: int) -> int:
    depth = 1
    while at < len(tokens) and depth:
        depth += {"{": 1, "}": -1}.get(tokens[at][1], 0)
        at += 1
    return at


def _plain(match: re.Match[str]) -> str:
    return _ESCAPED.get(match.group(1), match.group(1))


def _unquote(text: str) -> str:
    return _ESCAPE.sub(_plain, text[1:-1])


@dataclass(frozen=True)
class Listen:
    """One `listen`: address ("*", "[::]", "203.0.113.5", "unix:..."), port, and the options that matter to a neighbour."""

    address: str
    port: int
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Server:
    """One `server` block, and the file it stands in (as nginx opened it: a link's path, not its target)."""

    path: str
    line: int
    names: tuple[str, ...]
    listens: tuple[Listen, ...]
    ours: bool = False


@dataclass(frozen=True)
class Config:
    """All that nginx would read, from nginx.conf on. `problem` is the first thing that stops us from reading it."""

    files: Mapping[str, str]  # path as opened -> text
    servers: tuple[Server, ...]
    includes: tuple[str, ...]  # patterns of includes inside http, in order
    user: str
    group: str
    pid: str
    http2: bool = False  # somebody else switches HTTP/2 on by `listen ... http2`
    real_ip: tuple[str, ...] = ()  # set_real_ip_from of the http block, which all sites inherit
    streams: tuple[Server, ...] = ()  # those of stream blocks, which share no port with those of http
    problem: str = ""

    @property
    def sites(self) -> str:
        """The folder whose files are read inside http: "sites-enabled", else "conf.d", "" for neither."""
        for pattern in (f"{FOLDER}/sites-enabled/*", f"{FOLDER}/conf.d/*.conf"):
            if pattern in self.includes:
                return posixpath.dirname(pattern)
        return ""

    def optional(self, path: str) -> bool:
        """True when nginx reads that file because a pattern finds it, so that it may as well not be there."""
        return any(
            fnmatch.fnmatchcase(posixpath.basename(path), posixpath.basename(pattern))
            for pattern in self.includes
            if _is_pattern(pattern) and posixpath.dirname(pattern) == posixpath.dirname(path)
        )


def read(host: Files) -> Config:
    """The configuration as it is on the disk now. Never raises: what cannot be read is in `problem`."""
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
        streams=tuple(reader.streams),
        http2=any(
            "http2" in listen.options for server in reader.servers if not server.ours for listen in server.listens
        ),
        problem=reader.problem,
    )


DEBIAN = Config(  # what the distribution's package brings, for a forecast before it is installed
    files={},
    servers=(Server(f"{FOLDER}/sites-enabled/default", 1, ("_",), (Listen("*", 80, ("default_server",)),)),),
    includes=(f"{FOLDER}/conf.d/*.conf", f"{FOLDER}/sites-enabled/*"),
    user="www-data",
    group="www-data",
    pid=PID,
)


DEEPEST = 12  # blocks within blocks; more is a file that includes itself


class _Reader:
    def __init__(self, host: Files) -> None:
        self.host = host
        self.seen: set[tuple[str, tuple[str, ...]]] = set()
        self.files: dict[str, str] = {}
        self.servers: list[Server] = []
        self.streams: list[Server] = []
        self.includes: list[str] = []
        self.real_ip: list[str] = []
        self.user: tuple[str, ...] = ()
        self.pid = PID
        self.problem = ""

    def read_file(self, path: str, inside: tuple[str, ...], *, required: bool) -> None:
        if (path, inside) in self.seen or len(inside) > DEEPEST:  # an include of itself
            return
        self.seen.add((path, inside))
        node = resolve(self.host, path)
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
        self._walk(directives, path, inside, ours=text.startswith(OURS))

    def _walk(self, directives: Sequence[Directive], path: str, inside: tuple[str, ...], *, ours: bool) -> None:
        for directive in directives:
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
        for path in expand(self.host, pattern):
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


def resolve(host: Files, path: str, hops: int = 10) -> Node:
    """What is at that path after following links; a dangling or circular one is ABSENT."""
    node = host.look(path)
    while isinstance(node, Link) and hops:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), node.target))
        node, hops = host.look(path), hops - 1
    return ABSENT if isinstance(node, Link) else node


def _is_pattern(text: str) -> bool:
    return any(char in text for char in "*?[")


def expand(host: Files, pattern: str) -> Iterator[str]:
    """The paths that glob(3) would find, in its order (bytes, hidden files left out)."""
    folder, name = posixpath.split(pattern)
    if not _is_pattern(name):
        yield pattern
        return
    for entry in host.names(folder):
        if fnmatch.fnmatchcase(entry, name) and (not entry.startswith(".") or name.startswith(".")):
            yield posixpath.join(folder, entry)


# -- asking the program ---------------------------------------------------------------------------------------------------


def version(host: Host) -> tuple[int, ...]:
    """nginx's version, () when it is not installed. `nginx -v` writes it to stderr."""
    return parse_version(host.ask(["nginx", "-v"]).err)


def parse_version(text: str) -> tuple[int, ...]:
    """The first thing in the text that looks like 1.22.1."""
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in match.groups()) if match else ()


@dataclass(frozen=True)
class Workers:
    """The running nginx: its master (0: none), and its workers that still take connections."""

    master: int
    accepting: frozenset[str]  # "pid.starttime"


def workers(host: Host, pid_path: str = PID) -> Workers:
    """What runs now, from the PID file and /proc (proc(5)). A retiring worker says so in its title (ngx_setproctitle)."""
    node = host.look(pid_path if not pid_path.startswith("/var/run/") else pid_path.removeprefix("/var"))
    text = node.content.decode(errors="replace").strip() if isinstance(node, File) else ""
    if not text.isdigit() or "nginx: master" not in _title(host, text):
        return Workers(0, frozenset())
    children = host.look(f"/proc/{text}/task/{text}/children")
    pids = (
        children.content.decode().split() if isinstance(children, File) and children.content else _children(host, text)
    )
    alive = set()
    for pid in pids:
        title = _title(host, pid)
        if "nginx: worker" in title and "shutting down" not in title:
            alive.add(f"{pid}.{_stat(host, pid)[1]}")
    return Workers(int(text), frozenset(alive))


def retiring(host: Host, pid_path: str = PID) -> int:
    """How many old workers live on, because someone (an open chat, most often) is still connected to them."""
    master = workers(host, pid_path).master
    return sum("shutting down" in _title(host, pid) for pid in _children(host, str(master))) if master else 0


def _children(host: Host, parent: str) -> list[str]:
    return [pid for pid in host.names("/proc") if pid.isdigit() and _stat(host, pid)[0] == parent]


def _title(host: Host, pid: str) -> str:
    node = host.look(f"/proc/{pid}/cmdline")
    return node.content.replace(b"\0", b" ").decode(errors="replace") if isinstance(node, File) else ""


def _stat(host: Host, pid: str) -> tuple[str, str]:
    """(parent's pid, start time): fields 4 and 22 of /proc/pid/stat, counted behind the name's last parenthesis."""
    node = host.look(f"/proc/{pid}/stat")
    fields = node.content.decode(errors="replace").rpartition(")")[2].split() if isinstance(node, File) else []
    return (fields[1], fields[19]) if len(fields) > 19 else ("", "")


def reloaded(before: object, now: Workers) -> bool:
    """True when new workers take the connections and none of the old ones does any more."""
    old = before.accepting if isinstance(before, Workers) else frozenset()
    return bool(now.accepting) and not (old & now.accepting)


# -- trying on a copy -------------------------------------------------------------------------------------------------------


def copy_of(files: Files, changes: Mapping[str, Node], to: str = TRIAL) -> dict[str, Node]:
    """The tree below /etc/nginx as it would be after the changes, to be laid out at `to`.

    Files that nginx reads as configuration are copied, with their includes (and the pid file) pointing into the copy;
    all else is linked to where it really is, so that relative paths of certificates and the like still hold.
    """
    planned = _Planned(files, changes)
    texts = read(planned).files
    laid: dict[str, Node] = {to: Folder(0o700)}
    folders = {FOLDER, *(folder for path in texts if path.startswith(FOLDER + "/") for folder in _above(path))}
    for folder in sorted(folders):
        for name in planned.names(folder):
            path = f"{folder}/{name}"
            if path in texts:
                laid[to + path.removeprefix(FOLDER)] = File(
                    _pointing_into(texts[path], path, to).encode("utf-8", "surrogateescape"), 0o600
                )
            elif path not in folders:
                laid[to + path.removeprefix(FOLDER)] = Link(path)
    return laid


def _above(path: str) -> Iterator[str]:
    while (path := posixpath.dirname(path)) != FOLDER:
        yield path


def _pointing_into(text: str, path: str, to: str) -> str:
    edits: list[tuple[int, int, str]] = []

    def walk(directives: Sequence[Directive], *, top: bool) -> None:
        for directive in directives:
            if directive.name == "include" and directive.args and directive.args[0].startswith(FOLDER + "/"):
                edits.append((*directive.spans[0], to + directive.args[0].removeprefix(FOLDER)))
            if directive.name == "pid" and top and path == CONF and directive.args:
                edits.append((*directive.spans[0], f"{to}/nginx.pid"))
            walk(directive.block or (), top=False)

    try:
        walk(parse(text, path), top=True)
    except BadConfig:
        return text  # nginx will say it better
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


class _Planned:
    """The machine's paths with the planned changes in them."""

    def __init__(self, files: Files, changes: Mapping[str, Node]) -> None:
        self._files = files
        self._changes = changes

    def look(self, path: str) -> Node:
        return self._changes[path] if path in self._changes else self._files.look(path)

    def names(self, folder: str) -> tuple[str, ...]:
        found = set(self._files.names(folder))
        for path, node in self._changes.items():
            if posixpath.dirname(path) == folder:
                (found.discard if isinstance(node, Absent) else found.add)(posixpath.basename(path))
        return tuple(sorted(found))


@dataclass(frozen=True)
class Trial:
    """Have the real nginx judge the tree with these changes in it, before any of them takes its place."""

    changes: Mapping[str, Node]

    def __call__(self, system: System) -> Sequence[Finding]:
        """nginx accepts it. Raises HermesSetupError with nginx's own words otherwise; the copy is gone either way."""
        _clear(system, TRIAL)
        try:
            for path, node in copy_of(system, self.changes).items():
                system.put(path, node)
            try:
                system.run(["nginx", "-t", "-q", "-c", f"{TRIAL}/nginx.conf"], seconds=60)
            except CommandFailed as error:
                links = {path: target(path, system.look(path)) for path in re.findall(r" in (/[^\s:]+):", error.output)}
                own = [path for path, leads in links.items() if leads.replace(TRIAL, FOLDER) in self.changes]
                raise refused(
                    error, {**self.changes, **dict.fromkeys((p.replace(TRIAL, FOLDER) for p in own), ABSENT)}
                ) from error
        finally:
            _clear(system, TRIAL)
        return ()


def _clear(system: System, folder: str) -> None:
    for name in system.names(folder):
        path = f"{folder}/{name}"
        if isinstance(system.look(path), Folder):
            _clear(system, path)
        else:
            system.put(path, ABSENT)
    if isinstance(system.look(folder), Folder):
        system.put(folder, ABSENT)


def refused(error: CommandFailed, changes: Mapping[str, Node]) -> HermesSetupError:
    """What nginx said, with the real paths, and whose file it is."""
    said = error.output.replace(TRIAL, FOLDER)
    line = next(
        (row for row in said.splitlines() if "[emerg]" in row), said.strip().splitlines()[-1] if said.strip() else ""
    )
    line = re.sub(r"^.*\[emerg\]\s*(\d+#\d+: )?", "", line)
    where = re.search(r" in (/[^\s:]+):(\d+)", line)
    if where and where.group(1) not in changes:
        hint = (
            f"That file is not ours, and nginx would not start with it. Mend line {where.group(2)}: "
            f"sudo nano +{where.group(2)} {where.group(1)} ; then: sudo nginx -t ; then run hermes-setup again."
        )
    else:
        hint = "Nothing was changed. Look at: sudo nginx -t"
    return CommandFailed(f"nginx would not accept the new configuration: {line}.", hint=hint, output=said)


# -- rendering --------------------------------------------------------------------------------------------------------------


@lru_cache
def _templates() -> str:
    """Beside the package when it is installed, at the repository's top in a checkout."""
    here = os.path.dirname(os.path.realpath(__file__))
    places = (os.path.join(here, "templates"), os.path.join(os.path.dirname(here), "templates"))
    return next((path for path in places if os.path.isdir(path)), here)


@lru_cache
def template(name: str) -> str:
    """The text of a template."""
    with open(os.path.join(_templates(), name), encoding="utf-8") as file:
        return file.read()


def compile_templates() -> None:
    """Each template's code is kept beside them, as Python keeps that of its modules; install.sh calls this.

    To compile them takes as long as all checks together. A template that differs from its code is compiled anew.
    """
    os.makedirs(os.path.join(_templates(), _COMPILED), exist_ok=True)
    for entry in sorted(os.scandir(_templates()), key=lambda entry: entry.name):
        if entry.is_file():
            _compiled(entry.name)


_COMPILED = "__pycache__"


class Rendered:
    """Texts that were rendered, by what they came of. A run knows those of the last one, and so need not load jinja2."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        """Of earlier runs; whoever sets it vouches for them."""
        self.used: dict[str, str] = {}
        """Of this run."""


rendered = Rendered()


def render(name: str, **values: object) -> str:
    """A template filled in. Every value is a parsed one: nothing in it can end a string or a directive.

    The same templates, values and program give the same text. Raises TypeError for a value that has no plain spelling.
    """
    mark = digest(name, _spelled(values), *_texts())
    text = rendered.used.get(mark) or rendered.known.get(mark) or str(_compiled(name).render(**values))
    return rendered.used.setdefault(mark, text)


def _spelled(value: object) -> str:
    """The value in words that no other has."""
    match value:
        case None | bool() | int() | str():
            return repr(value)
        case tuple() | list():
            return f"[{','.join(map(_spelled, value))}]"
        case dict():
            return f"{{{','.join(f'{_spelled(key)}:{_spelled(each)}' for key, each in value.items())}}}"
        case _ if names := getattr(type(value), "__match_args__", ()):
            return f"{type(value).__name__}{_spelled({name: getattr(value, name) for name in names})}"
        case _:
            raise TypeError(f"no plain spelling of a {type(value).__name__}")


@lru_cache
def _texts() -> tuple[str, ...]:
    """What makes a text of the values, and where it lies: this module and all templates, as one may include another."""
    with open(__file__, encoding="utf-8") as file:
        own = file.read()
    names = sorted(name for name in os.listdir(_templates()) if not name.startswith("_"))
    return (os.path.realpath(__file__), own, *map(template, names))


@lru_cache
def _compiled(name: str) -> Any:
    import jinja2

    kept = os.path.join(_templates(), _COMPILED)
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(template),
        bytecode_cache=jinja2.FileSystemBytecodeCache(kept) if os.path.isdir(kept) else None,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - nginx, not HTML
    )
    environment.filters["quote"] = quote
    return environment.get_template(name)


def quote(text: str) -> str:
    """The text as one nginx argument: quoted, with backslash and quote escaped (ngx_conf_read_token)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


LONGEST_KEY = 46
"""The longest key that fits a hash bucket of 64 bytes: pointer + 2 bytes of length + key, aligned, + end (ngx_hash.c).

The buckets' size is a setting of the whole http block, so it is not ours to change.
"""


def exact(text: str) -> str:
    """A regular expression for exactly that text, fit for every place where nginx takes one after a ~."""
    return (
        "^"
        + "".join(
            chr(b) if chr(b).isalnum() and b < 128 else f"\\x{b:02x}" for b in text.encode("utf-8", "surrogateescape")
        )
        + "$"
    )


def map_key(text: str) -> str:
    """The text as a key of a map (ngx_http_map_module). What is too long for its hash becomes a regular expression."""
    return f"~{exact(text)}" if len(text.encode("utf-8", "surrogateescape")) > LONGEST_KEY else text


def server_name(domain: str) -> str:
    """The domain as server_name has it. One too long for the hash becomes a regular expression; those are asked last."""
    return f"~{exact(domain)}" if len(domain) > LONGEST_KEY else domain


def digest(*texts: str | bytes) -> str:
    """A short name for exactly these texts."""
    joined = hashlib.sha256()
    for text in texts:
        raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        joined.update(len(raw).to_bytes(8, "big") + raw)
    return joined.hexdigest()[:24]


def sha256(der: bytes) -> str:
    """The fingerprint of a certificate as `openssl x509 -fingerprint -sha256` has it, without colons, in lower case."""
    return hashlib.sha256(der).hexdigest() if der else ""


def target(path: str, node: Node) -> str:
    """The full path that a link points to, "" for anything else."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), node.target)) if isinstance(node, Link) else ""


def content(nodes: Mapping[str, Node], config: Config, path: str) -> bytes:
    """The bytes behind that path: the file's own, or what nginx read through the link."""
    node = nodes.get(path)
    return node.content if isinstance(node, File) else config.files.get(path, "").encode("utf-8", "surrogateescape")


def upstream(site: str) -> str:
    """The address in a site's text that we wrote, "" when it has none yet."""
    match = re.search(r"^upstream hermes_dashboard \{\s*server ([0-9A-Fa-f.:\[\]]+);", site, re.M)
    return match.group(1) if match else ""
