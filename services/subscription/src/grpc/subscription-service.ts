import { subscriptionV1 } from '@billhook/contracts';
import type { EventStore, Stream } from '@billhook/event-store';
import { encodePageToken, implement } from '@billhook/grpc';
import type { CallContext, Handlers, ServedService } from '@billhook/grpc';
import type { RequireReachable } from '../dns/destinations.ts';
import { endpointNotFound } from '../domain/decide.ts';
import type { EndpointCommand } from '../domain/decide.ts';
import type { Endpoint, EndpointEvent, EndpointKey, Subscription } from '../domain/endpoint.ts';
import { toEndpointMessage, toSubscriptionMessage } from '../protobuf/endpoint-message.ts';
import { writeTimestampMs } from '@billhook/contracts';
import type { DeliveryStatus } from './delivery-status.ts';
import { createEndpointId } from './endpoint-ids.ts';
import { readUpdate } from './endpoint-update.ts';
import {
  optionalFailingSinceMs,
  optionalFilter,
  readEndpointPage,
  readOverlapMs,
  readSubscriptionPage,
  requireDisabledReason,
  requireEndpointId,
  requireEvent,
  requireRevision,
  requireUrl,
} from './fields.ts';
import type { Page } from './fields.ts';
import { watchEndpoints } from './watch.ts';
import type { WatchDeps } from './watch.ts';

/** A command on its way to the endpoint that it is meant for. */
export interface AddressedCommand extends Stream {
  /** The endpoint's id; with a command that names a URL, the id that a new endpoint gets. */
  readonly streamId: string;
  readonly command: EndpointCommand;
}

/** What became of a command that was accepted. */
export interface CommandAnswer {
  /** As the command left it; a removed one as it was before. */
  readonly endpoint: Endpoint;
  readonly events: readonly EndpointEvent[];
  /** Only when the command made one. It is shown to the caller, and to nobody else ever. */
  readonly newSecret: string | undefined;
}

/** Reads endpoints and subscriptions as they are. */
export interface EndpointReader {
  get(key: EndpointKey): Promise<Endpoint | undefined>;
  /** In the order of their ids. */
  list(range: EndpointRange): Promise<readonly Endpoint[]>;
  /** In the order of endpoint and event name. */
  listSubscriptions(range: SubscriptionRange): Promise<readonly ListedSubscription[]>;
  /** The position of the whole set, with everything that was committed before the call. */
  revision(): Promise<bigint>;
}

export interface EndpointRange {
  readonly tenant: string;
  readonly after: string | null;
  readonly limit: number;
}

/** A subscription with its endpoint. */
export interface ListedSubscription extends Subscription {
  readonly endpointId: string;
  readonly url: string;
}

export interface SubscriptionRange {
  readonly tenant: string;
  /** Only what comes after this one; `null` for the start. */
  readonly after: { readonly endpointId: string; readonly event: string } | null;
  readonly limit: number;
}

export interface SubscriptionServiceDeps {
  readonly store: EventStore<AddressedCommand, CommandAnswer>;
  readonly reader: EndpointReader;
  /** The longest time-out that an endpoint may have. */
  readonly maxTimeoutMs: number;
  readonly requireReachable: RequireReachable;
  readonly deliveryStatus: Pick<DeliveryStatus, 'read'>;
  readonly watch: WatchDeps;
}

/** Answers the calls of `billhook.subscription.v1.SubscriptionService`. */
export function createSubscriptionService(deps: SubscriptionServiceDeps): ServedService {
  const handlers: Handlers<typeof subscriptionV1.SubscriptionServiceService> = {
    ...createRegistrations(deps),
    ...createReading(deps),
    ...createChanges(deps),
    watch: (request, { signal }) => watchEndpoints(deps.watch, request, signal),
  };
  return implement(subscriptionV1.SubscriptionServiceService, handlers);
}

type AllHandlers = Handlers<typeof subscriptionV1.SubscriptionServiceService>;

function createRegistrations(
  deps: SubscriptionServiceDeps,
): Pick<AllHandlers, 'register' | 'unregister'> {
  const execute = createExecute(deps);
  return {
    register: async (request, context) => {
      const event = requireEvent(request.event);
      const { url, hostname } = requireUrl(request.url);
      const filter = optionalFilter(request.filter);
      await deps.requireReachable({ url, hostname });
      const target = createEndpointId();
      const answer = await execute(target, { kind: 'register', event, url, filter }, context);
      const { endpoint, newSecret } = answer;
      const subscription = endpoint.subscriptions.find((each) => each.event === event);
      return {
        endpoint: toEndpointMessage(endpoint),
        subscription: subscription && toSubscriptionMessage(endpoint, subscription),
        secret: newSecret ?? '',
      };
    },
    unregister: async (request, context) => {
      const event = requireEvent(request.event);
      const { url } = requireUrl(request.url);
      const target = createEndpointId();
      const answer = await execute(target, { kind: 'unregister', event, url }, context);
      const { endpoint, events } = answer;
      const endpointRemoved = events.some(({ type }) => type === 'endpoint_removed');
      return { endpointId: endpoint.endpointId, url, endpointRemoved };
    },
  };
}

