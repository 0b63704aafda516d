import type { Client, Pool } from '@billhook/postgres';

import type { Stream, StoredEvent } from './event-store.ts';
import { fromUuid } from './event-id.ts';

/** Events that `readAll` holds at a time. */
const READ_AT_A_TIME = 1_000;

const COLUMNS = `lane, position, id, tenant, stream_id, version, type, data, recorded_at,
  traceparent`;

/** Reads a stream's events after a version, oldest first. */
export async function readStream(
  client: Client | Pool,
  query: Stream & {
    readonly schema: string;
    readonly afterVersion: number;
    readonly limit: number;
  },
): Promise<StoredEvent[]> {
  const result = await client.query<EventColumns>({
    name: `read_stream_${query.schema}`,
    text: `select ${COLUMNS} from ${query.schema}.event
           where tenant = $1 and stream_id = $2 and version > $3 order by version limit $4`,
    values: [query.tenant, query.streamId, query.afterVersion, query.limit],
  });
  return result.rows.map(toEvent);
}

/** Reads all events, lane by lane, each in the order of its positions. */
export async function* readAll(
  client: Client | Pool,
  schema: string,
): AsyncGenerator<StoredEvent, void, undefined> {
  let after = { lane: -1, position: 0 };
  for (;;) {
    const result = await client.query<EventColumns>({
      name: `read_all_${schema}`,
      text: `select ${COLUMNS} from ${schema}.event
             where (lane, position) > ($1::int, $2::bigint) order by lane, position limit $3`,
      values: [after.lane, after.position, READ_AT_A_TIME],
    });
    const events = result.rows.map(toEvent);
    yield* events;
    const last = events.at(-1);
    if (last === undefined) return;
    after = last;
  }
}

interface EventColumns {
  readonly lane: number;
  readonly position: bigint;
  readonly id: string;
  readonly tenant: string;
  readonly stream_id: string;
  readonly version: bigint;
  readonly type: string;
  readonly data: Buffer;
  readonly recorded_at: Date;
  readonly traceparent: string | null;
}

function toEvent(row: EventColumns): StoredEvent {
  return {
    lane: row.lane,
    position: Number(row.position),
    id: fromUuid(row.id),
    tenant: row.tenant,
    streamId: row.stream_id,
    version: Number(row.version),
    type: row.type,
    data: row.data,
    recordedAtMs: row.recorded_at.getTime(),
    traceparent: row.traceparent ?? undefined,
  };
}
