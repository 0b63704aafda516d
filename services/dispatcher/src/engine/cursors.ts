import type { Cursor, EndpointLane } from './endpoint-lane.ts';
import type { EngineState } from './state.ts';

/** Says whether a lagging endpoint has so many rows in a lane that no further ones are made. */
export function mustKeepCursor(state: EngineState, endpointLane: EndpointLane): boolean {
  const { maxRowsPerEndpointLane, maxRowsPerLane } = state.options.limits;
  const { mode, rowCount, window } = endpointLane;
  if (mode !== 'lagging') return false;
  return rowCount >= maxRowsPerEndpointLane || window.rowTotal >= maxRowsPerLane;
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
