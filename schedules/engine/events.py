"""What happened to the engine as a whole, written down for whoever asks later."""

from __future__ import annotations

from datetime import datetime

from schedules.models import EngineEvent


def engine_event(kind: EngineEvent.Kind, detail: str, *, at: datetime) -> None:
    """One row for what one sweep, or one take-over, did: counts, never a row for each."""
    EngineEvent.objects.create(kind=kind, detail=detail[:500], at=at)
