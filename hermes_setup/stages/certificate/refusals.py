"""What a refusal by the CA means, and what to do: certbot's output in plain words.

Source: RFC 8555 section 6.7 (problem types).
"""

from __future__ import annotations

import re

from hermes_setup.answers.domain import Domain
from hermes_setup.errors import CommandFailed, HermesSetupError
from hermes_setup.stages.certificate.lineages import FOLDER
from hermes_setup.stages.certificate.rate_limits import LOG, retry_after
from hermes_setup.values import dataclass


@dataclass(frozen=True)
class Refusal:
    """One kind of failure: what certbot's output has when it is this one, what happened, and what to do.

    All patterns have to be found, in any case. `what` and `do` may contain {where} (who refused), {words} (its own words),
    {name} (the name that it is about), {ipv6} (a sentence about the AAAA record, or ""), and the first pattern's groups.
    """

    patterns: tuple[str, ...]
    what: str
    do: str

    def match(self, output: str) -> re.Match[str] | None:
        """The first pattern's match, when all are found; None otherwise."""
        found = [re.search(pattern, output, re.I | re.M) for pattern in self.patterns]
        return found[0] if found and all(found) else None


PAUSED = Refusal(
    (r"(?P<link>https://\S*/unpause\S*)",),
    "Let's Encrypt has paused {name}: too many attempts failed, for too long.",
    "Fix the cause (sudo hermes-setup doctor), then lift the pause at {link}",
)

OUT_OF_MEMORY = Refusal(
    (r"^killed$|memoryerror",),
    "The system stopped certbot, most likely because memory ran out.",
    "Look at: free -m; sudo dmesg | tail. Add swap (sudo fallocate -l 1G /swapfile && sudo chmod 600 /swapfile && "
    "sudo mkswap /swapfile && sudo swapon /swapfile), then run this again.",
)

REFUSALS = (  # the first that matches counts
    Refusal(
        (r"another instance of certbot",),
        "certbot is already running: a renewal, or someone at another terminal.",
        "See who: ps -C certbot -o pid,lstart,args. Wait until it has finished, then run this again.",
    ),
    OUT_OF_MEMORY,
    Refusal(
        (r"no space left on device",),
        "certbot failed because the disk is full.",
        "Look at: df -h. Free some space, then run this again.",
    ),
    Refusal(
        (r"importerror|modulenotfounderror|attributeerror|distributionnotfound|versionconflict",),
        "The installed certbot is broken: {words}",
        "Does it start? certbot --version. Most often a pip install has overwritten part of the distribution's package: "
        "sudo apt-get install --reinstall certbot python3-certbot python3-acme python3-josepy python3-openssl",
    ),
    Refusal(
        (r"please choose an account",),
        "certbot has more than one account at this certificate authority, and can't tell which one to use.",
        f"List them: sudo ls -lt {FOLDER}/accounts/*/directory. Move all but the newest elsewhere, then run this again.",
    ),
    Refusal(
        (r"externalaccountrequired|external account binding",),
        "This certificate authority only serves customers who are registered with it: {words}",
        "It gave you a key ID and an HMAC key. Register once: sudo certbot register --server URL --eab-kid ID "
        "--eab-hmac-key KEY; then run this again.",
    ),
    Refusal(
        (r"invalidcontact|unsupportedcontact|invalidemail|unable to validate email|contact email",),
        "The certificate authority rejected the e-mail address: {words}",
        'Give another one, or none: email = "" in the answers (sudo hermes-setup, "change").',
    ),
    Refusal(
        (r"rejectedidentifier|cannot issue for|not end with a valid public suffix",),
        "{where} does not issue certificates for {name}: {words}",
        'A public CA only issues certificates for public names. Use a domain that you own, or certificate = "self-signed".',
    ),
    Refusal(
        (r"cloudflare", r"type:\s+(unauthorized|connection)"),
        "Cloudflare answered for {name}: {words}",
        "At Cloudflare, under DNS, switch {name} from the orange to the grey cloud (DNS only), then run this again.",
    ),
    Refusal(
        (r"type:\s+(connection|dns)", r"timeout"),
        "{where} could not reach http://{name}/: {words}",
        "Something in front of this server drops the connection: a firewall at your provider (on its website, "
        '"security group" or "firewall": open TCP 80 and 443), or a wrong DNS record.{ipv6}',
    ),
    Refusal(
        (r"type:\s+connection",),
        "{where} could not connect to http://{name}/: {words}",
        "Open TCP 80 and 443 in your provider's firewall, and compare the address above with this server's: "
        "hostname -I.{ipv6}",
    ),
    Refusal(
        (r"type:\s+caa|caa record",),
        "{where} is not allowed to issue a certificate for this name: {words}",
        'At your DNS provider, add:  {name}.  CAA  0 issue "letsencrypt.org"',
    ),
    Refusal(
        (r"type:\s+dns",),
        "{where} found no address for {name}: {words}",
        "Set the A record of {name} to this server's address, wait a few minutes, then run this again.",
    ),
    Refusal(
        (r"type:\s+unauthorized",),
        "Another server answered for {name}: {words}",
        "Its A or AAAA record points elsewhere, or something else listens on port 80. "
        "Look at: sudo hermes-setup doctor.{ipv6}",
    ),
    Refusal(
        (r"serverinternal|service busy|service is down|internal server error|http 50\d",),
        "{where} has a problem of its own: {words}",
        "Nothing is wrong on this server. See https://letsencrypt.status.io (for Let's Encrypt), and run this again later.",
    ),
    Refusal(
        (r"HTTPS?ConnectionPool\(host='(?P<host>[^']+)'",),
        "certbot could not reach {host}, the certificate authority.",
        "Check the name, the network and the clock: date -u; curl -sI https://{host}/ . To choose another authority, run "
        "sudo hermes-setup and type < at its question to change the answers.",
    ),
    Refusal(
        (r"connection|name resolution|max retries|network is unreachable|certificate verify failed",),
        "certbot could not talk to the certificate authority: {words}",
        "Check the network and the clock: date -u; curl -sI https://acme-v02.api.letsencrypt.org/directory",
    ),
    Refusal((r"",), "certbot failed: {words}", f"All of its output: sudo less {LOG}"),
)


