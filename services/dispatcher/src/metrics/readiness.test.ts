import { createMonitoring } from '@billhook/metrics';
import { expect, test } from 'vitest';

import type { HaltedLane } from '../dispatching/halted-lanes.ts';
import { addReadinessChecks } from './readiness.ts';

test('a dispatcher is ready while it may send, and no lane of it is halted', async () => {
  const monitoring = createMonitoring();
  let safeUntilMs = -Infinity;
  const halted = new Map<number, HaltedLane>();
  addReadinessChecks(monitoring, {
    leases: { safeUntilMs: () => safeUntilMs },
    halted: () => halted,
  });
  expect(await monitoring.problems()).toEqual([
    'the leases of the lanes are not renewed: nothing is sent',
  ]);
  safeUntilMs = performance.now() + 60_000;
  expect(await monitoring.problems()).toEqual([]);
  halted.set(3, { epoch: 1, position: 12, reason: 'gap' });
  expect(await monitoring.problems()).toEqual(['lane 3 is halted at position 12: gap']);
});
