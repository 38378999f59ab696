"""What tests/compare tries in both trees, as data: no module of the program is named here.

cases()     {"area/name": case}; a case is {"machine", "files", "steps"}, see compare_worker.py
EXPECTED    differences that are meant, each with its reason
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MACHINES = HERE / "recorded" / "machines"
FIREWALL = HERE / "recorded" / "firewall"
STATE = HERE / "recorded" / "state-7802055"

Case = dict[str, Any]
Machine = dict[str, Any]

EXPECTED: Mapping[str, str] = {
    # "area/case/part": "why it may differ", the first as fnmatch has it. A part is STEP:code, stdout, stderr, screen, drafts,
    # unused or effects; or notes:PATH, sites:NAME.
    "conversations/menu, check/1:*": '"Check everything" leads back to the menu',
    "conversations/menu of a blocked machine: show, stop/1:*": '"Check everything" leads back to the menu',
    "conversations/apply, asked/1:*": '"<" at the first question asks it again, it does not end with 255',
    "conversations/users remove bob, name/1:*": '"<" at the first question asks it again, it does not end with 255',
    "conversations/users remove bob, name/notes:(log)": '"<" at the first question asks it again, it does not end with 255',
    "conversations/menu, certificate/1:screen": "gone back to, a question offers what was chosen",
}

GOOD = "correct horse battery"
HASH = "$6$rounds=27000$k39ydriQmtON41aB$SUFxdwvyiBwHwbUF77.bpTBfSfwa6QshzPRPIByWfcmj1xNRdenJedTOi4sieGVR0I4hjJaTKd4jKLGcRQv1K."
OTHER_HASH = "$6$rounds=27000$puatQB6zLoFLKIRp$KjS0/YDQzJoU0CUCMn7fMCCyyWT6sUZBHQ9dRSETCNpwQ1B6gomqB/j8E9dZ8MOS41Vcq6ZNQ8WFNDDSIDt6g1"
ANSWERS = "/mnt/in/answers.toml"
OTHER = "/mnt/in/other.toml"
LIST = "/mnt/in/list"


def step(*argv: str, **more: Any) -> dict[str, Any]:
    return {"argv": list(argv), **more}


# ---- usage ----


def usage() -> dict[str, Case]:
    """Every way to type it wrong; in a new Python each, as root and as nobody."""
    verbs = ("apply", "users", "undo", "answers", "doctor", "rehearse")
    flags = (
        *("--answers", "--dry-run", "--check", "--yes", "--allow-lockout", "--json", "--last", "--generate"),
        *(
            "--password-stdin",
            "--from",
            "--all",
            "--help",
            "-h",
            "--version",
            "-V",
            "--verbose",
            "-y",
            "-n",
            "--no-such",
        ),
    )
    table: list[list[str]] = [
        ["--version"],
        ["-V"],
        ["--help"],
        ["-h"],
        ["help"],
        ["--"],
        ["-"],
        [""],
        ["--", "doctor"],
    ]
    table += [
        [verb] for verb in ("aply", "docter", "user", "anwsers", "rehears", "undoo", "uninstall", "install", "list")
    ]
    table += [["help", verb] for verb in verbs] + [["--version", "x"], ["-V", "--json"], ["help", "me"], ["version"]]
    for verb in verbs:
        table += [[verb, flag] for flag in flags]
        table += [[verb, "extra"], [verb, "--", "extra"], [verb, "--", "-x"], [verb, ""], [verb, "-"]]
        table += [["--help", verb], ["-h", verb], [verb, "x", "--help"]]
    table += [[flag] for flag in flags]
    for do in ("list", "add", "passwd", "remove", "sign-out", "delete", "rename", "lst", "adduser", "signout"):
        table += [["users", do], ["users", do, "bob"], ["users", do, "bob", "carol"], ["users", do, "--help"]]
        table += [
            ["users", do, "bob", "--nope"],
            ["users", do, "--", "-bob"],
            ["users", do, ""],
            ["users", do, "--yes=1"],
        ]
    for do in ("add", "passwd", "remove", "sign-out"):
        table += [["users", do, name] for name in ("b:b", "#bob", "x" * 65, "a\nb", "  ", "-bob", "böb", "a b")]
        table += [
            ["users", do, "bob", flag]
            for flag in (
                "--generate",
                "--password-stdin",
                "--json",
                "--all",
                "--from",
                "--last",
                "--password",
                "--generate=1",
            )
        ]
        table += [["users", do, "bob", "--generate", "--password-stdin"], ["users", "--yes", do, "bob"]]
        table += [["--yes", "users", do, "bob"], ["users", do, "--dry-run", "--yes", "bob"]]
    table += [
        *(["apply", "f.toml"], ["apply", "--answers"], ["apply", "--answers="], ["apply", "--answers", ""]),
        *(["apply", "--answer", "x"], ["apply", "--answers", "x", "extra"], ["apply", "--answers", "x", "other.toml"]),
        *(["apply", "--answers", "x", "--dry-run", "--check"], ["apply", "--answers", "x", "--yes=no"]),
        *(["apply", "--answers", "--yes"], ["apply", "--answers", "/no/such", "--answers", "/nor/such"]),
        *(["apply", "--answers", "/"], ["apply", "--answers", "/dev/null"], ["apply", "--answers", "/dev/zero"]),
        *(["apply", "--answers", "x" * 5000], ["apply", "--answers", "/proc/self/mem"], ["apply", "--answers=/no"]),
        *(["apply", "--answers", "/no/\x1b[2Jred\x07"], ["rehearse", "--answers"], ["rehearse", "--answers="]),
        *(["rehearse", "--answers", "/no/such"], ["rehearse", "x.toml"], ["--yes", "apply", "--answers=/no"]),
        *(["undo", "--last", "--dry-run=1"], ["undo", "--last", "now"], ["undo", "last"], ["undo", "--lats"]),
        *(
            ["--json", "doctor", "me"],
            ["doctor", "--jsn"],
            ["doctor", "--json=1"],
            ["--dryrun"],
            ["--dry-run", "--yes"],
        ),
        *(["--dry-run", "x"], ["--dry-run=1"], ["--allow-lockout", "--json"], ["users", "list", "bob"]),
        *(["users", "list", "--jsn"], ["users", "--json"], ["users", "--json", "list"], ["users", "add", "--from"]),
        *(["users", "add", "--from="], ["users", "add", "--from", "/no/such"], ["users", "add", "--from", "/"]),
        *(["users", "add", "--from", "/dev/zero"], ["users", "add", "bob", "--from", "/dev/null"]),
        *(["users", "add", "--from", "/dev/null", "--password-stdin"], ["users", "sign-out", "bob", "--all"]),
        *([], ["--dry-run"], ["--allow-lockout"], ["--dry-run", "--allow-lockout"], ["--allow-lockout", "--dry-run"]),
    ]
    found: dict[str, Case] = {}
    for argv in table:
        name = " ".join(argv).encode("unicode_escape").decode()[:80] or "(nothing)"
        found.setdefault(f"usage/{name}", {"steps": [step(*argv, really=True)]})
    for argv in (
        *(["users", "list"], ["users", "add", "bob"], ["users", "remove", "bob"], ["users", "sign-out", "--all"]),
        *(
            ["answers"],
            ["doctor"],
            ["doctor", "--json"],
            ["undo", "--last"],
            ["rehearse"],
            [],
            ["--dry-run"],
            ["--help"],
        ),
        *(["users", "add", "--from", "/dev/null"], ["apply", "--answers", ANSWERS], ["rehearse", "--answers", ANSWERS]),
    ):
        found[f"usage/(nobody) {' '.join(argv)}"] = {
            "files": {ANSWERS: {"file": plain(), "mode": 0o644}},
            "steps": [step(*argv, nobody=True)],
        }
    return found


# ---- answers files ----


def plain(certificate: str = "letsencrypt", more: str = "", domain: str = "hermes.example.com", after: str = "") -> str:
    return (
        f'domain = "{domain}"\nemail = "me@example.com"\ncertificate = "{certificate}"\n{more}\n{after}\n'
        f'[[users]]\nname = "alice"\npassword_hash = "{HASH}"\n'
    )


def files() -> dict[str, Case]:
    """Every key, wrong in every way; and those that are right, read by a dry run."""
    user = '[[users]]\nname = "alice"\n'
    start = 'domain = "hermes.example.com"\n'
    deep = "a = " + "{a=" * 5_000
    domains = [
        *("", "   ", "https://hermes.example.com", "https://hermes.example.com/x", "hermes.example.com/"),
        *(
            "hermes.example.com:443",
            "hermes.example.com:",
            "*.example.com",
            "hermes example.com",
            "hermes.example.com;",
        ),
        *("hermes.example.com{", "$host.example.com", "'hermes.example.com'", "hermes", "localhost", "203.0.113.5"),
        *(
            "2001:db8::1",
            "[2001:db8::1]",
            "1.2.3",
            "-a.example.com",
            "a-.example.com",
            "a..example.com",
            ".example.com",
        ),
        *("hermes_x.example.com", f"{'a' * 64}.example.com", ".".join(["a" * 60] * 5), "me@example.com", "straße.de"),
        *("xn--a.example.com", "a\\u202e.example.com", "a\\u0000.example.com", "a\\nb.example.com", "a.example.com."),
        *("BÜCHER.example.com", "例え.テスト", "http://[::1", "https://a b/"),
    ]
    emails = ["me", "me@", "@example.com", "me@localhost", "a b@example.com", "-x@example.com", "a..b@example.com"]
    emails += [
        "$(id)@example.com",
        "ü@example.com",
        f"{'a' * 300}@example.com",
        "me@1.2.3.4",
        "me@Example.COM",
        " a@b.de ",
    ]
    issuers = [
        "",
        "letsencypt",
        "LetsEncrypt",
        "selfsigned",
        "http://ca.example/dir",
        "https://",
        "https://a b/dir",
        "nobody",
    ]
    issuers += [
        "https://ca/$(id)",
        "ftp://x",
        "https://ca.example.net/dir",
        "https://acme-v02.api.letsencrypt.org/directory",
    ]
    backends = [
        "",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "evil.com:80",
        "::1:9119",
        "0.0.0.0:9119",
    ]
    backends += [
        "[::]:9119",
        "127.0.0.1:9119;",
        "http://127.0.0.1:9119",
        "300.0.0.1:1",
        "9120",
        "localhost:9119",
        "[::1]:80",
    ]
    names = [
        "",
        "  ",
        "a:b",
        "-alice",
        "#alice",
        "x" * 65,
        "a\\nb",
        "a\\tb",
        "a\\u2028b",
        "a\\u200bb",
        "José",
        "日本",
        'a\\"b',
    ]
    networks = [
        "",
        "x",
        "203.0.113.5/33",
        "203.0.113.5/24",
        "fe80::1%eth0",
        "0.0.0.0",
        "224.0.0.1",
        "::ffff:203.0.113.5",
    ]
    networks += ["2001:db8::/129", "203.0.113.0/-1", "203.0.113.0/ 24", "203.0.113.0/24", "::/0", "0.0.0.0/0"]
    platforms = [
        "",
        "slack",
        "web",
        "webhok",
        "webhook:0",
        "webhook:x",
        "webhook:443",
        "webhook:22",
        "sms:80",
        "msgraph",
    ]
    platforms += ["telegram", "WEBHOOK", "webhook:8645", "line:70000", "api_server"]
    hosts = ["", "hermes.example.com", "hooks", "hooks.example.com", "https://hooks.example.com", "old.example.com"]
    texts: dict[str, str] = {
        "nothing": "",
        "no users": start,
        "no domain": user,
        "yaml": "domain: hermes.example.com\n",
        "deep": "[" * 100_000,
        "deeper": deep,
        "unknown key": 'domian = "hermes.example.com"\n' + user,
        "unknown key, far off": "zzz = 1\n" + start + user,
        "users with single brackets": start + '[users]\nname = "alice"',
        "users a text": start + 'users = "alice"',
        "users a list of texts": start + 'users = ["alice"]',
        "users an empty list": start + "users = []",
        "users twice": start + user + user,
        "user without a name": start + '[[users]]\npassword_file = "/root/x"',
        "user's unknown key": start + user + 'pasword_file = "/root/x"',
        "user's password": start + user + 'password = "secret"',
        "password_file not a full path": start + user + 'password_file = "a.pw"',
        "password_file is not there": start + user + 'password_file = "/mnt/in/no.pw"',
        "password_file and hash": start + user + 'password_file = "/a"\npassword_hash = "$6$x"',
        "hash of another kind": start + user + 'password_hash = "$2y$05$abc"\n',
        "hash that is none": start + user + 'password_hash = "hello"\n',
        "hash with many rounds": start + user + f'password_hash = "{HASH.replace("27000", "900000")}"\n',
        "password too short": start + user + 'password_file = "/mnt/in/short.pw"',
        "password is the name": start + user + 'password_file = "/mnt/in/name.pw"',
        "password of two lines": start + user + 'password_file = "/mnt/in/lines.pw"',
        "password of no text": start + user + 'password_file = "/mnt/in/raw.pw"',
        "second user wrong": start + '[[users]]\nname = "x"\n[[users]]\nname = "a\\nb"',
        "domain twice": start + start + user,
        "webhooks a text": start + 'webhooks = "webhook"\n' + user,
        "webhooks without platforms": start + user + "[webhooks]\n",
        "webhooks' unknown key": start + user + '[webhooks]\nplatform = ["webhook"]\n',
        "webhooks platforms a text": start + user + '[webhooks]\nplatforms = "webhook"\n',
        "webhooks platforms numbers": start + user + "[webhooks]\nplatforms = [1]\n",
        "webhooks twice": start + user + '[webhooks]\nplatforms = ["webhook", "webhook"]\n',
        "webhooks one port": start + user + '[webhooks]\nplatforms = ["line", "msgraph_webhook"]\n',
        "webhooks allow empty": start + user + '[webhooks]\nplatforms = ["webhook"]\nallow = []\n',
        "webhooks allow a text": start + user + '[webhooks]\nplatforms = ["webhook"]\nallow = "x"\n',
        "allow empty": start + "allow = []\n" + user,
        "allow a text": start + 'allow = "203.0.113.5"\n' + user,
        "allow numbers": start + "allow = [5]\n" + user,
        "allow twice": start + 'allow = ["203.0.113.5", "203.0.113.5/32"]\n' + user,
        "public_addresses a text": start + 'public_addresses = "x"\n' + user,
        "public_addresses numbers": start + "public_addresses = [5]\n" + user,
        "public_addresses no address": start + 'public_addresses = ["x"]\n' + user,
        "redirect_from a text": start + 'redirect_from = "x"\n' + user,
        "redirect_from the domain": start + 'redirect_from = ["hermes.example.com"]\n' + user,
        "redirect_from twice": start + 'redirect_from = ["a.example.com", "A.example.com"]\n' + user,
        "redirect_from no name": start + 'redirect_from = ["a.b;}"]\n' + user,
        "host is an earlier name": start
        + 'redirect_from = ["old.example.com"]\n'
        + user
        + '[webhooks]\nplatforms = ["webhook"]\nhost = "old.example.com"\n',
    }
    for key in ("domain", "email", "certificate", "backend", "firewall"):
        for said, value in (("a number", "5"), ("a list", '["x"]'), ("true", "true"), ("a table", "{a=1}")):
            rest = "" if key == "domain" else start
            texts[f"{key} is {said}"] = f"{key} = {value}\n{rest}{user}"
    for value in ("1", '"true"', "true", "false", "[]"):
        texts[f"service = {value}"] = start + f"service = {value}\n" + user
    for value in ("", "off", "open", "leave", "Open", "close"):
        texts[f"firewall = {value}"] = start + f'firewall = "{value}"\n' + user
    lists: Sequence[tuple[str, Sequence[str], Callable[[str], str]]] = (
        ("domain", domains, lambda text: f'domain = "{text}"\n{user}'),
        ("email", emails, lambda text: f'{start}email = "{text}"\n{user}'),
        ("certificate", issuers, lambda text: f'{start}certificate = "{text}"\n{user}'),
        ("backend", backends, lambda text: f'{start}backend = "{text}"\n{user}'),
        ("name", names, lambda text: f'{start}[[users]]\nname = "{text}"\n'),
        ("allow", networks, lambda text: f'{start}allow = ["{text}"]\n{user}'),
        ("platform", platforms, lambda text: f'{start}{user}[webhooks]\nplatforms = ["webhook", "{text}"]\n'),
        ("host", hosts, lambda text: f'{start}{user}[webhooks]\nplatforms = ["sms"]\nhost = "{text}"\n'),
    )
    for key, values, make in lists:
        texts |= {f"{key} {number:02} {value[:30]!a}": make(value) for number, value in enumerate(values)}
    nowhere: Machine = {"addresses": ["198.51.100.10"], "now": "2026-11-23T12:00:00+00:00"}
    passwords = {
        "short": "short\n",
        "name": "alicealicealice\n",
        "lines": f"{GOOD}\nmore\n",
        "raw": {"base64": "/////w=="},
    }
    beside = {f"/mnt/in/{name}.pw": {"file": text, "mode": 0o600} for name, text in passwords.items()}

    def case(text: Any, mode: int = 0o600) -> Case:
        steps = [step("apply", "--answers", ANSWERS, "--dry-run")]
        return {"machine": nowhere, "files": {**beside, ANSWERS: {"file": text, "mode": mode}}, "steps": steps}

    found = {f"answers-file/{name}": case(text) for name, text in texts.items()}
    found["answers-file/no utf-8"] = case({"base64": "ZG9tYWluID0gImL8Y2hlci5leGFtcGxlLmNvbSIK"})
    found["answers-file/with a byte order mark"] = case("\ufeff" + start + user)
    found["answers-file/others may read the hashes"] = case(plain(), 0o644)
    found["answers-file/too large"] = case("#" * 1_100_000)
    return found


# ---- machines ----


def recorded(name: str) -> Machine:
    machine: Machine = json.loads((MACHINES / f"{name}.json").read_text("utf-8"))
    return machine


def edited(base: str, *edits: Callable[[Machine], object]) -> Machine:
    machine = copy.deepcopy(recorded(base)) if base else {"addresses": ["198.51.100.10", "2001:db8::10"]}
    for edit in edits:
        edit(machine)
    return machine


def put(path: str, text: str | None, **more: Any) -> Callable[[Machine], object]:
    def edit(machine: Machine) -> None:
        nodes = machine.setdefault("files", {})
        folder, _, name = path.rpartition("/")
        names = machine.setdefault("names", {}).setdefault(folder, [])
        if text is None:
            nodes.pop(path, None)
            machine["names"][folder] = [each for each in names if each != name]
        else:
            nodes[path] = {"file": text, **more}
            machine["names"][folder] = sorted({*names, name})

    return edit


def link(path: str, target: str) -> Callable[[Machine], object]:
    def edit(machine: Machine) -> None:
        put(path, "")(machine)
        machine["files"][path] = {"link": target}

    return edit


def replaced(path: str, old: str, new: str) -> Callable[[Machine], object]:
    def edit(machine: Machine) -> None:
        node = machine["files"][path]
        assert old in node["file"], (path, old)
        node["file"] = node["file"].replace(old, new)

    return edit


def says(*argv: str, out: str = "", err: str = "", code: int = 0) -> Callable[[Machine], object]:
    def edit(machine: Machine) -> None:
        others = [each for each in machine.setdefault("commands", []) if each[0] != list(argv)]
        machine["commands"] = [*others, [list(argv), code, out, err]]

    return edit


def filters(name: str) -> str:
    return (FIREWALL / name).read_text("utf-8")


def dns(kind: str, status: str, *values: str, name: str = "hermes.example.com") -> Callable[[Machine], object]:
    def edit(machine: Machine) -> None:
        records = machine.setdefault("dns", {})
        for key in [each for each in records if each.startswith(f"{name} {kind}")] or [f"{name} {kind}"]:
            server = key.split(" ")[2] if key.count(" ") > 1 else ""
            records[key] = [status, list(values), 60, server]
        if kind in ("A", "AAAA"):
            machine["commands"] = [each for each in machine.get("commands", []) if each[0][0] != "getent"]

    return edit


def listens(address: str, port: int, process: str, **more: Any) -> Callable[[Machine], object]:
    def edit(machine: Machine) -> None:
        socket = {"address": address, "port": port, "pid": 4000 + port, "process": process, "unit": "", "user": "root"}
        machine.setdefault("listeners", []).append({**socket, **more})

    return edit


STATUS = {"version": "0.19.0", "auth_required": False, "auth_providers": []}


def hermes(port: int = 9119, address: str = "127.0.0.1", asked: str = "", **more: Any) -> Callable[[Machine], object]:
    """A dashboard there; with `status` another one's words."""

    def edit(machine: Machine) -> None:
        listens(address, port, "hermes", **more.pop("socket", {}))(machine)
        pages = machine.setdefault("pages", {})
        at = asked or ("127.0.0.1" if address in ("0.0.0.0", "::") else address)
        where = f"GET http://{at} {port} {at}"
        body = json.dumps({**STATUS, **more})
        pages[f"{where} /api/status"] = {"status": 200, "headers": [["Server", "uvicorn"]], "body": body}
        pages[f"{where} /"] = {
            "status": 200,
            "headers": [],
            "body": "<script>window.__HERMES_SESSION_TOKEN__='x'</script>",
        }

    return edit


