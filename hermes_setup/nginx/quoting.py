"""Text in nginx's configuration: quoted, and as a key or a name that fits its hashes (ngx_conf_read_token, ngx_hash.c)."""

from __future__ import annotations


def quote(text: str) -> str:
    """The text as one nginx argument: quoted, with backslash and quote escaped (ngx_conf_read_token)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


LONGEST_KEY = 46
"""The longest key that fits a hash bucket of 64 bytes: pointer + 2 bytes of length + key, aligned, + end (ngx_hash.c).

The buckets' size is a setting of the whole http block, so it is not ours to change.
"""


def exact_regex(text: str) -> str:
    """A regular expression for exactly that text, for every place where nginx accepts one after a ~."""
    return (
        "^"
        + "".join(
            chr(b) if chr(b).isalnum() and b < 128 else f"\\x{b:02x}" for b in text.encode("utf-8", "surrogateescape")
        )
        + "$"
    )


def map_key(text: str) -> str:
    """The text as a key of a map (ngx_http_map_module). A text too long for its hash becomes a regular expression."""
    return f"~{exact_regex(text)}" if len(text.encode("utf-8", "surrogateescape")) > LONGEST_KEY else text


def server_name(domain: str) -> str:
    """The domain as server_name has it. One too long for the hash becomes a regular expression; those are asked last."""
    return f"~{exact_regex(domain)}" if len(domain) > LONGEST_KEY else domain


def map_value(text: str) -> str:
    """The text as a value of a map, where a "$" starts a variable: geo's $hermes_dollar stands for it (gate.conf)."""
    return quote(text).replace("$", "${hermes_dollar}")
