import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkSlice } from './check-slice.ts';
import type { LaneSlice, LogRecord, Predecessor } from './event-log.ts';

describe('checking a slice', () => {
  it('accepts what follows without a gap', () => {
    const check = checkSlice(known(2), slice(2, [record(3), record(4)]), positionOf);
    expect(check).toEqual({ kind: 'continuous', events: [3, 4], known: known(4) });
  });

  it('accepts an empty lane from its beginning', () => {
    const check = checkSlice(undefined, slice(0, []), positionOf);
    expect(check).toEqual({ kind: 'continuous', events: [], known: undefined });
  });

  it('begins in the middle when no event is known', () => {
    const check = checkSlice(undefined, slice(7, [record(8)]), positionOf);
    expect(check).toMatchObject({ kind: 'continuous', events: [8] });
  });

  it('drops a repeat whose position and id agree', () => {
    const events = [record(2), record(3), record(3), record(4)];
    const check = checkSlice(known(2), slice(1, events), positionOf);
    expect(check).toMatchObject({ kind: 'continuous', events: [3, 4] });
  });

  it('halts at a known position with another id', () => {
    const check = checkSlice(known(2), slice(1, [record(2, 'other'), record(3)]), positionOf);
    expect(check).toMatchObject({ kind: 'halted', position: 2, reason: 'another_event' });
  });

  it('halts at a gap and keeps what precedes it', () => {
    const check = checkSlice(known(2), slice(2, [record(3), record(5)]), positionOf);
    expect(check).toMatchObject({
      kind: 'halted',
      events: [3],
      known: known(3),
      lane: 0,
      position: 4,
      reason: 'gap',
    });
  });

  it('halts at a gap right after where it reads from', () => {
    const check = checkSlice(undefined, slice(0, [record(2)]), positionOf);
    expect(check).toMatchObject({ kind: 'halted', events: [], position: 1, reason: 'gap' });
  });

  it('halts at a position that went back', () => {
    const check = checkSlice(known(5), slice(5, [record(4)]), positionOf);
    expect(check).toMatchObject({ kind: 'halted', position: 4, reason: 'went_back' });
  });

  it('halts when the log ends before what was read', () => {
    const check = checkSlice(known(5), slice(5, [], { kind: 'none' }), positionOf);
    expect(check).toMatchObject({ kind: 'halted', position: 5, reason: 'lost_tail' });
  });

  it('halts when the log ends before where it begins, though no event is known', () => {
    const check = checkSlice(undefined, slice(5, [], { kind: 'none' }), positionOf);
    expect(check).toMatchObject({ kind: 'halted', position: 5, reason: 'lost_tail' });
  });

  it('halts when another history stands where it reads from', () => {
    const other: Predecessor = { kind: 'event', id: 'other' };
    const check = checkSlice(known(5), slice(5, [record(6)], other), positionOf);
    expect(check).toMatchObject({ kind: 'halted', position: 5, reason: 'another_event' });
  });

  it('goes on behind an event that the log lost, and halts if the next one is lost, too', () => {
    const missing: Predecessor = { kind: 'missing' };
    const next = checkSlice(known(5), slice(5, [record(6)], missing), positionOf);
    expect(next).toMatchObject({ kind: 'continuous', events: [6] });
    const later = checkSlice(known(5), slice(5, [record(7)], missing), positionOf);
    expect(later).toMatchObject({ kind: 'halted', position: 6, reason: 'gap' });
  });

  it('asks again for what is still being looked for', () => {
    const unknown: Predecessor = { kind: 'unknown' };
    const check = checkSlice(known(5), slice(5, [], unknown), positionOf);
    expect(check).toEqual({ kind: 'continuous', events: [], known: known(5) });
  });

  it('halts where the log itself found something broken, and keeps what precedes it', () => {
    const cause = new Error('no header');
    const broken = { position: 7, reason: 'undecodable', cause } as const;
    const check = checkSlice(known(5), { ...slice(5, [record(6)]), broken }, positionOf);
    expect(check).toMatchObject({ kind: 'halted', events: [6], known: known(6), ...broken });
  });

  it('halts at an event that it cannot decode, and says why', () => {
    const cause = new Error('no such type');
    const decode = (event: LogRecord) => {
      if (event.position === 2) throw cause;
      return event.position;
    };
    const check = checkSlice(undefined, slice(0, [record(1), record(2), record(3)]), decode);
    expect(check).toMatchObject({
      kind: 'halted',
      events: [1],
      position: 2,
      reason: 'undecodable',
      cause,
    });
  });

  it('never hands out anything but the next positions in order', () => {
    const arbitraryRecord = fc
      .tuple(fc.integer({ min: 1, max: 8 }), fc.constantFrom(undefined, 'other'))
      .map(([position, id]) => record(position, id));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 6 }), fc.array(arbitraryRecord), (start, records) => {
        const before = start === 0 ? undefined : known(start);
        const check = checkSlice(before, slice(start, records), positionOf);
        expect(check.events).toEqual(check.events.map((_, index) => start + 1 + index));
        expect(check.known?.position ?? 0).toBe(start + check.events.length);
      }),
    );
  });
});

function idAt(position: number): string {
  return `evt_${position}`;
}

function known(position: number): { position: number; id: string } {
  return { position, id: idAt(position) };
}

function positionOf(event: LogRecord): number {
  return event.position;
}

function slice(
  after: number,
  events: readonly LogRecord[],
  predecessor: Predecessor = after === 0 ? { kind: 'none' } : { kind: 'event', id: idAt(after) },
): LaneSlice {
  return { lane: 0, after, predecessor, events };
}

function record(position: number, id = idAt(position)): LogRecord {
  return {
    lane: 0,
    position,
    id,
    tenant: 'default',
    streamId: 'invoice-1',
    version: position,
    type: 'invoice_created',
    data: Buffer.alloc(0),
    recordedAtMs: position,
    traceparent: undefined,
    offset: undefined,
  };
}
