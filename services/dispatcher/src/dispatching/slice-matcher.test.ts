import { afterEach, describe, expect, test, vi } from 'vitest';

import type { LogEvent } from '../engine/delivery.ts';
import { eventAt, gainedLane, optionsOf } from '../engine/engine.fixture.ts';
import { Engine } from '../engine/engine.ts';
import { DEFAULT_LIMITS } from '../engine/limits.ts';
import { changes, endpoint, snapshot } from '../subscriptions/messages.fixture.ts';
import { createSubscriptionView, type SubscriptionView } from '../subscriptions/view.ts';
import { createEngineLoop, type EngineLoop } from './engine-loop.ts';
import { createSliceMatcher, type DecodedSlice, type SliceMatcher } from './slice-matcher.ts';

const LANES = [0, 1, 2];
const EVENTS = 20;
const { signal } = new AbortController();

const loops: EngineLoop[] = [];

afterEach(() => {
  vi.restoreAllMocks();
  for (const loop of loops.splice(0)) loop.stop();
});

describe('slices', () => {
  test('are handed over at once when they are quick to match', async () => {
    // However busy the machine is, no time passes.
    const nowMs = performance.now();
    vi.spyOn(performance, 'now').mockReturnValue(nowMs);
    const { loop, matchAll, matched } = start({ eventTakesMs: 0 });
    const matching = matchAll(slices(), signal);
    expect(readPositions(loop)).toEqual(LANES.map(() => EVENTS));
    await matching;
    expect(matched).toHaveLength(LANES.length * EVENTS);
  });

  test.each([3, 15])(
    'are handed over bit by bit, and all at the same pace, when an event takes %i ms',
    async (eventTakesMs) => {
      const { loop, matchAll } = start({ eventTakesMs });
      const seen: number[][] = [];
      const look = (): void => {
        seen.push(readPositions(loop));
        if (Math.min(...readPositions(loop)) < EVENTS) setImmediate(look);
      };
      look();
      await matchAll(slices(), signal);
      expect(readPositions(loop)).toEqual(LANES.map(() => EVENTS));
      expect(seen.length).toBeGreaterThan((LANES.length * EVENTS * eventTakesMs) / 30);
      for (const positions of seen) {
        expect(Math.max(...positions) - Math.min(...positions)).toBeLessThanOrEqual(1);
      }
    },
  );

  test('of a lane that is lost meanwhile are matched no further', async () => {
    const { loop, matchAll, matched } = start({ eventTakesMs: 4 });
    const matching = matchAll(slices(), signal);
    loop.input((engine, now) => engine.laneLost(1, now));
    const before = matched.filter((lane) => lane === 1).length;
    await matching;
    // One more may be matched before anything is handed over, and so looked at, again.
    expect(matched.filter((lane) => lane === 1).length).toBeLessThanOrEqual(before + 1);
    expect(readPositions(loop)).toEqual([EVENTS, EVENTS]);
  });

  test('that the engine has no room for are matched no further', async () => {
    const { loop, matchAll, matched } = start({ eventTakesMs: 4, maxHeld: 0 });
    await matchAll(slices(), signal);
    expect(readPositions(loop)).toEqual([0, 0, 0]);
    // What one turn matches of a lane, and less before: on a busy machine the last lane may have a turn alone.
    expect(matched.length).toBeLessThan(2 * LANES.length);
  });

  test('are left when the signal aborts', async () => {
    const { matchAll, matched } = start({ eventTakesMs: 4 });
    const stopping = new AbortController();
    const matching = matchAll(slices(), stopping.signal);
    stopping.abort();
    await expect(matching).rejects.toThrow('aborted');
    expect(matched.length).toBeLessThan(5);
  });
});

