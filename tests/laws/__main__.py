"""Started by tests/laws/run: see the package."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter

from lab import World

from .check import Bench, Findings
from .sites import SITES


def main() -> int:
    """1 where a law does not hold."""
    parser = argparse.ArgumentParser(prog="tests/laws/run")
    parser.add_argument("--requests", type=int, default=5000, help="how many, spread over the golden sites")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--site", default="", help="only sites with that in their names")
    parser.add_argument("--only", default="", help="SITE:NUMBER, one request of a run before")
    wanted = parser.parse_args()
    only, _, number = wanted.only.partition(":")
    sites = [site for site in SITES if wanted.site in site.name and only in ("", site.name)]
    numbers = [int(number)] if only else range(-(-wanted.requests // len(sites)))
    kinds: Counter[str] = Counter()
    asked = wrong = 0
    for debian in sorted({site.debian for site in sites}):
        with World() as world:
            bench = Bench(world.machine(f"{debian}-ready"))
            for site in (site for site in sites if site.debian == debian):
                began = time.monotonic()
                findings: Findings = bench.run(site, wanted.seed, numbers)
                asked, wrong = asked + findings.asked, wrong + len(findings.wrong)
                kinds += findings.kinds
                print(
                    f"{site.name:<50} {findings.asked:6} requests, {len(findings.wrong):4} wrong, {time.monotonic() - began:5.1f} s",
                    flush=True,
                )
                if findings.wrong or only:
                    print(findings, flush=True)
    print(
        f"seed {wanted.seed}, {asked} requests to {len(sites)} sites, {wrong} wrong: {', '.join(f'{kind} {count}' for kind, count in kinds.most_common())}"
    )
    return int(bool(wrong))


sys.exit(main())
