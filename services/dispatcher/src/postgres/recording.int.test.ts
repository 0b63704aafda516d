import { transaction, type Pool } from '@billhook/postgres';
import { useTestDatabase } from '@billhook/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import type { ClaimResult } from '../engine/effect.ts';
import type { AttemptRecord, LaneRecorded, LaneRecording } from '../engine/recording.ts';
import { readDueRows } from './claim.ts';
import { getDelivery, listDeliveries } from './deliveries.ts';
import { addLanes, loadLane, wasRecorded } from './lanes.ts';
import { writeRecording } from './record.ts';
import {
  claimOf,
  ENDPOINT,
  event,
  LANE,
  NOW_MS,
  OTHER_ENDPOINT,
  parked,
  recordingOf,
} from './recording.fixture.ts';
import { insertRequests, readRequests } from './requests.ts';
import { emptyTables, openTables } from './tables.fixture.ts';

const database = useTestDatabase();
let pool: Pool;

beforeAll(async () => {
  pool = await openTables(database.connectionString, 4);
});

beforeEach(() => emptyTables(pool, 4));

afterAll(() => pool.end());

async function cursors() {
  const loaded = await transaction(pool, (client) => loadLane(client, LANE, 2));
  return [...loaded.cursors];
}

function write(overrides: Partial<LaneRecording>, number = 1): Promise<LaneRecorded[]> {
  const lanes = [recordingOf(overrides)];
  return transaction(pool, (client) => writeRecording(client, number, lanes));
}

async function claim(limit: number, claimed: readonly number[] = []): Promise<ClaimResult> {
  const [result] = await readDueRows(pool, [claimOf({ limit, claimed })], NOW_MS + 1_000);
  if (result === undefined) throw new Error('a claim has a result');
  return result;
}

/** How the delivery log says that a delivery ended. */
function ended(position: number, settlement: 'dead' | 'delivered'): AttemptRecord {
  return {
    event: event(position),
    endpointId: ENDPOINT,
    attempt: 10,
    startedAtMs: NOW_MS,
    revision: 1,
    outcome: { kind: 'delivered', status: 200, durationMs: 1 },
    reason: undefined,
    settlement,
  };
}

function ascending(one: number, other: number): number {
  return one - other;
}

/** Of those that are due. */
function positionsOf({ rows }: ClaimResult): number[] {
  return rows.filter(({ follows }) => !follows).map((row) => row.event.position);
}

async function claimedRows(limit: number) {
  const { rows } = await claim(limit);
  return rows.map((row) => [row.event.position, row.follows]);
}

