"""certbot and certificates: what is there, which one to serve, how to ask for one, and what a refusal means.

Sources: certbot's `storage.py` (renewal files, live links), `main.py` (which lineage a run replaces), the Let's Encrypt
documentation on rate limits, RFC 8555 section 6.7 (problem types), openssl-x509(1).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from urllib.parse import urlsplit

from hermes_setup import nginx
from hermes_setup.answers import LETSENCRYPT, LETSENCRYPT_STAGING, Answers, Domain
from hermes_setup.errors import CommandFailed, HermesSetupError
from hermes_setup.host import Absent, File, Folder, Host, Link
from hermes_setup.side_by_side import Later
from hermes_setup.values import dataclass, field

FOLDER = "/etc/letsencrypt"
OWN = "/etc/ssl/hermes-setup"
"""Self-signed certificates: OWN/<domain>/<number>/{fullchain,privkey}.pem. A new one is a new number, so that there is
never a moment without a whole pair; the newest whole pair is served."""

WEBROOT = "/var/www/letsencrypt"
CHALLENGES = f"{WEBROOT}/.well-known/acme-challenge"
LOG = "/var/log/letsencrypt/letsencrypt.log"
LOGS = 20
"""How many of certbot's logs are read: where each run begins a new one, its timer makes two a day, and the longest limit
of Let's Encrypt is seven days."""

PLACES = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/snap/bin")


# -- what is there --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Leaf:
    """A certificate, as `openssl x509` tells it. Times are UTC."""

    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    fingerprint: str  # sha256 of the DER, lower case, without colons
    serial: str
    issuer: str
    public_key: str = field(repr=False)

    def covers(self, domain: Domain) -> bool:
        """True when browsers take it for that name (RFC 6125 section 6.4.3: a star is one label)."""
        star = f"*.{domain.ascii.partition('.')[2]}"
        return domain.ascii in self.names or star in self.names

    def left(self, now: datetime) -> float:
        """The share of its lifetime that is left: 1 when new, 0 or less when expired."""
        return (self.not_after - now) / (self.not_after - self.not_before)


@dataclass(frozen=True)
class Lineage:
    """A certificate that certbot keeps renewed, as its renewal file says."""

    name: str
    server: str
    authenticator: str
    webroots: dict[str, str]  # by name; "" is the path for names without one of their own
    fullchain: str
    key: str

    def webroot(self, domain: Domain) -> str:
        """Where certbot puts the challenge's answer for that name."""
        return self.webroots.get(domain.ascii) or self.webroots.get("", "")


@dataclass(frozen=True)
class Served:
    """The certificate that nginx is to show now. `trusted`: this machine's own list of CAs vouches for it."""

    certificate: str
    key: str
    trusted: bool
    fingerprint: str = ""  # "" in a forecast: it is not there yet
    leaf: Leaf | None = None
    lineage: Lineage | None = None

    def expired(self, now: datetime) -> bool:
        """True when browsers refuse it for its date."""
        return self.leaf is not None and self.leaf.left(now) <= 0


