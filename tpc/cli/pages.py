"""Commands that print what is written: `help` pages of the documentation, `explain` codes of messages."""

from __future__ import annotations

import argparse
import json
import re
from typing import Any

from tpc.cli.beginning import add_topical
from tpc.cli.shared import OK

CODES = "codes"  # the page that explains them


def add_help(commands: Any) -> None:
    made = add_topical(
        commands, "help", print_help, "print a page of the documentation, or the help of a command"
    )
    made.add_argument("topic", nargs="?", metavar="TOPIC", help="without it all topics are listed")


def print_help(arguments: argparse.Namespace) -> int:
    topic = arguments.topic
    if topic is None:
        told = _titles()
        size = max(map(len, told))
        text = "\n".join(f"{name:{size}}  {words}" for name, words in told.items())
        print(
            json.dumps(told)
            if arguments.json
            else f"{text}\n\n`tpc help TOPIC` prints a page, `tpc help COMMAND` its help."
        )
        return OK
    text = _help_on(topic)
    print(json.dumps({"topic": topic, "text": text}) if arguments.json else text.rstrip())
    return OK


def _titles() -> dict[str, str]:
    """What every page is called, by topic."""
    from tpc.machine.shipped import page, pages, title

    return {name: title(page(path)) for name, path in pages().items()}


def _help_on(topic: str) -> str:
    """A command's help, or a page. Raises TpcError for what is neither."""
    from tpc.cli.main import parser
    from tpc.machine.shipped import page, pages

    known, commands = pages(), parser().commands.choices
    if topic in commands:
        return str(commands[topic].format_help())
    if topic.lower() in known:
        return page(known[topic.lower()])
    raise _unknown("topic", topic, [*known, *commands])


def add_explain(commands: Any) -> None:
    made = add_topical(
        commands, "explain", explain, "explain a code of a message: what, why, wrong and right"
    )
    made.add_argument("code", nargs="?", metavar="CODE", help="for example TP203; without it all are listed")


def explain(arguments: argparse.Namespace) -> int:
    found = explanations()
    if arguments.code is None:
        told = {code: text.splitlines()[2] for code, text in found.items()}
        listed = "\n".join(f"{code}  {what}" for code, what in told.items())
        print(json.dumps(told) if arguments.json else listed)
        return OK
    code = re.sub(r"^(?:TP)?(\d+)$", r"TP\1", arguments.code.strip().upper())
    if code not in found:
        raise _unknown("code", arguments.code, list(found))
    print(json.dumps({"code": code, "text": found[code]}) if arguments.json else found[code])
    return OK


def explanations() -> dict[str, str]:
    """What the page of codes says, by code."""
    from tpc.machine.shipped import page, pages

    sections = re.split(r"^### (?=TP\d{3}\b)", page(pages()[CODES]), flags=re.MULTILINE)[1:]
    return {section[:5]: section.partition("\n## ")[0].rstrip() for section in sections}


def _unknown(kind: str, name: str, known: list[str]) -> Exception:
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError

    return TpcError([catalogue.commands.unknown_page(kind, name, known)], "tpc")
