#!/usr/bin/env python3
"""Makes docs/shell: the man page, and completions for bash, zsh and fish.

The commands are those of `hermes-setup --help`, what is said of the flags stands in docs/reference/commands.md.

tools/make_shell_files.py           writes the files
tools/make_shell_files.py --check   exit 1 when they are not what those two say (tests/test_docs.py asks the same)
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hermes_setup import (  # noqa: E402
    __version__,
    commands,
    wizard,
)

HELP = commands.overview(wizard.USAGE)
FOLDER = ROOT / "docs" / "shell"
USAGE = re.compile(r"^  hermes-setup(?P<words>(?: [a-z-]+)*)(?P<rest>.*)$", re.MULTILINE)
ROW = re.compile(
    r"^\| `(?P<flag>--[a-z-]+)(?: (?P<value>[A-Za-z.]+))?` \| (?P<where>[^|]+) \| (?P<text>[^|]+) \|$", re.MULTILINE
)


@dataclass(frozen=True)
class Flag:
    """A row of the page's table of flags."""

    value: str  # its name, "" where the flag takes none; it is a file always
    where: str  # the commands that know the flag
    text: str

    @property
    def short(self) -> str:
        """The first sentence, as a list shows it."""
        words = self.text.partition(". ")[0].rstrip(".")
        return words[0].lower() + words[1:]


def flags() -> dict[str, Flag]:
    """What docs/reference/commands.md says of each flag, without its marks."""
    page = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    return {
        row["flag"]: Flag(row["value"] or "", row["where"], re.sub(r"\[([^]]+)\]\([^)]+\)|`", r"\1", row["text"]))
        for row in ROW.finditer(page)
    }


def commands() -> dict[tuple[str, ...], list[str]]:
    """Words of each command -> its flags, as the help has them; () is the program without a command."""
    found: dict[tuple[str, ...], list[str]] = {(): []}
    for usage in USAGE.finditer(HELP):
        words = tuple(word for word in usage["words"].split() if not word.startswith("-"))
        rest = " ".join(word for word in usage["words"].split() if word.startswith("-")) + usage["rest"]
        flags = re.findall(r"--[a-z-]+", re.split(r" {2,}(?=[a-z])", rest)[0])
        found.setdefault(words, []).extend(flag for flag in flags if flag not in found.get(words, []))
    return found


def _tree() -> tuple[list[str], dict[str, list[str]]]:
    """The first words, and for each that has them its second words."""
    first = list(dict.fromkeys(words[0] for words in commands() if words))
    return first, {one: [words[1] for words in commands() if len(words) == 2 and words[0] == one] for one in first}


def _alone() -> list[str]:
    """The flags that can stand together where there is no command."""
    return [flag for flag in commands()[()] if flag not in ("--version", "--help")]


def _of_files() -> list[str]:
    return [flag for flag, about in flags().items() if about.value]


def bash() -> str:
    """For bash-completion(7)'s folder; works without that package, too."""
    first, second = _tree()
    cases = "\n".join(
        f'            "{" ".join(words)}") words="{" ".join(known)}" ;;' for words, known in commands().items() if words
    )
    inner = "\n".join(
        f'        {one}) [ "$COMP_CWORD" -ne 2 ] || words="{" ".join(two)}" ;;' for one, two in second.items() if two
    )
    return f"""# Completion of hermes-setup for bash. Made by tools/make_shell_files.py from the program's help.
_hermes_setup() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} words='' used=' ' each number
    local verb=${{COMP_WORDS[1]}} two="${{COMP_WORDS[1]}} ${{COMP_WORDS[2]}}"
    COMPREPLY=()
    if [ "$cur" = = ]; then cur=''; elif [ "$before" = = ]; then before=${{COMP_WORDS[COMP_CWORD - 2]}}; fi
    case $before in
    {"|".join(_of_files())})
        compopt -o filenames 2>/dev/null
        if [ "$before" = --answers ]; then
            mapfile -t COMPREPLY < <(compgen -f -X '!*.toml' -- "$cur"; compgen -d -- "$cur")
        else
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        fi
        return
        ;;
    esac
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="{" ".join([*first, *commands()[()]])}"
    else
        case $verb in
        {"|".join(_alone())}) words="{" ".join(_alone())}" ;;
{inner}
        esac
        for each in "$two" "$verb"; do
            [ -z "$words" ] || break
            case $each in
{cases}
            esac
        done
    fi
    for number in "${{!COMP_WORDS[@]}}"; do
        [ "$number" -eq "$COMP_CWORD" ] || used+="${{COMP_WORDS[number]}} "
    done
    for each in $words; do # a flag once
        case $each$used in --*" $each "*) words=" $words "; words=${{words/ $each / }} ;; esac
    done
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}}
complete -F _hermes_setup hermes-setup
"""


def zsh() -> str:
    """An autoloaded function (zshcompsys(1))."""
    first, second = _tree()
    told = flags()

    def described(words: list[str]) -> str:
        return " ".join(
            "'" + (word + ":" + told[word].short if word in told else word).replace("'", "'\\''") + "'"
            for word in words
        )

    cases = "\n".join(
        f'        ("{" ".join(words)}") all=({described(known)}) ;;' for words, known in commands().items() if words
    )
    inner = "\n".join(
        f"        ({one}) (( CURRENT != 3 )) || all=({described(two)}) ;;" for one, two in second.items() if two
    )
    return f"""#compdef hermes-setup
# Completion of hermes-setup for zsh. Made by tools/make_shell_files.py from the program's help.
local -a all
local each
if [[ $words[CURRENT-1] == --answers ]] || compset -P '--answers='; then
    _files -g '*.toml'
    return
elif [[ $words[CURRENT-1] == ({"|".join(_of_files())}) ]] || compset -P '({"|".join(_of_files())})='; then
    _files
    return
fi
if (( CURRENT == 2 )); then
    all=({described([*first, *commands()[()]])})
else
    case $words[2] in
        ({"|".join(_alone())}) all=({described(_alone())}) ;;
{inner}
    esac
    for each in "$words[2] $words[3]" "$words[2]"; do
        (( $#all )) && break
        case $each in
{cases}
        esac
    done
fi
for each in $words[2,CURRENT-1] $words[CURRENT+1,-1]; do # a flag once
    [[ $each != --* ]] || all=(${{all:#${{each%%=*}}(|:*)}})
done
_describe hermes-setup all
"""


