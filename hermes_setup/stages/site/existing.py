"""The site as it is, no matter who wrote it: loaded after an undo, and nothing of it written."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.engine.changes import Change
from hermes_setup.host import File
from hermes_setup.stages.site import loading
from hermes_setup.stages.site.facts import SITE_FILE, Facts
from hermes_setup.stages.site.stage import Site


class ExistingSite(Site):
    """See the module."""

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:  # noqa: ARG002
        """nginx loads what is there, where it has not yet."""
        return loading.load(facts, facts.text) if isinstance(facts.nodes.get(SITE_FILE), File) else ()
