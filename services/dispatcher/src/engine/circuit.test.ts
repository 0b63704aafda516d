import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import {
  afterChange,
  afterFailure,
  afterSending,
  afterWait,
  afterWorking,
  createCircuit,
  type Circuit,
  type CircuitRules,
} from './circuit.ts';
import { createEndpoint, isCallable, isSound, sendLimit } from './endpoint.ts';

const RULES: CircuitRules = { failures: 4, firstWaitMs: 1_000, longestWaitMs: 10_000 };
const REASON = 'answered 500';

/** What is known of a circuit from outside. */
interface Model {
  state: Circuit['state'];
  failures: number;
  isProbed: boolean;
  /** Probes that failed since it opened. */
  failedProbes: number;
  openedAtMs: number;
  triedAtMs: number;
}

/** The circuit, and a clock of which the wall clock is always a day ahead. */
interface Real {
  circuit: Circuit;
  nowMs: number;
}

const DAY_MS = 86_400_000;

function waitOf({ failedProbes }: Model): number {
  return Math.min(RULES.longestWaitMs, RULES.firstWaitMs * 2 ** failedProbes);
}

function compare(model: Readonly<Model>, { circuit }: Real): void {
  expect(circuit.state).toBe(model.state);
  if (circuit.state === 'closed') return expect(circuit.failures).toBe(model.failures);
  expect(circuit.waitMs).toBe(waitOf(model));
  expect(circuit.sinceMs).toBe(model.openedAtMs + DAY_MS);
  expect(circuit.reason).toBe(REASON);
  if (circuit.state !== 'open') return undefined;
  const untilProbeMs = circuit.probeAtMs - model.triedAtMs;
  expect(untilProbeMs).toBeGreaterThanOrEqual(waitOf(model) * 0.9 - 1);
  return expect(untilProbeMs).toBeLessThanOrEqual(waitOf(model) * 1.1 + 1);
}

type Command = fc.Command<Model, Real>;

const works: Command = {
  check: () => true,
  run(model, real) {
    real.circuit = afterWorking();
    Object.assign(model, { state: 'closed', failures: 0, failedProbes: 0 });
    compare(model, real);
  },
  toString: () => 'works',
};

function fails(random: number): Command {
  return {
    check: () => true,
    run(model, real) {
      const now = { wallMs: real.nowMs + DAY_MS, monotonicMs: real.nowMs };
      real.circuit = afterFailure(real.circuit, { reason: REASON, now, random }, RULES);
      // What began before it opened is nothing new.
      if (model.state === 'open') return compare(model, real);
      if (model.state === 'half_open' && !model.isProbed) return compare(model, real);
      if (model.state === 'half_open') model.failedProbes += 1;
      else {
        model.failures += 1;
        if (model.failures < RULES.failures) return compare(model, real);
        model.openedAtMs = real.nowMs;
      }
      model.state = 'open';
      model.triedAtMs = real.nowMs;
      return compare(model, real);
    },
    toString: () => 'fails',
  };
}

const sends: Command = {
  check: ({ state }) => state !== 'open',
  run(model, real) {
    real.circuit = afterSending(real.circuit);
    if (model.state === 'half_open') model.isProbed = true;
    compare(model, real);
  },
  toString: () => 'sends',
};

function waits(ms: number): Command {
  return {
    check: () => true,
    run(model, real) {
      const before = real.circuit;
      real.nowMs += ms;
      real.circuit = afterWait(before, real.nowMs);
      if (before.state === 'open' && real.nowMs >= before.probeAtMs) {
        Object.assign(model, { state: 'half_open', isProbed: false });
      }
      compare(model, real);
    },
    toString: () => `waits ${ms} ms`,
  };
}

const commands = fc.commands(
  [
    fc.constant(works),
    fc.constant(sends),
    fc.constant(sends),
    fc.double({ min: 0, max: 0.999, noNaN: true }).map(fails),
    fc.double({ min: 0, max: 0.999, noNaN: true }).map(fails),
    fc.double({ min: 0, max: 0.999, noNaN: true }).map(fails),
    fc.integer({ min: 1, max: 12_000 }).map(waits),
  ],
  { maxCommands: 100 },
);

