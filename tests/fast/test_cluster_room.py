"""Whether several tasks fit side by side on what a cluster has."""

import pytest

from workshop.aws import cluster_room, task_definitions
from workshop.settings import load

LARGE = {"CPU": 4096.0, "MEMORY": 15000.0, "GPU": 0.0}
WORKER = {"CPU": 1024.0, "MEMORY": 3072.0, "GPU": 0.0}


@pytest.mark.parametrize(
    ("workers", "instances", "fit"),
    [(1, 1, True), (4, 1, True), (5, 1, False), (8, 2, True), (9, 2, False), (1, 0, False)],
)
def test_tasks_fill_instances_by_what_runs_out_first(workers, instances, fit):
    assert cluster_room.fits([WORKER] * workers, [LARGE] * instances) is fit


def test_small_tasks_go_where_the_large_ones_leave_room():
    small = {"CPU": 128.0, "MEMORY": 768.0, "GPU": 0.0}
    assert cluster_room.fits([small] * 4 + [WORKER] * 3, [LARGE])


def test_gpu_is_not_made_up_by_memory():
    wanted = {**WORKER, "GPU": 1.0}
    assert not cluster_room.fits([wanted], [LARGE])
    assert cluster_room.fits([wanted], [LARGE, {**LARGE, "GPU": 1.0}])


@pytest.mark.parametrize("family", ["jobs-mxnet", "jobs-tensorflow"])
def test_group_variant_differs_from_its_file_by_name_and_network_alone(family):
    single = task_definitions.read(family, load({}).root)
    grouped = task_definitions.for_group(single)
    assert grouped.pop("family") == f"{family}-group" and grouped.pop("networkMode") == "awsvpc"
    assert single.pop("family") == family and single.pop("networkMode") == "bridge"
    assert grouped == single
    assert task_definitions.file_of(f"{family}-group-gpu") == family