function createReading({
  reader,
  deliveryStatus,
}: SubscriptionServiceDeps): Pick<
  AllHandlers,
  'getEndpoint' | 'listEndpoints' | 'listSubscriptions' | 'getRevision'
> {
  return {
    getEndpoint: async (request, { tenant }) => {
      const endpointId = requireEndpointId(request.endpointId);
      const endpoint = await reader.get({ tenant, endpointId });
      if (endpoint === undefined) {
        throw endpointNotFound();
      }
      const delivery = await deliveryStatus.read(endpointId, tenant);
      return { endpoint: toEndpointMessage(endpoint), delivery };
    },
    listEndpoints: async (request, { tenant }) => {
      const page = readEndpointPage(request, tenant);
      const found = await reader.list({ tenant, after: page.after, limit: page.size + 1 });
      const { shown, nextPageToken } = cut(page, found, ({ endpointId }) => [endpointId]);
      return { endpoints: shown.map(toEndpointMessage), nextPageToken };
    },
    listSubscriptions: async (request, { tenant }) => {
      const page = readSubscriptionPage(request, tenant);
      const range = { tenant, after: page.after, limit: page.size + 1 };
      const found = await reader.listSubscriptions(range);
      const { shown, nextPageToken } = cut(page, found, (each) => [each.endpointId, each.event]);
      return {
        subscriptions: shown.map((each) => toSubscriptionMessage(each, each)),
        nextPageToken,
      };
    },
    getRevision: async () => ({ revision: await reader.revision() }),
  };
}

type ChangeHandlers = Pick<
  AllHandlers,
  | 'updateEndpoint'
  | 'pauseEndpoint'
  | 'resumeEndpoint'
  | 'enableEndpoint'
  | 'disableEndpoint'
  | 'rotateSecret'
>;

function createChanges(deps: SubscriptionServiceDeps): ChangeHandlers {
  const execute = createExecute(deps);
  const change = async (text: string, command: EndpointCommand, context: CallContext) => {
    const { endpoint } = await execute(requireEndpointId(text), command, context);
    return { endpoint: toEndpointMessage(endpoint) };
  };
  return {
    updateEndpoint: async (request, context) => {
      requireEndpointId(request.endpointId);
      const { changes, url } = readUpdate(request, deps);
      if (url !== undefined) {
        await deps.requireReachable(url);
      }
      return change(request.endpointId, { kind: 'update', changes }, context);
    },
    pauseEndpoint: ({ endpointId }, context) => change(endpointId, { kind: 'pause' }, context),
    resumeEndpoint: ({ endpointId }, context) => change(endpointId, { kind: 'resume' }, context),
    enableEndpoint: ({ endpointId }, context) => change(endpointId, { kind: 'enable' }, context),
    disableEndpoint: async (request, context) => {
      const reason = requireDisabledReason(request.reason);
      const revision = requireRevision(request.revision);
      const failingSinceMs = optionalFailingSinceMs(request.failingSinceTime);
      const command = { kind: 'disable', reason, revision, failingSinceMs } as const;
      return change(request.endpointId, command, context);
    },
    rotateSecret: async (request, context) => {
      const target = requireEndpointId(request.endpointId);
      const overlapMs = readOverlapMs(request.overlap);
      const answer = await execute(target, { kind: 'rotate_secret', overlapMs }, context);
      const { endpoint, events, newSecret = '' } = answer;
      const rotated = events.find((event) => event.type === 'secret_rotated');
      const validUntilMs = rotated?.previousValidUntilMs;
      return {
        endpoint: toEndpointMessage(endpoint),
        secret: newSecret,
        previousValidUntil: validUntilMs === undefined ? undefined : writeTimestampMs(validUntilMs),
      };
    },
  };
}

/** What a command takes of the queue beside its texts. */
const COMMAND_BYTES = 256;

/** Hands a command to the store, which answers once it is durable or refused. */
function createExecute({ store }: SubscriptionServiceDeps) {
  return (
    streamId: string,
    command: EndpointCommand,
    context: CallContext,
  ): Promise<CommandAnswer> =>
    store.execute({
      command: { tenant: context.tenant, streamId, command },
      bytes: COMMAND_BYTES + JSON.stringify(command).length,
      deadlineMs: context.deadlineMs,
      signal: context.signal,
      ...(context.traceparent === undefined ? {} : { traceparent: context.traceparent }),
    });
}

/** What the entries of a page may hold together; clients take messages of up to 4 MiB. */
const MAX_PAGE_BYTES = 1024 * 1024;

/** Cuts a list that was read one entry too far, or holds too much for a message. */
function cut<Entry>(
  page: Page<unknown>,
  found: readonly Entry[],
  tokenOf: (entry: Entry) => readonly string[],
): { readonly shown: readonly Entry[]; readonly nextPageToken: string } {
  let sumBytes = 0;
  const end = found.findIndex((entry, index) => {
    sumBytes += JSON.stringify(entry).length;
    return index === page.size || (index > 0 && sumBytes > MAX_PAGE_BYTES);
  });
  const shown = end === -1 ? found : found.slice(0, end);
  const last = shown.at(-1);
  const nextPageToken =
    end === -1 || last === undefined ? '' : encodePageToken(page.scope, tokenOf(last));
  return { shown, nextPageToken };
}
