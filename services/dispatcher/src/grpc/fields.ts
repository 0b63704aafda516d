import { readTimestampMs, type Timestamp } from '@billhook/contracts';
import { invalidField } from '@billhook/runtime';

export const ENDPOINT_ID = /^ep_[0-9a-f]{32}$/;
export const EVENT_ID = /^evt_[0-9a-f]{32}$/;

/** @throws ServiceError `INVALID_ARGUMENT` unless it is the id of an endpoint. */
export function requireEndpointId(endpointId: string): void {
  if (ENDPOINT_ID.test(endpointId)) return;
  throw invalidField('endpoint_id', 'FIELD_INVALID', `must match ${ENDPOINT_ID.source}`);
}

/**
 * Reads a time that may be absent.
 *
 * @returns milliseconds since 1970.
 * @throws ServiceError `INVALID_ARGUMENT` when it is no time.
 */
export function optionalTimeMs(field: string, time: Timestamp | undefined): number | undefined {
  if (time === undefined) return undefined;
  const timeMs = readTimestampMs(time);
  if (timeMs !== undefined) return timeMs;
  throw invalidField(
    field,
    'TIME_OUT_OF_RANGE',
    'must be a time of the years 1 to 9999 (UTC), with nanos from 0 to 999999999',
  );
}
