import type { Now } from './effect.ts';
import { sendLimit, type Endpoint } from './endpoint.ts';

/** How an endpoint stands in one process: its circuit, its limit, and what it has of it. */
export interface EndpointStanding {
  readonly endpointId: string;
  readonly circuit: 'closed' | 'open' | 'half_open';
  /** Why the circuit is not closed: the last failure, in words. */
  readonly reason: string | undefined;
  /** Since when, wall clock. */
  readonly brokenSinceMs: number | undefined;
  /** When an open circuit is probed, wall clock. */
  readonly probeAtMs: number | undefined;
  /** Sends that may be under way at a time. */
  readonly concurrencyLimit: number;
  readonly inFlight: number;
  readonly queued: number;
}

/** Shows how an endpoint stands. */
export function standingOf(endpoint: Endpoint, now: Now): EndpointStanding {
  const { id, circuit, inFlight, queued } = endpoint;
  const isBroken = circuit.state !== 'closed';
  return {
    endpointId: id,
    circuit: circuit.state,
    reason: isBroken ? circuit.reason : undefined,
    brokenSinceMs: isBroken ? circuit.sinceMs : undefined,
    probeAtMs:
      circuit.state === 'open' ? circuit.probeAtMs - now.monotonicMs + now.wallMs : undefined,
    concurrencyLimit: sendLimit(endpoint),
    inFlight,
    queued,
  };
}
