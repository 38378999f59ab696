"""What a refusal by the CA means, and what to do: certbot's output in plain words.

Source: RFC 8555 section 6.7 (problem types).
"""

from __future__ import annotations

import re

from hermes_setup.answers.fields import Domain
from hermes_setup.errors import CommandFailed, HermesSetupError
from hermes_setup.stages.certificate.lineages import FOLDER
from hermes_setup.stages.certificate.rate_limits import LOG, retry_after


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


def _meaning(said: str, domain: Domain, name: str) -> tuple[str, str]:  # noqa: PLR0912 - a branch a refusal, read downwards
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
