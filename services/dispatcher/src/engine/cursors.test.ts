import { expect, test } from 'vitest';

import { gainedLane, optionsOf } from './engine.fixture.ts';
import { Engine } from './engine.ts';

const limits = { maxRowsPerEndpointLane: 10, maxRowsPerLane: 100 };

/** Says whether two endpoints that have so many rows in a lane may get one more by hand. */
function roomWith(rows: Readonly<Record<'ep_1' | 'ep_2', number>>): boolean[] {
  const engine = new Engine(optionsOf({ limits }));
  const parked = Object.entries(rows).map(([endpointId, count]) => {
    return { endpointId, rows: count, nextDueAtMs: undefined };
  });
  engine.laneGained(gainedLane(0, { parked }), { wallMs: 0, monotonicMs: 0 });
  return ['ep_1', 'ep_2', 'ep_none'].map((endpointId) => {
    return engine.hasRoomToRevive({ lane: 0, endpointId });
  });
}

test('a dead delivery becomes a row again where its endpoint has fewer rows than it may', () => {
  expect(roomWith({ ep_1: 9, ep_2: 10 })).toEqual([true, false, true]);
});

test('no dead delivery becomes a row again where the lane has a tenth more rows than it may', () => {
  expect(roomWith({ ep_1: 9, ep_2: 100 })).toEqual([true, false, true]);
  expect(roomWith({ ep_1: 9, ep_2: 102 })).toEqual([false, false, false]);
});
