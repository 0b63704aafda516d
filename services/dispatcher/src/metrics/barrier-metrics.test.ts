import { createMonitoring } from '@billhook/metrics';
import { afterEach, expect, test, vi } from 'vitest';

import { measureBarrier } from './barrier-metrics.ts';

const PROBLEM = 'the set of endpoints is not known as it is now: deliveries wait';

afterEach(() => {
  vi.useRealTimers();
});

test('a process is not ready while somebody waits in vain, and only as long', async () => {
  vi.useFakeTimers();
  const monitoring = createMonitoring();
  const asked: PromiseWithResolvers<number>[] = [];
  const barrier = measureBarrier(
    {
      awaitCurrent() {
        const answer = Promise.withResolvers<number>();
        asked.push(answer);
        return answer.promise;
      },
    },
    monitoring,
  );
  const { signal } = new AbortController();
  const first = barrier.awaitCurrent(signal);
  vi.advanceTimersByTime(1_900);
  const second = barrier.awaitCurrent(signal);
  expect(await monitoring.problems()).toEqual([]);
  vi.advanceTimersByTime(200);
  expect(await monitoring.problems()).toEqual([PROBLEM]);
  asked[0]?.resolve(7);
  expect(await first).toBe(7);
  expect(await monitoring.problems()).toEqual([]);
  vi.advanceTimersByTime(2_000);
  expect(await monitoring.problems()).toEqual([PROBLEM]);
  asked[1]?.reject(new Error('aborted'));
  await expect(second).rejects.toThrow('aborted');
  expect(await monitoring.problems()).toEqual([]);
  vi.useRealTimers();
  expect(await monitoring.text()).toContain('billhook_dispatcher_barrier_duration_seconds_count 1');
});
