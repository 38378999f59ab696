"""What an answers file asks for, merged with what is on this machine."""

from __future__ import annotations

from hermes_setup.answers import file
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.merge import merged, unwritten
from hermes_setup.session import Session
from hermes_setup.stages.users import answers_file, htpasswd
from hermes_setup.ui.talk import say


def wanted(path: str, verb: str, session: Session) -> tuple[Answers, dict[str, str]]:
    """The answers, and the passwords that were made up for them. `hermes-setup VERB` was given the path."""
    found = file.read(path, verb)
    for warning in found.warnings:
        say(f"warning: {warning}")
    session.need_root()
    lines, stored = htpasswd.read(session.host), session.state.answers()
    users, made_up = answers_file.resolve(found.users, {**unwritten(stored), **lines}, answers_file.read_password_file)
    return merged(found.answers, users, stored, lines), made_up
