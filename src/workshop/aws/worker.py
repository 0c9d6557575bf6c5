"""The AWS of a program that was handed everything by its variables: an Airflow worker, here or in a container.

Try it:  python -m pytest tests/fast/test_sentiment_flow.py
Unlike `session`, which has the learner's credentials, this one takes those that boto3's usual chain finds: a role's,
for this one purpose. Where calls may go is decided as everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import boto3

from workshop.aws.endpoint import local_endpoint, refuse_endpoints
from workshop.aws.session import Aws
from workshop.settings import load


def connect(environ: Mapping[str, str] | None = None) -> Aws:
    """Open AWS with the credentials of the variables.

    Errors: TargetError if the target is local and no local AWS answers, or if an endpoint would lead elsewhere.
    """
    environ = os.environ if environ is None else environ
    settings = load(environ)
    endpoint = None
    if settings.target == "local":
        endpoint = local_endpoint(environ, settings.state_dir)
    else:
        refuse_endpoints(environ)
    found = boto3.Session(region_name=settings.region)
    # A role for one purpose need not know its account, and a worker asks for nothing that it does not need.
    return Aws(settings.target, endpoint, settings.region, "unknown", settings.name, settings, found)
