"""Answers as answers.json holds them."""

from __future__ import annotations

from typing import Any

from hermes_setup.answers.answers import Answers, User, Webhooks
from hermes_setup.answers.fields import Backend, Domain, Issuer, parse_allow, parse_email, parse_user
from hermes_setup.errors import HermesSetupError, WrongInput
from hermes_setup.state.places import STATE


def to_table(answers: Answers) -> dict[str, Any]:
    """The answers as JSON can hold them. Hashes stand in it until the users are on the machine; never a password."""
    return {
        "domain": answers.domain.ascii,
        "certificate": answers.issuer.text,
        "email": answers.email,
        "backend": str(answers.backend) if answers.backend else "",
        "service": answers.service,
        "firewall": answers.firewall,
        "public_addresses": list(answers.public_addresses),
        "allow": list(answers.allow),
        "users": [{"name": user.name, "hash": user.hash, "origin": user.origin} for user in answers.users],
        "gone": list(answers.gone),
        "revoked": list(answers.revoked),
        "webhooks": answers.webhooks.to_table() if answers.webhooks else None,
        "redirects": [name.ascii for name in answers.redirects],
        "dropped": list(answers.dropped),
    }


def from_table(table: dict[str, Any]) -> Answers:
    """The answers that `to_table` wrote. Raises HermesSetupError when it was edited into something else."""
    try:
        return Answers(
            domain=Domain.parse(table["domain"]),
            issuer=Issuer.parse(table["certificate"]),
            email=parse_email(table["email"]),
            backend=Backend.parse(table["backend"]) if table["backend"] else None,
            service=table.get("service") is True,
            firewall="leave" if table["firewall"] == "leave" else "open",
            public_addresses=tuple(table["public_addresses"]),
            allow=parse_allow(table.get("allow", [])),  # answers of before there was a list have none
            users=tuple(
                User(parse_user(user["name"]), user["hash"], "answers" if user["origin"] == "answers" else "menu")
                for user in table["users"]
            ),
            gone=tuple(table["gone"]),
            revoked=tuple(table["revoked"]),
            webhooks=Webhooks.from_table(table["webhooks"]) if table.get("webhooks") else None,
            redirects=tuple(map(Domain.parse, table.get("redirects", []))),
            dropped=tuple(table.get("dropped", [])),
        )
    except (KeyError, TypeError, AttributeError, WrongInput) as error:
        raise HermesSetupError(
            f"{STATE}/answers.json is not as this program wrote it ({error}).",
            hint=f"Move it away (mv {STATE}/answers.json /root/) and run hermes-setup again; it asks anew.",
        ) from None
