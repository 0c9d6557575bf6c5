"""The only door to AWS: nothing else in the package imports boto3.

Try it:  from workshop.aws import session; session.guard()
Every function takes `aws` last; left out, it is `session.current()`: the local AWS unless target is `aws`.
Knows nothing of labs, notebooks or learning.
"""
