import type { LaneLeases } from '@billhook/lane-leases';
import type { Monitoring } from '@billhook/metrics';

import type { HaltedLane } from '../dispatching/halted-lanes.ts';

/** Says what keeps the dispatcher from its work: leases that are not renewed, and halted lanes. */
export function addReadinessChecks(
  { addCheck }: Monitoring,
  deps: {
    readonly leases: Pick<LaneLeases, 'safeUntilMs'>;
    readonly halted: () => ReadonlyMap<number, HaltedLane>;
  },
): void {
  const { leases, halted } = deps;
  addCheck(() =>
    performance.now() < leases.safeUntilMs()
      ? undefined
      : 'the leases of the lanes are not renewed: nothing is sent',
  );
  addCheck(() => {
    const [first] = halted();
    if (first === undefined) return undefined;
    const [lane, { position, reason }] = first;
    return `lane ${lane} is halted at position ${position}: ${reason}`;
  });
}
