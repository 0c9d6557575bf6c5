"""A stand-in for SageMaker's built-in Linear Learner: trains and answers in a container of its own.

Try it:  python -m linearlearner --help
Knows the container contract (/opt/ml, /ping, /invocations) and nothing of AWS or of the course.
"""
