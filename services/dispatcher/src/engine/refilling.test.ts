import { expect, test, vi } from 'vitest';

import { refillSoon } from './cursors.ts';
import { createLaneWindow } from './lane-window.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import { refillDue } from './refilling.ts';
import { createState, endpointLaneOf, type EngineState } from './state.ts';

const LANES = 3;
const ENDPOINTS = 100;

/** Lanes in which progress is at 10, and endpoints that keep a cursor in each. */
function startState(cursor: number, limits: Partial<typeof DEFAULT_LIMITS> = {}): EngineState {
  const state = createState({
    retryScheduleMs: [],
    deliveryTimeoutMs: 1_000,
    retentionMs: 1_000,
    limits: { ...DEFAULT_LIMITS, ...limits },
    random: () => 0.5,
    revision: () => 1,
    view: (endpointId) => ({
      endpointId,
      tenant: 'one',
      state: 'active',
      url: 'http://host/',
      origin: 'http://host',
    }),
    matches: () => true,
  });
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
