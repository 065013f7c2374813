"""The single door to the Docker engine."""

from __future__ import annotations

import contextlib
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import docker

from fleet.clients import docker_errors as errors
from fleet.clients.docker_kill import (
    TOKEN_VARIABLE,
    new_token,
    parse_pids,
    script_argv,
    signal_from_outside,
)
from fleet.clients.docker_socket import OutputStream, failures, frames, knock

DEFAULT_URL = "unix:///var/run/docker.sock"
_TIMEOUT = 30
#: Seconds that processes get to end by themselves, in which a kill may try again, and that it may take in all.
_GRACE = 1.5
_KILL_LIMIT = 4.0
_HARD_LIMIT = 5.0
_NAP = 0.15
#: What our own little scripts may answer: a container's shell is the container's, and may be hostile.
_MOST_ANSWER = 64 * 1024
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
#: The exit codes of an exec that could not be started, and what the engine then says instead of output.
_NOT_STARTED = {126, 127}
_RUNTIME_WORDS = (b"OCI runtime exec failed", b"unable to find user", b"unable to find group")
_HEAD = 4096

OnOutput = Callable[[OutputStream, bytes], None]


@dataclass(frozen=True, kw_only=True)
class ExecHandle:
    """What is needed to find an exec's processes again, also from another process and later.

    Handles that were recorded before the id was kept have none; their container is found by its name.
    """

    container: str
    exec_id: str
    token: str
    user: str
    container_id: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class ContainerState:
    """``health`` is the container's own check: ``starting``, ``healthy``, ``unhealthy``, empty where it has none."""

    running: bool
    paused: bool
    health: str


