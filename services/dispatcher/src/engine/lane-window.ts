import type { Delivery, LogEvent } from './delivery.ts';
import type { StoredAnswer } from './effect.ts';
import type { Endpoint } from './endpoint.ts';
import type { EndpointLane } from './endpoint-lane.ts';
import type { AttemptRecord, CarriedOut, ParkedRow, RowKey, RowRetry } from './recording.ts';

/** Which event stands at a position, so that another one there is noticed. */
export interface EventMark {
  readonly id: string;
  /** Where the log keeps it; absent when its position says it all. */
  readonly offset: number | undefined;
}

/** An event above progress whose deliveries are not all settled or recorded. */
export interface LaneEntry {
  readonly position: number;
  /** What stands right before it, matched or not: progress may come to rest there. */
  readonly before: EventMark | undefined;
  readonly deliveries: Delivery[];
  /** How many of its deliveries are not settled. */
  open: number;
  /** When it was read, monotonic clock. */
  readonly readAtMs: number;
}

/**
 * What the engine knows of a lane that it owns: the events above progress, and what is to be
 * written about them with the next recording.
 */
export interface LaneWindow {
  readonly lane: number;
  readonly epoch: number;
  /** Up to here everything is settled or parked, as recorded. */
  progress: number;
  /** Where progress will be once the recording under way is committed. */
  draftedProgress: number;
  /** The last position that was taken in. */
  readPosition: number;
  /** What stands at that position; absent at 0, and where nobody noted it. */
  readMark: EventMark | undefined;
  /** Events above progress, oldest first; without those that matched nothing. */
  entries: LaneEntry[];
  /** Endpoints of which something is known in the lane; whoever is not among them has nothing in it. */
  readonly endpointLanes: Map<Endpoint, EndpointLane>;
  /** What a predecessor recorded above its progress: endpoint ids by position. */
  readonly settledAhead: Map<number, Set<string>>;
  /** The last position in there; nothing up to it is left out by a cursor. */
  readonly settledAheadTo: number;
  /** To be written next. */
  attempts: AttemptRecord[];
  settledRows: RowKey[];
  retriedRows: RowRetry[];
  carriedOut: CarriedOut[];
  answersTaken: string[];
  /** Late answers to what was not read yet, by position. */
  readonly answersAhead: Map<number, StoredAnswer[]>;
  /** Claimed rows whose attempts are under way while the lane is given up. */
  readonly leftInFlight: Set<Delivery>;
  /** Endpoints that were unregistered while rows of theirs wait. */
  readonly cancelEndpoints: Set<string>;
  /** Endpoints that are not called, whose rows may have waited for too long. */
  readonly expireEndpoints: Set<string>;
  /** Rows as recorded, of all endpoints. */
  rowTotal: number;
  /** Pairs with parked rows, of all endpoints whose pairs are known. */
  blockedPairs: number;
  /** Endpoints with a cursor that may have room for what is behind it. */
  readonly refillable: Set<EndpointLane>;
  /** Those that keep a cursor and got nothing when the lane had many rows. */
  readonly crowdedOut: Set<EndpointLane>;
  /** None of their cursors stands before it: until progress is there, nothing is read again. */
  refillFrom: number;
  /** Rows that were made from what is behind cursors, to be written with the next recording. */
  refilledRows: ParkedRow[];
  /** Endpoints whose cursors were made, moved or ended since the last recording. */
  readonly movedCursors: Set<EndpointLane>;
  /** Lagging endpoints that may have few enough rows to be known again. */
  readonly catchingUp: Set<EndpointLane>;
  /** Since when something waits to be written, monotonic clock; Infinity when nothing does. */
  unwrittenSinceMs: number;
  /** Since when progress lags behind what was read, monotonic clock; Infinity when it does not. */
  behindSinceMs: number;
  phase: LanePhase;
  /** When a draining lane is handed over with what is still in flight, monotonic clock. */
  handOverAtMs: number;
}

/**
 * - `owned`: events are read and sent.
 * - `draining`: nothing new is read or sent; the lane is given up when every answer is recorded.
 * - `handing_over`: they took too long: what is in flight is parked as it is, so that the lane is
 *   given up at once.
 * - `lost`: another process may own it; the answers that still come are left to that one.
 */
export type LanePhase = 'owned' | 'draining' | 'handing_over' | 'lost';

