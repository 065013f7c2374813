"""Names of jobs and calendars. A job's is the slug of the display name, as SOP-001 types them."""

from __future__ import annotations

import re
from collections.abc import Collection

from django.utils.text import slugify

from fleet.errors import InvalidInput

LONGEST = 64
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def check_name(name: str, *, what: str = "job", example: str = "daily-workspace-backup") -> None:
    """Raise :class:`InvalidInput` unless it is a name of the shape that jobs and calendars have."""
    if not NAME.fullmatch(name):
        raise InvalidInput(
            f"{name!r} is not a {what} name: use 1 to 64 lower-case letters, digits, '-' and '_', "
            f"for example {example!r}.",
            field="name",
        )


def readable_slug(display_name: str, taken: Collection[str]) -> str:
    """``Workspace S3 Backup`` becomes ``workspace-s3-backup``; a name without Latin letters becomes ``job-1``,
    ``job-2`` …, the first that is free."""
    if not display_name.strip():
        raise InvalidInput('A job needs a display name, for example "Workspace S3 Backup".', field="display_name")
    slug = slugify(display_name)[:LONGEST].strip("-_")
    # Digits alone say nothing: 每日备份 2 would become "2".
    if re.search(r"[a-z]", slug):
        return slug
    stem = f"job-{slug}" if slug else "job"
    if slug and stem not in taken:
        return stem
    return next(name for number in range(1, len(taken) + 2) if (name := f"{stem}-{number}") not in taken)
