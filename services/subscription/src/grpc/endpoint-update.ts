import { readDurationMs } from '@billhook/contracts';
import type { Duration, subscriptionV1 } from '@billhook/contracts';
import { requireText } from '@billhook/grpc';
import { invalidField } from '@billhook/runtime';
import type { RequestedChanges } from '../domain/decide.ts';
import { requireUrl } from './fields.ts';
import type { UrlField } from './fields.ts';
import { requireHeaders } from './headers.ts';

const MAX_DESCRIPTION_CHARACTERS = 1_024;
const RATE_LIMIT = { min: 0.001, max: 10_000 };
const MIN_TIMEOUT_MS = 100;
const MAX_IN_FLIGHT = 1_000;
const MAX_CIRCUIT_FAILURES = 1_000_000;
const CIRCUIT_WAIT_MS = { min: 100, max: 3_600_000 };

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
    ...when('rate_limit', () => ({ rateLimitPerSecond: optionalRateLimit(rateLimit) })),
    ...when('timeout', () => ({ timeoutMs: optionalTimeoutMs(timeout, limits.maxTimeoutMs) })),
    ...when('max_in_flight', () => ({ maxInFlight: optionalMaxInFlight(maxInFlight) })),
    ...when('circuit_failures', () => ({
      circuitFailures: optionalCircuitFailures(circuitFailures),
    })),
    ...when('circuit_longest_wait', () => ({
      circuitLongestWaitMs: optionalCircuitWaitMs(circuitLongestWait),
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

/** `null` stands for none of its own, here and below. */
function optionalRateLimit(rateLimit: number | undefined): number | null {
  if (rateLimit === undefined) {
    return null;
  }
  const { min, max } = RATE_LIMIT;
  if (!(rateLimit >= min && rateLimit <= max)) {
    const description = `must be from ${min} to ${max} deliveries per second; leave it out for no limit of its own`;
    throw invalidField('rate_limit', 'RATE_LIMIT_INVALID', description);
  }
  return rateLimit;
}

function optionalTimeoutMs(timeout: Duration | undefined, maxTimeoutMs: number): number | null {
  if (timeout === undefined) {
    return null;
  }
  const timeoutMs = wholeMilliseconds(timeout, { min: MIN_TIMEOUT_MS, max: maxTimeoutMs });
  if (timeoutMs === undefined) {
    const description =
      `must be a whole number of milliseconds from ${MIN_TIMEOUT_MS} ms to ${maxTimeoutMs} ms ` +
      '(BILLHOOK_DELIVERY_TIMEOUT); leave it out for that one';
    throw invalidField('timeout', 'TIMEOUT_INVALID', description);
  }
  return timeoutMs;
}

function optionalMaxInFlight(maxInFlight: number | undefined): number | null {
  if (maxInFlight === undefined) {
    return null;
  }
  if (maxInFlight < 1 || maxInFlight > MAX_IN_FLIGHT) {
    const description = `must be from 1 to ${MAX_IN_FLIGHT}; leave it out for no limit of its own`;
    throw invalidField('max_in_flight', 'MAX_IN_FLIGHT_INVALID', description);
  }
  return maxInFlight;
}

function optionalCircuitFailures(failures: number | undefined): number | null {
  if (failures === undefined) {
    return null;
  }
  if (failures < 1 || failures > MAX_CIRCUIT_FAILURES) {
    const description =
      `must be from 1 to ${MAX_CIRCUIT_FAILURES}; ` +
      'leave it out for that of every endpoint (BILLHOOK_CIRCUIT_FAILURES)';
    throw invalidField('circuit_failures', 'CIRCUIT_FAILURES_INVALID', description);
  }
  return failures;
}

function optionalCircuitWaitMs(wait: Duration | undefined): number | null {
  if (wait === undefined) {
    return null;
  }
  const waitMs = wholeMilliseconds(wait, CIRCUIT_WAIT_MS);
  if (waitMs === undefined) {
    const { min, max } = CIRCUIT_WAIT_MS;
    const description =
      `must be a whole number of milliseconds from ${min} ms to ${max} ms; ` +
      'leave it out for that of every endpoint (BILLHOOK_CIRCUIT_LONGEST_WAIT)';
    throw invalidField('circuit_longest_wait', 'CIRCUIT_LONGEST_WAIT_INVALID', description);
  }
  return waitMs;
}

/** @returns undefined when it is no whole number of milliseconds, or outside the range. */
function wholeMilliseconds(
  duration: Duration,
  { min, max }: { readonly min: number; readonly max: number },
): number | undefined {
  const milliseconds = readDurationMs(duration);
  const isInRange = milliseconds !== undefined && milliseconds >= min && milliseconds <= max;
  return isInRange && Number.isInteger(milliseconds) ? milliseconds : undefined;
}
