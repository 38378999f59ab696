"""What `--json` prints: stable shapes, in ASCII. Keys are only ever added."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from hermes_setup.engine.changes import Change, Place, Probe, Run, Stamp
from hermes_setup.engine.findings import Finding
from hermes_setup.ui.typed_command import command_line

JSON_VERSION = 1


def doctor_json(
    version: str,
    domain: str,
    findings: Sequence[tuple[str, Finding]],
    pending: Sequence[tuple[str, Change]],
    *,
    ok: bool,
) -> str:
    """What `doctor --json` prints; `ok` is what the exit code says."""
    return json.dumps(
        {
            "schema": JSON_VERSION,
            "version": version,
            "domain": domain,
            "ok": ok,
            "findings": [
                {
                    "stage": stage,
                    "code": finding.code,
                    "severity": finding.severity.name.lower(),
                    "what": finding.what,
                    "why": finding.why,
                    "do": finding.do,
                    "evidence": finding.evidence,
                }
                for stage, finding in findings
            ],
            "pending": [
                {"stage": stage, "kind": type(change).__name__.lower(), "what": _subject(change), "why": change.why}
                for stage, change in pending
            ],
        },
        indent=2,
    )


def users_json(version: str, users: Sequence[Mapping[str, object]]) -> str:
    """What `users list --json` prints."""
    return json.dumps({"schema": JSON_VERSION, "version": version, "users": users}, indent=2)


def _subject(change: Change) -> str:
    match change:
        case Place() | Stamp():
            return change.path
        case Run():
            return command_line(change)
        case Probe():
            return ""
