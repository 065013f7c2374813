"""A short storm on the database of this file's name. Modules of their own, so that each gets a worker of its own."""

from __future__ import annotations

from tests.chaos.short import storm_passes


def test_a_short_storm_loses_and_repeats_nothing() -> None:
    storm_passes("sqlite", seed=4)
