"""Stretches of time in which nothing is started, in a form that is quick to ask."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime

#: (start, end, text): the end is no longer part of it, the text is what a person wrote.
Piece = tuple[datetime, datetime, str]


class Pieces:
    """Disjoint pieces in order."""

    def __init__(self, pieces: Sequence[Piece] = ()) -> None:
        self._pieces = pieces
        self._starts = [start for start, _, _ in pieces]

    def text_at(self, moment: datetime) -> str | None:
        """The text of the piece that the moment lies in, None when it lies in none."""
        if not self._pieces:
            return None
        index = bisect_right(self._starts, moment) - 1
        if index < 0:
            return None
        _, end, text = self._pieces[index]
        return text if moment < end else None
