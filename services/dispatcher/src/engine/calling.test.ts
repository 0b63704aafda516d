import { describe, expect, test } from 'vitest';

import { learn, wakeDue } from './calling.ts';
import { takeChanges } from './changes.ts';
import type { AttemptOutcome } from './delivery.ts';
import type { Now } from './effect.ts';
import type { Endpoint, EndpointView } from './endpoint.ts';
import { eventAt, gainedLane, optionsOf, viewOf } from './engine.fixture.ts';
import { Engine } from './engine.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import { createState, endpointOf, type EngineState } from './state.ts';

const NOW = { wallMs: 1_000_000, monotonicMs: 5_000 };

const VIEW = viewOf('ep_1', { url: 'http://host/one' });

function start(views: ReadonlyMap<string, EndpointView>): EngineState {
  return createState(optionsOf({ view: (endpointId) => views.get(endpointId) }));
}

/** Lets an endpoint, whose last answer was a failure, give one more answer. */
function afterAnswer(outcome: AttemptOutcome): Endpoint {
  const state = start(new Map([[VIEW.endpointId, VIEW]]));
  const endpoint = endpointOf(state, 'ep_1');
  endpoint.circuit = { state: 'closed', failures: 1 };
  endpoint.inFlight = 8;
  learn(state, { endpoint, outcome }, NOW);
  return endpoint;
}

function rejected(status: number): AttemptOutcome {
  return { kind: 'rejected', status, durationMs: 10, snippet: '' };
}

const TAKEN: AttemptOutcome = { kind: 'delivered', status: 204, durationMs: 10 };
const UNREACHABLE: AttemptOutcome = { kind: 'unreachable', durationMs: 10, detail: 'reset' };
const LATE: AttemptOutcome = { ...UNREACHABLE, detail: 'timed out', timedOut: true };
const REFUSED: AttemptOutcome = { kind: 'refused', durationMs: 10, detail: 'internal address' };

describe('an endpoint', () => {
  test.each([
    ['takes a delivery', TAKEN],
    ['judges the delivery', rejected(400)],
    ['is gone', rejected(410)],
    ['judges the delivery in its own way', rejected(499)],
  ])('works that %s', (_, outcome) => {
    expect(afterAnswer(outcome).circuit).toEqual({ state: 'closed', failures: 0 });
  });

  test.each([
    ['redirects', rejected(302)],
    ['was too slow for itself', rejected(408)],
    ['has too much to do', rejected(429)],
    ['is broken', rejected(500)],
    ['is not there', rejected(503)],
    ['cannot be reached', UNREACHABLE],
    ['must not be reached', REFUSED],
  ])('fails that %s', (_, outcome) => {
    expect(afterAnswer(outcome).circuit).toEqual({ state: 'closed', failures: 2 });
  });

  test.each([
    ['takes a delivery', TAKEN, 9],
    ['judges the delivery', rejected(400), 8],
    ['is broken', rejected(500), 8],
    ['must not be reached', REFUSED, 8],
    ['has too much to do', rejected(429), 4],
    ['is not there', rejected(503), 4],
    ['cannot be reached', UNREACHABLE, 8],
    ['does not answer in time', LATE, 4],
  ])('that %s may have so many sends under way', (_, outcome, limit) => {
    expect(afterAnswer(outcome).concurrency.current).toBe(limit);
  });
});

