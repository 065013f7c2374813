"""What people and programs ask to be done with archives now. Each becomes a run, which does it and tells of it.

What can't work is refused here, at once and with the field at fault, not minutes later in a failed run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from pydantic import ValidationError

from backups.archive.errors import ArchiveError
from backups.archiving import ArchivePayload
from backups.models import Backup, Restore
from backups.restorepayload import RestorePayload, target_in
from backups.services.restores import undoable
from fleet.actors import Actor
from fleet.errors import Conflict, InvalidInput, NotFound
from fleet.models import Agent, Organisation
from schedules.engine.attempt import agent_view
from schedules.executors.base import Payload
from schedules.executors.problems import first_problem
from schedules.executors.registry import executors
from schedules.models import Run
from schedules.services.runs import Requested, run_once

VERIFY, DRILL, UNDO = "archive.verify", "restore.drill", "restore.undo"
_BACKUP, _RESTORE = ".backup", ".restore"


def backup_kinds() -> list[str]:
    """The kinds of archives that can be asked for: whatever executors there are that make some."""
    return [key.removesuffix(_BACKUP) for key, each in executors().items() if _makes_archives(key, each.payload_model)]


def backup_request(
    *, organisation: Organisation, agent: Agent, kind: str, options: Mapping[str, Any], actor: Actor
) -> Requested:
    """Archive now. ``options``: the fields of the executor's payload. Raises :class:`InvalidInput`."""
    if agent.organisation_id != organisation.pk:
        raise NotFound("There is no such agent in this organisation.", field="agent")
    if kind not in backup_kinds():
        raise InvalidInput(f"There is no kind {kind!r}. Kinds are: {', '.join(backup_kinds())}.", field="kind")
    key = f"{kind}{_BACKUP}"
    _read(executors()[key].payload_model, options)
    return _once(organisation=organisation, executor=key, payload=dict(options), agent=agent, actor=actor)


def again_request(*, backup: Backup, actor: Actor) -> Requested:
    """Archive again what this one is of, as it was made: its place, for whom, what was left out.

    Raises :class:`Conflict` where that is not kept any more.
    """
    agent = agent_of_backup(backup)
    runs = Run.objects.filter(organisation=backup.organisation, job_run_id=backup.job_run_id)
    made = runs.exclude(job_run_id="").first()
    if made is None:
        raise Conflict(
            f"{backup}: how it was made is not kept (any more). Run its job, or make one: `manage.py backup create "
            f"--agent {agent.slug}`."
        )
    payload = dict(made.payload)
    return _once(organisation=backup.organisation, executor=made.executor, payload=payload, agent=agent, actor=actor)


def verify_request(*, backup: Backup, actor: Actor) -> Requested:
    """Read it again, from its first byte to its last. Raises :class:`Conflict` for one that is deleted."""
    _require_there(backup)
    payload = {"backup": backup.pk}
    return run_once(organisation=backup.organisation, executor=VERIFY, payload=payload, agent=None, actor=actor)


def drill_request(*, backup: Backup, actor: Actor) -> Requested:
    """Try to restore it, in a sandbox. Raises :class:`Conflict`."""
    _require_there(backup)
    agent, payload = agent_of_backup(backup), {"which": backup.pk}
    return run_once(organisation=backup.organisation, executor=DRILL, payload=payload, agent=agent, actor=actor)


def restore_request(*, backup: Backup, options: Mapping[str, Any], actor: Actor) -> Requested:
    """Restore it to its own agent. ``options`` as :func:`restore_judge` takes them, which says what is refused."""
    payload = restore_judge(backup=backup, options=options)
    agent, executor = agent_of_backup(backup), f"{backup.kind}{_RESTORE}"
    return _once(organisation=backup.organisation, executor=executor, payload=payload, agent=agent, actor=actor)


def undo_request(*, restore: Restore, actor: Actor) -> Requested:
    """Bring back what was there before. Raises :class:`Conflict` with the reason why that can't be done."""
    undoable(restore)
    if restore.agent is None:
        raise Conflict(
            f"The agent '{restore.agent_slug}' was removed, so no run can hold it. On the host itself: `manage.py "
            f"backup undo --now {restore.pk}`."
        )
    payload = {"restore": restore.pk}
    return _once(organisation=restore.organisation, executor=UNDO, payload=payload, agent=restore.agent, actor=actor)


