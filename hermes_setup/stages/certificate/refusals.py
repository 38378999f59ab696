"""What a refusal by the CA means, and until when it holds: certbot's output and logs.

Sources: the Let's Encrypt documentation on rate limits, RFC 8555 section 6.7 (problem types).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.fields import Domain
from hermes_setup.errors import CommandFailed, HermesSetupError
from hermes_setup.host import File, Host
from hermes_setup.stages.certificate.lineages import FOLDER

LOG = "/var/log/letsencrypt/letsencrypt.log"


LOGS = 20
"""How many of certbot's logs are read: where each run begins a new one, its timer makes two a day, and the longest limit
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
    said = _dates(text)
    return said[-1] + timedelta(seconds=int(seconds.group(1))) if seconds and said else None


def _dates(log: str) -> list[datetime]:
    """When the CA answered, by its own clock: the log's own times are local ones, without a zone."""
    found = re.findall(r"^Date: (\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d) GMT", log, re.M)
    return [datetime.strptime(each, "%a, %d %b %Y %H:%M:%S").replace(tzinfo=timezone.utc) for each in found]


def logs(host: Host, answers: Answers) -> Iterator[str]:
    """What certbot's logs say of the requests to this CA in those runs that were about this name.

    Debian's certbot goes on in one log, which logrotate puts away (max-log-backups = 0 in its cli.ini); another begins a
    new one with each run.
    """
    ours = urlsplit(answers.issuer.directory).netloc
    for number in range(LOGS):
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


def refused_until(host: Host, answers: Answers) -> datetime | None:
    """When the CA's "too many" for the name ends, as certbot's logs tell; None when it has ended, or never was."""
    times = [until for text in logs(host, answers) if (until := retry_after(text, answers.domain))]
    return max((until for until in times if until > host.now()), default=None)


def failed_tries(host: Host, answers: Answers) -> int:
    """How often in the last hour this CA tried to reach the name and failed, by certbot's logs.

    Let's Encrypt allows five an hour for a name (letsencrypt.org/docs/rate-limits).
    """
    since = host.now() - timedelta(hours=1)
    return sum(
        1
        for text in logs(host, answers)
        if re.search(r'"status": ?"invalid"', text) and any(time > since for time in _dates(text))
    )


def explain(error: CommandFailed, domain: Domain, *, test: bool = False) -> HermesSetupError:
    """What certbot's failure means and what to do; its own words stay in `output`."""
    said = error.output
    if error.code in (124, 126, 127):  # it did not end, or could not be started: it said nothing that matters
        return CommandFailed(error.message, error.hint or f"All it said: sudo less {LOG}", said, error.code)
    where = "Let's Encrypt's test" if test else "The certificate authority"
    detail = re.search(r"Detail:\s*(.+?)(?:\n\s*\n|\n\s*(?:Domain|Hint):|\Z)", said, re.S)
    words = " ".join(detail.group(1).split()) if detail else _last_line(said)
    message, hint = _killed() if error.code in (137, -9) else _meaning(said, domain, spoken_of(said) or domain.ascii)
    if not test and re.search(r"type:\s+(connection|dns|caa|unauthorized)", said, re.I):
        hint += " Mend that first: only five failures in an hour are allowed for a name."
    return CommandFailed(message.replace("{where}", where).replace("{words}", words), hint, said, error.code)


def _killed() -> tuple[str, str]:
    return (
        "certbot was ended by the system, most often for lack of memory.",
        "Look at: free -m; sudo dmesg | tail. Add swap (sudo fallocate -l 1G /swapfile && sudo chmod 600 /swapfile && "
        "sudo mkswap /swapfile && sudo swapon /swapfile), then run this again.",
    )


def spoken_of(said: str) -> str:
    """The name that certbot's words are about, "" where they name none: a certificate may hold others than the domain."""
    found = re.search(r"^\s*Domain:\s*(\S+)\s*$", said, re.M) or re.search(r'annot issue for \\?"([^"\\\s]+)\\?"', said)
    return found.group(1) if found else ""


