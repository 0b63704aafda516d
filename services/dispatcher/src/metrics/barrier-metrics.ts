import { DURATION_BUCKETS_SECONDS, type Monitoring } from '@billhook/metrics';

import type { RevisionBarrier } from '../subscriptions/barrier.ts';

/** Whoever waits for so long waits in vain. */
const IN_VAIN_AFTER_MS = 2_000;

/** Measures a barrier. While somebody waits there in vain, the process is not ready. */
export function measureBarrier(barrier: RevisionBarrier, monitoring: Monitoring): RevisionBarrier {
  const duration = monitoring.addHistogram({
    name: 'billhook_dispatcher_barrier_duration_seconds',
    help: 'How long it took until the set of endpoints was known as it is.',
    buckets: DURATION_BUCKETS_SECONDS,
  });
  /** Since when each waits, the one that came first being the first. */
  const waiting = new Set<{ readonly sinceMs: number }>();

  monitoring.addCheck(() => {
    const [first] = waiting;
    const isInVain = first !== undefined && performance.now() - first.sinceMs > IN_VAIN_AFTER_MS;
    return isInVain ? 'the set of endpoints is not known as it is now: deliveries wait' : undefined;
  });

  return {
    async awaitCurrent(signal) {
      const wait = { sinceMs: performance.now() };
      waiting.add(wait);
      try {
        const revision = await barrier.awaitCurrent(signal);
        duration.observe((performance.now() - wait.sinceMs) / 1_000);
        return revision;
      } finally {
        waiting.delete(wait);
      }
    },
  };
}
