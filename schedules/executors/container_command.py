"""``docker exec …``, as SOP-001 writes it, in the container of one of the organisation's own agents."""

from __future__ import annotations

import codecs
import threading
from collections.abc import Mapping
from typing import Any, ClassVar

from django.conf import settings
from pydantic import Field

from fleet.clients.docker import DockerClient, ExecHandle
from fleet.clients.docker_command import DockerExec, parse_docker_exec
from fleet.clients.docker_errors import DockerError, StillRunningError
from fleet.clients.docker_socket import OutputStream
from schedules.executors.base import AgentView, Executor, ExecutorError, Payload, Result, RunContext

_LAST_LINE = 300
_LONGEST_COMMAND = 20_000


class CommandPayload(Payload):
    command: str = Field(min_length=1, max_length=_LONGEST_COMMAND)


def container_of(command: str) -> str:
    """The container that a command names. Raises ``ValueError`` for what is no ``docker exec``."""
    return parse_docker_exec(command).container


def docker_client() -> DockerClient:
    return DockerClient(base_url=settings.WATCHBILL.docker_host)


class ContainerCommand(Executor[CommandPayload]):
    """Ends with the command's exit code; stdout and stderr go to the run's log as they come."""

    key: ClassVar[str] = "container.command"
    title: ClassVar[str] = "Command in an agent's container"
    queue: ClassVar[str] = "containers"
    needs_agent: ClassVar[bool] = True
    payload_model = CommandPayload

    def container_named(self, payload: CommandPayload) -> str:
        return container_of(payload.command)

    def check_payload(self, payload: CommandPayload, *, agent: AgentView | None) -> None:
        _require_own(parse_docker_exec(payload.command), agent)

    def execute(self, payload: CommandPayload, context: RunContext) -> Result:
        try:
            request = parse_docker_exec(payload.command)
            _require_own(request, context.agent)
        except ValueError as error:
            raise ExecutorError("invalid_command", str(error), retryable=False) from error
        context.hide(request.env.values())
        for note in request.notes:
            context.log(f"{note}\n")
        return _run(request, context)

    def reap(self, handle: Mapping[str, Any], context: RunContext) -> None:
        client = docker_client()

        def found() -> None:
            context.log("What was still running in the container was ended.\n")

        try:
            if client.kill_exec(ExecHandle(**handle), on_found=found):
                raise StillRunningError(handle["container"])
        except DockerError as error:
            raise ExecutorError(error.code, str(error)) from error
        finally:
            client.close()


def _require_own(request: DockerExec, agent: AgentView | None) -> None:
    """An organisation reaches the containers of its own agents and no other."""
    if agent is None:
        raise ValueError(f"No agent is known for container '{request.container}'. Name one with --agent.")
    if not agent.container_name:
        raise ValueError(f"The agent '{agent.slug}' has no container. Set its container name first.")
    if request.container != agent.container_name:
        raise ValueError(
            f"Container '{request.container}' is not the one of the agent '{agent.slug}', "
            f"which is '{agent.container_name}'. Name that one, or choose another agent.",
        )


def _run(request: DockerExec, context: RunContext) -> Result:
    client = docker_client()
    output = _Output(context)

    def started(handle: ExecHandle) -> None:
        context.record_handle(handle.as_dict())
        context.on_stop(lambda: _kill_in_background(handle))

    try:
        code = client.exec_stream(
            request.container,
            request.argv,
            env=_environment(request, context),
            user=request.user,
            workdir=request.workdir,
            known=[request.container],
            on_started=started,
            on_output=output.take,
            stop=context.stopped,
        )
    except DockerError as error:
        raise ExecutorError(error.code, str(error), retryable=error.retryable) from error
    finally:
        output.flush()
        client.close()
    context.check()
    return _judge(code, output.last_line(first="stderr" if code else "stdout"))


def _environment(request: DockerExec, context: RunContext) -> dict[str, str]:
    ours = {"WATCHBILL_JOB_RUN_ID": context.job_run_id, "WATCHBILL_ATTEMPT": str(context.attempt)}
    return {**request.env, **ours}


def _kill_in_background(handle: ExecHandle) -> None:
    """The watcher has other runs to look after, and the thread of this one may be stuck writing its log."""
    threading.Thread(target=_kill, args=(handle,), daemon=True, name="container-kill").start()


def _kill(handle: ExecHandle) -> None:
    client = docker_client()
    try:
        client.kill_exec(handle)
    except DockerError:
        return  # the run's own thread meets the same and reports it
    finally:
        client.close()


def _judge(code: int, last_line: str) -> Result:
    if code != 0:
        told = f" Last line: {last_line}" if last_line else " It printed nothing."
        raise ExecutorError("exit_code", f"The command ended with exit code {code}.{told}")
    return Result(summary=last_line or "The command ended with exit code 0.", details={"exit_code": code})


class _Output:
    """Bytes to log text as they come; a character that was cut in two waits for its rest."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        make = codecs.getincrementaldecoder("utf-8")
        self._decoders: dict[OutputStream, codecs.IncrementalDecoder] = {
            "stdout": make("replace"),
            "stderr": make("replace"),
        }
        self._tails: dict[OutputStream, str] = {"stdout": "", "stderr": ""}

    def take(self, stream: OutputStream, data: bytes, *, final: bool = False) -> None:
        text = self._decoders[stream].decode(data, final)
        if text:
            self._context.log(text, stream=stream)
            # Twice what is shown: the line may begin before this piece and end with blank lines.
            self._tails[stream] = (self._tails[stream] + text)[-2 * _LAST_LINE :]

    def flush(self) -> None:
        for stream in self._decoders:
            self.take(stream, b"", final=True)

    def last_line(self, *, first: OutputStream) -> str:
        """The last line of this stream, else of the other: the engine promises no order between the two."""
        for tail in (self._tails[first], self._tails["stdout"], self._tails["stderr"]):
            if lines := [line.strip() for line in tail.splitlines() if line.strip()]:
                return lines[-1][:_LAST_LINE]
        return ""
