"""What verbs share: a parser with an example, the settings' flags, JSON output.

Try it:  workshop settings --help
"""

import argparse
import contextlib
import json
from collections.abc import Callable
from typing import Any

from workshop.settings import PREFIX, SETTINGS, Settings, in_environment, load

Verbs = Any  # argparse's subparsers have no public type
Call = Callable[[argparse.Namespace], int]


def settings_flags() -> argparse.ArgumentParser:
    """Make the parent parser that gives every verb the flags of the settings table."""
    parent = argparse.ArgumentParser(add_help=False)
    group = parent.add_argument_group(
        "settings (each also by its WORKSHOP_* variable; see workshop settings)"
    )
    for setting in SETTINGS:
        group.add_argument(
            setting.flag,
            dest=f"setting_{setting.name}",
            metavar=setting.name.upper(),
            default=argparse.SUPPRESS,  # a flag before the verb is not undone by its absence after it
            help=f"{setting.help} (default: {setting.default or 'none'})",
        )
    return parent


def add_verb(
    verbs: Verbs, common: argparse.ArgumentParser, name: str, summary: str, example: str, call: Call
) -> argparse.ArgumentParser:
    """Add a verb with its help, its example and the settings' flags."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        parents=[common],
        help=summary,
        description=summary,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(call=call)
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")


def add_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask before spending money on AWS")


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Load the settings with the flags that were given."""
    return load(**flags_of(arguments))


def adopted(arguments: argparse.Namespace) -> contextlib.AbstractContextManager[None]:
    """Give the flags to everything that this process calls or starts: they read the same variables."""
    return in_environment({PREFIX + name.upper(): str(value) for name, value in flags_of(arguments).items()})


def flags_of(arguments: argparse.Namespace) -> dict[str, Any]:
    given = vars(arguments)
    return {setting.name: given[key] for setting in SETTINGS if (key := f"setting_{setting.name}") in given}


def print_json(content: Any) -> None:
    print(json.dumps(content, indent=1, sort_keys=True, default=str))


def print_table(rows: list[list[str]]) -> None:
    """Print rows in columns as wide as their longest entry."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    for row in rows:
        print("  ".join(entry.ljust(width) for entry, width in zip(row, widths, strict=True)).rstrip())
