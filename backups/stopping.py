"""An agent's container is stopped while its files are exchanged, and runs again afterwards, if it ran before."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from backups.archive.folder import outermost
from fleet.clients.docker import DockerClient
from fleet.clients.docker_errors import ContainerMissingError
from schedules.executors.base import AgentView, RunContext


def in_use(target: Path, agent: AgentView) -> bool:
    """Whether the agent may have something open there: it lies in its own folders, and is not new."""
    roots = [Path(folder) for folder in (agent.workspace_folder, agent.state_folder) if folder]
    return outermost(target, roots) is not None and target.is_dir() and any(target.iterdir())


@dataclass(frozen=True, kw_only=True)
class Stopping:
    """``is_in_place``: its own files are exchanged. ``before_stop`` gets the container's name before it is stopped."""

    agent: AgentView
    is_in_place: bool
    stop: bool
    seconds: int
    before_stop: Callable[[str], None]


@contextlib.contextmanager
def stopped(wanted: Stopping, context: RunContext) -> Iterator[Callable[[], bool]]:
    """Stops the container, if it is there, runs, and is to be; starts it again at the end, or when told."""
    name = wanted.agent.container_name
    if not name and wanted.is_in_place:
        context.log(
            f"{wanted.agent.slug} has no container that could be stopped: whoever has its files open goes on writing "
            "to the old ones. Stop it yourself.\n",
        )
    if not (name and wanted.stop and wanted.is_in_place):
        yield lambda: True
        return
    with contextlib.closing(DockerClient(base_url=settings.WATCHBILL.docker_host)) as client:
        was_running = _is_running(client, name, context)
        if was_running:
            wanted.before_stop(name)
            client.stop(name, seconds=wanted.seconds)
            context.log(f"Stopped the container {name}\n")
        is_started = False

        def start() -> bool:
            """Whether it runs now: one that had been stopped before stays so, and can't be well."""
            nonlocal is_started
            if was_running and not is_started:
                client.start(name)
                is_started = True
                context.log(f"Started the container {name}\n")
            return was_running

        try:
            yield start
        finally:
            start()


def _is_running(client: DockerClient, name: str, context: RunContext) -> bool:
    """One that was removed keeps nobody from restoring its files."""
    try:
        return client.state(name).running
    except ContainerMissingError:
        context.log(f"There is no container {name} to stop: restoring its files all the same.\n")
        return False


def start_again(name: str) -> None:
    """What a lost attempt had stopped. Idempotent; raises a ``DockerError``."""
    with (
        contextlib.closing(DockerClient(base_url=settings.WATCHBILL.docker_host)) as client,
        contextlib.suppress(ContainerMissingError),
    ):
        client.start(name)
