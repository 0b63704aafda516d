import { Client } from '@grpc/grpc-js';
import type { CallOptions, ClientUnaryCall, Metadata, ServiceError } from '@grpc/grpc-js';
import { call, createGrpcClient } from '@billhook/grpc';

/** Whether a server serves, asked by `grpc.health.v1.Health`. */
export interface HealthProbe {
  /** @returns false as well when there is no answer in time. It never rejects. */
  isServing(timeoutMs: number, signal?: AbortSignal): Promise<boolean>;
  close(): void;
}

/** The one method that is used of `grpc.health.v1.Health`, for the server as a whole. */
const healthService = {
  check: {
    path: '/grpc.health.v1.Health/Check',
    requestStream: false,
    responseStream: false,
    /** The only field of a request is the service's name, which is empty for the whole server. */
    requestSerialize: (_request: object) => Buffer.alloc(0),
    requestDeserialize: (_bytes: Buffer): object => ({}),
    responseSerialize: (isServing: boolean) => (isServing ? servingResponse : Buffer.alloc(0)),
    responseDeserialize: (bytes: Buffer) => bytes.equals(servingResponse),
  },
} as const;

/** The only field of a response is the status, and SERVING is 1: field 1, a varint of 1. */
const servingResponse = Buffer.of(0x08, 0x01);

class HealthClient extends Client {
  static readonly service = healthService;
  static readonly serviceName = 'grpc.health.v1.Health';

  check(
    request: object,
    metadata: Metadata,
    options: CallOptions,
    callback: (error: ServiceError | null, isServing?: boolean) => void,
  ): ClientUnaryCall {
    const { path, requestSerialize, responseDeserialize } = healthService.check;
    return this.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      options,
      callback,
    );
  }
}

/** @param target the same as that of the service's own client, so that they share connections. */
export function createHealthProbe(target: string): HealthProbe {
  const client = createGrpcClient(HealthClient, target, { retryable: ['check'] });
  return {
    isServing: async (timeoutMs, signal) => {
      try {
        return await call(client.check, {}, signal ? { timeoutMs, signal } : { timeoutMs });
      } catch {
        return false;
      }
    },
    close: () => client.close(),
  };
}
