"""What moves on from tier to tier, and what goes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups.retention.copies import Copy
from backups.retention.tiers import MIB, Tiers, moves, read_tiers

NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)


def copy(number: int, hours: float, megabytes: int = 1) -> Copy:
    moment = NOW - timedelta(hours=hours)
    return Copy(id=number, name=f"a{number}", since=moment, until=moment, size=megabytes * MIB, is_good=True)


def left(tier: str, copies: list[Copy], kept: set[int] | None = None, **tiers: object) -> list[tuple[int, str]]:
    found = moves(tier, copies, read_tiers(tiers), kept=kept or set(), now=NOW)  # type: ignore[arg-type]
    return [(move.copy.id, move.to) for move in found]


def test_the_seed_s_defaults() -> None:
    tiers = Tiers()
    assert (tiers.hot.max_size_mb, tiers.hot.max_count, tiers.hot.path) == (500, 50, "~/.openclaw/backups")
    assert (tiers.warm.max_size_mb, tiers.warm.retention_days, tiers.warm.path) == (2048, 7, "~/.openclaw/archive")
    assert (tiers.cold.enabled, tiers.cold.retention_days) == (False, 30)


def test_time_is_over() -> None:
    assert left("hot", [copy(1, 23), copy(2, 25)]) == [(2, "warm")]
    assert left("warm", [copy(1, 24 * 6), copy(2, 24 * 8)]) == [(2, "")]
    assert left("warm", [copy(1, 24 * 6), copy(2, 24 * 8)], cold={"enabled": True}) == [(2, "cold")]
    assert left("cold", [copy(1, 24 * 29), copy(2, 24 * 31)]) == [(2, "")]


def test_too_much_is_there_the_oldest_go_first() -> None:
    copies = [copy(number, number, megabytes=100) for number in range(1, 9)]
    assert left("hot", copies) == [(8, "warm"), (7, "warm"), (6, "warm")]
    many = [copy(number, number / 10) for number in range(53)]
    assert left("hot", many) == [(52, "warm"), (51, "warm"), (50, "warm")]


def test_what_has_to_stay_stays_in_the_last_tier() -> None:
    copies = [copy(1, 24 * 8), copy(2, 24 * 9)]
    assert left("warm", copies, kept={1}) == [(2, "")]
    assert left("warm", copies, kept={1}, cold={"enabled": True}) == [(2, "cold"), (1, "cold")]


@pytest.mark.parametrize(
    ("storage", "text"),
    [
        ([], "storage is []: give a mapping of hot, warm, cold"),
        ({"hto": {}}, "storage.hto is not known: there are hot"),
        ({"hot": {"max_size": 5}}, "storage.hot.max_size is not known"),
        ({"hot": {"max_size_mb": 0}}, "storage.hot.max_size_mb is 0: give a whole number"),
        ({"warm": {"retention_days": "7"}}, "storage.warm.retention_days is '7'"),
        ({"warm": {"path": "archive"}}, "storage.warm.path is 'archive': give an absolute folder"),
        ({"cold": {"enabled": 1}}, "storage.cold.enabled is 1: give true or false"),
    ],
)
def test_values_that_mean_nothing_are_named(storage: object, text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        read_tiers(storage)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 900)), max_size=80))
def test_what_stays_fits(rows: list[tuple[int, int]]) -> None:
    copies = [copy(number, hours, megabytes) for number, (hours, megabytes) in enumerate(rows)]
    gone = {number for number, _ in left("hot", copies)}
    staying = [each for each in copies if each.id not in gone]
    assert sum(each.size for each in staying) <= 500 * MIB
    assert len(staying) <= 50
    assert all(NOW - each.until <= timedelta(hours=24) for each in staying)
    assert left("hot", staying) == []
