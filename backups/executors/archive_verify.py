"""One archive read again, from its first byte to its last, because somebody asked."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from backups.archive.errors import ArchiveError
from backups.archive.terminal import human_size
from backups.models import Backup
from backups.restoring import hooks_of
from backups.services.verification import backup_verify
from schedules.executors.base import Executor, ExecutorError, Payload, Result, RunContext


class VerifyPayload(Payload):
    """``backup``: the number of one backup of the run's organisation."""

    backup: int = Field(ge=1, strict=True)


class ArchiveVerify(Executor[VerifyPayload]):
    """Reads an archive back and records what was found: verified, or damaged.

    It works on no agent, so that neither a restore waits for it nor it for a restore.
    """

    key: ClassVar[str] = "archive.verify"
    title: ClassVar[str] = "Check of an archive"
    queue: ClassVar[str] = "backups"
    default_retries: ClassVar[int] = 2
    payload_model = VerifyPayload

    def execute(self, payload: VerifyPayload, context: RunContext) -> Result:
        backup = _found(payload, context)
        context.log(f"Reading {backup.name} of {backup.agent_slug}, {human_size(backup.size)}\n")
        try:
            checked = backup_verify(backup=backup, hooks=hooks_of(context))
        except ArchiveError as error:
            # Nothing speaks against the archive: its store, or the key to it, could not be had.
            raise ExecutorError(error.code, str(error), retryable=error.retryable) from error
        backup.refresh_from_db(fields=["state", "problem"])
        if checked.found is None or backup.state == Backup.State.DAMAGED:
            # Every byte may be as it was stored and the archive bad all the same: its record knows.
            raise ExecutorError(
                "archive_damaged", f"{backup.name}: {checked.problem or backup.problem}", retryable=False
            )
        told = f"[Verify] {backup.name} is whole: every byte was read back"
        context.log(f"{told}\n", stream="stdout")
        return Result(
            summary=told,
            details={"backup": backup.pk, "name": backup.name, "sha256": checked.found.sha256},
        )


def _found(payload: VerifyPayload, context: RunContext) -> Backup:
    backup = Backup.objects.there().filter(organisation_id=context.organisation_id, pk=payload.backup).first()
    if backup is None:
        raise ExecutorError(
            "backup_missing",
            f"There is no backup {payload.backup} here, or it was deleted: `manage.py backup ls` shows what there is.",
            retryable=False,
        )
    return backup
