import type { Delivery } from './delivery.ts';
import type { EndpointLane } from './endpoint-lane.ts';
import { Fifo } from './fifo.ts';

/** What the engine needs to know of an endpoint; the rest is the sender's. */
export interface EndpointView {
  readonly endpointId: string;
  readonly tenant: string;
  readonly state: 'active' | 'paused' | 'disabled';
}

/** An endpoint that has something to send, or had. */
export interface Endpoint {
  readonly id: string;
  /** As the set of endpoints shows it; absent once it is unregistered. */
  view: EndpointView | undefined;
  /** True from an answer 410 until the set of endpoints says how the endpoint stands. */
  gone: boolean;
  /** Heads of pairs, oldest first. Some may have been parked or settled meanwhile. */
  readonly queue: Fifo<Delivery>;
  /** How many in the queue still are `queued`. */
  queued: number;
  inFlight: number;
  /** True while it stands in the ring of endpoints that may send. */
  inRing: boolean;
  readonly lanes: Map<number, EndpointLane>;
  /** Lanes in which rows are due that were not claimed for want of room. */
  readonly dueLanes: Set<EndpointLane>;
}

/** Makes an endpoint with nothing to send. */
export function createEndpoint(id: string, view: EndpointView | undefined): Endpoint {
  return {
    id,
    view,
    gone: false,
    queue: new Fifo(),
    queued: 0,
    inFlight: 0,
    inRing: false,
    lanes: new Map(),
    dueLanes: new Set(),
  };
}

/** Says whether the endpoint may be called now. */
export function isActive(endpoint: Endpoint): boolean {
  return endpoint.view?.state === 'active' && !endpoint.gone;
}

/** Takes the oldest delivery that still is queued, or undefined. */
export function nextQueued(endpoint: Endpoint): Delivery | undefined {
  for (;;) {
    const delivery = endpoint.queue.shift();
    if (delivery === undefined || delivery.state === 'queued') return delivery;
  }
}
