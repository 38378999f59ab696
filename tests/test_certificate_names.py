"""The names in the certificate: the webhooks' own host joins them, and leaves them again."""

from __future__ import annotations

from collections.abc import Sequence

from certificates import NAME, Server
from certificates import answers as wish
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.user import User
from hermes_setup.answers.webhook_platforms import parse_endpoints
from hermes_setup.answers.webhooks import Webhooks
from hermes_setup.stages.certificate import serving
from hermes_setup.stages.certificate.stage import Certificate
from hermes_setup.values import replace

HOOKS = Domain.parse("hooks.example.com")
OURS = wish()
BOTH = replace(OURS, webhooks=Webhooks(parse_endpoints(["webhook", "sms"]), HOOKS))


def orders(server: Server, answers: Answers) -> list[Sequence[str]]:
    stage = Certificate()
    return [each.argv for each in stage.plan(answers, stage.inspect(answers, server)) if hasattr(each, "argv")]


def names(argv: Sequence[str]) -> list[str]:
    return [argv[at + 1] for at, word in enumerate(argv) if word == "-d"]


def test_a_second_name_joins_the_same_lineage_and_leaves_it_again() -> None:
    server = Server()
    server.lineage()
    (order,) = orders(server, BOTH)
    assert names(order) == [NAME, "hooks.example.com"]
    assert order[order.index("--cert-name") + 1] == NAME
    assert "--renew-with-new-domains" in order
    served = serving.certificate_for(BOTH, server)
    assert served  # until then the one name is still served
    assert served.certificate.endswith(f"live/{NAME}/fullchain.pem")
    server.lineage(names=[NAME, "hooks.example.com"])
    assert orders(server, BOTH) == []
    # the state says that the second name was ours
    (order,) = orders(server, OURS.following(BOTH))
    assert (names(order), order[order.index("--cert-name") + 1]) == ([NAME], NAME)
    # the state does not say so: it may be someone else's, so it is served and left as it is
    assert orders(server, OURS) == []


def test_a_name_that_was_ours_is_remembered_until_it_holds() -> None:
    assert OURS.following(BOTH).former_names == ("hooks.example.com",)
    assert OURS.following(OURS.following(BOTH)).former_names == ("hooks.example.com",)
    assert BOTH.following(OURS.following(BOTH)).former_names == ()
    # for good: the certificate of an earlier domain may have it for years
    assert OURS.following(OURS.following(BOTH).settled()).former_names == ("hooks.example.com",)
    assert OURS.following(None) == OURS
    moved = replace(OURS, domain=Domain.parse("new.example.com"))
    assert moved.following(OURS).former_names == (NAME,)


NEW = Domain.parse("new.example.com")


def test_a_return_to_a_name_whose_certificate_has_a_removed_host_orders_a_new_one_once() -> None:
    server = Server()
    server.lineage(names=[NAME, "hooks.example.com"])
    away = replace(BOTH, domain=NEW).following(BOTH).settled()
    without = replace(away, webhooks=None).following(away).settled()
    back = replace(without, domain=OURS.domain, redirects=(NEW,)).following(without)
    (order,) = orders(server, back)
    assert (names(order), order[order.index("--cert-name") + 1]) == ([NAME], NAME)
    assert {"--force-renewal", "--renew-with-new-domains"} <= set(order)
    server.lineage(names=[NAME])
    assert orders(server, back) == orders(server, back.settled()) == []


def test_a_host_that_became_a_redirected_domain_stays_in_the_certificate() -> None:
    server = Server()
    server.lineage(names=[NAME, "hooks.example.com"])
    redirecting = replace(OURS, redirects=(HOOKS,)).following(BOTH)
    assert orders(server, redirecting) == []
    served = serving.certificate_for(redirecting.about(HOOKS), server)
    assert served
    assert serving.reasons_to_replace(redirecting.about(HOOKS), served, server.now()) == []


def test_a_name_that_was_never_ours_stays_where_someone_put_it() -> None:
    server = Server()
    server.lineage(names=[NAME, "blog.example.com"])
    assert orders(server, OURS.following(BOTH)) == []


def test_a_self_signed_certificate_holds_both_names() -> None:
    (order,) = orders(Server(), replace(BOTH, issuer=wish("self-signed").issuer, users=(User("alice"),)))
    assert f"subjectAltName=DNS:{NAME},DNS:hooks.example.com" in order
