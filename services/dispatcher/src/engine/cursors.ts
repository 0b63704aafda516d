import type { Cursor, EndpointLane } from './endpoint-lane.ts';
import { isSound } from './endpoint.ts';
import type { LaneWindow } from './lane-window.ts';
import { findEndpointLane, type EngineState } from './state.ts';

/**
 * Of the rows that a lane may have, so many may be made above them: to probe endpoints, and of what is retried
 * by hand.
 */
const ROWS_ABOVE_SHARE = 0.1;

/** Says whether a lagging endpoint has so many rows in a lane that no further ones are made. */
export function mustKeepCursor(state: EngineState, endpointLane: EndpointLane): boolean {
  const { maxRowsPerEndpointLane, maxRowsPerLane } = state.options.limits;
  const { mode, rowCount, window } = endpointLane;
  if (mode !== 'lagging') return false;
  const hasMany = rowCount >= maxRowsPerEndpointLane && !isResting(state, endpointLane);
  return hasMany || window.rowTotal >= maxRowsPerLane;
}

/**
 * Says whether an endpoint works, and all its rows in a lane wait for their next attempt, or behind one that
 * does: then they are no reason for what is new to wait, while others leave half of the lane's rows.
 */
export function isResting(state: EngineState, endpointLane: EndpointLane): boolean {
  const { rowCount, endpoint, window, claimed, isBeingClaimed } = endpointLane;
  if (!isSound(endpoint) || isLaneCrowded(state, window)) return false;
  if (rowCount > state.options.limits.maxRestingRowsPerEndpointLane) return false;
  const isDue = isBeingClaimed || endpoint.dueLanes?.has(endpointLane) === true;
  return !isDue && (claimed?.size ?? 0) === 0;
}

/** Says whether a lane has half of the rows that it may have. */
export function isLaneCrowded({ options }: EngineState, { rowTotal }: LaneWindow): boolean {
  return rowTotal >= options.limits.maxRowsPerLane / 2;
}

/** Whether a dead delivery may become a row again: not where its lane, or its endpoint there, has all it may. */
export type RoomToRevive = 'some' | 'full_lane' | 'full_endpoint';

/**
 * Says whether a dead delivery of an endpoint may become a row of a lane again. Nobody knows how many are
 * asked for: they must not make a table grow that everybody reads.
 */
export function roomToRevive(
  state: EngineState,
  { lane, endpointId }: { readonly lane: number; readonly endpointId: string },
): RoomToRevive {
  const window = state.windows.get(lane);
  if (window === undefined) return 'some';
  // A lane that is full of the rows of others is no reason to let nobody retry anything.
  if (window.rowTotal >= mostRows(state)) return 'full_lane';
  const rowCount = findEndpointLane(state, endpointId, window)?.rowCount ?? 0;
  return rowCount < state.options.limits.maxRowsPerEndpointLane ? 'some' : 'full_endpoint';
}

/** How many rows a lane has at most, with those above what it may have. */
export function mostRows({ options: { limits } }: EngineState): number {
  return limits.maxRowsPerLane * (1 + ROWS_ABOVE_SHARE);
}

/** Makes, moves or ends the cursor of an endpoint in a lane; it is written with the next recording. */
export function moveCursor(endpointLane: EndpointLane, cursor: Cursor | undefined): void {
  endpointLane.cursor = cursor;
  endpointLane.window.movedCursors.add(endpointLane);
}

/** Has what is behind the endpoint's cursor read again as soon as there is room for it. */
export function refillSoon(state: EngineState, endpointLane: EndpointLane): void {
  const { window, cursor } = endpointLane;
  if (cursor === undefined) return;
  window.refillable.add(endpointLane);
  window.refillFrom = Math.min(window.refillFrom, cursor.position);
  state.refillable.add(window);
}

/**
 * Notes how many rows of an endpoint in a lane there are, as recorded. A row of an unregistered endpoint
 * may be counted as gone twice: when it is cancelled, and when the answer comes that was under way.
 */
export function setRowCount(endpointLane: EndpointLane, counted: number): void {
  const rowCount = Math.max(0, counted);
  endpointLane.window.rowTotal += rowCount - endpointLane.rowCount;
  endpointLane.rowCount = rowCount;
}