def page(where: str, status: int, *, tls: bool = False, method: str = "GET") -> Callable[[Machine], object]:
    """Another answer there."""

    def edit(machine: Machine) -> None:
        key = f"{method} {'https' if tls else 'http'}://{where}"
        told = machine["pages"].get(key, {})
        machine["pages"][key] = {**told, "status": status, "headers": [["Server", "another"]], "body": "", "error": ""}

    return edit


LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/apt/lists/lock", "/var/lib/dpkg/lock")


def APT(machine: Machine) -> None:
    says("apt-get", "--version", out="apt 3.0.3 (amd64)\n")(machine)


def no_listeners(*ports: int) -> Callable[[Machine], object]:
    def edit(machine: Machine) -> None:
        machine["listeners"] = [each for each in machine["listeners"] if each["port"] not in ports]
        machine["pages"] = {
            key: page for key, page in machine["pages"].items() if not any(f" {port} " in key for port in ports)
        }

    return edit


def site(name: str, text: str) -> Callable[[Machine], object]:
    return put(f"/etc/nginx/sites-enabled/{name}", text)


def systemd(machine: Machine) -> None:
    machine.setdefault("files", {})["/run/systemd/system"] = {"folder": 0o755}
    unit = "Id={}\nLoadState={}\nActiveState={}\nUnitFileState={}\n"
    timers = ("certbot.timer", "snap.certbot.renew.timer")
    shown = "\n".join(
        unit.format(name, "loaded" if name[0] == "c" else "not-found", "active", "enabled") for name in timers
    )
    properties = "--property=Id,LoadState,ActiveState,UnitFileState"
    says("systemctl", "show", *timers, properties, "--no-pager", out=shown)(machine)
    says("systemctl", "is-active", "--quiet", "nginx")(machine)