def parse_leaf(text: str) -> Leaf | None:
    """What LEAF_ARGV printed; None for anything that is not a whole certificate."""
    found = dict(re.findall(r"^(notBefore|notAfter|serial|issuer|\w+ Fingerprint)\s*=\s*(.*)$", text, re.M | re.I))
    lower = {key.lower(): value for key, value in found.items()}
    key = re.search(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", text, re.S)
    names = re.findall(r"DNS:([^,\s]+)", text.partition("Subject Alternative Name:")[2])
    try:
        return Leaf(
            names=tuple(name.lower() for name in names),
            not_before=_time(lower["notbefore"]),
            not_after=_time(lower["notafter"]),
            fingerprint=lower["sha256 fingerprint"].replace(":", "").lower(),
            serial=lower["serial"],
            issuer=lower["issuer"],
            public_key=key.group() if key else "",
        )
    except (KeyError, ValueError):
        return None


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _time(text: str) -> datetime:
    """Of "Nov 24 10:00:00 2026 GMT" (ASN1_TIME_print(3)). Raises ValueError for anything else."""
    month, day, clock, year, zone = text.split()
    if zone != "GMT":
        raise ValueError(zone)
    return datetime.fromisoformat(f"{year}-{_MONTHS.index(month) + 1:02}-{int(day):02}T{clock}+00:00")


def leaf(host: Host, path: str) -> Leaf | None:
    """The first certificate in that file; None when there is none, or no openssl to read it."""
    if not isinstance(nginx.resolve(host, path), File):
        return None
    told = host.ask(
        ["openssl", "x509", "-in", path, "-noout", "-dates", "-serial", "-issuer", "-fingerprint", "-sha256"]
        + ["-pubkey", "-ext", "subjectAltName"]
    )
    return parse_leaf(told.out) if told.ok else None


def public_key(host: Host, path: str) -> str | None:
    """The public half (PEM) of the private key in that file; None when there is none."""
    told = host.ask(["openssl", "pkey", "-in", path, "-pubout"])
    return told.out.strip() if told.ok else None


def trusted(host: Host, path: str) -> bool:
    """True when this machine's own list of CAs vouches for the first certificate in that file."""
    return host.ask(["openssl", "verify", "-purpose", "sslserver", "-untrusted", path, path]).ok


def parse_renewal(name: str, text: str) -> Lineage | None:
    """A renewal file (certbot writes it with ConfigObj); None when it was torn."""
    values: dict[str, str] = {}
    webroots: dict[str, str] = {}
    section = ""
    for line in text.splitlines():
        if match := re.match(r"\s*\[+([^\]]*)\]+", line):
            section = match.group(1)
        elif match := re.match(r"\s*([^#=\s][^=]*?)\s*=\s*(.*?)\s*$", line):
            key, value = match.groups()
            if section == "webroot_map":
                webroots[key.strip("\"'")] = value.strip("\"'")
            else:
                values[key] = value.strip("\"'")
    if path := values.get("webroot_path", "").split(",")[0].strip(" \"'"):
        webroots.setdefault("", path)
    if not values.get("fullchain") or not values.get("privkey"):
        return None
    # before 1.7 or so the file names no server when it is Let's Encrypt's
    server = values.get("server") or LETSENCRYPT
    return Lineage(name, server, values.get("authenticator", ""), webroots, values["fullchain"], values["privkey"])


def lineages(host: Host, domain: Domain) -> tuple[Lineage, ...]:
    """Those that could be for that name: called like it, or naming it."""
    found = []
    for file in host.names(f"{FOLDER}/renewal"):
        if not file.endswith(".conf"):
            continue
        node = host.look(f"{FOLDER}/renewal/{file}")
        text = node.content.decode(errors="replace") if isinstance(node, File) else ""
        name = file.removesuffix(".conf")
        if (name.startswith(domain.ascii) or domain.ascii in text) and (lineage := parse_renewal(name, text)):
            found.append(lineage)
    return tuple(found)


def damaged(host: Host, domain: Domain) -> tuple[str, ...]:
    """Lineages called after that name which certbot cannot use: a torn renewal file, or one whose certificate is gone.

    certbot passes over them (storage.py, CertStorageError) and complains of them at every renewal.
    """
    found = []
    for file in host.names(f"{FOLDER}/renewal"):
        name = file.removesuffix(".conf")
        if file.endswith(".conf") and re.fullmatch(rf"{re.escape(domain.ascii)}(-hermes)?(-\d+)?", name):
            node = host.look(f"{FOLDER}/renewal/{file}")
            lineage = parse_renewal(name, node.content.decode(errors="replace")) if isinstance(node, File) else None
            whole = lineage and all(
                isinstance(node := nginx.resolve(host, path), File) and node.content.strip(b"\0 \n")
                for path in (lineage.fullchain, lineage.key)
            )
            if not whole or (lineage and not public_key(host, lineage.key)):
                found.append(name)
    return tuple(found)


def binaries(host: Host) -> tuple[str, ...]:
    """The certbots of this machine, as the PATH has them.

    The same program under two names counts once (certbot's own instructions link /usr/bin/certbot to the snap's), a
    link to nowhere (the snap was removed) not at all.
    """
    found: dict[str, str] = {}
    for folder in PLACES:
        if nginx.target(folder, host.look(folder)) not in PLACES:
            path = f"{folder}/certbot"
            if not isinstance(nginx.resolve(host, path), Absent):
                found.setdefault(_end(host, path), path)
    return tuple(found.values())


def _end(host: Host, path: str, hops: int = 10) -> str:
    while isinstance(node := host.look(path), Link) and hops:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), node.target))
        hops -= 1
    return path


