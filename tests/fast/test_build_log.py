"""What Docker's lines say of a build and of a push; lines as Docker 20.10 and 28 print them."""

from workshop.aws.build_log import FILES_CHANGED, FOLLOWS, NEW_WORDS, BuildLog, PushLog

BUILD = """\
#1 [internal] load build definition from Dockerfile
#1 DONE 0.0s
#4 [base 1/2] FROM docker.io/library/python:3.11-slim-bookworm
#4 DONE 0.0s
#7 [stage-3 1/4] COPY requirements/mxnet.txt /opt/
#5 [base 2/2] RUN useradd workshop     && true
#5 sha256:0b271731c870bf3fb7da118f878d345cd7022449de481b34c7837225fc11bbac
#5 CACHED

#7 CACHED

#8 [stage-3 2/4] RUN pip install
#8 1.013 Collecting absl-py==2.5.1
#8 CACHED

#9 [stage-3 3/4] COPY src/ src/
#9 DONE 0.1s

#10 [stage-3 4/4] RUN python -m compileall -q src
#10 0.312 #11 [not a step 1/1] but what a program says
#10 DONE 2.7s
#11 exporting to image
#11 DONE 0.4s
""".splitlines()


def read(lines: list[str]) -> BuildLog:
    log = BuildLog()
    for line in lines:
        log.feed(line)
    return log


def test_steps_are_told_in_the_order_of_the_dockerfile_with_what_they_took():
    steps = read(BUILD).steps()
    assert [step.instruction for step in steps] == [
        "RUN useradd workshop && true",
        "COPY requirements/mxnet.txt /opt/",
        "RUN pip install",
        "COPY src/ src/",
        "RUN python -m compileall -q src",
    ]
    assert [step.cached for step in steps] == [True, True, True, False, False]
    assert steps[-1].seconds == 2.7


def test_a_copy_is_made_anew_for_its_files_and_what_follows_for_that():
    assert [step.why for step in read(BUILD).steps() if not step.cached] == [FILES_CHANGED, FOLLOWS]


def test_a_command_that_nothing_before_it_explains_is_new_itself():
    lines = ["#1 [1/2] RUN a", "#1 CACHED", "#2 [2/2] RUN b", "#2 DONE 1.0s"]
    assert [step.why for step in read(lines).steps()] == ["", NEW_WORDS]


def test_progress_counts_the_steps_of_the_stages_that_are_seen():
    log = read(BUILD[:6])
    assert (log.ended, log.total, log.now) == (1, 6, "RUN useradd workshop && true")
    assert (read(BUILD).ended, read(BUILD).total, read(BUILD).now) == (6, 6, "")


def test_push_tells_what_was_sent_and_what_was_there():
    log = PushLog()
    for line in (
        "The push refers to repository [127.0.0.1:4566/workshop-mxnet]",
        "f84c9b0e6c45: Preparing",
        "0a1b2c3d4e5f: Waiting",
        "f84c9b0e6c45: Layer already exists",
        "111111111111: Mounted from workshop-other",
        "0a1b2c3d4e5f: Pushed",
        "latest: digest: sha256:00 size: 10",
    ):
        log.feed(line)
    assert (log.total, log.pushed, log.already_there) == (3, 1, 2)
