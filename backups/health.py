"""Is the agent well after a restore? Its container, that one's own check, and its health URL, where it has them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from django.conf import settings

from fleet.clients.docker import DockerClient
from fleet.clients.http import UrlFailedError, UrlRefusedError, get_status
from schedules.executors.base import AgentView

_NAP = 0.5
#: Seconds that a container has to stay up when nothing else can be asked.
_STAYS = 3.0
_OK = 200


class HealthError(Exception):
    """It did not become well in time."""

    code = "unhealthy"
    retryable = False


def wait_until_healthy(agent: AgentView, *, seconds: float, check: Callable[[], None]) -> None:
    """Until the agent is well. Raises :class:`HealthError` with what was wrong last, and what ``check`` raises."""
    until, up_since = time.monotonic() + seconds, 0.0
    while True:
        check()
        problem = _container_problem(agent) or _url_problem(agent)
        now = time.monotonic()
        up_since = 0.0 if problem else up_since or now
        if up_since and (agent.health_url or not agent.container_name or now - up_since >= min(_STAYS, seconds)):
            return
        if now > until:
            raise HealthError(f"{agent.slug} is not well after {seconds:.0f} s: {problem or 'it does not stay up'}.")
        time.sleep(_NAP)


def _container_problem(agent: AgentView) -> str:
    if not agent.container_name:
        return ""
    with contextlib.closing(DockerClient(base_url=settings.WATCHBILL.docker_host)) as client:
        state = client.state(agent.container_name)
    if not state.running:
        return f"its container {agent.container_name} is not running"
    if state.health not in {"", "healthy"}:
        return f"its container {agent.container_name} is {state.health}"
    return ""


def _url_problem(agent: AgentView) -> str:
    if not agent.health_url:
        return ""
    try:
        status = get_status(agent.health_url, allowed=settings.WATCHBILL.outgoing_allow)
    except (UrlFailedError, UrlRefusedError) as error:
        return str(error)
    return "" if status == _OK else f"{agent.health_url} answers {status}"
