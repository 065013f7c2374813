"""An agent's SQLite databases back from an archive (seed 002): stopped, exchanged, owned as they should be, started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from backups import restoring
from backups.archive.errors import ArchiveError
from backups.executors.workspace_restore import agent_of
from backups.restoring import RestorePayload, Work
from schedules.executors.base import AgentView, Executor, ExecutorError, Hold, Result, RunContext


class DatabaseRestore(Executor[RestorePayload]):
    """Puts the archived databases in the place of the agent's own; what SQLite keeps beside these goes with them."""

    key: ClassVar[str] = "database.restore"
    title: ClassVar[str] = "Restore of an agent's SQLite databases"
    queue: ClassVar[str] = "backups"
    needs_agent: ClassVar[bool] = True
    hold: ClassVar[Hold] = "exclusive"
    payload_model = RestorePayload

    def check_payload(self, payload: RestorePayload, *, agent: AgentView | None) -> None:
        restoring.check(payload, agent)

    def execute(self, payload: RestorePayload, context: RunContext) -> Result:
        agent = agent_of(context)
        backup = restoring.backup_chosen(
            payload, kind="database", organisation_id=context.organisation_id, agent=agent.slug
        )
        try:
            target, beneath = restoring.target_beneath(payload, backup.source, agent, organisation=context.organisation)
        except ArchiveError as error:
            raise ExecutorError(error.code, str(error), retryable=False) from error
        renamed = restoring.unstamped(backup)
        work = Work(backup=backup, agent=agent, target=target, beneath=beneath, payload=payload, renamed=renamed)
        return restoring.restore(work, context)

    def reap(self, handle: Mapping[str, Any], context: RunContext) -> None:
        restoring.reap(handle, context)
