import { expect } from 'vitest';
import { checkSlice } from '../check-slice.ts';
import type { HaltReason, KnownEvent, SliceCheck } from '../check-slice.ts';
import type { LaneSlice, LogRecord } from '../event-log.ts';
import { Lane } from './lane.ts';
import { encodeRecord } from './record.ts';
import type { KafkaRecord } from './record.ts';

export const MAX_EVENTS = 16;
export const MAX_BATCH = 5;
/** Less than a lane is quiet before its place is checked. */
export const SOON_STEPS = 20;
const ENOUGH_STEPS = 400;

/** From where a lane is read, and where its partition begins. */
interface Start {
  readonly after?: number;
  readonly offset?: number | undefined;
  readonly low?: number;
}

/** A lane on a partition that holds these positions, and its reader. */
export function startLane(positions: readonly number[], from: Start = {}) {
  const partition = new ModelPartition(from.low ?? 0);
  partition.append(positions);
  const lane = new Lane(3, partition, { maxBytes: 1_000_000, maxEvents: MAX_EVENTS });
  partition.lane = lane;
  return { partition, lane, reader: new Reader(lane, partition, from) };
}

/** A partition in memory. It hands out batches of a few records, as Kafka would. */
class ModelPartition {
  lane: Lane | undefined;
  delivered = 0;
  #records: (KafkaRecord & { readonly position: number })[] = [];
  #low: number;
  #next = 0;
  #isHeld = true;

  constructor(low: number) {
    this.#low = low;
  }

  append(positions: readonly number[], history = 'id'): void {
    for (const position of positions) {
      const { headers } = encodeRecord(recordAt(position, idAt(position, history)));
      this.#records.push({ offset: String(this.#high()), value: Buffer.of(1), headers, position });
    }
  }

  appendNonsense(): void {
    this.#records.push({ offset: String(this.#high()), value: null, headers: {}, position: 0 });
  }

  repeat(from: number, length: number): void {
    this.append(range(from, Math.min(from + length, this.lastPosition())));
  }

  replace(positions: readonly number[]): void {
    this.#records = [];
    this.#low = 0;
    this.append(positions);
  }

  loseTail(length: number): void {
    this.#records.splice(Math.max(0, this.#records.length - length));
  }

  lastPosition(): number {
    return this.#records.reduce((last, { position }) => Math.max(last, position), 0);
  }

  /** The first position that a reader from the beginning would not come to. */
  firstLacking(): number {
    return this.#records.reduce((next, { position }) => (position === next ? next + 1 : next), 1);
  }

  readFrom(offset: number): void {
    this.#next = offset;
    this.#isHeld = false;
  }

  hold(): void {
    this.#isHeld = true;
  }

  resume(): void {
    this.#isHeld = false;
  }

  run(): void {
    for (let step = 0; step < ENOUGH_STEPS; step += 1) this.step();
  }

  step(): void {
    const ends = { low: this.#low, high: this.#high() };
    const question = this.lane?.question;
    if (question !== undefined) this.lane?.endsKnown(ends, question);
    if (this.#isHeld) return;
    // An offset out of range goes to the earliest.
    if (this.#next < ends.low || this.#next > ends.high) this.#next = ends.low;
    const index = this.#next - ends.low;
    const batch = this.#records.slice(index, index + 1 + (index % MAX_BATCH));
    if (batch.length === 0) return;
    this.#next += batch.length;
    this.delivered += batch.length;
    this.lane?.take(batch, ends.high);
  }

  #high(): number {
    return this.#low + this.#records.length;
  }
}

/** Reads a lane as a dispatcher does. */
class Reader {
  predecessor: LaneSlice['predecessor'] = { kind: 'unknown' };
  /** Why the lane was halted, ever. */
  readonly halts = new Set<HaltReason>();
  readonly #lane: Lane;
  readonly #partition: ModelPartition;
  #after: number;
  #offset: number | undefined;
  #known: KnownEvent | undefined;
  #nowMs = 0;

  constructor(lane: Lane, partition: ModelPartition, from: Start) {
    this.#lane = lane;
    this.#partition = partition;
    this.#after = from.after ?? 0;
    this.#offset = from.offset;
  }

  /** The positions that come until nothing more does. */
  readAll(steps = ENOUGH_STEPS): number[] {
    const found: number[] = [];
    for (let step = 0; step < steps; step += 1) {
      const check = this.#read();
      for (const record of check.events) found.push(record.position);
      this.#partition.step();
    }
    return found;
  }

  /** What the lane says after a while. */
  end(steps = ENOUGH_STEPS): SliceCheck<LogRecord> {
    this.readAll(steps);
    return this.#read();
  }

  idle(): void {
    this.#nowMs += 60_000;
    this.#lane.tick(this.#nowMs);
  }

  #read(): SliceCheck<LogRecord> {
    this.#nowMs += 300;
    this.#lane.tick(this.#nowMs);
    const request = { lane: 3, after: this.#after, offset: this.#offset, limit: 4 };
    const slice = this.#lane.read(request, this.#nowMs);
    if (slice.predecessor.kind === 'unknown') expect(slice.events).toEqual([]);
    if (slice.predecessor.kind !== 'unknown' && this.#known === undefined) {
      this.predecessor = slice.predecessor;
    }
    const check = checkSlice(this.#known, slice, (record) => record);
    this.#known = check.known;
    if (check.kind === 'halted') this.halts.add(check.reason);
    const last = check.events.at(-1);
    if (last !== undefined) {
      this.#after = last.position;
      this.#offset = last.offset;
    }
    return check;
  }
}

function recordAt(position: number, id: string): LogRecord {
  return {
    lane: 3,
    position,
    id,
    tenant: 'default',
    streamId: 'invoice-1',
    version: position,
    type: 'invoice_created',
    data: Buffer.of(1),
    recordedAtMs: 0,
    traceparent: undefined,
    offset: undefined,
  };
}

/** The id of the event at a position; of another history, that of another event. */
export function idAt(position: number, history = 'id'): string {
  return `evt_${(history === 'id' ? position : position + 1_000_000).toString(16).padStart(32, '0')}`;
}

/** The positions from one to another. */
export function range(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
}
