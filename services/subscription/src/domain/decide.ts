import { isDeepStrictEqual } from 'node:util';
import { ServiceError } from '@billhook/runtime';
import type { EndpointHeader } from '@billhook/secrets';
import type { Endpoint, EndpointChanges, EndpointEvent } from './endpoint.ts';

/** What a caller wants done, with fields that are valid by themselves. */
export type EndpointCommand =
  /** Meant for the endpoint that has the URL. */
  | {
      readonly kind: 'register';
      readonly event: string;
      readonly url: string;
      readonly filter: string | null;
    }
  | { readonly kind: 'unregister'; readonly event: string; readonly url: string }
  /** Meant for the endpoint that has the id. */
  | { readonly kind: 'update'; readonly changes: RequestedChanges }
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' }
  | { readonly kind: 'enable' }
  | DisableEndpoint
  /** The secrets before stay valid for so long at most. */
  | { readonly kind: 'rotate_secret'; readonly overlapMs: number };

/** New values of the fields that are there. Headers come with their values, in order of names. */
export interface RequestedChanges extends Omit<EndpointChanges, 'headerNames'> {
  readonly headers?: readonly EndpointHeader[];
}

export interface DisableEndpoint {
  readonly kind: 'disable';
  readonly reason: string;
  /** The revision of the view with which the endpoint was called. */
  readonly revision: number;
  /** Since when it did nothing but fail; undefined when that is not why. */
  readonly failingSinceMs: number | undefined;
}

/** Where a command meets the endpoints. */
export interface EndpointSituation {
  /** The endpoint that the command is meant for, if it exists. */
  readonly endpoint: Endpoint | undefined;
  /** The endpoint that has the URL which an update asks for, if there is one. */
  readonly urlHolder: Endpoint | undefined;
  /** The headers that the endpoint has, when an update asks for others. */
  readonly headers: readonly EndpointHeader[];
  /** The clock as it is, not as the log dates events: what is dated later than it is would miss events. */
  readonly clockMs: number;
}

export type EndpointDecision =
  | { readonly kind: 'accepted'; readonly events: readonly EndpointEvent[] }
  | { readonly kind: 'refused'; readonly error: ServiceError };

/** An endpoint travels in one message, which must stay small. */
export const MAX_SUBSCRIPTIONS_PER_ENDPOINT = 1_000;
export const MAX_FILTER_CHARACTERS_PER_ENDPOINT = 128 * 1_024;

/**
 * What happens if the command is carried out now. Whoever repeats a command changes nothing more.
 *
 * @returns the events (none when there is nothing to change), or the refusal.
 */
export function decide(command: EndpointCommand, situation: EndpointSituation): EndpointDecision {
  const { endpoint } = situation;
  if (command.kind === 'register') {
    return endpoint === undefined
      ? accepted({ type: 'endpoint_created', url: command.url }, subscribe(command, situation))
      : decideRegistration(command, endpoint, situation);
  }
  if (command.kind === 'unregister') {
    return endpoint === undefined ? refused(notRegistered()) : decideRemoval(command, endpoint);
  }
  return endpoint === undefined
    ? refused(endpointNotFound())
    : decideChange(command, endpoint, situation);
}

/** The refusal of a call that names an endpoint which is not there. */
export function endpointNotFound(): ServiceError {
  return new ServiceError(
    'NOT_FOUND',
    'ENDPOINT_NOT_FOUND',
    'There is no such endpoint. Check endpoint_id and the tenant.',
  );
}

type Registration = Extract<EndpointCommand, { kind: 'register' }>;
type Removal = Extract<EndpointCommand, { kind: 'unregister' }>;
type Change = Exclude<EndpointCommand, Registration | Removal>;

/** Every registration enables a disabled endpoint; none resumes a paused one. */
function decideRegistration(
  command: Registration,
  endpoint: Endpoint,
  situation: EndpointSituation,
): EndpointDecision {
  const others = endpoint.subscriptions.filter((each) => each.event !== command.event);
  if (others.length >= MAX_SUBSCRIPTIONS_PER_ENDPOINT) {
    return refused(tooManySubscriptions());
  }
  const filters = [command, ...others].map(({ filter }) => filter?.length ?? 0);
  if (filters.reduce((sum, each) => sum + each) > MAX_FILTER_CHARACTERS_PER_ENDPOINT) {
    return refused(filtersTooLarge());
  }
  return accepted(
    ...(endpoint.disabled === null ? [] : [{ type: 'endpoint_enabled' } as const]),
    ...registered(command, endpoint, situation),
  );
}

/**
 * A filter holds from now on. The subscription stays as old as it is: else what was recorded since
 * would not be matched any more, and what waits would be cancelled.
 */
function registered(
  command: Registration,
  endpoint: Endpoint,
  situation: EndpointSituation,
): readonly EndpointEvent[] {
  const { event, filter } = command;
  const known = endpoint.subscriptions.find((each) => each.event === event);
  if (known === undefined) {
    return [subscribe(command, situation)];
  }
  return known.filter === filter ? [] : [{ type: 'subscription_filter_changed', event, filter }];
}

