"""What a wait for DNS needs to know: whether only DNS blocks, and whether it still does."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.engine.findings import Finding, Severity
from hermes_setup.host import Host
from hermes_setup.stages.dns.stage import Dns


def only_dns_blocks(findings: Sequence[Finding]) -> bool:
    """True when only DNS blocks: that ends by itself once a record is set elsewhere."""
    blocks = [finding for finding in findings if finding.severity is Severity.BLOCK]
    return bool(blocks) and all(finding.code.startswith("dns.") for finding in blocks)


def still_blocking(answers: Answers, host: Host) -> list[Finding]:
    """What of DNS blocks now. The zone's own name servers are asked, past every cache."""
    dns = Dns()
    findings = dns.check(answers, dns.inspect(answers, host))
    return [finding for finding in findings if finding.severity is Severity.BLOCK]