def installed_hermes(machine: Machine) -> None:
    systemd(machine)
    machine["files"]["/usr/local/bin/hermes"] = {"file": "#!/usr/bin/python3\n", "mode": 0o755}
    machine["files"]["/root/.hermes"] = {"folder": 0o700}
    machine["files"]["/root/.hermes/config.yaml"] = {"file": "", "mode": 0o600}


def agreed(**more: Any) -> dict[str, Any]:
    """answers.json, as 7802055 writes it."""
    table = {
        **{"domain": "hermes.example.com", "certificate": "letsencrypt", "email": "me@example.com", "backend": ""},
        **{"service": False, "firewall": "open", "public_addresses": [], "allow": []},
        "users": [{"name": "alice", "hash": "", "origin": "answers"}],
        **{"gone": [], "revoked": [], "webhooks": None, "redirects": [], "dropped": [], **more},
    }
    return {"file": json.dumps(table, indent=1, ensure_ascii=False), "mode": 0o600}


NOTES = "/var/lib/hermes-setup/answers.json"
OWN = '[webhooks]\nplatforms = ["webhook", "sms:8081"]\nhost = "hooks.example.com"\nallow = ["192.30.252.0/22", "2a0a:a440::/29"]\n'
PATHS = '[webhooks]\nplatforms = ["webhook"]\n'
LISTED = 'allow = ["203.0.113.0/24", "2001:db8::/32", "198.51.100.50"]\npublic_addresses = ["198.51.100.10", "2001:db8::10"]\n'
FULL = plain(domain="new.example.com", more='redirect_from = ["hermes.example.com"]\n' + LISTED, after=OWN)

