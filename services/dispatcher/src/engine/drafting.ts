import type { Delivery } from './delivery.ts';
import type { Now } from './effect.ts';
import { addClaimed, becomeRow } from './endpoint-lane.ts';
import { isSound } from './endpoint.ts';
import { settledAbove, type EventMark, type LaneEntry, type LaneWindow } from './lane-window.ts';
import { IN_FLIGHT_MARGIN_MS } from './limits.ts';
import type { LaneRecording, ParkedRow, RowRetry } from './recording.ts';

/** What decides how far progress moves with a recording. */
export interface DraftRules {
  readonly now: Now;
  readonly parkAfterMs: number;
  readonly deliveryTimeoutMs: number;
  readonly retentionMs: number;
  readonly maxBlockedPairs: number;
  /** How many more pairs may be known, of all endpoints. */
  readonly blockedPairsLeft: number;
  readonly maxListed: number;
  /** Whose rows in the lane die if they are old enough. */
  readonly expireEndpoints: readonly string[];
}

/** A lane's part of the next recording, and what it parked that had been queued too long. */
export interface LaneDraft {
  readonly recording: LaneRecording;
  readonly parked: readonly Delivery[];
}

/**
 * Takes what is to be written about a lane out of its window: the results gathered, and the rows of
 * what progress passes unsettled.
 */
export function draftLane(window: LaneWindow, rules: DraftRules): LaneDraft {
  const parked: Delivery[] = [];
  // Older than anything that is parked with it.
  const parkedRows: ParkedRow[] = window.refilledRows;
  window.refilledRows = [];
  let passed = 0;
  for (const entry of window.entries) {
    if (!mayPass(entry, window, rules)) break;
    for (const delivery of entry.deliveries) {
      if (delivery.state === 'settled') continue;
      parkedRows.push(rowOf(delivery, rules));
      parked.push(delivery);
    }
    passed += 1;
  }
  const next = window.entries[passed];
  const progress = next === undefined ? window.readPosition : next.position - 1;
  const mark = next === undefined ? window.readMark : next.before;
  if (passed > 0) window.entries = window.entries.slice(passed);
  window.draftedProgress = progress;
  return { recording: takeUnwritten(window, { progress, mark, parkedRows, rules }), parked };
}

/** Progress passes what is settled, what can be parked at once, and what held it up too long. */
function mayPass(entry: LaneEntry, window: LaneWindow, rules: DraftRules): boolean {
  if (entry.open === 0) return true;
  const isOld = rules.now.monotonicMs - entry.readAtMs >= rules.parkAfterMs;
  if (isOld || window.phase === 'handing_over') return true;
  return entry.deliveries.every(
    ({ state }) =>
      state === 'settled' ||
      state === 'failed' ||
      state === 'deferred' ||
      (window.phase === 'draining' && state !== 'in_flight'),
  );
}

/** Makes the row of a delivery. One in flight stays with us under its attempt number. */
function rowOf(delivery: Delivery, rules: DraftRules): ParkedRow {
  becomeRow(delivery.endpointLane, delivery);
  if (delivery.state === 'in_flight') {
    addClaimed(delivery.endpointLane, delivery);
    delivery.notBeforeMs = afterDeadlineMs(delivery, rules);
  }
  return {
    event: delivery.event,
    endpointId: delivery.endpointLane.endpoint.id,
    attempt: delivery.attempt,
    inFlight: delivery.state === 'in_flight',
    notBeforeMs: delivery.notBeforeMs,
    ordered: delivery.ordered,
  };
}

/** When somebody else may send what is in flight: its sender has given up by then. */
function afterDeadlineMs({ startedAtMs }: Delivery, { deliveryTimeoutMs }: DraftRules): number {
  return startedAtMs + deliveryTimeoutMs + IN_FLIGHT_MARGIN_MS;
}

interface Passed {
  readonly progress: number;
  readonly mark: EventMark | undefined;
  readonly parkedRows: readonly ParkedRow[];
  readonly rules: DraftRules;
}

function takeUnwritten(window: LaneWindow, passed: Passed): LaneRecording {
  const recording: LaneRecording = {
    lane: window.lane,
    epoch: window.epoch,
    progress: passed.progress,
    mark: passed.mark,
    settledAhead: settledAbove(window, passed.progress),
    attempts: window.attempts,
    settledRows: window.settledRows,
    retriedRows: [...window.retriedRows, ...leaveInFlight(window, passed.rules)],
    parkedRows: passed.parkedRows,
    movedCursors: [...window.movedCursors].map(({ endpoint, cursor }) => {
      return { endpointId: endpoint.id, cursor };
    }),
    cancelEndpoints: [...window.cancelEndpoints],
    expireEndpoints: passed.rules.expireEndpoints,
    expireBeforeMs: passed.rules.now.wallMs - passed.rules.retentionMs,
    carriedOut: window.carriedOut,
    answersTaken: window.answersTaken,
    listEndpoints: takeCaughtUp(window, passed),
  };
  window.attempts = [];
  window.settledRows = [];
  window.retriedRows = [];
  window.carriedOut = [];
  window.answersTaken = [];
  window.cancelEndpoints.clear();
  window.movedCursors.clear();
  const isLeft = window.catchingUp.size > 0 || window.expireEndpoints.size > 0;
  window.unwrittenSinceMs = isLeft ? passed.rules.now.monotonicMs : Infinity;
  return recording;
}

/** Notes in claimed rows that another attempt of theirs is under way. */
function leaveInFlight(window: LaneWindow, rules: DraftRules): RowRetry[] {
  const left = [...window.leftInFlight].filter(({ state }) => state === 'in_flight');
  window.leftInFlight.clear();
  return left.map((delivery) => ({
    position: delivery.event.position,
    endpointId: delivery.endpointLane.endpoint.id,
    attempt: delivery.attempt,
    inFlight: true,
    notBeforeMs: afterDeadlineMs(delivery, rules),
  }));
}

/**
 * Endpoints that have so few rows, these included, that their pairs fit the share. Others are looked at
 * again when their rows change.
 */
function takeCaughtUp(window: LaneWindow, { parkedRows, rules }: Passed): string[] {
  if (window.catchingUp.size === 0) return [];
  const added = new Map<string, number>();
  for (const { endpointId } of parkedRows) {
    added.set(endpointId, (added.get(endpointId) ?? 0) + 1);
  }
  const caughtUp: string[] = [];
  for (const lane of window.catchingUp) {
    if (caughtUp.length >= rules.maxListed) break;
    window.catchingUp.delete(lane);
    const rows = lane.rowCount + (added.get(lane.endpoint.id) ?? 0);
    if (lane.mode !== 'lagging' || !isSound(lane.endpoint)) continue;
    if (lane.cursor !== undefined) continue;
    // One without rows needs no room, and none of its rows would ever change.
    const room = Math.max(0, Math.min(rules.maxBlockedPairs, rules.blockedPairsLeft));
    if (rows <= room) caughtUp.push(lane.endpoint.id);
  }
  return caughtUp;
}
