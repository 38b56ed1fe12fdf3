"""Commands and their options as tables, from which parsers are made."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Option:
    """An option of a command, with the name of the parameter that it sets.

    `original` is its name in eeg-transformer, `network` the only network that has it.
    """

    name: str
    help: str
    original: str | None = None
    type: Any = str
    default: Any = None
    many: bool = False
    choices: tuple | None = None
    flag: str | None = None
    network: str | None = None

    @property
    def flags(self):
        """Our flag, then eeg-transformer's where it has another."""
        flags = self.flag or "--" + self.name.replace("_", "-"), self.original
        return [flag for flag in dict.fromkeys(flags) if flag]


@dataclass(frozen=True)
class Command:
    """A command; `add_options` is given its parser, and `run` what has been parsed."""

    name: str
    help: str
    description: str
    epilog: str | None
    add_options: Callable
    run: Callable

    def add_to(self, commands):
        """Describe the command's arguments."""
        parser = commands.add_parser(
            self.name,
            help=self.help,
            description=self.description,
            epilog=self.epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.add_options(parser)
        parser.set_defaults(run=self.run)


def add_options(parser, options, *, suppress=False):
    """Add options to a parser; with `suppress`, those not given are missing from its result."""
    for option in options:
        said = option.many or option.default is None or option.type is bool
        text = option.help if said else f"{option.help} (default: {option.default})"
        settings = {"dest": option.name, "help": text, "default": option.default}
        if suppress:
            settings["default"] = argparse.SUPPRESS
        if option.type is bool:
            settings["action"] = argparse.BooleanOptionalAction if suppress else "store_true"
        else:
            settings |= {"type": option.type, "choices": option.choices}
            settings["nargs"] = "+" if option.many else None
            if option.many or not option.choices:
                settings["metavar"] = option.flags[0].strip("-").upper()
        parser.add_argument(*option.flags, **settings)


def expanded(text):
    """Read a path; a shell leaves ~ as it is after --output=, and YAML always."""
    return Path(text).expanduser()


def whole(text):
    """Read a whole number; "none" switches it off."""
    return None if text == "none" else _number(int, text, "whole number")


def real(text):
    """Read a number; "none" switches it off."""
    return None if text == "none" else _number(float, text, "number")


def _number(kind, text, what):
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no {what}") from None


def auto_or_whole(text):
    """Read a whole number, or "auto"."""
    return text if text == "auto" else whole(text)


def name_or_place(text):
    """Read the name of a channel, or its place as a number."""
    return int(text) if text.isdigit() else text
