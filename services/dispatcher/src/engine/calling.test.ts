import { describe, expect, test } from 'vitest';

import { learn } from './calling.ts';
import type { AttemptOutcome } from './delivery.ts';
import type { Endpoint } from './endpoint.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import { createState, endpointOf } from './state.ts';

const NOW = { wallMs: 1_000_000, monotonicMs: 5_000 };

/** Lets an endpoint, whose last answer was a failure, give one more answer. */
function afterAnswer(outcome: AttemptOutcome): Endpoint {
  const state = createState({
    retryScheduleMs: [],
    deliveryTimeoutMs: 1_000,
    retentionMs: 1_000,
    limits: DEFAULT_LIMITS,
    random: () => 0.5,
    revision: () => 1,
    view: (endpointId) => ({ endpointId, tenant: 'one', state: 'active', origin: 'http://host' }),
    matches: () => true,
  });
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