def binary(host: Host) -> str:
    """The certbot that is used: the first on the PATH."""
    return next(iter(binaries(host)), "certbot")


# -- which one is served --------------------------------------------------------------------------------------------------


def own_pairs(host: Host, domain: Domain) -> list[tuple[int, str]]:
    """(number, folder) of each self-signed pair that was begun for that name, newest first."""
    folder = f"{OWN}/{domain.ascii}"
    numbers = sorted((int(name) for name in host.names(folder) if name.isdigit()), reverse=True)
    return [(number, f"{folder}/{number}") for number in numbers]


def fact(answers: Answers) -> str:
    """What is given once the certificate is there."""
    return f"certificate {' '.join(name.ascii for name in answers.names)} from {answers.issuer.text}"


def served(answers: Answers, host: Host) -> Served | None:
    """The certificate to show for the domain: whole and for this name; None when there is none.

    The one that was asked for comes first. While there is only another (the CA is being changed), that one serves on;
    and an expired one serves on until there is a better: a warning can be clicked away, a closed door cannot.
    """
    now = host.now()
    order = sorted(
        (*_own(answers, host), *_acme(answers, host)),
        key=lambda each: (
            each.expired(now),
            not _as_asked(answers, each),
            # another's certificate for the same name may live longer, and is not ours to renew
            len(flaws(answers, each, now)),
            -each.leaf.not_after.timestamp() if each.leaf else 0,
        ),
    )
    wanted = [each for each in order if _as_asked(answers, each) and not flaws(answers, each, now)]
    if not wanted and host.given(fact(answers)):
        if answers.issuer.self_signed:
            folder = f"{OWN}/{answers.domain}/{next_number(host, answers.domain)}"
        else:
            folder = f"{FOLDER}/live/{cert_name(host, answers)}"
        return Served(f"{folder}/fullchain.pem", f"{folder}/privkey.pem", answers.issuer.public)
    return next(iter([*wanted, *order]), None)


def _as_asked(answers: Answers, each: Served) -> bool:
    if answers.issuer.self_signed:
        return each.lineage is None
    return each.lineage is not None and each.lineage.server == answers.issuer.directory


def _own(answers: Answers, host: Host) -> list[Served]:
    for _, folder in own_pairs(host, answers.domain):
        found = _whole(answers, host, f"{folder}/fullchain.pem", f"{folder}/privkey.pem")
        if found:
            return [Served(f"{folder}/fullchain.pem", f"{folder}/privkey.pem", False, found.fingerprint, found)]
    return []


def _acme(answers: Answers, host: Host) -> list[Served]:
    found = []
    for lineage in lineages(host, answers.domain):
        vouched = Later(partial(trusted, host, lineage.fullchain))  # meanwhile, as below
        whole = _whole(answers, host, lineage.fullchain, lineage.key)
        if whole:
            found.append(Served(lineage.fullchain, lineage.key, vouched.value(), whole.fingerprint, whole, lineage))
    return found


def _whole(answers: Answers, host: Host, certificate: str, key: str) -> Leaf | None:
    """The leaf, when it is for this name and the key is its own."""
    fits = Later(lambda: public_key(host, key))  # meanwhile: openssl takes longer to start than to look
    found = leaf(host, certificate)
    if not found or not found.covers(answers.domain):
        return None
    return found if found.public_key == fits.value() else None


def next_number(host: Host, domain: Domain) -> int:
    """The number of the next self-signed pair: no certificate has it yet. (A folder may: openssl was interrupted.)"""
    made = [n for n, folder in own_pairs(host, domain) if not isinstance(host.look(f"{folder}/fullchain.pem"), Absent)]
    return max(made, default=0) + 1


