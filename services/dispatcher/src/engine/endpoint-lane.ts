import { defer, waitInTurn, type Delivery } from './delivery.ts';
import type { Endpoint } from './endpoint.ts';
import type { EventMark, LaneWindow } from './lane-window.ts';
import type { ListedRow } from './recording.ts';

/**
 * A pair, (endpoint, invoice), that has something undelivered. At most one of it is in flight or
 * queued; parked rows come before everything that waits in memory, because progress has passed
 * them.
 */
interface Pair {
  /** The oldest one in memory, once nothing is before it. */
  head: Delivery | undefined;
  /** Parked rows, those about to be written included. */
  rows: number;
  /** Behind the head or the rows, in order. */
  waiting: Delivery[];
}

/**
 * An endpoint's deliveries of one lane.
 *
 * - `direct`: every pair with parked rows is known; what is new is sent from memory, unless its
 *   pair is blocked.
 * - `lagging`: the pairs are not known; what is new becomes a parked row unsent, and the database
 *   decides at insertion whether it is due or waits. Rows are sent when they are claimed. Beyond a
 *   bound of rows it keeps a cursor: what is behind it in the lane becomes a row only when the log is
 *   read again from there (`refilling.ts`).
 */
export interface EndpointLane {
  readonly endpoint: Endpoint;
  readonly window: LaneWindow;
  mode: 'direct' | 'lagging';
  /** By invoice; none while lagging. Absent when empty, like the claimed ones. */
  pairs: Map<string, Pair> | undefined;
  /** How many pairs have parked rows. */
  blockedPairs: number;
  /** Rows taken up, by position: in memory until what became of them is recorded. */
  claimed: Map<number, Delivery> | undefined;
  /** Rows of it that are due are being read. */
  isBeingClaimed: boolean;
  /** Parked rows as recorded. */
  rowCount: number;
  /** Nothing after it is a row or in memory; absent when nothing is left out. */
  cursor: Cursor | undefined;
  /** It lags or has rows, or had: what is noted of that may hold it. Else it is forgotten when it is empty. */
  isKept: boolean;
}

/** A place in a lane, and what stands there. */
export interface Cursor {
  readonly position: number;
  readonly mark: EventMark | undefined;
}

/** Makes the deliveries of an endpoint in a lane in which `rowCount` rows of it are parked. */
export function createEndpointLane(
  endpoint: Endpoint,
  window: LaneWindow,
  rowCount: number,
): EndpointLane {
  return {
    endpoint,
    window,
    mode: rowCount > 0 ? 'lagging' : 'direct',
    pairs: undefined,
    blockedPairs: 0,
    claimed: undefined,
    isBeingClaimed: false,
    rowCount,
    cursor: undefined,
    isKept: rowCount > 0,
  };
}

/** Gives a matched delivery its place. Returns true when it is the head of its pair. */
export function admit(lane: EndpointLane, delivery: Delivery): boolean {
  if (lane.mode === 'lagging') {
    defer(delivery, delivery.notBeforeMs);
    return false;
  }
  const pair = lane.pairs?.get(delivery.event.invoiceId);
  if (pair === undefined) {
    addPair(lane, delivery.event.invoiceId).head = delivery;
    return true;
  }
  waitInTurn(delivery);
  pair.waiting.push(delivery);
  return false;
}

/** Takes a settled delivery out of its pair. Returns the one that is now its head, if any. */
export function leavePair(lane: EndpointLane, delivery: Delivery): Delivery | undefined {
  const pair = lane.pairs?.get(delivery.event.invoiceId);
  if (pair === undefined || !delivery.ordered) return undefined;
  // A deferred one is already counted as a row.
  if (delivery.entry === undefined || delivery.state === 'deferred') removeRow(lane, pair);
  else removeFromMemory(pair, delivery);
  if (pair.head !== undefined || pair.rows > 0) return undefined;
  pair.head = pair.waiting.shift();
  if (pair.head === undefined) removePair(lane, delivery.event.invoiceId);
  return pair.head;
}

