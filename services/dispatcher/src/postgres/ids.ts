/** `evt_` and 32 hex digits: what stands in the column `event_id` is the part behind it. */
export function eventUuid(eventId: string): string {
  return eventId.slice(4);
}

/** `ep_` and 32 hex digits: what stands in the column `endpoint_id` is the part behind it. */
export function endpointUuid(endpointId: string): string {
  return endpointId.slice(3);
}

/** The event id of a column `event_id`. */
export function eventIdOf(uuid: string): string {
  return `evt_${uuid.replaceAll('-', '')}`;
}

/** The endpoint id of a column `endpoint_id`. */
export function endpointIdOf(uuid: string): string {
  return `ep_${uuid.replaceAll('-', '')}`;
}

/** The id of a delivery: the event and the endpoint, so that it is the same everywhere. */
export function deliveryIdOf(eventId: string, endpointId: string): string {
  return `dlv_${eventUuid(eventId)}_${endpointUuid(endpointId)}`;
}

const DELIVERY_ID = /^dlv_([0-9a-f]{32})_([0-9a-f]{32})$/;

/** Takes a delivery id apart; undefined when it is none. */
export function parseDeliveryId(
  deliveryId: string,
): { readonly eventId: string; readonly endpointId: string } | undefined {
  const [, event, endpoint] = DELIVERY_ID.exec(deliveryId) ?? [];
  if (event === undefined || endpoint === undefined) return undefined;
  return { eventId: `evt_${event}`, endpointId: `ep_${endpoint}` };
}
