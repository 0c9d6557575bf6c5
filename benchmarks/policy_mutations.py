"""Every right of every policy, taken out alone: what of the course fails then? Written to policy_mutations.md.

Try it:  python -m benchmarks policy_mutations      (runs the labs, some minutes)
The course runs once, as a learner, with IAM enforced and its decisions recorded: the labs, then what is
beside their main road (`_policy_beside`), then the clean-up. Who holds the policies: `_policy_holders`.
Replaying needs no course: `_policy_replay`. What only AWS itself needs is in `_policy_reasons`, each with its page.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._policy_beside import RELEASE, beside_the_labs, clean, timed
from benchmarks._policy_holders import BOUNDARY, deploy_role, learner, roles
from benchmarks._policy_replay import NOT_OF_THE_COURSE, Findings, Holder, Recording, Window, judge
from benchmarks._policy_report import markdown, unexplained

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_suffix(".md")


def measure() -> list[dict[str, Any]]:
    """Run the course, judge its policies, write the table; rows for the benchmarks' own table."""
    with tempfile.TemporaryDirectory() as folder:
        recording, holders = _course(Path(folder))
        findings, lines = report(recording, holders)
    RESULTS.write_text("\n".join(lines) + "\n")
    failed = unexplained(findings)
    if failed:
        raise AssertionError(f"spare rights: {', '.join(map(str, failed))}")
    total = len(findings.needed) + len(findings.spare)
    return [
        {"name": "rights in the policies", "value": total, "unit": "rights"},
        {"name": "without which something fails here", "value": len(findings.needed), "unit": "rights"},
        {"name": "that only AWS itself needs", "value": len(findings.spare), "unit": "rights"},
    ]


def report(recording: Recording, holders: list[Holder]) -> tuple[Findings, list[str]]:
    """Judge, and say it in Markdown."""
    findings = judge(recording, holders, BOUNDARY)
    return findings, list(markdown(findings, holders, recording))


def holders_of(aws: Any) -> tuple[list[Holder], Window]:
    """Everybody whose policies are judged, once the steps beside the labs were done, and when we asked for them."""
    found: list[Holder] = []
    window = timed(
        NOT_OF_THE_COURSE,
        lambda: found.extend([learner(aws.settings.root), *roles(aws), deploy_role(aws, RELEASE)]),
    )
    return found, window


def windows(runs: Path) -> list[Window]:
    """When each lab ran, from the records of the runs."""
    found = []
    for path in sorted(runs.glob("*/run.json")):
        for lab in json.loads(path.read_text()).get("labs", []):
            begin = lab.get("started")
            if begin:
                found.append((f"lab {lab['number']}", begin, begin + float(lab.get("seconds") or 0)))
    return found


# ---- the course ----------------------------------------------------------------------------------------------


def _course(folder: Path) -> tuple[Recording, list[Holder]]:
    from localaws import daemon
    from workshop.aws import session
    from workshop.settings import load

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = load(
        {}, root=ROOT, state_dir=folder / "state", runs_dir=folder / "runs", port=port, engine="process"
    )
    decisions = settings.state_dir / "localaws" / "decisions.jsonl"
    decisions.parent.mkdir(parents=True)
    decisions.touch()  # a server that finds one goes on with it
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "WORKSHOP_"))
    }
    try:
        command = [sys.executable, "-m", "workshop.cli", "run", "all"]
        subprocess.run(command, cwd=folder, env=variables | settings.environment(), check=True)
        times = windows(settings.runs_dir)
        aws = session.connect(settings, {})
        times += beside_the_labs(aws)
        holders, asked = holders_of(aws)
        times += [asked, clean(aws)]
    finally:
        daemon.stop(settings.state_dir)
    return Recording(decisions, times), holders
