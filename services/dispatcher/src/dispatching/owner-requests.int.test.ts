import { setTimeout as sleep } from 'node:timers/promises';

import type { EventLogReader, LogRecord } from '@billhook/event-log';
import { createLaneLeases, type LaneLeases } from '@billhook/lane-leases';
import type { Pool } from '@billhook/postgres';
import { createLog } from '@billhook/runtime';
import { useTestDatabase } from '@billhook/testing';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

import { INVOICE_CREATED } from '../created-invoice.fixture.ts';
import { gainedLane, optionsOf } from '../engine/engine.fixture.ts';
import { Engine } from '../engine/engine.ts';
import type { OwnerRequest } from '../engine/effect.ts';
import type { GainedLane } from '../engine/lanes.ts';
import { DEFAULT_LIMITS, type EngineLimits } from '../engine/limits.ts';
import { addLanes } from '../postgres/lanes.ts';
import { SCHEMA } from '../postgres/migrations.ts';
import { insertRequests } from '../postgres/requests.ts';
import { openTables } from '../postgres/tables.fixture.ts';
import { createEngineLoop, type EngineLoop } from './engine-loop.ts';
import { createEventLookup, type EventLookup } from './event-lookup.ts';
import { MAX_FULL_ENDPOINTS } from './full-places.ts';
import { createOwnerRequests, MAX_UNDER_WAY, type OwnerRequests } from './owner-requests.ts';

const database = useTestDatabase();
const log = createLog({ level: 'silent', service: 'test' });
const ENDPOINT = `ep_${'a'.repeat(32)}`;
const OTHER = `ep_${'b'.repeat(32)}`;
const LANE = 0;
let pool: Pool;
let leases: LaneLeases;

beforeAll(async () => {
  pool = await openTables(database.connectionString, 4);
  await addLanes(pool, 1);
  leases = createLaneLeases(
    { pool, log, monotonicMs: () => performance.now() },
    { schema: SCHEMA, lanes: 1, ownerId: 'test', ownership: 'shared' },
  );
  await leases.start({ gained: () => undefined, revoked: () => undefined, lost: () => undefined });
});

afterAll(async () => {
  await leases.stop();
  await pool.end();
});

/** A log that has nothing at all: the event of no dead delivery can be read. */
const emptyLog: EventLogReader = {
  read: (requests) =>
    Promise.resolve(
      requests.map(({ lane, after }) => ({
        lane,
        after,
        predecessor: { kind: 'none' },
        events: [] satisfies LogRecord[],
      })),
    ),
  waitForMore: (_, timeoutMs) => sleep(timeoutMs),
  close: () => Promise.resolve(),
};

interface Running {
  readonly loop: EngineLoop;
  readonly requests: OwnerRequests;
}

/** Runs the reader of requests for a lane until the work is done, which sees what the engine gets. */
async function withRequests(
  lookup: EventLookup,
  work: (requested: readonly OwnerRequest[], running: Running) => Promise<void>,
  { limits, ...gained }: Partial<GainedLane> & { readonly limits?: Partial<EngineLimits> } = {},
): Promise<void> {
  const engine = new Engine(optionsOf({ limits: { ...limits } }));
  const requested: OwnerRequest[] = [];
  vi.spyOn(engine, 'requested').mockImplementation((requests) => void requested.push(...requests));
  const loop = createEngineLoop(engine, () => undefined);
  await vi.waitFor(() => expect(leases.held().size).toBe(1), 10_000);
  const epoch = leases.held().get(LANE) ?? 0;
  loop.input((it, now) => it.laneGained(gainedLane(LANE, { ...gained, epoch }), now));
  const ended = new AbortController();
  const requests = createOwnerRequests({ pool, lookup, loop, log });
  const running = requests.run(ended.signal);
  try {
    await work(requested, { loop, requests });
  } finally {
    ended.abort();
    await running;
    loop.stop();
    await pool.query('delete from dispatcher.owner_request');
  }
}

test('a request that cannot be read does not keep the others waiting', async () => {
  await insertRequests(pool, [{ lane: LANE, position: 1, endpointId: ENDPOINT, reviveAttempt: 3 }]);
  const readable = { lane: LANE, position: 2, endpointId: ENDPOINT, reviveAttempt: undefined };
  await insertRequests(pool, [readable]);
  const lookup = createEventLookup(() => Promise.resolve(emptyLog));
  await withRequests(lookup, async (requested) => {
    await vi.waitFor(() => expect(requested.map(({ position }) => position)).toEqual([2]), 5_000);
  });
});

test('an event that is not found is looked for again, after a longer pause each time', async () => {
  await insertRequests(pool, [{ lane: LANE, position: 1, endpointId: ENDPOINT, reviveAttempt: 3 }]);
  const atMs: number[] = [];
  const find = () => {
    atMs.push(performance.now());
    return Promise.reject(new Error('it is not there'));
  };
  const lookup = { ...createEventLookup(() => Promise.resolve(emptyLog)), find };
  await withRequests(lookup, async (_, { requests }) => {
    await vi.waitFor(() => expect(atMs).toHaveLength(3), 10_000);
    expect(requests.usage()).toMatchObject({ requests: 1, requestsUnderWay: 0 });
  });
  const [first = 0, second = 0, third = 0] = atMs;
  expect(second - first).toBeGreaterThan(900);
  expect(third - second).toBeGreaterThan(1_900);
});

