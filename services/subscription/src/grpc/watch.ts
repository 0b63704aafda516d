import { subscriptionV1 } from '@billhook/contracts';
import { toWatchedEndpoint } from '../protobuf/endpoint-message.ts';
import type { EndpointWithSecrets } from '../protobuf/endpoint-message.ts';
import type { Bell } from './bell.ts';
import { requireRevision } from './fields.ts';

/** A place in the history of the endpoints. */
export interface Place {
  /** 0: before the first event. */
  readonly revision: number;
  /** The id of the event at the revision; "" before the first. */
  readonly eventId: string;
}

/** What came after a place, up to a bound. */
export type History =
  /** The place belongs to another history. */
  | { readonly kind: 'unknown' }
  | {
      readonly kind: 'known';
      /** Where it ends; the place itself when nothing came after it. */
      readonly reached: Place;
      /** The endpoints that had an event, each once. */
      readonly endpointIds: readonly string[];
    };

/** Reads the set of endpoints and its history. */
export interface WatchLog {
  latest(): Promise<Place>;
  /** What came after a place, at most `limit` events of it. */
  history(after: Place, limit: number): Promise<History>;
  /** Those of the endpoints that still exist, as they are now. */
  endpoints(endpointIds: readonly string[]): Promise<readonly EndpointWithSecrets[]>;
  /** Endpoints of all tenants behind an id, in the order of their ids. */
  page(after: string | null, limit: number): Promise<readonly EndpointWithSecrets[]>;
}

export interface WatchDeps {
  readonly log: WatchLog;
  /** Rings when something was appended, by this process or another one. */
  readonly bell: Bell;
}

/** What is read at a time: a slow watcher holds no more than this. */
const MAX_ENDPOINTS_AT_A_TIME = 100;
const MAX_EVENTS_AT_A_TIME = 100;

/** What the endpoints of a message hold together; clients take messages of up to 4 MiB. */
const MAX_MESSAGE_BYTES = 1024 * 1024;

/**
 * Which fields of `WatchedEndpoint` this copy fills in: up to `renew_time` it is 0, and 1 with the settings of
 * the circuit. A watcher that followed a copy with another one is sent everything again.
 */
export const WATCH_FORMAT = 1;

/** A ring that was lost delays a change by this much at most. */
const POLL_EVERY_MS = 1_000;

/**
 * Sends the whole set of endpoints unless the watcher knows it already, then its changes for as long
 * as the watcher stays. Each watcher reads for itself, at its own pace, when it has taken what came
 * before: nothing is gathered for a slow one, and no transaction is held open for it.
 */
export async function* watchEndpoints(
  deps: WatchDeps,
  request: subscriptionV1.WatchRequest,
  signal: AbortSignal,
): AsyncGenerator<subscriptionV1.WatchResponse, void, undefined> {
  const { log, bell } = deps;
  const revision = requireRevision(request.revision);
  let place: Place | undefined =
    revision === 0 || request.format !== WATCH_FORMAT
      ? undefined
      : { revision, eventId: request.eventId };
  while (!signal.aborted) {
    const rings = bell.rings();
    if (place === undefined) {
      place = yield* sendSnapshot(log);
    }
    const history = await log.history(place, MAX_EVENTS_AT_A_TIME);
    if (history.kind === 'unknown') {
      place = undefined;
    } else if (history.endpointIds.length > 0) {
      yield* sendChanges(log, place, history);
      place = history.reached;
    } else {
      await bell.wait(rings, POLL_EVERY_MS, signal);
    }
  }
}

/**
 * Sends every endpoint. The set may change while it is read: the endpoints are then those of the
 * revision or newer, and the changes that follow bring the rest. So no snapshot of the database has
 * to be held for as long as the slowest watcher takes.
 *
 * @returns the place from which the changes follow.
 */
async function* sendSnapshot(
  log: WatchLog,
): AsyncGenerator<subscriptionV1.WatchResponse, Place, undefined> {
  const place = await log.latest();
  const { eventId } = place;
  const revision = BigInt(place.revision);
  let after: string | null = null;
  for (let first = true; ; first = false) {
    const { parts, next }: WatchedSlice = await readSlice(log, after);
    for (const [index, endpoints] of parts.entries()) {
      const isLast = next === null && index === parts.length - 1;
      const chunk = { revision, eventId, first: first && index === 0, last: isLast, endpoints };
      yield { message: { $case: 'snapshot', value: chunk }, format: WATCH_FORMAT };
    }
    if (next === null) {
      return place;
    }
    after = next;
  }
}

interface WatchedSlice {
  /** At least one, which may be empty. */
  readonly parts: readonly (readonly subscriptionV1.WatchedEndpoint[])[];
  /** The id behind which the next slice begins; `null` after the last one. */
  readonly next: string | null;
}

async function readSlice(log: WatchLog, after: string | null): Promise<WatchedSlice> {
  const found = await log.page(after, MAX_ENDPOINTS_AT_A_TIME + 1);
  const shown = found.slice(0, MAX_ENDPOINTS_AT_A_TIME);
  const isLast = found.length === shown.length;
  return { parts: intoParts(shown), next: isLast ? null : lastIdOf(shown) };
}

function lastIdOf(watched: readonly EndpointWithSecrets[]): string | null {
  return watched.at(-1)?.endpoint.endpointId ?? null;
}

/** All parts but the last one leave the watcher at the place where it was. */
async function* sendChanges(
  log: WatchLog,
  place: Place,
  history: Extract<History, { kind: 'known' }>,
): AsyncGenerator<subscriptionV1.WatchResponse, void, undefined> {
  const watched = await log.endpoints(history.endpointIds);
  const existing = new Set(watched.map(({ endpoint }) => endpoint.endpointId));
  const gone = history.endpointIds.filter((endpointId) => !existing.has(endpointId));
  const parts = intoParts(watched);
  for (const [index, endpoints] of parts.entries()) {
    const isLast = index === parts.length - 1;
    const { revision, eventId } = isLast ? history.reached : place;
    const removedEndpointIds = isLast ? gone : [];
    const changes = { revision: BigInt(revision), eventId, endpoints, removedEndpointIds };
    yield { message: { $case: 'changes', value: changes }, format: WATCH_FORMAT };
  }
}

/** Splits endpoints over messages. There is at least one part, which may be empty. */
function intoParts(
  watched: readonly EndpointWithSecrets[],
): readonly (readonly subscriptionV1.WatchedEndpoint[])[] {
  const parts: subscriptionV1.WatchedEndpoint[][] = [[]];
  let sumBytes = 0;
  for (const message of watched.map(toWatchedEndpoint)) {
    const sizeBytes = subscriptionV1.WatchedEndpoint.encode(message).finish().length;
    if (sumBytes > 0 && sumBytes + sizeBytes > MAX_MESSAGE_BYTES) {
      parts.push([]);
      sumBytes = 0;
    }
    parts.at(-1)?.push(message);
    sumBytes += sizeBytes;
  }
  return parts;
}
