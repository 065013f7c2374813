"""What processes take: proportional set size, in which shared pages count once."""

from __future__ import annotations

from pathlib import Path


def pss(pid: int) -> float:
    """Of one process, MB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def children(pid: int) -> list[int]:
    found = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found + [each for child in found for each in children(child)]


def tree(pid: int) -> float:
    """Of a process and all below it, MB."""
    return sum(pss(each) for each in [pid, *children(pid)])