describe('parked rows', () => {
  test('only the oldest of a pair is due, and its settlement makes the next one due', async () => {
    await write({ parkedRows: [parked(1), parked(2)] });
    await write({ parkedRows: [parked(3), parked(4, { event: event(4, 'invoice-2') })] });
    expect(positionsOf(await claim(10))).toEqual([1, 4]);
    await write({ settledRows: [{ position: 1, endpointId: ENDPOINT }] });
    expect(positionsOf(await claim(10)).toSorted(ascending)).toEqual([2, 4]);
    await write({ settledRows: [{ position: 2, endpointId: ENDPOINT }] });
    expect(positionsOf(await claim(10)).toSorted(ascending)).toEqual([3, 4]);
  });

  test('what follows a due row comes with it, in order, as far as there is room', async () => {
    await write({ parkedRows: [parked(1), parked(2), parked(3)] });
    await write({ parkedRows: [parked(4, { event: event(4, 'invoice-2') }), parked(5)] });
    expect(await claimedRows(10)).toEqual([
      [1, false],
      [2, true],
      [3, true],
      [5, true],
      [4, false],
    ]);
    expect(await claimedRows(5)).toEqual([
      [1, false],
      [2, true],
      [4, false],
    ]);
    expect(await claimedRows(2)).toEqual([
      [1, false],
      [4, false],
    ]);
  });

  test('a pair of another endpoint is another pair', async () => {
    await write({ parkedRows: [parked(1), parked(1, { endpointId: OTHER_ENDPOINT })] });
    await write({ parkedRows: [parked(2, { endpointId: OTHER_ENDPOINT })] });
    expect(positionsOf(await claim(10))).toEqual([1]);
    const [other] = await readDueRows(
      pool,
      [claimOf({ endpointId: OTHER_ENDPOINT, limit: 10 })],
      NOW_MS + 1_000,
    );
    expect(other && positionsOf(other)).toEqual([1]);
  });

  test('a failed attempt moves the time of the next one, which the claim names', async () => {
    await write({ parkedRows: [parked(1)] });
    const notBeforeMs = NOW_MS + 60_000;
    await write({
      retriedRows: [
        { position: 1, endpointId: ENDPOINT, attempt: 4, inFlight: false, notBeforeMs },
      ],
    });
    expect(await claim(10)).toMatchObject({ rows: [], nextDueAtMs: notBeforeMs });
  });

  test('what is claimed already is left out, and the limit holds', async () => {
    const rows = [1, 2, 3, 4].map((position) =>
      parked(position, { event: event(position, `invoice-${position}`) }),
    );
    await write({ parkedRows: rows });
    expect(positionsOf(await claim(2, [1]))).toHaveLength(2);
    expect(positionsOf(await claim(10, [1, 3])).toSorted(ascending)).toEqual([2, 4]);
  });

  test('a claimed row brings its event with the very same body', async () => {
    await write({ parkedRows: [parked(1, { attempt: 2 })] });
    const { rows } = await claim(10);
    expect(rows).toEqual([
      { event: event(1), attempt: 2, inFlight: false, ordered: true, follows: false },
    ]);
  });

  test('an event is kept as long as somebody waits for it', async () => {
    await write({ parkedRows: [parked(1), parked(1, { endpointId: OTHER_ENDPOINT })] });
    await write({ settledRows: [{ position: 1, endpointId: ENDPOINT }] });
    const kept = await pool.query('select from dispatcher.parked_event');
    expect(kept.rowCount).toBe(1);
    await write({ settledRows: [{ position: 1, endpointId: OTHER_ENDPOINT }] });
    const swept = await pool.query('select from dispatcher.parked_event');
    expect(swept.rowCount).toBe(0);
  });

  test('rows of an unregistered endpoint are cancelled, and the log says so', async () => {
    await write({ parkedRows: [parked(1), parked(2)] });
    const [result] = await write({ cancelEndpoints: [ENDPOINT] });
    expect(result).toMatchObject({ cancelled: [{ endpointId: ENDPOINT, rows: 2, isAll: true }] });
    const listed = await listDeliveries(pool, {
      tenant: 'default',
      endpointId: ENDPOINT,
      beforeEventId: undefined,
      limit: 10,
      only: 'cancelled',
    });
    expect(listed.map(({ position }) => position)).toEqual([2, 1]);
    expect((await pool.query('select from dispatcher.parked_event')).rowCount).toBe(0);
  });

  test('all rows of an endpoint are listed as they are after the recording', async () => {
    const [result] = await write({ parkedRows: [parked(1), parked(2)], listEndpoints: [ENDPOINT] });
    expect(result).toMatchObject({
      listed: [
        {
          endpointId: ENDPOINT,
          rows: [
            { position: 1, invoiceId: 'invoice-1', ordered: true, dueAtMs: NOW_MS },
            { position: 2, invoiceId: 'invoice-1', ordered: true, dueAtMs: undefined },
          ],
        },
      ],
    });
  });
});

const ALL = { atMost: 10, known: [], fullLanes: [], fullEndpoints: [] };

