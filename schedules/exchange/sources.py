"""What a file leaves open, and whoever reads it says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class AgentTarget:
    """The agent in whose container the commands of a host are to run."""

    slug: str
    container: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """``timezone``: of jobs that name none; empty is UTC, and is said. ``system``: a crontab has a user column."""

    timezone: str = ""
    agent: AgentTarget | None = None
    system: bool = False

    @property
    def zone(self) -> str:
        return self.timezone or "UTC"
