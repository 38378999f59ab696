"""gixy-next, which knows nginx's traps, over every golden site with its gate file. What is accepted stands here with its reason."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from hermes_setup.nginx.render import Renderer
from hermes_setup.stages.users import cookies

pytestmark = pytest.mark.slow
GOLDEN = Path(__file__).parent / "golden"
GATE = [
    cookies.Cookie("", "0" * 32, "-"),
    cookies.Cookie("alice", "1" * 32, "0" * 16),
    cookies.Cookie("日本語", "2" * 32, "0" * 16),
]
Finding = tuple[str, str, str]
_RETURN = (
    "`allow`/`deny` do not restrict responses produced by `return` or by a redirecting `rewrite` in the same scope."
)
_LIST_IS_ASKED_BEFORE = (
    "`allow all` undoes what the http block says, and restricts nobody; the list of allowed addresses is asked by an `if` above, "
    "and what is returned holds nothing of Hermes and no cookie"
)
_TRY_FILES = "`try_files` introduces extra filesystem lookups without `open_file_cache`."
_CHECKED_BEFORE = (
    "one look for a file, each time a password was right; the password itself costs a hundred times as much"
)
ACCEPTED: dict[Finding, str] = {
    # plugin, where, the first sentence of its reason: why it stays
    ("proxy_buffering_off", "/", "`proxy_buffering` is set to `off`."): (
        "a chat has to arrive as it is written; slow clients hold Hermes's connections, and only who is signed in has one"
    ),
    ("hash_without_default", "", "Missing `default` entry in `geo` for variable `$hermes_from`."): (
        "an address that is not listed gets the empty value, and the map that reads it refuses whatever it does not know"
    ),
    ("default_server_flag", "", ""): (
        "a guest among sites: none of our server blocks may be the default of an address that others share"
    ),
    ("ssl_ecdh_curve", "", "Group(s) `X25519MLKEM768` only exist in OpenSSL 3.5+."): (
        "written only where nginx's own OpenSSL is 3.5 or later (stages/site/render.py)"
    ),
    ("stale_dns_cache", "/", "proxy_pass uses variables, but no `resolver` is configured."): (
        "the variable has one of two values, both of them upstreams of this file: no name is looked up"
    ),
    ("try_files_is_evil_too", "= /.hermes/sign-in", _TRY_FILES): _CHECKED_BEFORE,
    ("try_files_is_evil_too", "= /.hermes/password", _TRY_FILES): _CHECKED_BEFORE,
    ("return_bypasses_allow_deny", "/", _RETURN): _LIST_IS_ASKED_BEFORE,
    ("return_bypasses_allow_deny", "= /.hermes/sign-in", _RETURN): _LIST_IS_ASKED_BEFORE,
    ("return_bypasses_allow_deny", "= /.hermes/password", _RETURN): _LIST_IS_ASKED_BEFORE,
    ("return_bypasses_allow_deny", "= /.hermes/sign-out", _RETURN): _LIST_IS_ASKED_BEFORE,
}
Said = set[Finding]


def gixy(folder: Path, sites: Mapping[str, str]) -> dict[str, Said]:
    """What it says of each site, alone in an http block: the plugin, the location, and the first sentence of its reason."""
    gate = folder / "gate.conf"
    gate.write_text(cookies.render(GATE, Renderer()), "utf-8")
    files = []
    for name, site in sites.items():
        files.append(folder / f"{name}.nginx")
        text = site.replace(cookies.GATE_FILE, str(gate))
        files[-1].write_text(f"worker_processes auto;\nevents {{}}\nhttp {{\n{text}\n}}\n", "utf-8")
    argv = [sys.executable, "-W", "ignore", "-m", "gixy", "-f", "json", *map(str, files)]
    ran = subprocess.run(argv, capture_output=True, text=True, check=False)
    # What it cannot read it leaves out, and says so there.
    assert ran.stderr.strip() == "", ran.stderr
    said: dict[str, Said] = {name: set() for name in sites}
    for one in json.loads(ran.stdout):
        where = re.findall(r"location ([^{\n]*?) \{\n", one["config"]) or [""]
        reason = re.sub(r"(?<=\.) .*", "", one["reason"] or "")
        said[Path(one["path"]).stem] |= {(one["plugin"], location, reason) for location in where}
    return said


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Said]:
    """Of all golden sites, in one run."""
    return gixy(tmp_path_factory.mktemp("gixy"), {path.stem: path.read_text("utf-8") for path in GOLDEN.glob("*.conf")})


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.conf")))
def test_it_finds_nothing_that_is_not_accepted(said: dict[str, Said], name: str) -> None:
    assert said[name] - set(ACCEPTED) == set()


def test_nothing_is_accepted_that_it_no_longer_finds(said: dict[str, Said]) -> None:
    assert set().union(*said.values()) == set(ACCEPTED)


PLANTED = {
    "alias_traversal": ("    client_max_body_size 110m;\n", "    location /files { alias /srv/files/; }\n"),
    "http_splitting": ("    client_max_body_size 110m;\n", "    location ~ ^/go/(.*) { add_header X-Y $1; }\n"),
    "add_header_redefinition": ("    client_max_body_size 110m;\n", "    add_header X-Y 1;\n"),
    "version_disclosure": ("    server_tokens off;\n", "    server_tokens on;\n"),
}


def test_it_would_find_what_is_wrong(tmp_path: Path) -> None:
    text = (GOLDEN / "https-1.26.conf").read_text("utf-8")
    found = gixy(tmp_path, {plugin: text.replace(place, line) for plugin, (place, line) in PLANTED.items()})
    assert [plugin for plugin in PLANTED if plugin not in {name for name, *_ in found[plugin]}] == []
