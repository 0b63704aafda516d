import { credentials, Metadata } from '@grpc/grpc-js';
import type {
  ChannelCredentials,
  Client,
  ClientOptions,
  ClientReadableStream,
  ClientUnaryCall,
  ServiceError as GrpcError,
} from '@grpc/grpc-js';
import { TENANT_METADATA_KEY, TRACEPARENT_METADATA_KEY } from './call-context.ts';
import { toChannelTarget } from './copies.ts';
import { cancelledError, toRemoteError } from './remote-error.ts';
import type { MethodDefinition } from './service.ts';

/** A method of a client, for `call`. */
export type UnaryMethod<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: { readonly deadline: number },
  callback: (error: GrpcError | null, response?: Response) => void,
) => ClientUnaryCall;

/** A method of a client, for `openStream`. */
export type StreamMethod<Request, Response> = (
  request: Request,
  metadata: Metadata,
) => ClientReadableStream<Response>;

type Method<Definition> =
  Definition extends MethodDefinition<infer Request, infer Response>
    ? Definition extends { readonly responseStream: true }
      ? StreamMethod<Request, Response>
      : UnaryMethod<Request, Response>
    : never;

/** The methods of a service, to be given to `call` and `openStream`. */
export type GrpcClient<Definition> = {
  readonly [Name in keyof Definition]: Method<Definition[Name]>;
} & { close(): void };

/** A client class as ts-proto generates it, such as `InvoiceServiceClient`. */
interface ClientClass<Definition> {
  new (address: string, credentials: ChannelCredentials, options?: Partial<ClientOptions>): Client;
  readonly service: Definition;
  readonly serviceName: string;
}

export interface CallOptions {
  readonly tenant?: string;
  /** From now to the answer, with all repeats. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly traceparent?: string;
}

export type StreamOptions = Omit<CallOptions, 'timeoutMs'>;

export interface ClientSettings<Definition> {
  /** Methods that may be repeated on `UNAVAILABLE`: they are idempotent or carry a `request_id`. */
  readonly retryable: readonly (keyof Definition & string)[];
  /** A larger answer is `RESOURCE_EXHAUSTED`; 4 MiB unless given. */
  readonly maxAnswerBytes?: number;
}

/** What gRPC clients take by default. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/** A copy that is gone without a word is noticed after both. */
const KEEPALIVE_TIME_MS = 10_000;
const KEEPALIVE_TIMEOUT_MS = 5_000;

/** A copy that restarts is found again this soon. */
const RECONNECT_BACKOFF_MS = { initial: 100, max: 2_000 } as const;
const RESOLUTION_INTERVAL_MS = 5_000;

/** All attempts together wait well below a second, so that a service that is away is soon known. */
const retryPolicy = {
  maxAttempts: 4,
  initialBackoff: '0.05s',
  maxBackoff: '0.5s',
  backoffMultiplier: 2,
  retryableStatusCodes: ['UNAVAILABLE'],
} as const;

/**
 * Makes a client that spreads its calls over the copies of a service, round robin.
 *
 * @param target one address or several: the `target` of an AddressList.
 */
export function createGrpcClient<Definition extends object>(
  clientClass: ClientClass<Definition>,
  target: string,
  options: ClientSettings<Definition>,
): GrpcClient<Definition> {
  const client = new clientClass(toChannelTarget(target), credentials.createInsecure(), {
    'grpc.service_config': JSON.stringify(serviceConfig(clientClass, options.retryable)),
    'grpc.service_config_disable_resolution': 1,
    'grpc.max_receive_message_length': options.maxAnswerBytes ?? MAX_ANSWER_BYTES,
    'grpc.keepalive_time_ms': KEEPALIVE_TIME_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.initial_reconnect_backoff_ms': RECONNECT_BACKOFF_MS.initial,
    'grpc.max_reconnect_backoff_ms': RECONNECT_BACKOFF_MS.max,
    'grpc.dns_min_time_between_resolutions_ms': RESOLUTION_INTERVAL_MS,
    // The services are called directly, whatever proxy the environment names for the outside.
    'grpc.enable_http_proxy': 0,
    // It would count every call for nobody.
    'grpc.enable_channelz': 0,
  });
  // The generated methods are looked up by name, and bound, so that they can be handed to `call`.
  const methods: Record<string, unknown> = { close: () => client.close() };
  for (const name of Object.keys(clientClass.service)) {
    methods[name] = Reflect.get(client, name).bind(client);
  }
  // oxlint-disable-next-line no-unsafe-type-assertion -- TypeScript cannot follow the names.
  return methods as GrpcClient<Definition>;
}

/**
 * Calls a method and waits for its answer.
 *
 * @throws RemoteError when there is none, with the reason and the fields that the service named.
 */
export async function call<Request, Response>(
  method: UnaryMethod<Request, Response>,
  request: Request,
  options: CallOptions,
): Promise<Response> {
  const { signal } = options;
  if (signal?.aborted === true) {
    throw cancelledError(signal.reason);
  }
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  const deadline = Date.now() + options.timeoutMs;
  const running = method(request, createMetadata(options), { deadline }, (error, response) => {
    if (error !== null || response === undefined) {
      reject(toRemoteError(error));
    } else {
      resolve(response);
    }
  });
  const cancel = () => running.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    return await promise;
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}

/**
 * Opens a stream when the first message is asked for. The sender is held back while messages wait to
 * be taken. Leaving the loop cancels the stream, and so does the signal.
 *
 * @throws RemoteError when the stream breaks or is cancelled.
 */
export async function* openStream<Request, Response>(
  method: StreamMethod<Request, Response>,
  request: Request,
  options: StreamOptions = {},
): AsyncGenerator<Response, void, undefined> {
  const { signal } = options;
  if (signal?.aborted === true) {
    throw cancelledError(signal.reason);
  }
  const stream: AsyncIterable<Response> & ClientReadableStream<Response> = method(
    request,
    createMetadata(options),
  );
  const cancel = () => stream.cancel();
  // A cancelled stream still says so, when nobody reads it any more.
  stream.on('error', () => undefined);
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    yield* stream;
  } catch (error) {
    throw toRemoteError(error);
  } finally {
    signal?.removeEventListener('abort', cancel);
    cancel();
  }
}

function serviceConfig(
  { serviceName }: { readonly serviceName: string },
  retryable: readonly string[],
): object {
  // A method of the client is `getInvoice` where the contract says `GetInvoice`.
  const names = retryable.map((name) => ({
    service: serviceName,
    method: `${name.charAt(0).toUpperCase()}${name.slice(1)}`,
  }));
  return {
    loadBalancingConfig: [{ round_robin: {} }],
    methodConfig: names.length === 0 ? [] : [{ name: names, retryPolicy }],
  };
}

function createMetadata(options: StreamOptions): Metadata {
  const metadata = new Metadata();
  if (options.tenant !== undefined) {
    metadata.set(TENANT_METADATA_KEY, options.tenant);
  }
  if (options.traceparent !== undefined) {
    metadata.set(TRACEPARENT_METADATA_KEY, options.traceparent);
  }
  return metadata;
}
