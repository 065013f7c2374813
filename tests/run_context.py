"""The engine's side of an attempt, for tests of executors: everything is kept, to be looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from schedules.executors.base import AgentView, Stopped


def agent_view(**fields: Any) -> AgentView:
    plain: dict[str, Any] = {
        "id": 1,
        "slug": "lead",
        "runtime": "directory",
        "container_name": "agent",
        "workspace_folder": "",
        "state_folder": "",
        "base_url": "",
        "health_url": "",
        "secret_refs": {},
    }
    return AgentView(**{**plain, **fields})


class FakeContext:
    run_id = 7
    organisation_id = 1
    organisation = "acme"
    schedule = "nightly"

    def __init__(self, agent: AgentView | None, *, attempt: int = 1) -> None:
        self.agent = agent
        self.attempt = attempt
        self.job_run_id = "run-7"
        self.lines: list[tuple[str, str]] = []
        self.handles: list[Mapping[str, Any]] = []
        self.hidden: list[str] = []
        self.current = True
        self._stop = threading.Event()
        self._callbacks: list[Callable[[], None]] = []

    def log(self, text: str, *, stream: str = "system") -> None:
        self.lines.append((stream, text))

    def text(self, stream: str | None = None) -> str:
        return "".join(text for name, text in self.lines if stream in {None, name})

    def hide(self, values: Iterable[str]) -> None:
        self.hidden += values

    def check(self) -> None:
        if self.stopped():
            raise Stopped("stopped by the test")

    def stopped(self) -> bool:
        return self._stop.is_set()

    def on_stop(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def record_handle(self, handle: Mapping[str, Any]) -> None:
        self.handles.append(handle)

    def is_current(self) -> bool:
        return self.current

    def stop(self) -> None:
        self._stop.set()
        for callback in self._callbacks:
            callback()
