"""What is done to an agent around the reading of its files: a command before and after, or its container paused."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from fleet.clients.docker import DockerClient
from fleet.clients.docker_errors import ContainerMissingError, ContainerStoppedError, DockerError
from schedules.executors.base import AgentView, ExecutorError, RunContext

#: What each of the commands may take.
_SECONDS = 60.0
#: Of a handle: what a later attempt has to do for the agent.
PAUSED, AFTER = "paused", "after"


@dataclass(frozen=True, kw_only=True)
class Around:
    """``before`` and ``after``: commands in the agent's container, as words. ``pause``: it stands still meanwhile."""

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    pause: bool = False

    def check(self, agent: AgentView) -> None:
        """Raises ``ValueError`` for an agent that has no container to do it in."""
        if (self.before or self.after or self.pause) and not agent.container_name:
            raise ValueError(
                f"before, after and pause are done in the container of '{agent.slug}', and it has none. Set its "
                "container name first, or leave them out.",
            )


@contextlib.contextmanager
def around(wanted: Around, agent: AgentView, context: RunContext) -> Iterator[Mapping[str, Any]]:
    """Do it. What is yielded belongs into every handle: a worker that dies must leave no agent paused.

    Raises :class:`ExecutorError` when ``before`` fails; a failing ``after`` is only logged, the archive is made.
    """
    handle: dict[str, Any] = {}
    if not (wanted.before or wanted.after or wanted.pause):
        yield handle
        return
    with contextlib.closing(DockerClient(base_url=settings.WATCHBILL.docker_host)) as client:
        # One that somebody has paused is not ours to resume.
        pauses = wanted.pause and not client.state(agent.container_name).paused
        handle = {"container": agent.container_name, PAUSED: pauses, AFTER: list(wanted.after)}
        if wanted.before and (code := _run(client, agent.container_name, wanted.before, context)):
            raise ExecutorError("before_failed", f"The command before the backup ended with {code}: {wanted.before}")
        context.record_handle(handle)
        try:
            if pauses:
                client.pause(agent.container_name)
                context.log(f"Paused the container {agent.container_name}\n")
            yield handle
        finally:
            _settle(client, handle, context)


def settle(handle: Mapping[str, Any], context: RunContext) -> None:
    """What a lost attempt owes its agent. Idempotent. Raises a ``DockerError`` while that can't be done."""
    if handle.get(PAUSED) or handle.get(AFTER):
        with contextlib.closing(DockerClient(base_url=settings.WATCHBILL.docker_host)) as client:
            _settle(client, handle, context)


def _settle(client: DockerClient, handle: Mapping[str, Any], context: RunContext) -> None:
    name = str(handle["container"])
    with contextlib.suppress(ContainerMissingError, ContainerStoppedError):
        if handle[PAUSED] and client.unpause(name):
            context.log(f"Resumed the container {name}\n")
        if handle[AFTER]:
            try:
                code = _run(client, name, handle[AFTER], context)
            except DockerError as error:
                context.log(f"Warning: the command after the backup could not be run: {error}\n")
            else:
                context.log(f"Warning: the command after the backup ended with {code}\n" if code else "")


def _run(client: DockerClient, container: str, argv: Sequence[str], context: RunContext) -> int:
    """Within a time of its own: a backup that is stopped owes its agent the command after it all the same."""
    until = time.monotonic() + _SECONDS

    def output(stream: Any, data: bytes) -> None:
        context.log(data.decode(errors="replace"), stream=stream)

    return client.exec_stream(
        container,
        argv,
        env={"JOB_RUN_ID": context.job_run_id},
        known=[container],
        on_started=lambda _: None,
        on_output=output,
        stop=lambda: time.monotonic() > until,
    )