def explain(error: CommandFailed, domain: Domain, *, staging: bool = False) -> HermesSetupError:
    """What certbot's failure means and what to do; its own words stay in `output`."""
    output = error.output
    if error.code in (124, 126, 127):  # it did not finish, or could not be started: it printed nothing that matters
        return CommandFailed(error.message, error.hint or f"All of its output: sudo less {LOG}", output, error.code)
    refusal = OUT_OF_MEMORY if error.code in (137, -9) else _refusal(output, domain)
    match = refusal.match(output)
    values = {
        **(match.groupdict() if match else {}),
        "where": "Let's Encrypt's staging server" if staging else "The certificate authority",
        "words": _reason_given(output),
        "name": name_in(output) or domain.ascii,
        "ipv6": _about_ipv6(output),
    }
    hint = refusal.do.format(**values)
    if not staging and re.search(r"type:\s+(connection|dns|caa|unauthorized)", output, re.I):
        hint += " Fix that first: only five failures in an hour are allowed for a name."
    return CommandFailed(refusal.what.format(**values), hint, output, error.code)


def name_in(output: str) -> str:
    """The name that certbot's output is about, "" where it has none: a certificate may hold others than the domain."""
    found = re.search(r"^\s*Domain:\s*(\S+)\s*$", output, re.M) or re.search(
        r'annot issue for \\?"([^"\\\s]+)\\?"', output
    )
    return found.group(1) if found else ""


def _refusal(output: str, domain: Domain) -> Refusal:
    if PAUSED.match(output):
        return PAUSED
    if until := retry_after(output, domain):
        return Refusal(
            (),
            "{where} was asked too often: {words}",
            f"Nothing resets this rate limit. Try again after {until:%Y-%m-%d %H:%M} UTC; until then use staging (test "
            'certificates): certificate = "letsencrypt-staging".',
        )
    return next(each for each in REFUSALS if each.match(output))


def _reason_given(output: str) -> str:
    """The CA's own words; where it gave none, the last line that says something."""
    detail = re.search(r"Detail:\s*(.+?)(?:\n\s*\n|\n\s*(?:Domain|Hint):|\Z)", output, re.S)
    return " ".join(detail.group(1).split()) if detail else _last_line(output)


def _about_ipv6(output: str) -> str:
    """What to do where the CA asked an IPv6 address: AAAA comes first, and is easily forgotten."""
    asked = re.search(r"Detail:\s*\[?([0-9a-f]*:[0-9a-f:]+)\]?: ", output, re.I)
    return f" {asked.group(1)} is its AAAA record: delete that, or set it to this server's address." if asked else ""


def _last_line(output: str) -> str:
    noise = ("ask for help", "see the logfile", "saving debug log", "re-run certbot")
    lines = [line.strip() for line in output.splitlines() if line.strip() and not line.lower().startswith(noise)]
    return lines[-1] if lines else "it printed nothing"
