import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import type { ServiceError as GrpcError } from '@grpc/grpc-js';
import { fromJSON, loadFileDescriptorSetFromBuffer } from '@grpc/proto-loader';
import type { MethodDefinition, PackageDefinition } from '@grpc/proto-loader';
import { toCallFailure } from './call-failure.ts';

export interface CallOptions {
  readonly tenant?: string;
  readonly traceparent?: string;
  readonly timeoutMs?: number;
}

/**
 * A client that knows nothing of Billhook but an address: what can be called, and how, it asks the
 * server (gRPC reflection), as grpcurl does.
 */
export interface ReflectedClient {
  /** The names of the services at this address. */
  serviceNames(): Promise<readonly string[]>;
  /**
   * Calls a method, such as `billhook.invoice.v1.InvoiceService/GetInvoice`. Fields are written
   * `invoiceId`, enumerations by their names, 64-bit integers as numbers.
   *
   * @throws CallFailure with what the service says.
   */
  call<Response>(method: string, request: object, options?: CallOptions): Promise<Response>;
  /** Sends any bytes as the request. Returns the name of the status: `OK`, `INVALID_ARGUMENT`, ... */
  sendBytes(method: string, bytes: Uint8Array): Promise<string>;
  close(): void;
}

/** What is needed of `grpc.reflection.v1`; a set of descriptors has the wire form of its answer. */
const reflectionProtocol = fromJSON({
  nested: {
    ServerReflectionRequest: {
      fields: {
        fileContainingSymbol: { type: 'string', id: 4 },
        listServices: { type: 'string', id: 7 },
      },
    },
    ServerReflectionResponse: {
      fields: {
        fileDescriptorSet: { type: 'bytes', id: 4 },
        listServicesResponse: { type: 'ListServicesResponse', id: 6 },
      },
    },
    ListServicesResponse: {
      fields: { service: { rule: 'repeated', type: 'ServiceResponse', id: 1 } },
    },
    ServiceResponse: { fields: { name: { type: 'string', id: 1 } } },
    ServerReflection: {
      methods: {
        ServerReflectionInfo: {
          requestType: 'ServerReflectionRequest',
          requestStream: true,
          responseType: 'ServerReflectionResponse',
          responseStream: true,
          comment: '',
        },
      },
    },
  },
});

interface ReflectionResponse {
  readonly fileDescriptorSet?: Buffer;
  readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] };
}

const REFLECTION_PATH = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
const CALL_TIMEOUT_MS = 20_000;

/** Found again soon after a restart. */
const RECONNECT_BACKOFF_MS = { initial: 50, max: 200 } as const;

export interface ClientOptions {
  /**
   * How often a call is made while it is answered with UNAVAILABLE. Once, unless said otherwise: then it waits for a
   * connection, as after a restart.
   */
  readonly attempts?: number;
}

/**
 * Makes a client of the services at an address. It connects when it is first used.
 *
 * @param address one, or the comma list of several copies that share the calls.
 */
