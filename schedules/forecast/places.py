"""Who holds which slots: the limits of organisation, schedules and agents, and agents that are held alone.

The rules are those of ``schedules.engine.slots``; here they are counters.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice

from schedules.forecast.jobs import Job, Limits
from schedules.forecast.outcomes import Scope, Wait

NAMED = 50  # of those in the way so many are told, who came first before


class Crowd:
    """The jobs whose runs are in one place, by name."""

    def __init__(self) -> None:
        self.size = 0
        self.names: dict[str, int] = {}

    def join(self, name: str) -> None:
        self.size += 1
        self.names[name] = self.names.get(name, 0) + 1

    def leave(self, name: str) -> None:
        self.size -= 1
        self.names[name] -= 1
        if not self.names[name]:
            del self.names[name]


class Places:
    """Slots that are taken. A recovery passes the limits of organisation and schedule, and counts in both."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._organisation = Crowd()
        self._jobs: Counter[int] = Counter()
        self._agents: dict[int | None, Crowd] = {}
        self._alone: dict[int | None, str] = {}

    @property
    def organisation_full(self) -> bool:
        return self._organisation.size >= self._limits.organisation

    def full_scope(self, job: Job) -> Scope | None:
        """The first scope in which there is no room for a run of this job; None: it can start."""
        if job.hold != "recovery":
            if self.organisation_full:
                return "organisation"
            if self._jobs[job.key] >= job.limit:
                return "schedule"
        return self._full_agent(job) if job.agent is not None else None

    def is_held(self, job: Job) -> bool:
        """Whether somebody has its agent alone."""
        return job.agent in self._alone

    def on_agent(self, agent: int | None) -> Crowd:
        """Who is at work on an agent."""
        crowd = self._agents.get(agent)
        if crowd is None:
            crowd = self._agents[agent] = Crowd()
        return crowd

    def wait_for(self, job: Job, scope: Scope) -> Wait:
        """A full scope with its limit and those that are in it."""
        if scope == "organisation":
            return Wait(scope=scope, limit=self._limits.organisation, behind=_some(self._organisation))
        if scope == "schedule":
            return Wait(scope=scope, limit=job.limit, behind=(job.name,))
        limit = self._agent_limit(job) if scope == "agent" else 1
        return Wait(scope=scope, limit=limit, behind=_some(self.on_agent(job.agent)))

    def take(self, job: Job) -> None:
        self._organisation.join(job.name)
        self._jobs[job.key] += 1
        if job.agent is not None:
            self.on_agent(job.agent).join(job.name)
            if job.hold != "shared":
                self._alone[job.agent] = job.name

    def free(self, job: Job) -> None:
        self._organisation.leave(job.name)
        self._jobs[job.key] -= 1
        if job.agent is not None:
            self.on_agent(job.agent).leave(job.name)
            if job.hold != "shared":
                del self._alone[job.agent]

    def _full_agent(self, job: Job) -> Scope | None:
        if self.is_held(job):
            return "held"
        at_work = self.on_agent(job.agent).size
        if job.hold != "shared":
            return "alone" if at_work else None
        return "agent" if at_work >= self._agent_limit(job) else None

    def _agent_limit(self, job: Job) -> int:
        return self._limits.agents.get(job.agent, 1) if job.agent is not None else 0


def _some(crowd: Crowd) -> tuple[str, ...]:
    return tuple(islice(crowd.names, NAMED))
