"""The one statement of the fast lane. ``tests/schedules/engine/test_fastlane.py`` holds the rows that it writes equal
to those of ``planning`` and ``admission``, column by column, so that a new column can't be forgotten here."""

# A row that somebody else holds is left for the next tick: the beat waits for nobody's edit, and two beats that meet
# don't wait for each other. What travels is only what differs from run to run; the rest is copied from the schedule's
# own row, as it is after the compare-and-set. An existing key (a database that was put back) inserts nothing, and its
# slot is given back.
PLAN_AND_ADMIT = """
WITH given AS (
  SELECT g.*
  FROM unnest(
    %s::bigint[], %s::integer[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::integer[]
  ) AS g (id, version, fire, following, key, token, queue, retries)
  JOIN schedules_schedule s ON s.id = g.id
  FOR NO KEY UPDATE OF s SKIP LOCKED
), moment AS (
  SELECT %s::timestamptz AS now, %s::text AS zone_data
), won AS (
  UPDATE schedules_schedule s
  SET next_run_at = g.following, planned_through = GREATEST(s.planned_through, m.now), last_run_at = g.fire,
      planned_runs = s.planned_runs + 1, zone_data = m.zone_data
  FROM given g, moment m
  WHERE s.id = g.id AND s.version = g.version AND s.next_run_at = g.fire AND s.enabled
  RETURNING s.id, s.organisation_id, s.agent_id, s.name, s.executor, s.payload, s.priority, s.timeout_seconds,
    s.retry_delays, g.fire, g.key, g.token, g.queue, g.retries
), run AS (
  INSERT INTO schedules_run (
    organisation_id, schedule_id, agent_id, schedule_name, executor, payload, priority, timeout_seconds, retry_delays,
    fire_at, next_attempt_at, job_run_id, admission_token, admitted_at, queue, max_retries, created_at,
    trigger, requested_by, hold, grace_seconds, status, attempt, failed_attempts, lost_attempts, claim_token,
    heartbeat_sequence, worker, handle, ending, error_code, error_message, result_summary, result, session_id,
    message_id, log_bytes
  )
  SELECT
    w.organisation_id, w.id, w.agent_id, w.name, w.executor, w.payload, w.priority, w.timeout_seconds, w.retry_delays,
    w.fire, w.fire, w.key, w.token, CASE WHEN w.token = '' THEN NULL ELSE m.now END, w.queue, w.retries, m.now,
    'schedule', '', 'shared', 0, 'queued', 1, 0, 0, '',
    0, '', '{}', '', '', '', '', '{}', '',
    '', 0
  FROM won w, moment m
  ON CONFLICT (job_run_id) DO NOTHING
  RETURNING id, schedule_id, admission_token
), event AS (
  INSERT INTO schedules_runevent (run_id, at, kind, status, attempt, cause, actor)
  SELECT run.id, m.now, e.kind, 'queued', 1, e.cause, ''
  FROM run, moment m,
    (VALUES (1, 'planned', 'the schedule fired'), (2, 'admitted', 'a slot is free')) AS e (n, kind, cause)
  WHERE e.n = 1 OR run.admission_token <> ''
  ORDER BY run.id, e.n
)
SELECT schedule_id, id FROM run
"""
