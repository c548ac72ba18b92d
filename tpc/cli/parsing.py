"""The parser of the command line: it shows defaults, and suggests what a misspelled word may have meant."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any


class ShownDefaults(argparse.HelpFormatter):
    """Help texts that end with the default of their option, if it has one."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        default = action.default
        if not action.option_strings or default is None or default is False or default == []:
            return text
        if default is argparse.SUPPRESS:
            return text
        shown = ",".join(map(str, default)) if isinstance(default, list) else str(default)
        return f"{text} (default: {shown.replace('%', '%%')})".lstrip()


class CommandParser(argparse.ArgumentParser):
    """A parser of commands or of the options of one."""

    commands: Any = None  # the action that has the parsers below this one by name, if there are any

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", ShownDefaults)
        super().__init__(**options)

    def add_subparsers(self, **options: Any) -> Any:
        self.commands = super().add_subparsers(**options)
        return self.commands

    def every_action(self) -> Iterator[argparse.Action]:
        """The options and arguments of this parser and of those below it."""
        yield from self._actions
        if self.commands is not None:
            for below in self.commands.choices.values():
                yield from below.every_action()

    def require_known(self, words: Sequence[str]) -> None:
        """Ends with status 2 for a command or an option that there is not, and says what may be meant."""
        if self.commands is None:
            self._require_options(words)
        elif words and not words[0].startswith("-"):
            below = self.commands.choices
            if words[0] not in below:
                kind = self.commands.metavar.lower()
                self._refuse(f"`{words[0]}` is no {kind}", words[0], list(below))
            below[words[0]].require_known(words[1:])

    def _require_options(self, words: Sequence[str]) -> None:
        for word in words:
            if word == "--":
                return
            name = word.partition("=")[0]
            if name.startswith("--") and not any(own.startswith(name) for own in self._option_string_actions):
                options = sorted(own for own in self._option_string_actions if own.startswith("--"))
                hint = _hint_with_option(name, "--set" in options)
                self._refuse(f"there is no option `{name}`", name, options, hint)

    def _refuse(self, what: str, word: str, known: Sequence[str], hint: str = "") -> None:
        """`hint` is given if nothing is meant that there is."""
        from tpc.diagnostics.catalogue.words import similar

        meant = similar(word, known)
        self.error(f"{what}: {meant}" if meant else f"{what}{hint}; there are {', '.join(known)}")


def _hint_with_option(name: str, sets: bool) -> str:
    """What is meant by an option that a command does not have: another command's, or an input (`--set`)."""
    from tpc.cli.main import parser

    commands = parser().commands.choices.items()
    owners = [f"`tpc {command}`" for command, own in commands if name in own._option_string_actions]
    if owners:
        return f"; it is one of {', '.join(owners)}"
    plain = name.removeprefix("--")
    return f"; what it calls `{plain}` is set by `--set {plain}=…`" if sets else ""
