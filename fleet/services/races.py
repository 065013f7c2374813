"""Names that two take at once: between the look and the insert of one, the other inserts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from fleet.errors import NameTaken


@dataclass(frozen=True, kw_only=True)
class Clash:
    """A unique constraint and its refusal. PostgreSQL names the constraint, SQLite the columns."""

    constraint: str
    column: str
    refusal: NameTaken


@contextlib.contextmanager
def refused_by(*clashes: Clash) -> Iterator[None]:
    """Save in here: what one of these constraints refuses is that refusal, another fault of the database stays one."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        for clash in clashes:
            if clash.constraint in str(error) or clash.column in str(error):
                raise clash.refusal from error
        raise
