import { expect, test } from 'vitest';

import { gainedLane, optionsOf } from '../engine/engine.fixture.ts';
import { Engine } from '../engine/engine.ts';
import { createFullPlaces } from './full-places.ts';

const AT = { wallMs: 0, monotonicMs: 0 };
const limits = { maxRowsPerEndpointLane: 10, maxRowsPerLane: 100 };

/** The rows in a lane that is taken over. */
function gain(engine: Engine, rows: Readonly<Record<string, number>>): void {
  const parked = Object.entries(rows).map(([endpointId, count]) => {
    return { endpointId, rows: count, nextDueAtMs: undefined };
  });
  engine.laneGained(gainedLane(0, { parked }), AT);
}

test('a full lane stands for the endpoints that are full in it', () => {
  const engine = new Engine(optionsOf({ limits }));
  const full = createFullPlaces(engine);
  const places = ['ep_1', 'ep_2', 'ep_3'].map((endpointId) => ({ lane: 0, endpointId }));
  gain(engine, { ep_1: 10, ep_2: 10 });
  expect(places.map((place) => full.noteIfFull(place))).toEqual([true, true, false]);
  expect([full.lanes(), full.endpoints()]).toEqual([[], places.slice(0, 2)]);

  gain(engine, { ep_1: 10, ep_2: 101 });
  full.lookAgain();
  expect(places.map((place) => full.noteIfFull(place))).toEqual([true, true, true]);
  expect([full.lanes(), full.endpoints()]).toEqual([[0], []]);

  gain(engine, { ep_1: 9, ep_2: 10 });
  full.lookAgain();
  expect(full.lanes()).toEqual([]);
  expect(places.map((place) => full.noteIfFull(place))).toEqual([false, true, false]);
});

test('what is full no more is forgotten, also when its lane is not owned any more', () => {
  const engine = new Engine(optionsOf({ limits }));
  const full = createFullPlaces(engine);
  gain(engine, { ep_1: 10, ep_2: 10 });
  full.noteIfFull({ lane: 0, endpointId: 'ep_1' });
  full.noteIfFull({ lane: 0, endpointId: 'ep_2' });
  gain(engine, { ep_1: 9, ep_2: 10 });
  full.lookAgain();
  expect(full.endpoints()).toEqual([{ lane: 0, endpointId: 'ep_2' }]);
  engine.laneLost(0, AT);
  full.lookAgain();
  expect(full.endpointCount()).toBe(0);
});
