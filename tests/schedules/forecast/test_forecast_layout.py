"""How many fires are laid out: bounded, fair, and said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from small_world import DAY, MIDNIGHT, minute, minutes

from schedules.forecast.jobs import Expected
from schedules.forecast.layout import lay_out


def every(number: float, until: datetime = MIDNIGHT + DAY) -> Iterator[Expected]:
    """A fire each so many minutes, the first at once."""
    moment = MIDNIGHT
    while moment < until:
        yield Expected(fire=moment, due=moment)
        moment += minutes(number)


def counts(*sources: Iterator[Expected], most: int) -> list[int]:
    return [len(fires) for fires in lay_out(sources, until=MIDNIGHT + DAY, most=most).fires]


def test_what_fits_is_laid_out_in_full() -> None:
    layout = lay_out([every(60), every(1)], until=MIDNIGHT + DAY, most=24 + 1440)
    assert [len(fires) for fires in layout.fires] == [24, 1440]
    assert (layout.until, layout.cut) == (MIDNIGHT + DAY, {})


def test_frequent_ones_share_what_the_others_leave() -> None:
    assert counts(every(60), every(0.1), every(0.2), most=1024) == [24, 500, 500]


def test_a_frequent_one_that_is_cut_is_named_with_its_last_fire() -> None:
    layout = lay_out([every(60), every(0.5)], until=MIDNIGHT + DAY, most=124)
    assert layout.cut == {1: minute(49.5)}
    assert layout.until == MIDNIGHT + DAY
    assert len(layout.fires[0]) == 24


def test_when_the_others_do_not_fit_the_forecast_ends_earlier_for_all() -> None:
    layout = lay_out([every(60), every(10), every(30)], until=MIDNIGHT + DAY, most=60)
    assert layout.until < MIDNIGHT + DAY
    assert layout.cut == {}
    assert all(each.fire < layout.until for fires in layout.fires for each in fires)
    ends = [fires[-1].fire + minutes(gap) for fires, gap in zip(layout.fires, (60, 10, 30), strict=True)]
    assert min(ends) >= layout.until, "no fire before the end is missing"


def test_cost_follows_the_cap_not_the_fires() -> None:
    taken = 0

    def counted() -> Iterator[Expected]:
        nonlocal taken
        for each in every(1 / 60):
            taken += 1
            yield each

    layout = lay_out([counted() for _ in range(100)], until=MIDNIGHT + DAY, most=1000)
    assert taken <= 1100
    assert len(layout.cut) == 100


def test_nothing_to_lay_out() -> None:
    assert lay_out([], until=MIDNIGHT, most=10).fires == []
    assert counts(iter(()), most=10) == [0]
