"""A workspace back from an archive: its agent alone meanwhile, in one step, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from backups.archive.extract import Parts
from backups.models import Backup
from backups.restorepayload import RestorePayload
from backups.restoring import RestoreExecutor
from schedules.executors.base import ExecutorError


class WorkspaceRestore(RestoreExecutor):
    """Restores an agent's workspace, or chosen paths of it, to its place or to another folder of the agent."""

    key: ClassVar[str] = "workspace.restore"
    title: ClassVar[str] = "Restore of an agent's workspace"
    kind: ClassVar[str] = "workspace"

    def renamed(self, backup: Backup) -> Callable[[Parts], Parts]:  # noqa: ARG002 - the contract's names
        return lambda path: path

    def refuse(self, backup: Backup, payload: RestorePayload) -> None:
        if backup.in_container and payload.to is None:
            raise ExecutorError(
                "in_container",
                f"{backup.name} holds a folder of a container, which can't be exchanged from outside. Restore it "
                "beside (to), or run `s3 restore` in the container.",
                retryable=False,
            )
