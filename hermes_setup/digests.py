"""Digests: short names for exactly these bytes."""

from __future__ import annotations

import hashlib


def digest(*texts: str | bytes) -> str:
    """A short name for exactly these texts."""
    joined = hashlib.sha256()
    for text in texts:
        raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        joined.update(len(raw).to_bytes(8, "big") + raw)
    return joined.hexdigest()[:24]


def certificate_fingerprint(der: bytes) -> str:
    """The fingerprint of a certificate as `openssl x509 -fingerprint -sha256` has it, without colons, in lower case."""
    return hashlib.sha256(der).hexdigest() if der else ""
