import { describe, expect, test } from 'vitest';

import type { Now } from './effect.ts';
import type { EndpointView } from './endpoint.ts';
import { eventAt, gainedLane, optionsOf, viewOf } from './engine.fixture.ts';
import { Engine } from './engine.ts';
import { DEFAULT_LIMITS } from './limits.ts';

const NOW: Now = { wallMs: 1_000_000, monotonicMs: 5_000 };
const LANES = 4;

/** An engine that owns some lanes, and may read all of them. */
function startEngine(): Engine {
  const engine = new Engine(optionsOf({ view: viewOf }));
  for (let lane = 0; lane < LANES; lane += 1) engine.laneGained(gainedLane(lane), NOW);
  return engine;
}

/** Takes in an event of the first lane that so many endpoints match. */
function read(engine: Engine, position: number, endpoints: number): void {
  const event = eventAt(position);
  const matched = Array.from({ length: endpoints }, (_, nth) => viewOf(`ep_${nth}`));
  engine.eventsRead([{ lane: 0, epoch: 1, events: [{ event, endpoints: matched }] }], NOW);
}

/** An endpoint whose id begins with its tenant's. */
function ofOwnTenant(endpointId: string): EndpointView {
  return viewOf(endpointId, { tenant: endpointId.slice(0, 3) });
}

/** Everything that was sent is accepted at once. */
function answerAll(engine: Engine): void {
  for (const effect of engine.takeEffects()) {
    if (effect.kind !== 'send') continue;
    const outcome = { kind: 'delivered', status: 200, durationMs: 1 } as const;
    engine.answered({ delivery: effect.delivery, outcome }, NOW);
  }
}

/** Takes in the next events of the first lane, each of which one endpoint matches. */
function readMore(engine: Engine, events: number): void {
  for (let nth = 0; nth < events; nth += 1) {
    read(engine, (engine.lanes()[0]?.readPosition ?? 0) + 1, 1);
  }
}

function limitsOf(engine: Engine): number[] {
  return engine.readRequests().map(({ limit }) => limit);
}

test('lanes share what may be read at once', () => {
  const share = DEFAULT_LIMITS.maxReady / LANES;
  expect(limitsOf(startEngine())).toEqual(Array.from({ length: LANES }, () => share));
});

test('an event with many endpoints lets fewer be read at once, and every lane still one', () => {
  const engine = startEngine();
  read(engine, 1, 400);
  expect(limitsOf(engine)).toEqual([1, 1, 1, 1]);
});

test('more are read again when only few endpoints match', () => {
  const engine = startEngine();
  read(engine, 1, 100);
  const [limit = 0] = limitsOf(engine);
  for (let position = 2; position <= 50; position += 1) read(engine, position, 1);
  expect(limitsOf(engine)[0]).toBeGreaterThan(20 * limit);
});

describe('what waits for nothing but its turn', () => {
  const SENDS = 4;
  const READY = 8;
  const limits = { maxInFlight: SENDS, maxReady: READY };

  function startWith(view: (endpointId: string) => EndpointView): Engine {
    const engine = new Engine(optionsOf({ view, limits }));
    engine.leaseExtended(Infinity, NOW);
    engine.laneGained(gainedLane(0), NOW);
    return engine;
  }

  /** An engine with one lane, in which an endpoint has answered fast. */
  function startSending(maxInFlight: number): Engine {
    const engine = startWith((endpointId) => viewOf(endpointId, { maxInFlight }));
    readMore(engine, 1);
    answerAll(engine);
    return engine;
  }

  test('lets no more be read until half of it is sent', () => {
    const engine = startSending(2 * SENDS);
    readMore(engine, SENDS + READY / 2);
    expect(limitsOf(engine)).toEqual([READY / 2]);
    readMore(engine, 1);
    expect(limitsOf(engine)).toEqual([]);
  });

  test('is not what waits for answers of its own endpoint', () => {
    const engine = startSending(SENDS - 1);
    readMore(engine, SENDS + READY);
    expect(limitsOf(engine)).toEqual([READY]);
  });

  test('is not what waits for a tenant whose endpoints all begin to hang', () => {
    const engine = startWith(ofOwnTenant);
    const readFor = (endpointIds: readonly string[]) => {
      const position = (engine.lanes()[0]?.readPosition ?? 0) + 1;
      const events = [{ event: eventAt(position), endpoints: endpointIds.map(ofOwnTenant) }];
      engine.eventsRead([{ lane: 0, epoch: 1, events }], NOW);
    };
    const hanging = ['one1', 'one2', 'one3'];
    for (const endpointId of [...hanging, 'two1']) {
      readFor([endpointId]);
      answerAll(engine);
    }
    readFor(['two1']);
    for (let nth = 0; nth < READY; nth += 1) readFor(hanging);
    expect(engine.census(NOW).queued).toBeGreaterThan(READY);
    expect(engine.readRequests()).toHaveLength(1);
  });
});
