"""The course's kit: what labs, jobs and the `workshop` command are made of.

Layers, each importing only those below it: cli > batch, course, report > jobs, checkpoints > aws > datasets,
settings, errors.
ml stands apart: it knows no AWS, HTTP or notebooks.
"""

from workshop.checkpoints import check as check
