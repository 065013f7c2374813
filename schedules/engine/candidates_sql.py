"""The statements of ``candidates``, for both databases. Each condition stands as the index that serves it has it."""

# run_waiting, run_waiting_urgent
_WAITS = "status = 'queued' AND admission_token = ''"
# The same as expressions, so that the index of all that waits does not look tempting.
_NOT_OUT = "status || '' = 'queued' AND admission_token || '' = ''"
# run_exclusive_waiting, and no other
_ALONE_WAITS = (
    "hold IN ('exclusive', 'recovery') AND status >= 'queued' AND status <= 'queued' AND admission_token = ''"
)
# run_holding: it runs, its message is out, or what its lost attempt left has to be reaped.
HOLDS = (
    "status IN ('queued', 'running') AND (status = 'running' OR NOT (admission_token = '') OR NOT (handle = {nothing}))"
)

# All that admission has to know before it looks at runs, in one round trip: kind, organisation, number, text, moment.
# Who holds slots is counted when somebody waits, and so are messages unless they are asked for (``{counted}``).
# The organisations with a run that waits are found from one to the next through the index, whatever the number of runs:
# a GROUP BY would read them all. Parameter: the moment; without one PostgreSQL's own clock.
OUTLOOK = f"""
WITH RECURSIVE clock AS (
  SELECT {{moment_or_clock}} AS now
), waiting (id) AS (
  SELECT min(organisation_id) FROM schedules_run WHERE {_WAITS}
  UNION ALL
  SELECT (SELECT min(organisation_id) FROM schedules_run WHERE {_WAITS} AND organisation_id > waiting.id)
  FROM waiting WHERE waiting.id IS NOT NULL
), lane AS (
  SELECT o.id, o.max_concurrent_runs, (
    SELECT min(next_attempt_at) FROM schedules_run WHERE {_WAITS} AND organisation_id = o.id
  ) AS since
  FROM waiting JOIN fleet_organisation o ON o.id = waiting.id
  WHERE o.is_active
)
SELECT 'clock', CAST(NULL AS bigint), CAST(NULL AS bigint), CAST(NULL AS text), now FROM clock
UNION ALL
SELECT 'lane', id, max_concurrent_runs, NULL, since FROM lane WHERE since <= (SELECT now FROM clock)
UNION ALL
SELECT 'held', organisation_id, count(*), NULL, NULL FROM schedules_run
WHERE {HOLDS} AND EXISTS (SELECT 1 FROM lane) GROUP BY organisation_id
UNION ALL
SELECT 'out', NULL, count(*), queue, NULL FROM schedules_run
WHERE status = 'queued' AND NOT (admission_token = '') AND {{counted}} GROUP BY queue
UNION ALL
SELECT 'worker', NULL, slots, CAST(queues AS text), seen_at FROM schedules_workerprocess
"""
IF_NEEDED, ALWAYS = "EXISTS (SELECT 1 FROM lane)", "1 = 1"


def _limit(scope: str, table: str) -> str:
    return f"(SELECT l.max_concurrent_runs FROM {table} l WHERE l.id = r.{scope})"


# Look-ups by key one by one: as joins they became scans of whole tables in plans that are made before any value is
# known. For the same reason the numbers of rows are written into the texts (``{half}``).
_COLUMNS = f"""
  r.id, r.job_run_id, r.attempt, r.priority, r.next_attempt_at, r.start_by, r.queue, r.executor, r.schedule_name,
  r.hold, r.grace_seconds, CASE WHEN r.handle = {{nothing}} THEN 0 ELSE 1 END,
  r.organisation_id, {_limit("organisation_id", "fleet_organisation")},
  r.schedule_id, {_limit("schedule_id", "schedules_schedule")},
  r.backfill_id, {_limit("backfill_id", "schedules_backfill")},
  r.agent_id, {_limit("agent_id", "fleet_agent")}
"""

# Parameter: the run.
ONE = f"SELECT {_COLUMNS} FROM (SELECT * FROM schedules_run WHERE id = %s AND {_WAITS}) r"
ALL_HELD = f"SELECT {_COLUMNS} FROM (SELECT * FROM schedules_run WHERE {HOLDS}) r"