def _meaning(said: str, domain: Domain, name: str) -> tuple[str, str]:
    """`name` is the one that certbot speaks of."""
    low = said.lower()
    if link := re.search(r"https://\S*/unpause\S*", said):
        return (
            f"Let's Encrypt has paused {name}: it failed too often for too long.",
            f"Mend the cause (sudo hermes-setup doctor), then lift the pause at {link.group()}",
        )
    if until := retry_after(said, domain):
        return (
            "{where} was asked too often: {words}",
            f"Nothing resets this. Try again after {until:%Y-%m-%d %H:%M} UTC; until then practise with "
            'certificate = "letsencrypt-staging".',
        )
    if "another instance of certbot" in low:
        return (
            "certbot is at work already: a renewal, or somebody at another terminal.",
            "See who: ps -C certbot -o pid,lstart,args. Wait until it has ended, then run this again.",
        )
    if re.search(r"^killed$", low, re.M) or "memoryerror" in low:
        return _killed()
    if "no space left on device" in low:
        return ("certbot found the disk full.", "Look at: df -h; make room, then run this again.")
    if re.search(r"(importerror|modulenotfounderror|attributeerror|distributionnotfound|versionconflict)", low):
        return (
            "The installed certbot is broken: {words}",
            "Does it start? certbot --version. Most often a pip install has overwritten a part of the distribution's: "
            "sudo apt-get install --reinstall certbot python3-certbot python3-acme python3-josepy python3-openssl",
        )
    if "please choose an account" in low:
        return (
            "certbot has more than one account at this certificate authority, and does not know which to use.",
            f"See them: sudo ls -lt {FOLDER}/accounts/*/directory. Move all but the newest elsewhere, then run this again.",
        )
    if "externalaccountrequired" in low or "external account binding" in low:
        return (
            "This certificate authority takes only customers who are registered with it: {words}",
            "It gave you a key ID and an HMAC key. Register once: sudo certbot register --server URL --eab-kid ID "
            "--eab-hmac-key KEY; then run this again.",
        )
    if re.search(r"(invalidcontact|unsupportedcontact|invalidemail|unable to validate email|contact email)", low):
        return (
            "The certificate authority does not take the e-mail address: {words}",
            'Give another one, or none: email = "" in the answers (sudo hermes-setup, "change").',
        )
    if "rejectedidentifier" in low or "cannot issue for" in low or "not end with a valid public suffix" in low:
        return (
            f"{{where}} does not sign the name {name}: {{words}}",
            'A public CA signs public names only. Use a name that you own, or certificate = "self-signed".',
        )
    if "cloudflare" in low and re.search(r"type:\s+(unauthorized|connection)", low):
        return (
            f"Cloudflare answered for {name}: {{words}}",
            f"At Cloudflare, under DNS, switch {name} from the orange to the grey cloud (DNS only), and run this again.",
        )
    if re.search(r"type:\s+(connection|dns)", low) and "timeout" in low:
        return (
            f"{{where}} could not reach http://{name}/: {{words}}",
            "Something in front of this server drops the connection: a firewall at your provider (its web page, "
            f'"security group" or "firewall": open TCP 80 and 443), or a wrong record.{_six(said)}',
        )
    if re.search(r"type:\s+connection", low):
        return (
            f"{{where}} could not connect to http://{name}/: {{words}}",
            "Open TCP 80 and 443 in your provider's firewall, and compare the address above with this server's: "
            f"hostname -I.{_six(said)}",
        )
    if re.search(r"type:\s+caa", low) or "caa record" in low:
        return (
            "{where} may not sign this name: {words}",
            f'At your DNS provider add:  {name}.  CAA  0 issue "letsencrypt.org"',
        )
    if re.search(r"type:\s+dns", low):
        return (
            "{where} finds no address for the name: {words}",
            f"Set the A record of {name} to this server's address, wait some minutes, then run this again.",
        )
    if re.search(r"type:\s+unauthorized", low):
        return (
            f"Another server answered for {name}: {{words}}",
            "The A or AAAA record points elsewhere, or something else listens on port 80. "
            f"Look at: sudo hermes-setup doctor.{_six(said)}",
        )
    if re.search(r"(serverinternal|service busy|service is down|internal server error|http 50\d)", low):
        return (
            "{where} has trouble of its own: {words}",
            "Nothing is wrong here. See https://letsencrypt.status.io for Let's Encrypt's, and run this again later.",
        )
    if silent := re.search(r"HTTPS?ConnectionPool\(host='([^']+)'", said):
        host = silent.group(1)
        return (
            f"certbot could not reach {host}, the certificate authority.",
            f"Is that name right, is there a network, is the clock right? Look at: date -u; curl -sI https://{host}/ ; another "
            "authority: run sudo hermes-setup, and < at its question leads to the answers.",
        )
    if re.search(r"(connection|name resolution|max retries|network is unreachable|certificate verify failed)", low):
        return (
            "certbot could not talk to the certificate authority: {words}",
            "Is there a network, and is the clock right? Look at: date -u; curl -sI https://acme-v02.api.letsencrypt.org/directory",
        )
    return ("certbot failed: {words}", f"All it said: sudo less {LOG}")


def _six(said: str) -> str:
    """A hint when the address that was asked is an IPv6 one: AAAA comes first, and is easily forgotten."""
    asked = re.search(r"Detail:\s*\[?([0-9a-f]*:[0-9a-f:]+)\]?: ", said, re.I)
    return f" {asked.group(1)} is its AAAA record: delete that, or make it this server's address." if asked else ""


def _last_line(said: str) -> str:
    noise = ("ask for help", "see the logfile", "saving debug log", "re-run certbot")
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.lower().startswith(noise)]
    return lines[-1] if lines else "it said nothing"
