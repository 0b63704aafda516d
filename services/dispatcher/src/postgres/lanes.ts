import type { Client, Pool } from '@billhook/postgres';
import { ConfigurationError } from '@billhook/runtime';

import type { EventMark } from '../engine/lane-window.ts';
import type { GainedLane } from '../engine/lanes.ts';
import type { Recording } from '../engine/recording.ts';
import { readCursors } from './cursors.ts';
import { endpointIdOf, eventIdOf } from './ids.ts';
import { readAnswers } from './late-answers.ts';

/**
 * Makes the progress rows of all lanes, once.
 *
 * @throws ConfigurationError when there are rows of another number of lanes: those that nobody reads
 *   would be lost in silence.
 */
export async function addLanes(pool: Pool, lanes: number): Promise<void> {
  const { rows } = await pool.query<{ count: bigint }>(
    'select count(*) as count from dispatcher.lane_progress',
  );
  const known = Number(rows[0]?.count ?? 0);
  if (known !== 0 && known !== lanes) {
    throw new ConfigurationError(
      `BILLHOOK_LANES is ${lanes}, but the store was created with ${known} lanes: set it to ${known}.`,
    );
  }
  await pool.query(
    `insert into dispatcher.lane_progress (lane)
     select * from generate_series(0, $1::int - 1)
     on conflict do nothing`,
    [lanes],
  );
}

/**
 * Loads what the new owner of a lane must know before it reads.
 *
 * @param client in a transaction in which the fence of the lane held.
 */
export async function loadLane(client: Client, lane: number, epoch: number): Promise<GainedLane> {
  const progress = await client.query<ProgressColumns>(
    `select progress, progress_event_id, progress_offset, settled_ahead
     from dispatcher.lane_progress where lane = $1`,
    [lane],
  );
  const row = progress.rows[0];
  if (row === undefined) throw new Error(`Lane ${lane} has no row in dispatcher.lane_progress.`);
  const parked = await client.query<ParkedColumns>(
    `select endpoint_id, count(*)::int as rows, min(due_at) as next_due_at
     from dispatcher.parked where lane = $1 group by endpoint_id`,
    [lane],
  );
  return {
    lane,
    epoch,
    progress: Number(row.progress),
    mark: markOf(row),
    settledAhead: row.settled_ahead.map(([position, endpointId]) => ({ position, endpointId })),
    parked: parked.rows.map((columns) => ({
      endpointId: endpointIdOf(columns.endpoint_id),
      rows: columns.rows,
      nextDueAtMs: columns.next_due_at?.getTime(),
    })),
    cursors: await readCursors(client, lane),
    lateAnswers: await readAnswers(client, [lane]),
  };
}

function markOf({ progress_event_id, progress_offset }: ProgressColumns): EventMark | undefined {
  if (progress_event_id === null) return undefined;
  return {
    id: eventIdOf(progress_event_id),
    offset: progress_offset === null ? undefined : Number(progress_offset),
  };
}

interface ProgressColumns {
  readonly progress: bigint;
  readonly progress_event_id: string | null;
  readonly progress_offset: bigint | null;
  readonly settled_ahead: readonly (readonly [number, string])[];
}

interface ParkedColumns {
  readonly endpoint_id: string;
  readonly rows: number;
  readonly next_due_at: Date | null;
}

/**
 * Says whether a recording was committed although nobody heard of it. It waits for a transaction
 * that still holds the rows, so that the answer is final.
 */
export async function wasRecorded(client: Client, recording: Recording): Promise<boolean> {
  const result = await client.query<RecordingColumns>(
    `select lane, recording_epoch, recording_number from dispatcher.lane_progress
     where lane = any($1::int[]) order by lane for update`,
    [recording.lanes.map(({ lane }) => lane)],
  );
  const rows = new Map(result.rows.map((row) => [row.lane, row]));
  return recording.lanes.some(({ lane, epoch }) => {
    const row = rows.get(lane);
    return (
      Number(row?.recording_epoch) === epoch && Number(row?.recording_number) === recording.number
    );
  });
}

interface RecordingColumns {
  readonly lane: number;
  readonly recording_epoch: bigint;
  readonly recording_number: bigint;
}
