"""How many fires of each job are laid out, so that a forecast takes seconds whatever the schedules are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from schedules.forecast.jobs import Expected

MOST_FIRES = 100_000
# A job that fires this often may be cut alone. Of any other a missing fire would be missed: there the forecast ends.
OFTEN = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The fires of each source, in order, all before ``until``.

    ``cut`` has the sources of which there would be more: their index, and the last fire that is laid out.
    """

    fires: Sequence[Sequence[Expected]]
    until: datetime
    cut: Mapping[int, datetime]


def lay_out(sources: Sequence[Iterator[Expected]], *, until: datetime, most: int = MOST_FIRES) -> Layout:
    """Share ``most`` fires among the sources: each gets what it needs as far as it goes, the frequent ones the rest.

    The sources end before ``until``. Cost follows ``most``, not the fires that there are.
    """
    fires: list[list[Expected]] = [[] for _ in sources]
    unfinished = _fill(sources, fires, most)
    frequent = {index for index in unfinished if _fires_often(fires[index])}
    rare = [fires[index][-1].fire for index in unfinished - frequent]
    end = min([until, *rare])
    return Layout(
        fires=[[each for each in line if each.fire < end] if rare else line for line in fires],
        until=end,
        cut={index: fires[index][-1].fire for index in sorted(frequent) if fires[index][-1].fire < end},
    )


def _fill(sources: Sequence[Iterator[Expected]], fires: Sequence[list[Expected]], most: int) -> set[int]:
    """Rounds of equal shares until all have ended or nothing is left; returns those that have not ended."""
    unfinished = set(range(len(sources)))
    while unfinished and most > 0:
        share = max(1, most // len(unfinished))
        for index in sorted(unfinished):
            part = list(islice(sources[index], share))
            fires[index] += part
            most -= len(part)
            if len(part) < share:
                unfinished.discard(index)
    return {index for index in unfinished if next(sources[index], None) is not None}


def _fires_often(fires: Sequence[Expected]) -> bool:
    return len(fires) > 1 and fires[-1].fire - fires[0].fire <= OFTEN * (len(fires) - 1)
