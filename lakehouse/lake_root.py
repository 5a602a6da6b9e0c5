"""Where a lake lies: a folder of this machine, or a bucket."""

import os
import re


def is_local(root: str) -> bool:
    """Say whether ``root`` is a folder of this machine rather than a bucket or a cluster's file system.

    >>> is_local("/data/lake"), is_local("s3a://bucket/lake")
    (True, False)
    """
    return "://" not in root and not root.startswith("dbfs:")


def normal_root(root: str) -> str:
    """Return ``root`` without a trailing slash, absolute if it is a local folder."""
    plain = re.sub(r"^file:(//)?(?=/)", "", root)
    return os.path.abspath(plain) if is_local(plain) else plain.rstrip("/")