def restore_judge(*, backup: Backup, options: Mapping[str, Any]) -> dict[str, Any]:
    """The payload of this restore. ``options``: the fields of ``RestorePayload`` but ``backup``.

    Raises :class:`Conflict` for what is not possible with this backup, :class:`InvalidInput` for what is never.
    """
    if "backup" in options:
        raise InvalidInput("Which backup is said already: leave it out.", field="backup")
    _require_there(backup)
    agent = agent_of_backup(backup)
    executor = executors().get(f"{backup.kind}{_RESTORE}")
    if executor is None or not issubclass(executor.payload_model, RestorePayload):
        raise Conflict(f"Archives of the kind {backup.kind!r} are not restored this way: `manage.py backup restore`.")
    asked = _read(executor.payload_model, {**options, "backup": backup.pk})
    _require_good_enough(backup, asked)
    _require_place(backup, asked, agent)
    return {**options, "backup": backup.pk}


def agent_of_backup(backup: Backup) -> Agent:
    """The agent that it is restored to: its own. Raises :class:`Conflict` when that was removed."""
    agent = Agent.objects.of(backup.organisation).filter(slug=backup.agent_slug).first()
    if agent is None:
        raise Conflict(
            f"The agent '{backup.agent_slug}' was removed or renamed: there is nobody to restore {backup} to. Add an "
            f"agent of that name, or ask the operator of the host for `manage.py backup restore --file`."
        )
    return agent


def folder_beside(backup: Backup) -> Path:
    """Where a restore beside goes unless a folder is named: one of our own, of this tenant, agent and archive."""
    return _own_folder(backup) / backup.agent_slug / backup.name.removesuffix(".age").removesuffix(".tar.gz")


def _own_folder(backup: Backup) -> Path:
    return Path(settings.WATCHBILL.data_dir) / "restores" / backup.organisation.slug


def _makes_archives(key: str, model: type[Payload]) -> bool:
    return key.endswith(_BACKUP) and issubclass(model, ArchivePayload)


def _require_there(backup: Backup) -> None:
    if backup.state == Backup.State.DELETED:
        raise Conflict(f"{backup} was deleted ({backup.deleted_why}): only its record is left.")


def _require_good_enough(backup: Backup, asked: RestorePayload) -> None:
    if backup.state == Backup.State.DAMAGED and not asked.allow_damaged:
        raise Conflict(
            f"{backup} is not to be trusted: {backup.problem} Take another one, or say allow_damaged to try it all the "
            "same.",
            field="allow_damaged",
        )


def _require_place(backup: Backup, asked: RestorePayload, agent: Agent) -> None:
    if backup.in_container and asked.to is None:
        raise InvalidInput(
            f"{backup} holds a folder of a container, which can't be exchanged from outside: name a folder to restore "
            "it beside.",
            field="to",
        )
    try:
        target = target_in(asked, backup.source, agent_view(agent)).resolve()
    except (ArchiveError, ValueError, OSError) as error:  # a name that no file can have is none of ours
        raise InvalidInput(str(error), field="to") from error
    shared, own = Path(settings.WATCHBILL.data_dir).resolve() / "restores", _own_folder(backup).resolve()
    if target.is_relative_to(shared) and own not in target.parents:
        raise InvalidInput(f"Restores beside go below {own}, since others have theirs next to it.", field="to")


def _read(model: type[Payload], options: Mapping[str, Any]) -> Any:
    """The payload as its executor reads it. Raises :class:`InvalidInput` that names the field as it was given."""
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        field, text = first_problem(error)
        # Below its name stand positions and the names of alternatives, which mean nothing to whoever asked.
        raise InvalidInput(_plain(text), field=_plain(field).partition(".")[0]) from error


def _once(**asked: Any) -> Requested:
    try:
        return run_once(**asked)
    except InvalidInput as refusal:
        # ``payload`` is a word of schedules: here its fields are given one by one.
        raise InvalidInput(_plain(refusal.message), field=_plain(refusal.field), code=refusal.code) from refusal


def _plain(text: str) -> str:
    return "" if text == "payload" else text.removeprefix("payload.")
