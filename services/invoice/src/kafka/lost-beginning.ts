import type { PartitionEnds } from '@billhook/kafka';
import type { Log } from '@billhook/runtime';
import type { RelayCursor } from '../postgres/relay-cursors.ts';
import type { LedLane } from './led-lane.ts';

/**
 * Notes whether a partition has the beginning of its lane, and says so when that changes. A lane that lost
 * it is relayed on: what is new reaches those who have read the rest.
 *
 * @param cursor that of the lane before the ends were read.
 */
export function noteBeginning(
  led: LedLane,
  { ends, cursor }: { readonly ends: PartitionEnds; readonly cursor: RelayCursor },
  log: Log,
): void {
  const isLost = lacksBeginning(ends, cursor);
  if (isLost === led.lacksBeginning) return;
  led.lacksBeginning = isLost;
  const { lane } = led;
  if (isLost) {
    log.error({ lane, begins: ends.low }, `the topic lost the beginning of a lane: ${REMEDY}`);
  } else {
    log.info({ lane }, 'the topic has the beginning of the lane again');
  }
}

/** What becomes of a topic that lost something at its beginning is for the operator to say. */
export const REMEDY = 'delete the topic, and everything is sent again';

/**
 * Whether events are missing at the beginning for certain. Nothing is ever deleted there on purpose, and
 * up to the cursor there is a record for each position at least; repeats may hide that as many are gone.
 * A partition that ends before the cursor was made anew, or lost its tail: it is filled again.
 */
export function lacksBeginning({ low, high }: PartitionEnds, cursor: RelayCursor): boolean {
  return low > 0 && high > cursor.offset && high - low < cursor.position;
}
