"""Archives and restores in words: a shape beside every colour, a distance before every clock."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.safestring import SafeString

from backups.archive.terminal import human_size
from backups.models import Backup, Drill, Restore
from fleet.admin.marks import Tone, badge, link_to, unbroken
from schedules.admin.words import clock, distance, span
from schedules.models import Run

_BACKUPS: dict[str, tuple[str, Tone, str]] = {
    Backup.State.COMPLETE: ("Not verified yet", "busy", "hourglass_top"),
    Backup.State.VERIFIED: ("Verified", "ok", "check_circle"),
    Backup.State.DAMAGED: ("Damaged", "failed", "dangerous"),
    Backup.State.DELETED: ("Deleted", "quiet", "delete"),
}
_RESTORES: dict[str, tuple[str, Tone, str]] = {
    Restore.State.DONE: ("In place, not confirmed", "busy", "hourglass_top"),
    Restore.State.CONFIRMED: ("Confirmed", "ok", "check_circle"),
    Restore.State.UNDOING: ("Being undone", "busy", "hourglass_top"),
    Restore.State.UNDONE: ("Undone", "quiet", "undo"),
    Restore.State.FAILED: ("Failed", "failed", "dangerous"),
}
_MINUTE = 60


def state_badge(backup: Backup) -> SafeString:
    word, tone, shape = _BACKUPS.get(backup.state, (backup.state, "quiet", "help"))
    return badge(word, tone=tone, shape=shape)


def restore_badge(restore: Restore) -> SafeString:
    word, tone, shape = _RESTORES.get(restore.state, (restore.state, "quiet", "help"))
    return badge(word, tone=tone, shape=shape)


def drill_badge(*, is_ok: bool) -> SafeString:
    if is_ok:
        return badge("Restored", tone="ok", shape="check_circle")
    return badge("Could not be restored", tone="failed", shape="dangerous")


def ago(moment: datetime | None, otherwise: str = "never") -> str:
    return distance(moment, timezone.now()) if moment else otherwise


def when(moment: datetime | None, otherwise: str = "never") -> str:
    return f"{ago(moment)}: {clock(moment)}" if moment else otherwise


def unchanged(backup: Backup) -> str:
    """Until when its source was found as it holds it; empty when nobody looked later."""
    return f"unchanged until {clock(backup.still_at)}" if backup.still_at > backup.began_at else ""


def took(seconds: float) -> str:
    """A measured time: tenths below a minute, since most drills are that short."""
    return f"{seconds:.1f} s" if seconds < _MINUTE else span(seconds)


def amount(entries: int | None, size: int | None) -> str:
    if entries is None:
        return "not known before it was read once"
    return f"{entries} entries, {human_size(size or 0)}"


def run_link(organisation_id: int, job_run_id: str) -> str:
    """To the run that did it, for as long as that is kept."""
    run = Run.objects.filter(organisation_id=organisation_id, job_run_id=job_run_id).first() if job_run_id else None
    return link_to(run, job_run_id or "none")


def drill_row(drill: Drill, organisation_id: int) -> tuple[str, ...]:
    looked = ", ".join(f"{name}: {value}" for name, value in drill.checks.items())
    said = drill.problem or looked
    run = run_link(organisation_id, drill.job_run_id)
    begun, mark, time = unbroken(when(drill.began_at)), drill_badge(is_ok=drill.is_ok), unbroken(took(drill.seconds))
    return begun, mark, time, said, run


def restore_row(restore: Restore) -> tuple[str, ...]:
    link, time = unbroken(link_to(restore, ago(restore.began_at))), unbroken(took(restore.seconds))
    return link, restore_badge(restore), time, restore.target, restore.problem