UFW = (put("/etc/ufw/ufw.conf", "ENABLED=yes\n"), put("/etc/default/ufw", "IPV6=yes\n"))
SHOP = "server { listen 80; listen 443 ssl; server_name shop.example.com; ssl_certificate /etc/ssl/s.pem; ssl_certificate_key /etc/ssl/s.key; }\n"


def ufw(name: str, numbered: str = "") -> tuple[Callable[[Machine], object], ...]:
    told = says("ufw", "status", "verbose", out=filters(name))
    return (*UFW, told, says("ufw", "status", "numbered", out=filters(numbered) if numbered else ""))


def nginx(version: str, openssl: str = "") -> tuple[Callable[[Machine], object], ...]:
    told = says("nginx", "-v", err=f"nginx version: nginx/{version}\n")
    return (told, says("openssl", "version", out=f"OpenSSL {openssl} 1 Jan 2024\n")) if openssl else (told,)


def fresh_machines() -> dict[str, tuple[Machine, str]]:
    """Machines where nothing is set up, and what is wanted of them."""
    four, six = "198.51.100.10", "2001:db8::10"
    many: dict[str, tuple[Sequence[Callable[[Machine], object]], str]] = {
        "plain": ((), plain()),
        "self-signed": ((), plain("self-signed")),
        "staging": ((), plain("letsencrypt-staging")),
        "another CA": ((), plain("https://ca.example.net/dir")),
        "allow, webhooks and an earlier name": ((), FULL),
        "webhooks as paths": ((hermes(), listens("127.0.0.1", 8644, "hermes")), plain(after=PATHS)),
        "webhooks that have the dashboard's port": ((hermes(),), plain(after='[webhooks]\nplatforms = ["sms:9119"]\n')),
        "a webhook's port is another's": ((hermes(8644),), plain(after=PATHS)),
        "Hermes runs": ((hermes(),), plain()),
        "two dashboards": ((hermes(), hermes(9120)), plain()),
        "two dashboards, one is named": ((hermes(), hermes(9120)), plain(more='backend = "127.0.0.1:9120"')),
        "a dashboard open to all": ((hermes(address="0.0.0.0"),), plain()),
        "a dashboard in a container": ((hermes(address="0.0.0.0", socket={"unit": "docker-0123456789ab"}),), plain()),
        "a dashboard with its own login": ((hermes(auth_required=True),), plain()),
        "an old Hermes": ((hermes(version="0.14.2"),), plain()),
        "no Hermes at that port": ((listens("127.0.0.1", 9119, "flask"),), plain()),
        "something else at Hermes's port": ((hermes(), page("127.0.0.1 9119 127.0.0.1 /api/status", 404)), plain()),
        "a dashboard open to all, with its login": ((hermes(address="0.0.0.0", auth_required=True),), plain()),
        "a gateway open to all": ((gateway, listens("0.0.0.0", 8644, "hermes")), plain(after=PATHS)),
        "a gateway open to all, not asked for": ((gateway, listens("0.0.0.0", 8644, "hermes")), plain()),
        "another program at the webhooks' port": (
            (gateway, page("127.0.0.1 8644 127.0.0.1 /webhooks/-", 404)),
            plain(after=PATHS),
        ),
        "a list without this ssh session": ((ssh,), plain(more='allow = ["198.51.100.50"]')),
        "a list of one IPv6 address": ((), plain(more='allow = ["203.0.113.77", "2001:db8::50"]')),
        "a remote Hermes": ((), plain(more='backend = "10.0.0.5:9119"')),
        "no record": ((dns("A", "nxdomain"), dns("AAAA", "nxdomain")), plain()),
        "a name without addresses": ((dns("A", "nodata"), dns("AAAA", "nodata")), plain()),
        "the record of another server": ((dns("A", "ok", "203.0.113.9"), dns("AAAA", "nodata")), plain()),
        "one of two records": ((dns("A", "ok", four, "203.0.113.9"),), plain()),
        "the IPv6 record is wrong": ((dns("AAAA", "ok", "2001:db8:9::9"),), plain()),
        "behind Cloudflare": ((dns("A", "ok", "104.16.1.1"), dns("AAAA", "ok", "2606:4700::6810:101")), plain()),
        "behind Cloudflare, with a list": (
            (dns("A", "ok", "104.16.1.1"), dns("AAAA", "nodata")),
            plain("self-signed", more='allow = ["203.0.113.5"]'),
        ),
        "a private address in DNS": ((dns("A", "ok", "10.0.0.5"), dns("AAAA", "nodata")), plain()),
        "SERVFAIL": ((dns("A", "servfail"), dns("AAAA", "servfail")), plain()),
        "REFUSED for IPv6": ((dns("AAAA", "refused"),), plain()),
        "DNS is silent": ((dns("A", "timeout"), dns("AAAA", "timeout")), plain()),
        "CAA forbids it": ((dns("CAA", "ok", '0 issue "other.org"', name="example.com"),), plain()),
        "CAA fails": ((dns("CAA", "servfail"),), plain()),
        "no record, self-signed": ((dns("A", "nxdomain"), dns("AAAA", "nxdomain")), plain("self-signed")),
        "IPv4 only": ((lambda m: m.update(addresses=[four]), dns("AAAA", "nodata")), plain()),
        "an IPv6 record, and no IPv6 here": ((lambda m: m.update(addresses=[four]),), plain()),
        "behind NAT": ((lambda m: m.update(addresses=["10.0.0.5"]),), plain()),
        "behind NAT, told its addresses": (
            (lambda m: m.update(addresses=["10.0.0.5"]),),
            plain(more=f'public_addresses = ["{four}", "{six}"]'),
        ),
        "port 80 is apache's": ((listens("0.0.0.0", 80, "apache2", unit="apache2.service"),), plain()),
        "port 443 is docker's": ((listens("::", 443, "docker-proxy", unit="docker.service"),), plain()),
        "ports of a user's caddy": (
            (listens("::", 80, "caddy", unit="caddy.service", user="bob", of_user=True),),
            plain(),
        ),
        "ufw with ssh only": (ufw("ufw-ssh-only.txt"), plain()),
        "ufw denies 80": (ufw("ufw-deny-80.txt", "ufw-deny-80-numbered.txt"), plain()),
        "ufw with many rules": (ufw("ufw-many.txt"), plain()),
        "ufw that is off": (ufw("ufw-inactive.txt"), plain()),
        "ufw, to be left": (ufw("ufw-ssh-only.txt"), plain(more='firewall = "leave"')),
        "nft rejects": ((says("nft", "--json", "list", "ruleset", out=filters("nft-final-reject.json")),), plain()),
        "nft with many rules": ((says("nft", "--json", "list", "ruleset", out=filters("nft-many.json")),), plain()),
        "nft is silent": ((says("nft", "--json", "list", "ruleset", code=124),), plain()),
        "iptables of a cloud": ((says("iptables-save", out=filters("iptables-save-cloud.txt")),), plain()),
        "iptables drops": ((says("iptables-save", out=filters("iptables-save-policy-drop.txt")),), plain()),
        "nginx 1.18": (nginx("1.18.0", "3.0.2"), plain(more='allow = ["0.0.0.0/0", "::/0", "127.0.0.1"]')),
        "nginx 1.22": (nginx("1.22.1", "3.0.15"), plain(after=PATHS)),
        "nginx 1.22, a long name": (
            nginx("1.22.1", "3.0.15"),
            plain("self-signed", domain="ec2-198-51-100-10.eu-central-1.compute.example.com"),
        ),
        "no nginx, no certbot": (
            (put("/var/lib/dpkg/status", ""), put("/usr/bin/certbot", None), says("nginx", "-v", code=127)),
            plain(),
        ),
        "packages to be installed": (
            (put("/var/lib/dpkg/status", ""), put("/usr/bin/certbot", None), says("nginx", "-v", code=127), APT),
            plain(),
        ),
        "packages to be installed, little memory": (
            (put("/usr/bin/certbot", None), APT, put("/proc/meminfo", "MemAvailable: 90000 kB\nSwapFree: 0 kB\n")),
            plain(),
        ),
        "packages, while apt is at work": (
            (
                *(put("/usr/bin/certbot", None), APT, put("/proc/7/cmdline", "apt-get\0install\0")),
                says("stat", "-c", "%i", *LOCKS, out="11\n12\n13\n"),
                put("/proc/locks", "1: POSIX  ADVISORY  WRITE 7 08:01:12 0 EOF\n"),
            ),
            plain(),
        ),
        "a package left half configured": (
            (APT, replaced("/var/lib/dpkg/status", "install ok installed", "install ok half-configured")),
            plain(),
        ),
        "nginx reads no folder of sites": (
            (
                replaced("/etc/nginx/nginx.conf", "include /etc/nginx/sites-enabled/*;", ""),
                replaced("/etc/nginx/nginx.conf", "include /etc/nginx/conf.d/*.conf;", ""),
            ),
            plain(),
        ),
        "nginx reads conf.d only": (
            (replaced("/etc/nginx/nginx.conf", "include /etc/nginx/sites-enabled/*;", ""),),
            plain(),
        ),
        "a stream on 443": (
            (replaced("/etc/nginx/nginx.conf", "http {", "stream { server { listen 443; } }\nhttp {"),),
            plain(),
        ),
        "two certbots": ((put("/snap/bin/certbot", "#!/bin/sh\n", mode=0o755),), plain()),
        "certbot runs no hooks": ((put("/etc/letsencrypt/cli.ini", "no-directory-hooks = true\n"),), plain()),
        "ufw without IPv6": (
            (*ufw("ufw-no-ipv6.txt"), put("/etc/default/ufw", "IPV6=no\n")),
            plain(),
        ),
        "rules that may not be seen": (
            (says("iptables-save", code=4, err="iptables-save: Permission denied (you must be root)"),),
            plain(),
        ),
        "a shop beside it": ((site("shop", SHOP), *nginx("1.22.1", "3.0.15")), plain()),
        "a shop by address": (
            (site("shop", SHOP.replace("80;", f"{four}:80;").replace("443 ", f"{four}:443 ")),),
            plain(),
        ),
        "the name is a shop's": (
            (site("shop", SHOP.replace("shop.", "hermes.").replace("name ", "name a.b.c ")),),
            plain(),
        ),
        "a site by hand": ((site("mine", "server { listen 80; server_name hermes.example.com; }\n"),), plain()),
        "another door": (
            (
                site(
                    "door", "server { listen 81; server_name x.y; location / { proxy_pass http://127.0.0.1:9119; } }\n"
                ),
            ),
            plain(),
        ),
        "a configuration that cannot be read": ((site("broken", "server { listen 80;\n"),), plain()),
        "users by hand": ((put("/etc/nginx/.htpasswd-hermes", f"zoe:{HASH}\nZoe:plain\n# x\nodd:abc\n"),), plain()),
        "a users' file that is none": ((link("/etc/nginx/.htpasswd-hermes", "/nowhere"),), plain()),
        "certbot fails": (
            (lambda m: m.update(fails=[[["certonly"], 1, "The server said no\nToo many failed authorizations"]]),),
            plain(),
        ),
        "nginx does not start": (
            (lambda m: m.update(fails=[[["nginx"], 1, "nginx: [emerg] bind() failed"]]),),
            plain(),
        ),
        "with systemd": ((systemd, hermes()), plain()),
        "an installed Hermes that nobody runs": ((installed_hermes,), plain()),
        "an installed Hermes as a service": ((installed_hermes,), plain(more="service = true")),
        "a service where nothing is installed": ((systemd,), plain(more="service = true")),
        "a name in another script": ((), plain("self-signed", domain="bücher.example.com")),
        "a private name": ((), plain("self-signed", domain="hermes.localhost")),
        "a password to be made up": (
            (),
            'domain = "hermes.localhost"\ncertificate = "self-signed"\n[[users]]\nname = "bob"\n',
        ),
    }
    found = {name: (edited("fresh", *edits), text) for name, (edits, text) in many.items()}
    found["nothing at all"] = ({"addresses": [], "now": "2026-11-23T12:00:00+00:00"}, plain())
    return found


