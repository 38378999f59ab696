"""A site of somebody else for the very same name: taken over where it is for our name alone, with its text kept."""

from __future__ import annotations

import posixpath

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.fields import Domain
from hermes_setup.engine.findings import Finding, block, note
from hermes_setup.host import ABSENT, Absent, File
from hermes_setup.nginx import tree
from hermes_setup.nginx.tree import Server
from hermes_setup.stages.site.facts import AVAILABLE, Facts


def takeovers(answers: Answers, facts: Facts) -> list[tuple[str, str]]:
    """(path, why) of each file that ours takes the place of."""
    found = [
        (
            server.path,
            f"taken over: it served {answers.domain}, too; its text stays in {where_its_text_stays(server.path, facts)}",
        )
        for server in claimants(answers.domain, facts)
    ]
    there = facts.nodes.get(AVAILABLE)
    if isinstance(there, File) and not there.content.startswith(tree.HEADER.encode()):
        found.append((AVAILABLE, "taken over"))
    return list(dict(found).items())


def names_taken(answers: Answers, facts: Facts) -> list[Finding]:
    """No site of somebody else has one of our names; what is a site for our name alone is taken over."""
    found: list[Finding] = []
    more = [(name, server) for name in (*answers.names[1:], *answers.redirects) for server in claimants(name, facts)]
    for name, server in more:
        found.append(
            block(
                "site.name-taken",
                f"{server.path} serves {name} already.",
                "Two sites with one name: nginx would use only the first.",
                f"Take {name} out of the server_name at line {server.line}: sudo nano +{server.line} {server.path}",
            )
        )
    for server in claimants(answers.domain, facts):
        others = _other_names(server.path, answers.domain, facts)
        if not facts.config.optional(server.path):
            found.append(
                block(
                    "site.name-taken",
                    f"{server.path} serves {answers.domain} already, and nginx cannot do without that file.",
                    "Two sites with one name: nginx would use only the first; and this one cannot be moved away whole.",
                    f"Take the server block at line {server.line} out: sudo nano +{server.line} {server.path}",
                )
            )
        elif others:
            found.append(
                block(
                    "site.name-taken",
                    f"{server.path} serves {answers.domain} already, together with {', '.join(others)}.",
                    "Two sites with one name: nginx would use only the first; and taking the file over would end the others.",
                    f"Take {answers.domain} out of the server_name at line {server.line}: "
                    f"sudo nano +{server.line} {server.path}",
                )
            )
        else:
            found.append(
                note(
                    "site.by-hand",
                    f"{server.path} is a site for {answers.domain} that someone made by hand.",
                    "It is taken over; nothing in it is lost.",
                    f"Its text stays: {where_its_text_stays(server.path, facts)}",
                )
            )
    return found


def claimants(domain: Domain, facts: Facts) -> list[Server]:
    """Servers in files of others that have our name."""
    ours = {domain.ascii, f".{domain.ascii}"}  # a dot in front stands for the name itself, too
    return [server for server in facts.config.servers if not server.ours and ours & set(server.names)]


def _other_names(path: str, domain: Domain, facts: Facts) -> list[str]:
    """What else the file serves, besides our name (and names that stand for nothing)."""
    names = {name for server in facts.config.servers if server.path == path for name in server.names or ("(no name)",)}
    return sorted(names - {domain.ascii, "_", f"www.{domain.ascii}"})


def copy_path(path: str, facts: Facts) -> str:
    """Where the text of a site that is taken over stays, out of nginx's sight; never over an earlier copy."""
    copy = f"{tree.FOLDER}/sites-available/{posixpath.basename(path)}.by-hand"
    text = tree.content_behind(facts.nodes, facts.config, path)
    for candidate in (copy, *(f"{copy}-{number}" for number in range(2, 100))):
        there = facts.nodes.get(candidate, ABSENT)
        if isinstance(there, Absent) or (isinstance(there, File) and there.content == text):
            return candidate
    return f"{copy}-100"


def where_its_text_stays(path: str, facts: Facts) -> str:
    """Where its text is afterwards: behind a link, where it was; else in a copy."""
    behind = tree.link_target(path, facts.nodes.get(path, ABSENT))
    return behind if behind and behind != AVAILABLE else copy_path(path, facts)
