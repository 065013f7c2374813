"""The statements of ``candidates``, for both databases. Each condition stands as the index that serves it has it."""

# run_waiting, run_waiting_urgent
_WAITS = "status = 'queued' AND admission_token = ''"
# run_holding: it runs, its message is out, or what its lost attempt left has to be reaped.
HOLDS = (
    "status IN ('queued', 'running') AND (status = 'running' OR NOT (admission_token = '') OR NOT (handle = {nothing}))"
)

# From one organisation to the next through the index, whatever the number of runs: a GROUP BY would read them all.
LANES = f"""
WITH RECURSIVE waiting (id) AS (
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
SELECT id, max_concurrent_runs, since FROM lane WHERE since <= {{moment}}
"""

HELD = f"""
SELECT organisation_id, queue, count(*), sum(CASE WHEN admission_token = '' THEN 0 ELSE 1 END)
FROM schedules_run WHERE {HOLDS} GROUP BY organisation_id, queue
"""

WORKERS = "SELECT queues, slots FROM schedules_workerprocess WHERE seen_at > {moment}"

_COLUMNS = """
  r.id, r.job_run_id, r.attempt, r.priority, r.next_attempt_at, r.start_by, r.queue, r.executor, r.schedule_name,
  r.hold, r.grace_seconds, CASE WHEN r.handle = {nothing} THEN 0 ELSE 1 END,
  r.organisation_id, o.max_concurrent_runs, r.schedule_id, s.max_concurrent_runs, r.backfill_id,
  b.max_concurrent_runs, r.agent_id, a.max_concurrent_runs
"""
_JOINED = """
JOIN fleet_organisation o ON o.id = r.organisation_id
LEFT JOIN schedules_schedule s ON s.id = r.schedule_id
LEFT JOIN schedules_backfill b ON b.id = r.backfill_id
LEFT JOIN fleet_agent a ON a.id = r.agent_id
"""

# Parameter: the run.
ONE = f"SELECT {_COLUMNS} FROM schedules_run r {_JOINED} WHERE r.id = %s AND r.{_WAITS.replace('AND ', 'AND r.')}"
ALL_HELD = f"SELECT {_COLUMNS} FROM (SELECT * FROM schedules_run WHERE {HOLDS}) r {_JOINED}"

# Those that need their agent alone, or hold their slots already, since they have to be reaped: they may be young and
# behind a flood. Parameters: the moment, how many; and both once more.
SPECIAL = f"""
SELECT {_COLUMNS}
FROM (
  SELECT id FROM (
    SELECT id FROM schedules_run
    WHERE {_WAITS} AND hold IN ('exclusive', 'recovery') AND next_attempt_at <= {{moment}}
    ORDER BY next_attempt_at LIMIT %s
  ) alone
  UNION
  SELECT id FROM (
    SELECT id FROM schedules_run
    WHERE {HOLDS} AND {_WAITS} AND next_attempt_at <= {{moment}} ORDER BY next_attempt_at LIMIT %s
  ) lost
) special
JOIN schedules_run r ON r.id = special.id {_JOINED}
WHERE o.is_active
"""

# A scope that is full, or an agent that an exclusive waits for, must not fill the lane with runs that can't start. The
# limit of a backfill stands in for that of its schedule. ``holds.Bars.stop`` says the same of one run.
_STARTABLE = f"""
  {_WAITS} AND organisation_id = (SELECT id FROM asked) AND next_attempt_at <= (SELECT now FROM asked)
  AND (schedule_id IS NULL OR backfill_id IS NOT NULL OR schedule_id NOT IN (SELECT id FROM full_schedule))
  AND (backfill_id IS NULL OR backfill_id NOT IN (SELECT id FROM full_backfill))
  AND (agent_id IS NULL OR agent_id NOT IN (SELECT id FROM full_agent))
  AND (agent_id IS NULL OR agent_id NOT IN (SELECT id FROM barring WHERE recovery = 1))
  AND NOT EXISTS (SELECT 1 FROM barring b WHERE b.id = waiter.agent_id AND b.since < waiter.next_attempt_at)
"""


def _full(scope: str, table: str) -> str:
    return f"""
  SELECT s.id FROM held h JOIN {table} s ON s.id = h.{scope} GROUP BY s.id, s.max_concurrent_runs
  HAVING count(*) >= s.max_concurrent_runs
"""


# One organisation's candidates: half of them the oldest, half the most urgent, so that none starves. Parameters: the
# organisation, the moment, how many of each half twice.
LANE = f"""
WITH asked AS (
  SELECT CAST(%s AS bigint) AS id, {{moment}} AS now
), held AS (
  SELECT schedule_id, backfill_id, agent_id FROM schedules_run WHERE {HOLDS}
), full_schedule AS ({_full("schedule_id", "schedules_schedule")}
), full_backfill AS ({_full("backfill_id", "schedules_backfill")}
), full_agent AS ({_full("agent_id", "fleet_agent")}
), barring AS (
  SELECT agent_id AS id, min(next_attempt_at) AS since, max(CASE WHEN hold = 'recovery' THEN 1 ELSE 0 END) AS recovery
  FROM schedules_run
  WHERE {_WAITS} AND hold IN ('exclusive', 'recovery') AND next_attempt_at <= (SELECT now FROM asked)
    AND agent_id IS NOT NULL
  GROUP BY agent_id
), lane AS (
  SELECT id FROM (
    SELECT id FROM schedules_run waiter WHERE {_STARTABLE} ORDER BY next_attempt_at LIMIT %s
  ) oldest
  UNION
  SELECT id FROM (
    SELECT id FROM schedules_run waiter WHERE {_STARTABLE} ORDER BY priority DESC, next_attempt_at LIMIT %s
  ) urgent
)
SELECT {_COLUMNS} FROM lane JOIN schedules_run r ON r.id = lane.id {_JOINED}
"""
