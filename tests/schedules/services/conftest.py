"""The same ground as the engine's tests stand on."""

from tests.schedules.engine.conftest import clock, make_schedule, organisation, published

__all__ = ("clock", "make_schedule", "organisation", "published")
