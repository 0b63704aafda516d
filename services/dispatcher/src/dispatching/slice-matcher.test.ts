import { afterEach, describe, expect, test, vi } from 'vitest';

import type { LogEvent } from '../engine/delivery.ts';
import { eventAt, gainedLane, optionsOf } from '../engine/engine.fixture.ts';
import { Engine } from '../engine/engine.ts';
import { DEFAULT_LIMITS } from '../engine/limits.ts';
import { createSubscriptionView } from '../subscriptions/view.ts';
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
    expect(matched.length).toBeLessThan(5);
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

interface Started {
  readonly loop: EngineLoop;
  readonly matchAll: SliceMatcher;
  /** The lane of each event that was matched. */
  readonly matched: readonly number[];
}

/** Starts an engine that has the lanes, and a view that takes its time. */
function start(options: { readonly eventTakesMs: number; readonly maxHeld?: number }): Started {
  const { maxHeld = DEFAULT_LIMITS.maxHeld } = options;
  const engine = new Engine(optionsOf({ limits: { maxHeld } }));
  const loop = createEngineLoop(engine, () => undefined);
  loops.push(loop);
  loop.input((it, now) => {
    for (const lane of LANES) it.laneGained(gainedLane(lane), now);
  });
  const matched: number[] = [];
  const view = {
    ...createSubscriptionView(),
    match(event: LogEvent) {
      matched.push(event.lane);
      const endMs = performance.now() + options.eventTakesMs;
      while (performance.now() < endMs) continue;
      return [];
    },
  };
  return { loop, matchAll: createSliceMatcher({ view, loop }), matched };
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
