import { expect, test } from 'vitest';

import type { RoomToRevive } from './cursors.ts';
import { gainedLane, optionsOf } from './engine.fixture.ts';
import { Engine } from './engine.ts';

const limits = { maxRowsPerEndpointLane: 10, maxRowsPerLane: 100 };

/** Says whether endpoints may get one more row by hand in a lane where two of them have so many. */
function roomWith(rows: Readonly<Record<'ep_1' | 'ep_2', number>>): RoomToRevive[] {
  const engine = new Engine(optionsOf({ limits }));
  const parked = Object.entries(rows).map(([endpointId, count]) => {
    return { endpointId, rows: count, nextDueAtMs: undefined };
  });
  engine.laneGained(gainedLane(0, { parked }), { wallMs: 0, monotonicMs: 0 });
  return ['ep_1', 'ep_2', 'ep_none'].map((endpointId) => {
    return engine.roomToRevive({ lane: 0, endpointId });
  });
}

test('a dead delivery becomes a row again where its endpoint has fewer rows than it may', () => {
  expect(roomWith({ ep_1: 9, ep_2: 10 })).toEqual(['some', 'full_endpoint', 'some']);
});

test('no dead delivery becomes a row again where the lane has a tenth more rows than it may', () => {
  expect(roomWith({ ep_1: 9, ep_2: 100 })).toEqual(['some', 'full_endpoint', 'some']);
  expect(roomWith({ ep_1: 9, ep_2: 102 })).toEqual(['full_lane', 'full_lane', 'full_lane']);
});
