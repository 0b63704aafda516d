import { setTimeout as sleep } from 'node:timers/promises';
import { Server, ServerCredentials, setLogger } from '@grpc/grpc-js';
import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { createMonitoring } from '@billhook/metrics';
import type { Monitoring } from '@billhook/metrics';
import { ConfigurationError } from '@billhook/runtime';
import type { Address, Log } from '@billhook/runtime';
import { createCalls } from './calls.ts';
import type { Calls } from './calls.ts';
import { addReflection } from './reflection.ts';
import type { ServedService } from './service.ts';

export interface GrpcServerOptions {
  readonly address: Address;
  readonly services: readonly ServedService[];
  readonly log: Log;
  /** Where its calls are shown; nowhere unless given. */
  readonly monitoring?: Monitoring;
}

export interface GrpcServer {
  /** `host:port` on which it listens, with the port that was given for port 0. */
  readonly address: string;
  /** What `grpc.health.v1.Health` answers: for the server as a whole, and for each service. */
  setServing(serving: boolean): void;
  /** What health answers for something that is no service of its own, such as `billhook.relay`. */
  setHealth(name: string, serving: boolean): void;
  /**
   * Takes no more calls, ends the streams, waits for the calls under way, and closes.
   *
   * @param timeoutMs after which the calls that are left are cut off.
   */
  stop(timeoutMs: number): Promise<void>;
}

/** A larger request is `RESOURCE_EXHAUSTED`. An event is at most 64 KiB. */
export const MAX_REQUEST_BYTES = 1024 * 1024;

/** Of one connection; a client queues what exceeds it. */
const MAX_CONCURRENT_CALLS = 4_096;

/** A connection whose client is gone without a word is closed after both. */
const KEEPALIVE_TIME_MS = 15_000;
const KEEPALIVE_TIMEOUT_MS = 5_000;

/**
 * Connections are replaced now and then: a client looks again where copies are only when it connects, and
 * would not see those that were added. Calls and streams under way end as they would have.
 */
const MAX_CONNECTION_AGE_MS = 300_000;

/** For last answers to leave, once only health watches and reflection are left. */
const FLUSH_MS = 500;

const keepBytes = (bytes: Buffer) => bytes;

const bytesOnly = {
  requestSerialize: keepBytes,
  requestDeserialize: keepBytes,
  responseSerialize: keepBytes,
  responseDeserialize: keepBytes,
};

/** The name under which health speaks of the server as a whole. */
const WHOLE_SERVER = '';

/**
 * Starts a gRPC server with health and reflection. It is serving when this resolves.
 *
 * @throws ConfigurationError when it cannot listen on the address.
 */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  keepQuiet(options.log);
  const server = new Server({
    'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
    'grpc.max_concurrent_streams': MAX_CONCURRENT_CALLS,
    'grpc.keepalive_time_ms': KEEPALIVE_TIME_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    'grpc.max_connection_age_ms': MAX_CONNECTION_AGE_MS,
  });
  const { log, monitoring = createMonitoring() } = options;
  const calls = createCalls({ log, monitoring });
  for (const service of options.services) {
    addService(server, service, calls);
  }
  const serviceNames = options.services.map(nameOf);
  const health = new HealthImplementation();
  health.addToServer(server);
  addReflection(server, serviceNames);

  const setHealth = (name: string, serving: boolean) => {
    health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
  };
  const setServing = (serving: boolean) => {
    for (const name of [WHOLE_SERVER, ...serviceNames]) setHealth(name, serving);
  };
  const port = await listen(server, options.address);
  setServing(true);
  return {
    address: options.address.text.replace(/\d+$/, String(port)),
    setServing,
    setHealth,
    stop: async (timeoutMs) => {
      setServing(false);
      calls.endStreams();
      await close(server, calls, timeoutMs);
    },
  };
}

/** grpc-js writes to the console by itself, mostly what the errors that it raises say as well. */
function keepQuiet(log: Log): void {
  const write = (...parts: readonly unknown[]) => log.debug({ parts }, 'grpc-js');
  setLogger({ error: write, info: write, debug: write });
}

/** grpc-js passes bytes on both ways: requests are decoded, and errors explained, in one place. */
function addService(server: Server, service: ServedService, calls: Calls): void {
  const methods = Object.entries(service.definition);
  const definition = methods.map(([name, { path, responseStream }]) => [
    name,
    { path, requestStream: false, responseStream, ...bytesOnly },
  ]);
  const implementation: UntypedServiceImplementation = {};
  for (const [name, method] of methods) {
    const handler = service.handlers[name];
    if (handler === undefined) {
      throw new Error(`${method.path} has no handler`);
    }
    implementation[name] = method.responseStream
      ? calls.answerStream(method, handler)
      : calls.answerUnary(method, handler);
  }
  server.addService(Object.fromEntries(definition), implementation);
}

/** Such as `billhook.invoice.v1.InvoiceService`: the paths of the methods begin with it. */
function nameOf(service: ServedService): string {
  return Object.values(service.definition)[0]?.path.split('/')[1] ?? '';
}

/** @returns the port, which the system chooses for port 0. */
function listen(server: Server, address: Address): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address.text, ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) {
        resolve(port);
      } else {
        const reason = explainBindError(error);
        const message = `Billhook cannot listen on ${address.text}: ${reason}.`;
        reject(new ConfigurationError(message, { cause: error }));
      }
    });
  });
}

/** grpc-js hides the system's error code in a text. */
function explainBindError(error: Error): string {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: 'another process listens there already',
    EADDRNOTAVAIL: 'this machine has no such address',
    EACCES: 'the system does not allow it',
  };
  const code = /\bE[A-Z]{3,}\b/.exec(error.message)?.[0];
  return (code === undefined ? undefined : reasons[code]) ?? error.message;
}

/** Connections close by themselves when their calls have ended; those left are cut off. */
async function close(server: Server, calls: Calls, timeoutMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  const timer = new AbortController();
  const waiting = { signal: timer.signal };
  try {
    await Promise.race([
      closed,
      calls.drained().then(() => sleep(FLUSH_MS, undefined, waiting)),
      sleep(timeoutMs, undefined, waiting),
    ]);
  } finally {
    timer.abort();
  }
  server.forceShutdown();
}
