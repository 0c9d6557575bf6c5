"""The DAG as Airflow reads it: no call of AWS, the tasks and parameters that everybody else is told."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from workshop.airflow import dag_parameters
from workshop.airflow import home as airflow_home
from workshop.settings import load

ROOT = Path(__file__).resolve().parents[2]
AIRFLOW = ROOT / ".venvs" / "airflow" / "bin" / "python"
NAMES = dag_parameters.TASKS["sentiment"]


@pytest.mark.skipif(not AIRFLOW.exists(), reason="the environment airflow is not made")
def test_the_dag_is_read_without_a_call_of_aws_and_has_the_tasks_that_are_told(tmp_path):
    program = f"""
import json, socket, time
class Refused(socket.socket):
    def connect(self, *address): raise AssertionError(f"connected to {{address}}")
socket.socket = Refused
from airflow.dag_processing.dagbag import BundleDagBag
from pathlib import Path
began = time.monotonic()
import os; os.environ["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1"
folder = Path({str(ROOT / "airflow" / "dags")!r})
bag = BundleDagBag(folder, bundle_path=folder, bundle_name="dags-folder")
assert not bag.import_errors, bag.import_errors
dag = bag.dags["sentiment"]
order = [task.task_id for task in dag.topological_sort()]
print(json.dumps([bag.import_errors, order, time.monotonic() - began,
  {{n: dag.params.get_param(n).schema for n in dag.params}},
  {{t.task_id: [t.retries, t.execution_timeout.total_seconds()] for t in dag.tasks}}]))
"""
    variables = {"PATH": "/usr/bin:/bin", **airflow_home.configuration(load({}, root=ROOT), tmp_path)}
    began = time.monotonic()
    done = subprocess.run([AIRFLOW, "-c", program], env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    errors, order, seconds, parameters, tries = json.loads(done.stdout.splitlines()[-1])
    assert errors == {}
    assert tuple(order) == NAMES
    assert parameters.keys() == dag_parameters.of("sentiment").keys()
    assert tries["gate"][0] == 0, "a gate that is red stays red"
    assert all(seconds > 0 for _, seconds in tries.values())
    assert seconds < (time.monotonic() - began), "most of the time is Airflow's own import"
