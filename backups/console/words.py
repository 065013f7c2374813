"""Backups in words, for the terminal; and the one that a person names."""

from __future__ import annotations

import json
from typing import Any

from backups.archive.errors import ArchiveError
from backups.archive.terminal import human_size
from backups.models import Backup
from backups.services.requesting import backup_kinds
from fleet.errors import Conflict, InvalidInput, NotFound
from fleet.models import Organisation
from fleet.services.agents import agent_named
from schedules.words import clock, distance


def backup_named(organisation: Organisation, text: str, *, agent: str = "", kind: str = "") -> Backup:
    """By number, by name, or ``latest`` of an agent. Raises :class:`NotFound`."""
    rows = Backup.objects.of(organisation)
    if agent:
        rows = rows.filter(agent_slug=agent_named(organisation, agent).slug)
    if kind:
        rows = rows.filter(kind=kind)
    if text == "latest":
        found = rows.good().order_by("-still_at", "-began_at").first()
    else:
        rows = rows.filter(pk=int(text)) if text.isascii() and text.isdigit() else rows.filter(name=text)
        found = rows.order_by("deleted_at", "-pk").first()
    if found is None:
        whose = f" of {agent}" if agent else ""
        what = f"no verified {kind or ''} backup".replace("  ", " ") if text == "latest" else f"no backup {text!r}"
        waits = rows.filter(state=Backup.State.COMPLETE).first() if text == "latest" else None
        hint = f" {waits} was not read back yet: manage.py backup verify {waits.pk}." if waits else ""
        raise NotFound(
            f"There is {what}{whose} in {organisation}.{hint} `manage.py backup ls` lists them.", field="backup"
        )
    return found


def known_kind(text: str) -> str:
    """A kind that somebody makes or made archives of. Raises :class:`InvalidInput`."""
    known = sorted({*backup_kinds(), *Backup.objects.order_by().values_list("kind", flat=True).distinct()})
    if text not in known:
        raise InvalidInput(f"--kind is {text!r}: kinds are {', '.join(known)}.", field="kind")
    return text


def refused(error: ArchiveError) -> Conflict:
    """What an archive's error is for a command: one line."""
    return Conflict(str(error), code=error.code)


def shown(name: str) -> str:
    """A name that an agent chose: in quotes where it holds what would steer a terminal or break its line."""
    return name if name.isprintable() else json.dumps(name)


def place_text(backup: Backup) -> str:
    if backup.storage == Backup.Storage.S3:
        return f"s3://{backup.root}/{backup.prefix}{backup.name}"
    return f"{backup.root}/{backup.prefix}{backup.name}"


def state_text(backup: Backup) -> str:
    drilled = ", drilled" if backup.drilled_at else ""
    return f"{backup.state}{drilled}"


def row_of(backup: Backup) -> list[str]:
    held = clock(backup.began_at).removesuffix(" UTC")
    if backup.still_at > backup.began_at:
        held += f" to {clock(backup.still_at).removesuffix(' UTC')}"
    where = backup.tier or backup.storage
    return [
        str(backup.pk),
        backup.agent_slug,
        backup.kind,
        backup.name,
        state_text(backup),
        human_size(backup.size),
        f"{held} ({distance(backup.still_at)})",
        where,
    ]


HEADERS = ["ID", "AGENT", "KIND", "ARCHIVE", "STATE", "SIZE", "HOLDS THE STATE OF (UTC)", "WHERE"]


def backup_json(backup: Backup) -> dict[str, Any]:
    """A backup for a machine."""
    plain = (
        "name",
        "kind",
        "state",
        "problem",
        "schedule_name",
        "job_run_id",
        "source",
        "in_container",
        "is_adopted",
        "storage",
        "tier",
        "size",
        "sha256",
        "key_id",
        "has_manifest",
        "entries",
        "tree_bytes",
        "skipped",
        "changed",
        "details",
        "retention",
        "deleted_why",
    )
    times = (
        "began_at",
        "still_at",
        "created_at",
        "checked_at",
        "verified_at",
        "drilled_at",
        "deleted_at",
    )
    stamps = {name: moment.isoformat() if (moment := getattr(backup, name)) else None for name in times}
    told = {name: getattr(backup, name) for name in plain}
    return {"id": backup.pk, "agent": backup.agent_slug, "place": place_text(backup)} | told | stamps
