"""docs/by-hand.md, typed by a learner who has done lab 2: AWS's own CLI, IAM enforced, tasks as processes.

Stacks of later labs are there too, all but the service's: `deploy` finds that they are what the page would make, and
the CLI, which looks every thirty seconds, need not wait for each.
"""

import json
import re
import subprocess
from collections.abc import Iterator

import by_hand_page
import pytest
from attendee import WORKSHOP, Attendee, attendee
from by_hand_page import WITH_DOCKER

MADE_BEFORE = ("airflow", "private-network", "sentiment", "satisfaction")
# The last one's function is uploaded as the page does it, under the page's name for it.
DEPLOY = f"""
from workshop.aws import functions, objects, stacks
key = "functions/satisfaction-by-hand.zip"
objects.write_bytes(f"s3://{{stacks.output('AssetsBucket')}}/{{key}}", functions.package("satisfaction"))
for concern in {MADE_BEFORE}:
    stacks.deploy(concern, **({{"CodeKey": key}} if concern == "satisfaction" else {{}}))
"""


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attendee]:
    with attendee(tmp_path_factory.mktemp("by-hand")) as one:
        # The samples: what is typed is shown here, not what is learned.
        one.variables.pop("WORKSHOP_DATA_DIR", None)
        prepared = one.run("prepare", "3", timeout_seconds=120)
        assert prepared.returncode == 0, prepared.stdout + prepared.stderr
        python = WORKSHOP.with_name("python")
        subprocess.run([python, "-c", DEPLOY], env=one.variables, check=True, timeout=120)
        yield one


@pytest.fixture(scope="module")
def page(learner: Attendee) -> list[by_hand_page.Block]:
    return by_hand_page.typed([x for x in by_hand_page.blocks() if x.heading != WITH_DOCKER], learner)


def printed(page: list[by_hand_page.Block], line: str) -> str:
    """What the one block with this in its lines printed."""
    [block] = [each for each in page if line in each.lines]
    return block.printed


def test_caller_is_the_learner(page: list[by_hand_page.Block]) -> None:
    arn = "arn:aws:sts::123456789012:assumed-role/workshop-learner/local"
    assert arn in printed(page, "get-caller-identity\n")


def test_stacks_that_a_lab_made_are_what_the_page_deploys(page: list[by_hand_page.Block]) -> None:
    for stack in ("network", "storage", "cluster", *MADE_BEFORE):
        said = printed(page, f"deploy --stack-name workshop-{stack} ")
        assert f"No changes to deploy. Stack workshop-{stack} is up to date" in said


def test_cluster_is_active_with_an_instance(page: list[by_hand_page.Block]) -> None:
    said = printed(page, "describe-clusters")
    assert '"ACTIVE",\n    1\n' in said
    assert "CREATE_COMPLETE\tworkshop-cluster" in said and ":cluster/workshop-cluster" in said


def test_image_has_a_second_tag(page: list[by_hand_page.Block]) -> None:
    assert '[\n    "latest",\n    "second"\n]' in printed(page, "put-image")


def test_task_ends_well_and_its_log_is_read(page: list[by_hand_page.Block]) -> None:
    said = printed(page, '["jobs"]')
    assert '"Essential container in task exited",\n    0\n' in said
    assert "train-images-mxnet" in said


def test_gpu_that_is_not_there_is_a_reason_and_no_error(page: list[by_hand_page.Block]) -> None:
    assert '"RESOURCE:GPU"' in printed(page, "jobs-mxnet-gpu")


def test_task_that_stays_is_stopped_with_the_reason_given(page: list[by_hand_page.Block]) -> None:
    assert '"STOPPED",\n    "seen enough"' in printed(page, "seen enough")


def test_uploaded_picture_gets_its_answer(page: list[by_hand_page.Block]) -> None:
    said = printed(page, "drawings.png")
    assert '"picture": "by-hand.png"' in said and '"verdict"' in said


def test_jobs_of_the_pipeline_end_well_and_leave_their_results(page: list[by_hand_page.Block]) -> None:
    said = printed(page, "run_job train-sentiment")
    assert said.count("Essential container in task exited\t0\n") == 2
    assert "epoch 1/1" in said and "held out when it was trained" in said
    for name in ("train/artefact/model.onnx", "train/artefact/metadata.json", "evaluate/metrics.json"):
        assert re.search(rf"runs/by-hand-[0-9-]+/{name}", said)


def test_first_version_is_published_with_its_figures(page: list[by_hand_page.Block]) -> None:
    assert printed(page, "'damaged: do not publish this'").count("whole") == 4
    pointer = json.loads("{\n" + printed(page, 'publish "$RUN"\n').rpartition("\n{\n")[2])
    assert pointer["version"].startswith("by-hand-") and pointer["previous"] is None
    assert 0 < pointer["metrics"]["accuracy"] <= 1 and len(pointer["metadata_sha256"]) == 64


