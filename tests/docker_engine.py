"""A real Docker engine for tests, and containers to try things in.

The engine is this session's own: its data in a temporary folder, no network. Where that cannot be (no root,
no dockerd), tests skip with the reason, and fail where CI is set.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import docker
import pytest

from fleet.clients.docker_socket import knock

PROJECT = Path(__file__).parents[1]
_PYTHON = Path(sys.executable).resolve()
_IMAGE = "watchbill-toy"
_PATH = "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"
#: Folders of this host that Python may need, bound read-only into a container at the same place.
_HOST_FOLDERS = ("/usr", "/lib", "/lib64", "/bin", "/etc/ssl", "/etc/alternatives")

ToyContainer = Callable[..., str]
AgentContainer = Callable[..., str]


@dataclass(frozen=True)
class Engine:
    """A running engine; ``base_url`` is what ``DOCKER_HOST`` would hold."""

    base_url: str
    api: docker.APIClient


def _missing() -> str:
    programs = ("dockerd", "runc", "containerd", "busybox")
    absent = [name for name in programs if not shutil.which(name, path=_PATH)]
    if absent:
        return f"{', '.join(absent)} not found: apt-get install docker.io runc busybox-static"
    return "" if os.geteuid() == 0 else "dockerd needs root"


def _skip(reason: str) -> None:
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(f"no Docker engine: {reason}")
    pytest.skip(f"no Docker engine: {reason}")


@contextlib.contextmanager
def _engine(folder: Path) -> Iterator[Engine]:
    url = f"unix://{folder}/docker.sock"
    command = [
        "dockerd",
        "--data-root",
        folder / "root",
        "--exec-root",
        folder / "exec",
        "--pidfile",
        folder / "pid",
    ]
    command += ["-H", url, "--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PATH": _PATH})
    try:
        engine = Engine(url, _connect(url, process, folder / "log"))
        try:
            yield engine
        finally:
            _remove_containers(engine.api)
            engine.api.close()
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait(10)
        _end_leftovers(folder)


def _connect(url: str, process: subprocess.Popen[bytes], log: Path) -> docker.APIClient:
    until = time.monotonic() + 40
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError):
            knock(url)
            return docker.APIClient(base_url=url, timeout=30)
        time.sleep(0.1)
    _skip(f"it did not start: {log.read_text(errors='replace')[-500:]}")
    raise AssertionError


def _end_leftovers(folder: Path) -> None:
    """Of an engine that hung: its shims, which carry its folder in their arguments, and its mounts."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{folder}/".encode() in (entry / "cmdline").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in reversed([mount for mount in mounts if mount.startswith(f"{folder}/")]):
        subprocess.run(["umount", "-l", mount], check=False)


def _remove_containers(api: docker.APIClient) -> None:
    for container in api.containers(all=True):
        with contextlib.suppress(docker.errors.APIError):
            api.remove_container(container["Id"], force=True)


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[Engine]:
    if reason := _missing():
        _skip(reason)
    # Not pytest's own folder: the path of a socket may have 107 characters only.
    folder = Path(tempfile.mkdtemp(prefix="wb-docker-"))
    try:
        with _engine(folder) as engine:
            engine.api.import_image_from_data(_rootfs(), repository=_IMAGE, tag="1")
            yield engine
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rootfs() -> bytes:
    """A statically linked busybox under all of its names, and a wrapper for the ``s3`` command."""
    busybox = Path(str(shutil.which("busybox", path=_PATH)))
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("bin", "etc", "proc", "tmp", "usr", "lib", "lib64", "workspace", "opt/bin"):
            _add(tar, name, kind=tarfile.DIRTYPE)
        _add(tar, "etc/passwd", b"root:x:0:0::/:/bin/sh\nagent:x:1000:1000::/:/bin/sh\n", mode=0o644)
        _add(tar, "opt/bin/busybox", busybox.read_bytes())
        _add(tar, "opt/bin/s3", _s3_script().encode())
        for applet in applets:
            if applet != "busybox":
                _add(tar, f"bin/{applet}", kind=tarfile.SYMTYPE, link="/opt/bin/busybox")
    return buffer.getvalue()


def _add(
    tar: tarfile.TarFile,
    name: str,
    data: bytes = b"",
    *,
    kind: bytes = tarfile.REGTYPE,
    link: str = "",
    mode: int = 0o755,
) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size, info.linkname = kind, mode, len(data), link
    tar.addfile(info, BytesIO(data))


def _s3_script() -> str:
    # The interpreter itself, not the virtual environment's link to it: the link may lead through folders that the
    # container does not have.
    packages = sysconfig.get_paths()["purelib"]
    return f'#!/bin/sh\nPYTHONPATH={PROJECT}:{packages} exec {_PYTHON} -m backups.archive.s3cli "$@"\n'


def _start(engine: Engine, name: str, **options: object) -> str:
    api = engine.api
    command = options.pop("command", ["/opt/bin/busybox", "sleep", "100000"])
    environment = options.pop("environment", {})
    user = options.pop("user", None)
    made = api.create_container(
        f"{_IMAGE}:1",
        command,
        name=name,
        user=user,
        environment={"PATH": f"/opt/bin:{_PATH}", **environment},
        host_config=api.create_host_config(**options),
    )
    api.start(made["Id"])
    return name


@pytest.fixture
def toy_container(docker_engine: Engine) -> Iterator[ToyContainer]:
    """``toy_container(name="", user=None, command=…)`` starts one without a network and answers its name."""
    names: list[str] = []

    def make(name: str = "", **options: object) -> str:
        names.append(_start(docker_engine, name or f"toy-{secrets.token_hex(4)}", network_mode="none", **options))
        return names[-1]

    yield make
    _remove(docker_engine, names)


@pytest.fixture
def agent_container(docker_engine: Engine) -> Iterator[AgentContainer]:
    """``agent_container(name, env, workspace)``: a container that really has the ``s3`` command.

    Its Python, its packages and this project are the host's, bound read-only at the same places; it shares
    the host's network, so that it reaches an S3 server on loopback.
    """
    names: list[str] = []

    def make(name: str, env: Mapping[str, str], workspace: Path) -> str:
        binds = [f"{folder}:{folder}:ro" for folder in _host_folders()]
        binds.append(f"{workspace}:/workspace")
        names.append(_start(docker_engine, name, network_mode="host", binds=binds, environment=dict(env)))
        return name

    yield make
    _remove(docker_engine, names)


def _host_folders() -> list[str]:
    wanted = [*_HOST_FOLDERS, sys.prefix, sys.base_prefix, str(_PYTHON.parents[1]), str(PROJECT)]
    folders = sorted({folder for folder in wanted if Path(folder).is_dir()})
    # One inside another is bound with it.
    return [f for f in folders if not any(f != other and Path(f).is_relative_to(other) for other in folders)]


def _remove(engine: Engine, names: list[str]) -> None:
    for name in names:
        with contextlib.suppress(docker.errors.NotFound):
            engine.api.remove_container(name, force=True)
