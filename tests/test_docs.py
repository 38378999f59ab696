"""The documentation says what the program does: codes, keys, exit codes, paths and numbers are compared with the source."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermes_setup import __version__, commands, log, passwords, wizard
from hermes_setup.answers.file import KEYS, USER_KEYS, read_table
from hermes_setup.host import ABSENT, File
from hermes_setup.nginx import quoting
from hermes_setup.stages.certificate import lineages, self_signed
from hermes_setup.stages.hermes import unit
from hermes_setup.stages.renewal import hook
from hermes_setup.stages.site import facts, placing
from hermes_setup.stages.users import cookies, htpasswd
from hermes_setup.state import notes, runs, stamps
from hermes_setup.system.overlay import Overlay
from machines import steps

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HELP = commands.overview(wizard.USAGE)
ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
]
SOURCES = sorted((ROOT / "hermes_setup").rglob("*.py"))
MAKERS = {"note": "note", "warn": "warns", "block": "blocks"}


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# -- finding codes --------------------------------------------------------------------------------------------------------


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def codes_in(source: str) -> Iterator[tuple[str, str]]:
    """(code, severity) of each finding that the source can make; severity "" where it depends on more."""
    tree = ast.parse(source)
    for function in ast.walk(tree):
        if not isinstance(function, (ast.FunctionDef, ast.Module)):
            continue
        names = [argument.arg for argument in function.args.args] if isinstance(function, ast.FunctionDef) else []
        for call in [node for node in ast.walk(function) if isinstance(node, ast.Call) and node.args]:
            made, first = _called(call), call.args[0]
            if made not in (*MAKERS, "finding", "Finding"):
                continue
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value, MAKERS.get(made, "")
            elif isinstance(first, ast.JoinedStr) and names:
                # f"proof.{what}": the words that this function is called with in place of {what}
                start, hole = first.values
                assert (
                    isinstance(start, ast.Constant)
                    and isinstance(start.value, str)
                    and isinstance(hole, ast.FormattedValue)
                )
                assert isinstance(hole.value, ast.Name), "a code that no test can read: write it out"
                place = [name for name in names if name != "self"].index(hole.value.id)
                for other in ast.walk(tree):
                    if isinstance(other, ast.Call) and _called(other) == getattr(function, "name", ""):
                        word = other.args[place]
                        assert isinstance(word, ast.Constant), "a code that no test can read: write it out"
                        yield f"{start.value}{word.value!s}", MAKERS.get(made, "")


IN_SOURCE = {pair for path in SOURCES for pair in codes_in(path.read_text(encoding="utf-8")) if "." in pair[0]}
ROWS = re.findall(
    r'^\| <a id="([a-z0-9.-]+)"></a>`([a-z0-9.-]+)` \| ([a-z, ]+) \|', page("docs/reference/findings.md"), re.M
)


def test_each_finding_of_the_source_is_on_the_page_and_the_other_way_round() -> None:
    assert sorted({code for code, _ in IN_SOURCE}) == sorted(code for _, code, _ in ROWS)


def test_each_finding_has_its_anchor_and_stands_there_once() -> None:
    assert all(anchor == code for anchor, code, _ in ROWS)
    assert len({code for _, code, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("code", "severity"), sorted(pair for pair in IN_SOURCE if pair[1]))
def test_the_page_knows_the_severity(code: str, severity: str) -> None:
    assert severity in {said: words for _, said, words in ROWS}[code]


# -- the command line and the answers --------------------------------------------------------------------------------------


def test_the_page_has_the_exit_codes_of_the_help_and_no_others() -> None:
    told = set(re.findall(r"\b(\d+) [a-z^]", HELP.partition("Exit:")[2]))
    assert told >= {"0", "1", "70", "130", "143"}
    rows = set(re.findall(r"^\| (\d+) \|", page("docs/reference/commands.md"), re.M))
    assert rows == told


@pytest.mark.parametrize(
    "words",
    [f"users {do}" for do in ("list", "add", "passwd", "remove", "sign-out", "end-connections")]
    + ["answers", "rehearse", "undo --last"],
)
def test_each_command_is_on_the_page(words: str) -> None:
    assert f"hermes-setup {words}" in HELP
    assert f"hermes-setup {words}" in page("docs/reference/commands.md")


def told_of_flags() -> dict[str, tuple[str, str]]:
    """(with, meaning) of each flag, as the page's table has them."""
    rows = re.findall(
        r"^\| `(--[a-z-]+)[^`]*` \| ([^|]+) \| ([^|]+) \|$", page("docs/reference/commands.md"), re.MULTILINE
    )
    return {flag: (where, text) for flag, where, text in rows}


