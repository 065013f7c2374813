"""Two tenants with archives, for the tests of the doors: ``acme`` has real ones, of ``rival`` there are rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backups.executors.workspace_backup import WorkspaceBackup, WorkspaceBackupPayload
from backups.models import Backup, Drill, Restore
from fleet.models import Agent, Organisation
from schedules.executors.base import Result
from schedules.executors.registry import executors
from schedules.models import Run
from tests.run_context import FakeContext, agent_view

TAKEN = datetime(2026, 11, 1, 2, 0, tzinfo=UTC)
ADDRESS = "192.0.2.7"


@dataclass(kw_only=True)
class DoorFleet:
    """``ours`` is a real archive of ``agent``, whose run has ``context``; ``theirs`` is the other tenant's record."""

    organisation: Organisation
    agent: Agent
    rival: Organisation
    rival_agent: Agent
    context: FakeContext
    watch: SimpleNamespace
    ours: Backup
    theirs: Backup

    def archive(self, **payload: Any) -> Backup:
        """A real one, of the agent's workspace as it is."""
        payload = {"to": str(self.watch.backup_root), "if_unchanged": "archive", "keep": 100, **payload}
        result = WorkspaceBackup().execute(WorkspaceBackupPayload(**payload), self.context)
        return Backup.objects.get(pk=result.details["backup"])

    def carry_out(self, run: Run) -> Result:
        """What a worker does with it."""
        executor = executors()[run.executor]
        return executor.execute(executor.payload_model.model_validate(run.payload), self.context)

    def path(self, backup: Backup) -> Path:
        return Path(backup.root) / backup.prefix / backup.name

    def restored(self, **values: Any) -> Restore:
        """The record of a restore of ours."""
        defaults = {
            "organisation": self.organisation,
            "agent": self.agent,
            "agent_slug": "lead",
            "backup": self.ours,
            "archive": self.ours.name,
            "target": self.agent.workspace_folder,
            "state": "done",
            "began_at": TAKEN,
        }
        return Restore.objects.create(**{**defaults, **values})


def row(organisation: Organisation, agent: Agent, **values: Any) -> Backup:
    """A record without an archive."""
    began = values.pop("began_at", TAKEN)
    defaults = {
        "agent_slug": agent.slug,
        "kind": "workspace",
        "source": "/srv/agent/workspace",
        "name": f"workspace_{began:%Y%m%d_%H%M%S}.tar.gz",
        "storage": "folder",
        "root": "/nowhere",
        "prefix": f"workspace/{organisation.slug}/{agent.slug}/",
        "state": "verified",
        "size": 1234,
        "began_at": began,
        "still_at": began,
        "created_at": began,
    }
    return Backup.objects.create(organisation=organisation, agent=agent, **{**defaults, **values})


def drilled(backup: Backup, *, seconds: float = 42.0, is_ok: bool = True, hours_ago: int = 1, **values: Any) -> Drill:
    began = datetime.now(UTC) - timedelta(hours=hours_ago)
    values = {"began_at": began, "seconds": seconds, "is_ok": is_ok, **values}
    return Drill.objects.create(backup=backup, **values)


@pytest.fixture
def fleet(redis_down: None, watch: SimpleNamespace, context: FakeContext) -> DoorFleet:
    organisation, agent = Organisation.objects.get(slug="acme"), Agent.objects.get(slug="lead")
    rival = Organisation.objects.create(slug="rival", name="Rival")
    rival_agent = Agent.objects.create(organisation=rival, slug="theirs", state_folder="/srv/rival")
    fleet = DoorFleet(
        organisation=organisation,
        agent=agent,
        rival=rival,
        rival_agent=rival_agent,
        context=context,
        watch=watch,
        ours=Backup(),
        theirs=row(rival, rival_agent, name="workspace_20260101_000000.tar.gz", source="/srv/rival/workspace"),
    )
    fleet.ours = fleet.archive()
    return fleet


def stranger_context(fleet: DoorFleet) -> FakeContext:
    """A run of the other tenant."""
    context = FakeContext(agent_view(id=fleet.rival_agent.pk, slug="theirs", state_folder="/srv/rival"))
    context.organisation_id, context.organisation = fleet.rival.pk, "rival"
    return context
