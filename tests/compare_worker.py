"""The part of tests/compare that runs inside a sandbox, once for each of the two trees: cases in, what was seen out.

    compare_worker.py TREE ADAPTER CASES RESULTS      (JSON files; started by tests/compare in namespaces of its own)

A case is a machine and steps: command lines that are typed there one after the other. Each step is a process of its own
(a fork of this one, or a new Python), on a machine whose files, commands, sockets, DNS and pages are data; what it
writes there stays in memory and is there for the next step. Its notes are real files, in a folder that only we see.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import importlib
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from fcntl import ioctl
from pathlib import Path
from typing import Any

# Read and written by the program itself, past its Host: these really lie in the sandbox.
INPUTS = Path("/mnt/in")
REAL = ("/etc/nginx/", "/var/lib/hermes-setup/", f"{INPUTS}/")
MARK = Path("/etc/hermes-setup-comparison")
"""Stands only in the sandbox that tests/compare makes, and is looked for before anything is removed."""
STATE = Path("/var/lib/hermes-setup")
LOG = Path("/var/log/hermes-setup.log")
LONGEST = 60.0
MTIME = datetime.fromisoformat("2026-11-20T00:00:00+00:00").timestamp()
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb", "PYTHONHASHSEED": "0"}
PROMPT = re.compile(rb"(?:^|\n)\? [^\n]*(?:: |\] )\Z")


# ---- nothing is by chance ----


class Chance:
    """What stands for the system's source of random bytes: the same ones in the same order."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            self.count += 1
            found += hashlib.sha256(b"chance %d" % self.count).digest()
        return found[:size]


CHANCE = Chance()


def no_chance() -> None:
    """Before anything that draws is loaded."""
    import random

    os.urandom = CHANCE
    random._urandom = CHANCE  # type: ignore[attr-defined]  # what SystemRandom, and so secrets and passlib, draw from


# ---- a machine that is data ----


def raw(told: Any) -> bytes:
    return base64.b64decode(told["base64"]) if isinstance(told, dict) else told.encode("utf-8", "surrogateescape")


def spelled(content: bytes) -> Any:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


class Recorded:
    """A Host whose every answer was written down. What was not is not there, and every name server says the same."""

    def __init__(self, told: Mapping[str, Any], values: Any) -> None:
        self.values = values
        self.files = {path: self._node(node) for path, node in told.get("files", {}).items()}
        self.commands = {tuple(argv): (code, out, err) for argv, code, out, err in told.get("commands", ())}
        self.records: Mapping[str, Any] = told.get("dns", {})
        self.pages: Mapping[str, Any] = told.get("pages", {})
        self.sockets = tuple(values.Listener(**each) for each in told.get("listeners", ()))
        self.own = tuple(told.get("addresses", ()))
        self.time = datetime.fromisoformat(told.get("now") or "2026-11-23T12:00:00+00:00")
        self.children: dict[str, set[str]] = {}
        for path in self.files:
            at = path
            while at != "/":
                folder, name = os.path.split(at)
                self.children.setdefault(folder, set()).add(name)
                at = folder
        for folder, names in told.get("names", {}).items():
            if folder not in told.get("complete", ()):
                self.children.setdefault(folder, set()).update(names)

    def _node(self, told: Mapping[str, Any]) -> Any:
        if "file" in told:
            return self.values.File(raw(told["file"]), told.get("mode", 0o644), *self._owners(told))
        if "link" in told:
            return self.values.Link(told["link"])
        if "folder" in told:
            return self.values.Folder(told["folder"], *self._owners(told))
        return self.values.Special(told["special"])

    @staticmethod
    def _owners(told: Mapping[str, Any]) -> tuple[str, str]:
        return told.get("owner", "root"), told.get("group", "root")

    def look(self, path: str) -> Any:
        """A folder is there as soon as something is in it."""
        found = self.files.get(path.rstrip("/") or "/")
        if found is None:
            inside = path in self.children or path == "/"
            return self.values.Folder() if inside else self.values.ABSENT
        return found

    def names(self, folder: str) -> tuple[str, ...]:
        return tuple(sorted(self.children.get(folder.rstrip("/") or "/", ()), key=os.fsencode))

    def ask(self, argv: Sequence[str], *, seconds: float = 4.0) -> Any:
        found = self.commands.get(tuple(argv))
        return self.values.Ran(*(found or (127, "", f"{argv[0]}: no such command")))

    def listeners(self) -> tuple[Any, ...]:
        return self.sockets

    def addresses(self) -> tuple[str, ...]:
        return self.own

    def dns(self, name: str, kind: str, *, server: str = "", seconds: float = 3.0) -> Any:
        told = self.records.get(f"{name} {kind} {server}".strip()) or self.records.get(f"{name} {kind}")
        status, found, ttl, _ = told or ("nxdomain", (), 60, "")
        return self.values.Records(status, tuple(found), ttl, server)

    def fetch(self, request: Any) -> Any:
        scheme = "https" if request.tls else "http"
        told = self.pages.get(
            f"{request.method} {scheme}://{request.address} {request.port} {request.name} {request.path}"
        )
        if told is None:
            return self.values.Response(0, error="refused")
        headers = tuple((key, value) for key, value in told.get("headers", ()))
        certificate = base64.b64decode(told.get("certificate", ""))
        return self.values.Response(
            told["status"], headers, raw(told.get("body", "")), told.get("error", ""), certificate
        )

    def given(self, fact: str) -> bool:
        return False

    def now(self) -> datetime:
        return self.time


