import { randomUUIDv7 } from 'node:crypto';

/** Makes the id of an endpoint: `ep_` and 32 hex digits that begin with the time. */
export function createEndpointId(): string {
  return `ep_${randomUUIDv7().replaceAll('-', '')}`;
}
