"""All look-ups of a plan, side by side, until nothing more is wanted or the time is over."""

from __future__ import annotations

import queue
import threading
import time

from hermes_setup.host import Host, Records
from hermes_setup.stages.dns.names import short_form
from hermes_setup.stages.dns.queries.plan import QueryPlan
from hermes_setup.stages.dns.queries.query import CHECKPOINTS, GETENT, Query
from hermes_setup.values import replace

Inbox = queue.SimpleQueue[tuple[Query, "Records | Exception"]]


def ask_all(host: Host, plan: QueryPlan, seconds: float) -> QueryPlan:
    """The plan with every reply that it wanted, or with those that came within `seconds`.

    Each query has a thread of its own, which is left behind when the time is over: it ends by the look-up's own
    deadline, and does not keep the program from ending.
    """
    inbox: Inbox = queue.SimpleQueue()
    known: dict[Query, Records] = {}
    sent: set[Query] = set()
    start = time.monotonic()
    while True:
        elapsed = time.monotonic() - start
        now = replace(plan, known=known, elapsed=elapsed / seconds)
        wanted = now.wanted()
        if now.elapsed >= 1 or all(query in known for query in wanted):
            return now
        for query in wanted:
            if query not in sent:
                sent.add(query)
                left = max(0.05, seconds - elapsed)
                threading.Thread(target=_send, args=(host, query, left, inbox), daemon=True).start()
        checkpoint = next(each for each in CHECKPOINTS if each > now.elapsed)
        _receive(inbox, known, max(0.001, checkpoint * seconds - elapsed))


def _receive(inbox: Inbox, known: dict[Query, Records], seconds: float) -> None:
    """All replies that are there, as soon as there is one, are among the known ones. Raises what a look-up raised."""
    try:
        query, reply = inbox.get(timeout=seconds)
        while True:
            if isinstance(reply, Exception):
                raise reply
            known[query] = reply
            query, reply = inbox.get_nowait()
    except queue.Empty:
        pass


def _send(host: Host, query: Query, seconds: float, inbox: Inbox) -> None:
    reply: Records | Exception
    try:
        reply = _reply(host, query, seconds)
    except Exception as error:  # noqa: BLE001 - raised again where the reply is read
        reply = error
    inbox.put((query, reply))


def _reply(host: Host, query: Query, seconds: float) -> Records:
    if query.kind == GETENT:
        ran = host.ask(("getent", "ahosts", query.name), seconds=seconds)
        words = [line.split()[0] for line in ran.out.splitlines() if line.strip()]
        values = tuple(dict.fromkeys(address for word in words if (address := short_form(word))))
        return Records("ok" if values else "nodata", values)
    reply = host.dns(query.name, query.kind, server=query.server, seconds=seconds)
    if query.kind not in ("A", "AAAA"):
        return reply
    return replace(reply, values=tuple(short_form(value) or value for value in reply.values))
