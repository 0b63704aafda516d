import type { PartitionEnds } from '@billhook/kafka';
import type { LaneRequest, LaneSlice, LogRecord, Predecessor } from '../event-log.ts';
import { LaneBuffer } from './lane-buffer.ts';
import type { LaneBufferLimits } from './lane-buffer.ts';
import type { Phase, Place } from './lane-phase.ts';
import { LaneTimes } from './lane-times.ts';
import { RecentEvents } from './recent-events.ts';
import { detachRecords, positionOf, tryDecodeRecord, UndecodableRecordError } from './record.ts';
import type { KafkaRecord } from './record.ts';
import { beginSearch, searchAgain, searchBefore } from './search.ts';
import type { Origin, Search } from './search.ts';
import { brokenAt, StandingTrouble } from './trouble.ts';
import type { Trouble } from './trouble.ts';

/** The partition that a lane is read from. */
export interface LanePartition {
  /** Goes on from an offset, behind which there are about so many records. */
  readFrom(offset: number, behind: number): void;
  /** Brings nothing more until `resume` or `readFrom`. */
  hold(): void;
  resume(): void;
}

/** One lane as it is kept in a partition. It knows no clock and does no I/O. */
export class Lane {
  readonly #lane: number;
  readonly #partition: LanePartition;
  readonly #buffer: LaneBuffer;
  readonly #recent = new RecentEvents();
  readonly #trouble = new StandingTrouble();
  readonly #times = new LaneTimes();
  #phase: Phase = { kind: 'idle' };
  #predecessor: Predecessor = { kind: 'unknown' };
  /** Where the predecessor may be kept. */
  #hint: number | undefined;
  /** The first record behind missing positions, while these may still come further on. */
  #beyond: LogRecord | undefined;
  /** From where the partition is read, until its end is reached. */
  #origin: Origin = 'hint';
  #questions = 0;
  #nextOffset = 0;
  #high = 0;
  /** The position in the last record that was read, if it had any. */
  #lastPosition: number | undefined;
  #isHeld = true;

  constructor(lane: number, partition: LanePartition, limits: LaneBufferLimits) {
    this.#lane = lane;
    this.#partition = partition;
    this.#buffer = new LaneBuffer(limits);
  }

  /** The number of its question, while it asks where the partition begins and ends. */
  get question(): number | undefined {
    return this.#phase.kind === 'asking' ? this.#questions : undefined;
  }

