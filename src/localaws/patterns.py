"""The regular expressions of AWS's models, which are Java's, as Python's.

Try it:  aws sagemaker create-model --model-name under_score   (the pattern that it doesn't satisfy is in the answer)
Knows nothing of requests. An expression that Python can't read is satisfied by everything: the service's own model is
no reason to refuse what AWS would take.
"""

import logging
import re
import unicodedata
from functools import cache

CATEGORY = re.compile(r"\\p\{(L|M|N|P|S|Z|Alnum)\}")
# Characters above are letters, nearly all of them; to look each up would take a third of a second.
LOOKED_UP = 0x20000
ABOVE = f"{chr(LOOKED_UP)}-{chr(0x10FFFF)}"
# A longer text is refused for its length already, and some expressions take the square of it.
LONGEST = 20_480

logger = logging.getLogger("localaws")


def satisfies(text: str, pattern: str) -> bool:
    """Whether all of the text matches."""
    if len(text) > LONGEST:
        return True
    compiled = _compiled(pattern)
    return compiled is None or compiled.fullmatch(text) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(CATEGORY.sub(lambda found: _characters(found.group(1)), pattern), re.DOTALL)
    except re.error as problem:
        logger.warning("the pattern %s can't be read: %s", pattern, problem)
        return None


@cache
def _characters(category: str) -> str:
    """The characters of a Unicode category, as ranges for inside of brackets."""
    if category == "Alnum":
        return "0-9A-Za-z"
    ranges: list[list[int]] = []
    for code in range(LOOKED_UP):
        if unicodedata.category(chr(code))[0] == category:
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    found = "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in ranges)
    return found + ABOVE if category == "L" else found
