import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkSlice } from '../check-slice.ts';
import type { HaltReason, KnownEvent, SliceCheck } from '../check-slice.ts';
import type { LaneSlice, LogRecord } from '../event-log.ts';
import { Lane } from './lane.ts';
import { encodeRecord } from './record.ts';
import type { KafkaRecord } from './record.ts';

describe('a lane', () => {
  it('is read from its beginning', () => {
    const { partition, reader } = start(range(1, 10));
    expect(reader.readAll()).toEqual(range(1, 10));
    partition.append(range(11, 12));
    expect(reader.readAll()).toEqual([11, 12]);
  });

  it('is found from any position, whatever the hint', () => {
    for (const after of range(0, 9)) {
      for (const offset of [undefined, 0, after - 1, after, 9, 10, 1_000]) {
        const { reader } = start(range(1, 10), { after, offset });
        expect(reader.readAll()).toEqual(range(after + 1, 10));
        expect(reader.predecessor).toEqual(
          after === 0 ? { kind: 'none' } : { kind: 'event', id: idAt(after) },
        );
      }
    }
  });

  it('is found though repeats moved everything behind', () => {
    const repeats = Array.from({ length: 20 }, () => range(1, 50)).flat();
    const { reader } = start([...range(1, 50), ...repeats, ...range(51, 60)], { after: 55 });
    expect(reader.readAll()).toEqual(range(56, 60));
  });

  it('is found though the search meets a repeat that later positions follow', () => {
    const positions = [...range(1, 20), ...range(5, 10), ...range(21, 25)];
    for (const after of range(1, 24)) {
      for (const offset of range(0, positions.length)) {
        const { reader } = start(positions, { after, offset });
        expect(reader.readAll()).toEqual(range(after + 1, 25));
      }
    }
  });

  it('is found though nothing but repeats follows where it is looked for', () => {
    const positions = [...range(1, 20), ...range(5, 10)];
    for (const after of range(1, 19)) {
      for (const offset of range(0, 19)) {
        const { reader } = start(positions, { after, offset });
        expect(reader.readAll()).toEqual(range(after + 1, 20));
      }
    }
    expect(start(positions, { after: 15, offset: 23 }).reader.readAll()).toEqual(range(16, 20));
  });

  it('is found though the log lost its beginning', () => {
    const { reader } = start(range(11, 30), { after: 15, low: 500 });
    expect(reader.readAll()).toEqual(range(16, 30));
  });

  it('goes on behind a position that the log lost, if nothing else is lost', () => {
    const { reader } = start(range(11, 30), { after: 10 });
    expect(reader.readAll()).toEqual(range(11, 30));
    expect(start(range(11, 30), { after: 9 }).reader.end()).toMatchObject({
      kind: 'halted',
      reason: 'gap',
      position: 10,
    });
  });

  it('is found though a batch came to a new log before its beginning', () => {
    for (const after of range(0, 19)) {
      const positions = [...range(11, 15), ...range(1, 20)];
      const { reader } = start(positions, { after });
      expect(reader.readAll()).toEqual(range(after + 1, 20));
      expect([...reader.halts]).toEqual([]);
    }
  });

  it('is found though a batch came behind a lost tail before that was filled again', () => {
    for (const after of range(0, 19)) {
      const positions = [...range(1, 5), ...range(11, 15), ...range(6, 20)];
      const { reader } = start(positions, { after });
      expect(reader.readAll()).toEqual(range(after + 1, 20));
      expect([...reader.halts]).toEqual([]);
    }
  });

  it('goes on from a gap as soon as what is missing comes behind it', () => {
    const { partition, reader } = start([...range(1, 5), ...range(11, 15)], { after: 3 });
    expect(reader.readAll()).toEqual([4, 5]);
    expect(reader.end()).toMatchObject({ kind: 'halted', reason: 'gap', position: 6 });
    partition.append(range(6, 20));
    expect(reader.readAll(SOON_STEPS)).toEqual(range(6, 20));
  });

  it('drops repeats', () => {
    const { reader } = start([1, 1, 2, 3, 1, 2, 3, 4, 3, 4, 5]);
    expect(reader.readAll()).toEqual([1, 2, 3, 4, 5]);
  });

  it('halts at a gap, and goes on when the log is whole again', () => {
    const { partition, reader } = start([...range(1, 5), ...range(7, 9)]);
    expect(reader.readAll()).toEqual(range(1, 5));
    expect(reader.end()).toMatchObject({ kind: 'halted', reason: 'gap', position: 6 });
    partition.replace(range(1, 9));
    expect(reader.readAll()).toEqual(range(6, 9));
  });

  it('forgets what halted it when the log is another one', () => {
    const { partition, lane, reader } = start([...range(1, 5), ...range(7, 9)]);
    reader.readAll();
    expect(reader.end()).toMatchObject({ kind: 'halted', reason: 'gap', position: 6 });
    partition.replace(range(1, 9));
    lane.recheck();
    partition.run();
    expect(reader.readAll(SOON_STEPS)).toEqual(range(6, 9));
    expect(reader.halts).toEqual(new Set(['gap']));
  });

  it('halts at another event at a position that it read, and stays halted', () => {
    const { partition, reader } = start([...range(1, 5)]);
    expect(reader.readAll()).toEqual(range(1, 5));
    partition.append([3], 'other');
    partition.append(range(6, 8));
    for (let time = 0; time < 5; time += 1) {
      expect(reader.end()).toMatchObject({ kind: 'halted', reason: 'another_event', position: 3 });
    }
    partition.replace(range(1, 8));
    expect(reader.readAll()).toEqual(range(6, 8));
  });

  it('halts when the log holds another history', () => {
    const { partition, lane, reader } = start(range(1, 5));
    reader.readAll();
    partition.replace([]);
    partition.append(range(1, 9), 'other');
    lane.recheck();
    expect(reader.end()).toMatchObject({ kind: 'halted', reason: 'another_event', position: 5 });
  });

  it('halts at what it cannot decode, keeps what precedes it, and skips nothing', () => {
    const { partition, reader } = start(range(1, 3));
    partition.appendNonsense();
    partition.append([4]);
    expect(reader.readAll()).toEqual(range(1, 3));
    for (let time = 0; time < 5; time += 1) {
      expect(reader.end()).toMatchObject({ kind: 'halted', reason: 'undecodable', position: 4 });
    }
  });

  it('shows that the log ends before a position, until that is filled again', () => {
    const { partition, reader } = start(range(1, 20), { after: 20 });
    expect(reader.end()).toMatchObject({ kind: 'continuous' });
    partition.replace(range(1, 5));
    expect(reader.end()).toMatchObject({ kind: 'halted', reason: 'lost_tail', position: 20 });
    partition.append(range(6, 22));
    expect(reader.readAll()).toEqual([21, 22]);
  });

  it('notices at once that the partition begins again', () => {
    const { partition, reader } = start(range(1, 20));
    reader.readAll();
    partition.replace(range(1, 5));
    expect(reader.readAll(SOON_STEPS)).toEqual([]);
    expect(reader.end(SOON_STEPS)).toMatchObject({ kind: 'halted', reason: 'lost_tail' });
  });

  it('finds its place in a log that was made anew and has grown past it unseen', () => {
    const { partition, reader } = start([...range(1, 10), ...range(1, 10)]);
    expect(reader.readAll()).toEqual(range(1, 10));
    partition.replace(range(1, 40));
    expect(reader.readAll()).toEqual(range(11, 40));
  });

  it('collects no more than its limits and one batch, and goes on when that is taken', () => {
    const { partition, lane } = start([]);
    partition.append(range(1, 500));
    lane.read({ lane: 3, after: 0, limit: 1 }, 0);
    partition.run();
    expect(partition.delivered).toBeGreaterThanOrEqual(MAX_EVENTS);
    expect(partition.delivered).toBeLessThan(MAX_EVENTS + MAX_BATCH);
    lane.read({ lane: 3, after: MAX_EVENTS, limit: 1 }, 0);
    partition.run();
    expect(partition.delivered).toBeGreaterThan(MAX_EVENTS + 1);
  });

  it('lets go of what nobody asked for in a while, and begins again when it is asked for', () => {
    const { partition, lane } = start(range(1, 5));
    lane.read({ lane: 3, after: 0, limit: 1 }, 0);
    partition.run();
    lane.tick(60_000);
    expect(lane.read({ lane: 3, after: 0, limit: 9 }, 60_000).events).toEqual([]);
    partition.run();
    expect(lane.read({ lane: 3, after: 0, limit: 9 }, 60_000).events).toHaveLength(5);
  });

  it('answers two that ask for different positions by turns', () => {
    const { partition, lane } = start(range(1, 9));
    const found = new Set<number>();
    for (let nowMs = 0; nowMs < 20_000 && found.size < 2; nowMs += 100) {
      for (const after of [2, 6]) {
        const { events } = lane.read({ lane: 3, after, limit: 1 }, nowMs);
        if (events[0] !== undefined) found.add(events[0].position);
        partition.step();
      }
    }
    expect(found).toEqual(new Set([3, 7]));
  });

  it('skips nothing and repeats nothing, whatever becomes of the log, once that is whole', () => {
    const chunk = fc.record({
      length: fc.integer({ min: 1, max: 12 }),
      repeatFrom: fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
    });
    const step = fc.constantFrom(
      'append',
      'append',
      'append',
      'anew',
      'lose tail',
      'stray anew',
      'stray tail',
      'read',
      'idle',
      'recheck',
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(step, chunk), { minLength: 1, maxLength: 25 }),
        fc.nat(12),
        fc.option(fc.nat(60), { nil: undefined }),
        (steps, after, offset) => {
          const { partition, lane, reader } = start(range(1, 12), { after, offset });
          const found: number[] = [];
          let last = 12;
          /** Whether it was read while it had a hole. */
          let hadHole = false;
          for (const [kind, { length, repeatFrom }] of steps) {
            if (kind === 'anew') partition.replace(range(1, length));
            if (kind === 'lose tail') partition.loseTail(length);
            if (kind === 'stray anew' || kind === 'stray tail') {
              // A batch is sent before anybody knows what is lost, and the rest thereafter.
              if (kind === 'stray anew') partition.replace([]);
              else partition.loseTail(length);
              partition.append(range(last + 1, last + length));
              if (repeatFrom !== undefined) partition.repeat(repeatFrom, length);
              last += length;
              partition.append(range(partition.firstLacking(), last));
            }
            if (kind === 'read') hadHole ||= partition.firstLacking() <= partition.lastPosition();
            if (kind === 'read') found.push(...reader.readAll());
            if (kind === 'idle') reader.idle();
            if (kind === 'recheck') lane.recheck();
            if (kind !== 'append') continue;
            if (repeatFrom !== undefined) partition.repeat(repeatFrom, length);
            partition.append(range(partition.firstLacking(), last + length));
            last += length;
          }
          partition.append(range(partition.firstLacking(), last + 1));
          found.push(...reader.readAll());
          expect(found).toEqual(range(after + 1, last + 1));
          reader.halts.delete('lost_tail');
          if (hadHole) reader.halts.delete('gap');
          expect([...reader.halts]).toEqual([]);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

const MAX_EVENTS = 16;
const MAX_BATCH = 5;
const ENOUGH_STEPS = 400;
/** Less than a lane is quiet before its place is checked. */
const SOON_STEPS = 20;

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

interface Start {
  readonly after?: number;
  readonly offset?: number | undefined;
  readonly low?: number;
}

function start(positions: readonly number[], from: Start = {}) {
  const partition = new ModelPartition(from.low ?? 0);
  partition.append(positions);
  const lane = new Lane(3, partition, { maxBytes: 1_000_000, maxEvents: MAX_EVENTS });
  partition.lane = lane;
  return { partition, lane, reader: new Reader(lane, partition, from) };
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

function idAt(position: number, history = 'id'): string {
  return `evt_${(history === 'id' ? position : position + 1_000_000).toString(16).padStart(32, '0')}`;
}

function range(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
}
