import { afterEach, describe, expect, test, vi } from 'vitest';

import type { Effect } from '../engine/effect.ts';
import { gainedLane, optionsOf } from '../engine/engine.fixture.ts';
import { Engine } from '../engine/engine.ts';
import { createEngineLoop, type EngineLoop } from './engine-loop.ts';

const loops: EngineLoop[] = [];

afterEach(() => {
  for (const loop of loops.splice(0)) loop.stop();
  vi.restoreAllMocks();
});

function start(carryOut: (effect: Effect) => void = () => undefined): EngineLoop {
  const engine = new Engine(optionsOf());
  const loop = createEngineLoop(engine, carryOut);
  loops.push(loop);
  return loop;
}

/** Catches what would end the process. */
function catchUncaught(): { readonly uncaught: () => void; readonly count: () => number } {
  const tasks: (() => void)[] = [];
  vi.spyOn(globalThis, 'queueMicrotask').mockImplementation((task) => void tasks.push(task));
  return { uncaught: () => tasks[0]?.(), count: () => tasks.length };
}

describe('the loop around the engine', () => {
  test('gives an input that comes within another one after it', () => {
    const loop = start();
    const order: string[] = [];
    loop.input(() => {
      loop.input(() => order.push('second'));
      order.push('first');
    });
    expect(order).toEqual(['first', 'second']);
  });

  test('ends the process when the engine is broken, whoever gave the input', () => {
    const { uncaught, count } = catchUncaught();
    const loop = start();
    // A giver that catches errors of its own must not be the one that swallows this.
    expect(() =>
      loop.input(() => {
        throw new Error('broken');
      }),
    ).not.toThrow();
    expect(count()).toBe(1);
    expect(uncaught).toThrow('broken');
  });

  test('gives a broken engine nothing more', () => {
    catchUncaught();
    const loop = start();
    loop.input(() => {
      throw new Error('broken');
    });
    const give = vi.fn<() => void>();
    loop.input(give);
    expect(give).not.toHaveBeenCalled();
  });

  test('ends the process when an effect cannot be begun', () => {
    const { uncaught } = catchUncaught();
    const loop = start(() => {
      throw new Error('not carried out');
    });
    loop.input((engine, now) => {
      engine.laneGained(gainedLane(0), now);
      engine.drain(now);
    });
    expect(uncaught).toThrow('not carried out');
  });
});
