"""The delay of a fire: the same everywhere, even, and never on or past the next slot."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from timing_oracle import instants

from schedules.timing import jittered, parse

NOON = datetime(2026, 2, 25, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LATEST = datetime.max.replace(tzinfo=UTC)


def delay(fire: datetime = NOON, *, key: str = "7", jitter: int = 600, following: datetime | None = None) -> int:
    return (jittered(fire, key=key, jitter_seconds=jitter, following=following) - fire) // SECOND


@given(
    instants(1970, 2200),
    st.text(),
    st.integers(0, 10**6),
    st.none() | st.timedeltas(timedelta(microseconds=1), timedelta(days=20)),
)
def test_the_delay_is_whole_seconds_and_ends_before_the_next_slot(
    fire: datetime, key: str, jitter: int, gap: timedelta | None
) -> None:
    following = None if gap is None else fire + gap
    due = jittered(fire, key=key, jitter_seconds=jitter, following=following)
    assert timedelta() <= due - fire <= jitter * SECOND
    assert (due - fire) % SECOND == timedelta()
    assert following is None or due < following
    assert due == jittered(fire, key=key, jitter_seconds=jitter, following=following)


@pytest.mark.parametrize(
    ("gap", "longest"),
    [
        (timedelta(seconds=1), 0),
        (timedelta(microseconds=1), 0),
        (timedelta(seconds=2), 1),
        (timedelta(seconds=2, microseconds=1), 2),
        (timedelta(minutes=1), 59),
        (timedelta(hours=1), 90),
    ],
)
def test_up_to_the_last_second_before_the_next_slot(gap: timedelta, longest: int) -> None:
    delays = {delay(key=str(number), jitter=90, following=NOON + gap) for number in range(2000)}
    assert delays == set(range(longest + 1))


def test_delays_are_spread_evenly() -> None:
    """Chi-square over ten slots, by key and by fire: 27.9 is the 99.9th percentile of nine degrees."""
    by_key = Counter(delay(key=str(number), jitter=599) // 60 for number in range(10_000))
    by_fire = Counter(delay(NOON + timedelta(days=number), jitter=599) // 60 for number in range(10_000))
    for counts in (by_key, by_fire):
        assert sum((counts[slot] - 1000) ** 2 / 1000 for slot in range(10)) < 27.9


def test_the_same_in_every_process() -> None:
    """These figures are written down: an update that moved them would move every planned run."""
    expected = [delay(key=key) for key in ("1", "2", "backup", "备份")]
    assert expected == [496, 32, 103, 412]
    program = (
        "from datetime import UTC, datetime\n"
        "from schedules.timing import jittered\n"
        "noon = datetime(2026, 2, 25, 12, tzinfo=UTC)\n"
        "keys = ('1', '2', 'backup', '\\u5907\\u4efd')\n"
        "print([int((jittered(noon, key=key, jitter_seconds=600, following=None) - noon).total_seconds())"
        " for key in keys])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[3], capture_output=True, text=True
    )
    assert answer.stdout.strip() == str(expected)


def test_the_instant_counts_not_its_zone() -> None:
    shanghai = NOON.astimezone(timezone(timedelta(hours=8)))
    assert jittered(shanghai, key="7", jitter_seconds=600, following=None) == NOON + delay() * SECOND
    assert jittered(shanghai, key="7", jitter_seconds=600, following=None).tzinfo is UTC


def test_two_schedules_and_two_fires_differ() -> None:
    assert len({delay(key=str(number), jitter=10**6) for number in range(50)}) > 45
    assert len({delay(NOON + timedelta(days=number), jitter=10**6) for number in range(50)}) > 45


def test_no_jitter_no_delay() -> None:
    assert {delay(key=str(number), jitter=0) for number in range(50)} == {0}
    assert delay(LATEST, jitter=600) == 0  # time itself ends there


def test_jittered_fires_keep_their_order() -> None:
    rule, fire, dues = parse("*/5 * * * * *"), NOON, []
    for _ in range(200):
        following = rule.next_after(fire)
        assert following is not None
        dues.append(jittered(fire, key="7", jitter_seconds=3600, following=following))
        fire = following
    assert dues == sorted(set(dues))


def test_a_naive_datetime_is_an_error() -> None:
    naive = NOON.replace(tzinfo=None)
    for fire, following in ((naive, None), (NOON, naive)):
        with pytest.raises(ValueError, match="has no time zone"):
            jittered(fire, key="7", jitter_seconds=60, following=following)
