"""The statements of ``hotpath``. Those that end in ``_ROW`` or ``_ROWS`` are SQLite's, several in one transaction."""

ADMITTED_CAUSE = "a slot is free"

_EVENT = "INSERT INTO schedules_runevent (run_id, at, kind, status, attempt, cause, actor)"
EVENT_ROW = f"{_EVENT} VALUES (%s, %s, %s, %s, %s, %s, '')"

# Locked in one order and without waiting: two admissions of the same runs must not wait for each other.
ADMIT = f"""
WITH moment AS (
  SELECT %s::timestamptz AS now
), given AS (
  SELECT r.id, g.token
  FROM unnest(%s::bigint[], %s::integer[], %s::text[]) AS g (id, attempt, token)
  JOIN schedules_run r ON r.id = g.id AND r.attempt = g.attempt
  ORDER BY r.id
  FOR NO KEY UPDATE OF r SKIP LOCKED
), admitted AS (
  UPDATE schedules_run r SET admission_token = g.token, admitted_at = m.now
  FROM given g, moment m
  WHERE r.id = g.id AND r.status || '' = 'queued' AND r.admission_token = '' AND r.next_attempt_at <= m.now
  RETURNING r.id, r.attempt, r.admission_token
), event AS (
  {_EVENT}
  SELECT id, m.now, 'admitted', 'queued', attempt, '{ADMITTED_CAUSE}', '' FROM admitted, moment m ORDER BY id
)
SELECT id, admission_token FROM admitted
"""
# In two steps, since SQLite's write lock is held anyway. Parameters of the first: JSON, a list of [id, attempt]; the
# moment.
ADMISSIBLE_ROWS = """
SELECT r.id, r.attempt
FROM json_each(%s) AS given JOIN schedules_run r ON r.id = json_extract(given.value, '$[0]')
WHERE r.attempt = json_extract(given.value, '$[1]') AND r.status = 'queued' AND r.admission_token = ''
  AND r.next_attempt_at <= %s
"""
ADMIT_ROW = "UPDATE schedules_run SET admission_token = %s, admitted_at = %s WHERE id = %s"

_JOINED = """
JOIN fleet_organisation o ON o.id = r.organisation_id
LEFT JOIN schedules_schedule s ON s.id = r.schedule_id
LEFT JOIN schedules_backfill b ON b.id = r.backfill_id
LEFT JOIN fleet_agent a ON a.id = r.agent_id
"""
# The status as an expression, so that no partial index looks tempting: the row is found by its key, also in a table
# without statistics.
_MATCHES = "id = %s AND status || '' = 'queued' AND attempt = %s AND admission_token = %s AND admission_token <> ''"

_MOMENT = "WITH moment AS (SELECT COALESCE(%s::timestamptz, clock_timestamp()) AS now)"
_CLAIMED = f"""
r AS (
  UPDATE schedules_run
  SET status = 'running', admission_token = '', admitted_at = NULL, claim_token = %s, worker = %s,
      started_at = moment.now, deadline_at = moment.now + timeout_seconds * interval '1 second',
      heartbeat_sequence = heartbeat_sequence + 1
  FROM moment
  WHERE {{which}}
  RETURNING schedules_run.*
), started AS (
  {_EVENT}
  SELECT id, started_at, 'started', 'running', attempt, %s, '' FROM r
)
"""
CLAIM = f"{_MOMENT}, {_CLAIMED.replace('{which}', _MATCHES)} SELECT {{columns}} FROM r {_JOINED}"
SELECT_ADMITTED = f"SELECT {{columns}} FROM (SELECT * FROM schedules_run WHERE {_MATCHES}) r {_JOINED}"
CLAIM_ROW = """
UPDATE schedules_run
SET status = 'running', admission_token = '', admitted_at = NULL, claim_token = %s, worker = %s, started_at = %s,
    deadline_at = %s, heartbeat_sequence = heartbeat_sequence + 1
WHERE id = %s
"""

# One that starts another one's runs ends the ordinary way, which inserts those in the same transaction.
_SUCCEEDS = """
WHERE id = %s AND status || '' = 'running' AND claim_token = %s AND claim_token <> ''
  AND NOT EXISTS (SELECT 1 FROM schedules_schedule f WHERE f.run_after_id = schedules_run.schedule_id)
"""
_SUCCESS = """
    status = 'success', claim_token = '', handle = '{}', ending = '', error_code = '', error_message = '',
    result_summary = %s, session_id = %s, message_id = %s
"""

_SUCCEEDED = f"""
ended AS (
  UPDATE schedules_run
  SET finished_at = moment.now,
      duration_ms = GREATEST(0, round(extract(epoch FROM moment.now - started_at) * 1000)), {_SUCCESS},
      result = %s::jsonb
  FROM moment
  {_SUCCEEDS}
  RETURNING id, attempt, finished_at, duration_ms
), succeeded AS (
  {_EVENT}
  SELECT id, finished_at, 'success', 'success', attempt, %s, '' FROM ended
)
"""
SUCCEED = f"{_MOMENT}, {_SUCCEEDED} SELECT finished_at, duration_ms FROM ended"
# The end of one and the claim of the next: one statement and one commit instead of two. Not without the end. It never
# waits for the next one's row while it holds the first one's: who locks several runs may come from the other side.
SUCCEED_AND_CLAIM = f"""
{_MOMENT}, {_SUCCEEDED}, free AS (
  SELECT id FROM schedules_run WHERE {_MATCHES} AND EXISTS (SELECT 1 FROM ended) FOR NO KEY UPDATE SKIP LOCKED
), {_CLAIMED.replace("{which}", "id = (SELECT id FROM free)")}
SELECT e.finished_at, e.duration_ms, {{columns}} FROM ended e LEFT JOIN (r {_JOINED}) ON true
"""
SUCCEED_ROW = f"""
UPDATE schedules_run SET finished_at = %s, duration_ms = %s, {_SUCCESS}, result = %s
{_SUCCEEDS}
"""

# By primary key and in its order: two processes never wait for each other crosswise.
RENEW = """
WITH given AS (
  SELECT r.id
  FROM unnest(%s::bigint[], %s::text[]) AS g (id, token)
  JOIN schedules_run r ON r.id = g.id AND r.claim_token = g.token
  WHERE r.status || '' = 'running'
  ORDER BY r.id
  FOR NO KEY UPDATE OF r
)
UPDATE schedules_run r SET heartbeat_sequence = r.heartbeat_sequence + 1 FROM given WHERE r.id = given.id
RETURNING r.claim_token
"""
RENEW_ROW = """
UPDATE schedules_run SET heartbeat_sequence = heartbeat_sequence + 1
WHERE id = %s AND status = 'running' AND claim_token = %s
"""
