import { randomUUIDv7 } from 'node:crypto';

/** Makes the id of an event: `evt_` and 32 hex digits that begin with the time. */
export function createEventId(): string {
  return `evt_${randomUUIDv7().replaceAll('-', '')}`;
}

/** What stands in a column of type uuid. */
export function toUuid(eventId: string): string {
  return eventId.slice(4);
}

/** The id of the event whose column is this. */
export function fromUuid(uuid: string): string {
  return `evt_${uuid.replaceAll('-', '')}`;
}