/** Turns a delivery of memory into a row of its pair. */
export function becomeRow(lane: EndpointLane, delivery: Delivery): void {
  if (lane.mode === 'lagging' || delivery.state === 'deferred') return;
  const pair = lane.pairs?.get(delivery.event.invoiceId);
  if (pair === undefined) return;
  removeFromMemory(pair, delivery);
  addRow(lane, pair);
}

/** Forgets the pairs. Returns what was queued or waiting: it is to be parked unsent. */
export function startLagging(lane: EndpointLane): Delivery[] {
  const unsent: Delivery[] = [];
  for (const { head, waiting } of lane.pairs?.values() ?? []) {
    if (head?.state === 'queued' && head.entry !== undefined) unsent.push(head);
    for (const delivery of waiting) unsent.push(delivery);
  }
  lane.mode = 'lagging';
  lane.isKept = true;
  forgetPairs(lane);
  return unsent;
}

/** Knows no pair any more. */
export function forgetPairs(lane: EndpointLane): void {
  lane.window.blockedPairs -= lane.blockedPairs;
  lane.blockedPairs = 0;
  lane.pairs = undefined;
}

/**
 * Learns the pairs again, from all rows as just recorded and from what is still above progress.
 */
export function stopLagging(lane: EndpointLane, rows: readonly ListedRow[]): void {
  lane.mode = 'direct';
  for (const row of rows) {
    if (!row.ordered || lane.claimed?.get(row.position)?.state === 'settled') continue;
    addRow(lane, pairOf(lane, row.invoiceId));
  }
  for (const entry of lane.window.entries) {
    for (const delivery of entry.deliveries) {
      if (delivery.endpointLane !== lane) continue;
      if (delivery.state === 'deferred') addRow(lane, pairOf(lane, delivery.event.invoiceId));
      if (delivery.state === 'in_flight' || delivery.state === 'failed') {
        pairOf(lane, delivery.event.invoiceId).head = delivery;
      }
    }
  }
}

function pairOf(lane: EndpointLane, invoiceId: string): Pair {
  return lane.pairs?.get(invoiceId) ?? addPair(lane, invoiceId);
}

function addPair(lane: EndpointLane, invoiceId: string): Pair {
  const pair: Pair = { head: undefined, rows: 0, waiting: [] };
  lane.pairs ??= new Map();
  lane.pairs.set(invoiceId, pair);
  return pair;
}

function removePair(lane: EndpointLane, invoiceId: string): void {
  lane.pairs?.delete(invoiceId);
  if (lane.pairs?.size === 0) lane.pairs = undefined;
}

/** Forgets an endpoint's deliveries of a lane when nothing is left of them. */
export function forgetIfEmpty({ isKept, pairs, window, endpoint }: EndpointLane): void {
  if (!isKept && pairs === undefined) window.endpointLanes.delete(endpoint);
}

/** Notes that a row is taken up. */
export function addClaimed(lane: EndpointLane, delivery: Delivery): void {
  lane.isKept = true;
  lane.claimed ??= new Map();
  lane.claimed.set(delivery.event.position, delivery);
}

/** Leaves a row to the database again. */
export function removeClaimed(lane: EndpointLane, position: number): void {
  lane.claimed?.delete(position);
  if (lane.claimed?.size === 0) lane.claimed = undefined;
}

function addRow(lane: EndpointLane, pair: Pair): void {
  if (pair.rows === 0) block(lane, 1);
  pair.rows += 1;
}

function removeRow(lane: EndpointLane, pair: Pair): void {
  pair.rows -= 1;
  if (pair.rows === 0) block(lane, -1);
}

function block(lane: EndpointLane, pairs: 1 | -1): void {
  lane.blockedPairs += pairs;
  lane.window.blockedPairs += pairs;
}

function removeFromMemory(pair: Pair, delivery: Delivery): void {
  if (pair.head === delivery) pair.head = undefined;
  else pair.waiting = pair.waiting.filter((other) => other !== delivery);
}
