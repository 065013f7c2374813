"""A container for one command: without a network, without rights, gone afterwards."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import docker

from fleet.clients.docker import DockerClient
from fleet.clients.docker_errors import DockerError
from fleet.clients.docker_socket import failures

_POLL = 0.3
_MEMORY = 1024**3
_PROCESSES = 256
_MOST_OUTPUT = 1024 * 1024


class ImageMissingError(DockerError):
    code = "image_missing"
    retryable = False


class ProbeTimeoutError(DockerError):
    code = "probe_timeout"
    retryable = False


class Throwaway:
    """``name`` is known before the container is: whoever finds it later can remove it."""

    def __init__(self, client: DockerClient, name: str) -> None:
        self._client, self.name = client, name

    def run(
        self, image: str, command: Sequence[str], *, folder: Path, seconds: float, check: Callable[[], None]
    ) -> tuple[int, str]:
        """The exit code and the output. ``folder`` is mounted at ``/restored``."""
        api = self._client.api()
        with failures(self.name, self._client.url):
            try:
                api.create_container(
                    image,
                    list(command),
                    name=self.name,
                    network_disabled=True,
                    host_config=api.create_host_config(
                        binds={str(folder): {"bind": "/restored", "mode": "rw"}},
                        network_mode="none",
                        cap_drop=["ALL"],
                        cap_add=["DAC_OVERRIDE"],
                        security_opt=["no-new-privileges"],
                        mem_limit=_MEMORY,
                        pids_limit=_PROCESSES,
                    ),
                )
            except docker.errors.ImageNotFound as error:
                raise ImageMissingError(
                    f"There is no image {image!r} on this engine, and none is pulled: docker pull {image}"
                ) from error
            api.start(self.name)
            code = self._wait(time.monotonic() + seconds, check)
            output = api.logs(self.name, tail=1000)[-_MOST_OUTPUT:]
        return code, output.decode(errors="replace")

    def _wait(self, until: float, check: Callable[[], None]) -> int:
        while True:
            state = self._client.api().inspect_container(self.name)["State"]
            if not state["Running"]:
                return int(state["ExitCode"])
            check()
            if time.monotonic() > until:
                raise ProbeTimeoutError("The probe did not end in its time (probe_seconds), and was ended.")
            time.sleep(_POLL)

    def remove(self) -> None:
        """Idempotent."""
        with failures(self.name, self._client.url), contextlib.suppress(docker.errors.NotFound):
            self._client.api().remove_container(self.name, force=True, v=True)
