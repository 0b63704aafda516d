import { transaction } from '@billhook/postgres';
import { describe, expect, test } from 'vitest';

import type { Claim, ClaimResult } from '../engine/effect.ts';
import { addClaimed, createEndpointLane } from '../engine/endpoint-lane.ts';
import { createEndpoint } from '../engine/endpoint.ts';
import { createLaneWindow } from '../engine/lane-window.ts';
import { readDueRows } from './claim.ts';
import { listDeliveries } from './deliveries.ts';
import { addLanes, loadLane, wasRecorded } from './lanes.ts';
import { insertRequests, readRequests } from './requests.ts';
import { ENDPOINT, event, LANE, NOW_MS, parked, recordingOf, useTables } from './tables.fixture.ts';

const OTHER_ENDPOINT = `ep_${'b'.repeat(32)}`;
const tables = useTables();
const { write } = tables;

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
    const [other] = await readDueRows(tables.pool, [claimOf(OTHER_ENDPOINT, 10)], NOW_MS + 1_000);
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
    const kept = await tables.pool.query('select from dispatcher.parked_event');
    expect(kept.rowCount).toBe(1);
    await write({ settledRows: [{ position: 1, endpointId: OTHER_ENDPOINT }] });
    const swept = await tables.pool.query('select from dispatcher.parked_event');
    expect(swept.rowCount).toBe(0);
  });

  test('rows of an unregistered endpoint are cancelled, and the log says so', async () => {
    await write({ parkedRows: [parked(1), parked(2)] });
    const [result] = await write({ cancelEndpoints: [ENDPOINT] });
    expect(result).toMatchObject({ cancelled: [{ endpointId: ENDPOINT, rows: 2, isAll: true }] });
    const listed = await listDeliveries(tables.pool, {
      tenant: 'default',
      endpointId: ENDPOINT,
      beforeEventId: undefined,
      limit: 10,
      only: 'cancelled',
    });
    expect(listed.map(({ position }) => position)).toEqual([2, 1]);
    expect((await tables.pool.query('select from dispatcher.parked_event')).rowCount).toBe(0);
  });

  test('of very many rows of an unregistered endpoint a part is cancelled at a time', async () => {
    await write({ parkedRows: Array.from({ length: 1_500 }, (_, index) => parked(index + 1)) });
    const [first] = await write({ cancelEndpoints: [ENDPOINT] });
    expect(first).toMatchObject({ cancelled: [{ rows: 1_000, isAll: false }] });
    const [second] = await write({ cancelEndpoints: [ENDPOINT] });
    expect(second).toMatchObject({ cancelled: [{ rows: 500, isAll: true }] });
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

describe('requests to the owner', () => {
  test('a retry makes a row due at once, and the request goes', async () => {
    const later = parked(1, { attempt: 1, notBeforeMs: NOW_MS + 3_600_000 });
    await write({ parkedRows: [later] });
    const row = { position: 1, endpointId: ENDPOINT };
    await insertRequests(tables.pool, [{ ...row, lane: LANE, reviveAttempt: undefined }]);
    const [request] = await readRequests(tables.pool, [LANE], []);
    expect(request).toMatchObject({ ...row, lane: LANE, reviveAttempt: undefined });
    const requestId = request?.requestId ?? '';
    await write({ carriedOut: [{ kind: 'retry_now', requestId, row }] });
    expect(await readRequests(tables.pool, [LANE], [])).toEqual([]);
    const [due] = await readDueRows(tables.pool, [claimOf(ENDPOINT, 1)], Date.now() + 1_000);
    expect(due?.rows).toHaveLength(1);
  });

  test('a revived row is due although its pair is blocked, and blocks nobody', async () => {
    await write({ parkedRows: [parked(5), parked(6)] });
    const row = parked(2, { ordered: false, attempt: 10 });
    await write({ carriedOut: [{ kind: 'revive', requestId: '1', row }] });
    await write({ settledRows: [{ position: 5, endpointId: ENDPOINT }] });
    expect(positionsOf(await claim(10)).toSorted(ascending)).toEqual([2, 6]);
  });
});

test('a delivery that is revived twice has one row', async () => {
  const row = parked(2, { ordered: false, attempt: 10 });
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
    const loaded = await transaction(tables.pool, (client) => loadLane(client, LANE, 2));
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
    await expect(addLanes(tables.pool, LANE)).rejects.toThrow(`was created with ${LANE + 1} lanes`);
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
      transaction(tables.pool, (client) => wasRecorded(client, { number, lanes }));
    expect(await ask(7)).toBe(true);
    expect(await ask(8)).toBe(false);
  });
});

async function cursors() {
  const loaded = await transaction(tables.pool, (client) => loadLane(client, LANE, 2));
  return [...loaded.cursors];
}

function claimOf(endpointId: string, limit: number, claimed: readonly number[] = []): Claim {
  const window = createLaneWindow({
    lane: LANE,
    epoch: 1,
    progress: 0,
    mark: undefined,
    settledAhead: [],
  });
  const endpointLane = createEndpointLane(createEndpoint(endpointId, undefined), window, 1);
  for (const position of claimed) {
    addClaimed(endpointLane, {
      event: event(position),
      endpointLane,
      ordered: true,
      state: 'in_flight',
      attempt: 1,
      isUnanswered: false,
      entry: undefined,
      behind: undefined,
      origin: undefined,
      startedAtMs: NOW_MS,
      revision: 1,
      notBeforeMs: NOW_MS,
    });
  }
  return { endpointLane, limit };
}

async function claim(limit: number, claimed: readonly number[] = []): Promise<ClaimResult> {
  const [result] = await readDueRows(
    tables.pool,
    [claimOf(ENDPOINT, limit, claimed)],
    NOW_MS + 1_000,
  );
  if (result === undefined) throw new Error('a claim has a result');
  return result;
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