def playground(adapter: Any, told: Mapping[str, Any], kept: Path) -> Any:
    """What stands for the machine that the program runs on, as the steps before left it; `kept` is where it is written down."""
    values, failed = adapter.values(), adapter.command_failed()

    class Playground(adapter.Local, adapter.overlay()):  # type: ignore[misc]  # known only at run time
        """Writes stay in memory, and are told; a command is told, and fails where the machine says so."""

        def __init__(self) -> None:
            super().__init__(Recorded(told, values))
            self.heard: Callable[[str], None] = lambda _line: None
            self.effects: list[Any] = []
            self.had: dict[str, Any] = {}
            if kept.exists():
                before = json.loads(kept.read_text("utf-8"))
                self.had = before["nodes"]
                recorded = Recorded({"files": {path: node for path, node in self.had.items() if node}}, values)
                for path, node in self.had.items():
                    self._nodes[path] = recorded.files[path] if node else values.ABSENT
                self._given = set(before["given"])

        def put(self, path: str, node: Any) -> None:
            super().put(path, node)
            self.effects.append(["put", path, self._spelled(node)])
            if path.startswith(REAL):
                really(path, self._spelled(node))

        def run(self, argv: Sequence[str], **options: Any) -> Any:
            self.effects.append(["run", list(argv), options.get("gives", ""), dict(options.get("env") or {})])
            for words, code, output in told.get("fails", ()):
                if all(word in argv for word in words):
                    raise failed(f"{' '.join(argv)} failed with status {code}.", output=output, code=code)
            return super().run(argv, **options)

        def _spelled(self, node: Any) -> Any:
            match type(node).__name__:
                case "File":
                    return {
                        **{"file": spelled(node.content), "mode": node.mode},
                        **{"owner": node.owner, "group": node.group},
                    }
                case "Link":
                    return {"link": node.target}
                case "Folder":
                    return {"folder": node.mode, "owner": node.owner, "group": node.group}
                case _:
                    return None

        def keep(self) -> None:
            nodes = {path: self._spelled(node) for path, node in self._nodes.items()}
            told_now = {"nodes": nodes, "given": sorted(self._given), "effects": self.effects, "drawn": CHANCE.count}
            kept.write_text(json.dumps(told_now), "utf-8")

    return Playground()


def really(path: str, node: Mapping[str, Any] | None) -> None:
    """The path in the sandbox holds that, too."""
    at = Path(path)
    if node is None:
        with contextlib.suppress(OSError):
            at.unlink()
    elif "file" in node:
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_bytes(raw(node["file"]))
        at.chmod(node.get("mode", 0o644))
        os.utime(at, (MTIME, MTIME))
    elif "folder" in node:
        at.mkdir(parents=True, exist_ok=True)


