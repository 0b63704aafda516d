import type { CircuitRules } from './circuit.ts';

/** The bounds of one process (ARCHITECTURE.md, "Bounded memory"). */
export interface EngineLimits {
  /** Sends under way. */
  readonly maxInFlight: number;
  /** Sends under way to one endpoint, however well it takes them. */
  readonly maxInFlightPerEndpoint: number;
  /** Sends under way to one scheme, host and port. */
  readonly maxInFlightPerOrigin: number;
  /** Sends that begin in a second, to an endpoint that has no limit of its own; undefined: any number. */
  readonly rateLimitPerSecond: number | undefined;
  /** When an endpoint is called no more, and when it is tried again. */
  readonly circuit: CircuitRules;
  /** Claimed rows that wait to be sent, of all endpoints; see `claim-budget.ts`. */
  readonly maxClaimed: number;
  /** Bytes of the bodies of these rows. */
  readonly maxClaimedBytes: number;
  /** Claimed rows of one endpoint that wait to be sent, however fast it takes them. */
  readonly maxClaimedPerEndpoint: number;
  /** Deliveries held in memory; beyond it nothing is read. */
  readonly maxHeld: number;
  /** Bytes of the bodies of these deliveries; beyond it nothing is read. */
  readonly maxHeldBytes: number;
  /** How long what was read and is queued may take at the present pace; beyond it nothing is read. */
  readonly maxQueuedMs: number;
  /** So many may be queued in any case. */
  readonly minQueued: number;
  /**
   * With more than half as many queued deliveries that wait for nothing but their turn nothing is read, and a
   * read brings so many at most: more would not leave sooner, and cost more the longer they stay in memory.
   */
  readonly maxReady: number;
  /** Events above progress in one lane; beyond it the lane is not read. */
  readonly maxWindowEvents: number;
  /** Events read of one lane at a time. */
  readonly maxReadEvents: number;
  /** Attempts that wait to be recorded; beyond it nothing is read, and no row is claimed. */
  readonly maxUnrecorded: number;
  /** Attempts that start a recording before its time. */
  readonly recordAtAttempts: number;
  /** How long attempts are gathered before they are recorded. */
  readonly recordAfterMs: number;
  /** The longest that an unsettled delivery holds up its lane before it is parked. */
  readonly parkAfterMs: number;
  /** How long a lane that is given up waits for answers before what is in flight is parked. */
  readonly handOverAfterMs: number;
  /** Endpoints and lanes in one claim. */
  readonly maxClaims: number;
  /** Rows in one claim. */
  readonly maxClaimedRows: number;
  /** Pairs of an endpoint in a lane with parked rows; beyond it the endpoint lags in the lane. */
  readonly maxBlockedPairs: number;
  /** Such pairs of all endpoints and lanes; beyond it whoever gets another one lags. */
  readonly maxBlockedPairsInAll: number;
  /** Rows of an endpoint in a lane; beyond it the endpoint keeps a cursor in the lane instead. */
  readonly maxRowsPerEndpointLane: number;
  /**
   * Rows of an endpoint in a lane while it works and none of them is due, and the lane has less than half of those
   * that it may have: what has failed holds up its own invoices, and not what is new of others.
   */
  readonly maxRestingRowsPerEndpointLane: number;
  /** Rows of all endpoints in a lane; beyond it every endpoint that lags keeps a cursor. */
  readonly maxRowsPerLane: number;
  /** An endpoint that keeps a cursor gets further rows when it has no more than this part of what it may have. */
  readonly refillAtPart: number;
  /** Events read again for one refill. */
  readonly maxRefillEvents: number;
  /** Rows that one refill makes, give or take those of one event. */
  readonly maxRefillRows: number;
  /** Endpoints of a lane that are refilled from one reading. */
  readonly maxRefillEndpoints: number;
  /** Lanes that are refilled at a time. */
  readonly maxRefills: number;
  /** How often rows are looked through that nobody claims. */
  readonly expireEveryMs: number;
  /** Lagging endpoints that are listed in one recording. */
  readonly maxListed: number;
}

export const DEFAULT_LIMITS: EngineLimits = {
  maxInFlight: 2_048,
  maxInFlightPerEndpoint: 64,
  maxInFlightPerOrigin: 512,
  rateLimitPerSecond: undefined,
  circuit: { failures: 10, firstWaitMs: 1_000, longestWaitMs: 60_000 },
  maxClaimed: 10_000,
  maxClaimedBytes: 32 * 1024 * 1024,
  maxClaimedPerEndpoint: 128,
  maxHeld: 20_000,
  maxHeldBytes: 64 * 1024 * 1024,
  maxQueuedMs: 300,
  minQueued: 1_000,
  maxReady: 512,
  maxWindowEvents: 2_000,
  maxReadEvents: 256,
  maxUnrecorded: 10_000,
  recordAtAttempts: 256,
  recordAfterMs: 20,
  parkAfterMs: 1_000,
  handOverAfterMs: 500,
  maxClaims: 256,
  maxClaimedRows: 1_024,
  maxBlockedPairs: 100,
  maxBlockedPairsInAll: 50_000,
  maxRowsPerEndpointLane: 1_000,
  maxRestingRowsPerEndpointLane: 10_000,
  maxRowsPerLane: 100_000,
  refillAtPart: 0.5,
  maxRefillEvents: 500,
  maxRefillRows: 2_000,
  maxRefillEndpoints: 100,
  maxRefills: 8,
  expireEveryMs: 60_000,
  maxListed: 64,
};

/** Added to a deadline before what was parked in flight may be claimed by a successor. */
export const IN_FLIGHT_MARGIN_MS = 2_000;
