"""Executors for the chaos machine: every step of theirs is a line in a file outside of the databases.

A line is one ``write`` to a file opened with ``O_APPEND``, so that lines of many processes never mix, and a process
that is killed has left all that it did: ``time kind run attempt execution scopes``. An *execution* is one call of
``execute``: were an attempt executed twice, there would be two of one attempt. What the lines mean is said in
``tests/chaos/timeline.py``.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from typing import Any

from schedules.executors.base import Executor, ExecutorError, Payload, Result, RunContext, Stopped

STEP_SECONDS = 0.05


class ChaosPayload(Payload):
    """``trace``: the file. ``seconds``: how long to work. ``fail_attempts``: how many attempts fail at their end."""

    trace: str
    seconds: float = 0.1
    fail_attempts: int = 0


class Witness:
    """Writes the lines of one execution."""

    def __init__(self, path: str, context: RunContext, *, alone: bool) -> None:
        self._path = path
        self._tail = f"{context.job_run_id} {context.attempt} {secrets.token_hex(4)} {_scopes(context, alone)}\n"

    def write(self, kind: str) -> None:
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, f"{time.time():.6f} {kind} {self._tail}".encode())
        finally:
            os.close(file)


def _scopes(context: RunContext, alone: bool) -> str:
    """Where the run counts against a limit; ``!`` behind an agent: it needs the agent alone."""
    scopes = [f"organisation:{context.organisation}", f"schedule:{context.schedule}"]
    if context.agent:
        scopes.append(f"agent:{context.agent.slug}{'!' if alone else ''}")
    return ",".join(scopes)


class Chaos(Executor[ChaosPayload]):
    """Records a handle before it starts, works in small steps, and asks whether it is current before its effect."""

    key, title, queue = "chaos.work", "Chaos: work", "scans"
    payload_model = ChaosPayload

    def execute(self, payload: ChaosPayload, context: RunContext) -> Result:
        witness = Witness(payload.trace, context, alone=self.hold == "exclusive")
        witness.write("asks")
        self._begin(payload, context)
        witness.write("start")
        try:
            return self._work(payload, context, witness)
        except Stopped:
            witness.write("stopped")
            raise

    def _begin(self, payload: ChaosPayload, context: RunContext) -> None:
        context.record_handle({"trace": payload.trace})

    def _work(self, payload: ChaosPayload, context: RunContext, witness: Witness) -> Result:
        end = time.monotonic() + payload.seconds
        while time.monotonic() < end:
            context.check()
            witness.write("alive")
            time.sleep(STEP_SECONDS)
        if context.attempt <= payload.fail_attempts:
            witness.write("failed")
            raise ExecutorError("told_to", "It was told to fail.")
        context.check()
        witness.write("asks")
        if not context.is_current():
            raise Stopped("not current")
        witness.write("effect")
        return Result(summary="done")

    def reap(self, handle: Mapping[str, Any], context: RunContext) -> None:
        Witness(handle["trace"], context, alone=False).write("reap")


class Bare(Chaos):
    """Leaves no handle: a lost attempt frees its slots at once."""

    key, title, queue = "chaos.bare", "Chaos: without a handle", "agents"

    def _begin(self, payload: ChaosPayload, context: RunContext) -> None:  # noqa: ARG002
        if not context.is_current():
            raise Stopped("not current")


class OnceOnly(Chaos):
    """Must not be repeated when its worker was lost."""

    key, title, queue = "chaos.once", "Chaos: not repeated", "containers"
    on_lost = "fail"


class Alone(Chaos):
    """Needs its agent for itself."""

    key, title, queue = "chaos.alone", "Chaos: alone", "backups"
    needs_agent = True
    hold = "exclusive"
