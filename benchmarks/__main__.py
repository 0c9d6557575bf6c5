"""Measure what is claimed about speed, print tables, and write benchmarks/results.json.

Try it:  make bench          or one:  python -m benchmarks control_calls
Each benchmark measures both sides in one run on one machine: a figure alone says little.
"""

import argparse
import importlib
import json
import os
import platform
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
BENCHMARKS = sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_"))


def machine() -> str:
    """Processor count, system and Python: what a figure is worth without is little."""
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def table(name: str, rows: list[dict]) -> Table:
    """One row a figure; ratio above 1 means that ours is better by that factor."""
    drawn = Table("what", "value", "unit", "against", "ratio", title=name)
    for row in rows:
        ratio = row.get("ratio")
        drawn.add_row(
            row["name"],
            f"{row['value']:.4g}",
            row["unit"],
            str(row.get("against") or ""),
            f"{ratio:.2f}" if ratio else "",
        )
    return drawn


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], help="which (default: all)")
    names = parser.parse_args().names or BENCHMARKS
    target = HERE / "results.json"
    kept = json.loads(target.read_text()) if target.exists() else []
    results = [row for row in kept if row["benchmark"] not in names]
    for name in names:
        rows = importlib.import_module(f"benchmarks.{name}").measure()
        Console().print(table(name, rows))
        results += [{"benchmark": name, "machine": machine(), **row} for row in rows]
    target.write_text(json.dumps(results, indent=1) + "\n")
    print(f"written: {target.relative_to(HERE.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
