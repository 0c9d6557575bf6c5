"""Write what a run of labs gave: report.html, one page that holds all it shows, and metrics.json.

Try it:  workshop run 1-4, then open runs/<id>/report.html
Reads the record and the executed notebooks; runs nothing.
"""

import contextlib
import html
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from string import Template
from typing import Any

from workshop import course, job_outputs, outputs
from workshop.progress import MARKS, clock
from workshop.records import Record, write_json
from workshop.settings import Settings

PAGE = "report.html"
METRICS = "metrics.json"
VERSIONS_OF = (
    "boto3",
    "jupyterlab",
    "ministack",
    "numpy",
    "papermill",
    "tensorflow-cpu",
    "tensorflow",
    "mxnet",
)


def write(record: Record, settings: Settings) -> Path:
    """Write both files into the run's folder; returns the page's path."""
    measured = metrics(record, settings)
    write_json(record.folder / METRICS, measured)
    path = record.folder / PAGE
    path.write_text(page(record, measured["usd_on_aws"]), encoding="utf-8")
    return path


def usd_on_aws(record: Record, settings: Settings) -> float:
    """Estimate what the stacks of the run's labs would cost on AWS, or did, for as long as the labs took."""
    from workshop.aws import costs

    rows = record.get("labs")
    concerns = [name for lab, names in course.STACKS.items() if lab <= rows[-1]["number"] for name in names]
    templates = settings.root / "cloudformation"
    concerns = [name for name in concerns if (templates / f"{name}.yaml").exists()]
    if not concerns:
        return 0.0
    minutes = sum(row.get("seconds", 0.0) for row in rows) / 60
    cost = costs.estimate(concerns, minutes=minutes, region=settings.region, root=settings.root)
    return round(cost.usd, 2)


def metrics(record: Record, settings: Settings) -> dict[str, Any]:
    """Gather what was measured: labs, checks, jobs of this run, machine, data, versions."""
    jobs = [job for job in Record.all(settings.runs_dir, "job") if job.get("batch") == record.id]
    measured = {job.id: _measured(job) for job in jobs}
    rows = record.get("labs")
    return {
        "run": record.id,
        "status": record.get("status"),
        "target": record.get("target"),
        "profile": record.get("profile"),
        "usd_on_aws": usd_on_aws(record, settings),
        "seconds": round(sum(row.get("seconds", 0.0) for row in rows), 1),
        "labs": [{key: row.get(key) for key in ("number", "name", "status", "seconds")} for row in rows],
        "checks": {
            "passed": sum(line["passed"] for row in rows for line in row.get("checks", [])),
            "all": sum(len(row.get("checks", [])) for row in rows),
        },
        "jobs": [
            {
                "run": job.id,
                "job": job.get("job"),
                "status": job.get("status"),
                "metrics": measured[job.id],
            }
            for job in reversed(jobs)
        ],
        "data": sorted({str(x["data_source"]) for x in measured.values() if x.get("data_source")}),
        "machine": machine(),
        "versions": versions(),
    }


def _measured(job: Record) -> dict[str, Any]:
    path = job.folder / job_outputs.METRICS
    return job_outputs.brief(json.loads(path.read_text())) if path.exists() else {}


def machine() -> dict[str, Any]:
    """Describe this machine as far as it matters for times."""
    import psutil

    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
    }


def versions() -> dict[str, str]:
    """Name the versions that a figure may depend on."""
    found = {"python": platform.python_version()}
    for name in VERSIONS_OF:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def closing_table(record: Record) -> str:
    """Spell a run's end in a few lines: each lab, and where to look."""
    rows = record.get("labs")
    width = max(len(row["title"]) for row in rows)
    lines = []
    for row in rows:
        checks = row.get("checks", [])
        passed = sum(line["passed"] for line in checks)
        took = clock(row["seconds"]) if "seconds" in row else "-"
        counted = f"{passed}/{len(checks)} checks" if checks else ""
        line = f"{MARKS[row['status']]} lab {row['number']}  {row['title']:<{width}}  {row['status']:<11}"
        lines.append(f"{line}  {took:>5}  {counted}".rstrip())
    for row in rows:
        if row.get("error"):
            lines += [
                "",
                f"lab {row['number']}: {row['error']}",
                f"  fix: {row['fix'] or 'see its notebook'}",
            ]
    path = _nearby(record.folder)
    return "\n".join([*lines, "", f"report   {path / PAGE}", f"figures  {path / METRICS}"])