def set_up_machines() -> dict[str, tuple[Machine, str]]:
    """Machines that 7802055 set up in the lab, as they were and as somebody changed them; and the answers that they have."""
    gate, htpasswd, ours = (
        "/etc/nginx/hermes-gate.conf",
        "/etc/nginx/.htpasswd-hermes",
        "/etc/nginx/sites-available/hermes",
    )
    stamps = "/var/lib/hermes-setup/stamps"
    renewal = "/etc/letsencrypt/renewal/new.example.com.conf"
    hook = "/etc/letsencrypt/renewal-hooks/deploy/hermes-setup"
    dated = "2031-11-20T00:00:00+00:00"
    many: dict[str, Sequence[Callable[[Machine], object]]] = {
        "healthy": (),
        "the site was edited": (replaced(ours, "server_tokens off;", "server_tokens on;"),),
        "the site is switched off": (put("/etc/nginx/sites-enabled/zz-hermes", None),),
        "the site is gone": (put(ours, None),),
        "the cookies are gone": (put(gate, None),),
        "the users are gone": (put(htpasswd, None),),
        "a line is gone": (replaced(htpasswd, "bob:", "# bob:"),),
        "a line was added": (
            lambda m: m["files"][htpasswd].update(file=m["files"][htpasswd]["file"] + f"eve:{HASH}\n"),
        ),
        "the users can be read by all": (lambda m: m["files"][htpasswd].update(mode=0o644),),
        "nginx has not loaded it": (put(f"{stamps}/nginx", "0" * 24),),
        "nobody has seen it work": (put(f"{stamps}/proof", None),),
        "the renewal was never rehearsed": (put(f"{stamps}/renewal", None),),
        "nothing renews it": (put("/etc/cron.d/certbot", None),),
        "the renewal asks another place": (replaced(renewal, "authenticator = webroot", "authenticator = standalone"),),
        "the hook is gone": (put(hook, None),),
        "the renewal's file is gone": (put(renewal, None),),
        "the certificate ends soon": (lambda m: m.update(now=dated),),
        "the certificate has ended": (lambda m: m.update(now="2040-01-01T00:00:00+00:00"),),
        "the certificate is gone": (put("/etc/letsencrypt/live/new.example.com/fullchain.pem", None),),
        "Hermes is down": (no_listeners(9119),),
        "the gateway is down": (no_listeners(8644),),
        "nginx is down": (no_listeners(80, 443), put("/run/nginx.pid", None)),
        "apache came": (no_listeners(80), listens("0.0.0.0", 80, "apache2", unit="apache2.service")),
        "the record is gone": (
            dns("A", "nxdomain", name="new.example.com"),
            dns("AAAA", "nxdomain", name="new.example.com"),
        ),
        "the earlier name's record is gone": (dns("A", "nxdomain"), dns("AAAA", "nxdomain")),
        "ufw came": ufw("ufw-ssh-only.txt"),
        "stopped midway": (lambda m: m["files"].update({"/var/lib/hermes-setup/open.json": open_file()}),),
        "the gateway is open to all": (listens("0.0.0.0", 8644, "hermes"),),
        "Hermes does not answer nginx": (page("127.0.0.1 443 new.example.com /", 502, tls=True),),
        "the page asks for no password": (page("127.0.0.1 443 new.example.com /", 200, tls=True, method=""),),
        "the page is another's": (page("127.0.0.1 443 new.example.com /", 404, tls=True),),
        "certbot runs no hooks": (put("/etc/letsencrypt/cli.ini", "no-directory-hooks = true\n"),),
        "another domain and no list, after all": (lambda m: m["files"].update({NOTES: agreed()}),),
        "answers that cannot be read": (put(NOTES, '{"domain": 5}'),),
    }
    found = {name: (edited("full", *edits), FULL) for name, edits in many.items()}
    found["Debian 12, healthy"] = (edited("plain"), plain())
    found["Debian 12, to be renamed"] = (edited("plain"), FULL)
    return found


