"""A restore taken back: its agent alone meanwhile, its container stopped, the former tree in its place again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from backups.archive.errors import ArchiveError
from backups.models import Restore
from backups.restoring import agent_of
from backups.services.restores import restore_undo, undo_recover, undoable
from backups.stopping import Stopping, in_use, start_again, stopped
from fleet.actors import Actor
from fleet.clients.docker_errors import DockerError
from fleet.errors import Conflict
from schedules.executors.base import Executor, ExecutorError, Hold, Payload, Result, RunContext, Stopped


class UndoPayload(Payload):
    """``restore``: its number. ``stop_container``, ``stop_seconds``: as a restore has them."""

    restore: int = Field(ge=1)
    stop_container: bool = True
    stop_seconds: int = Field(default=10, ge=0, le=600)


class RestoreUndo(Executor[UndoPayload]):
    """Brings back what was there before a restore; what was restored goes, with all that came since."""

    key: ClassVar[str] = "restore.undo"
    title: ClassVar[str] = "Undo of a restore"
    queue: ClassVar[str] = "backups"
    needs_agent: ClassVar[bool] = True
    hold: ClassVar[Hold] = "exclusive"
    payload_model = UndoPayload

    def execute(self, payload: UndoPayload, context: RunContext) -> Result:
        row = _restore_of(payload, context)
        told = f"[Restore] Undone: {row.target} is what it was before {row.archive} was restored"
        if row.state != Restore.State.UNDONE:
            try:
                _undo(row, payload, context)
            except Conflict as error:
                raise ExecutorError("undo_refused", str(error), retryable=False) from error
            except (ArchiveError, DockerError) as error:
                raise ExecutorError(error.code, str(error), retryable=error.retryable) from error
        context.log(f"{told}\n", stream="stdout")
        return Result(summary=told, details={"restore": row.pk, "target": row.target})

    def reap(self, handle: Mapping[str, Any], context: RunContext) -> None:
        """The agent does not begin again on half of a tree."""
        try:
            if row := Restore.objects.filter(pk=handle["restore"]).first():
                for said in undo_recover(row, actor=Actor.system("worker")):
                    context.log(f"{said}\n")
            start_again(handle["container"])
        except (ArchiveError, DockerError) as error:
            raise ExecutorError(error.code, f"An undo that was cut off is not settled yet: {error}") from error


def _restore_of(payload: UndoPayload, context: RunContext) -> Restore:
    agent = agent_of(context)
    rows = Restore.objects.filter(organisation_id=context.organisation_id, agent_slug=agent.slug)
    row = rows.filter(pk=payload.restore).first()
    if row is None:
        raise ExecutorError(
            "restore_missing", f"There is no restore {payload.restore} of '{agent.slug}'.", retryable=False
        )
    return row


def _undo(row: Restore, payload: UndoPayload, context: RunContext) -> None:
    agent = agent_of(context)
    undoable(row)  # else its agent would be stopped for nothing
    stopping = Stopping(
        agent=agent,
        is_in_place=in_use(Path(row.target), agent),
        stop=payload.stop_container,
        seconds=payload.stop_seconds,
        before_stop=lambda name: context.record_handle({"restore": row.pk, "container": name}),
    )
    with stopped(stopping, context):
        context.check()
        if not context.is_current():
            raise Stopped("another attempt has taken over this run")
        restore_undo(restore=row, actor=Actor.system("worker"))
