import type { Appended, StoredEvent } from '@billhook/event-store';

import type { LaneRequest, LaneSlice, LogRecord, Predecessor } from '../event-log.ts';

/** What an event takes beside its data. */
const EVENT_BYTES = 512;

/** The end of a lane. Everything after `after` that is in the store is in `records`. */
interface LaneTail {
  /** When the store itself said where the lane ends. */
  readonly learnedAtMs: number;
  after: number;
  predecessor: Predecessor;
  records: LogRecord[];
}

/** How much is kept, and for how long it is believed. */
export interface LaneTailLimits {
  /** What all of it may take. Beyond it all lanes are read from the store again. */
  readonly maxBytes: number;
  /** A lane whose end was learned so long ago is read from the store again. */
  readonly maxAgeMs: number;
}

/**
 * The ends of lanes, as they come from the bell of the process that appends, so that what was just
 * appended need not be read back. It takes a bell that reaches all: then a lane that was read to its end
 * grows by nothing but what the bell says. From time to time the store itself must be asked all the same: a
 * commit that was not answered may come through later than all that was said of it.
 */
export class LaneTails {
  private readonly tails = new Map<number, LaneTail>();
  /** The last position of each lane of which the bell told. */
  private readonly told = new Map<number, number>();
  private readonly limits: LaneTailLimits;
  private sumBytes = 0;

  constructor(limits: LaneTailLimits) {
    this.limits = limits;
  }

  /** Takes in what the bell said. */
  append(appended: Appended): void {
    if (appended === 'unknown') this.clear();
    else for (const event of appended) this.appendEvent(event);
    // Those that are read come back soon, and what nobody reads is not kept.
    if (this.sumBytes > this.limits.maxBytes) this.clear();
  }

  /**
   * Answers a request from memory.
   *
   * @param bounds.nowMs on the clock of `reachedEnd`.
   * @returns undefined when the store must be asked.
   */
  read(
    { lane, after, limit }: LaneRequest,
    { maxBytes, nowMs }: { readonly maxBytes: number; readonly nowMs: number },
  ): LaneSlice | undefined {
    const tail = this.tails.get(lane);
    if (tail === undefined || nowMs - tail.learnedAtMs >= this.limits.maxAgeMs) return undefined;
    if (!this.moveTo(tail, after)) return undefined;
    const { predecessor } = tail;
    return { lane, after, predecessor, events: takeFirst(tail.records, limit, maxBytes) };
  }

  /** Learns the end of a lane from the store: nothing came after this slice when it was read. */
  reachedEnd({ lane, after, predecessor, events }: LaneSlice, nowMs: number): void {
    const last = events.at(-1);
    const isSound = last !== undefined || after === 0 || predecessor.kind === 'event';
    const end = last?.position ?? after;
    // What came meanwhile was told of already, and is not in the slice.
    if (!isSound || (this.told.get(lane) ?? 0) > end) return;
    this.forget(lane);
    this.tails.set(lane, {
      learnedAtMs: nowMs,
      after: end,
      predecessor: last === undefined ? predecessor : { kind: 'event', id: last.id },
      records: [],
    });
  }

  private appendEvent(event: StoredEvent): void {
    const { lane, position } = event;
    this.told.set(lane, Math.max(position, this.told.get(lane) ?? 0));
    const tail = this.tails.get(lane);
    if (tail === undefined) return;
    const next = tail.after + tail.records.length + 1;
    // It was in the store already when the lane was read.
    if (position < next) return;
    if (position > next) return this.forget(lane);
    tail.records.push({ ...event, offset: undefined });
    this.sumBytes += bytesOf(event);
  }

  /** Drops what comes before: whoever follows the lane does not ask for it again, or asks the store. */
  private moveTo(tail: LaneTail, after: number): boolean {
    const passed = after - tail.after;
    if (passed < 0 || passed > tail.records.length) return false;
    if (passed === 0) return true;
    const dropped = tail.records.splice(0, passed);
    for (const record of dropped) this.sumBytes -= bytesOf(record);
    tail.after = after;
    tail.predecessor = { kind: 'event', id: dropped.at(-1)?.id ?? '' };
    return true;
  }

  private clear(): void {
    this.tails.clear();
    this.sumBytes = 0;
  }

  private forget(lane: number): void {
    for (const record of this.tails.get(lane)?.records ?? []) this.sumBytes -= bytesOf(record);
    this.tails.delete(lane);
  }
}

/** As many as a read brings, but one if there is any. */
function takeFirst(records: readonly LogRecord[], limit: number, maxBytes: number): LogRecord[] {
  let bytes = 0;
  const end = records.findIndex(({ data }, index) => {
    if (index >= limit || bytes >= maxBytes) return true;
    bytes += data.length;
    return false;
  });
  return end === -1 ? [...records] : records.slice(0, end);
}

function bytesOf({ data }: Pick<StoredEvent, 'data'>): number {
  return data.length + EVENT_BYTES;
}
