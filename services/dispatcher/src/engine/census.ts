import type { Now } from './effect.ts';
import type { EndpointLane } from './endpoint-lane.ts';
import type { LaneWindow } from './lane-window.ts';
import { countReady } from './scheduling.ts';
import { lagsOf } from './standings.ts';
import { roomToQueue, type EngineState } from './state.ts';

/** How much the engine holds, and how endpoints and lanes stand. */
export interface EngineCensus {
  /** Sends under way. */
  readonly inFlight: number;
  /** Those to the scheme, host and port with the most. */
  readonly inFlightToOrigin: number;
  /** Those to the endpoint with the most. */
  readonly inFlightToEndpoint: number;
  /** Heads of pairs that were read and wait to be sent. */
  readonly queued: number;
  /** How many may be queued at the present pace before no more is read. */
  readonly queuedLimit: number;
  /** Those among the queued that wait for nothing but their turn. */
  readonly ready: number;
  /** Claimed rows that wait to be sent. */
  readonly claimed: number;
  readonly claimedBytes: number;
  /** Claimed rows of the endpoint with the most. */
  readonly claimedOfEndpoint: number;
  /** Deliveries in memory that are neither settled nor left to their rows. */
  readonly held: number;
  readonly heldBytes: number;
  /** Attempts not yet handed over for recording. */
  readonly unrecorded: number;
  /** Events above progress in the lane with the most. */
  readonly windowEvents: number;
  /** Pairs with parked rows that are known, of all endpoints and lanes. */
  readonly blockedPairs: number;
  /** Those of the endpoint in a lane with the most. */
  readonly blockedPairsOfEndpoint: number;
  /** Rows in all lanes, as recorded. */
  readonly parked: number;
  /** Those of the lane with the most. */
  readonly parkedInLane: number;
  /** Those of the endpoint in a lane with the most. */
  readonly parkedOfEndpoint: number;
  /** Lanes that are being refilled. */
  readonly refills: number;
  readonly endpoints: EndpointCensus;
  /** Those that are given up, too. */
  readonly lanes: readonly LaneCensus[];
}

/** Numbers of endpoints; one may be among several. */
export interface EndpointCensus {
  /** In a lane at least. */
  readonly lagging: number;
  /** With a cursor in a lane at least. */
  readonly withCursor: number;
  readonly open: number;
  readonly halfOpen: number;
}

export interface LaneCensus {
  readonly lane: number;
  readonly progress: number;
  readonly readPosition: number;
  /** How long ago the oldest event above progress happened that matched something; 0 without one. */
  readonly lagMs: number;
}

/** Counts, in a few passes over the lanes and the endpoints. It changes nothing. */
export function takeCensus(state: EngineState, now: Now): EngineCensus {
  const { inFlight, queued, claimed, claimedBytes, held, heldBytes, unrecorded } = state;
  const windows = [...state.windows.values()];
  const origins = [...state.origins.values()];
  const endpoints = [...state.endpoints.values()];
  const shares = largestShares(windows);
  return {
    inFlight,
    inFlightToOrigin: most(origins.map((origin) => origin.inFlight)),
    inFlightToEndpoint: most(endpoints.map((endpoint) => endpoint.inFlight)),
    queued,
    queuedLimit: queued + roomToQueue(state),
    ready: countReady(state),
    claimed,
    claimedBytes,
    claimedOfEndpoint: most(endpoints.map((endpoint) => endpoint.claimed)),
    held,
    heldBytes,
    unrecorded,
    windowEvents: most(windows.map(({ entries }) => entries.length)),
    blockedPairs: windows.reduce((sum, { blockedPairs }) => sum + blockedPairs, 0),
    blockedPairsOfEndpoint: shares.blockedPairs,
    parked: windows.reduce((sum, { rowTotal }) => sum + rowTotal, 0),
    parkedInLane: most(windows.map(({ rowTotal }) => rowTotal)),
    parkedOfEndpoint: shares.rowCount,
    refills: state.refillsUnderWay,
    endpoints: countEndpoints(state),
    lanes: windows.map((window) => countLane(window, now)),
  };
}

/** What the endpoint in a lane has that has the most of it. */
function largestShares(
  windows: readonly LaneWindow[],
): Pick<EndpointLane, 'blockedPairs' | 'rowCount'> {
  const largest = { blockedPairs: 0, rowCount: 0 };
  for (const { endpointLanes } of windows) {
    for (const { blockedPairs, rowCount } of endpointLanes.values()) {
      largest.blockedPairs = Math.max(largest.blockedPairs, blockedPairs);
      largest.rowCount = Math.max(largest.rowCount, rowCount);
    }
  }
  return largest;
}

function most(numbers: readonly number[]): number {
  return numbers.reduce((one, other) => Math.max(one, other), 0);
}

function countLane({ lane, progress, readPosition, entries }: LaneWindow, now: Now): LaneCensus {
  const oldest = entries[0]?.deliveries[0]?.event;
  const lagMs = oldest === undefined ? 0 : Math.max(0, now.wallMs - oldest.recordedAtMs);
  return { lane, progress, readPosition, lagMs };
}

function countEndpoints(state: EngineState): EndpointCensus {
  const lags = lagsOf(state);
  const count = { lagging: lags.size, withCursor: 0, open: 0, halfOpen: 0 };
  for (const { cursorLanes } of lags.values()) if (cursorLanes > 0) count.withCursor += 1;
  for (const { circuit } of state.endpoints.values()) {
    if (circuit.state === 'open') count.open += 1;
    if (circuit.state === 'half_open') count.halfOpen += 1;
  }
  return count;
}
