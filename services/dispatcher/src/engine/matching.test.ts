import { expect, test } from 'vitest';

import type { Now } from './effect.ts';
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

function limitsOf(engine: Engine): number[] {
  return engine.readRequests().map(({ limit }) => limit);
}

test('lanes share what may be queued', () => {
  const share = DEFAULT_LIMITS.minQueued / LANES;
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
