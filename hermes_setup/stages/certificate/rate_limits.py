"""When a CA that said "too many" may be asked again, and how many tries are left: from certbot's output and logs.

Source: the Let's Encrypt documentation on rate limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.host import File, Host

LOG = "/var/log/letsencrypt/letsencrypt.log"
LOGS_READ = 20
"""How many of certbot's logs are read: where each run starts a new one, its timer makes two a day, and the longest limit
of Let's Encrypt is seven days."""


def retry_after(text: str, domain: Domain) -> datetime | None:
    """When a CA that said "too many" may be asked again, from certbot's output or log; None when it did not say so.

    Boulder writes "retry after 2026-11-24 03:00:00 UTC" into the problem's detail, and quotes the name where the limit is
    one name's; others only send Retry-After.
    """
    if "rateLimited" not in text and "too many" not in text.lower():
        return None
    found = []
    for words, time in re.findall(r"(too many[^\n]*?)retry after (\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)", text, re.I):
        names = re.findall(r'for \\?"([a-z0-9.-]+)\\?"', words)
        if not names or any(f".{domain}".endswith(f".{name}") for name in names):
            found.append(datetime.fromisoformat(time.replace("T", " ")).replace(tzinfo=timezone.utc))
    if found or re.search(r"retry after \d{4}-", text, re.I):
        return max(found, default=None)
    seconds = re.search(r"Retry-After: (\d{1,7})\b", text, re.I)
    times = _answer_times(text)
    return times[-1] + timedelta(seconds=int(seconds.group(1))) if seconds and times else None


def _answer_times(log: str) -> list[datetime]:
    """When the CA answered, by its own clock: the log's own times are local ones, without a zone."""
    found = re.findall(r"^Date: (\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d) GMT", log, re.M)
    return [datetime.strptime(each, "%a, %d %b %Y %H:%M:%S").replace(tzinfo=timezone.utc) for each in found]


def logged_requests(host: Host, answers: Answers) -> Iterator[str]:
    """What certbot's logs say of the requests to this CA in those runs that were about this name.

    Debian's certbot adds to one log, which logrotate rotates (max-log-backups = 0 in its cli.ini); others start a new one
    with each run.
    """
    ours = urlsplit(answers.issuer.directory).netloc
    for number in range(LOGS_READ):
        for path in (f"{LOG}.{number}", f"{LOG}.{number}.gz") if number else (LOG,):
            for run in re.split(r"^.*:certbot version: ", _log(host, path), flags=re.M)[1:]:
                # what --server says is no guide: a dry run asks the staging servers all the same (acme/client.py)
                _, *parts = re.split(r"Sending GET request to (\S+)\.$", run, flags=re.M)
                for address, text in zip(parts[::2], parts[1::2], strict=True):
                    if urlsplit(address).netloc == ours and answers.domain.ascii in run:
                        yield text


def _log(host: Host, path: str) -> str:
    node = host.look(path)
    if not isinstance(node, File):
        return ""
    content = node.content
    if path.endswith(".gz"):
        import gzip
        import zlib

        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            return ""
    return content.decode(errors="replace")


def limited_until(host: Host, answers: Answers) -> datetime | None:
    """When the CA's rate limit for the name ends, by certbot's logs; None when it has ended, or there was none."""
    times = [until for text in logged_requests(host, answers) if (until := retry_after(text, answers.domain))]
    return max((until for until in times if until > host.now()), default=None)


def failed_attempts(host: Host, answers: Answers) -> int:
    """How often in the last hour this CA tried to reach the name and failed, by certbot's logs.

    Let's Encrypt allows five an hour for a name (letsencrypt.org/docs/rate-limits).
    """
    since = host.now() - timedelta(hours=1)
    return sum(
        1
        for text in logged_requests(host, answers)
        if re.search(r'"status": ?"invalid"', text) and any(time > since for time in _answer_times(text))
    )
