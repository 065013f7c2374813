"""A workspace back from an archive: its agent alone meanwhile, in one step, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from backups import restoring
from backups.archive.errors import ArchiveError
from backups.restoring import RestorePayload, Work
from schedules.executors.base import AgentView, Executor, ExecutorError, Hold, Result, RunContext


class WorkspaceRestore(Executor[RestorePayload]):
    """Restores an agent's workspace, or chosen paths of it, to its place or to another folder of the agent."""

    key: ClassVar[str] = "workspace.restore"
    title: ClassVar[str] = "Restore of an agent's workspace"
    queue: ClassVar[str] = "backups"
    needs_agent: ClassVar[bool] = True
    hold: ClassVar[Hold] = "exclusive"
    payload_model = RestorePayload

    def check_payload(self, payload: RestorePayload, *, agent: AgentView | None) -> None:
        restoring.check(payload, agent)

    def execute(self, payload: RestorePayload, context: RunContext) -> Result:
        agent = agent_of(context)
        backup = restoring.backup_chosen(
            payload, kind="workspace", organisation_id=context.organisation_id, agent=agent.slug
        )
        if backup.in_container and payload.to is None:
            raise ExecutorError(
                "in_container",
                f"{backup.name} holds a folder of the container {agent.container_name}, which can't be exchanged from "
                "outside. Restore it beside (to), or run `s3 restore` in the container.",
                retryable=False,
            )
        try:
            target, beneath = restoring.target_beneath(payload, backup.source, agent, organisation=context.organisation)
        except ArchiveError as error:
            raise ExecutorError(error.code, str(error), retryable=False) from error
        return restoring.restore(
            Work(backup=backup, agent=agent, target=target, beneath=beneath, payload=payload), context
        )

    def reap(self, handle: Mapping[str, Any], context: RunContext) -> None:
        restoring.reap(handle, context)


def agent_of(context: RunContext) -> AgentView:
    """The run's agent, which a schedule's check requires."""
    if context.agent is None:
        raise ExecutorError("agent_missing", "The agent of this run was removed.", retryable=False)
    return context.agent
