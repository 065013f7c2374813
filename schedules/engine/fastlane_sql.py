"""The statements of the fast lane. ``tests/schedules/engine/test_fastlane.py`` holds the rows that it writes equal to
those of ``planning`` and ``admission``, column by column, so that a new column can't be forgotten here."""

# Schedules that need nothing but their time: no dates, maximum, jitter, start limit, replacing, no blackouts.
# Parameters: the moment, what is on time still, how many.
DUE = """
SELECT s.id, s.version, s.expression, s.timezone, s.name, floor(extract(epoch FROM s.anchor_at))::bigint,
  extract(epoch FROM s.next_run_at)::bigint, s.overlap, s.max_retries, s.priority, s.executor, s.max_concurrent_runs,
  s.organisation_id, (SELECT o.max_concurrent_runs FROM fleet_organisation o WHERE o.id = s.organisation_id),
  s.agent_id, (SELECT a.max_concurrent_runs FROM fleet_agent a WHERE a.id = s.agent_id)
FROM schedules_schedule s
WHERE s.enabled AND s.next_run_at <= {moment} AND s.next_run_at >= {moment}
  AND s.starts_at IS NULL AND s.ends_at IS NULL AND s.max_runs IS NULL AND s.jitter_seconds = 0
  AND s.start_within_seconds IS NULL AND s.overlap <> 'cancel_running'
  AND s.next_run_at = date_trunc('second', s.next_run_at)
  AND (SELECT o.is_active FROM fleet_organisation o WHERE o.id = s.organisation_id)
  AND NOT EXISTS (SELECT 1 FROM schedules_blackoutcalendar_schedules b WHERE b.schedule_id = s.id)
  AND NOT EXISTS (SELECT 1 FROM schedules_blackoutcalendar c WHERE c.organisation_id = s.organisation_id AND c.for_all)
ORDER BY s.next_run_at
LIMIT %s
"""

# How many planned runs of each are not over. Parameter: the schedules.
ACTIVE = """
SELECT schedule_id, count(*) FROM schedules_run
WHERE schedule_id = ANY (%s::bigint[]) AND finished_at IS NULL AND trigger = 'schedule'
GROUP BY schedule_id
"""

# A row that somebody else holds is left for the next tick: the beat waits for nobody's edit, and two beats that meet
# don't wait for each other. What travels is only what differs from run to run; the rest is copied from the schedule's
# own row, as it is after the compare-and-set. An existing key (a database that was put back) inserts nothing, and its
# slot is given back.
PLAN_AND_ADMIT = """
WITH given AS (
  SELECT g.id, g.version, to_timestamp(g.fire) AS fire, to_timestamp(g.following) AS following, g.key, g.token,
    g.queue, g.retries
  FROM unnest(
    %s::bigint[], %s::integer[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::integer[]
  ) AS g (id, version, fire, following, key, token, queue, retries)
  JOIN schedules_schedule s ON s.id = g.id
  FOR NO KEY UPDATE OF s SKIP LOCKED
), moment AS (
  SELECT {moment} AS now, %s::text AS zone_data
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
    0, '', {nothing}, '', '', '', '', {nothing}, '',
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