# Those that need their agent alone, or hold their slots already, since they have to be reaped: they may be young and
# behind a flood.
_SPECIAL = f"""
SELECT {_COLUMNS} FROM (
  SELECT * FROM (
    SELECT * FROM schedules_run {{by run_exclusive_waiting}}
    WHERE {_ALONE_WAITS} AND next_attempt_at <= (SELECT now FROM moment)
    ORDER BY CASE WHEN hold = 'recovery' THEN 0 ELSE 1 END, next_attempt_at LIMIT {{half}}
  ) alone
  UNION ALL
  SELECT * FROM (
    SELECT * FROM schedules_run
    WHERE {HOLDS} AND {_NOT_OUT} AND next_attempt_at <= (SELECT now FROM moment)
    ORDER BY next_attempt_at LIMIT {{half}}
  ) lost
) r
WHERE (SELECT o.is_active FROM fleet_organisation o WHERE o.id = r.organisation_id)
"""

# A queue or a scope that is full, or an agent that an exclusive waits for, must not fill the lane with runs that can't
# start. The limit of a backfill stands in for that of its schedule. ``holds.Bars.stop`` says the same of one run.
#
# All in one CASE: PostgreSQL takes it for half of the rows, walks the index in order and stops at the limit. Taken one
# by one it expects next to nothing to be left, and sorts all that waits.
_STARTABLE = f"""
  {_WAITS} AND organisation_id = {{asked}} AND next_attempt_at <= (SELECT now FROM moment)
  AND CASE
    WHEN {{position}}((SELECT full_queues FROM moment), ',' || queue || ',') > 0 THEN false
    WHEN backfill_id IN (SELECT id FROM full_backfill) THEN false
    WHEN backfill_id IS NULL AND schedule_id IN (SELECT id FROM full_schedule) THEN false
    WHEN agent_id IN (SELECT id FROM full_agent) THEN false
    WHEN agent_id IN (SELECT id FROM barring WHERE recovery = 1) THEN false
    ELSE NOT EXISTS (SELECT 1 FROM barring b WHERE b.id = waiter.agent_id AND b.since < waiter.next_attempt_at)
  END
"""


def _full(scope: str, table: str) -> str:
    return f"""
  SELECT {scope} AS id FROM held WHERE {scope} IS NOT NULL GROUP BY {scope}
  HAVING count(*) >= (SELECT l.max_concurrent_runs FROM {table} l WHERE l.id = held.{scope})
"""


_KNOWN = f"""
WITH moment AS (
  SELECT {{moment}} AS now, CAST(%s AS text) AS full_queues
), held AS (
  SELECT schedule_id, backfill_id, agent_id FROM schedules_run WHERE {HOLDS}
), full_schedule AS ({_full("schedule_id", "schedules_schedule")}
), full_backfill AS ({_full("backfill_id", "schedules_backfill")}
), full_agent AS ({_full("agent_id", "fleet_agent")}
), barring AS (
  SELECT agent_id AS id, min(next_attempt_at) AS since, max(CASE WHEN hold = 'recovery' THEN 1 ELSE 0 END) AS recovery
  FROM schedules_run {{by run_exclusive_waiting}}
  WHERE {_ALONE_WAITS} AND next_attempt_at <= (SELECT now FROM moment)
    AND agent_id IS NOT NULL
  GROUP BY agent_id
)
"""
# Half of them the oldest, half the most urgent, so that none starves; some are both.
_LANE = f"""
  SELECT * FROM (
    SELECT * FROM schedules_run waiter {{by run_waiting}}
    WHERE {_STARTABLE} ORDER BY next_attempt_at LIMIT {{half}}
  ) oldest
  UNION ALL
  SELECT * FROM (
    SELECT * FROM schedules_run waiter {{by run_waiting_urgent}}
    WHERE {_STARTABLE} ORDER BY priority DESC, next_attempt_at LIMIT {{half}}
  ) urgent
"""

# The candidates of organisations, and the special ones of all. Parameters: the moment, the full queues (",a,b,") and,
# on PostgreSQL, the organisations; elsewhere one of them, twice.
LANES_OF_ALL = f"""
{_KNOWN} {_SPECIAL}
UNION ALL
SELECT {_COLUMNS}
FROM unnest(%s::bigint[]) AS asked (id) CROSS JOIN LATERAL ({_LANE.replace("{asked}", "asked.id")}) r
"""
LANE_OF_ONE = f"{_KNOWN} SELECT {_COLUMNS} FROM ({_LANE.replace('{asked}', '%s')}) r"
SPECIAL = f"{_KNOWN} {_SPECIAL}"
