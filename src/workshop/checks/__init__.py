"""The checks of each lab's checkpoint, one module a lab: CHECKS, and YOUR_TURN for the exercise.

A check is a function without arguments. Its docstring says what a learner must have done; it returns the
sentence shown when it passes, or raises `workshop.checkpoints.Failed` with an explanation and a remedy.
"""
