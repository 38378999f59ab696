"""Certificates that were made for a former domain or another CA, and that no site uses any more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hermes_setup import phrases
from hermes_setup.engine.findings import Finding, note
from hermes_setup.host import Host
from hermes_setup.nginx import tree
from hermes_setup.stages.certificate import lineages, self_signed
from hermes_setup.stages.certificate.serving import Served

SITES = ("/etc/nginx/nginx.conf", "/etc/nginx/conf.d/*", "/etc/nginx/sites-enabled/*", "/etc/nginx/snippets/*")


def needed_certificates(served: Served | None, redirected: Iterable[Served | None]) -> tuple[str, ...]:
    """Paths of the certificates that the site is to use, whatever it uses now (an undo changes that); () while there is none."""
    return (served.certificate, *(each.certificate for each in redirected if each)) if served else ()


def unused_lineages(host: Host, needed: Sequence[str]) -> tuple[str, ...]:
    """Lineages renewed through our webroot that no site of nginx uses: left behind by another domain or another CA."""
    if not needed:
        return ()
    sites = _site_texts(host)
    found = []
    for file in host.names(f"{lineages.FOLDER}/renewal"):
        settings, name = tree.file_at(host, f"{lineages.FOLDER}/renewal/{file}"), file.removesuffix(".conf")
        if not settings or not file.endswith(".conf"):
            continue
        lineage = lineages.parse_renewal(name, settings.content.decode(errors="replace"))
        if not lineage or lineage.authenticator != "webroot" or lineages.WEBROOT not in lineage.webroots.values():
            continue
        if lineage.fullchain not in needed and not any(f"live/{name}/".encode() in text for text in sites):
            found.append(name)
    return tuple(found)


def unused_self_signed(host: Host, needed: Sequence[str]) -> tuple[str, ...]:
    """Folders of self-signed certificates that no site of nginx uses: left behind by another domain, or by a test."""
    if not needed:
        return ()
    sites = _site_texts(host)
    folders = [f"{self_signed.FOLDER}/{name}" for name in host.names(self_signed.FOLDER)]
    return tuple(
        folder
        for folder in folders
        if not any(path.startswith(f"{folder}/") for path in needed)
        and not any(f"{folder}/".encode() in text for text in sites)
    )


def findings(names: Sequence[str], folders: Sequence[str]) -> list[Finding]:
    """How to remove these lineages and these folders of self-signed certificates."""
    found: list[Finding] = []
    if names:
        it, they = ("it", "It stays") if len(names) == 1 else ("them", "They stay")
        found.append(
            note(
                "certificate.left-behind",
                f"{_subject('certificate', names)} no longer needed by this site, once all changes are made.",
                f"{they} until you remove {it}; certbot keeps renewing {it}, or tries to.",
                f"After that, if no other site uses {it}: "
                + " ; ".join(f"sudo certbot delete --cert-name {name}" for name in names),
            )
        )
    if folders:
        it, they, keys = (
            ("it", "It stays", "its key is") if len(folders) == 1 else ("them", "They stay", "their keys are")
        )
        found.append(
            note(
                "certificate.left-behind",
                f"{_subject('self-signed certificate', folders, 'in ')} no longer needed by this site, once all changes are "
                "made.",
                f"{they} until you remove {it}; {keys} in there.",
                f"After that, if no other site uses {it}: sudo rm -r {' '.join(folders)}",
            )
        )
    return found


def _site_texts(host: Host) -> list[bytes]:
    return [file.content for each in SITES for path in tree.glob(host, each) if (file := tree.file_at(host, path))]


def _subject(what: str, names: Sequence[str], where: str = "") -> str:
    """The start of a sentence about one or more: The certificates a, b and c are ..."""
    one = len(names) == 1
    return f"The {what}{'' if one else 's'} {where}{phrases.all_of(names)} {'is' if one else 'are'}"