def open_file() -> dict[str, Any]:
    table = {"answers": json.loads(agreed()["file"]), "runs": []}
    return {"file": json.dumps(table, indent=1, ensure_ascii=False), "mode": 0o600}


def machines() -> dict[str, Case]:
    """Doctor, plan, check, refusal, run, users and undo, one after the other, on each machine."""
    found: dict[str, Case] = {}
    text_of = {"file": "", "mode": 0o600}
    for kind, table in (("fresh", fresh_machines()), ("set up", set_up_machines())):
        for name, (machine, text) in table.items():
            whole = name in (
                "plain",
                "self-signed",
                "allow, webhooks and an earlier name",
                "healthy",
                "Debian 12, healthy",
            )
            steps = [
                step("doctor", "--json"),
                step("doctor"),
                step("apply", "--answers", ANSWERS, "--dry-run"),
                step("apply", "--answers", ANSWERS, "--check"),
                step("apply", "--answers", ANSWERS),
                step("apply", "--answers", ANSWERS, "--yes"),
                step("doctor", "--json"),
            ]
            if kind == "set up" and not whole:
                steps += [
                    step("undo", "--last", "--dry-run"),
                    step("undo", "--last", "--yes"),
                    step("doctor", "--json"),
                ]
            if whole:
                steps += [
                    step("users", "list"),
                    step("users", "list", "--json"),
                    step("answers"),
                    step("users", "add", "bob", "--generate", "--yes", "--dry-run"),
                    step("users", "add", "carl", "--generate", "--yes"),
                    step("users", "add", "dora", "--password-stdin", "--yes", stdin=f"{GOOD}\n"),
                    step("users", "add", "dora", "--password-stdin", "--yes", stdin=f"{GOOD}\n"),
                    step("users", "add", "--from", LIST, "--yes"),
                    step("users", "passwd", "carl", "--password-stdin", "--yes", stdin="short\n"),
                    step("users", "passwd", "carl", "--password-stdin", "--yes", stdin=f"{GOOD}!\n"),
                    step("users", "passwd", "nobody", "--generate", "--yes"),
                    step("users", "remove", "carl"),
                    step("users", "remove", "carl", "--yes"),
                    step("users", "sign-out", "alice", "--yes"),
                    step("users", "sign-out", "--all", "--dry-run"),
                    step("users", "list", "--json"),
                    step("answers"),
                    step("apply", "--answers", OTHER, "--dry-run"),
                    step("apply", "--answers", OTHER, "--yes"),
                    step("doctor", "--json"),
                    step("undo", "--last", "--dry-run"),
                    step("undo", "--last"),
                    step("undo", "--last", "--yes"),
                    step("undo", "--last", "--yes"),
                    step("apply", "--answers", ANSWERS, "--yes", "--allow-lockout"),
                    step("doctor"),
                ]
            inputs = {
                ANSWERS: {**text_of, "file": text},
                OTHER: {
                    **text_of,
                    "file": plain("self-signed", domain="other.example.com", more='allow = ["203.0.113.5"]'),
                },
                LIST: {**text_of, "file": f"# a list\nerik:{OTHER_HASH}\nfay:{GOOD} of fay\ndora\n"},
            }
            found[f"machines/{kind}: {name}"] = {"machine": machine, "files": inputs, "steps": steps}
            if kind == "fresh":  # what the doctor and a second look say where it was agreed to, and not done
                found[f"machines/agreed: {name}"] = {
                    "machine": machine,
                    "files": {
                        NOTES: agreed_to(text),
                        "/var/lib/hermes-setup/open.json": {"file": '{"answers": null, "runs": []}'},
                    },
                    "steps": [step("doctor", "--json"), step("doctor"), step("answers"), step("users", "list")],
                }
    return found


