"""The organisations, agents and schedules of the storm, made through the services of the product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.containers import NAME
from tests.chaos.options import Options

# What the organisations may run at once, and each one's agent.
ORGANISATIONS = {"alpha": 3, "beta": 2, "gamma": 4, "delta": 16}
AGENT_LIMIT = 2
MANUAL = "@manually"


@dataclass(frozen=True, kw_only=True)
class Order:
    """A schedule as it is to be; ``values`` are those of the service."""

    name: str
    organisation: str
    expression: str
    executor: str = "chaos.work"
    payload: Mapping[str, Any] = field(default_factory=dict)
    agent: bool = False
    limit: int = 1
    values: Mapping[str, Any] = field(default_factory=dict)


ORDERS = (
    Order(name="a-second", organisation="alpha", expression="* * * * * *", payload={"seconds": 0.1}),
    Order(
        name="a-every-all", organisation="alpha", expression="@every 3s", executor="chaos.bare", limit=2,
        payload={"seconds": 1.0}, values={"overlap": "queue_all", "misfire": "run_all"},
    ),
    Order(
        name="a-agent-retry", organisation="alpha", expression="*/4 * * * * *", agent=True,
        payload={"seconds": 0.5, "fail_attempts": 1}, values={"overlap": "queue_one", "max_retries": 3},
    ),
    Order(
        name="a-once", organisation="alpha", expression="*/5 * * * * *", executor="chaos.once",
        payload={"seconds": 1.5}, values={"overlap": "queue_one"},
    ),
    Order(
        name="a-asked", organisation="alpha", expression=MANUAL, agent=True, limit=3, payload={"seconds": 0.3},
        values={"priority": 8},
    ),
    Order(name="b-second", organisation="beta", expression="* * * * * *", executor="chaos.bare",
          payload={"seconds": 0.2}, values={"misfire": "run_latest"}),
    Order(
        name="b-replace", organisation="beta", expression="*/7 * * * * *", payload={"seconds": 3.0},
        values={"overlap": "cancel_running"},
    ),
    Order(
        name="b-alone", organisation="beta", expression="@every 11s", executor="chaos.alone", agent=True,
        payload={"seconds": 1.0}, values={"overlap": "queue_one"},
    ),
    Order(name="b-beside", organisation="beta", expression="@every 2s", agent=True, limit=2,
          payload={"seconds": 0.4}, values={"jitter_seconds": 1}),
    Order(name="b-asked", organisation="beta", expression=MANUAL, executor="chaos.bare", limit=2,
          payload={"seconds": 0.1}),
    Order(name="g-timeout", organisation="gamma", expression="@every 13s", payload={"seconds": 30.0},
          values={"timeout_seconds": 2}),
    Order(name="g-agent", organisation="gamma", expression="*/3 * * * * *", agent=True, limit=2,
          payload={"seconds": 0.8}, values={"overlap": "queue_all", "misfire": "skip"}),
    Order(name="g-asked", organisation="gamma", expression=MANUAL, limit=3, payload={"seconds": 0.05}),
    # More at once than there are slots, and short: a worker goes from one straight to the next.
    *(
        Order(name=f"d-burst-{number}", organisation="delta", expression="*/10 * * * * *", executor="chaos.bare",
              payload={"seconds": 0.0})
        for number in range(16)
    ),
)  # fmt: skip


def orders(options: Options, *, containers: bool) -> list[Order]:
    """With work that is longer than a lease, and with commands in a container where there is one."""
    found = [
        *ORDERS,
        Order(
            name="g-long", organisation="gamma", expression=MANUAL, limit=2, payload={"seconds": 1.5 * options.lease}
        ),
    ]
    if containers:
        short, endless = f"docker exec {NAME} sleep 1.3", f"docker exec {NAME} sleep 7777"
        found += [
            Order(name="g-command", organisation="gamma", expression="@every 4s", executor="container.command",
                  agent=True, payload={"command": short}),
            Order(name="g-endless", organisation="gamma", expression="@every 17s", executor="container.command",
                  agent=True, payload={"command": endless}, values={"timeout_seconds": 3}),
        ]  # fmt: skip
    return found


def limits() -> dict[str, int]:
    """Each scope that the witness names, and its limit."""
    found = {f"organisation:{slug}": limit for slug, limit in ORGANISATIONS.items()}
    found |= {f"agent:{slug}-agent": AGENT_LIMIT for slug in ORGANISATIONS}
    return found | {f"schedule:{order.name}": order.limit for order in ORDERS} | {"schedule:g-long": 2}


def create(options: Options, trace: Path, *, containers: bool) -> dict[str, str]:
    """Make it all. Returns the API key of each organisation."""
    from fleet.actors import Actor
    from fleet.services.agents import agent_create
    from fleet.services.apikeys import apikey_create
    from fleet.services.organisations import organisation_create

    actor, keys, agents = Actor.command("chaos"), {}, {}
    organisations = {}
    for slug, limit in ORGANISATIONS.items():
        organisations[slug] = organisation_create(slug=slug, max_concurrent_runs=limit, actor=actor)
        container = NAME if containers and slug == "gamma" else ""
        agents[slug] = agent_create(
            organisation=organisations[slug], slug=f"{slug}-agent", actor=actor, container_name=container,
            max_concurrent_runs=AGENT_LIMIT,
        )  # fmt: skip
        scopes = ["schedules:read", "schedules:run"]
        keys[slug] = apikey_create(organisation=organisations[slug], name="chaos", scopes=scopes, actor=actor).secret
    for order in orders(options, containers=containers):
        _create(order, organisations[order.organisation], agents[order.organisation], trace, actor)
    return keys


def _create(order: Order, organisation: Any, agent: Any, trace: Path, actor: Any) -> None:
    from schedules.services.schedules import schedule_create

    witnessed = {} if order.executor == "container.command" else {"trace": str(trace)}
    schedule_create(
        organisation=organisation,
        actor=actor,
        name=order.name,
        expression=order.expression,
        executor=order.executor,
        payload=witnessed | dict(order.payload),
        agent=agent if order.agent else None,
        max_concurrent_runs=order.limit,
        **dict(order.values),
    )
