"""A restore that is tried out: into a sandbox, checked, timed, and thrown away."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from django.conf import settings
from pydantic import Field

from backups import restoring
from backups.archive.errors import ArchiveError
from backups.archive.restore import Restoration
from backups.archive.terminal import human_size
from backups.checks import databases_problems
from backups.models import Backup
from backups.places import Place
from backups.restorepayload import RestorePayload
from backups.restoring import Work, agent_of
from backups.scratch import scratch_folder
from backups.services.drilling import drill_record
from backups.services.states import backup_damaged, backup_verified
from fleet.clients.docker import DockerClient
from fleet.clients.docker_errors import DockerError
from fleet.clients.docker_throwaway import Throwaway
from schedules.engine.clock import database_now
from schedules.executors.base import AgentView, Executor, ExecutorError, Payload, Result, RunContext

_MOST_OUTPUT = 4000


class DrillPayload(Payload):
    """``which``: the newest verified backup, a random one, or a number. ``kind``: of which kind, else any.

    ``probe``: a command that must end with 0 in a throw-away container of ``image``, without a network; what was
    restored lies in ``/restored``, which it may write to.
    """

    which: Literal["newest", "random"] | int = "newest"
    kind: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9]{0,31}$")
    probe: tuple[str, ...] = ()
    image: str = ""
    probe_seconds: int = Field(default=300, ge=1, le=3600)


class RestoreDrill(Executor[DrillPayload]):
    """Restores a backup into a sandbox, checks hashes and databases, and records how long it took."""

    key: ClassVar[str] = "restore.drill"
    title: ClassVar[str] = "Restore drill"
    queue: ClassVar[str] = "backups"
    needs_agent: ClassVar[bool] = True
    default_retries: ClassVar[int] = 1
    payload_model = DrillPayload

    def check_payload(self, payload: DrillPayload, *, agent: Any) -> None:  # noqa: ARG002 - the contract's names
        if bool(payload.probe) != bool(payload.image):
            raise ValueError("A probe needs both: the command (probe) and the image to run it in (image).")

    def execute(self, payload: DrillPayload, context: RunContext) -> Result:
        backup = _chosen(payload, context)
        began, started = database_now(), time.monotonic()
        checks: dict[str, Any] = {}
        try:
            problem = _tried(backup, payload, context, checks)
        except (ArchiveError, DockerError) as error:
            problem = str(error)
            if error.code in {"archive_damaged", "archive_unsafe", "archive_missing"}:
                backup_damaged(backup=backup, problem=problem)
            elif error.retryable:
                raise ExecutorError(error.code, problem) from error
        seconds = time.monotonic() - started
        drill = drill_record(
            backup=backup,
            job_run_id=context.job_run_id,
            began_at=began,
            seconds=seconds,
            problem=problem,
            checks=checks,
        )
        if problem:
            raise ExecutorError("drill_failed", f"{backup.name}: {problem}", retryable=False)
        told = f"[Drill] {backup.name} was restored and checked in {seconds:.1f} s"
        context.log(f"{told}\n", stream="stdout")
        details = {"backup": backup.pk, "drill": drill.pk, "name": backup.name, "seconds": round(seconds, 2), **checks}
        return Result(summary=told, details=details)

    def reap(self, handle: Mapping[str, Any], context: RunContext) -> None:  # noqa: ARG002 - the contract's names
        with contextlib.closing(DockerClient(base_url=settings.WATCHBILL.docker_host)) as client:
            Throwaway(client, handle["container"]).remove()


def _chosen(payload: DrillPayload, context: RunContext) -> Backup:
    agent = agent_of(context)
    rows = Backup.objects.there().filter(organisation_id=context.organisation_id, agent_slug=agent.slug)
    if payload.kind:
        rows = rows.filter(kind=payload.kind)
    if isinstance(payload.which, int):
        found = rows.filter(pk=payload.which).first()
    elif payload.which == "random":
        keys = list(rows.good().values_list("pk", flat=True))
        found = rows.filter(pk=random.choice(keys)).first() if keys else None  # noqa: S311 - a sample, no secret
    else:
        found = rows.good().order_by("-still_at", "-began_at").first()
    if found is None:
        raise ExecutorError(
            "backup_missing",
            f"There is no verified {payload.kind or ''} backup of '{agent.slug}' to try: `manage.py backup ls --agent "
            f"{agent.slug}` shows what there is.",
            retryable=False,
        )
    return found


def _tried(backup: Backup, payload: DrillPayload, context: RunContext, checks: dict[str, Any]) -> str:
    """What is wrong; empty when nothing is. ``checks`` gets what was looked at."""
    with scratch_folder() as sandbox:
        tree = sandbox / "restored"
        _restore(backup, tree, context, checks)
        problems = databases_problems(tree, on_wait=context.check)
        checks["databases"] = "checked"
        if problems:
            backup_damaged(backup=backup, problem=problems[0])
            return problems[0]
        backup_verified(backup=backup)
        return _probed(tree, payload, context, checks) if payload.probe else ""


def _restore(backup: Backup, tree: Path, context: RunContext, checks: dict[str, Any]) -> None:
    renamed = restoring.unstamped(backup) if backup.kind == "database" else (lambda path: path)
    work = Work(backup=backup, agent=agent_of(context), target=tree, payload=RestorePayload(), renamed=renamed)
    order = restoring.order_of(work)
    with (
        contextlib.closing(Place.of(backup).store(context.check)) as store,
        Restoration(store, backup.name, order, restoring.hooks_of(context, total=order.size)) as restoration,
    ):
        context.log(f"Trying {backup.name} from {store.place}\n")
        found, _ = restoration.stage()
        restoration.place()
        restoration.finish()
    checks |= {"entries": found.entries, "bytes": found.size, "manifest": found.manifest is not None}
    context.log(f"{found.entries} entries, {human_size(found.size)}, each as it was archived\n")


def _require_image(image: str, agent: AgentView, client: DockerClient) -> None:
    """What lies in an image is its owner's: a tenant's probe must not read another's."""
    allowed = settings.WATCHBILL.probe_images
    if image in allowed or (agent.container_name and client.image_of(agent.container_name) == image):
        return
    raise ExecutorError(
        "image_refused",
        f"A probe runs in the image of its agent's own container, or in one that the operator names in PROBE_IMAGES "
        f"({', '.join(allowed) or 'none now'}); {image!r} is neither.",
        retryable=False,
    )


def _probed(tree: Path, payload: DrillPayload, context: RunContext, checks: dict[str, Any]) -> str:
    with contextlib.closing(DockerClient(base_url=settings.WATCHBILL.docker_host)) as client:
        _require_image(payload.image, agent_of(context), client)
        container = Throwaway(client, f"watchbill-drill-{context.job_run_id}")
        context.record_handle({"container": container.name})
        try:
            code, output = container.run(
                payload.image, payload.probe, folder=tree, seconds=payload.probe_seconds, check=context.check
            )
        finally:
            container.remove()
    context.log(output[-_MOST_OUTPUT:], stream="stdout")
    checks["probe"] = code
    return "" if code == 0 else f"the probe {' '.join(payload.probe)!r} ended with {code}"
