"""The records do not, or not all, point to this server."""

from __future__ import annotations

from hermes_setup.answers.allowed_addresses import is_public
from hermes_setup.engine.findings import Finding
from hermes_setup.phrases import all_of, any_of
from hermes_setup.stages.dns.cloudflare import is_cloudflare
from hermes_setup.stages.dns.findings.corrections import corrections, deletion, if_it_is_ours, then_run_again
from hermes_setup.stages.dns.findings.name_check import NameCheck
from hermes_setup.stages.dns.names import ip_version


def wrong_addresses(check: NameCheck) -> tuple[Finding, ...]:
    """A finding for each kind of address that is not this server's."""
    wrong = [value for value in check.addresses if not check.is_ours(value)]
    right = tuple(value for value in check.addresses if check.is_ours(value))
    proxied = tuple(value for value in wrong if is_cloudflare(value))
    private = tuple(value for value in wrong if not is_public(value))
    rest = [value for value in wrong if value not in proxied and value not in private]
    found: list[Finding] = []
    if proxied:
        found.append(behind_cloudflare(check, proxied))
    if private:
        found.append(private_address(check, private))
    unknown = tuple(value for value in rest if check.may_be_nat(ip_version(value)))
    if unknown:
        found.append(unknown_address(check, unknown))
    rest = [value for value in rest if value not in unknown]
    sixes = tuple(value for value in rest if ip_version(value) == 6)
    if rest and len(sixes) == len(rest) and not check.has(6) and not proxied:
        found.append(no_ipv6(check, sixes))
    elif rest:
        found.append(one_wrong(check, right, tuple(rest)) if right else foreign(check, tuple(rest)))
    return tuple(found)


def foreign(check: NameCheck, wrong: tuple[str, ...]) -> Finding:
    """None of them is this server's."""
    return check.finding(
        "dns.foreign",
        check.block,
        f"{check.label} points to {all_of(wrong)}, not to this server ({any_of(check.preferred()) or 'address unknown'}).",
        "Visitors and the certificate authority would reach another machine.",
        f"{corrections(check, wrong)}{then_run_again(check)}{if_it_is_ours(check)}",
    )


def one_wrong(check: NameCheck, right: tuple[str, ...], wrong: tuple[str, ...]) -> Finding:
    """Some are this server's and some are not."""
    if all(ip_version(each) == 6 for each in wrong) and any(ip_version(each) == 4 for each in right):
        why = (
            "The certificate authority and most browsers try IPv6 (the AAAA record) first, so they reach another "
            "machine although the A record is right."
        )
    elif all(ip_version(each) == 4 for each in wrong) and all(ip_version(each) == 6 for each in right):
        why = "Visitors without IPv6 reach another machine."
    else:
        why = "Visitors and the certificate authority use one of the addresses at random, so they may reach another machine."
    return check.finding(
        "dns.one-wrong",
        check.block,
        f"{check.label} points to this server ({all_of(right)}), but also to another machine ({all_of(wrong)}).",
        why,
        f"{corrections(check, wrong)}{then_run_again(check)}{if_it_is_ours(check)}",
    )


def no_ipv6(check: NameCheck, wrong: tuple[str, ...]) -> Finding:
    """An AAAA record, and no IPv6 here."""
    address = "that address" if len(wrong) == 1 else "those addresses"
    return check.finding(
        "dns.no-ipv6-here",
        check.block,
        f"{check.label} has an IPv6 address ({all_of(wrong)}), but this server has no IPv6.",
        "The certificate authority and most browsers try IPv6 (the AAAA record) first, so they reach nothing, or another "
        "machine.",
        f"At your DNS provider, {deletion(check.name, wrong)}, or give the server {address} (most hosting "
        f"providers have a switch for IPv6).{then_run_again(check)}",
    )


def behind_cloudflare(check: NameCheck, proxied: tuple[str, ...]) -> Finding:
    """Cloudflare's proxy is in between."""
    return check.finding(
        "dns.cloudflare",
        check.block_without_certificate,
        f"{check.label} points to Cloudflare's proxy ({all_of(proxied)}), not directly to this server.",
        "The certificate authority would ask Cloudflare instead of this server. And with Cloudflare's SSL mode "
        '"Flexible", browsers end up in a redirect loop.',
        f"In Cloudflare's panel, under DNS, set the record of {check.name} to this server's address "
        f"({any_of(check.preferred()) or 'see your hosting provider'}) and switch its cloud from orange (Proxied) to grey (DNS only). "
        'After the setup you can switch it back, with SSL/TLS mode "Full (strict)", never "Flexible".',
    )


def private_address(check: NameCheck, private: tuple[str, ...]) -> Finding:
    """An address that only one network or machine knows."""
    return check.finding(
        "dns.private",
        check.block,
        f"{check.label} points to {all_of(private)}, only valid inside a private network.",
        "No one can reach such an address from the internet, including the certificate authority.",
        f"{corrections(check, private)}{then_run_again(check)}",
    )


def unknown_address(check: NameCheck, wrong: tuple[str, ...]) -> Finding:
    """It may be right: the server is behind address translation (NAT), and its public address could not be found out."""
    private = all_of(
        [each for each in check.facts.interfaces if ip_version(each) == ip_version(wrong[0]) and not is_public(each)]
    )
    here = f"only private addresses ({private})" if private else "no visible address"
    quoted = ", ".join(f'"{value}"' for value in wrong)
    return check.finding(
        "dns.unknown-address",
        check.block,
        f"{check.label} points to {all_of(wrong)}, and it is not known whether that is this server.",
        f"This server has {here}, so it is behind address translation (NAT), as in many clouds. The check from outside, "
        "which would have shown its public address, got no answer.",
        f"Compare it with the public address in your hosting provider's panel. If it is {any_of(wrong)}, put this into the answers "
        f"file:  public_addresses = [{quoted}]\nIf it isn't, set the record to the address in the panel.",
    )
