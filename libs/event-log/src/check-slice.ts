import type { LaneSlice, LogRecord } from './event-log.ts';

/** The last event that a reader took from a lane. */
export interface KnownEvent {
  readonly position: number;
  readonly id: string;
}

/** Why a lane cannot be read on. */
export type HaltReason =
  /** A position is missing between two that are there. */
  | 'gap'
  /** A known position holds another event: the log was replaced by another history. */
  | 'another_event'
  /** The log ends before a position that was read from it. */
  | 'lost_tail'
  /** A position before the last known one, which cannot be compared any more. */
  | 'went_back'
  /** The event cannot be understood. */
  | 'undecodable';

/** What comes of a slice: events that follow without a gap, and perhaps an end. */
export type SliceCheck<Decoded> =
  | {
      readonly kind: 'continuous';
      readonly events: readonly Decoded[];
      readonly known: KnownEvent | undefined;
    }
  | {
      readonly kind: 'halted';
      /** What precedes the position; it is sound. */
      readonly events: readonly Decoded[];
      readonly known: KnownEvent | undefined;
      readonly lane: number;
      readonly position: number;
      readonly reason: HaltReason;
      readonly cause?: unknown;
    };

/**
 * Checks that a slice continues where the reader stands, whatever log it comes from. A repeat is
 * dropped only if its position and its id agree with what was seen; nothing is ever skipped.
 *
 * @param known the last event taken from the lane; absent when none was, or its id is not known:
 *   the slice must then begin right after its `after`, and the log must hold something there.
 * @param decode turns a record into what the reader works with; it throws for one that it cannot
 *   understand.
 */
export function checkSlice<Decoded>(
  known: KnownEvent | undefined,
  slice: LaneSlice,
  decode: (record: LogRecord) => Decoded,
): SliceCheck<Decoded> {
  const events: Decoded[] = [];
  let last = known;
  const halt = (position: number, reason: HaltReason, cause?: unknown): SliceCheck<Decoded> => ({
    kind: 'halted',
    events,
    known: last,
    lane: slice.lane,
    position,
    reason,
    ...(cause === undefined ? {} : { cause }),
  });

  const lost = judgePredecessor(known, slice);
  if (lost !== undefined) return halt(slice.after, lost);
  for (const record of slice.events) {
    const expected = (last?.position ?? slice.after) + 1;
    if (last !== undefined && record.position === last.position) {
      if (record.id !== last.id) return halt(record.position, 'another_event');
      continue;
    }
    if (record.position < expected) return halt(record.position, 'went_back');
    if (record.position > expected) return halt(expected, 'gap');
    try {
      events.push(decode(record));
    } catch (error) {
      return halt(record.position, 'undecodable', error);
    }
    last = { position: record.position, id: record.id };
  }
  const { broken } = slice;
  if (broken !== undefined) return halt(broken.position, broken.reason, broken.cause);
  return { kind: 'continuous', events, known: last };
}

/** Compares what the log holds at the slice's beginning with what was read there. */
function judgePredecessor(
  known: KnownEvent | undefined,
  { after, predecessor }: LaneSlice,
): HaltReason | undefined {
  switch (predecessor.kind) {
    case 'unknown':
      return undefined;
    case 'missing':
      // What follows it says whether anything is lost.
      return undefined;
    case 'none':
      return after === 0 ? undefined : 'lost_tail';
    case 'event':
      return known?.position === after && predecessor.id !== known.id ? 'another_event' : undefined;
  }
}
