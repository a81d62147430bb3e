"""Count the cores that this process may use, which can be fewer than the machine has.

`taskset` and the cpuset of a container limit a process to some cores; `docker --cpus` and systemd's
CPUQuota limit its share of the time of all cores (cgroups, version 1 or 2).
"""

import math
import os
from contextlib import suppress
from pathlib import Path, PurePosixPath

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Return the number of cores that this process may use, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:  # macOS and Windows
        cores = os.cpu_count() or 1
    return max(1, min(cores, math.ceil(_quota(cores))))


def _quota(unlimited: float) -> float:
    """Return the cores whose time the cgroups of this process grant it, or `unlimited`."""
    quotas = [unlimited]
    for folder in _own_folders():
        with suppress(OSError, ValueError, ZeroDivisionError):  # "max": no limit
            quota, period = (folder / "cpu.max").read_text().split()
            quotas.append(int(quota) / int(period))
    with suppress(OSError, ValueError, ZeroDivisionError):
        files = (CGROUPS / "cpu" / f"cpu.cfs_{name}_us" for name in ("quota", "period"))
        quota_us, period_us = (int(path.read_text()) for path in files)
        if quota_us > 0:  # -1: no limit
            quotas.append(quota_us / period_us)
    return min(quotas)


def _own_folders() -> list[Path]:
    """Return the folders of this process's cgroup of version 2 and of those that it lies in."""
    own = "/"
    with suppress(OSError):  # not Linux
        for line in OWN_CGROUP.read_text().splitlines():
            if line.startswith("0::/"):
                own = line.removeprefix("0::")
    path = PurePosixPath(own).relative_to("/")
    return [CGROUPS / folder for folder in (path, *path.parents)]