describe('requests to the owner', () => {
  test('a retry makes a row due at once, and the request goes', async () => {
    const later = parked(1, { attempt: 1, notBeforeMs: NOW_MS + 3_600_000 });
    await write({ parkedRows: [later] });
    const row = { position: 1, endpointId: ENDPOINT };
    await insertRequests(pool, [{ ...row, lane: LANE, reviveAttempt: undefined }]);
    const [request] = await readRequests(pool, [LANE], ALL);
    expect(request).toMatchObject({ ...row, lane: LANE, reviveAttempt: undefined });
    const requestId = request?.requestId ?? '';
    await write({ carriedOut: [{ kind: 'retry_now', requestId, row }] });
    expect(await readRequests(pool, [LANE], ALL)).toEqual([]);
    const [due] = await readDueRows(pool, [claimOf({ limit: 1 })], Date.now() + 1_000);
    expect(due?.rows).toHaveLength(1);
  });

  test('a revived row is due although its pair is blocked, and blocks nobody', async () => {
    await write({ parkedRows: [parked(5), parked(6)] });
    const row = parked(2, { ordered: false, attempt: 10 });
    await write({ attempts: [ended(2, 'dead')] });
    await write({ carriedOut: [{ kind: 'revive', requestId: '1', row }] });
    await write({ settledRows: [{ position: 5, endpointId: ENDPOINT }] });
    expect(positionsOf(await claim(10)).toSorted(ascending)).toEqual([2, 6]);
  });

  test('a retry changes nothing while an attempt is under way', async () => {
    const notBeforeMs = NOW_MS + 3_600_000;
    await write({ parkedRows: [parked(1, { attempt: 1, inFlight: true, notBeforeMs })] });
    const row = { position: 1, endpointId: ENDPOINT };
    await write({ carriedOut: [{ kind: 'retry_now', requestId: '1', row }] });
    expect(await claim(10)).toMatchObject({ rows: [], nextDueAtMs: notBeforeMs });
  });

  test('a revival that is asked for again is not carried out after the first was delivered', async () => {
    const row = parked(2, { ordered: false, attempt: 10 });
    const again = [{ kind: 'revive' as const, requestId: '2', row }];
    await write({ attempts: [ended(2, 'dead')] });
    await write({ carriedOut: [{ kind: 'revive', requestId: '1', row }] });
    const key = { position: 2, endpointId: ENDPOINT };
    await write({ attempts: [ended(2, 'delivered')], settledRows: [key] });
    expect(await write({ carriedOut: again })).toMatchObject([{ revived: [] }]);
    expect(positionsOf(await claim(10))).toEqual([]);
  });
});

test('a delivery that is revived twice has one row', async () => {
  const row = parked(2, { ordered: false, attempt: 10 });
  await write({ attempts: [ended(2, 'dead')] });
  const key = { position: 2, endpointId: ENDPOINT };
  const [first] = await write({ carriedOut: [{ kind: 'revive', requestId: '1', row }] });
  expect(first).toMatchObject({ revived: [key] });
  const [second] = await write({ carriedOut: [{ kind: 'revive', requestId: '2', row }] });
  expect(second).toMatchObject({ revived: [] });
});

describe('progress', () => {
  test('a successor learns what is settled above progress and what is parked', async () => {
    const settledAhead = [{ position: 12, endpointId: ENDPOINT }];
    const mark = { id: event(9).id, offset: 123 };
    await write({ progress: 9, mark, settledAhead, parkedRows: [parked(1), parked(2)] });
    const loaded = await transaction(pool, (client) => loadLane(client, LANE, 2));
    expect({ ...loaded, settledAhead: [...loaded.settledAhead] }).toEqual({
      lane: LANE,
      epoch: 2,
      progress: 9,
      mark,
      settledAhead,
      parked: [{ endpointId: ENDPOINT, rows: 2, nextDueAtMs: NOW_MS }],
      cursors: [],
      lateAnswers: [],
    });
  });

  test('another number of lanes than the store has is refused', async () => {
    await expect(addLanes(pool, LANE)).rejects.toThrow(`was created with ${LANE + 1} lanes`);
  });

  test('a successor learns where cursors stand, until they end', async () => {
    const cursor = { position: 8, mark: { id: event(8).id, offset: 120 } };
    const atStart = { position: 0, mark: undefined };
    await write({ movedCursors: [{ endpointId: ENDPOINT, cursor: atStart }] });
    expect(await cursors()).toEqual([{ endpointId: ENDPOINT, cursor: atStart }]);
    await write({ movedCursors: [{ endpointId: ENDPOINT, cursor }] });
    expect(await cursors()).toEqual([{ endpointId: ENDPOINT, cursor }]);
    await write({ movedCursors: [{ endpointId: ENDPOINT, cursor: undefined }] });
    expect(await cursors()).toEqual([]);
  });

  test('a recording that was committed unheard is recognised', async () => {
    await write({}, 7);
    const lanes = [recordingOf({})];
    const ask = (number: number): Promise<boolean> =>
      transaction(pool, (client) => wasRecorded(client, { number, lanes }));
    expect(await ask(7)).toBe(true);
    expect(await ask(8)).toBe(false);
  });
});

