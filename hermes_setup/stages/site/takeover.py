"""A site of someone else for our very name: taken over where it is for that name alone, and its text is kept."""

from __future__ import annotations

import posixpath

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.engine.findings import Finding, block, note
from hermes_setup.host import ABSENT, Absent, File
from hermes_setup.nginx import tree
from hermes_setup.nginx.tree import Server
from hermes_setup.phrases import all_of
from hermes_setup.stages.site.facts import SITE_FILE, Facts

FIRST_WINS = "Two sites have the same name, so nginx would only use the first."


def files_to_replace(answers: Answers, facts: Facts) -> list[tuple[str, str]]:
    """(path, why) of each file that ours replaces."""
    found = [
        (
            server.path,
            f"taken over: it served {answers.domain}, too; its text stays in {kept_text_path(server.path, facts)}",
        )
        for server in facts.config.others_named(answers.domain.ascii)
    ]
    if isinstance(facts.nodes.get(SITE_FILE), File) and not facts.text.startswith(tree.HEADER):
        found.append((SITE_FILE, "taken over"))
    return list(dict(found).items())


def names_taken(answers: Answers, facts: Facts) -> list[Finding]:
    """No site of someone else has one of our names, unless it is for our domain alone: that one is taken over."""
    more = [
        (name, server)
        for name in (*answers.names[1:], *answers.redirects)
        for server in facts.config.others_named(name.ascii)
    ]
    return [
        *(
            _taken(server, f"{server.path} already serves {name}", FIRST_WINS, f"Remove {name} from the server_name")
            for name, server in more
        ),
        *(_of_domain(answers.domain, server, facts) for server in facts.config.others_named(answers.domain.ascii)),
    ]


def copy_path(path: str, facts: Facts) -> str:
    """Where the text of a site that is taken over is kept, where nginx does not read it; never over an earlier copy."""
    copy = f"{tree.FOLDER}/sites-available/{posixpath.basename(path)}.by-hand"
    text = tree.content_behind(facts.nodes, facts.config, path)
    for candidate in (copy, *(f"{copy}-{number}" for number in range(2, 100))):
        there = facts.nodes.get(candidate, ABSENT)
        if isinstance(there, Absent) or (isinstance(there, File) and there.content == text):
            return candidate
    return f"{copy}-100"


def kept_text_path(path: str, facts: Facts) -> str:
    """Where its text is afterwards: behind a link, where it was; else in a copy."""
    behind = tree.link_target(path, facts.nodes.get(path, ABSENT))
    return behind if behind and behind != SITE_FILE else copy_path(path, facts)


def _of_domain(domain: Domain, server: Server, facts: Facts) -> Finding:
    served = f"{server.path} already serves {domain}"
    if not facts.config.optional(server.path):
        return _taken(
            server,
            f"{served}, and nginx needs that file",
            f"{FIRST_WINS} This file can't be moved away as a whole.",
            "Remove the server block",
        )
    if more := _other_names(server.path, domain, facts):
        return _taken(
            server,
            f"{served}, together with {all_of(more)}",
            f"{FIRST_WINS} Taking the file over would end the other sites in it.",
            f"Remove {domain} from the server_name",
        )
    return note(
        "site.by-hand",
        f"{server.path} is a site for {domain} that someone made by hand.",
        "It is taken over; nothing in it is lost.",
        f"Its text stays: {kept_text_path(server.path, facts)}",
    )


def _taken(server: Server, what: str, why: str, do: str) -> Finding:
    place = f"line {server.line}: sudo nano +{server.line} {server.path}"
    return block("site.name-taken", f"{what}.", why, f"{do} at {place}")


def _other_names(path: str, domain: Domain, facts: Facts) -> list[str]:
    """What else the file serves, besides our name (and names that mean nothing)."""
    names = {name for server in facts.config.servers if server.path == path for name in server.names or ("(no name)",)}
    return sorted(names - {domain.ascii, "_", f"www.{domain.ascii}"})
