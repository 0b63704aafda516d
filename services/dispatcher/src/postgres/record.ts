import { integers, texts, times, words, type Client } from '@billhook/postgres';

import type { LaneRecorded, LaneRecording, ListedRow, RowKey } from '../engine/recording.ts';
import { moveCursors } from './cursors.ts';
import { cancelRows, expireRows } from './ended-rows.ts';
import { endpointUuid, eventUuid } from './ids.ts';
import { deleteAnswers } from './late-answers.ts';
import { detailOf, statusOf } from './outcomes.ts';
import { carryOut, deleteRows, insertRows, retryRows, sweepEvents } from './rows.ts';

/**
 * Writes the parts of a recording whose fences hold, in the transaction of the client: attempts,
 * what became of parked rows, new rows, and progress. All of it is set-based: a few statements,
 * whatever the number of lanes and deliveries.
 *
 * @returns what came of each lane.
 */
export async function writeRecording(
  client: Client,
  recordingNumber: number,
  lanes: readonly LaneRecording[],
): Promise<LaneRecorded[]> {
  await insertAttempts(client, lanes);
  const settled = await deleteRows(client, lanes);
  await retryRows(client, lanes);
  await insertRows(client, lanes);
  const revived = await carryOut(client, lanes);
  await deleteAnswers(client, lanes);
  const cancelled = await cancelRows(client, lanes);
  const expired = await expireRows(client, lanes);
  await sweepEvents(client, [...settled, ...cancelled.events, ...expired.events]);
  await moveCursors(client, lanes);
  await moveProgress(client, recordingNumber, lanes);
  const listed = await listRows(client, lanes);
  return lanes.map(({ lane }) => ({
    kind: 'recorded',
    lane,
    revived: revived.filter((row) => row.lane === lane),
    cancelled: cancelled.ofLanes.get(lane) ?? [],
    expired: expired.ofLanes.get(lane) ?? [],
    listed: listed.get(lane) ?? [],
  }));
}

/** The lists that `writePlain` writes. */
const PLAIN_LISTS: ReadonlySet<string> = new Set([
  'attempts',
  'settledAhead',
] satisfies (keyof LaneRecording)[]);

/** Says whether all of it is attempts and progress, as it is while every delivery is accepted. */
export function isPlain(recording: LaneRecording): boolean {
  return Object.entries(recording).every(
    ([name, value]) => PLAIN_LISTS.has(name) || !Array.isArray(value) || value.length === 0,
  );
}

/**
 * Sends what writes plain parts of a recording, in the transaction of the client.
 *
 * @returns the answers to come.
 */
export function writePlain(
  client: Client,
  recordingNumber: number,
  lanes: readonly LaneRecording[],
): Promise<unknown>[] {
  return [insertAttempts(client, lanes), moveProgress(client, recordingNumber, lanes)];
}

/** What came of a plain part of a recording. */
export function plainlyRecorded({ lane }: LaneRecording): LaneRecorded {
  return { kind: 'recorded', lane, revived: [], cancelled: [], expired: [], listed: [] };
}

async function insertAttempts(client: Client, lanes: readonly LaneRecording[]): Promise<void> {
  const attempts = lanes.flatMap((lane) => lane.attempts);
  if (attempts.length === 0) return;
  await client.query({
    name: 'insert_attempts',
    text: `insert into dispatcher.attempt (endpoint_id, event_id, attempt, lane, position, tenant,
             invoice_id, type, sequence, started_at, duration_ms, outcome, status, detail,
             settlement)
           select * from unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[], $5::bigint[],
             $6::text[], $7::text[], $8::text[], $9::bigint[], $10::timestamptz[], $11::int[],
             $12::text[], $13::int[], $14::text[], $15::text[])`,
    values: [
      words(attempts.map(({ endpointId }) => endpointUuid(endpointId))),
      words(attempts.map(({ event }) => eventUuid(event.id))),
      integers(attempts.map(({ attempt }) => attempt)),
      integers(attempts.map(({ event }) => event.lane)),
      integers(attempts.map(({ event }) => event.position)),
      words(attempts.map(({ event }) => event.tenant)),
      words(attempts.map(({ event }) => event.invoiceId)),
      words(attempts.map(({ event }) => event.type)),
      integers(attempts.map(({ event }) => event.sequence)),
      times(attempts.map(({ startedAtMs }) => startedAtMs)),
      integers(attempts.map(({ outcome }) => Math.round(outcome?.durationMs ?? 0))),
      words(attempts.map(({ outcome }) => outcome?.kind)),
      integers(attempts.map(({ outcome }) => outcome && statusOf(outcome))),
      texts(attempts.map(({ outcome, reason }) => (outcome ? detailOf(outcome) : reason))),
      words(attempts.map(({ settlement }) => settlement)),
    ],
  });
}

