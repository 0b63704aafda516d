import { readDurationMs } from '@billhook/contracts';
import type { Duration, subscriptionV1 } from '@billhook/contracts';
import { requireText } from '@billhook/grpc';
import { invalidField } from '@billhook/runtime';
import type { RequestedChanges } from '../domain/decide.ts';
import { requireUrl } from './fields.ts';
import type { UrlField } from './fields.ts';
import { requireHeaders } from './headers.ts';

const MAX_DESCRIPTION_CHARACTERS = 1_024;

const RATE_LIMIT: LimitField = {
  field: 'rate_limit',
  reason: 'RATE_LIMIT_INVALID',
  min: 0.001,
  max: 10_000,
  expected: 'from 0.001 to 10000 deliveries per second; leave it out for no limit of its own',
};
const MIN_TIMEOUT_MS = 100;
const MAX_IN_FLIGHT: LimitField = {
  field: 'max_in_flight',
  reason: 'MAX_IN_FLIGHT_INVALID',
  min: 1,
  max: 1_000,
  expected: 'from 1 to 1000; leave it out for no limit of its own',
};
const CIRCUIT_FAILURES: LimitField = {
  field: 'circuit_failures',
  reason: 'CIRCUIT_FAILURES_INVALID',
  min: 1,
  max: 1_000_000,
  expected:
    'from 1 to 1000000; leave it out for that of every endpoint (BILLHOOK_CIRCUIT_FAILURES)',
};
const CIRCUIT_LONGEST_WAIT: LimitField = {
  field: 'circuit_longest_wait',
  reason: 'CIRCUIT_LONGEST_WAIT_INVALID',
  min: 100,
  max: 3_600_000,
  expected:
    'a whole number of milliseconds from 100 ms to 3600000 ms; ' +
    'leave it out for that of every endpoint (BILLHOOK_CIRCUIT_LONGEST_WAIT)',
};

function timeoutOf(maxTimeoutMs: number): LimitField {
  return {
    field: 'timeout',
    reason: 'TIMEOUT_INVALID',
    min: MIN_TIMEOUT_MS,
    max: maxTimeoutMs,
    expected:
      `a whole number of milliseconds from ${MIN_TIMEOUT_MS} ms to ${maxTimeoutMs} ms ` +
      '(BILLHOOK_DELIVERY_TIMEOUT); leave it out for that one',
  };
}

const UPDATABLE_PATHS = [
  'url',
  'description',
  'headers',
  'rate_limit',
  'timeout',
  'max_in_flight',
  'circuit_failures',
  'circuit_longest_wait',
] as const;

type UpdatablePath = (typeof UPDATABLE_PATHS)[number];

/** What an update asks for, and where its URL leads if it asks for another one. */
export interface RequestedUpdate {
  readonly changes: RequestedChanges;
  readonly url: UrlField | undefined;
}

/**
 * Reads what an update asks for. Without a mask (an empty one counts as none) the populated fields
 * change; what a mask names and the request lacks is cleared.
 *
 * @param limits.maxTimeoutMs the longest time-out that an endpoint may have.
 * @throws ServiceError `INVALID_ARGUMENT` that names the field.
 */
export function readUpdate(
  request: subscriptionV1.UpdateEndpointRequest,
  limits: { readonly maxTimeoutMs: number },
): RequestedUpdate {
  const { description = '', headers, rateLimit, timeout, maxInFlight } = request;
  const { circuitFailures, circuitLongestWait } = request;
  const named = new Set(readMask(request.updateMask ?? []) ?? populatedPaths(request));
  const when = (path: UpdatablePath, read: () => RequestedChanges): RequestedChanges =>
    named.has(path) ? read() : {};
  const url = named.has('url') ? requireUrl(request.url ?? '') : undefined;
  const changes = {
    ...(url === undefined ? {} : { url: url.url }),
    ...when('description', () => ({ description: requireDescription(description) })),
    ...when('headers', () => ({ headers: requireHeaders(headers) })),
    ...when('rate_limit', () => ({ rateLimitPerSecond: optionalNumber(rateLimit, RATE_LIMIT) })),
    ...when('timeout', () => ({
      timeoutMs: optionalMilliseconds(timeout, timeoutOf(limits.maxTimeoutMs)),
    })),
    ...when('max_in_flight', () => ({ maxInFlight: optionalNumber(maxInFlight, MAX_IN_FLIGHT) })),
    ...when('circuit_failures', () => ({
      circuitFailures: optionalNumber(circuitFailures, CIRCUIT_FAILURES),
    })),
    ...when('circuit_longest_wait', () => ({
      circuitLongestWaitMs: optionalMilliseconds(circuitLongestWait, CIRCUIT_LONGEST_WAIT),
    })),
  };
  return { changes, url };
}

function populatedPaths(request: subscriptionV1.UpdateEndpointRequest): readonly UpdatablePath[] {
  const isPopulated: Readonly<Record<UpdatablePath, boolean>> = {
    url: request.url !== undefined,
    description: request.description !== undefined,
    headers: request.headers.length > 0,
    rate_limit: request.rateLimit !== undefined,
    timeout: request.timeout !== undefined,
    max_in_flight: request.maxInFlight !== undefined,
    circuit_failures: request.circuitFailures !== undefined,
    circuit_longest_wait: request.circuitLongestWait !== undefined,
  };
  return UPDATABLE_PATHS.filter((path) => isPopulated[path]);
}

/** @returns undefined when there is no mask. */
function readMask(paths: readonly string[]): readonly UpdatablePath[] | undefined {
  if (paths.length === 0) {
    return undefined;
  }
  if (paths.includes('*')) {
    return UPDATABLE_PATHS;
  }
  const named = UPDATABLE_PATHS.filter((path) => paths.includes(path));
  if (!paths.every((path) => named.some((known) => known === path))) {
    const description = `must name nothing but ${UPDATABLE_PATHS.join(', ')}, or "*"`;
    throw invalidField('update_mask', 'UNKNOWN_PATH', description);
  }
  return named;
}

function requireDescription(text: string): string {
  return requireText(text, { field: 'description', maxLength: MAX_DESCRIPTION_CHARACTERS });
}

/** What a limit of an endpoint's own must be, and how a refusal says so. */
interface LimitField {
  readonly field: string;
  readonly reason: string;
  readonly min: number;
  readonly max: number;
  /** Completes the sentence "must be ...". */
  readonly expected: string;
}

/** @returns `null`, here and below, for none of its own. */
function optionalNumber(value: number | undefined, limit: LimitField): number | null {
  if (value === undefined) {
    return null;
  }
  if (!(value >= limit.min && value <= limit.max)) {
    throw invalidField(limit.field, limit.reason, `must be ${limit.expected}`);
  }
  return value;
}

/** Reads a whole number of milliseconds. */
function optionalMilliseconds(duration: Duration | undefined, limit: LimitField): number | null {
  // What is no whole number of them is in no range.
  const value = duration && (wholeMilliseconds(duration) ?? Number.NaN);
  return optionalNumber(value, limit);
}

function wholeMilliseconds(duration: Duration): number | undefined {
  const milliseconds = readDurationMs(duration);
  return Number.isInteger(milliseconds) ? milliseconds : undefined;
}
