"""What a schedule runs: the contract between the engine and an executor.

An executor is one class in one file below some app's ``executors`` package; it is found by discovery
(``schedules.executors.registry``). It decides; the outside world is touched by ``clients``.

Effects are at-least-once: a worker may die between an effect and its commit. So every effect is handed
``context.job_run_id`` as its idempotency key, an outside handle is recorded *before* the outside work is
started, and ``reap`` ends what a former attempt of the same run left running.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

Stream = Literal["stdout", "stderr", "system"]
OnLost = Literal["retry", "fail"]
#: How a run holds its agent: beside others, alone, or alone and before others (``docs/run-lifecycle.md``).
Hold = Literal["shared", "exclusive", "recovery"]


class Payload(BaseModel):
    """Base of every executor's payload: unknown keys are refused, so that a typo is seen when it is saved."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ExecutorError(Exception):
    """The work failed for a known reason.

    ``code`` is stable and machine-readable (``container_missing``), the message says what happened and what to
    do next, ``retryable`` says whether trying again later can help.
    """

    def __init__(self, code: str, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable


class Stopped(Exception):
    """Raised by ``context.check()``: the run was cancelled, passed its deadline, or lost its lease."""


@dataclass(frozen=True, kw_only=True)
class AgentView:
    """An agent as executors see it: plain values, no database behind it."""

    id: int
    slug: str
    runtime: str
    container_name: str
    workspace_folder: str
    state_folder: str
    base_url: str
    health_url: str
    secret_refs: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a successful attempt leaves on its run."""

    summary: str
    details: Mapping[str, Any] = field(default_factory=dict)
    session_id: str = ""
    message_id: str = ""


class RunContext(Protocol):
    """The engine's side of one attempt. Thread-safe."""

    @property
    def run_id(self) -> int: ...
    @property
    def job_run_id(self) -> str: ...
    @property
    def attempt(self) -> int: ...
    @property
    def organisation_id(self) -> int: ...
    @property
    def organisation(self) -> str:
        """The organisation's slug."""
        ...

    @property
    def schedule(self) -> str:
        """The schedule's name; empty for a run without one."""
        ...

    @property
    def agent(self) -> AgentView | None: ...

    def log(self, text: str, *, stream: Stream = "system") -> None:
        """Append text to the run's log; may hold several lines or part of one."""
        ...

    def hide(self, values: Iterable[str]) -> None:
        """Mask these values in the log and the error of this attempt from now on."""
        ...

    def check(self) -> None:
        """Raise :class:`Stopped` when the attempt must end. Call it per chunk of work."""
        ...

    def stopped(self) -> bool: ...

    def on_stop(self, callback: Any) -> None:
        """Call ``callback()`` once from the watcher's thread when the attempt must end (or now, if it must)."""
        ...

    def record_handle(self, handle: Mapping[str, Any]) -> None:
        """Store, durably, what the next attempt needs to reap this one. Call *before* the outside work starts."""
        ...

    def is_current(self) -> bool:
        """Ask the database whether this attempt still holds its run; call just before an irreversible step."""
        ...


P = TypeVar("P", bound=Payload)


class Executor(ABC, Generic[P]):
    """One kind of work. Stateless: one instance serves every run of a process, from several threads."""

    key: ClassVar[str]
    title: ClassVar[str]
    queue: ClassVar[str]
    on_lost: ClassVar[OnLost] = "retry"
    #: Retries when the schedule names none: 0 where repeating may do harm, more where it cannot.
    default_retries: ClassVar[int] = 0
    needs_agent: ClassVar[bool] = False
    #: ``exclusive``: nothing else runs on the agent meanwhile. ``recovery``: the same, and it goes first: it passes the
    #: limits of organisation and schedule, and what holds the agent is cancelled after a grace.
    hold: ClassVar[Hold] = "shared"
    payload_model: type[P]

    @abstractmethod
    def execute(self, payload: P, context: RunContext) -> Result:
        """Do the work.

        Raises :class:`ExecutorError` for a known failure and lets :class:`Stopped` pass. Any other exception
        is recorded as ``executor_error`` and retried.
        """

    def reap(self, handle: Mapping[str, Any], context: RunContext) -> None:
        """End what an attempt left outside: a lost one, or this one after it failed or was stopped.

        Quick and silent when nothing is left, idempotent; raises when the work still runs or may still run.
        """

    def container_named(self, payload: P) -> str:  # noqa: ARG002 - an executor that names one overrides this
        """The container that the payload names, if any: whose container it is tells the agent.

        Raises ``ValueError`` with the way out when the payload can't be read.
        """
        return ""

    def check_payload(self, payload: P, *, agent: AgentView | None) -> None:
        """Refuse, when a schedule is saved, what could never run. Raises ``ValueError`` with the way out."""