class DockerClient:
    """Thread-safe. Connects at the first call, so that making one never fails."""

    def __init__(self, *, base_url: str = "", timeout: float = _TIMEOUT) -> None:
        self.url = base_url or DEFAULT_URL
        self._timeout = timeout
        self._connected: Any = None

    def api(self) -> Any:
        """The SDK's own client, for the other modules of this folder."""
        if self._connected is None:
            knock(self.url)
            self._connected = docker.APIClient(base_url=self.url, timeout=self._timeout)
        return self._connected

    def close(self) -> None:
        if self._connected is not None:
            self._connected.close()

    def exec_stream(
        self,
        container: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        user: str = "",
        workdir: str = "",
        known: Sequence[str] = (),
        on_started: Callable[[ExecHandle], None],
        on_output: OnOutput,
        stop: Callable[[], bool],
    ) -> int:
        """Run ``argv`` and answer its exit code.

        ``on_started`` gets the handle before the command is started. When ``stop()`` turns true, the
        command's processes are killed and the exit code is what that left.
        """
        token = new_token()
        with failures(container, self.url, tuple(known)):
            container_id = self._resolve(container, known)
            created = self.api().exec_create(
                container_id,
                list(argv),
                environment={**env, TOKEN_VARIABLE: token},
                user=user,
                workdir=workdir or None,
            )
        handle = ExecHandle(
            container=container, container_id=container_id, exec_id=created["Id"], token=token, user=user
        )
        on_started(handle)
        with failures(container, self.url, tuple(known)):
            head = self._stream(handle, on_output, stop)
            code = self._exit_code(handle)
        _require_started(argv, code, head)
        return code

    def _resolve(self, container: str, known: Sequence[str] = ()) -> str:
        """The full id of the container of exactly this name.

        The engine also takes an id and any beginning of one: by such a name an agent would reach another's
        container. What follows goes by the id, so that it reaches the container that was looked at.
        """
        if _NAME.fullmatch(container):
            found = self.api().inspect_container(container)
            if found["Name"] == f"/{container}":
                return str(found["Id"])
        raise errors.ContainerMissingError(container, known)

    def _stream(self, handle: ExecHandle, on_output: OnOutput, stop: Callable[[], bool]) -> bytes:
        """Everything to ``on_output``; the first bytes are also answered."""
        head = b""
        killed_at = 0.0

        def poll() -> None:
            # Again and again: the first kill may come before the command has really started.
            nonlocal killed_at
            if stop() and time.monotonic() - killed_at > 1:
                if self.kill_exec(handle):
                    raise errors.StillRunningError(handle.container)
                killed_at = time.monotonic()

        if stop():
            return head
        response = self._start(handle.exec_id, self._timeout)
        try:
            for stream, data in frames(response, poll):
                head += data[: _HEAD - len(head)]
                on_output(stream, data)
        finally:
            response.close()
        return head

    def _start(self, exec_id: str, timeout: float) -> Any:
        """As ``exec_start`` of the SDK, but with the response, whose buffer ``frames`` needs."""
        api = self.api()
        url = api._url("/exec/{0}/start", exec_id)  # noqa: SLF001
        asked = {"headers": {"Connection": "Upgrade", "Upgrade": "tcp"}, "stream": True, "timeout": timeout}
        response = api._post_json(url, data={"Tty": False, "Detach": False}, **asked)  # noqa: SLF001
        api._raise_for_status(response)  # noqa: SLF001
        return response

    def _exit_code(self, handle: ExecHandle) -> int:
        """Raises :class:`OutputLostError` when the output ended before the command did."""
        try:
            state = self._ended(handle.exec_id, time.monotonic() + _KILL_LIMIT)
        except docker.errors.NotFound as error:
            # The engine was started anew, or the container removed.
            raise errors.OutputLostError(handle.container) from error
        if state["Running"]:
            raise errors.OutputLostError(handle.container)
        return -1 if state["ExitCode"] is None else int(state["ExitCode"])

    def _ended(self, exec_id: str, until: float) -> Any:
        """The engine notes the code a moment after the output ended."""
        while (state := self.api().exec_inspect(exec_id))["Running"] and time.monotonic() < until:
            time.sleep(_NAP)
        return state

    def kill_exec(self, handle: ExecHandle, *, on_found: Callable[[], None] = lambda: None) -> bool:
        """End every process of an exec; True when something is left running. Idempotent.

        First politely, then not. ``on_found`` is called when there was something to end. A container that is
        gone or stopped has nothing left; a paused one cannot be reached, so its processes are left, and so
        are those of one whose shell does not answer.
        """
        started = time.monotonic()
        found = False
        try:
            while time.monotonic() - started < _KILL_LIMIT:
                name = "TERM" if time.monotonic() - started < _GRACE else "KILL"
                if not self._signal(handle, name, started + _HARD_LIMIT):
                    return False
                if not found:
                    found = True
                    on_found()
                time.sleep(_NAP)
        except (errors.ContainerMissingError, errors.ContainerStoppedError):
            return False
        except (errors.ContainerPausedError, errors.StillRunningError):
            return True
        return True

    def _signal(self, handle: ExecHandle, name: str, until: float) -> bool:
        """True when processes were found, and signalled."""
        try:
            found = self._run_script(handle, handle.user, script_argv(handle.token, name), until)
            if handle.user not in {"0", "root"}:
                # Once more as root, with what was found: a child may have changed its user.
                found += self._run_script(handle, "0", script_argv(handle.token, name, found), until)
        except errors.CommandNotFoundError:
            return self._signal_outside(handle, name)
        # Nothing found may also mean: about to start.
        return bool(found) or self.is_running(handle)

    def _run_script(self, handle: ExecHandle, user: str, argv: list[str], until: float) -> tuple[int, ...]:
        code, output = self._run(handle, argv, user, until)
        if code in _NOT_STARTED:
            raise errors.CommandNotFoundError(f"Container '{handle.container}' has no shell.")
        return parse_pids(output)

    def _run(self, handle: ExecHandle, argv: list[str], user: str, until: float) -> tuple[int | None, bytes]:
        """A little script beside an exec. Raises :class:`StillRunningError` past the time or length it may take."""
        with failures(handle.container, self.url):
            container = handle.container_id or self._resolve(handle.container)
            exec_id = self.api().exec_create(container, argv, user=user)["Id"]
            response = self._start(exec_id, _HARD_LIMIT)
            try:
                output = self._answer(response, handle, until)
            finally:
                response.close()
            return self._ended(exec_id, until)["ExitCode"], output

    @staticmethod
    def _answer(response: Any, handle: ExecHandle, until: float) -> bytes:
        answer = {"stdout": b"", "stderr": b""}

        def hurry() -> None:
            if time.monotonic() > until or max(map(len, answer.values())) > _MOST_ANSWER:
                raise errors.StillRunningError(handle.container)

        for stream, data in frames(response, hurry):
            answer[stream] += data
        hurry()
        return answer["stdout"]

    def _signal_outside(self, handle: ExecHandle, name: str) -> bool:
        seen = signal_from_outside(handle.token, getattr(signal, f"SIG{name}"))
        return seen or self.is_running(handle)

    def is_running(self, handle: ExecHandle) -> bool:
        """What the engine says of the exec's first process."""
        with failures(handle.container, self.url), contextlib.suppress(docker.errors.NotFound):
            return bool(self.api().exec_inspect(handle.exec_id)["Running"])
        return False

    def container_exists(self, container: str) -> bool:
        try:
            with failures(container, self.url):
                self._resolve(container)
        except errors.ContainerMissingError:
            return False
        return True

    def state(self, container: str) -> ContainerState:
        """What the engine says of it now."""
        with failures(container, self.url):
            found = self.api().inspect_container(self._resolve(container))["State"]
        health = (found.get("Health") or {}).get("Status", "")
        return ContainerState(
            running=found["Running"], paused=found["Paused"], health="" if health == "none" else health
        )

    def image_of(self, container: str) -> str:
        """The image that it was made of, by the name that was given then."""
        with failures(container, self.url):
            return str(self.api().inspect_container(self._resolve(container))["Config"]["Image"])

    def stop(self, container: str, *, seconds: int = 10) -> bool:
        """Stop it: politely, then after ``seconds`` not. False when it was stopped already."""
        with failures(container, self.url):
            container_id = self._resolve(container)
            was_running = bool(self.api().inspect_container(container_id)["State"]["Running"])
            self.api().stop(container_id, timeout=seconds)
        return was_running

    def pause(self, container: str) -> None:
        """Its processes stand still. One that is paused already will do."""
        with failures(container, self.url):
            container_id = self._resolve(container)
            if not self.api().inspect_container(container_id)["State"]["Paused"]:
                self.api().pause(container_id)

    def unpause(self, container: str) -> bool:
        """Let them go on. False when it was not paused."""
        with failures(container, self.url):
            container_id = self._resolve(container)
            was_paused = bool(self.api().inspect_container(container_id)["State"]["Paused"])
            if was_paused:
                self.api().unpause(container_id)
        return was_paused

    def start(self, container: str) -> None:
        """Start it; one that runs already will do."""
        with failures(container, self.url):
            self.api().start(self._resolve(container))

    def get_archive(self, container: str, path: str, *, known: Sequence[str] = ()) -> Iterator[bytes]:
        """A tar stream of a path in a container, stopped ones too; the path's last part is its top."""
        with failures(container, self.url, tuple(known)):
            try:
                stream, _ = self.api().get_archive(self._resolve(container, known), path)
            except docker.errors.NotFound as error:
                if "No such container" in str(error.explanation):
                    raise
                raise errors.PathMissingError(
                    f"There is no {path} in container '{container}'. Check the agent's workspace folder.",
                ) from error
        return self._translated(stream, container)

    def _translated(self, stream: Iterator[bytes], container: str) -> Iterator[bytes]:
        with failures(container, self.url):
            yield from stream


def _require_started(argv: Sequence[str], code: int, head: bytes) -> None:
    """A command that the engine could not start ends as 126 or 127, with a text of the engine's as output."""
    if code not in _NOT_STARTED or not head.startswith(_RUNTIME_WORDS):
        return
    reason = head.decode(errors="replace").strip().removesuffix(": unknown")
    raise errors.CommandNotFoundError(
        f"'{argv[0]}' could not be started in the container: {reason}. Check the command, its user (-u) "
        "and its folder (-w), and that the program is installed in the container.",
    )
