"""Findings: there is no record, or it does not point to this server."""

from __future__ import annotations

from hermes_setup.answers.networks import is_public
from hermes_setup.engine.findings import Finding, Severity
from hermes_setup.phrases import all_of, any_of, uncapitalized
from hermes_setup.stages.dns.cloudflare import is_cloudflares
from hermes_setup.stages.dns.names import NOT_PUBLIC, inner_name, ip_version
from hermes_setup.stages.dns.view import View, deletions


def missing(view: View) -> Finding:
    """The name, or an address behind it, does not exist."""
    here = tuple(each for each in view.facts.locally if view.mine(each))
    if view.trust != "letsencrypt" and here:
        return view.finding(
            "dns.missing",
            view.warns,
            f"Only this machine knows {view.label} (as {all_of(here)}); the DNS has no address for it.",
            "It stands in /etc/hosts or in a resolver of your own network. Others, the certificate authority among "
            "them, must be able to look it up too.",
            "Nothing to do if your certificate authority and your browsers know the name; else "
            f"{uncapitalized(view.settings())}",
        )
    if inner_name(view.name, NOT_PUBLIC):
        return view.finding(
            "dns.missing",
            view.stops,
            f"{view.label} has no address in the public DNS, and can have none.",
            f"Names that end in .{view.name.rpartition('.')[2]} exist only inside one network or machine; no public "
            "certificate authority signs for them.",
            'Take a name of a domain that you own; or choose the certificate "self-signed".',
        )
    gone = view.facts.a.truth.status == "nxdomain"
    what = f"{view.label} does not exist in the DNS." if gone else f"{view.label} has no address in the DNS."
    if view.facts.chain:
        what = f"{view.label} is an alias (CNAME) for {view.facts.chain[-1]}, which has no address."
    return view.finding(
        "dns.missing",
        view.stops,
        what,
        "Without an A or AAAA record nobody finds this server, and no certificate can be had for the name."
        if view.trust != "self-signed"
        else "Browsers find this server under the name only where it is entered by hand, as in their /etc/hosts.",
        f"{view.settings()}{view.alias_first()}\nThen wait a few minutes and run this again.",
    )


def misdirected(view: View) -> tuple[Finding, ...]:
    """Addresses that are not this server's, by what they are."""
    wrong = [value for value in view.values if not view.mine(value)]
    good = tuple(value for value in view.values if view.mine(value))
    proxied = tuple(value for value in wrong if is_cloudflares(value))
    inner = tuple(value for value in wrong if not is_public(value))
    rest = [value for value in wrong if value not in proxied and value not in inner]
    found: list[Finding] = []
    if proxied:
        found.append(behind_cloudflare(view, proxied))
    if inner:
        found.append(private_address(view, inner))
    unknown = tuple(value for value in rest if view.may_be_nat(ip_version(value)))
    if unknown:
        found.append(unknown_address(view, unknown))
    rest = [value for value in rest if value not in unknown]
    sixes = tuple(value for value in rest if ip_version(value) == 6)
    if rest and len(sixes) == len(rest) and not view.has(6) and not proxied:
        found.append(no_ipv6(view, sixes))
    elif rest:
        found.append(one_wrong(view, good, tuple(rest)) if good else foreign(view, tuple(rest)))
    return tuple(found)


def foreign(view: View, wrong: tuple[str, ...]) -> Finding:
    """All of them lead elsewhere."""
    return view.finding(
        "dns.foreign",
        view.stops,
        f"{view.label} points to {all_of(wrong)}, not to this server ({any_of(view.candidates()) or 'address unknown'}).",
        "Visitors and the certificate authority would reach another machine.",
        f"{view.corrections(wrong)}{view.then_wait()}{view.overrule()}",
    )


def one_wrong(view: View, good: tuple[str, ...], wrong: tuple[str, ...]) -> Finding:
    """Some lead here and some do not."""
    if all(ip_version(each) == 6 for each in wrong) and any(ip_version(each) == 4 for each in good):
        why = (
            "The certificate authority and most browsers try IPv6 (the AAAA record) first, so they reach another "
            "machine although the A record is right."
        )
    elif all(ip_version(each) == 4 for each in wrong) and all(ip_version(each) == 6 for each in good):
        why = "Whoever has no IPv6 reaches another machine."
    else:
        why = "Each visit takes one of the addresses by chance, the certificate authority's too, and may reach another machine."
    return view.finding(
        "dns.one-wrong",
        view.stops,
        f"{view.label} points to this server ({all_of(good)}), but also to {all_of(wrong)}, which is not this server.",
        why,
        f"{view.corrections(wrong)}{view.then_wait()}{view.overrule()}",
    )


def no_ipv6(view: View, wrong: tuple[str, ...]) -> Finding:
    """An AAAA record, and no IPv6 here."""
    address = "that address" if len(wrong) == 1 else "those addresses"
    return view.finding(
        "dns.no-ipv6-here",
        view.stops,
        f"{view.label} has an IPv6 address ({all_of(wrong)}), but this server has no IPv6.",
        "The certificate authority and most browsers try IPv6 (the AAAA record) first, and reach nothing or another "
        "machine.",
        f"At your DNS provider, {deletions(view.name, wrong)}, or give the server {address} (most providers have a switch for "
        f"IPv6).{view.then_wait()}",
    )


def behind_cloudflare(view: View, proxied: tuple[str, ...]) -> Finding:
    """Cloudflare's proxy stands between."""
    severity = min(view.stops, Severity.WARN) if view.facts.certificate else view.stops
    return view.finding(
        "dns.cloudflare",
        severity,
        f"{view.label} points to Cloudflare's proxy ({all_of(proxied)}), not straight to this server.",
        "Then the certificate authority asks Cloudflare instead of this server; and with Cloudflare's SSL mode "
        '"Flexible" the browser is sent in circles.',
        f"In Cloudflare's panel, under DNS, set the record of {view.name} to this server's address "
        f"({any_of(view.candidates()) or 'see your provider'}) and switch its cloud from orange (Proxied) to grey (DNS only). "
        'When the set-up is done you may switch it back, with SSL/TLS mode "Full (strict)", never "Flexible".',
    )


def private_address(view: View, inner: tuple[str, ...]) -> Finding:
    """An address that only one network or machine knows."""
    return view.finding(
        "dns.private",
        view.stops,
        f"{view.label} points to {all_of(inner)}, which is only valid inside a private network.",
        "From the internet nobody can reach such an address, the certificate authority included.",
        f"{view.corrections(inner)}{view.then_wait()}",
    )


def unknown_address(view: View, wrong: tuple[str, ...]) -> Finding:
    """It may be right: the server stands behind an address translation that could not be seen through."""
    private = all_of(
        [each for each in view.facts.here if ip_version(each) == ip_version(wrong[0]) and not is_public(each)]
    )
    here = f"only private addresses ({private})" if private else "no address that could be seen"
    told = ", ".join(f'"{value}"' for value in wrong)
    return view.finding(
        "dns.unknown-address",
        view.stops,
        f"{view.label} points to {all_of(wrong)}; whether that is this server could not be found out.",
        f"This server has {here}, so it stands behind address translation (NAT), as in many clouds, and the look from "
        "outside, which would have shown its public address, was not answered.",
        f"Compare with the public address in your provider's panel. If it is {any_of(wrong)}, put this into the answers "
        f"file:  public_addresses = [{told}]\nIf it is not: set the record to the address that the panel shows.",
    )
