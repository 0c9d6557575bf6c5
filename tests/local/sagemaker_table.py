"""What SageMaker answers and refuses, call by call: the table that the local one is held against.

Not a test. A row says the least request that succeeds, and what AWS says to a resource that is missing, a duplicate, a
bad value and a wrong state, with the page that says so. Required members are not here: they are read from botocore's
model. Names of what is there already: see `furnish` in test_sagemaker_conformance.py.
"""

from sagemaker_table_hosting import HOSTING
from sagemaker_table_jobs import TRAINING, TRANSFORM
from sagemaker_table_registry import REGISTRY, TAGS
from sagemaker_table_runtime import RUNTIME

__all__ = ["ROWS", "RUNTIME"]

ROWS = (*TRAINING, *HOSTING, *TRANSFORM, *REGISTRY, *TAGS)
