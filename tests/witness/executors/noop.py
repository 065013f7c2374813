"""The executor that does nothing, so that what is measured is the engine alone."""

from __future__ import annotations

import time
from pathlib import Path

from schedules.executors.base import Executor, Payload, Result, RunContext


class NoopPayload(Payload):
    """``trace``: the file to which it notes when it started; empty: nowhere."""

    trace: str = ""


class Noop(Executor[NoopPayload]):
    """Starts nothing outside, so it records no handle."""

    key, title, queue = "test.noop", "No-op", "scans"
    payload_model = NoopPayload

    def execute(self, payload: NoopPayload, context: RunContext) -> Result:
        if payload.trace:
            with Path(payload.trace).open("a") as file:
                file.write(f"{time.time():.6f} start {context.job_run_id}\n")
        return Result(summary="")