/** Where a lane stood when it was taken over. */
export interface LaneStart {
  readonly lane: number;
  readonly epoch: number;
  readonly progress: number;
  /** What stands at progress; absent at 0, and where nobody noted it. */
  readonly mark: EventMark | undefined;
  readonly settledAhead: Iterable<{ readonly position: number; readonly endpointId: string }>;
}

/** Makes the window of a lane that was just taken over. */
export function createLaneWindow(start: LaneStart): LaneWindow {
  const settledAhead = new Map<number, Set<string>>();
  for (const { position, endpointId } of start.settledAhead) {
    addTo(settledAhead, position, endpointId);
  }
  return {
    lane: start.lane,
    epoch: start.epoch,
    progress: start.progress,
    draftedProgress: start.progress,
    readPosition: start.progress,
    readMark: start.mark,
    entries: [],
    endpointLanes: new Map(),
    settledAhead,
    settledAheadTo: Math.max(0, ...settledAhead.keys()),
    attempts: [],
    settledRows: [],
    retriedRows: [],
    carriedOut: [],
    answersTaken: [],
    answersAhead: new Map(),
    leftInFlight: new Set(),
    cancelEndpoints: new Set(),
    expireEndpoints: new Set(),
    rowTotal: 0,
    blockedPairs: 0,
    refillable: new Set(),
    crowdedOut: new Set(),
    refillFrom: Infinity,
    refilledRows: [],
    movedCursors: new Set(),
    catchingUp: new Set(),
    unwrittenSinceMs: Infinity,
    behindSinceMs: Infinity,
    phase: 'owned',
    handOverAtMs: Infinity,
  };
}

/** Says whether anything but progress is to be written. */
export function hasUnwritten(window: LaneWindow): boolean {
  return (
    window.attempts.length > 0 ||
    window.settledRows.length > 0 ||
    window.retriedRows.length > 0 ||
    window.carriedOut.length > 0 ||
    window.answersTaken.length > 0 ||
    window.leftInFlight.size > 0 ||
    window.cancelEndpoints.size > 0 ||
    window.expireEndpoints.size > 0 ||
    window.refilledRows.length > 0 ||
    window.movedCursors.size > 0 ||
    window.catchingUp.size > 0
  );
}

/** Finds the entry of a position above what is recorded, or makes one in its place. */
export function makeEntry(
  window: LaneWindow,
  position: number,
  { before, readAtMs }: Pick<LaneEntry, 'before' | 'readAtMs'>,
): LaneEntry {
  const known = entryAt(window, position);
  if (known !== undefined) return known;
  const entry = { position, before, deliveries: [], open: 0, readAtMs };
  const next = window.entries.findIndex((other) => other.position > position);
  window.entries.splice(next < 0 ? window.entries.length : next, 0, entry);
  return entry;
}

/** Finds the event at a position, if it is above progress and matched something. */
export function entryAt({ entries }: LaneWindow, position: number): LaneEntry | undefined {
  let low = 0;
  let high = entries.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const entry = entries[middle];
    if (entry === undefined || entry.position === position) return entry;
    if (entry.position < position) low = middle + 1;
    else high = middle - 1;
  }
  return undefined;
}

/** Says whether a predecessor already settled this delivery. */
export function wasSettled(window: LaneWindow, event: LogEvent, endpointId: string): boolean {
  return window.settledAhead.get(event.position)?.has(endpointId) ?? false;
}

/** Lists what is settled above a position, here or before: what a successor must not send again. */
export function settledAbove({ settledAhead, entries }: LaneWindow, position: number): RowKey[] {
  const rows: RowKey[] = [];
  for (const [above, endpointIds] of settledAhead) {
    if (above <= position) continue;
    for (const endpointId of endpointIds) rows.push({ position: above, endpointId });
  }
  for (const entry of entries) {
    if (entry.position <= position || entry.open === entry.deliveries.length) continue;
    for (const { state, endpointLane } of entry.deliveries) {
      if (state !== 'settled') continue;
      rows.push({ position: entry.position, endpointId: endpointLane.endpoint.id });
    }
  }
  return rows;
}

/** Forgets what progress has passed. */
export function forgetUpTo({ settledAhead }: LaneWindow, position: number): void {
  for (const above of settledAhead.keys()) if (above <= position) settledAhead.delete(above);
}

function addTo(map: Map<number, Set<string>>, position: number, endpointId: string): void {
  const known = map.get(position);
  if (known === undefined) map.set(position, new Set([endpointId]));
  else known.add(endpointId);
}
