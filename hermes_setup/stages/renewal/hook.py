"""The deploy hook: certbot runs it after each renewal, and nginx loads the new certificate."""

from __future__ import annotations

from hermes_setup.stages.certificate import lineages

HOOK = f"{lineages.FOLDER}/renewal-hooks/deploy/hermes-setup"