/** With its last subscription the endpoint goes. */
function decideRemoval(command: Removal, endpoint: Endpoint): EndpointDecision {
  const { event } = command;
  if (!endpoint.subscriptions.some((each) => each.event === event)) {
    return refused(notRegistered());
  }
  const removed: EndpointEvent = { type: 'subscription_removed', event };
  return endpoint.subscriptions.length === 1
    ? accepted(removed, { type: 'endpoint_removed' })
    : accepted(removed);
}

function decideChange(
  command: Change,
  endpoint: Endpoint,
  situation: EndpointSituation,
): EndpointDecision {
  switch (command.kind) {
    case 'update':
      return decideUpdate(command.changes, endpoint, situation);
    case 'pause':
      return endpoint.paused ? accepted() : accepted({ type: 'endpoint_paused' });
    case 'resume':
      return endpoint.paused ? accepted({ type: 'endpoint_resumed' }) : accepted();
    case 'enable':
      return endpoint.disabled === null ? accepted() : accepted({ type: 'endpoint_enabled' });
    case 'disable':
      return decideDisabling(command, endpoint);
    case 'rotate_secret': {
      const previousValidUntilMs = situation.clockMs + command.overlapMs;
      return accepted({ type: 'secret_rotated', previousValidUntilMs });
    }
  }
}

function decideUpdate(
  requested: RequestedChanges,
  endpoint: Endpoint,
  { urlHolder, headers }: EndpointSituation,
): EndpointDecision {
  if (urlHolder !== undefined && urlHolder.endpointId !== endpoint.endpointId) {
    return refused(urlTaken(urlHolder));
  }
  const changes: EndpointChanges = {
    ...otherValues(requested, endpoint),
    ...otherHeaders(requested, headers),
  };
  return Object.keys(changes).length === 0
    ? accepted()
    : accepted({ type: 'endpoint_updated', changes });
}

const PLAIN_FIELDS = [
  'url',
  'description',
  'rateLimitPerSecond',
  'timeoutMs',
  'maxInFlight',
  'circuitFailures',
  'circuitLongestWaitMs',
] as const;

/** What is asked for beside headers, without what is so already. */
function otherValues(
  { headers: _headers, ...requested }: RequestedChanges,
  endpoint: Endpoint,
): EndpointChanges {
  for (const field of PLAIN_FIELDS) {
    if (requested[field] === endpoint[field]) {
      delete requested[field];
    }
  }
  return requested;
}

function otherHeaders(
  { headers }: RequestedChanges,
  present: readonly EndpointHeader[],
): EndpointChanges {
  if (headers === undefined || isDeepStrictEqual(headers, present)) {
    return {};
  }
  return { headerNames: headers.map(({ name }) => name) };
}

/**
 * A report on an endpoint that was enabled, resumed or got another URL since is out of date, whatever
 * its reason, and so is one that counts failures from before that. The first reason stays.
 */
function decideDisabling(command: DisableEndpoint, endpoint: Endpoint): EndpointDecision {
  const { revision, failingSinceMs = endpoint.renewedAtMs } = command;
  const isOutdated = endpoint.renewedAtRevision > revision || endpoint.renewedAtMs > failingSinceMs;
  return isOutdated || endpoint.disabled !== null
    ? accepted()
    : accepted({ type: 'endpoint_disabled', reason: command.reason });
}

function subscribe({ event, filter }: Registration, { clockMs }: EndpointSituation): EndpointEvent {
  return { type: 'subscription_added', event, registeredAtMs: clockMs, filter };
}

function accepted(...events: readonly EndpointEvent[]): EndpointDecision {
  return { kind: 'accepted', events };
}

function refused(error: ServiceError): EndpointDecision {
  return { kind: 'refused', error };
}

function notRegistered(): ServiceError {
  return new ServiceError(
    'NOT_FOUND',
    'NOT_REGISTERED',
    'This event is not registered for this URL. Check both, as they were registered.',
  );
}

function urlTaken(holder: Endpoint): ServiceError {
  const message = `Endpoint ${holder.endpointId} has this URL already. Choose another URL.`;
  return new ServiceError('ALREADY_EXISTS', 'URL_TAKEN', message);
}

function tooManySubscriptions(): ServiceError {
  const message =
    `The endpoint has ${MAX_SUBSCRIPTIONS_PER_ENDPOINT} subscriptions, and may have no more. ` +
    'Unregister some, or register "*" for all events.';
  return new ServiceError('FAILED_PRECONDITION', 'TOO_MANY_SUBSCRIPTIONS', message);
}

function filtersTooLarge(): ServiceError {
  const message =
    `The filters of the endpoint would have more than ${MAX_FILTER_CHARACTERS_PER_ENDPOINT} ` +
    'characters together. Make them shorter, or use another URL for some of them.';
  return new ServiceError('FAILED_PRECONDITION', 'FILTERS_TOO_LARGE', message);
}
