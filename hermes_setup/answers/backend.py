"""Where Hermes listens."""

from __future__ import annotations

import ipaddress
import re

from hermes_setup.answers.webhook_platforms import DASHBOARD_PORT
from hermes_setup.errors import WrongInput
from hermes_setup.values import dataclass


@dataclass(frozen=True)
class Backend:
    """Where Hermes listens: an IP address and a port."""

    address: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Backend:
        """Like 127.0.0.1:9119, [::1]:9119, localhost:9119 or 9119. Raises WrongInput."""
        hint = "Type an address and a port like 127.0.0.1:9119"
        match = re.fullmatch(r"(?:(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+|localhost)):)?([0-9]{1,5})", text.strip())
        if not match:
            raise WrongInput(f"{text.strip() or 'Nothing'} is not an address and a port.", hint=hint)
        six, four, port = match.groups()
        try:
            address = ipaddress.ip_address(six or ("127.0.0.1" if four in (None, "localhost") else four))
        except ValueError:
            raise WrongInput(f"{six or four} is not an IP address.", hint=hint) from None
        if not 1 <= int(port) <= 65535:
            raise WrongInput(f"{port} is not a port; they go from 1 to 65535.", hint=hint)
        if address.is_unspecified or address.is_multicast:
            raise WrongInput(f"{address} is not an address that can be connected to.", hint=hint)
        return cls(str(address), int(port))

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def local(self) -> bool:
        """True when only this machine can reach it."""
        return ipaddress.ip_address(self.address).is_loopback


def parse_backend_user(text: str) -> str:
    """A user of this server, by name, or by number where it has none (a container's). Raises WrongInput."""
    if not re.fullmatch(r"[\w][\w.@-]{0,63}\$?", text):
        raise WrongInput(
            f"{text!r} is not the name of a user of this server.", hint="To list them: cut -d: -f1 /etc/passwd"
        )
    return text


DEFAULT_BACKEND = Backend("127.0.0.1", DASHBOARD_PORT)
