"""How much memory this machine, or the container it pretends to be, lets the process use.

Only reading of what the system says lives here; what is made of it is decided in `settings.py`.
"""

import os
from pathlib import Path

# cgroup v1 says "no limit" by a number near 2^63, rounded down to a page.
UNLIMITED_BYTES = 1 << 60


def memory_bytes(root: Path = Path("/")) -> int:
    """The smaller of the machine's memory and the tightest limit of the process's control groups."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *control_group_limits(root)])


def control_group_limits(root: Path) -> list[int]:
    """Every memory limit set on a control group of this process, in bytes: version 2 and version 1.

    A limit on a parent binds its children, so all levels up to the mount point are read. Inside a
    container the path in `/proc/self/cgroup` may be the host's, which is not there: then the mount
    point itself is the container's own group.
    """
    limits = []
    for hierarchy, mount, name in _hierarchies(root):
        group = mount / hierarchy.strip("/")
        for level in [group, *group.parents]:
            if not level.is_relative_to(mount):
                break
            limit = _limit(level / name)
            if limit is not None:
                limits.append(limit)
    return limits


def _hierarchies(root: Path) -> list[tuple[str, Path, str]]:
    """(path of the group, mount point, name of the limit's file) for each memory hierarchy."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    mounts = root / "sys/fs/cgroup"
    found = []
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            found.append((path, mounts, "memory.max"))
        elif "memory" in controllers.split(","):
            found.append((path, mounts / "memory", "memory.limit_in_bytes"))
    return found


def _limit(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    if not text.isdecimal():  # "max"
        return None
    value = int(text)
    return value if 0 < value < UNLIMITED_BYTES else None
