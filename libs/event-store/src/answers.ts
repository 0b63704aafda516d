import { texts, type Client } from '@billhook/postgres';

import type { PendingCommand } from './command-queue.ts';
import type { Stream } from './event-store.ts';

/** What was answered to a `request_id`. */
export interface RecordedAnswer {
  readonly requestHash: Buffer;
  readonly answer: Uint8Array;
}

/** The answers that the commands of a batch may repeat, by `answerKey`. */
export type KnownAnswers = Map<string, RecordedAnswer>;

/** Names an answer: tenants and streams hold no U+0000. */
export function answerKey({ tenant, streamId }: Stream, requestId: string): string {
  return `${tenant}\0${streamId}\0${requestId}`;
}

/**
 * Reads the time, and the answers recorded for the `request_id`s of a batch. It must run after the
 * lanes are locked, in a statement of its own: one that waits for the locks sees the state from
 * before it waited.
 *
 * `lateral` with a limit fixes the shape of the plan: each answer is looked up by its key. A join
 * may be turned round, and then reads every answer there is.
 */
export async function readNowAndAnswers(
  client: Client,
  batch: readonly PendingCommand<Stream, unknown>[],
  options: { readonly schema: string; readonly retentionMs: number },
): Promise<{ readonly nowMs: number; readonly answers: KnownAnswers }> {
  const { schema, retentionMs } = options;
  const asked = batch.flatMap(({ request: { command, requestId } }) =>
    requestId === undefined ? [] : [{ ...command, requestId }],
  );
  const result = await client.query<AnswerColumns>({
    name: `read_now_and_answers_${schema}`,
    text: `select floor(extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms,
             known.tenant, known.stream_id, known.request_id, known.request_hash, known.answer
           from (select) as once
           left join (
             unnest($1::text[], $2::text[], $3::text[]) as asked (tenant, stream_id, request_id)
             cross join lateral (
               select answer.* from ${schema}.answer
               where answer.tenant = asked.tenant and answer.stream_id = asked.stream_id
                 and answer.request_id = asked.request_id
                 and answer.recorded_at > clock_timestamp() - make_interval(secs => $4)
               order by answer.recorded_at desc
               limit 1
             ) as known
           ) on true`,
    values: [
      texts(asked.map(({ tenant }) => tenant)),
      texts(asked.map(({ streamId }) => streamId)),
      texts(asked.map(({ requestId }) => requestId)),
      retentionMs / 1_000,
    ],
  });
  const answers: KnownAnswers = new Map();
  for (const row of result.rows) {
    if (row.tenant === null) continue;
    const key = answerKey({ tenant: row.tenant, streamId: row.stream_id }, row.request_id);
    answers.set(key, { requestHash: row.request_hash, answer: row.answer });
  }
  return { nowMs: result.rows[0]?.now_ms ?? Date.now(), answers };
}

interface AnswerColumns {
  readonly now_ms: number;
  /** Null when there is no answer: the row only says what time it is. */
  readonly tenant: string | null;
  readonly stream_id: string;
  readonly request_id: string;
  readonly request_hash: Buffer;
  readonly answer: Buffer;
}
