"""The verbs about this machine: doctor, settings, data.

Try it:  workshop doctor
"""

import argparse
from dataclasses import asdict

from workshop.commands.options import (
    Verbs,
    add_json,
    add_verb,
    flags_of,
    print_json,
    print_table,
    settings_of,
)


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    doctor = add_verb(verbs, common, "doctor", "say what is missing here", "workshop doctor --json", _doctor)
    add_json(doctor)
    settings = add_verb(verbs, common, "settings", "show every setting", "workshop settings", _settings)
    add_json(settings)
    data = add_verb(verbs, common, "data", "show which data the labs would use", "workshop data", _data)
    add_json(data)


def _doctor(arguments: argparse.Namespace) -> int:
    from workshop import doctor

    rows = doctor.examine(settings_of(arguments))
    if arguments.json:
        print_json([asdict(row) for row in rows])
    else:
        print(doctor.as_text(rows))
    return 0 if all(row.ok or not row.needed for row in rows) else 1


def _settings(arguments: argparse.Namespace) -> int:
    from workshop import settings as table

    flags = flags_of(arguments)
    values, origins = vars(table.load(**flags)), table.origins(**flags)
    rows = [
        {
            "name": entry.name,
            "value": "" if values[entry.name] is None else str(values[entry.name]),
            "from": origins[entry.name],
            "flag": entry.flag,
            "variable": entry.variable,
            "unit": entry.unit,
            "help": entry.help,
        }
        for entry in table.SETTINGS
    ]
    if arguments.json:
        print_json(rows)
        return 0
    print_table([[row["name"], row["value"], row["from"], row["variable"], row["help"]] for row in rows])
    for found, meant in table.misspelled():
        print(f"note: {found} is set and does nothing: did you mean {meant}?")
    return 0


def _data(arguments: argparse.Namespace) -> int:
    from workshop import datasets

    settings = settings_of(arguments)
    found = [datasets.find(name, settings=settings) for name in datasets.names()]
    rows = [{"name": x.name, "source": x.source, "path": str(x.path), "note": x.note} for x in found]
    if arguments.json:
        print_json(rows)
    else:
        print_table([[row["name"], row["source"], row["path"], row["note"]] for row in rows])
    return 0
