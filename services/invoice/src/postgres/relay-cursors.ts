import type { Client, Pool } from '@billhook/postgres';
import { SCHEMA } from './migrations.ts';

/** Up to where a lane was relayed: the last event that Kafka acknowledged, and where it keeps it. */
export interface RelayCursor {
  readonly position: number;
  /** Absent before the first event. */
  readonly eventId: string | undefined;
  /** -1 before the first event. */
  readonly offset: number;
}

/** Nothing was relayed yet. */
export const START: RelayCursor = { position: 0, eventId: undefined, offset: -1 };

/** Loads a lane's cursor. */
export async function loadCursor(client: Client, lane: number): Promise<RelayCursor> {
  const result = await client.query<CursorColumns>({
    name: 'load_relay_cursor',
    text: `select position, event_id, kafka_offset from ${SCHEMA}.relay_cursor where lane = $1`,
    values: [lane],
  });
  const [row] = result.rows;
  if (row === undefined || row.position === 0n) return START;
  return {
    position: Number(row.position),
    eventId: row.event_id,
    offset: Number(row.kafka_offset),
  };
}

interface CursorColumns {
  readonly position: bigint;
  readonly event_id: string;
  readonly kafka_offset: bigint;
}

/**
 * Saves cursors, in a transaction in which the fence of their lanes held. Nothing needs to reach the
 * disk: a cursor that is lost costs repeats, which readers drop.
 */
export async function saveCursors(
  client: Client,
  cursors: ReadonlyMap<number, RelayCursor>,
): Promise<void> {
  const entries = [...cursors];
  await client.query({
    name: 'save_relay_cursors',
    text: `insert into ${SCHEMA}.relay_cursor (lane, position, event_id, kafka_offset)
           select * from unnest($1::int[], $2::bigint[], $3::text[], $4::bigint[])
           on conflict (lane) do update set position = excluded.position,
             event_id = excluded.event_id, kafka_offset = excluded.kafka_offset`,
    values: [
      entries.map(([lane]) => lane),
      entries.map(([, { position }]) => position),
      entries.map(([, { eventId }]) => eventId ?? ''),
      entries.map(([, { offset }]) => offset),
    ],
  });
}

/** Reads up to which position each lane has events in the store. */
export async function readAppendedPositions(
  pool: Pool,
  lanes: readonly number[],
): Promise<Map<number, number>> {
  const result = await pool.query<{ lane: number; position: bigint }>({
    name: 'read_appended_positions',
    text: `select lane, position from ${SCHEMA}.lane where lane = any($1::int[])`,
    values: [lanes],
  });
  return new Map(result.rows.map(({ lane, position }) => [lane, Number(position)]));
}
