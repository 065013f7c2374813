"""A source that suddenly holds far less: an agent that was emptied is archived faithfully, night after night."""

from __future__ import annotations

from backups.archive.terminal import human_size
from backups.models import Backup
from monitoring.services import alert_raise, alert_resolve

#: Of a handful of files each is a half.
_FEWEST = 4


def shrinking_judge(backup: Backup) -> str:
    """Raise an alert when it holds less than half of the entries of a good one that is still kept; resolve it when not.

    Answers what is said of it, empty when all is as before. Nothing is held back: it may have been tidied up.
    """
    key = f"backup.shrunk:{backup.agent_slug}:{backup.kind}:{backup.source}"[:200]
    largest = Backup.objects.siblings(backup).good().exclude(entries=None).order_by("-entries").first()
    entries = backup.entries or 0
    if largest is None or (largest.entries or 0) < _FEWEST or 2 * entries >= (largest.entries or 0):
        alert_resolve(organisation=backup.organisation, key=key)
        return ""
    told = (
        f"{backup} holds {entries} entries ({human_size(backup.tree_bytes or 0)}) of {backup.source}, and {largest} "
        f"holds {largest.entries} ({human_size(largest.tree_bytes or 0)})."
    )
    alert_raise(
        organisation=backup.organisation,
        key=key,
        severity="warning",
        title=f"What is backed up of {backup.agent_slug} has shrunk",
        detail=f"{told} If something was lost, restore {largest.pk} before the rules of keeping remove it: `manage.py "
        f"backup restore {largest.pk}`; `manage.py backup diff {largest.pk} {backup.pk}` shows what is missing.",
    )
    return told