/** A log that has whatever is looked for. */
const fullLookup: EventLookup = {
  ...createEventLookup(() => Promise.resolve(emptyLog)),
  find: ({ lane, position }) =>
    Promise.resolve({
      lane,
      position,
      id: `evt_${position.toString().padStart(32, '0')}`,
      tenant: 'default',
      streamId: `invoice-${position}`,
      version: 1,
      type: 'invoice_created',
      data: Buffer.from(INVOICE_CREATED),
      recordedAtMs: 10,
      traceparent: undefined,
      offset: undefined,
    }),
};

/** Asks for so many dead deliveries of an endpoint. */
async function askFor(endpointId: string, count: number, lane = LANE): Promise<void> {
  const requests = Array.from({ length: count }, (_, index) => {
    return { lane, position: index + 1, endpointId, reviveAttempt: 3 };
  });
  await insertRequests(pool, requests);
}

/** Asks for a dead delivery of each of so many endpoints, which it returns. */
async function askForEach(count: number): Promise<string[]> {
  const endpointIds = Array.from({ length: count }, (_, index) => {
    return `ep_${index.toString(16).padStart(32, '0')}`;
  });
  const requests = endpointIds.map((endpointId) => {
    return { lane: LANE, position: 1, endpointId, reviveAttempt: 3 };
  });
  await insertRequests(pool, requests);
  return endpointIds;
}

test('no more dead deliveries are in hand than are read at a time, however many are asked for', async () => {
  await askFor(ENDPOINT, 3 * MAX_UNDER_WAY);
  await withRequests(fullLookup, async (requested, { requests }) => {
    await vi.waitFor(() => expect(requested).toHaveLength(MAX_UNDER_WAY), 5_000);
    // None of them is recorded: several more readings bring nothing.
    await sleep(1_500);
    expect(requested).toHaveLength(MAX_UNDER_WAY);
    expect(requests.usage()).toMatchObject({ requestsUnderWay: MAX_UNDER_WAY, fullEndpoints: 0 });
  });
});

test('dead deliveries of an endpoint with all the rows it may have wait, and those of others do not', async () => {
  await askFor(ENDPOINT, 2 * MAX_UNDER_WAY);
  await askFor(OTHER, 1);
  const rows = DEFAULT_LIMITS.maxRowsPerEndpointLane;
  const parked = [{ endpointId: ENDPOINT, rows, nextDueAtMs: undefined }];
  await withRequests(
    fullLookup,
    async (requested) => {
      const endpointIds = () => requested.map(({ endpointId }) => endpointId);
      await vi.waitFor(() => expect(endpointIds()).toEqual([OTHER]), 5_000);
      await sleep(1_000);
      expect(endpointIds()).toEqual([OTHER]);
    },
    { parked },
  );
});

test('whoever stands behind the requests of many full endpoints waits for a few readings alone', async () => {
  const endpointIds = Array.from({ length: 10 }, (_, index) => `ep_${String(index).repeat(32)}`);
  for (const endpointId of endpointIds) await askFor(endpointId, MAX_UNDER_WAY);
  await askFor(OTHER, 1);
  const rows = DEFAULT_LIMITS.maxRowsPerEndpointLane;
  const parked = endpointIds.map((endpointId) => ({ endpointId, rows, nextDueAtMs: undefined }));
  await withRequests(
    fullLookup,
    async (requested) => {
      // With a pause after each reading it would take five seconds.
      await vi.waitFor(() => expect(requested).toMatchObject([{ endpointId: OTHER }]), 2_500);
    },
    { parked },
  );
});

test('rows are retried while more endpoints are full than are known, and the dead once they are not', async () => {
  const endpointIds = await askForEach(MAX_FULL_ENDPOINTS + 100);
  await insertRequests(pool, [
    { lane: LANE, position: 2, endpointId: OTHER, reviveAttempt: undefined },
  ]);
  const parked = endpointIds.map((endpointId) => ({ endpointId, rows: 1, nextDueAtMs: undefined }));
  await withRequests(
    fullLookup,
    async (requested, { loop, requests }) => {
      await vi.waitFor(() => {
        expect(requested.map(({ endpointId }) => endpointId)).toEqual([OTHER]);
      }, 15_000);
      expect(requests.usage()).toMatchObject({ requests: 1, fullEndpoints: MAX_FULL_ENDPOINTS });
      // Their rows are gone.
      loop.input((engine, now) => engine.laneGained(gainedLane(LANE, { epoch: 1_000 }), now));
      await vi.waitFor(() => expect(requested.some(({ revive }) => revive)).toBe(true), 5_000);
    },
    { parked, limits: { maxRowsPerEndpointLane: 1 } },
  );
});

test('a lane that is full holds up nothing in others, however many endpoints it is full for', async () => {
  await askForEach(MAX_FULL_ENDPOINTS + 100);
  await askFor(OTHER, 1, 1);
  await withRequests(
    fullLookup,
    async (requested, { loop, requests }) => {
      loop.input((engine, now) => engine.laneGained(gainedLane(1), now));
      await vi.waitFor(() => expect(requested).toMatchObject([{ endpointId: OTHER }]), 2_000);
      expect(requests.usage().fullEndpoints).toBe(0);
    },
    {
      parked: [{ endpointId: ENDPOINT, rows: 11, nextDueAtMs: undefined }],
      limits: { maxRowsPerLane: 10 },
    },
  );
});