describe('the delivery log', () => {
  const attempt = {
    event: event(1),
    endpointId: ENDPOINT,
    attempt: 1,
    startedAtMs: NOW_MS,
    revision: 1,
    outcome: { kind: 'rejected', status: 500, durationMs: 12, snippet: 'a "quoted" \\ answer' },
    reason: undefined,
    settlement: undefined,
  } satisfies AttemptRecord;
  const accepted = { kind: 'delivered', status: 204, durationMs: 1 } as const;
  const key = { tenant: 'default', eventId: event(1).id, endpointId: ENDPOINT };

  test('a delivery shows its attempts, and where it stands', async () => {
    await write({ attempts: [attempt], parkedRows: [parked(1, { attempt: 1 })] });
    expect(await getDelivery(pool, key)).toMatchObject({
      delivery: { attempt: 1, standing: { kind: 'parked', dueAtMs: NOW_MS } },
      attempts: [{ attempt: 1, outcome: 'rejected', status: 500, detail: attempt.outcome.snippet }],
    });
    const delivered = {
      ...attempt,
      attempt: 2,
      outcome: accepted,
      settlement: 'delivered' as const,
    };
    await write({ attempts: [delivered], settledRows: [{ position: 1, endpointId: ENDPOINT }] });
    expect(await getDelivery(pool, key)).toMatchObject({
      delivery: { standing: { kind: 'settled', settlement: 'delivered' } },
      attempts: [{ attempt: 1 }, { attempt: 2, outcome: 'delivered', status: 204 }],
    });
  });

  test('what is being sent counts as due, whenever it would be sent again', async () => {
    const notBeforeMs = NOW_MS + 3_600_000;
    const sent = parked(1, {
      event: event(1, 'invoice-1'),
      attempt: 1,
      inFlight: true,
      notBeforeMs,
    });
    const failed = parked(2, { event: event(2, 'invoice-2'), attempt: 1, notBeforeMs });
    await write({ parkedRows: [sent, failed] });
    const query = { tenant: 'default', endpointId: ENDPOINT, beforeEventId: undefined, limit: 10 };
    const due = await listDeliveries(pool, { ...query, only: 'due' });
    expect(due).toMatchObject([{ position: 1, standing: { inFlight: true } }]);
    const retrying = await listDeliveries(pool, { ...query, only: 'retrying' });
    expect(retrying).toMatchObject([{ position: 2, standing: { inFlight: false } }]);
  });

  test('what is another tenant’s is not found', async () => {
    await write({ attempts: [attempt], parkedRows: [parked(1)] });
    expect(await getDelivery(pool, { ...key, tenant: 'other' })).toBeUndefined();
  });

  test('a list holds parked and settled deliveries, newest events first, page by page', async () => {
    const settled = [1, 2, 3].map((position) => ({
      ...attempt,
      event: event(position),
      outcome: accepted,
      settlement: 'delivered' as const,
    }));
    await write({ attempts: settled, parkedRows: [parked(4), parked(5)] });
    const query = { tenant: 'default', endpointId: ENDPOINT, limit: 3, only: undefined };
    const first = await listDeliveries(pool, { ...query, beforeEventId: undefined });
    expect(first.map(({ position }) => position)).toEqual([5, 4, 3]);
    const second = await listDeliveries(pool, { ...query, beforeEventId: first.at(-1)?.eventId });
    expect(second.map(({ position }) => position)).toEqual([2, 1]);
    const waiting = await listDeliveries(pool, {
      ...query,
      beforeEventId: undefined,
      only: 'waiting',
    });
    expect(waiting.map(({ position }) => position)).toEqual([5]);
  });
});
