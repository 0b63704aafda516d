import { expect, test } from 'vitest';

import type { Delivery } from './delivery.ts';
import type { Now } from './effect.ts';
import { eventAt, gainedLane, optionsOf, viewOf } from './engine.fixture.ts';
import { Engine } from './engine.ts';
import { DEFAULT_LIMITS } from './limits.ts';

const BODY_BYTES = 10;

function at(ms: number): Now {
  return { wallMs: 1_000_000 + ms, monotonicMs: ms };
}

const views = new Map(
  ['ep_well', 'ep_broken', 'ep_full'].map((endpointId) => [endpointId, viewOf(endpointId)]),
);

/** An engine with one lane, in which two endpoints have rows, and one of them a cursor. */
function startEngine(): Engine {
  const engine = new Engine(
    optionsOf({
      retryScheduleMs: [60_000],
      retentionMs: 86_400_000,
      random: () => 0,
      view: (endpointId) => views.get(endpointId),
    }),
  );
  engine.leaseExtended(Infinity, at(0));
  engine.laneGained(
    gainedLane(0, {
      progress: 100,
      parked: [
        { endpointId: 'ep_broken', rows: 3, nextDueAtMs: undefined },
        { endpointId: 'ep_full', rows: 1_000, nextDueAtMs: undefined },
      ],
      cursors: [{ endpointId: 'ep_full', cursor: { position: 50, mark: undefined } }],
    }),
    at(0),
  );
  return engine;
}

function read(engine: Engine, positions: readonly number[], endpointId: string): Delivery[] {
  const view = views.get(endpointId);
  const events = positions.map((position) => ({
    event: eventAt(position, { body: Buffer.alloc(BODY_BYTES) }),
    endpoints: view === undefined ? [] : [view],
  }));
  engine.eventsRead([{ lane: 0, epoch: 1, events }], at(10));
  return sendsOf(engine);
}

function sendsOf(engine: Engine): Delivery[] {
  const effects = engine.takeEffects();
  return effects.flatMap((effect) => (effect.kind === 'send' ? [effect.delivery] : []));
}

test('it counts rows, lanes and endpoints as they are found', () => {
  const engine = startEngine();
  expect(engine.census(at(0))).toMatchObject({
    inFlight: 0,
    held: 0,
    parked: 1_003,
    parkedInLane: 1_003,
    parkedOfEndpoint: 1_000,
    // None of the rows is due: what is behind the cursor need not wait for them.
    refills: 1,
    endpoints: { lagging: 2, withCursor: 1, open: 0, halfOpen: 0 },
    lanes: [{ lane: 0, progress: 100, readPosition: 100, lagMs: 0 }],
  });
});

test('it counts what is under way, what waits, and how old the oldest of it is', () => {
  const engine = startEngine();
  const positions = Array.from({ length: 20 }, (_, index) => 101 + index);
  const sent = read(engine, positions, 'ep_well');
  expect(sent.length).toBeLessThan(20);
  expect(engine.census(at(750))).toMatchObject({
    inFlight: sent.length,
    inFlightToOrigin: sent.length,
    inFlightToEndpoint: sent.length,
    queued: 20 - sent.length,
    queuedLimit: DEFAULT_LIMITS.minQueued,
    ready: 0,
    held: 20,
    heldBytes: 20 * BODY_BYTES,
    windowEvents: 20,
    unrecorded: 0,
    lanes: [{ progress: 100, readPosition: 120, lagMs: 750 }],
  });
});

test('it counts the lanes that are read again, and the rows of the one with the most', () => {
  const engine = startEngine();
  const cursors = [{ endpointId: 'ep_well', cursor: { position: 50, mark: undefined } }];
  for (const lane of [1, 2]) {
    const parked = [{ endpointId: 'ep_broken', rows: lane, nextDueAtMs: undefined }];
    engine.laneGained(gainedLane(lane, { progress: 100, parked, cursors }), at(0));
  }
  // The second one has to wait until the first is read.
  expect(engine.census(at(0))).toMatchObject({ parked: 1_006, parkedInLane: 1_003, refills: 1 });
});

test('it counts circuits as they open and are tried again', () => {
  const engine = startEngine();
  const { failures, firstWaitMs } = DEFAULT_LIMITS.circuit;
  const positions = Array.from({ length: failures }, (_, index) => 101 + index);
  const outcome = { kind: 'unreachable', durationMs: 5, detail: 'refused' } as const;
  // Fewer are under way at a time than it takes to open the circuit.
  let sent = read(engine, positions, 'ep_well');
  while (sent.length > 0) {
    for (const delivery of sent) engine.answered({ delivery, outcome }, at(20));
    sent = sendsOf(engine);
  }
  const census = engine.census(at(20));
  expect(census.endpoints).toEqual({ lagging: 3, withCursor: 1, open: 1, halfOpen: 0 });
  expect(census.unrecorded).toBeGreaterThan(0);
  engine.tick(at(firstWaitMs + 1_000));
  expect(engine.census(at(3_000)).endpoints).toMatchObject({ open: 0, halfOpen: 1 });
});
