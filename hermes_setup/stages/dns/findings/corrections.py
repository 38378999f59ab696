"""What to type at the DNS provider: records to set and to delete, and what comes after that."""

from __future__ import annotations

from hermes_setup.answers.allowed_addresses import is_public
from hermes_setup.phrases import all_of, duration
from hermes_setup.stages.dns.findings.name_check import NameCheck
from hermes_setup.stages.dns.names import ip_version


def records_to_set(check: NameCheck) -> str:
    """For a name that has none."""
    records = [_record(check.name, address) for address in check.preferred()]
    if not records:
        records = [f"{check.name}.  A  (this server's public address, shown in your hosting provider's panel)"]
    return "Set at your DNS provider:  " + "\nand  ".join(records)


def corrections(check: NameCheck, wrong: tuple[str, ...]) -> str:
    """For each family in the records: the record to set, or to delete where this server has no such address."""
    parts: list[str] = []
    usable = {
        ip_version(address): address
        for address in check.preferred()
        if is_public(address) or check.issuer != "letsencrypt"
    }
    for version in (4, 6):
        of_family = tuple(address for address in wrong if ip_version(address) == version)
        if of_family:
            parts.append(_correction(check, of_family, usable.get(version)))
    versions = {ip_version(address) for address in wrong}
    others = [address for version, address in usable.items() if version not in versions]
    if others and not any(check.is_ours(address) for address in check.addresses):
        parts.insert(0, f"Set at your DNS provider:  {_record(check.name, others[0])}")
    return "\n".join(parts) + delete_alias_first(check)


def _correction(check: NameCheck, wrong: tuple[str, ...], usable: str | None) -> str:
    """For one family: `usable` is the address of this server to put into a record, if there is one."""
    version = ip_version(wrong[0])
    right = any(check.is_ours(each) and ip_version(each) == version for each in check.addresses)
    if usable and usable not in check.addresses and not right:
        instead = f"Set at your DNS provider:  {_record(check.name, usable)}  (instead of {all_of(wrong)})"
        return f"{instead}, or {deletion(check.name, wrong)}" if version == 6 else instead
    delete = f"At your DNS provider, {deletion(check.name, wrong)}"
    return f"{delete}, or give the server that address" if version == 6 and not usable else delete


def deletion(name: str, addresses: tuple[str, ...]) -> str:
    """Which records to delete, in the middle of a sentence."""
    kind = "AAAA" if ip_version(addresses[0]) == 6 else "A"
    return f"delete the {kind} record{'s' if len(addresses) > 1 else ''} {all_of(addresses)} of {name}"


def delete_alias_first(check: NameCheck) -> str:
    """To delete the alias, where there is one."""
    if not check.facts.chain:
        return ""
    record = f"{check.name}.  CNAME  {check.facts.chain[0]}."
    return f"\nFirst delete the record  {record}  A name can't have a CNAME and addresses."


def then_run_again(check: NameCheck) -> str:
    """What comes after a change of the records."""
    ttl = max((family.actual.ttl for family in check.families if family.actual.values), default=0)
    caches = f" Caches may keep the old record for up to {duration(ttl)}." if ttl else ""
    return f"\nThen run this again.{caches}"


def if_it_is_ours(check: NameCheck) -> str:
    """How to say that the program is wrong."""
    if check.given:
        return ""
    return '\nIf this server does have such an address, list all of its addresses in the answers file:  public_addresses = ["..."]'


def _record(name: str, address: str) -> str:
    return f"{name}.  {'AAAA' if ip_version(address) == 6 else 'A'}  {address}"
