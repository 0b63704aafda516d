import { describe, expect, test, vi } from 'vitest';

import { refillSoon } from './cursors.ts';
import { eventAt, optionsOf, viewOf } from './engine.fixture.ts';
import { createLaneWindow } from './lane-window.ts';
import type { EngineLimits } from './limits.ts';
import { refillDue, takeRefilled } from './refilling.ts';
import { createState, endpointLaneOf, type EngineState } from './state.ts';

const LANES = 3;
const ENDPOINTS = 100;
const NOW = { wallMs: 1_000, monotonicMs: 1_000 };

/** Lanes in which progress is at 10, and endpoints that keep a cursor in each. */
function startState(cursor: number, limits: Partial<EngineLimits> = {}): EngineState {
  const state = createState(optionsOf({ limits, view: viewOf }));
  for (let lane = 0; lane < LANES; lane += 1) {
    const start = { lane, epoch: 1, progress: 10, mark: undefined, settledAhead: [] };
    const window = createLaneWindow(start);
    state.windows.set(lane, window);
    for (let nth = 0; nth < ENDPOINTS; nth += 1) {
      const endpointLane = endpointLaneOf(state, `ep_${nth}`, window);
      endpointLane.cursor = { position: cursor + nth, mark: undefined };
      refillSoon(state, endpointLane);
    }
  }
  return state;
}

function refilledLanes(state: EngineState): number[] {
  return state.effects
    .splice(0)
    .flatMap((effect) => (effect.kind === 'refill' ? effect.refills.map(({ lane }) => lane) : []));
}

test('a lane is looked through once while its cursors wait for progress', () => {
  const state = startState(11);
  const looks = [...state.windows.values()].map(({ refillable }) => {
    return vi.spyOn(refillable, Symbol.iterator);
  });
  for (let input = 0; input < 50; input += 1) refillDue(state);
  for (const look of looks) expect(look.mock.calls.length).toBeLessThanOrEqual(1);
  expect(refilledLanes(state)).toEqual([]);
  for (const window of state.windows.values()) window.draftedProgress = 11;
  refillDue(state);
  expect(refilledLanes(state)).toEqual([0, 1, 2]);
});

test('lanes take turns when not all of them may be refilled at a time', () => {
  const state = startState(5, { maxRefills: 1, maxRefillEndpoints: 1 });
  const turns: number[] = [];
  for (let refill = 0; refill < 2 * LANES; refill += 1) {
    refillDue(state);
    turns.push(...refilledLanes(state));
    state.refillUnderWay = false;
  }
  expect(turns).toEqual([0, 1, 2, 0, 1, 2]);
});

describe.each([
  ['that is probed', 'half_open', 8],
  ['that works', 'closed', 40],
] as const)('in a lane that has all the rows it may, an endpoint %s', (_, circuit, rows) => {
  test(`gets ${rows} rows of what is behind its cursor`, () => {
    const state = startState(0, { maxRowsPerLane: 1_000, maxRefillEndpoints: 1 });
    const [window] = state.windows.values();
    const [endpoint] = state.endpoints.values();
    if (window === undefined || endpoint === undefined) throw new Error('Nobody is there.');
    window.rowTotal = 1_000;
    window.draftedProgress = 100;
    window.readPosition = 100;
    endpoint.circuit =
      circuit === 'closed'
        ? { state: circuit, failures: 0 }
        : { state: circuit, reason: '', sinceMs: 0, waitMs: 1_000 };
    const events = Array.from({ length: 40 }, (_event, nth) => ({
      event: eventAt(nth + 1),
      endpoints: endpoint.view === undefined ? [] : [endpoint.view],
    }));
    const endpointIds = new Set([endpoint.id]);
    const place = { lane: 0, epoch: 1, after: 0, mark: undefined, limit: 40 };
    takeRefilled(state, { refill: { ...place, endpointIds }, events }, NOW);
    expect(window.refilledRows).toHaveLength(rows);
    expect(endpoint.lanes.get(0)?.cursor?.position).toBe(rows);
  });
});
