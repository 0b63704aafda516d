import type { LogRecord } from '@billhook/event-log';
import type { Log } from '@billhook/runtime';
import { START, type RelayCursor } from '../postgres/relay-cursors.ts';

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
  /** The broker that leads its partition, as far as is known. */
  leader: number | undefined;
  /** Whether it is sent by itself, because a request that it was in failed: until one succeeds. */
  isAlone: boolean;
  /** Ends with the batch that is under way. It does not reject. */
  underWay: Promise<void>;
  /** Since when a batch is under way, monotonic clock; Infinity when none is. */
  sendingSinceMs: number;
}

/** A lane that was just taken. */
export function createLedLane(lane: number, epoch: number): LedLane {
  return {
    lane,
    epoch,
    phase: 'loading',
    cursor: START,
    haltReason: undefined,
    lacksBeginning: false,
    strayFrom: undefined,
    isCompared: false,
    leader: undefined,
    isAlone: false,
    underWay: Promise.resolve(),
    sendingSinceMs: Infinity,
  };
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

/** Bounds of a lane's batch. KafkaJS splits nothing, and Kafka refuses what is over `max.message.bytes`. */
const MAX_BATCH_EVENTS = 500;
const MAX_BATCH_BYTES = 512 * 1024;

/** What the topic must allow: a batch, with room for the bytes that Kafka adds. */
export const MAX_MESSAGE_BYTES = 2 * MAX_BATCH_BYTES;

/** Bounds of a request, give or take a batch: to encode it keeps the process from anything else. */
const MAX_REQUEST_EVENTS = 1_000;
export const MAX_REQUEST_BYTES = 2 * MAX_BATCH_BYTES;

/** However many lanes there are, one that has much to send gets on. */
const MIN_READ_EVENTS = 16;

/** How many events to read of each of so many lanes. */
export function eventsToRead(lanes: number): number {
  const share = Math.ceil(MAX_REQUEST_EVENTS / lanes);
  return Math.min(Math.max(share, MIN_READ_EVENTS), MAX_BATCH_EVENTS);
}

/** What Kafka and the headers add to an event's own texts and bytes, generously. */
const RECORD_OVERHEAD_BYTES = 512;

/** Events of one lane that are sent together, and their bytes at most. */
export interface Batch {
  readonly events: readonly LogRecord[];
  readonly bytes: number;
}

/** Takes as many events as make one batch: one at least. */
export function takeBatch(events: readonly LogRecord[]): Batch {
  let bytes = 0;
  let count = 0;
  for (const event of events) {
    const more = bytesOf(event);
    if (count > 0 && bytes + more > MAX_BATCH_BYTES) break;
    bytes += more;
    count += 1;
  }
  return { events: events.slice(0, count), bytes };
}

function bytesOf({ data, tenant, streamId, type }: LogRecord): number {
  // The ids stand in the key and in headers, and may have up to three bytes for each character.
  return data.length + 6 * (tenant.length + streamId.length) + type.length + RECORD_OVERHEAD_BYTES;
}
