"""Passwords: the rules for one, a made-up one, its hash. The only module that imports passlib.

A password is plain text only between the prompt and the hash. Nothing here logs, prints or stores one.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata
import warnings
from typing import TYPE_CHECKING

from hermes_setup.errors import WrongInput

if TYPE_CHECKING:
    from typing import Any

ROUNDS = 27_000
"""One check costs about 10 ms in the C library of a small VPS; see docs/explanation/performance.md.

passlib's default of 656,000 would let nginx answer two requests a second. nginx asks crypt(3) on every request that
shows a password and no cookie (ngx_crypt.c), and its worker waits for it.
"""

ROUNDS_MADE_UP = 5_000
"""crypt(3)'s own default. 99 random bits can't be guessed at any speed, so a list of thousands need not wait for more."""

SHORTEST = 10
LONGEST = 256
"""glibc's and libxcrypt's sha512 take time that grows with the square of the length; no one types more than this."""

_COMPLETE = re.compile(
    r"\$6\$(rounds=[1-9]\d{3,8}\$)?[./0-9A-Za-z]{0,16}\$[./0-9A-Za-z]{86}"  # 1,000 rounds or more, as sha512_crypt has it
    r"|\$2[by]\$(0[5-9]|1\d)\$[./0-9A-Za-z]{53}"
)

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without l/1, o/0, i: people copy it by hand, too


def check_password(text: str, *, user: str = "") -> str:
    """The password, as browsers send it (NFC, RFC 7617 section 2.1). Raises WrongInput with the reason, never the text."""
    if not text:
        raise WrongInput("The password is empty.", hint=f"Type {SHORTEST} characters or more.")
    if "\n" in text or "\r" in text:
        raise WrongInput("The password has more than one line.", hint="A password is one line.")
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in text):
        raise WrongInput(
            "The password contains a control character (a tab, an arrow key, ...).",
            hint="Type letters, digits, spaces and punctuation.",
        )
    text = unicodedata.normalize("NFC", text)
    if len(text) < SHORTEST:
        raise WrongInput(
            f"The password has {len(text)} characters, which is too few: it guards a program that can do anything on this server.",
            hint=f"Type {SHORTEST} characters or more; three or four unrelated words work well.",
        )
    if len(text.encode()) > LONGEST:
        raise WrongInput(
            f"The password is longer than {LONGEST} bytes.",
            hint=f"Use a shorter one: every browser and nginx accept up to {LONGEST} bytes.",
        )
    if user and text.casefold() == user.casefold():
        raise WrongInput("The password is the user's name.", hint="Type something that nobody can guess.")
    if len(set(text)) < 4:
        raise WrongInput("The password repeats the same few characters.", hint="Type something that nobody can guess.")
    return text


def make_password() -> str:
    """A new password of 20 characters in groups of five: 99 bits, easy to read aloud and to type on a phone."""
    letters = [secrets.choice(ALPHABET) for _ in range(20)]
    return "-".join("".join(letters[start : start + 5]) for start in range(0, 20, 5))


def hash_password(text: str, rounds: int = ROUNDS) -> str:
    """The `$6$` crypt(3) hash that nginx's auth_basic accepts (sha512_crypt, a fresh salt)."""
    return str(_sha512_crypt().using(rounds=rounds).hash(text))


def verify_password(text: str, hashed: str) -> bool:
    """True when the password has that hash; False for a hash of another scheme, and for an incomplete one, too."""
    scheme = _sha512_crypt()
    return bool(scheme.identify(hashed) and is_hash(hashed) and scheme.verify(text, hashed))


def is_hash(text: str) -> bool:
    """True for a complete hash of a kind that is slow to guess and that every nginx can check: `$6$`, or bcrypt.

    bcrypt ($2y$ and $2b$, crypt(5)) is in the libcrypt of Debian since 11 and of Ubuntu since 20.04.
    """
    return _COMPLETE.fullmatch(text) is not None


def rounds(hashed: str) -> int:
    """The rounds of a `$6$` hash at each check (crypt(3) uses 5,000 where it has none), or how many cost as much."""
    if match := re.match(r"\$2[by]\$(\d\d)\$", hashed):
        return 125 << int(match.group(1))  # measured: bcrypt at cost 10 takes 50 ms, 27,000 rounds take 10
    match = re.match(r"\$6\$rounds=(\d{1,12})\$", hashed)
    return int(match.group(1)) if match else 5000


def fingerprint(hashed: str) -> str:
    """A short name of a line's hash that gives nothing away: a cookie is only valid together with it."""
    return hashlib.sha256(hashed.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _sha512_crypt() -> Any:
    with warnings.catch_warnings():
        # passlib 1.7.4 imports the standard library's `crypt`, which 3.11 and 3.12 call deprecated; it has a fallback.
        warnings.filterwarnings("ignore", "'crypt' is deprecated", DeprecationWarning)
        from passlib.handlers.sha2_crypt import sha512_crypt
    return sha512_crypt
