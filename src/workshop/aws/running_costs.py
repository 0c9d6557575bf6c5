"""What is up now and what it costs an hour: the course's stacks, and the endpoints that were made beside them.

Try it:  python -c "from workshop.aws import running_costs; print(running_costs.now().table())"
Found by listing, so that nothing which was made by hand is forgotten. On the local AWS it is what it would cost.
"""

from __future__ import annotations

from workshop.aws import costs, hosting, session, stacks
from workshop.aws.costs import Cost, Item
from workshop.aws.prices import Book
from workshop.aws.session import Aws

MINUTES = 60.0


def now(aws: Aws | None = None) -> Cost:
    """An hour of all that is up. What is paid by use is left out: nothing of it costs while nobody asks."""
    aws = aws or session.current()
    states = {concern: stacks.status(concern, aws) for concern in stacks.COURSE}
    there = [concern for concern, state in states.items() if state and state not in stacks.DEAD]
    standing = costs.estimate(there, MINUTES, aws.region, aws.settings.root, beside=False)
    by_the_hour = [item for item in standing.items if item.unit.endswith(("hours", "months"))]
    return Cost((*by_the_hour, *endpoints(aws)), MINUTES, standing.region, standing.as_of, standing.notes)


def endpoints(aws: Aws | None = None) -> list[Item]:
    """An hour of each of the course's endpoints: they cost as long as they are there, asked or not."""
    aws = aws or session.current()
    book = Book.read(aws.region, aws.settings.root)
    return [
        item
        for endpoint in hosting.endpoints(aws)
        for instance_type, count in hosting.instances(endpoint, aws)
        for item in costs.hosting(f"endpoint {endpoint.name}", instance_type, count, book, MINUTES)
    ]