def test_help_and_page_say_the_same_of_a_flag() -> None:
    told = told_of_flags()
    helped = re.findall(r"^  (--[a-z-]+) {2,}(\S.*)$", HELP, re.MULTILINE)
    assert len(helped) > 3
    for flag, text in helped:
        assert told[flag][1].lower().rstrip(".") == text.lower()


def test_each_flag_stands_on_the_page_with_the_commands_that_know_it() -> None:
    one_line_each = re.sub(r"\n {20,}", " ", HELP)
    every = re.findall(r"^  hermes-setup((?: [a-z-]+)*) *(.*)$", one_line_each, re.MULTILINE)
    knows: dict[str, set[str]] = {}
    for words, rest in every:
        verb = " ".join(word for word in words.split() if not word.startswith("-"))
        for flag in re.findall(r"--[a-z-]+", f"{words} {rest}"):
            knows.setdefault(flag, set()).add(verb or "no command")
    changing = {f"users {do}" for do in ("add", "passwd", "remove", "sign-out", "end-connections")}
    said = {
        flag: set().union(*(changing if each == "users (not list)" else {each} for each in where.split(", ")))
        for flag, (where, _) in told_of_flags().items()
    }
    assert said.pop("--help") == {"anything"}
    del knows["--help"]
    assert said == knows


