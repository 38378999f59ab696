"""Which files make the site: where each goes, what it is called, and in which order they are placed."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from hermes_setup.answers.answers import Answers
from hermes_setup.engine.changes import Place
from hermes_setup.host import ABSENT, Absent, File, Folder, Link, Node
from hermes_setup.nginx import tree
from hermes_setup.stages.addresses import stage as addresses
from hermes_setup.stages.certificate.lineages import CHALLENGES
from hermes_setup.stages.site.facts import AVAILABLE, NEXT, Facts, serves_another_over_https, text_now
from hermes_setup.stages.site.neighbours import examples_with_ipv6
from hermes_setup.stages.site.takeover import copy_path, takeovers, where_its_text_stays
from hermes_setup.stages.site.webhooks import served_as_before
from hermes_setup.values import replace

LINK = "zz-hermes"


def last_name(folder: str, facts: Facts) -> str:
    """A name for our link that sorts behind every other in the folder (glob(3) sorts by bytes in nginx's C locale)."""
    taken = [
        posixpath.basename(path)
        for path, node in facts.nodes.items()
        if posixpath.dirname(path) == folder
        and not isinstance(node, Absent)
        and not (isinstance(node, Link) and tree.link_target(path, node) in (AVAILABLE, AVAILABLE + NEXT))
    ]
    name = LINK
    while any(other >= name for other in taken) and len(name) < 40:
        name = "z" + name
    return name if all(other < name for other in taken) else "~" + LINK


def order(path: str, node: Node) -> int:
    """Copies first, then what goes, then the file, then the link that switches it on: valid after each single step."""
    if ".by-hand" in path:
        return 0
    if isinstance(node, Absent):
        return 3 if path.endswith((NEXT, f"{NEXT}.conf")) else 1
    return 4 if isinstance(node, Link) else 2


def webroot(facts: Facts) -> list[Place]:
    """The folder of the challenges is there, and nginx may enter it."""
    there = isinstance(facts.webroot, Folder)
    made = [] if there else [Place(CHALLENGES, Folder(), "where certbot puts the challenge's answers")]
    why = "nginx may enter it: the challenge's answers lie below"
    return [*made, *(Place(path, replace(each, mode=each.mode | 0o555), why) for path, each in facts.closed)]


def site_places(answers: Answers, facts: Facts, text: str) -> list[Place]:
    """What has to be placed so that this text is the site: it and its link, and what is in their way."""
    moving = facts.served is None and serves_another_over_https(answers.domain, facts)
    available = AVAILABLE + NEXT if moving else AVAILABLE
    sites = facts.config.sites_folder
    link = f"{sites}/{last_name(sites, facts)}{NEXT if moving else ''}" + (".conf" if sites.endswith("conf.d") else "")
    wanted = [*_taken_over(answers, facts), *_older(facts, link, moving=moving)]
    if not facts.ipv6:
        why = "the distribution's example site wants IPv6, which this machine does not have"
        wanted += [Place(path, ABSENT, why) for path in examples_with_ipv6(facts)]
    why = f"{answers.domain.label}: {_summary(answers, facts)}"
    to = Link(posixpath.relpath(available, posixpath.dirname(link)))
    wanted += [
        Place(available, File(text.encode("utf-8", "surrogateescape")), why),
        Place(link, to, "switch the site on; it sorts last, so it is nobody's default"),
    ]
    changed = [place for place in wanted if facts.nodes.get(place.path, ABSENT) != place.node]
    return list({place.path: place for place in changed}.values())  # the last word on a path counts


def _taken_over(answers: Answers, facts: Facts) -> Iterator[Place]:
    """Sites that ours takes the place of; their text stays."""
    for path, why in takeovers(answers, facts):
        copy = copy_path(path, facts)
        content = tree.content_behind(facts.nodes, facts.config, path)
        if where_its_text_stays(path, facts) == copy:
            yield Place(copy, File(content), f"keep a copy of {path}")
        if path != AVAILABLE:
            yield Place(path, ABSENT, why)


def _older(facts: Facts, link: str, *, moving: bool) -> Iterator[Place]:
    """What is left of our site as it was: links of other names, and the site that waited for its certificate."""
    targets = (AVAILABLE + NEXT,) if moving else (AVAILABLE, AVAILABLE + NEXT)
    for path, node in facts.nodes.items():
        if isinstance(node, Link) and path != link and tree.link_target(path, node) in targets:
            yield Place(path, ABSENT, "an older link of the site")
    if not moving:
        yield Place(AVAILABLE + NEXT, ABSENT, "the new name has its certificate; the waiting site goes")


def _summary(answers: Answers, facts: Facts) -> str:
    """What the site does, as the plan says it."""
    if not facts.served:
        return "answer the certificate's challenge; a waiting page for the rest"
    found = "serve Hermes over HTTPS"
    if answers.allow:
        found += f", to these addresses only: {addresses.told(answers.allow)}"
    elif addresses.listed(text_now(facts)):
        found += ", to all addresses again"
    if answers.webhooks:
        found += f"; webhooks: {', '.join(map(str, answers.webhooks.endpoints))}"
        if now := served_as_before(answers, facts):
            found += f", where they are ({now.host or answers.domain}) until the certificate holds {answers.names[-1]}"
    if answers.redirects:
        names = [name.shown for name in answers.redirects]
        found += f"; {' and '.join(names)} {'leads' if len(names) == 1 else 'lead'} there"
    return found