def agreed_to(text: str) -> dict[str, Any]:
    """answers.json for that answers file."""
    import tomllib

    table = tomllib.loads(text)
    hooks = table.get("webhooks")
    same = {key: table[key] for key in ("backend", "service", "firewall", "public_addresses", "allow") if key in table}
    return agreed(
        domain=table["domain"].encode("idna").decode(),
        certificate=table["certificate"],
        redirects=table.get("redirect_from", []),
        webhooks={"host": "", "allow": [], **hooks} if hooks else None,
        users=[
            {"name": each["name"], "hash": each.get("password_hash", ""), "origin": "answers"}
            for each in table["users"]
        ],
        **same,
    )


# ---- state of before ----


def states() -> dict[str, Case]:
    """The files that 7802055 left, each with what a second visit does with them."""
    layers = {
        "finished": ("finished",),
        "stopped later": ("finished", "stopped-later"),
        "gone on": ("finished", "stopped-later", "gone-on"),
        "stopped first": ("stopped-first",),
    }
    found: dict[str, Case] = {}
    for name, folders in layers.items():
        machine = edited("full")
        machine["files"] = {
            path: node for path, node in machine["files"].items() if not path.startswith("/var/lib/hermes-setup")
        }
        machine["names"] = {
            path: names for path, names in machine["names"].items() if not path.startswith("/var/lib/hermes-setup")
        }
        for folder in folders:
            for path in sorted((STATE / folder).rglob("*")):
                if path.is_file() and path.name != "lock":
                    at = f"/var/lib/hermes-setup/{path.relative_to(STATE / folder)}"
                    machine["files"][at] = {"file": path.read_text("utf-8"), "mode": 0o600}
        if name == "stopped later":
            del machine["files"]["/var/lib/hermes-setup/stamps/nginx"]
        if name == "gone on":
            del machine["files"]["/var/lib/hermes-setup/open.json"]
        steps = [
            step("doctor", "--json"),
            step("users", "list", "--json"),
            step("answers"),
            step("undo", "--last", "--dry-run"),
            step("users", "add", "gus", "--password-stdin", "--yes", stdin=f"{GOOD}\n"),
            step("undo", "--last", "--yes"),
            step("undo", "--last", "--yes"),
        ]
        for path in ("undo first", "apply first"):
            first = step("undo", "--last", "--yes") if path[0] == "u" else step("apply", "--answers", ANSWERS, "--yes")
            found[f"state/{name}, {path}"] = {
                "machine": machine,
                "files": {ANSWERS: {"file": FULL, "mode": 0o600}},
                "steps": [steps[0], first, *steps],
            }
    return found


# ---- conversations ----

FIRST = ["hermes.example.com", "1", "me@example.com", "alice", "2", GOOD, GOOD, "y", "böb", "1", "y", "n"]
HERE = (hermes(), listens("127.0.0.1", 8644, "hermes"))


def gateway(machine: Machine) -> None:
    for edit in HERE:
        edit(machine)
    machine["pages"]["GET http://127.0.0.1 8644 127.0.0.1 /webhooks/-"] = {
        **{"status": 405, "headers": [["Server", "Python/3.13 aiohttp/3.14.1"]], "body": ""}
    }


def ssh(machine: Machine) -> None:
    machine["files"]["/proc/self/environ"] = {"file": "SSH_CONNECTION=203.0.113.77 50000 198.51.100.10 22\0PATH=/bin\0"}
    machine["files"]["/proc/net/tcp"] = {
        "file": "  sl  local_address rem_address   st\n   0: 0A6433C6:0016 4D7100CB:C350 01 0 0 0\n"
    }


