import type { LogRecord } from '../event-log.ts';

/** How much of a lane is kept ahead of its reader. */
export interface LaneBufferLimits {
  readonly maxBytes: number;
  readonly maxEvents: number;
}

/** What an event costs beside its data, roughly: its texts and its objects. */
const OVERHEAD_BYTES = 600;

/** Taken events are cut off when there are so many of them. */
const COMPACT_FROM = 512;

/** Events of a lane that follow one another without a gap, and wait to be read. */
export class LaneBuffer {
  readonly #limits: LaneBufferLimits;
  #records: LogRecord[] = [];
  /** The first of the records that waits. */
  #first = 0;
  #bytes = 0;
  #after = 0;

  constructor(limits: LaneBufferLimits) {
    this.#limits = limits;
  }

  /** The position that the first event follows. */
  get after(): number {
    return this.#after;
  }

  /** The position of the last event, or the one that it would follow. */
  get last(): number {
    return this.#after + this.length;
  }

  get length(): number {
    return this.#records.length - this.#first;
  }

  get isFull(): boolean {
    return this.#bytes >= this.#limits.maxBytes || this.length >= this.#limits.maxEvents;
  }

  /** Whether so little waits that it is time to fetch more. */
  get isLow(): boolean {
    return this.#bytes * 2 < this.#limits.maxBytes && this.length * 2 < this.#limits.maxEvents;
  }

  /** Empties it; what comes next follows that position. */
  reset(after: number): void {
    this.#records = [];
    this.#first = 0;
    this.#bytes = 0;
    this.#after = after;
  }

  /** Appends the event at `last + 1`. */
  push(record: LogRecord): void {
    this.#records.push(record);
    this.#bytes += record.data.length + OVERHEAD_BYTES;
  }

  peek(limit: number): LogRecord[] {
    return this.#records.slice(this.#first, this.#first + limit);
  }

  /** Drops the events up to a position, which is one of theirs, and returns the last of them. */
  advance(after: number): LogRecord | undefined {
    let dropped: LogRecord | undefined;
    while (this.#after < after) {
      dropped = this.#records[this.#first];
      this.#bytes -= (dropped?.data.length ?? 0) + OVERHEAD_BYTES;
      this.#first += 1;
      this.#after += 1;
    }
    if (this.#first === this.#records.length || this.#first >= COMPACT_FROM) {
      this.#records.splice(0, this.#first);
      this.#first = 0;
    }
    return dropped;
  }
}
