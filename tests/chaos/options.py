"""What one run of the machine is told: on the command line, or by its test."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Database = Literal["sqlite", "postgresql"]
DATABASES: tuple[Database, ...] = ("sqlite", "postgresql")


@dataclass(frozen=True, kw_only=True)
class Options:
    """``fast``: short leases, so that a rescue takes seconds. Without it the watch has its default timings."""

    seed: int
    faults: int
    database: Database
    fast: bool
    keep: str = ""
    only: tuple[str, ...] = ()

    @property
    def lease(self) -> float:
        return 4.0 if self.fast else 20.0

    @property
    def heartbeat(self) -> float:
        if self.fast:
            return 1.0
        return 2.0 if self.database == "sqlite" else 5.0

    @property
    def doze(self) -> float:
        """The shortest silence in which a lease can be lost."""
        return self.lease - 2 * self.heartbeat

    @property
    def environment(self) -> dict[str, str]:
        """Countdowns are short, since they are no part of a recovery; leases only where it is told."""
        values = {"RETRY_DELAYS": "1,2", "SECRET_KEY": "only-for-this-run", "LOG_LEVEL": "INFO"}
        if self.fast:
            values |= {"LEASE_SECONDS": "4", "HEARTBEAT_SECONDS": "1", "LEADER_SECONDS": "3", "UNCLAIMED_SECONDS": "4"}
        return values

    @property
    def recovery_limit(self) -> float:
        """A stall that is longer is a failure: a lease, a leader's lease, and the start of what was killed."""
        return 45.0

    @property
    def settle_limit(self) -> float:
        return 90.0 if self.fast else 240.0

    @property
    def command(self) -> str:
        """What repeats this run."""
        text = f"python -m tests.chaos --seed {self.seed} --faults {self.faults} --database {self.database}"
        return text + (" --fast" if self.fast else "") + (f" --only {','.join(self.only)}" if self.only else "")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The command line."""

    databases: Sequence[Database]
    seed: int
    faults: int
    fast: bool
    keep: str
    only: tuple[str, ...] = field(default=())

    def of(self, database: Database) -> Options:
        return Options(
            seed=self.seed, faults=self.faults, database=database, fast=self.fast, keep=self.keep, only=self.only
        )


def asked(arguments: Sequence[str] | None = None) -> Asked:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description="Break the watch at random, then prove from outside that nothing was lost and nothing done twice.",
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed throws the same faults")
    parser.add_argument("--faults", type=int, default=300, help="how many")
    parser.add_argument("--database", choices=[*DATABASES, "both"], default="both")
    parser.add_argument("--fast", action="store_true", help="leases of 4 s instead of the default 20 s")
    parser.add_argument("--keep", default="", metavar="FOLDER", help="leave logs and witness there")
    parser.add_argument("--only", default="", metavar="KINDS", help="these kinds of fault alone, with commas")
    found = parser.parse_args(arguments)
    databases = DATABASES if found.database == "both" else (found.database,)
    only = tuple(kind for kind in found.only.split(",") if kind)
    return Asked(databases=databases, seed=found.seed, faults=found.faults, fast=found.fast, keep=found.keep, only=only)
