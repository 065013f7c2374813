"""Executors that do next to nothing, visibly."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schedules.executors.base import Executor, ExecutorError, Payload, Result, RunContext


class TracePayload(Payload):
    """``trace``: the file to append to. ``seconds``: how long to work. ``fail_attempts``: how many attempts fail."""

    trace: str
    seconds: float = 0
    fail_attempts: int = 0
    kill_attempts: int = 0
    text: str = ""


def note(payload: TracePayload, context: RunContext, what: str) -> None:
    line = f"{time.time():.6f} {what} {context.job_run_id} {context.attempt}\n"
    with Path(payload.trace).open("a") as file:
        file.write(line)


class Trace(Executor[TracePayload]):
    """Notes when it starts and ends, and what reaps it."""

    key, title, queue = "test.trace", "Trace", "scans"
    payload_model = TracePayload

    def execute(self, payload: TracePayload, context: RunContext) -> Result:
        context.record_handle({"trace": payload.trace})
        note(payload, context, "start")
        if payload.text:
            context.log(payload.text, stream="stdout")
        if context.attempt <= payload.kill_attempts:
            os.kill(os.getpid(), signal.SIGKILL)
        end = time.monotonic() + payload.seconds
        while time.monotonic() < end:
            context.check()
            time.sleep(0.02)
        if context.attempt <= payload.fail_attempts:
            raise ExecutorError("told_to", "It was told to fail.")
        note(payload, context, "end")
        return Result(summary="traced", details={"text": payload.text})

    def reap(self, handle: Mapping[str, Any], context: RunContext) -> None:
        with Path(handle["trace"]).open("a") as file:
            file.write(f"{time.time():.3f} reap {context.job_run_id} {context.attempt}\n")


class Once(Trace):
    """Work that must not be repeated when its worker was lost."""

    key, title = "test.once", "Once"
    on_lost = "fail"


class Alone(Trace):
    """Needs its agent for itself, in its turn."""

    key, title = "test.alone", "Alone"
    needs_agent = True
    hold = "exclusive"


class Recover(Trace):
    """Needs its agent for itself, before everybody else."""

    key, title = "test.recover", "Recover"
    needs_agent = True
    hold = "recovery"
