"""Who may sign in."""

from __future__ import annotations

import unicodedata
from typing import Literal

from hermes_setup.errors import WrongInput
from hermes_setup.values import dataclass, field


def parse_user(text: str) -> str:
    """A user name that htpasswd and HTTP Basic can carry (RFC 7617 section 2: no colon). Raises WrongInput."""
    name = unicodedata.normalize("NFC", text.strip(" "))
    hint = "Type a name like alice: up to 64 characters, no colon, not starting with - or #."
    if not name:
        raise WrongInput("The user name is empty.", hint=hint)
    if any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in name):
        raise WrongInput("The user name contains a control character.", hint=hint)
    if ":" in name:
        raise WrongInput(
            "A user name can't contain a colon: browsers send one between the name and the password.", hint=hint
        )
    if name[0] in "-#":
        raise WrongInput(f"A user name can't start with {name[0]}: it would look like a flag or a comment.", hint=hint)
    if len(name) > 64:
        raise WrongInput(f"The user name has {len(name)} characters; 64 is the most.", hint=hint)
    return name


Origin = Literal["answers", "menu"]


@dataclass(frozen=True)
class User:
    """Someone who may sign in. `hash` "" means: the line that is on the machine stays as it is."""

    name: str
    hash: str = field(default="", repr=False)
    origin: Origin = "menu"