export function createReflectedClient(
  address: string,
  { attempts = 1 }: ClientOptions = {},
): ReflectedClient {
  const client = new Client(`ipv4:${address}`, credentials.createInsecure(), {
    'grpc.service_config': JSON.stringify(serviceConfig(attempts)),
    'grpc.service_config_disable_resolution': 1,
    'grpc.initial_reconnect_backoff_ms': RECONNECT_BACKOFF_MS.initial,
    'grpc.max_reconnect_backoff_ms': RECONNECT_BACKOFF_MS.max,
    'grpc.enable_http_proxy': 0,
  });
  const contracts = new Map<string, Promise<PackageDefinition>>();

  /** What a server said once holds for as long as it runs, and after a restart. */
  async function methodOf(path: string): Promise<MethodDefinition<unknown, object>> {
    const [service = '', name = ''] = path.split('/');
    const contract = contracts.get(service) ?? describeService(client, service);
    contracts.set(service, contract);
    contract.catch(() => contracts.delete(service));
    const method = Reflect.get((await contract)[service] ?? {}, name);
    if (method === undefined) throw new Error(`${address} has no method ${path}`);
    return method;
  }

  return {
    async serviceNames() {
      const answer = await reflect(client, { listServices: '*' });
      return answer.listServicesResponse?.service.map(({ name }) => name) ?? [];
    },
    async call<Response>(path: string, request: object, options: CallOptions = {}) {
      const method = await methodOf(path);
      const { promise, resolve, reject } = Promise.withResolvers<object>();
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        renameFields(request, toSnakeCase),
        toMetadata(options, attempts === 1),
        { deadline: Date.now() + (options.timeoutMs ?? CALL_TIMEOUT_MS) },
        settle(resolve, reject),
      );
      // oxlint-disable-next-line no-unsafe-type-assertion -- The caller names what the contract says.
      return renameFields(await promise, toCamelCase) as Response;
    },
    async sendBytes(path, bytes) {
      const { promise, resolve } = Promise.withResolvers<string>();
      client.makeUnaryRequest(
        `/${path}`,
        (request: Uint8Array) => Buffer.from(request),
        (response: Buffer) => response,
        bytes,
        { deadline: Date.now() + CALL_TIMEOUT_MS },
        (error) => resolve(status[error?.code ?? status.OK]),
      );
      return promise;
    },
    close: () => client.close(),
  };
}

/** As clients of Billhook should have it. gRPC takes a policy of two attempts or more. */
function serviceConfig(attempts: number): object {
  const retryPolicy = {
    maxAttempts: attempts,
    initialBackoff: '0.05s',
    maxBackoff: '0.5s',
    backoffMultiplier: 2,
    retryableStatusCodes: ['UNAVAILABLE'],
  };
  return {
    loadBalancingConfig: [{ round_robin: {} }],
    methodConfig: attempts > 1 ? [{ name: [{}], retryPolicy }] : [],
  };
}

async function describeService(client: Client, service: string): Promise<PackageDefinition> {
  const { fileDescriptorSet } = await reflect(client, { fileContainingSymbol: service });
  if (fileDescriptorSet === undefined) throw new Error(`reflection does not know ${service}`);
  return loadFileDescriptorSetFromBuffer(fileDescriptorSet, {
    longs: Number,
    enums: String,
    defaults: true,
    oneofs: true,
  });
}

function reflect(client: Client, question: object): Promise<ReflectionResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<ReflectionResponse>();
  const definition = Reflect.get(
    reflectionProtocol['ServerReflection'] ?? {},
    'ServerReflectionInfo',
  );
  const stream = client.makeBidiStreamRequest<object, ReflectionResponse>(
    REFLECTION_PATH,
    definition.requestSerialize,
    definition.responseDeserialize,
    { deadline: Date.now() + CALL_TIMEOUT_MS },
  );
  stream.on('data', resolve);
  stream.on('error', (error) => reject(toCallFailure(error)));
  stream.on('end', () => reject(new Error('reflection gave no answer')));
  stream.end(question);
  return promise;
}

function toMetadata({ tenant, traceparent }: CallOptions, waitForReady: boolean): Metadata {
  const metadata = new Metadata({ waitForReady });
  if (tenant !== undefined) metadata.set('billhook-tenant', tenant);
  if (traceparent !== undefined) metadata.set('traceparent', traceparent);
  return metadata;
}

function settle(resolve: (response: object) => void, reject: (error: unknown) => void) {
  return (error: GrpcError | null, response?: object) => {
    if (error !== null || response === undefined) reject(toCallFailure(error));
    else resolve(response);
  };
}

/** Descriptors name a field as the proto file does: `invoice_id`. */
function renameFields(value: unknown, rename: (name: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => renameFields(item, rename));
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [rename(name), renameFields(field, rename)]),
  );
}

function toSnakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function toCamelCase(name: string): string {
  return name.replaceAll(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}
