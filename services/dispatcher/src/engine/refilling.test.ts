import { describe, expect, test, vi } from 'vitest';

import type { Circuit } from './circuit.ts';
import { refillSoon } from './cursors.ts';
import type { EndpointLane } from './endpoint-lane.ts';
import { addDueLane } from './endpoint.ts';
import { eventAt, optionsOf, viewOf } from './engine.fixture.ts';
import { createLaneWindow } from './lane-window.ts';
import { DEFAULT_LIMITS, type EngineLimits } from './limits.ts';
import { lookAgain, refillDue, takeRefilled } from './refilling.ts';
import { createState, endpointLaneOf, type EngineState } from './state.ts';

const LANES = 3;
const ENDPOINTS = 100;
const PROBED: Circuit = {
  state: 'half_open',
  reason: '',
  sinceMs: 0,
  waitMs: 1_000,
  isProbed: false,
};
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
    state.refillsUnderWay = 0;
  }
  expect(turns).toEqual([0, 1, 2, 0, 1, 2]);
});

describe('an endpoint with more rows than it may have', () => {
  const { maxRowsPerEndpointLane, maxRestingRowsPerEndpointLane, maxRowsPerLane } = DEFAULT_LIMITS;

  /** Says whether what is behind its cursor is asked for, after a change of it. */
  function isRefilled(change: (endpointLane: EndpointLane) => void): boolean {
    const state = startState(5);
    const [window] = state.windows.values();
    const [endpointLane] = window?.endpointLanes.values() ?? [];
    if (endpointLane === undefined) throw new Error('There is no endpoint.');
    const only = endpointLane.endpoint.id;
    endpointLane.rowCount = maxRowsPerEndpointLane;
    change(endpointLane);
    refillDue(state);
    return state.effects.some(
      (effect) => effect.kind === 'refill' && effect.refills[0]?.endpointIds.has(only),
    );
  }

  test('gets further ones while all of these wait for their next attempt', () => {
    expect(isRefilled(() => undefined)).toBe(true);
  });

  test.each<[string, (endpointLane: EndpointLane) => void]>([
    ['some are due', (it) => addDueLane(it.endpoint, it)],
    ['some may be due', (it) => (it.isBeingClaimed = true)],
    ['its circuit is half open', (it) => (it.endpoint.circuit = PROBED)],
    ['they are too many', (it) => (it.rowCount = maxRestingRowsPerEndpointLane + 1)],
    ['the lane has many rows', (it) => (it.window.rowTotal = maxRowsPerLane / 2)],
  ])('gets none while %s', (_, change) => {
    expect(isRefilled(change)).toBe(false);
  });
});

test('whom a lane with many rows gave nothing is looked at again when these have gone', () => {
  const state = startState(5);
  const [window] = state.windows.values();
  if (window === undefined) throw new Error('There is no lane.');
  for (const endpointLane of window.endpointLanes.values()) endpointLane.rowCount = 1_000;
  window.rowTotal = DEFAULT_LIMITS.maxRowsPerLane / 2;
  refillDue(state);
  expect(refilledLanes(state)).toEqual([1, 2]);
  state.refillsUnderWay = 0;
  window.rowTotal -= 1;
  lookAgain(state, window);
  refillDue(state);
  expect(refilledLanes(state)).toContain(0);
});

describe('in a lane that has all the rows it may, what is behind the cursors', () => {
  const WORKS: Circuit = { state: 'closed', failures: 0 };
  const EVENTS = 40;

  /** Refills all endpoints of a lane from the same events, and says how many rows each of them got. */
  function refillAll(circuit: Circuit, excess = 0): number[] {
    const state = startState(0, { maxRowsPerLane: 1_000, refillAtPart: 0 });
    const window = state.windows.get(0);
    if (window === undefined) throw new Error('There is no lane.');
    Object.assign(window, { draftedProgress: EVENTS, readPosition: 100, rowTotal: 1_000 + excess });
    const endpoints = [...state.endpoints.values()];
    for (const endpoint of endpoints) {
      endpoint.circuit = circuit;
      const endpointLane = window.endpointLanes.get(endpoint);
      if (endpointLane !== undefined) endpointLane.cursor = { position: 0, mark: undefined };
    }
    const events = Array.from({ length: EVENTS }, (_event, nth) => ({
      event: eventAt(nth + 1),
      endpoints: endpoints.flatMap(({ view }) => view ?? []),
    }));
    const endpointIds = new Set(endpoints.map(({ id }) => id));
    const place = { lane: 0, epoch: 1, after: 0, mark: undefined, limit: EVENTS };
    takeRefilled(state, { refill: { ...place, endpointIds }, events }, NOW);
    const rowsOf = Map.groupBy(window.refilledRows, ({ endpointId }) => endpointId);
    return endpoints.map((endpoint) => {
      const rows = rowsOf.get(endpoint.id)?.length ?? 0;
      expect(window.endpointLanes.get(endpoint)?.cursor?.position).toBe(rows);
      return rows;
    });
  }

  test('is given to endpoints that work', () => {
    expect(new Set(refillAll(WORKS))).toEqual(new Set([20]));
  });

  test('is given in small parts to endpoints that are probed', () => {
    expect(Math.max(...refillAll(PROBED, -1_000))).toBe(20);
    expect(Math.max(...refillAll(PROBED))).toBeLessThanOrEqual(8);
  });

  test('makes no tenth more rows than it may have, besides one of each endpoint', () => {
    for (const excess of [0, 50, 100, 500]) {
      const rows = refillAll(PROBED, excess);
      const all = rows.reduce((sum, each) => sum + each);
      expect(all).toBeLessThanOrEqual(Math.max(0, 100 - excess) + ENDPOINTS);
      expect(Math.min(...rows)).toBeGreaterThanOrEqual(1);
    }
  });
});
