"""/etc/nftables.conf, which brings nftables' rules back at boot: a base chain is found in it, and gets a rule."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hermes_setup.values import dataclass

CONF = "/etc/nftables.conf"


@dataclass(frozen=True)
class SavedChain:
    """A chain in the text of a file; its body, between the braces, is from `start` to `end`."""

    text: str
    start: int
    end: int

    @property
    def body(self) -> str:
        """What is between the braces."""
        return self.text[self.start : self.end]

    def opens(self, port: int) -> bool:
        """True when a plain rule of the chain accepts that port from everyone."""
        for line in _statements(self.body):
            if match := re.match(r"tcp dport (?:\{([\d, -]+)\}|(\d+)) (?:ct state new )?(?:counter )?accept", line):
                for part in (match.group(1) or match.group(2)).split(","):
                    low, _, high = part.strip().partition("-")
                    if int(low) <= port <= int(high or low):
                        return True
        return False

    def with_rule(self, rule: str) -> str:
        """The whole text with the rule before the chain's final drop or reject, or at the chain's end."""
        at, indent = self.end, ""
        position = self.start
        for line in self.body.splitlines(keepends=True):
            bare = line.split("#")[0].strip().rstrip(";")
            if re.match(r"[a-z]", bare):
                indent = line[: len(line) - len(line.lstrip())]
            if re.fullmatch(
                r"(?:counter |log (?:prefix \"[^\"]*\" ?)?(?:level \w+ ?)?)*(?:drop|reject(?: with .*)?)", bare
            ):
                return f"{self.text[:position]}{indent}{rule}\n{self.text[position:]}"
            position += len(line)
        head = self.text[:at].rstrip(" \t")
        tail = self.text[len(head) : at]
        return f"{head}{'' if head.endswith(chr(10)) else chr(10)}{indent}{rule}\n{tail}{self.text[at:]}"


def find_chain(text: str, family: str, table: str, chain: str) -> SavedChain | None:
    """The base chain of the input hook in a file of nft's; None when it is not there once, in the usual way of writing."""
    bare = re.sub(r"#[^\n]*|\"[^\"\n]*\"", lambda match: "~" * len(match.group()), text)
    of = rf"(?:{family}\s+)?" if family == "ip" else rf"{family}\s+"
    found: list[SavedChain] = []
    for outer in re.finditer(rf"\btable\s+{of}{re.escape(table)}\s*\{{", bare):
        end = _closing_brace(bare, outer.end())
        for inner in re.finditer(rf"\bchain\s+{re.escape(chain)}\s*\{{", bare[outer.end() : end]):
            start = outer.end() + inner.end()
            found.append(SavedChain(text, start, _closing_brace(bare, start)))
    return found[0] if len(found) == 1 and "hook input" in found[0].body else None


def _closing_brace(text: str, start: int) -> int:
    depth = 1
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return at
    return len(text)


def _statements(body: str) -> Iterator[str]:
    for line in body.splitlines():
        yield from (" ".join(part.split()) for part in line.split("#")[0].split(";"))