describe('an endpoint whose circuit is open', () => {
  const later = { wallMs: NOW.wallMs + 100, monotonicMs: NOW.monotonicMs + 100 };

  /** An endpoint whose circuit has opened, after a change. */
  function changed(change: Partial<EndpointView>): {
    readonly endpoint: Endpoint;
    readonly state: EngineState;
    readonly put: (settings: Partial<EndpointView>) => void;
  } {
    const views = new Map([[VIEW.endpointId, VIEW]]);
    const state = start(views);
    const endpoint = endpointOf(state, VIEW.endpointId);
    for (let failure = 0; failure < DEFAULT_LIMITS.circuit.failures; failure += 1) {
      learn(state, { endpoint, outcome: LATE }, NOW);
    }
    expect(endpoint.circuit.state).toBe('open');
    expect(endpoint.concurrency.current).toBeLessThan(8);
    const put = (settings: Partial<EndpointView>): void => {
      views.set(VIEW.endpointId, { ...VIEW, ...settings });
      takeChanges(state, [VIEW.endpointId], later);
    };
    put(change);
    return { endpoint, state, put };
  }

  test('is probed as soon as another longest wait allows', () => {
    const { endpoint, state } = changed({ circuitLongestWaitMs: 100 });
    expect(endpoint.circuit).toMatchObject({ state: 'open', probeAtMs: later.monotonicMs + 100 });
    wakeDue(state, { wallMs: later.wallMs + 99, monotonicMs: later.monotonicMs + 99 });
    expect(endpoint.circuit.state).toBe('open');
    wakeDue(state, { wallMs: later.wallMs + 100, monotonicMs: later.monotonicMs + 100 });
    expect(endpoint.circuit.state).toBe('half_open');
  });

  test.each(['paused', 'disabled'] as const)('and that was %s is probed at once', (before) => {
    const { endpoint, put } = changed({ state: before });
    expect(endpoint.circuit.state).toBe('open');
    put({ state: 'active' });
    expect(endpoint.circuit.state).toBe('half_open');
  });

  test('that moves to another address begins afresh there, also at the same host', () => {
    const { endpoint } = changed({ url: 'http://host/two' });
    expect(endpoint.circuit).toEqual({ state: 'closed', failures: 0 });
    expect(endpoint.concurrency.current).toBe(8);
  });

  test('that moves is not blamed for what its address before still answers', () => {
    const { endpoint, state } = changed({ url: 'http://host/two' });
    learn(state, { endpoint, outcome: { ...LATE, durationMs: 1_500 } }, later);
    expect(endpoint.circuit).toEqual({ state: 'closed', failures: 0 });
    expect(endpoint.concurrency.current).toBe(8);
  });

  test('is known as before when only its settings change', () => {
    const { endpoint } = changed({ rateLimitPerSecond: 5 });
    expect(endpoint.circuit.state).toBe('open');
    expect(endpoint.concurrency.current).toBeLessThan(8);
  });
});

test('an endpoint that was not called for want of a lease is not blamed', () => {
  const state = start(new Map([[VIEW.endpointId, { ...VIEW, circuitFailures: 1 }]]));
  const endpoint = endpointOf(state, VIEW.endpointId);
  learn(state, { endpoint, outcome: { ...UNREACHABLE, notSent: true } }, NOW);
  expect(endpoint.circuit).toEqual({ state: 'closed', failures: 0 });
  learn(state, { endpoint, outcome: UNREACHABLE }, NOW);
  expect(endpoint.circuit.state).toBe('open');
});

test('a circuit opens after as many failures as the endpoint says itself, and waits no longer', () => {
  const own = { ...VIEW, circuitFailures: 2, circuitLongestWaitMs: 300 };
  const state = start(new Map([[VIEW.endpointId, own]]));
  const endpoint = endpointOf(state, VIEW.endpointId);
  learn(state, { endpoint, outcome: UNREACHABLE }, NOW);
  expect(endpoint.circuit.state).toBe('closed');
  learn(state, { endpoint, outcome: UNREACHABLE }, NOW);
  expect(endpoint.circuit).toMatchObject({ state: 'open', waitMs: 300 });
});

test('a circuit is judged by its probe, not by what was sent before it opened', () => {
  const circuit = { ...DEFAULT_LIMITS.circuit, failures: 2 };
  const engine = new Engine(
    optionsOf({ view: viewOf, limits: { circuit }, retryScheduleMs: [1_000], retentionMs: 60_000 }),
  );
  engine.leaseExtended(Infinity, at(0));
  engine.laneGained(gainedLane(0), at(0));
  const events = Array.from({ length: 6 }, (_, index) => {
    return { event: eventAt(index + 1), endpoints: [viewOf('ep_1')] };
  });
  engine.eventsRead([{ lane: 0, epoch: 1, events }], at(0));
  const sent = engine.takeEffects().flatMap((effect) => (effect.kind === 'send' ? [effect] : []));
  expect(sent).toHaveLength(6);
  const timeOut = (ms: number) => {
    const delivery = sent.shift()?.delivery;
    if (delivery === undefined) throw new Error('all have been answered');
    engine.answered({ delivery, outcome: { ...LATE, durationMs: ms } }, at(ms));
  };
  const circuitAt = (ms: number) => [...engine.standings(at(ms))].map((one) => one.circuit);
  timeOut(1_000);
  timeOut(1_001);
  expect(circuitAt(1_001)).toEqual(['open']);
  engine.tick(at(2_500));
  expect(circuitAt(2_500)).toEqual(['half_open']);
  for (const ms of [2_600, 2_700, 2_800, 2_900]) timeOut(ms);
  expect(circuitAt(2_900)).toEqual(['half_open']);
});

function at(ms: number): Now {
  return { wallMs: 1_000_000 + ms, monotonicMs: ms };
}