def test_the_man_page_and_the_completions_are_what_the_help_says() -> None:
    made = subprocess.run(
        [sys.executable, str(ROOT / "tools/make_shell_files.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr


@pytest.mark.parametrize("flag", sorted(set(re.findall(r"--[a-z-]+", HELP))))
def test_each_flag_is_on_the_page(flag: str) -> None:
    assert flag in page("docs/reference/commands.md")


@pytest.mark.parametrize("text", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_name_no_flag_and_no_command_that_is_not_there(text: Path) -> None:
    for line in re.findall(r"(?:sudo )hermes-setup( [^`\n#]*)", text.read_text(encoding="utf-8")):
        verbs = [word for word in line.split() if re.fullmatch(r"[a-z-]+", word) and not word.startswith("-")]
        if verbs:
            assert verbs[0] in ("apply", "users", "answers", "doctor", "rehearse", "undo"), line
        for flag in re.findall(r"--[a-z-]+", line):
            assert flag in HELP, line


@pytest.mark.parametrize("key", [*KEYS, *USER_KEYS])
def test_each_key_of_an_answers_file_is_on_its_page(key: str) -> None:
    assert f"`{key}`" in page("docs/reference/answers.md")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_answers_that_are_shown_are_good_answers(path: Path) -> None:
    for block in re.findall(r"^```toml\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S):
        read_table(tomllib.loads(block))


@pytest.mark.parametrize("path", sorted(ROOT.glob("docs/examples/*.toml")), ids=lambda path: path.name)
def test_example_files_are_good_answers(path: Path) -> None:
    read_table(tomllib.loads(path.read_text(encoding="utf-8")))


# -- paths, numbers, links ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        unit.UNIT,
        *(
            htpasswd.USERS_FILE,
            cookies.GATE_FILE,
            facts.SITE_FILE,
            facts.SITE_FILE + facts.PENDING,
            placing.LINK,
            stamps.NGINX,
        ),
        *(hook.HOOK, stamps.RENEWAL, self_signed.FOLDER, lineages.CHALLENGES, log.PATH, notes.FOLDER),
        *("/opt/hermes-setup", "/usr/local/bin/hermes-setup", "/var/log/nginx/hermes-access.log"),
    ],
)
def test_each_path_that_is_written_is_on_the_page_of_files(path: str) -> None:
    assert path in page("docs/reference/files.md")


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (f"{self_signed.DAYS} days", "docs/reference/files.md"),
        (f"{passwords.ROUNDS:,}", "docs/explanation/performance.md"),
        (f"{passwords.SHORTEST} characters", "docs/reference/answers.md"),
        (f"{passwords.LONGEST} bytes", "docs/reference/answers.md"),
        ("5 requests a second", "docs/explanation/security.md"),
        (f"{runs.KEPT} runs", "docs/reference/files.md"),
        (f"longer than {quoting.LONGEST_KEY} bytes", "docs/explanation/decisions/0011-names-as-map-keys.md"),
    ],
)
def test_numbers_are_those_of_the_source(words: str, where: str) -> None:
    assert words in page(where)


def test_the_numbers_of_the_site_template_are_those_that_the_pages_tell() -> None:
    told = "".join((ROOT / f"templates/{name}.conf").read_text() for name in ("site", "site-check", "gate"))
    assert all(words in told for words in ("rate=5r/s", "burst=20", "Max-Age=2592000", "error.log emerg", "110m"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)#\s]*)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        assert not target or (path.parent / target).exists(), target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_a_page_names_are_there(path: Path) -> None:
    """But those that a reader of the page makes."""
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:\w+/)+\w+\.\w+)`", text)) - set(re.findall(r"save it as\s+`([^`]+)`", text))
    assert [name for name in named if not any((top / name).exists() for top in (ROOT, ROOT / "hermes_setup"))] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_that_the_source_names_are_there(path: Path) -> None:
    for name in re.findall(r"docs/[a-z]+/[\w./-]+\.(?:md|toml)", path.read_text(encoding="utf-8")):
        assert (ROOT / name).exists(), name


def test_each_library_has_its_reason() -> None:
    listed = re.findall(r'^    "([a-z0-9-]+)>=', page("pyproject.toml"), re.M)
    assert listed
    for library in listed:
        assert f"| {library} |" in page("docs/explanation/dependencies.md")


def test_each_decision_is_in_the_list() -> None:
    listed = set(re.findall(r"\((\d{4}-[\w-]+\.md)\)", page("docs/explanation/decisions/README.md")))
    assert listed == {path.name for path in ROOT.glob("docs/explanation/decisions/0*.md")}


def test_the_readme_fetches_the_release_that_this_is() -> None:
    assert set(re.findall(r"hermes-setup-(\d+\.\d+\.\d+)", page("README.md"))) == {__version__}
    assert f"## {__version__}" in page("CHANGELOG.md")


def test_the_readme_is_a_page_or_two() -> None:
    assert len(page("README.md").splitlines()) < 150


# -- the stage of CONTRIBUTING.md -----------------------------------------------------------------------------------------


def example(of: str = "Add a stage") -> str:
    part = page("CONTRIBUTING.md").partition(f"## {of}")[2].partition("\n## ")[0]
    return str(next(iter(re.findall(r"^```python\n(.*?)^```", part, re.M | re.S))))


def test_the_example_stage_does_what_is_said_of_it() -> None:
    from hermes_setup.answers.answers import Answers
    from hermes_setup.answers.domain import Domain
    from hermes_setup.answers.issuer import Issuer
    from hermes_setup.engine.changes import Place
    from hermes_setup.engine.events import Doing
    from hermes_setup.engine.failed_step import NoJournal
    from hermes_setup.engine.loop import preflight, run
    from hermes_setup.system.local import Local

    namespace: dict[str, object] = {"__name__": "hermes_setup.stages.greeting"}
    exec(compile(example(), "CONTRIBUTING.md", "exec"), namespace)
    stage = namespace["Greeting"]()  # type: ignore[operator]
    wanted = Answers(Domain.parse("hermes.example.com"), Issuer.parse("self-signed"), ())
    machine = Overlay(Local("/nowhere"))
    events = list(run(steps(stage), wanted, machine, NoJournal()))
    places = [event.change for event in events if isinstance(event, Doing) and isinstance(event.change, Place)]
    assert [place.path for place in places] == ["/etc/motd.d/hermes"]
    assert machine.look("/etc/motd.d/hermes") != ABSENT
    assert not [event for event in run(steps(stage), wanted, machine, NoJournal()) if isinstance(event, Doing)]
    machine.put("/etc/motd.d/hermes", File(b"by hand\n"))
    assert [finding.code for _, finding in preflight(steps(stage), wanted, machine).findings] == ["greeting.by-hand"]


def test_the_example_command_is_found_by_its_file_and_does_what_is_said_of_it(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "hermes_setup", tmp_path / "hermes_setup", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "hermes_setup" / "commands" / "address.py").write_text(example("Add a command"))

    def typed(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hermes_setup", *argv], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    assert "hermes-setup address [--bare]" in typed("--help").stdout
    assert "There is no flag --bar here. Did you mean --bare?" in " ".join(typed("address", "--bar").stderr.split())
    assert "Did you mean: hermes-setup address?" in typed("adress").stderr
    said = typed("address", "--bare")
    assert (said.returncode, said.stdout) == (2, ""), said
    assert "sudo" in said.stderr


def test_the_example_question_is_asked_kept_and_written_by_what_stands_there(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "hermes_setup", tmp_path / "hermes_setup", ignore=shutil.ignore_patterns("__pycache__"))
    part = page("CONTRIBUTING.md").partition("## Add a question")[2].partition("\n## ")[0]
    attribute, reader, line, question, its_import, place = re.findall(r"^```(?:python)?\n(.*?)^```", part, re.M | re.S)

    def insert(path: str, before: str, text: str) -> None:
        file = tmp_path / "hermes_setup" / path
        source = file.read_text("utf-8")
        assert source.count(before) == 1, (path, before)
        file.write_text(source.replace(before, text + before), "utf-8")

    insert("answers/answers.py", "\n    @property\n    def names(", attribute)
    insert("answers/fields.py", "FIELDS = (", f"{reader}\n\n")
    insert("answers/fields.py", ')\n"""In the order of an answers file', line)
    (tmp_path / "hermes_setup/questions/log.py").write_text(question)
    insert("questions/conversation.py", "    WhichHermes(),\n", place)
    insert(
        "questions/conversation.py",
        "from hermes_setup.questions.prompt import",
        its_import,
    )
    script = """
import json
from hermes_setup.answers.user import User
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import Issuer
from hermes_setup.answers.file import read_table, to_toml
from hermes_setup.answers.fields import from_json, to_json
from hermes_setup.questions.conversation import review, walk
from hermes_setup.questions.draft import Draft, Known
class Script:
    def __init__(self, *replies): self.replies, self.told = list(replies), []
    def ask(self, prompt, error=""):
        self.told.append((prompt.text, prompt.typed or prompt.default, error))
        return self.replies.pop(0)
    def tell(self, line): self.told.append(line)
start = Draft(Domain.parse("a.example.com"), "", Issuer.parse("letsencrypt"), (User("alice"),), at="done")
first = Script("5", "Europe/Berlin")
draft, _ = walk(start, Known(), first, lambda _: None)
kept = Draft.from_table(json.loads(json.dumps(draft.to_table())))
again = Script()
walk(kept, Known(), again, lambda _: None)
answers = draft.answers()
assert kept == draft and from_json(to_json(answers)) == answers
assert 'log_timezone = "Europe/Berlin"' in to_toml(answers, {})
assert any("is not a time zone" in each[2] for each in first.told if isinstance(each, tuple))
assert "Time zone of the log: Europe/Berlin (from last time)" in again.told
assert dict(review(answers, ""))["Time zone of the log"] == "Europe/Berlin"
print(answers.log_timezone)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("Europe/Berlin\n", ""), done.stderr


def test_the_example_stage_is_typed_and_short(tmp_path: Path) -> None:
    from mypy import api

    code = tmp_path / "greeting.py"
    code.write_text(f"{example()}\nfrom hermes_setup.engine.stage import Stage\n\n_: Stage[Node] = Greeting()\n")
    out, err, status = api.run(["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(tmp_path), str(code)])
    assert status == 0, out + err
    assert len([line for line in example().splitlines() if line.strip()]) <= 30