def fish() -> str:
    """complete(1) of fish."""
    first, second = _tree()
    told = flags()
    lines = [
        "# Completion of hermes-setup for fish. Made by tools/make_shell_files.py from the program's help.",
        "function __hermes_setup_without -d 'None of these flags is on the line, but the last one where its value comes now'",
        "    set -l words (commandline -opc)",
        f'    contains -- "$words[-1]" {" ".join(_of_files())}; and set -e words[-1]',
        "    for flag in $argv",
        '        string match -q -- $flag $words; or string match -q -- "$flag=*" $words; and return 1',
        "    end",
        "    return 0",
        "end",
        "complete -c hermes-setup -f",
    ]
    lines.append(f'complete -c hermes-setup -n __fish_use_subcommand -a "{" ".join(first)}"')
    for one, two in second.items():
        if two:
            seen = f"__fish_seen_subcommand_from {one}; and not __fish_seen_subcommand_from {' '.join(two)}"
            lines.append(f'complete -c hermes-setup -n "{seen}" -a "{" ".join(two)}"')
    for words, known in commands().items():
        seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in words) or "__fish_use_subcommand"
        for flag in known:
            others = known if not words and flag not in _alone() else [flag]
            text = f""" -d '{told[flag].short.replace("'", chr(92) + "'")}'""" if flag in told else ""
            value = " -r -F" if flag in _of_files() else ""
            lines.append(
                f'complete -c hermes-setup -n "{seen}; and __hermes_setup_without {" ".join(others)}" -l {flag[2:]}{value}{text}'
            )
    return "\n".join(lines) + "\n"


def man() -> str:
    """The page for man, in its macros. The long form of all this is docs/reference/commands.md."""

    def escaped(text: str) -> str:
        return text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("|", "\\||")

    synopsis = []
    for usage in USAGE.finditer(HELP):
        line = re.split(r" {2,}(?=[a-z])", usage.group().strip())[0]
        synopsis.append(".br\n.B " + escaped(re.sub(r" +", " ", line)))
    options = "\n".join(
        f".TP\n.B {escaped(f'{flag} {about.value}'.strip())}\n{escaped(about.text)}\n.br\nWith: {escaped(about.where)}."
        for flag, about in flags().items()
    )
    codes = HELP.partition("Exit: ")[2]
    told = re.findall(r"(\d+) ((?:(?!\s\d+ ).)+)", " ".join(codes.split()))
    status = "\n".join(f".TP\n.B {code}\n{escaped(text.strip(' :'))}" for code, text in told)
    return f""".\\" Made by tools/make_shell_files.py from the program's help.
.TH HERMES\\-SETUP 8 "" "hermes\\-setup {__version__}"
.SH NAME
hermes\\-setup \\- put the Hermes dashboard on the internet, behind nginx, a certificate and passwords
.SH SYNOPSIS
{chr(10).join(synopsis).removeprefix(".br" + chr(10))}
.SH DESCRIPTION
Without arguments it asks a few questions, shows every change, and makes the changes after a yes. On a server that is set
up it shows what is there, and a menu. It can be interrupted at any moment and run again: it goes on where it stopped.
.PP
Data goes to standard output, everything said to you to standard error. No question is asked without a terminal.
.SH OPTIONS
{options}
.SH EXIT STATUS
{status}
.SH FILES
.TP
.I /etc/nginx/sites\\-available/hermes
The site. Its first line says that this program wrote it.
.TP
.I /etc/nginx/.htpasswd\\-hermes
The users; lines made by hand are kept.
.TP
.I /etc/nginx/hermes\\-gate.conf
The secret cookie of each user; root alone may read it.
.TP
.I /etc/systemd/system/hermes\\-dashboard.service
Hermes as a service, where that was asked for.
.TP
.I /var/lib/hermes\\-setup
Answers, and what each file held before a run.
.TP
.I /var/log/hermes\\-setup.log
What was done; never a password.
.SH ENVIRONMENT
.TP
.B HERMES_SETUP_PLAIN
Set to 1: nothing on the screen moves, no colours, and a choice is typed as a number (for screen readers).
.TP
.B NO_COLOR
Set to anything: no colours.
.PP
Both are also seen where sudo was typed, which drops them.
.SH SEE ALSO
.BR nginx (8),
.BR certbot (1)
"""


MADE = {"hermes-setup.8": man, "hermes-setup.bash": bash, "_hermes-setup": zsh, "hermes-setup.fish": fish}


def main() -> int:
    """Write, or compare."""
    stale = (
        [name for name, make in MADE.items() if (FOLDER / name).read_text("utf-8", "replace") != make()]
        if "--check" in sys.argv
        else []
    )
    if "--check" not in sys.argv:
        FOLDER.mkdir(exist_ok=True)
        for name, make in MADE.items():
            (FOLDER / name).write_text(make(), encoding="utf-8")
    for name in stale:
        print(f"docs/shell/{name} is not what the help says: run tools/make_shell_files.py", file=sys.stderr)
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
