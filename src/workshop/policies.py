"""The two policy documents of the course that an account's administrator makes, with this course's name.

Try it:  python -c "from workshop import policies, settings; print(policies.text('learner', settings.load()))"
learner: what a learner may do. boundary: the most that a role may do which the learner makes. In
cloudformation/ they hold the name `workshop`, so that they can be used there as they are; a course with
another name needs that name in them. Knows no AWS.
"""

from pathlib import Path

from workshop.settings import Settings

NAME = "workshop"
BOUNDARY = "boundary"
LEARNER = "learner"


def path(policy: str, root: Path) -> Path:
    """The document in the repository at `root`; policy: learner or boundary."""
    return root / "cloudformation" / f"{policy}-policy.json"


def text(policy: str, settings: Settings) -> str:
    """The document, with the course's name in place of `workshop` wherever that is a name and no tag's key."""
    document = path(policy, settings.root).read_text()
    return document.replace(f"{NAME}-", f"{settings.name}-").replace(f'"{NAME}"', f'"{settings.name}"')


def boundary_name(name: str) -> str:
    """The managed policy's name: the templates of a course put it together in the same way."""
    return f"{name}-boundary"


def written(policy: str, settings: Settings) -> Path:
    """A file that holds the document with the course's name; the one in the repository if that is its name."""
    if settings.name == NAME:
        return path(policy, settings.root)
    own = settings.state_dir / f"{policy}-policy.json"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(text(policy, settings))
    return own