def until_it_reads(pid: int) -> None:
    """The process has been asleep at two looks, one after the other."""
    end, asleep = time.monotonic() + 5, 0
    while asleep < 2 and time.monotonic() < end:
        time.sleep(0.004)
        state = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[0]
        asleep = asleep + 1 if state == "S" else 0


HERE: list[Any] = []
"""In the process of a step: the machine that it runs on."""


class Here:
    """Stands for the class of the machine that the program runs on, wherever that is asked for."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return HERE[-1]


# ---- one step ----


class Step:
    """A command line on that machine."""

    def __init__(
        self, adapter: Any, tree: str, machine: Mapping[str, Any], kept: Path, step: Mapping[str, Any]
    ) -> None:
        self.adapter, self.tree, self.machine, self.kept, self.step = adapter, tree, machine, kept, step
        self.argv: list[str] = step["argv"]
        self.replies: list[str] | None = step.get("replies")
        self.environment = {**ENVIRONMENT, **step.get("env", {})}

    def act(self) -> dict[str, Any]:
        """What was seen of it."""
        if self.step.get("really"):
            return self.as_python()
        return self.at_a_terminal() if self.replies is not None else self.in_a_pipe()

    def as_python(self) -> dict[str, Any]:
        """`python -m hermes_setup`, in a new Python, on the machine as the sandbox is."""
        ran = subprocess.run(
            [sys.executable, "-m", "hermes_setup", *self.argv],
            input=self.step.get("stdin", "").encode(),
            capture_output=True,
            check=False,
            timeout=LONGEST,
            cwd="/",
            env={**self.environment, "PYTHONPATH": self.tree},
        )
        return {"code": ran.returncode, "stdout": spelled(ran.stdout), "stderr": spelled(ran.stderr)}

    def in_a_pipe(self) -> dict[str, Any]:
        """Without a terminal."""
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            given.write(self.step.get("stdin", "").encode())
            given.seek(0)
            pid = os.fork()
            if pid == 0:
                self.child(given.fileno(), out.fileno(), err.fileno())
            code = self.wait(pid)
            out.seek(0)
            err.seek(0)
            return {"code": code, "stdout": spelled(out.read()), "stderr": spelled(err.read()), **self.told()}

    def at_a_terminal(self) -> dict[str, Any]:
        """At one of 24 x 100 that moves no cursor. Each question gets the next reply; the first without one gets ^C."""
        ours, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        pid = os.fork()
        if pid == 0:
            os.setsid()
            ioctl(theirs, termios.TIOCSCTTY, 0)
            os.close(ours)
            self.child(theirs, theirs, theirs)
        os.close(theirs)
        seen, at, drafts, left = b"", 0, [], list(self.replies or ())
        end = time.monotonic() + LONGEST
        while True:
            if not select.select([ours], [], [], max(0.0, end - time.monotonic()))[0]:
                seen += b"\n(it neither asked nor ended)\n"
                os.kill(pid, signal.SIGKILL)
                break
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            seen += piece
            if PROMPT.search(seen[at:].replace(b"\r\n", b"\n")):
                drafts.append(self.draft())
                at = len(seen)
                reply = left.pop(0) if left else "^C"
                until_it_reads(pid)  # a ^C in the instant before that would be heard at the next key only
                os.write(ours, b"\x03" if reply == "^C" else reply.encode() + b"\n")
        code = self.wait(pid)
        os.close(ours)
        changed = [draft for place, draft in enumerate(drafts) if place == 0 or draft != drafts[place - 1]]
        return {
            "code": code,
            "screen": spelled(seen.replace(b"\r\n", b"\n")),
            "drafts": changed,
            "unused": left,
            **self.told(),
        }

    @staticmethod
    def draft() -> str:
        try:
            return (STATE / "draft.json").read_text("utf-8")
        except FileNotFoundError:
            return ""

    def child(self, stdin: int, stdout: int, stderr: int) -> None:
        """Never returns."""
        try:
            for place, stream in enumerate((stdin, stdout, stderr)):
                os.dup2(stream, place)
            os.closerange(3, 256)
            sys.stdin = open(0, encoding="utf-8", closefd=False)
            sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
            sys.stderr = open(2, "w", encoding="utf-8", closefd=False)
            os.environ.clear()
            os.environ.update(self.environment)
            sys.argv = ["hermes-setup", *self.argv]
            os.chdir("/")
            ground = playground(self.adapter, self.machine, self.kept)
            HERE.append(ground)
            if self.step.get("nobody"):
                os.geteuid = lambda: 65534  # really to be somebody else would put the interpreter out of reach
            leave = os._exit

            def keep_and_leave(code: int) -> None:
                ground.keep()
                leave(code)

            os._exit = keep_and_leave  # type: ignore[assignment]
            signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                self.adapter.main(self.argv)
            except SystemExit as end:
                os._exit(end.code if isinstance(end.code, int) else 1)
        except BaseException:
            import traceback

            traceback.print_exc()
            sys.stderr.flush()
        os._exit(99)

    @staticmethod
    def wait(pid: int) -> int:
        end = time.monotonic() + LONGEST
        while time.monotonic() < end:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.005)
        os.kill(pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def told(self) -> dict[str, Any]:
        """What happened to the machine."""
        if not self.kept.exists():
            return {"effects": "nothing is known of it"}
        kept = json.loads(self.kept.read_text("utf-8"))
        effects, CHANCE.count = kept.pop("effects"), kept.get("drawn", CHANCE.count)
        kept["effects"] = []
        self.kept.write_text(json.dumps(kept), "utf-8")
        return {"effects": effects}


# ---- one case ----


def clean() -> None:
    """The sandbox is as at the beginning."""
    if not MARK.exists():
        raise SystemExit("This removes files, and only tests/compare gives it a sandbox to do so.")
    for folder in (STATE, Path("/etc/nginx"), INPUTS):
        shutil.rmtree(folder, ignore_errors=True)
    LOG.unlink(missing_ok=True)


def disk() -> dict[str, Any]:
    """The program's notes, as they lie there."""
    found: dict[str, Any] = {}
    for path in sorted(STATE.rglob("*")) if STATE.exists() else ():
        if path.is_file() and path.name != "lock":
            found[str(path.relative_to(STATE))] = spelled(path.read_bytes())
    if LOG.exists():
        found["(log)"] = spelled(LOG.read_bytes())
    return found


