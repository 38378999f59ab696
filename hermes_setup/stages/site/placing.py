"""Which files make the site: where each goes, what it is called, and in which order they are placed.

The link that enables the site sorts last, so that it is never the default server, and it is placed last.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from hermes_setup.answers.answers import Answers
from hermes_setup.engine.changes import Change, Place, Run
from hermes_setup.host import ABSENT, Absent, File, Link, Node
from hermes_setup.nginx import tree
from hermes_setup.stages.addresses.lists import allowed_in, in_a_line
from hermes_setup.stages.site import takeover
from hermes_setup.stages.site.facts import LOG, PENDING, SITE_FILE, Facts
from hermes_setup.stages.site.neighbours import examples_with_ipv6
from hermes_setup.stages.site.webhooks import unchanged_place

LINK = "zz-hermes"


def log_changes(facts: Facts) -> list[Change]:
    """The log that names who visits is not for everybody's eyes, from its first byte: as Debian's logrotate makes the next."""
    if facts.served is None:
        return []
    if facts.log_mode is None:
        why = "the site's log, with the names of those who visit: for root and the group adm"
        # Not a Place: it is nginx's from now on, so an undo has nothing to compare it with, and leaves it.
        return [Run(("install", "-m", "0640", "-g", "adm", "/dev/null", LOG), why)]
    if facts.log_mode & 0o007:
        why = "the site's log names those who visit: no longer for everybody on this server"
        return [Run(("chmod", "o=", LOG), why)]
    return []


def site_places(answers: Answers, facts: Facts, text: str) -> list[Place]:
    """What has to be placed so that this text is the site, in order: it and its link, and what is in their way."""
    pending = facts.served is None and facts.serves_another_domain(answers.domain)
    file = SITE_FILE + PENDING if pending else SITE_FILE
    link = _link_path(facts, pending=pending)
    wanted = [*_taken_over(answers, facts), *_leftovers(facts, link, pending=pending)]
    if not facts.ipv6:
        why = "the distribution's example site needs IPv6, which this machine does not have"
        wanted += [Place(path, ABSENT, why) for path in examples_with_ipv6(facts)]
    to = Link(posixpath.relpath(file, posixpath.dirname(link)))
    wanted += [
        Place(
            file, File(text.encode("utf-8", "surrogateescape")), f"{answers.domain.label}: {_summary(answers, facts)}"
        ),
        Place(link, to, "enable the site; its name sorts last, so it never becomes the default site"),
    ]
    changed = [place for place in wanted if facts.nodes.get(place.path, ABSENT) != place.node]
    places = {place.path: place for place in changed}.values()  # the last word on a path counts
    return sorted(places, key=lambda place: _order(place.path, place.node))


def _link_path(facts: Facts, *, pending: bool) -> str:
    folder = facts.config.sites_folder
    ending = (PENDING if pending else "") + (".conf" if folder.endswith("conf.d") else "")
    return f"{folder}/{_last_name(folder, facts)}{ending}"


def _last_name(folder: str, facts: Facts) -> str:
    """A name for our link that sorts behind every other in the folder (glob(3) sorts by bytes in nginx's C locale)."""
    others = [
        posixpath.basename(path)
        for path, node in facts.nodes.items()
        if posixpath.dirname(path) == folder
        and not isinstance(node, Absent)
        and not (isinstance(node, Link) and tree.link_target(path, node) in (SITE_FILE, SITE_FILE + PENDING))
    ]
    name = LINK
    while any(other >= name for other in others) and len(name) < 40:
        name = "z" + name
    return name if all(other < name for other in others) else "~" + LINK


def _taken_over(answers: Answers, facts: Facts) -> Iterator[Place]:
    """Sites that ours replaces; their text is kept."""
    for path, why in takeover.files_to_replace(answers, facts):
        copy = takeover.copy_path(path, facts)
        if takeover.kept_text_path(path, facts) == copy:
            text = tree.content_behind(facts.nodes, facts.config, path)
            yield Place(copy, File(text), f"keep a copy of {path}")
        if path != SITE_FILE:
            yield Place(path, ABSENT, why)


def _leftovers(facts: Facts, link: str, *, pending: bool) -> Iterator[Place]:
    """What is left of our site as it was: links of other names, and the site that waited for its certificate."""
    targets = (SITE_FILE + PENDING,) if pending else (SITE_FILE, SITE_FILE + PENDING)
    for path, node in facts.nodes.items():
        if isinstance(node, Link) and path != link and tree.link_target(path, node) in targets:
            yield Place(path, ABSENT, "an older link of the site")
    if not pending:
        yield Place(SITE_FILE + PENDING, ABSENT, "the new domain has its certificate, so its waiting site is removed")


def _order(path: str, node: Node) -> int:
    """Copies first, then what is removed, then the file, then the link that enables it: valid after each single step."""
    if ".by-hand" in path:
        return 0
    if isinstance(node, Absent):
        return 3 if path.endswith((PENDING, f"{PENDING}.conf")) else 1
    return 4 if isinstance(node, Link) else 2


def _summary(answers: Answers, facts: Facts) -> str:
    """What the site does, for the plan."""
    if not facts.served:
        return "answer the certificate's challenge, and show a waiting page for everything else"
    found = "serve Hermes over HTTPS"
    if answers.allow:
        found += f", to these addresses only: {in_a_line(answers.allow)}"
    elif allowed_in(facts.text):
        found += ", to all addresses again"
    if answers.webhooks:
        found += f"; webhooks: {', '.join(map(str, answers.webhooks.endpoints))}"
        if now := unchanged_place(answers, facts):
            found += f", still at {now.host or answers.domain} until the certificate covers {answers.names[-1]}"
    if answers.redirects:
        names = [name.shown for name in answers.redirects]
        found += f"; {' and '.join(names)} {'redirects' if len(names) == 1 else 'redirect'} there"
    return found
