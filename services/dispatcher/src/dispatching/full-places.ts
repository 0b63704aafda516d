import type { Engine } from '../engine/engine.ts';
import type { EndpointPlace } from '../postgres/requests.ts';

/** Endpoints in a lane that are known to be full; with so many, dead deliveries of all others wait, too. */
export const MAX_FULL_ENDPOINTS = 4_000;

/**
 * Where no dead delivery may become a row again yet: what is asked for there stays unread. A lane that is
 * full as a whole stands for all endpoints in it.
 */
export interface FullPlaces {
  /** Notes the place if it is full. Returns whether it is. */
  noteIfFull(place: EndpointPlace): boolean;
  /** Forgets what is not full any more. */
  lookAgain(): void;
  lanes(): number[];
  /** Those in other lanes. */
  endpoints(): EndpointPlace[];
  endpointCount(): number;
}

/** Begins without any. */
export function createFullPlaces(engine: Pick<Engine, 'roomToRevive'>): FullPlaces {
  /** By lane, each with whoever was found in it. */
  const lanes = new Map<number, EndpointPlace>();
  const endpoints = new Map<string, EndpointPlace>();

  function noteIfFull({ lane, endpointId }: EndpointPlace): boolean {
    const place = { lane, endpointId };
    switch (engine.roomToRevive(place)) {
      case 'some':
        return false;
      case 'full_lane':
        lanes.set(lane, place);
        return true;
      case 'full_endpoint':
        if (endpoints.size < MAX_FULL_ENDPOINTS) endpoints.set(`${lane} ${endpointId}`, place);
        return true;
    }
  }

  return {
    noteIfFull,
    lookAgain() {
      const places = [...lanes.values(), ...endpoints.values()];
      lanes.clear();
      endpoints.clear();
      for (const place of places) noteIfFull(place);
    },
    lanes: () => [...lanes.keys()],
    endpoints: () => [...endpoints.values()],
    endpointCount: () => endpoints.size,
  };
}