  /** Answers a request from what is there. */
  read(request: LaneRequest, nowMs: number): LaneSlice {
    const { after } = request;
    if (this.#standsAt(after)) {
      this.#advance(after);
    } else if (this.#times.isFree(nowMs)) {
      this.#lookFor(after, request.offset);
    } else {
      return { lane: this.#lane, after, predecessor: { kind: 'unknown' }, events: [] };
    }
    this.#times.asked(nowMs);
    if (this.#buffer.length === 0 && this.#trouble.isDueForAnotherLook(nowMs)) {
      this.#trouble.growOld();
      this.#lookAgain('hint');
    }
    if (this.#isHeld && this.#phase.kind === 'following' && this.#buffer.isLow) this.#resume();
    this.#times.answered(this.#predecessor.kind !== 'unknown');
    return this.#slice(request, nowMs);
  }

  /** The partition begins and ends there, as was seen after that question was asked. */
  endsKnown({ low, high }: PartitionEnds, question: number): void {
    if (this.question !== question) return;
    this.#high = high;
    if (this.#buffer.after === 0) {
      this.#phase = { kind: 'following' };
      this.#origin = 'low';
      this.#readFrom(low);
      return;
    }
    const place = { position: this.#buffer.after, hint: this.#hint };
    this.#search(beginSearch({ low, high }, place, this.#origin));
    if (high <= low) this.#reachEnd();
  }

  /**
   * Takes records over, in the order of their offsets.
   *
   * @param high the next offset that the partition will give.
   * @returns whether there is anything new for the reader.
   */
  take(records: readonly KafkaRecord[], high: number): boolean {
    const first = records[0];
    const last = records.at(-1);
    const isReading = this.#phase.kind !== 'idle' && this.#phase.kind !== 'asking';
    if (first === undefined || last === undefined || !isReading) return false;
    if (Number(first.offset) < this.#nextOffset) {
      // The partition was made anew or lost its tail, and Kafka begins at its beginning.
      this.#trouble.forget();
      this.#predecessor = this.#buffer.after === 0 ? { kind: 'none' } : { kind: 'unknown' };
      this.#lookAgain('hint');
      return false;
    }
    const nextOffset = Number(last.offset) + 1;
    this.#nextOffset = nextOffset;
    this.#lastPosition = positionOf(last);
    this.#high = high;
    const before = this.#shown();
    let rest = 0;
    if (this.#phase.kind === 'checking') rest = this.#check(first, this.#phase);
    if (this.#phase.kind === 'searching') rest = this.#scan(records, rest);
    if (this.#phase.kind === 'following') this.#collect(records, rest);
    const hasMoved = this.#nextOffset !== nextOffset;
    if (!hasMoved && nextOffset >= high) this.#reachEnd();
    return this.#shown().some((each, index) => each !== before[index]);
  }

  /** The partition may be another one than before. */
  recheck(): void {
    if (this.#phase.kind === 'idle') return;
    this.#trouble.growOld();
    this.#lookAgain('hint');
  }

  /** Is called about once a second. */
  tick(nowMs: number): void {
    if (this.#phase.kind === 'idle') return;
    const { length } = this.#buffer;
    if (this.#times.isIdle(nowMs)) this.#letGo();
    else if (this.#times.isQuiet(nowMs, { nextOffset: this.#nextOffset, length }))
      this.#checkPlace();
  }

  #letGo(): void {
    this.#phase = { kind: 'idle' };
    this.#buffer.reset(this.#buffer.after);
    this.#trouble.forget();
    this.#times.answered(true);
    this.#hold();
  }

  #standsAt(after: number): boolean {
    switch (this.#phase.kind) {
      case 'idle':
        return false;
      case 'asking':
      case 'searching':
      case 'checking':
        return after === this.#buffer.after;
      case 'following':
        return after >= this.#buffer.after && after <= this.#buffer.last;
    }
  }

  #advance(after: number): void {
    const last = this.#buffer.advance(after);
    if (last === undefined) return;
    this.#predecessor = { kind: 'event', id: last.id };
    this.#hint = last.offset;
  }

  #lookFor(after: number, hint: number | undefined): void {
    const known = this.#buffer.after === after ? this.#hint : undefined;
    this.#hint = this.#recent.offsetAt(after) ?? known ?? hint;
    this.#buffer.reset(after);
    this.#predecessor = after === 0 ? { kind: 'none' } : { kind: 'unknown' };
    this.#trouble.forget();
    this.#lookAgain('hint');
  }

  /** Searches for the same position again. What the reader has not taken yet is read again, too. */
  #lookAgain(origin: Origin): void {
    this.#buffer.reset(this.#buffer.after);
    this.#recent.forgetAfter(this.#buffer.after);
    this.#beyond = undefined;
    this.#origin = origin;
    this.#phase = { kind: 'asking' };
    this.#questions += 1;
    this.#hold();
  }

  #checkPlace(): void {
    const place = this.#placeToCheck();
    const back = this.#phase;
    if (place === undefined || (back.kind !== 'searching' && back.kind !== 'following')) return;
    this.#phase = { kind: 'checking', place, back };
    this.#readFrom(place.offset);
  }

  #placeToCheck(): Place | undefined {
    const before = this.#predecessor;
    if (this.#trouble.current !== undefined) return undefined;
    if (before.kind === 'event' && this.#hint !== undefined) {
      return { offset: this.#hint, position: this.#buffer.after, id: before.id };
    }
    const hasRead = this.#nextOffset > 0;
    const isLost = before.kind === 'none' && this.#buffer.after > 0 && hasRead;
    return isLost ? { offset: this.#nextOffset - 1, position: this.#lastPosition } : undefined;
  }

  /** @returns the index of what follows the record that was checked. */
  #check(record: KafkaRecord, { place, back }: Extract<Phase, { kind: 'checking' }>): number {
    const { offset, position, id } = place;
    const isAsBefore = Number(record.offset) === offset && positionOf(record) === position;
    const found = tryDecodeRecord(record, this.#lane);
    const hasId =
      id === undefined || (!(found instanceof UndecodableRecordError) && found.id === id);
    if (isAsBefore && hasId) this.#phase = back;
    else this.#lookAgain('hint');
    return 1;
  }

  #search(search: Search): void {
    this.#phase = { kind: 'searching', search };
    this.#readFrom(search.start);
  }

  /**
   * Looks for the event at `after`.
   *
   * @returns the index of what is to be collected if it follows now.
   */
  #scan(records: readonly KafkaRecord[], from: number): number {
    const wanted = this.#buffer.after;
    for (let index = from; index < records.length; index += 1) {
      const record = records[index];
      // What cannot be decoded before that event does not matter.
      const position = record === undefined ? undefined : positionOf(record);
      if (record === undefined || position === undefined || position < wanted) continue;
      if (position > wanted) {
        this.#overshoot(Number(record.offset) - (position - wanted));
        return index;
      }
      const found = tryDecodeRecord(record, this.#lane);
      if (found instanceof UndecodableRecordError) continue;
      this.#predecessor = { kind: 'event', id: found.id };
      this.#hint = found.offset;
      this.#phase = { kind: 'following' };
      return index + 1;
    }
    return records.length;
  }

  /** A later event was seen, and so the wanted one is kept at `atMost` or earlier, if it is there. */
  #overshoot(atMost: number): void {
    if (this.#phase.kind !== 'searching') return;
    const { search } = this.#phase;
    if (search.start > search.low) {
      this.#search(searchBefore(search, atMost));
      return;
    }
    if (this.#predecessor.kind === 'none') {
      // The end was reached before this came: the log may be another one since.
      this.#predecessor = { kind: 'unknown' };
      this.#lookAgain('low');
      return;
    }
    this.#predecessor = { kind: 'missing' };
    this.#origin = 'low';
    this.#phase = { kind: 'following' };
  }

  /** Collects what follows, up to whatever does not. */
  #collect(records: readonly KafkaRecord[], from: number): void {
    for (const each of detachRecords(records, from)) {
      const expected = this.#buffer.last + 1;
      const record = tryDecodeRecord(each, this.#lane);
      if (record instanceof UndecodableRecordError) {
        this.#stop(brokenAt(expected, 'undecodable', record));
        return;
      }
      if (record.position === expected) {
        this.#push(record);
      } else if (record.position > expected) {
        if (this.#meetJump(record)) continue;
        return;
      } else if (this.#isRepeat(record)) {
        this.#recognise(record);
      } else {
        const { position, id, offset } = record;
        const cause = new Error(`It holds ${id} at offset ${offset}, too.`);
        this.#stop(brokenAt(position, 'another_event', cause));
        return;
      }
    }
    if (this.#buffer.isFull) this.#hold();
  }

  #push(record: LogRecord): void {
    const { position, id, offset = 0 } = record;
    this.#buffer.push(record);
    this.#recent.remember({ position, id, offset });
    if (this.#beyond === undefined) {
      this.#trouble.forgetIfOld();
    } else {
      this.#beyond = undefined;
      this.#trouble.forget();
    }
  }

  /** What seemed to be lost was kept further on. */
  #recognise({ position, id, offset }: LogRecord): void {
    if (position !== this.#buffer.after || this.#predecessor.kind !== 'missing') return;
    this.#predecessor = { kind: 'event', id };
    this.#hint = offset;
  }

  /**
   * Whether a position that was read before holds what it held then. A zombie of a relay repeats what it
   * had under way, which is within memory; of what is older nothing is known but the position, and it is
   * taken for a repeat: to halt would be to halt whenever a lane is filled again from its beginning.
   */
  #isRepeat({ position, id }: LogRecord): boolean {
    const before = this.#predecessor;
    const isBefore = position === this.#buffer.after && before.kind === 'event';
    const known = isBefore ? before.id : this.#recent.idAt(position);
    return known === undefined || known === id;
  }

  /**
   * Positions are missing. But the log may have been made anew meanwhile, or the search found a repeat
   * that other ones follow: only a look at everything decides. And a relay may have sent a batch before
   * it knew that the topic was made anew or lost its tail; what belongs before that batch follows it.
   *
   * @returns whether to read on: everything was looked at but what follows.
   */
  #meetJump(record: LogRecord): boolean {
    if (this.#origin === 'low') {
      this.#beyond ??= record;
      return true;
    }
    this.#lookAgain(this.#origin === 'hint' ? 'guess' : 'low');
    return false;
  }

  #stop(trouble: Trouble): void {
    this.#trouble.meet(trouble);
    this.#hold();
  }

  /** All that there is was read. */
  #reachEnd(): void {
    if (this.#phase.kind === 'searching') {
      const { search } = this.#phase;
      if (search.start > search.low) {
        this.#search(searchAgain(search));
        return;
      }
      // It may still come: a lane that lost its tail is filled again.
      this.#predecessor = { kind: 'none' };
      this.#trouble.forget();
    } else if (this.#phase.kind === 'following') {
      if (this.#beyond === undefined) {
        this.#origin = 'hint';
        this.#trouble.forgetIfOld();
      } else if (!this.#trouble.isNew) {
        // What is missing may still come: the lane is read on.
        this.#trouble.meet({ kind: 'jump', record: this.#beyond });
      }
    }
  }

  #slice({ after, limit }: LaneRequest, nowMs: number): LaneSlice {
    const events = this.#buffer.peek(limit);
    const slice = { lane: this.#lane, after, predecessor: this.#predecessor, events };
    return events.length === this.#buffer.length ? this.#trouble.show(slice, limit, nowMs) : slice;
  }

  /** What a reader could notice. */
  #shown(): readonly unknown[] {
    return [this.#predecessor, this.#trouble.current, this.#buffer.length];
  }

  #readFrom(offset: number): void {
    this.#nextOffset = offset;
    this.#isHeld = false;
    this.#partition.readFrom(offset, this.#high - offset);
  }

  #hold(): void {
    if (!this.#isHeld) this.#partition.hold();
    this.#isHeld = true;
  }

  #resume(): void {
    if (this.#trouble.isNew) return;
    this.#isHeld = false;
    this.#partition.resume();
  }
}
