import { integers, texts, times, words, type Client, type Pool } from '@billhook/postgres';

import type { AttemptOutcome } from '../engine/delivery.ts';
import type { LateAnswer, StoredAnswer } from '../engine/effect.ts';
import type { LaneRecording } from '../engine/recording.ts';
import { endpointIdOf, endpointUuid } from './ids.ts';
import { detailOf, statusOf } from './outcomes.ts';
import { REQUEST_CHANNEL } from './requests.ts';

/** Late answers that are read at a time. */
const READ_AT_MOST = 4_000;

/** Leaves answers to the owners of their lanes, whoever they are, and wakes these. */
export async function insertAnswers(pool: Pool, answers: readonly LateAnswer[]): Promise<void> {
  const outcomes = answers.map(({ outcome }) => outcome);
  await pool.query({
    name: 'insert_late_answers',
    text: `with added as (
             insert into dispatcher.late_answer (lane, position, endpoint_id, attempt, started_at,
               revision, duration_ms, outcome, status, detail, retry_after)
             select * from unnest($1::int[], $2::bigint[], $3::uuid[], $4::int[],
               $5::timestamptz[], $6::bigint[], $7::int[], $8::text[], $9::int[], $10::text[],
               $11::timestamptz[])
             returning id)
           select pg_notify('${REQUEST_CHANNEL}', '') from added limit 1`,
    values: [
      integers(answers.map(({ lane }) => lane)),
      integers(answers.map(({ position }) => position)),
      words(answers.map(({ endpointId }) => endpointUuid(endpointId))),
      integers(answers.map(({ attempt }) => attempt)),
      times(answers.map(({ startedAtMs }) => startedAtMs)),
      integers(answers.map(({ revision }) => revision)),
      integers(outcomes.map(({ durationMs }) => Math.round(durationMs))),
      words(outcomes.map(({ kind }) => kind)),
      integers(outcomes.map(statusOf)),
      texts(outcomes.map(detailOf)),
      times(outcomes.map((one) => (one.kind === 'rejected' ? one.retryAfterMs : undefined))),
    ],
  });
}

/** Reads the late answers for the owner of these lanes, without what it has already. */
export async function readAnswers(
  client: Pick<Client, 'query'>,
  lanes: readonly number[],
  known: readonly string[] = [],
): Promise<StoredAnswer[]> {
  const result = await client.query<AnswerColumns>({
    name: 'read_late_answers',
    text: `select id, lane, position, endpoint_id, attempt, started_at, revision, duration_ms,
             outcome, status, detail, retry_after
           from dispatcher.late_answer
           where lane = any($1::int[]) and id <> all($2::bigint[]) order by id limit $3`,
    values: [lanes, known, READ_AT_MOST],
  });
  return result.rows.map((row) => ({
    answerId: String(row.id),
    lane: row.lane,
    position: Number(row.position),
    endpointId: endpointIdOf(row.endpoint_id),
    attempt: row.attempt,
    startedAtMs: row.started_at.getTime(),
    revision: Number(row.revision),
    outcome: outcomeOf(row),
  }));
}

/** Takes away what was taken in, or fits no more. */
export async function deleteAnswers(
  client: Client,
  lanes: readonly LaneRecording[],
): Promise<void> {
  const taken = lanes.flatMap(({ answersTaken }) => answersTaken);
  if (taken.length === 0) return;
  await client.query({
    name: 'delete_late_answers',
    text: 'delete from dispatcher.late_answer where id = any($1::bigint[])',
    values: [taken],
  });
}

interface AnswerColumns {
  readonly id: bigint;
  readonly lane: number;
  readonly position: bigint;
  readonly endpoint_id: string;
  readonly attempt: number;
  readonly started_at: Date;
  readonly revision: bigint;
  readonly duration_ms: number;
  readonly outcome: AttemptOutcome['kind'];
  readonly status: number | null;
  readonly detail: string | null;
  readonly retry_after: Date | null;
}

function outcomeOf(row: AnswerColumns): AttemptOutcome {
  const { outcome: kind, duration_ms: durationMs } = row;
  const status = row.status ?? 0;
  const detail = row.detail ?? '';
  switch (kind) {
    case 'delivered':
      return { kind, status, durationMs };
    case 'rejected': {
      const retryAfterMs = row.retry_after?.getTime();
      return { kind, status, durationMs, retryAfterMs, snippet: detail };
    }
    case 'unreachable':
    case 'refused':
      return { kind, durationMs, detail };
  }
}
