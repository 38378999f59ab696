"""Certificates that were made for an earlier domain or CA, and that no site uses any more."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.answers.fields import Domain
from hermes_setup.host import Host
from hermes_setup.nginx import tree
from hermes_setup.stages.certificate import lineages, self_signed
from hermes_setup.stages.certificate.serving import Served
from hermes_setup.stages.renewal.timers import file_at

SITES = ("/etc/nginx/nginx.conf", "/etc/nginx/conf.d/*", "/etc/nginx/sites-enabled/*", "/etc/nginx/snippets/*")


def subject(what: str, names: Sequence[str], where: str = "") -> str:
    """The beginning of a sentence about one or more: The certificates a, b and c are ..."""
    told = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return f"The {what}{'' if len(names) == 1 else 's'} {where}{told} {'is' if len(names) == 1 else 'are'}"


def needed_certificates(served: Served | None, moved: Sequence[tuple[Domain, Served | None]]) -> tuple[str, ...]:
    """The certificates that the site is to use, whatever it uses now (an undoing changes that); () while there is none."""
    return (served.certificate, *(each.certificate for _, each in moved if each)) if served else ()


def unused_lineages(host: Host, needed: Sequence[str]) -> tuple[str, ...]:
    """Lineages renewed through our webroot that no site of nginx names: left over from another domain or another CA."""
    if not needed:
        return ()
    sites = _site_texts(host)
    found = []
    for file in host.names(f"{lineages.FOLDER}/renewal"):
        node, name = file_at(host, f"{lineages.FOLDER}/renewal/{file}"), file.removesuffix(".conf")
        if not node or not file.endswith(".conf"):
            continue
        lineage = lineages.parse_renewal(name, node.content.decode(errors="replace"))
        if not lineage or lineage.authenticator != "webroot" or lineages.WEBROOT not in lineage.webroots.values():
            continue
        used = lineage.fullchain in needed or any(f"live/{name}/".encode() in text for text in sites)
        if not used:
            found.append(name)
    return tuple(found)


def _site_texts(host: Host) -> list[bytes]:
    return [node.content for each in SITES for path in tree.glob(host, each) if (node := file_at(host, path))]


def unused_self_signed(host: Host, needed: Sequence[str]) -> tuple[str, ...]:
    """Folders of self-signed certificates that no site of nginx names: left over from another domain, or from a try."""
    if not needed:
        return ()
    sites = _site_texts(host)
    folders = [f"{self_signed.OWN}/{name}" for name in host.names(self_signed.OWN)]
    return tuple(
        folder
        for folder in folders
        if not any(path.startswith(f"{folder}/") for path in needed)
        and not any(f"{folder}/".encode() in text for text in sites)
    )