def conversations() -> dict[str, Case]:
    """Each a list of what is typed; a question for which nothing is left gets ^C."""
    table: dict[str, tuple[Machine, list[list[str]], dict[str, Any]]] = {}

    def talk(name: str, machine: Machine, *visits: list[str], **more: Any) -> None:
        table[name] = (machine, list(visits), more)

    fresh = edited("fresh")
    with_gateway = edited("fresh", gateway)
    for count in range(len(FIRST) + 1):
        talk(f"wizard, ^C at question {count + 1:02}, and again", fresh, FIRST[:count], [])
    talk("wizard to the end", fresh, [*FIRST, "y"], ["q"])
    talk("wizard, no at the end, and again", fresh, [*FIRST, "n"], ["y"])
    talk("wizard, a made-up password that is shown again", fresh, [*FIRST[:10], "n", "n", "y"], ["q"])
    talk("wizard, back and forth", fresh, [*FIRST, "<", "<", "<", "<", "<", "<", "<", "<", "<", *[""] * 12, "n"])
    talk("wizard, back at the first question", fresh, ["<", "<", "hermes.localhost", "<", "", "3", "<", "", "alice"])
    wrong = [
        "",
        "https://hermes.example.com/",
        "*.example.com",
        "192.0.2.7",
        "localhost",
        "a;{b}.example.com",
        "x" * 260,
    ]
    talk(
        "wizard, wrong answers",
        fresh,
        [*wrong, "hermes.localhost", "9", "let", "self", "-oops", "a:b", "alice", "7", "2", "short", "alicealice", GOOD]
        + ["other", GOOD, GOOD, "maybe", "y", "alice", "bob", "1", "perhaps", "y", "n", "what", "n"],
    )
    talk(
        "wizard, another CA", fresh, ["a.example.com", "4", "<", "4", "http://x", "https://ca.example.net/d", "-", "al"]
    )
    talk("wizard, a name in another script", fresh, ["bücher.example.com", "1"])
    talk("wizard, a private name", fresh, ["hermes.localhost", "", "alice", "2", GOOD, GOOD, "", "y"], ["q"])
    talk("wizard with webhooks, none", with_gateway, [*FIRST, "1", "y"], ["q"])
    talk("wizard with webhooks, as paths", with_gateway, [*FIRST, "2", "<", "", "n"], ["n"])
    talk(
        "wizard with webhooks, their own name",
        with_gateway,
        [*FIRST, "3", "<", "3", "x", "hooks.example.com", "n"],
        ["n"],
    )
    talk("wizard with webhooks, ^C at their name", with_gateway, [*FIRST, "3"], [])
    talk("wizard with two dashboards", edited("fresh", hermes(), hermes(9120)), [*FIRST, "2", "n"], ["n"])
    talk("wizard with an installed Hermes", edited("fresh", installed_hermes), [*FIRST, "", "n"], ["<", "n", "n"])
    talk("wizard for whom sudo knows", fresh, ["hermes.localhost", "s", "", "1", "y"], env={"SUDO_USER": "admin"})
    talk("wizard, dry", fresh, ["hermes.localhost", "3", "alice", "1", "y", "n"], argv=["--dry-run"])
    talk("wizard, dry, ^C", fresh, ["hermes.localhost"], argv=["--dry-run"])
    talk(
        "wizard with users there",
        edited("fresh", put("/etc/nginx/.htpasswd-hermes", f"zoe:{HASH}\n")),
        [*FIRST[:3], "zoe", "1"],
    )
    nowhere = edited("fresh", dns("A", "nxdomain"), dns("AAAA", "nxdomain"))
    talk("wizard, no record: look again, stop", nowhere, [*FIRST, "2", "5"], ["5"])
    talk("wizard, no record: another domain", nowhere, [*FIRST, "3", "hermes.localhost", "3", "n"])
    talk("wizard, no record: change my answers", nowhere, [*FIRST, "4", "", "^C"])
    taken = edited("fresh", listens("0.0.0.0", 80, "apache2", unit="apache2.service"))
    talk("wizard, port taken: back, stop", taken, [*FIRST, "1", "2", "n", "3"])
    full = edited("full")
    talk("menu, quit", full, ["q"])
    talk("menu, ^C", full, [])
    talk("menu, users, list, back", full, ["1", "5", "1", "<", "<", "q"], ["q"])
    talk("menu, users, add", full, ["1", "1", "alice", "gus", "1", "n", "y"], ["q"])
    talk("menu, users, add, no", full, ["1", "1", "gus", "2", GOOD, GOOD, "n"])
    talk("menu, users, a new password", full, ["1", "2", "2", "2", GOOD, GOOD, "y"])
    talk(
        "menu, users, remove", full, ["1", "3", "2", "<", "3", "2", "n", "3", "2", "y", "y"], ["1", "3", "<", "<", "q"]
    )
    talk("menu, users, sign out", full, ["1", "4", "1", "y", "y"])
    listed = ["2", "1", "203.0.113.5;", "203.0.113.5/24", "203.0.113.5, 2001:db8::/32", "y"]
    talk("menu, addresses", full, listed, ["2", "2", "y"], ["2", "1", "<", "<", "q"])
    talk("menu, addresses, by ssh", edited("full", ssh), ["2", "1", "y"], ["2", "2", "10.0.0.1", "<", "<", "q"])
    talk(
        "menu, addresses, by ssh, locked out",
        edited("full", ssh),
        ["2", "2", "10.0.0.1", "n"],
        argv=["--allow-lockout"],
    )
    talk("menu, webhooks", full, ["3", "2", "webhok", "webhook sms", "hermes.example.com", "calls.example.com", "n"])
    talk("menu, webhooks, nobody", full, ["3", "3", "y"], ["3", "<", "q"])
    talk("menu, domain", full, ["4", "hooks.example.com", "x y", "third.example.com", "<", "", "y", "<", "q"])
    talk("menu, domain, back to the first", full, ["4", "hermes.example.com", "n", "y"], ["q"])
    talk("menu, certificate", full, ["5", "2", "<", "4", "<", "3", "y"], ["5", "<", "q"])
    talk("menu, Hermes", full, ["6", "3", "300.0.0.1:1", "127.0.0.1:9120", "n"], ["6", "2", "<", "6", "<", "q"])
    talk("menu, check", full, ["7"])
    talk("menu, show", full, ["8", "n"], ["8"])
    talk("menu, undo", full, ["9", "<", "9", "n"], ["9", "y"])
    talk("menu, dry", full, ["1", "1", "gus", "1", "y"], argv=["--dry-run"])
    drifted = edited("full", replaced("/etc/nginx/sites-available/hermes", "server_tokens off;", "server_tokens on;"))
    talk("menu of a drifted machine", drifted, ["", "y"], ["q"])
    blocked = edited("full", no_listeners(80), listens("0.0.0.0", 80, "apache2", unit="apache2.service"))
    talk("menu of a blocked machine: show, stop", blocked, ["", "q"], ["8", "1", "3"])
    talk(
        "menu of a blocked machine: users and addresses",
        blocked,
        ["1", "1", "gus", "2", GOOD, GOOD, "y"],
        ["2", "2", "y"],
    )
    stopped = {NOTES: agreed(), "/var/lib/hermes-setup/open.json": {"file": '{"answers": null, "runs": []}'}}
    talk("a first set-up that was begun", fresh, ["<", "", "1", "", "n"], ["y"], ["q"], files=stopped)
    found: dict[str, Case] = {}
    for name, (machine, visits, more) in table.items():
        given, env = more.get("argv", []), more.get("env", {})
        found[f"conversations/{name}"] = {
            "machine": machine,
            "files": more.get("files", {}),
            "steps": [step(*given, replies=replies, env=env) for replies in visits],
        }
    for at in ("name", "password"):
        for question in (["users", "add", "gus"], ["users", "passwd", "alice"], ["users", "remove", "bob"]):
            replies = ["2", GOOD, GOOD, "y"] if at == "password" else ["<"]
            found[f"conversations/{' '.join(question)}, {at}"] = {
                "machine": full,
                "steps": [step(*question, replies=replies)],
            }
    found["conversations/apply, asked"] = {
        "machine": fresh,
        "files": {ANSWERS: {"file": plain(), "mode": 0o600}},
        "steps": [step("apply", "--answers", ANSWERS, replies=each) for each in (["what", "<", "n"], ["y"], [])],
    }
    found["conversations/undo, asked"] = {"machine": full, "steps": [step("undo", "--last", replies=["n"])]}
    found["conversations/users add --from, asked"] = {
        "machine": full,
        "files": {LIST: {"file": f"erik:{OTHER_HASH}\nfay\n", "mode": 0o600}},
        "steps": [
            step("users", "add", "--from", LIST, replies=["2", GOOD, GOOD, "y"]),
            step("users", "add", "--from", LIST, "--generate", replies=["n"]),
        ],
    }
    for path in sorted((STATE / "drafts").glob("*.json")):
        found[f"conversations/the draft {path.stem} goes on"] = {
            "machine": with_gateway,
            "files": {"/var/lib/hermes-setup/draft.json": {"file": path.read_text("utf-8"), "mode": 0o600}},
            "steps": [step(replies=[]), step(replies=["<", "<"])],
        }
    return found


def cases() -> dict[str, Case]:
    """All of them, by area and name. The golden sites have no case: the adapters render them."""
    return {**usage(), **files(), **machines(), **states(), **conversations()}