describe('an event with thousands of costly filters', () => {
  const ENDPOINTS = 2_000;
  const ids = Array.from({ length: ENDPOINTS }, (_, nth) => `ep_${nth}`);
  /** As many tests as fit into a filter. None holds, and nothing is known of it before all are done. */
  const filter = {
    or: Array.from({ length: 72 }, () => ({ 'data.at': { lt: '2024-01-01T00:00:00Z' } })),
  };
  const filtered = ids.map((endpointId) => endpoint({ endpointId, events: { '*': 1 }, filter }));
  const open = endpoint({ endpointId: 'ep_open', events: { '*': 1 } });

  /** Matches a slice of two events, and calls what is to happen with each turn of the event loop. */
  async function matchTwo(happens: (view: SubscriptionView, turn: number) => void) {
    // However fast the machine is, time passes with each look at the clock.
    let nowMs = performance.now();
    vi.spyOn(performance, 'now').mockImplementation(() => (nowMs += 1));
    const view = createSubscriptionView();
    view.receive(snapshot(1, [...filtered, open]));
    const { loop } = startEngine(view);
    const positions: number[] = [];
    let turns = 0;
    const look = (): void => {
      turns += 1;
      happens(view, turns);
      positions.push(readPositions(loop)[0] ?? 0);
      if (!positions.includes(2)) setImmediate(look);
    };
    setImmediate(look);
    const body = Buffer.from(
      JSON.stringify({ event: 'invoice_paid', data: { at: '2025-01-01T00:00:00Z' } }),
    );
    const events = [1, 2].map((position) => eventAt(position, { tenant: 'default', body }));
    const request = { lane: 0, epoch: 1, after: 0, mark: undefined, limit: 2 };
    const sent: string[] = [];
    const matchAll = createSliceMatcher({ view, loop });
    const { engine } = loop;
    const eventsRead = engine.eventsRead.bind(engine);
    vi.spyOn(engine, 'eventsRead').mockImplementation((handed, now) => {
      for (const { event, endpoints } of handed.flatMap((slice) => slice.events)) {
        sent.push([event.position, ...endpoints.map(({ endpointId }) => endpointId)].join(' '));
      }
      eventsRead(handed, now);
    });
    await matchAll([{ request, events }], signal);
    return { sent, turns, positions };
  }

  test('is matched over several turns, in its order', async () => {
    const { sent, turns, positions } = await matchTwo(() => undefined);
    expect(turns).toBeGreaterThan(6);
    expect(positions).toEqual(positions.toSorted((one, other) => one - other));
    expect(sent).toEqual(['1 ep_open', '2 ep_open']);
  });

  test('is matched as the endpoints are in the end', async () => {
    const { sent } = await matchTwo((view, turn) => {
      if (turn !== 2) return;
      view.receive(changes(2, [endpoint({ endpointId: 'ep_0', events: { '*': 1 } })], ['ep_open']));
    });
    expect(sent).toEqual(['1 ep_0', '2 ep_0']);
  });

  test('is matched in the end although the endpoints change all the time', async () => {
    const { sent, turns } = await matchTwo((view, turn) => {
      view.receive(changes(1 + turn, [endpoint({ endpointId: `ep_new`, events: { '*': 1 } })]));
    });
    expect(sent).toEqual(['1 ep_open ep_new', '2 ep_open ep_new']);
    expect(turns).toBeLessThan(20);
  });
});

interface Started {
  readonly loop: EngineLoop;
  readonly matchAll: SliceMatcher;
  /** The lane of each event that was matched. */
  readonly matched: readonly number[];
}

/** Starts an engine that has the lanes, and a view that takes its time. */
function start(options: { readonly eventTakesMs: number; readonly maxHeld?: number }): Started {
  const matched: number[] = [];
  const nobody = createSubscriptionView();
  const view: SubscriptionView = {
    ...nobody,
    match(event: LogEvent, toleranceMs: number) {
      matched.push(event.lane);
      const endMs = performance.now() + options.eventTakesMs;
      while (performance.now() < endMs) continue;
      return nobody.match(event, toleranceMs);
    },
  };
  const { loop } = startEngine(view, options);
  return { loop, matchAll: createSliceMatcher({ view, loop }), matched };
}

function startEngine(
  view: Pick<SubscriptionView, 'endpoint'>,
  { maxHeld = DEFAULT_LIMITS.maxHeld } = {},
): { readonly loop: EngineLoop } {
  const engine = new Engine(
    optionsOf({ limits: { maxHeld }, view: (endpointId) => view.endpoint(endpointId) }),
  );
  const loop = createEngineLoop(engine, () => undefined);
  loops.push(loop);
  loop.input((it, now) => {
    for (const lane of LANES) it.laneGained(gainedLane(lane), now);
  });
  return { loop };
}

function readPositions(loop: EngineLoop): number[] {
  return loop.engine.lanes().map(({ readPosition }) => readPosition);
}

function slices(): DecodedSlice[] {
  return LANES.map((lane) => ({
    request: { lane, epoch: 1, after: 0, mark: undefined, limit: EVENTS },
    events: Array.from({ length: EVENTS }, (_, index) => eventAt(index + 1, { lane })),
  }));
}
