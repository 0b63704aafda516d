import { expect, test } from 'vitest';

import type { AttemptOutcome } from '../engine/delivery.ts';
import { endpoint, snapshot } from '../subscriptions/messages.fixture.ts';
import { createSubscriptionView } from '../subscriptions/view.ts';
import { createPingQueue } from './ping-queue.ts';

const LIMITS = { maxUnderWay: 1, maxPerOrigin: 1, maxWaiting: 10 };
const TIMED_OUT: AttemptOutcome = { kind: 'unreachable', durationMs: 5, detail: 'timed out' };

test('nothing begins after the deadline, although a place becomes free before its timer runs', async () => {
  const view = createSubscriptionView();
  view.receive(snapshot(1, [endpoint({ endpointId: 'ep_1' }), endpoint({ endpointId: 'ep_2' })]));
  const deadlineMs = performance.now() + 5;
  let begun = 0;
  const pings = createPingQueue((_, __, onDone) => {
    begun += 1;
    queueMicrotask(() => {
      while (performance.now() < deadlineMs);
      onDone(TIMED_OUT);
    });
  }, LIMITS);
  const { signal } = new AbortController();
  const outcomes = await pings.pingAll([...view.endpoints()], { deadlineMs, signal });
  expect(begun).toBe(1);
  expect(outcomes).toEqual([TIMED_OUT, { ...TIMED_OUT, durationMs: 0 }]);
});
