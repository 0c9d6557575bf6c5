"""Remove a folder in which a container wrote what it liked.

Try it:  python -m pytest tests/local/test_sagemaker_attacks.py -k deep
Knows nothing of whose folder it is.
"""

import contextlib
import shutil
import subprocess
from pathlib import Path


def remove_tree(folder: Path) -> None:
    """As far as this machine lets it be removed; links are not followed.

    Thousands of folders in one another are too deep for Python's own way, which is the faster one for others.
    """
    with contextlib.suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    if folder.is_dir() and not folder.is_symlink():
        subprocess.run(["rm", "-rf", "--", str(folder)], stderr=subprocess.DEVNULL)
