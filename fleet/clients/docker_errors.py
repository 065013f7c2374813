"""What can go wrong with a container. Each message says what happened and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class DockerError(Exception):
    """Base of the family. ``code`` is stable, ``retryable`` says whether trying again later can help."""

    code: ClassVar[str] = "docker_error"
    retryable: ClassVar[bool] = True


class ContainerMissingError(DockerError):
    code = "container_missing"

    def __init__(self, container: str, known: Iterable[str] = ()) -> None:
        """Names that are near come from ``known`` only: another tenant's containers are not ours to tell."""
        near = difflib.get_close_matches(container, [name for name in known if name != container], n=3)
        hint = f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
        super().__init__(
            f"Container '{container}' does not exist.{hint} "
            "Check the agent's container name, or create the container and try again.",
        )


class ContainerStoppedError(DockerError):
    code = "container_stopped"

    def __init__(self, container: str) -> None:
        super().__init__(
            f"Container '{container}' is not running. Start it (docker start {container}), then try again."
        )


class ContainerPausedError(DockerError):
    code = "container_paused"

    def __init__(self, container: str) -> None:
        super().__init__(f"Container '{container}' is paused. Resume it (docker unpause {container}), then try again.")


class CommandNotFoundError(DockerError):
    """The command could not be started at all; nothing of it ran."""

    code = "command_not_found"
    retryable = False


class PathMissingError(DockerError):
    code = "path_missing"
    retryable = False


class StillRunningError(DockerError):
    """Work that was to end and does not."""

    code = "still_running"

    def __init__(self, container: str) -> None:
        super().__init__(
            f"The command in container '{container}' was to end and still runs. "
            "Look at the container: is it paused, or hung on a device?",
        )


class OutputLostError(DockerError):
    """The connection to a command's output ended before the command did; it may still run."""

    code = "output_lost"

    def __init__(self, container: str) -> None:
        super().__init__(
            f"The output of the command in container '{container}' broke off while the command was not over: the "
            "Docker engine or the container was started anew or removed, or the command closed its output. "
            "How it ended is not known.",
        )


class EngineUnreachableError(DockerError):
    code = "docker_unreachable"


class EngineFailedError(DockerError):
    code = "docker_failed"