def own(answers: Answers, found: Leaf) -> bool:
    """True for a certificate that is this set-up's alone: for the domain, and for no name that was never ours."""
    ours = {*(name.ascii for name in answers.names), *answers.dropped}
    return answers.domain.ascii in found.names and set(found.names) <= ours


def stale(answers: Answers, found: Leaf) -> tuple[str, ...]:
    """The names that were ours once and nobody needs any more, in a certificate of ours: renewing them will fail some day."""
    needed = {name.ascii for name in answers.redirects}
    if not own(answers, found):
        return ()
    return tuple(name for name in answers.dropped if name in found.names and name not in needed)


def cert_name(host: Host, answers: Answers) -> str:
    """The name for a new or replaced lineage. One that covers more names than ours is somebody else's, and left alone.

    A live or archive folder without a renewal file is in certbot's way (storage.py: "live directory exists for"), so
    such a name is not taken either.
    """
    domain = answers.domain
    for name in (domain.ascii, f"{domain}-hermes", *(f"{domain}-hermes-{number}" for number in range(2, 100))):
        node = host.look(f"{FOLDER}/renewal/{name}.conf")
        if isinstance(node, File):
            lineage = parse_renewal(name, node.content.decode(errors="replace"))
            found = leaf(host, lineage.fullchain) if lineage else None
            # certbot reads the old key, too, before it asks for anything, and falls over one that is none
            if lineage and found and own(answers, found) and public_key(host, lineage.key):
                return name
        elif not any(isinstance(host.look(f"{FOLDER}/{part}/{name}"), Folder) for part in ("live", "archive")):
            return name
    return f"{domain}-hermes"


def flaws(answers: Answers, each: Served, now: datetime) -> list[str]:
    """What keeps this certificate from being used on: () when it is as asked for, and renews itself by our webroot."""
    if answers.issuer.self_signed:
        if each.lineage:
            return [f"it is from {ca_name(each.lineage.server)}, and a self-signed one was asked for"]
        return [*_names(answers, each), *([] if each.leaf and each.leaf.left(now) > 1 / 3 else ["it ends soon"])]
    lineage, found = each.lineage, _names(answers, each)
    if not lineage:
        return ["it is not from a certificate authority"]
    if each.expired(now):
        found.append("it has expired")
    if lineage.server != answers.issuer.directory:
        found.append(f"it is from {ca_name(lineage.server)}")
    if lineage.authenticator != "webroot":
        found.append(f"certbot renews it by {lineage.authenticator or 'hand'}, not through the webroot")
    else:
        ways = {lineage.webroot(name) for name in answers.names if each.leaf and each.leaf.covers(name)}
        found += [
            f"certbot renews it through {way or 'no folder'}, not {WEBROOT}"
            for way in sorted(ways)
            if way.rstrip("/") != WEBROOT
        ]
    return found


def _names(answers: Answers, each: Served) -> list[str]:
    """Names that it lacks, and names that it holds no longer for anybody."""
    if each.leaf is None:
        return []
    lacking = [name.ascii for name in answers.names if not each.leaf.covers(name)]
    useless = stale(answers, each.leaf)
    return [*(f"it does not hold {name}" for name in lacking), *(f"it still holds {name}" for name in useless)]


def ca_name(server: str) -> str:
    """A CA as a person calls it."""
    known = {LETSENCRYPT: "Let's Encrypt", LETSENCRYPT_STAGING: "Let's Encrypt's staging"}
    return known.get(server, server or "nobody")


# -- asking for one -------------------------------------------------------------------------------------------------------


def certonly(answers: Answers, program: str, name: str, *more: str) -> tuple[str, ...]:
    """The command that asks for a certificate through the webroot. Every flag is known to certbot 1.21 and later."""
    contact = ("--email", answers.email, "--no-eff-email") if answers.email else ("--register-unsafely-without-email",)
    return (
        *(program, "certonly", "--webroot", "-w", WEBROOT),
        *(word for each in answers.names for word in ("-d", each.ascii)),
        *("--cert-name", name),
        *("--server", answers.issuer.directory, "--key-type", "ecdsa", "--non-interactive", "--agree-tos"),
        *contact,
        *more,
    )


# -- what a refusal means -------------------------------------------------------------------------------------------------


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
