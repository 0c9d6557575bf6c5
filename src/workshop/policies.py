"""The policy documents of the course that an account's administrator makes, with this course's name.

Try it:  python -c "from workshop import policies, settings; print(policies.text('learner', settings.load()))"
learner, learner-service and learner-sagemaker: what a learner may do, in three because IAM limits the length of
each. boundary: the most that a role may do which the learner makes. In cloudformation/ they hold the name
`workshop`, so that they can be used there as they are; a course with another name needs that name in them. Knows no
AWS.
"""

from pathlib import Path

from workshop.settings import Settings

NAME = "workshop"
BOUNDARY = "boundary"
LEARNER = "learner"
LEARNER_SERVICE = "learner-service"
LEARNER_SAGEMAKER = "learner-sagemaker"
ATTACHED = (LEARNER_SERVICE, LEARNER_SAGEMAKER)
"""What a learner has as managed policies, beside `learner`, which is the role's own."""
EVERY = (LEARNER, *ATTACHED, BOUNDARY)


def path(policy: str, root: Path) -> Path:
    """The document in the repository at `root`; policy: one of EVERY."""
    return root / "cloudformation" / f"{policy}-policy.json"


def text(policy: str, settings: Settings) -> str:
    """The document, with the course's name in place of `workshop` wherever that is a name and no tag's key."""
    document = path(policy, settings.root).read_text()
    return document.replace(f"{NAME}-", f"{settings.name}-").replace(f'"{NAME}"', f'"{settings.name}"')


def boundary_name(name: str) -> str:
    """The managed policy's name: the templates of a course put it together in the same way."""
    return managed_name(BOUNDARY, name)


def managed_name(policy: str, name: str) -> str:
    """The name of the managed policy that a document is made as: workshop-learner-service."""
    return f"{name}-{policy}"


def written(policy: str, settings: Settings) -> Path:
    """A file that holds the document with the course's name; the one in the repository if that is its name."""
    if settings.name == NAME:
        return path(policy, settings.root)
    own = settings.state_dir / f"{policy}-policy.json"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(text(policy, settings))
    return own
