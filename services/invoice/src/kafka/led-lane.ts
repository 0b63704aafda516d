import type { LogRecord } from '@billhook/event-log';
import type { PartitionProducer } from '@billhook/kafka';
import type { Log } from '@billhook/runtime';
import type { RelayCursor } from '../postgres/relay-cursors.ts';

/**
 * A lane that this process relays.
 *
 * ```
 *   loading -> unchecked -> idle <-> sending
 *                 ^  |        |         |
 *                 |  +-> halted         |
 *                 +-----------+---------+  an error, or the topic is not as it was left
 * ```
 * - `loading`: its cursor is being loaded.
 * - `unchecked`: the cursor is to be compared with what the partition holds.
 * - `idle`: what follows the cursor may be sent.
 * - `sending`: a batch is under way.
 * - `halted`: the store and the topic disagree; nothing is sent. It is checked again now and then.
 */
export interface LedLane {
  readonly lane: number;
  readonly epoch: number;
  readonly producer: PartitionProducer;
  phase: 'loading' | 'unchecked' | 'idle' | 'sending' | 'halted';
  cursor: RelayCursor;
  /** Why it is halted, in words; it stays until something of the lane could be read to be sent. */
  haltReason: string | undefined;
  /** Whether its partition lost the beginning of the lane; it is relayed all the same. */
  lacksBeginning: boolean;
  /**
   * Where a batch came to lie that was sent after the partition had become shorter: what precedes it may
   * be missing. Undefined while none is known.
   */
  strayFrom: number | undefined;
  /**
   * Whether its cursor was compared with the topic since the lane was taken: the leader before may have
   * ended right after it had sent something.
   */
  isCompared: boolean;
  /** Ends with the batch that is under way. It does not reject. */
  underWay: Promise<void>;
  /** Since when a batch is under way, monotonic clock; Infinity when none is. */
  sendingSinceMs: number;
}

/** Halts a lane, and says so once for each reason. */
export function halt(led: LedLane, reason: string, log: Log): void {
  if (led.haltReason !== reason) {
    log.error({ lane: led.lane, reason }, 'a lane is not relayed any more: nothing is skipped');
  }
  led.phase = 'halted';
  led.haltReason = reason;
}

/** The store and the topic agree, and the store has what follows: a lane that was halted says so. */
export function goOn(led: LedLane, log: Log): void {
  if (led.haltReason === undefined) return;
  led.haltReason = undefined;
  log.info({ lane: led.lane }, 'the lane is relayed again');
}

/** Bounds of a batch. KafkaJS splits nothing, and Kafka refuses what is over `max.message.bytes`. */
export const MAX_BATCH_EVENTS = 500;
const MAX_BATCH_BYTES = 512 * 1024;

/** What the topic must allow: a batch, with room for the bytes that Kafka adds. */
export const MAX_MESSAGE_BYTES = 2 * MAX_BATCH_BYTES;

/** What Kafka and the headers add to an event's own texts and bytes, generously. */
const RECORD_OVERHEAD_BYTES = 512;

/** Takes as many events as make one batch: one at least. */
export function takeBatch(events: readonly LogRecord[]): readonly LogRecord[] {
  let bytes = 0;
  let count = 0;
  for (const event of events) {
    bytes += bytesOf(event);
    if (count > 0 && (bytes > MAX_BATCH_BYTES || count >= MAX_BATCH_EVENTS)) break;
    count += 1;
  }
  return events.slice(0, count);
}

function bytesOf({ data, tenant, streamId, type }: LogRecord): number {
  // The ids stand in the key and in headers, and may have up to three bytes for each character.
  return data.length + 6 * (tenant.length + streamId.length) + type.length + RECORD_OVERHEAD_BYTES;
}
