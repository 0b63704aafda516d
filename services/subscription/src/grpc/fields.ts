import { readDurationMs, readTimestampMs } from '@billhook/contracts';
import type { Duration, Timestamp } from '@billhook/contracts';
import { parseWebhookUrl } from '@billhook/destinations';
import { parseFilter } from '@billhook/filters';
import { decodePageToken, pageSize, requirePattern } from '@billhook/grpc';
import type { PageScope } from '@billhook/grpc';
import { invalidField } from '@billhook/runtime';

const ENDPOINT_ID = /^ep_[0-9a-f]{32}$/;
const EVENT = /^(?:\*|[A-Za-z][A-Za-z0-9_.-]{0,127})$/;
const DISABLED_REASON = /^[a-z][a-z0-9_]{0,63}$/;
const DAY_MS = 24 * 60 * 60 * 1_000;
const OVERLAP_MS = { default: DAY_MS, max: 7 * DAY_MS };
const PAGE_SIZE = { default: 50, max: 1_000 };

/** The address of a receiver, in the form in which it is kept and compared. */
export interface UrlField {
  readonly url: string;
  readonly hostname: string;
}

/** @throws ServiceError `INVALID_ARGUMENT` when the field is missing or invalid; so do the rest. */
export function requireEndpointId(text: string): string {
  return requirePattern(text, { field: 'endpoint_id', pattern: ENDPOINT_ID });
}

export function requireEvent(text: string): string {
  if (text === '') {
    throw invalidField('event', 'EVENT_REQUIRED', 'is required');
  }
  if (!EVENT.test(text)) {
    const description =
      'must be a name of at most 128 letters, digits, "_", "." and "-" that begins with a ' +
      'letter, or "*" for all events';
    throw invalidField('event', 'EVENT_INVALID', description);
  }
  return text;
}

export function requireUrl(text: string): UrlField {
  const parsed = parseWebhookUrl(text);
  if (parsed.kind === 'invalid') {
    throw invalidField('url', parsed.reason, parsed.message);
  }
  return parsed;
}

/** @returns the filter as it is kept; `null` for "", which stands for none. */
export function optionalFilter(text: string): string | null {
  if (text === '') {
    return null;
  }
  const parsed = parseFilter(text);
  if (parsed.kind === 'invalid') {
    const { place, reason, message } = parsed.fault;
    throw invalidField(`filter${place}`, reason, message);
  }
  return parsed.filter.text;
}

/** @returns for how long the secrets before stay valid, in milliseconds. */
export function readOverlapMs(overlap: Duration | undefined): number {
  if (overlap === undefined) {
    return OVERLAP_MS.default;
  }
  const overlapMs = readDurationMs(overlap);
  const isInRange = overlapMs !== undefined && overlapMs >= 0 && overlapMs <= OVERLAP_MS.max;
  if (!isInRange || !Number.isInteger(overlapMs)) {
    const description = 'must be a whole number of milliseconds from zero to 7 days';
    throw invalidField('overlap', 'OVERLAP_INVALID', description);
  }
  return overlapMs;
}

export function requireDisabledReason(text: string): string {
  return requirePattern(text, { field: 'reason', pattern: DISABLED_REASON });
}

export function requireRevision(revision: bigint): number {
  if (revision < 0n || revision > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw invalidField('revision', 'REVISION_INVALID', 'must be a revision that was given out');
  }
  return Number(revision);
}

/** @returns milliseconds since 1970; undefined when it is not given. */
export function optionalFailingSinceMs(time: Timestamp | undefined): number | undefined {
  if (time === undefined) {
    return undefined;
  }
  const timeMs = readTimestampMs(time);
  if (timeMs === undefined) {
    const description =
      'must be a time of the years 1 to 9999 (UTC), with nanos from 0 to 999999999';
    throw invalidField('failing_since_time', 'TIME_OUT_OF_RANGE', description);
  }
  return timeMs;
}

/** Which part of a list a caller wants. */
export interface Page<After> {
  readonly scope: PageScope;
  readonly size: number;
  /** The entry that the page before ended with; `null` for the first page. */
  readonly after: After | null;
}

interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

export function readEndpointPage(request: PageRequest, tenant: string): Page<string> {
  const scope = { kind: 'endpoints', filter: [tenant] };
  const size = pageSize(request.pageSize, PAGE_SIZE);
  const [endpointId = null] = decodePageToken(scope, request.pageToken, [ENDPOINT_ID]) ?? [];
  return { scope, size, after: endpointId };
}

export function readSubscriptionPage(
  request: PageRequest,
  tenant: string,
): Page<{ readonly endpointId: string; readonly event: string }> {
  const scope = { kind: 'subscriptions', filter: [tenant] };
  const size = pageSize(request.pageSize, PAGE_SIZE);
  const patterns = [ENDPOINT_ID, EVENT];
  const [endpointId, event] = decodePageToken(scope, request.pageToken, patterns) ?? [];
  const after = endpointId === undefined || event === undefined ? null : { endpointId, event };
  return { scope, size, after };
}