def test_dag_finds_all_done_as_it_would_have_done_it(page: list[by_hand_page.Block]) -> None:
    said = printed(page, "airflow dags test sentiment")
    assert ":assumed-role/workshop-airflow-" in said
    assert said.count("not run again: ") == 2
    assert re.search(r"^version by-hand-[0-9-]+ had been published before$", said, re.M)
    assert "successful" in said


def test_load_balancer_without_targets_answers_503(page: list[by_hand_page.Block]) -> None:
    said = printed(page, "describe-load-balancers")
    assert "internet-facing\tactive\n" in said and said.rstrip().endswith("\n503")


def test_service_answers_with_the_version_published_by_hand(page: list[by_hand_page.Block]) -> None:
    said = printed(page, "describe-target-health")
    assert re.search(r"^127\.\S+\t8080\thealthy", said, re.M)
    assert re.search(r'"status":"ready","version":"by-hand-[0-9-]+"', said)
    assert '"predictions":[{"label":' in said and '"error":' in said


def test_new_deployment_takes_the_old_ones_place(page: list[by_hand_page.Block]) -> None:
    before, _, after = printed(page, "--force-new-deployment").partition("\tACTIVE\tCOMPLETED\n")
    assert "\tPRIMARY\tIN_PROGRESS" in before
    assert after.count("ecs-svc/") == 1 and "\tPRIMARY\tCOMPLETED" in after


def test_scaling_changes_the_number_and_says_why(page: list[by_hand_page.Block]) -> None:
    said = printed(page, "register-scalable-target")
    assert said.startswith("1\t3\n") and '"requests-per-task"' in said
    assert "Setting desired count to 2.\tminimum capacity was set to 2" in said


def test_stopped_task_is_replaced(page: list[by_hand_page.Block]) -> None:
    said = printed(page, "what if one goes?")
    assert "has started 1 tasks" in said and said.rstrip().endswith("has reached a steady state.")


def test_requests_were_counted_and_alarms_are_there(page: list[by_hand_page.Block]) -> None:
    said = printed(page, "get-metric-data")
    counts, alarms = json.JSONDecoder().raw_decode(said)[0][1], said.count("workshop-sentiment")
    assert sum(counts) >= 3 and alarms == 6


def test_service_takes_up_a_new_version_and_goes_back(page: list[by_hand_page.Block]) -> None:
    answered = re.findall(r'"version":"(by-hand-[0-9-]+(?:-again)?)"', printed(page, 'publish "$RUN-again"'))
    assert answered[0] == f"{answered[-1]}-again"


def test_service_and_its_stacks_are_gone(page: list[by_hand_page.Block]) -> None:
    left = [line for line in printed(page, "delete workshop-sentiment\n").splitlines() if "\t" in line]
    assert len(left) == 6 and not any("sentiment" in line or "private" in line for line in left)


def test_survey_is_prepared_and_lies_where_the_role_may_read(page: list[by_hand_page.Block]) -> None:
    said = printed(page, "run prepare-satisfaction")
    for name in ("columns.json", "train/train.csv", "validation/validation.csv"):
        assert re.search(rf"^upload: .*{name} to s3://\S+/satisfaction/{name}$", said, re.M)


def test_training_job_ends_well_with_its_figures_its_log_and_its_model(
    page: list[by_hand_page.Block],
) -> None:
    assert ":training-job/workshop-satisfaction-" in printed(page, "create-training-job")
    said = printed(page, "until training TrainingJobStatus")
    assert said.startswith("Completed\n") and "\tTraining job completed\n" in said
    accuracy = re.search(r"^validation:binary_classification_accuracy\t(\S+)$", said, re.M)
    assert accuracy and 0.5 < float(accuracy[1]) < 1
    assert "Best model found for hyperparameters" in said and said.rstrip().endswith(" model.tar.gz")


def test_endpoint_is_in_service_answers_and_refuses_a_header(page: list[by_hand_page.Block]) -> None:
    assert printed(page, "create-endpoint ").rstrip().endswith("\nInService")
    said = printed(page, "header.csv")
    assert said.startswith("AllTraffic\n") and said.count('"predicted_label"') == 3
    assert said.rstrip().endswith("refused, as it should be")


def test_public_api_answers_says_what_is_wrong_and_wants_its_key(page: list[by_hand_page.Block]) -> None:
    said = printed(page, "get-api-key").splitlines()
    assert [line.rpartition(" ")[2] for line in said[:4]] == ["200", "400", "400", "403"]
    assert '"prediction":' in said[0] and "survey 1 has 3 values, not 22" in said[1]
    assert said[4].startswith("<title>")


def test_without_its_endpoint_the_api_answers_503(page: list[by_hand_page.Block]) -> None:
    said = printed(page, "delete workshop-satisfaction\n")
    assert "is not in service" in said and " 503\n" in said and "\n[]\n" in said


def test_clean_up_finds_what_was_made_by_hand(page: list[by_hand_page.Block], learner: Attendee) -> None:
    ended = learner.run("clean", "--all", timeout_seconds=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "nothing is left" in ended.stdout