describe('a circuit', () => {
  test('is what its model is, whatever the answers and whenever they come', () => {
    fc.assert(
      fc.property(commands, (history) => {
        const model = {
          failures: 0,
          isProbed: false,
          failedProbes: 0,
          openedAtMs: 0,
          triedAtMs: 0,
        };
        const setup = (): { model: Model; real: Real } => ({
          model: { ...model, state: 'closed' },
          real: { circuit: createCircuit(), nowMs: 5_000 },
        });
        fc.modelRun(setup, history);
      }),
      { numRuns: 300 },
    );
  });

  test('waits twice as long after each probe that fails, up to the longest wait', () => {
    let circuit = createCircuit();
    let nowMs = 0;
    const fail = (): void => {
      const now = { wallMs: nowMs, monotonicMs: nowMs };
      circuit = afterFailure(circuit, { reason: REASON, now, random: 0.5 }, RULES);
    };
    for (let failures = 0; failures < RULES.failures; failures += 1) fail();
    for (const waitMs of [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]) {
      expect(afterWait(circuit, nowMs + waitMs - 1).state).toBe('open');
      nowMs += waitMs;
      circuit = afterWait(circuit, nowMs);
      expect(circuit.state).toBe('half_open');
      // An answer to what was sent before it opened.
      fail();
      expect(circuit.state).toBe('half_open');
      circuit = afterSending(circuit);
      fail();
    }
    expect(circuit.state).toBe('open');
    expect(afterWorking()).toEqual({ state: 'closed', failures: 0 });
  });

  test('is probed sooner when its longest wait is made shorter, and never later', () => {
    const failAt = (nowMs: number, circuit: Circuit): Circuit => {
      const now = { wallMs: nowMs, monotonicMs: nowMs };
      return afterFailure(circuit, { reason: REASON, now, random: 0.5 }, RULES);
    };
    let open = createCircuit();
    for (let failures = 0; failures < RULES.failures; failures += 1) open = failAt(0, open);
    expect(open).toMatchObject({ waitMs: 1_000, probeAtMs: 1_000 });
    const longer = { ...RULES, longestWaitMs: 60_000 };
    expect(afterChange(open, 400, longer)).toEqual(open);
    const shorter = { ...RULES, firstWaitMs: 200, longestWaitMs: 200 };
    const changed = afterChange(open, 400, shorter);
    expect(changed).toEqual({ ...open, waitMs: 200, probeAtMs: 600 });
    const probed = afterSending(afterWait(changed, 600));
    expect(afterChange(probed, 600, shorter)).toEqual(probed);
    const closed: Circuit = { state: 'closed', failures: 3 };
    expect(afterChange(closed, 600, shorter)).toBe(closed);
  });

  test('that is not closed lets one delivery go at a time, and none while it is open', () => {
    fc.assert(
      fc.property(
        commands,
        fc.option(fc.integer({ min: 1, max: 100 }), { nil: undefined }),
        fc.double({ min: 1, max: 64, noNaN: true }),
        (history, maxInFlight, current) => {
          const real: Real = { circuit: createCircuit(), nowMs: 0 };
          const model = { state: 'closed' as const, failures: 0, isProbed: false, failedProbes: 0 };
          fc.modelRun(() => ({ model: { ...model, openedAtMs: 0, triedAtMs: 0 }, real }), history);
          const endpoint = createEndpoint('ep_1', {
            endpointId: 'ep_1',
            tenant: 'default',
            state: 'active',
            url: 'http://host/',
            origin: 'http://host',
            maxInFlight,
          });
          endpoint.circuit = real.circuit;
          endpoint.concurrency.current = current;
          const { state } = real.circuit;
          expect(isCallable(endpoint)).toBe(state !== 'open');
          expect(isSound(endpoint)).toBe(state === 'closed');
          const most = Math.min(Math.floor(current), maxInFlight ?? Infinity);
          expect(sendLimit(endpoint)).toBe(state === 'closed' ? most : 1);
        },
      ),
    );
  });
});
