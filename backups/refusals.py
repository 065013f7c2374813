"""Errors of archives, as the doors tell them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from backups.archive.errors import ArchiveError
from fleet.errors import Conflict


@contextlib.contextmanager
def told_as_refusals() -> Iterator[None]:
    """What a store or a file system says no to is a state in which the thing can't be done, not an error of ours."""
    try:
        yield
    except ArchiveError as error:
        raise Conflict(str(error), code=error.code) from error
