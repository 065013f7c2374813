"""The contract of a status check."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from fleet.discovery import discover


@dataclass(frozen=True, kw_only=True)
class Finding:
    """How a part is. ``ok`` decides the exit code; the detail says what to do when it is not."""

    part: str
    ok: bool
    detail: str


class StatusCheck(ABC):
    """One part of the watch. ``order`` is where it stands in the list."""

    part: ClassVar[str]
    order: ClassVar[int] = 50

    @abstractmethod
    def look(self) -> Finding:
        """Look within a few seconds. An exception counts as down, with its text as detail."""

    def up(self, detail: str) -> Finding:
        return Finding(part=self.part, ok=True, detail=detail)

    def down(self, detail: str) -> Finding:
        return Finding(part=self.part, ok=False, detail=detail)


def findings() -> list[Finding]:
    """The findings of every check, in order. Never raises."""
    checks = sorted((cls() for cls in discover("status", StatusCheck)), key=lambda check: check.order)  # type: ignore[type-abstract]
    return [looked(check) for check in checks]


def looked(check: StatusCheck) -> Finding:
    """One check's finding. Never raises."""
    try:
        return check.look()
    except Exception as error:  # noqa: BLE001 - a part that can't be looked at is down, whatever the reason
        return check.down(f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}")