def page(record: Record, usd: float) -> str:
    """Build the page; pictures are inside it, so it can be sent as one file. usd: what the time costs on AWS."""
    rows = record.get("labs")
    began = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(record.get("started", 0)))
    facts = [began, f"target {record.get('target')}", f"profile {record.get('profile')}", _machine_text()]
    facts.append(f"on AWS about {usd:.2f} USD for this time")
    return Template(_PAGE).substitute(
        title=html.escape(record.id),
        status=html.escape(record.get("status")),
        facts=html.escape(" · ".join(facts)),
        rows="".join(_table_row(row) for row in rows),
        labs=_error(record.get) + "".join(_section(row, record.folder) for row in rows),
    )


def _machine_text() -> str:
    found = machine()
    return f"{found['cores']} cores, {found['memory_gib']} GiB, Python {sys.version.split()[0]}"


def _table_row(row: dict[str, Any]) -> str:
    seconds = clock(row["seconds"]) if "seconds" in row else ""
    checks = row.get("checks", [])
    count = f"{sum(line['passed'] for line in checks)} of {len(checks)}" if checks else ""
    css = row["status"].replace(" ", "-")
    return (
        f'<tr class="{css}"><td>{MARKS[row["status"]]}</td>'
        f'<td><a href="#lab-{row["number"]}">{row["number"]} {html.escape(row["title"])}</a></td>'
        f"<td>{html.escape(row['status'])}</td><td>{seconds}</td>"
        f"<td>{clock(row['minutes'] * 60)}</td><td>{count}</td></tr>"
    )


def _section(row: dict[str, Any], folder: Path) -> str:
    parts = [f'<section id="lab-{row["number"]}"><h2>Lab {row["number"]}: {html.escape(row["title"])}</h2>']
    parts.append(_error(row.get))
    if row.get("checks"):
        parts.append(f"<ul>{''.join(_check(line) for line in row['checks'])}</ul>")
    executed = folder / row["notebook"] if row.get("notebook") else None
    if executed and executed.exists():
        shown = outputs.pictures(executed)
        parts += [
            f'<figure><img src="{picture.address}" alt="{html.escape(picture.heading)}">'
            f"<figcaption>{html.escape(picture.heading)}</figcaption></figure>"
            for picture in shown
        ]
        parts.append(f'<p><a href="{html.escape(row["notebook"])}">the executed notebook</a></p>')
    return "".join(parts) + "</section>"


def _error(get: Callable[[str], Any]) -> str:
    """Why a lab, or the whole run before its first lab, failed; nothing if it did not."""
    fix = f"<br>fix: <code>{html.escape(get('fix'))}</code>" if get("fix") else ""
    return f'<p class="error">{html.escape(get("error"))}{fix}</p>' if get("error") else ""


def _check(line: dict[str, Any]) -> str:
    if line["passed"]:
        return f'<li class="passed">✓ {html.escape(line["what"])}</li>'
    return (
        f'<li class="failed">✗ {html.escape(line["what"])}<br><small>{html.escape(line["why"])}'
        f"<br>fix: <code>{html.escape(line['fix'])}</code></small></li>"
    )


def _nearby(path: Path) -> Path:
    """Spell a path from here if it is below here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>$title</title><style>
:root { color-scheme: light dark; --line: #8884; --good: #2e9e5b; --bad: #d9463e; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
td, th { padding: .4rem .6rem; border-bottom: 1px solid var(--line); text-align: left; }
ul { list-style: none; padding: 0; } li { margin: .3rem 0; }
figure { display: inline-block; margin: .5rem .5rem .5rem 0; max-width: 100%; vertical-align: top; }
img { max-width: 100%; background: #fff; border-radius: 4px; } figcaption { font-size: .85rem; opacity: .7; }
.passed td:first-child, li.passed { color: var(--good); } .failed td:first-child, li.failed { color:
var(--bad); } .error { border-left: 4px solid var(--bad); padding: .4rem 1rem; }
</style></head><body>
<h1>$title: $status</h1><p>$facts</p>
<table><tr><th></th><th>lab</th><th>status</th><th>time</th><th>expected</th><th>checks</th></tr>$rows</table>
$labs
</body></html>
"""
