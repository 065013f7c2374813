"""A toy container on a real engine, where there is one: commands that chaos may not leave running."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import docker_engine

NAME = "chaos-toy"
_OWN = "sleep 100000"


@dataclass(frozen=True, kw_only=True)
class Toy:
    """A running container of one agent."""

    engine: docker_engine.Engine

    @property
    def base_url(self) -> str:
        return self.engine.base_url

    def left_running(self) -> list[str]:
        """The commands that still run in it, besides its own."""
        rows = self.engine.api.top(NAME, ps_args="-eo pid,args")["Processes"]
        commands = [row[-1] for row in rows]
        return [command for command in commands if _OWN not in command]


@contextmanager
def toy() -> Iterator[Toy | None]:
    """None where no engine can be had."""
    if docker_engine._missing():
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="wb-docker-"))
    try:
        with docker_engine._engine(folder) as engine:
            engine.api.import_image_from_data(docker_engine._rootfs(), repository=docker_engine._IMAGE, tag="1")
            docker_engine._start(engine, NAME, network_mode="none")
            yield Toy(engine=engine)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