async function moveProgress(
  client: Client,
  recordingNumber: number,
  lanes: readonly LaneRecording[],
): Promise<void> {
  await client.query({
    name: 'move_progress',
    text: `update dispatcher.lane_progress as lane
           set progress = moved.progress, progress_event_id = moved.event_id,
             progress_offset = moved.event_offset, settled_ahead = moved.settled_ahead::jsonb,
             recording_epoch = moved.epoch, recording_number = $7
           from unnest($1::int[], $2::bigint[], $3::bigint[], $4::uuid[], $5::bigint[], $6::text[])
             as moved (lane, epoch, progress, event_id, event_offset, settled_ahead)
           where lane.lane = moved.lane`,
    values: [
      integers(lanes.map(({ lane }) => lane)),
      integers(lanes.map(({ epoch }) => epoch)),
      integers(lanes.map(({ progress }) => progress)),
      words(lanes.map(({ mark }) => mark && eventUuid(mark.id))),
      integers(lanes.map(({ mark }) => mark?.offset)),
      texts(lanes.map(({ settledAhead }) => JSON.stringify(settledAhead.map(pairOf)))),
      recordingNumber,
    ],
  });
}

function pairOf({ position, endpointId }: RowKey): [number, string] {
  return [position, endpointId];
}

interface Listed {
  readonly endpointId: string;
  readonly rows: ListedRow[];
}

/** Lists all rows of the endpoints that the engine wants to know again. */
async function listRows(
  client: Client,
  lanes: readonly LaneRecording[],
): Promise<Map<number, Listed[]>> {
  const wanted = lanes.flatMap(({ lane, listEndpoints }) =>
    listEndpoints.map((endpointId) => ({ lane, endpointId })),
  );
  const listed = new Map<number, Listed[]>();
  if (wanted.length === 0) return listed;
  const result = await client.query<ListedColumns>({
    name: 'list_rows',
    text: `select wanted.nth::int as nth, parked.position, parked.invoice_id, parked.ordered,
             parked.due_at
           from unnest($1::int[], $2::uuid[]) with ordinality as wanted (lane, endpoint_id, nth)
           join dispatcher.parked
             on parked.lane = wanted.lane and parked.endpoint_id = wanted.endpoint_id`,
    values: [
      integers(wanted.map(({ lane }) => lane)),
      words(wanted.map(({ endpointId }) => endpointUuid(endpointId))),
    ],
  });
  const rows = wanted.map((): ListedRow[] => []);
  for (const row of result.rows) {
    rows[row.nth - 1]?.push({
      position: Number(row.position),
      invoiceId: row.invoice_id,
      ordered: row.ordered,
      dueAtMs: row.due_at?.getTime(),
    });
  }
  for (const [index, { lane, endpointId }] of wanted.entries()) {
    const ofLane = listed.get(lane) ?? [];
    ofLane.push({ endpointId, rows: rows[index] ?? [] });
    listed.set(lane, ofLane);
  }
  return listed;
}

interface ListedColumns {
  readonly nth: number;
  readonly position: bigint;
  readonly invoice_id: string;
  readonly ordered: boolean;
  readonly due_at: Date | null;
}
