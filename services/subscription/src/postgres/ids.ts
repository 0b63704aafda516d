const PREFIX = 'ep_';

/** What stands in a column of type uuid for an endpoint's id. */
export function toUuid(endpointId: string): string {
  return endpointId.slice(PREFIX.length);
}

/** The id of the endpoint whose column is this. */
export function fromUuid(uuid: string): string {
  return PREFIX + uuid.replaceAll('-', '');
}
