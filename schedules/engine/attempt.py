"""One attempt as its executor sees it: the engine's side of the contract in ``schedules.executors.base``."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fleet.models import Agent
from schedules.engine.redaction import Redactor
from schedules.engine.runlog import RunLog
from schedules.engine.storable import storable_json
from schedules.executors.base import AgentView, Stopped, Stream
from schedules.models import Run

logger = logging.getLogger(__name__)


class Attempt:
    """A claimed run at work. ``stop_reason`` is empty while it may go on; the first reason stays."""

    def __init__(self, run: Run, *, redact: Redactor, log_limit_bytes: int) -> None:
        self.run = run
        self.agent = agent_view(run.agent) if run.agent else None
        self.organisation = run.organisation.slug
        self.schedule = run.schedule_name
        self.stop_reason = ""
        self.began = self.renewed = time.monotonic()
        self._callbacks: list[Callable[[], Any]] = []
        self._lock = threading.Lock()
        self._redact = redact
        self.runlog = RunLog(
            run_id=run.pk,
            attempt=run.attempt,
            used_bytes=run.log_bytes,
            limit_bytes=log_limit_bytes,
            redact=redact,
        )

    @property
    def run_id(self) -> int:
        return int(self.run.pk)

    @property
    def job_run_id(self) -> str:
        return self.run.job_run_id

    @property
    def attempt(self) -> int:
        return self.run.attempt

    @property
    def organisation_id(self) -> int:
        return self.run.organisation_id

    def hide(self, values: Iterable[str]) -> None:
        self._redact.hide(values)

    def redact(self, text: str) -> str:
        return self._redact(text)

    def log(self, text: str, *, stream: Stream = "system") -> None:
        if stream == "system":
            self.runlog.line(text, stream)
        else:
            self.runlog.add(text, stream)

    def check(self) -> None:
        if self.stop_reason:
            raise Stopped(self.stop_reason)

    def stopped(self) -> bool:
        return bool(self.stop_reason)

    def on_stop(self, callback: Callable[[], Any]) -> None:
        with self._lock:
            if not self.stop_reason:
                self._callbacks.append(callback)
                return
        self._call(callback)

    def stop(self, reason: str) -> None:
        """Ask the work to end: ``cancelled``, ``timeout``, ``lease_lost`` or ``drained``.

        Callbacks run in their own thread, since ending a container's process may take seconds in which other leases
        must be renewed.
        """
        with self._lock:
            if self.stop_reason:
                return
            self.stop_reason = reason
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            threading.Thread(target=self._call, args=(callback,), daemon=True).start()

    def _call(self, callback: Callable[[], Any]) -> None:
        try:
            callback()
        except Exception:
            logger.exception("run %s: ending the outside work failed", self.job_run_id)

    def record_handle(self, handle: Mapping[str, Any]) -> None:
        self.run.handle = storable_json(dict(handle))
        held = self._held().update(handle=self.run.handle)
        if not held:
            self.stop("lease_lost")
            raise Stopped("lease_lost")

    def clear_handle(self) -> None:
        """What it named is ended. Silent when the claim is lost: whoever holds it now reaps again, harmlessly."""
        self.run.handle = {}
        self._held().update(handle={})

    def is_current(self) -> bool:
        return not self.stop_reason and self._held().filter(cancel_requested_at=None).exists()

    def _held(self) -> Any:
        return Run.objects.filter(pk=self.run.pk, status=Run.Status.RUNNING, claim_token=self.run.claim_token)


def agent_view(agent: Agent) -> AgentView:
    """An agent as plain values."""
    return AgentView(
        id=agent.pk,
        slug=agent.slug,
        runtime=agent.runtime,
        container_name=agent.container_name,
        workspace_folder=agent.workspace_folder,
        state_folder=agent.state_folder,
        base_url=agent.base_url,
        health_url=agent.health_url,
        secret_refs=dict(agent.secret_refs),
    )
