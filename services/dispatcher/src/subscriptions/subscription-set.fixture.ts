import { setTimeout as sleep } from 'node:timers/promises';
import { readTimestampMs, subscriptionV1 } from '@billhook/contracts';
import { implement, startGrpcServer } from '@billhook/grpc';
import type { Handlers } from '@billhook/grpc';
import { createLog } from '@billhook/runtime';
import { changes, endpoint, snapshot } from './messages.fixture.ts';

type Definition = typeof subscriptionV1.SubscriptionServiceService;

/** A set of endpoints behind a real gRPC server, whose answers a test can hold back. */
export interface SubscriptionSet {
  readonly port: number;
  /** How often each call was made. */
  readonly revisionCalls: () => number;
  readonly watchRequests: readonly subscriptionV1.WatchRequest[];
  register(endpointId: string): void;
  /** Registers an endpoint, or changes it. */
  put(endpoint: subscriptionV1.WatchedEndpoint): void;
  unregister(endpointId: string): void;
  /** The reports on endpoints. */
  readonly reports: readonly Report[];
  /** Forgets what happened: the same revisions stand for other events from now on. */
  rewriteHistory(): void;
  /** The next answer to GetRevision is read at once but sent only when the result is called. */
  holdNextRevision(): () => void;
  /** The streams that are open send nothing any more. */
  stallOpenStreams(): void;
  /** A chunk of a snapshot holds one endpoint and waits so long. */
  slowSnapshots(delayMs: number): void;
  /** The open streams end with a message that makes no sense. */
  sendNonsense(): void;
  breakStreams(): void;
  stop(): Promise<void>;
}

export interface Report {
  readonly revision: number;
  readonly failingSinceMs: number | undefined;
}

interface Stream {
  stalled: boolean;
  broken: boolean;
  nonsense: boolean;
  wake: () => void;
}

/** Starts the server on a port of loopback; 0 lets the system choose. */
export async function startSubscriptionSet(port = 0): Promise<SubscriptionSet> {
  const endpoints = new Map<string, subscriptionV1.WatchedEndpoint>();
  const history: subscriptionV1.WatchResponse[] = [];
  const watchRequests: subscriptionV1.WatchRequest[] = [];
  const reports: Report[] = [];
  const streams = new Set<Stream>();
  let revisionCalls = 0;
  let held: Promise<void> | undefined;
  let chunkDelayMs = 0;

  function append(message: (revision: number) => subscriptionV1.WatchResponse): void {
    history.push(message(history.length + 1));
    for (const stream of streams) stream.wake();
  }

  function put(changed: subscriptionV1.WatchedEndpoint): void {
    endpoints.set(changed.endpointId, changed);
    append((revision) => changes(revision, [changed]));
  }

  async function* sendSlowly(): AsyncGenerator<subscriptionV1.WatchResponse> {
    const revision = history.length;
    const all = [...endpoints.values()];
    for (const [index, each] of all.entries()) {
      await sleep(chunkDelayMs);
      yield snapshot(revision, [each], { first: index === 0, last: index === all.length - 1 });
    }
  }

  async function* watch(
    request: subscriptionV1.WatchRequest,
    { signal }: { readonly signal: AbortSignal },
  ): AsyncGenerator<subscriptionV1.WatchResponse> {
    watchRequests.push(request);
    const stream: Stream = { stalled: false, broken: false, nonsense: false, wake: () => {} };
    streams.add(stream);
    signal.addEventListener('abort', () => stream.wake(), { once: true });
    try {
      let sent = Number(request.revision);
      if (sent === 0 || eventIdOf(history[sent - 1]) !== request.eventId) {
        sent = history.length;
        if (chunkDelayMs > 0) yield* sendSlowly();
        else yield snapshotOf(history, [...endpoints.values()]);
      }
      while (!signal.aborted && !stream.broken) {
        if (stream.nonsense) yield { message: undefined, format: 0 };
        const next = stream.stalled ? undefined : history[sent];
        if (next !== undefined) {
          sent += 1;
          yield next;
          continue;
        }
        await new Promise<void>((resolve) => {
          stream.wake = resolve;
        });
      }
    } finally {
      streams.delete(stream);
    }
  }

  const server = await startGrpcServer({
    address: { host: '127.0.0.1', port, text: `127.0.0.1:${port}` },
    log: createLog({ level: 'silent', service: 'test' }),
    services: [
      implement<Definition>(subscriptionV1.SubscriptionServiceService, {
        ...unusedHandlers,
        watch,
        async getRevision() {
          revisionCalls += 1;
          const revision = BigInt(history.length);
          const waiting = held;
          held = undefined;
          await waiting;
          return { revision };
        },
        async disableEndpoint({ endpointId, revision, failingSinceTime: since }) {
          const failingSinceMs = since && readTimestampMs(since);
          reports.push({ revision: Number(revision), failingSinceMs });
          const known = endpoints.get(endpointId);
          const state = subscriptionV1.EndpointState.ENDPOINT_STATE_DISABLED;
          if (known !== undefined) put({ ...known, state });
          return { endpoint: subscriptionV1.Endpoint.fromPartial({ endpointId, state }) };
        },
      }),
    ],
  });

  return {
    port: Number(server.address.split(':').at(-1)),
    revisionCalls: () => revisionCalls,
    watchRequests,
    reports,
    register: (endpointId) => put(endpoint({ endpointId, events: { '*': 1 } })),
    put,
    unregister(endpointId) {
      endpoints.delete(endpointId);
      append((revision) => changes(revision, [], [endpointId]));
    },
    rewriteHistory() {
      history.forEach((message, index) => {
        history[index] = withEventId(message, `evt_other_${index + 1}`);
      });
    },
    holdNextRevision() {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = promise;
      return resolve;
    },
    stallOpenStreams: () => streams.forEach((stream) => (stream.stalled = true)),
    slowSnapshots(delayMs) {
      chunkDelayMs = delayMs;
    },
    sendNonsense() {
      for (const stream of streams) {
        stream.nonsense = true;
        stream.wake();
      }
    },
    breakStreams() {
      for (const stream of streams) {
        stream.broken = true;
        stream.wake();
      }
    },
    stop: () => server.stop(100),
  };
}

function snapshotOf(
  history: readonly subscriptionV1.WatchResponse[],
  endpoints: readonly subscriptionV1.WatchedEndpoint[],
): subscriptionV1.WatchResponse {
  const made = snapshot(history.length, endpoints);
  return withEventId(made, eventIdOf(history.at(-1)));
}

function eventIdOf(message: subscriptionV1.WatchResponse | undefined): string {
  return message?.message?.value.eventId ?? '';
}

function withEventId(
  response: subscriptionV1.WatchResponse,
  eventId: string,
): subscriptionV1.WatchResponse {
  const { message, format } = response;
  if (message === undefined) return response;
  return message.$case === 'changes'
    ? { message: { $case: 'changes', value: { ...message.value, eventId } }, format }
    : { message: { $case: 'snapshot', value: { ...message.value, eventId } }, format };
}

function unused(): Promise<never> {
  return Promise.reject(new Error('the dispatcher does not call this'));
}

const unusedHandlers: Omit<Handlers<Definition>, 'watch' | 'getRevision' | 'disableEndpoint'> = {
  register: unused,
  unregister: unused,
  listSubscriptions: unused,
  getEndpoint: unused,
  listEndpoints: unused,
  updateEndpoint: unused,
  pauseEndpoint: unused,
  resumeEndpoint: unused,
  enableEndpoint: unused,
  rotateSecret: unused,
};
