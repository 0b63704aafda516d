import type { Effect, Now } from '../engine/effect.ts';
import type { Engine } from '../engine/engine.ts';

/** Gives the engine its inputs, one after the other, and has its effects carried out. */
export interface EngineLoop {
  /**
   * Gives an input. One that comes while another is carried out is given after it. It never throws:
   * an error of the engine is nobody's to catch, and ends the process.
   */
  input(give: (engine: Engine, now: Now) => void): void;
  /** Reads from the engine without an input. */
  readonly engine: Engine;
  /** Ends the timer; inputs are still taken. */
  stop(): void;
}

/** The longest that the engine is left alone: also a guard against steps of the wall clock. */
const TICK_AT_LEAST_EVERY_MS = 1_000;

/**
 * Makes the loop around an engine.
 *
 * @param carryOut starts what an effect asks for; it must neither throw nor wait.
 */
export function createEngineLoop(engine: Engine, carryOut: (effect: Effect) => void): EngineLoop {
  const waiting: ((engine: Engine, now: Now) => void)[] = [];
  let isRunning = false;
  let timer: NodeJS.Timeout | undefined;
  let timerAtMs = Infinity;
  let stopped = false;

  function run(): void {
    isRunning = true;
    try {
      for (let give = waiting.shift(); give !== undefined; give = waiting.shift()) {
        give(engine, now());
        for (const effect of engine.takeEffects()) carryOut(effect);
      }
    } catch (error) {
      // Whoever gave the input may catch errors of its own, and would hide that nothing runs any
      // more. `isRunning` stays: an engine in an unknown state is given nothing.
      queueMicrotask(() => {
        throw error;
      });
      return;
    }
    isRunning = false;
    setTimer();
  }

  function setTimer(): void {
    if (stopped) return;
    const wakeAt = engine.wakeAt();
    const { wallMs, monotonicMs } = now();
    const untilMs = Math.min(
      wakeAt.monotonicMs - monotonicMs,
      wakeAt.wallMs - wallMs,
      TICK_AT_LEAST_EVERY_MS,
    );
    const atMs = monotonicMs + Math.max(1, untilMs);
    if (atMs >= timerAtMs) return;
    clearTimeout(timer);
    timerAtMs = atMs;
    timer = setTimeout(onTimer, Math.max(1, untilMs));
  }

  function onTimer(): void {
    timerAtMs = Infinity;
    input((it, at) => it.tick(at));
  }

  function input(give: (engine: Engine, now: Now) => void): void {
    waiting.push(give);
    if (!isRunning) run();
  }

  return {
    engine,
    input,
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

/** Reads both clocks. The monotonic one goes on while the process is stopped. */
export function now(): Now {
  return { wallMs: Date.now(), monotonicMs: performance.now() };
}
