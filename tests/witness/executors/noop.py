"""An executor that does nothing: what remains is the engine."""

from __future__ import annotations

from schedules.executors.base import Executor, Payload, Result, RunContext


class Noop(Executor[Payload]):
    """Nothing, successfully."""

    key, title, queue = "test.noop", "Nothing", "scans"
    payload_model = Payload

    def execute(self, payload: Payload, context: RunContext) -> Result:  # noqa: ARG002
        return Result(summary="nothing done")