def case(adapter: Any, tree: str, told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was seen at each step, and the program's notes at the end."""
    clean()
    CHANCE.count = 0
    machine: Mapping[str, Any] = told.get("machine", {})
    for path, node in (*machine.get("files", {}).items(), *told.get("files", {}).items()):
        if path.startswith(REAL):
            really(path, node)
    seen = []
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder, "kept.json")
        for step in told["steps"]:
            seen.append(Step(adapter, tree, machine, kept, step).act())
    seen.append({"notes": disk()})
    return seen


def work(tree: str, adapter_path: str, cases_path: str, results_path: str) -> None:
    """All cases, in their order."""
    no_chance()
    sys.path[:0] = [tree, f"{tree}/tests", str(Path(adapter_path).parent)]
    adapter = importlib.import_module(Path(adapter_path).stem)
    adapter.replace_local(Here)
    for path in sorted(Path(tree, "hermes_setup").rglob("*.py")):  # once, and not again at each step
        parts = path.relative_to(tree).with_suffix("").parts
        if parts[-1] != "__main__":
            importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    for name in ("jinja2", "passlib.hash", "rich.console", "rich.text", "rich.live", "dns.resolver"):
        importlib.import_module(name)
    cases = json.loads(Path(cases_path).read_text("utf-8"))
    results: dict[str, Any] = {}
    os.umask(0o022)
    for name, told in cases.items():
        if told.get("golden"):
            continue
        results[name] = case(adapter, tree, told)
    os.chdir(tree)
    results["golden"] = [{"sites": adapter.golden()}]
    Path(results_path).write_text(json.dumps(results), "utf-8")


if __name__ == "__main__":
    work(*sys.argv[1:])
