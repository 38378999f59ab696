"""Who can replace the program of Hermes's unit: only root, and the user whom it runs as."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from hermes_setup.engine.findings import Finding, block
from hermes_setup.host import File, Host, Replaceable
from hermes_setup.nginx import tree
from hermes_setup.replaceable import by_others, cure
from hermes_setup.stages.hermes.installations import Installation
from hermes_setup.stages.hermes.unit import NAME, UNIT
from hermes_setup.values import dataclass


@dataclass(frozen=True)
class UnitProgram:
    """A program that the unit starts, or would, as whom, and what users other than that one and root can replace of it."""

    path: str
    user: str
    replaceable: tuple[Replaceable, ...]


def look(host: Host, planned: Installation | None) -> tuple[UnitProgram, ...]:
    """Those of the unit of that name, no matter who wrote it, and the one for which a unit is `planned`."""
    programs = dict.fromkeys(_started(host))
    if planned and planned.user:
        programs[planned.program, planned.user] = None
    return tuple(UnitProgram(path, user, by_others(host.replaceable(path), user)) for path, user in programs)


def check(programs: tuple[UnitProgram, ...]) -> list[Finding]:
    """Nobody runs as somebody else by replacing what the unit starts."""
    return [
        block(
            "service.replaceable",
            f"{NAME} runs {each.path} as {each.user}, and others can replace it, or what it consists of: "
            f"{', '.join(map(str, each.replaceable[:3]))}.",
            f"They could do as {each.user} whatever they like"
            f"{', so anything on this server' if each.user == 'root' else ''}.",
            f"Install Hermes as one user, and run it as that user: ls -ld {shlex.quote(each.replaceable[0].path)}"
            if each.user != "root"
            else f"Make it root's: {cure(each.replaceable, f'run it as the user whose it is: sudo systemctl edit --full {NAME} , and write User=NAME below [Service]')}",
        )
        for each in programs
        if each.replaceable
    ]


def _started(host: Host) -> Iterator[tuple[str, str]]:
    """(program, user) of each ExecStart= and the like of the unit and its drop-ins (systemd.service(5), systemd.unit(5))."""
    texts = [tree.follow_links(host, UNIT)]
    texts += [tree.follow_links(host, f"{UNIT}.d/{name}") for name in host.names(f"{UNIT}.d") if name.endswith(".conf")]
    lines = "\n".join(tree.text_of(each) for each in texts if isinstance(each, File)).replace("\\\n", " ")
    user = next(iter(re.findall(r"^\s*User\s*=[ \t]*(\S*)", lines, re.M)[::-1]), "") or "root"
    for command in re.findall(
        r"^\s*Exec(?:Condition|Start|StartPre|StartPost|Reload|Stop|StopPost)\s*=[ \t]*(\S.*)$", lines, re.M
    ):
        prefix, rest = re.match(r"([-@:+!|]*)(.*)", command, re.S).groups()  # type: ignore[union-attr]  # it may be empty
        try:
            word = next(iter(shlex.split(rest)), "")
        except ValueError:
            word = rest.split()[0]
        if word.startswith("/"):
            yield word, "root" if set("+!") & set(prefix) or user == "0" else user
