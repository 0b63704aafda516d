import type { BinaryReader } from '@bufbuild/protobuf/wire';

/** What went over the wire with a call, beside the request. */
export interface CallContext {
  readonly tenant: string;
  /** Aborted when the caller is gone, the deadline is past, or (for a stream) the server stops. */
  readonly signal: AbortSignal;
  /** Milliseconds since 1970; Infinity when the caller set none. */
  readonly deadlineMs: number;
  /** A valid W3C `traceparent`, if the caller sent one. */
  readonly traceparent: string | undefined;
}

/** Answers a call. A ServiceError reaches the caller; anything else is `INTERNAL` and logged. */
export type UnaryHandler<Request, Response> = (
  request: Request,
  context: CallContext,
) => Promise<Response>;

/**
 * Answers a call with a stream. The next message is asked for when the one before was handed to the
 * network. It has to end when the context's signal aborts.
 */
export type StreamHandler<Request, Response> = (
  request: Request,
  context: CallContext,
) => AsyncIterable<Response>;

/** A method as ts-proto generates it; Billhook has no calls that stream requests. */
export interface MethodDefinition<Request, Response> {
  readonly path: string;
  readonly requestStream: false;
  readonly responseStream: boolean;
  requestSerialize(value: Request): Buffer;
  requestDeserialize(value: Buffer): Request;
  responseSerialize(value: Response): Buffer;
  responseDeserialize(value: Buffer): Response;
}

type Handler<Method> =
  Method extends MethodDefinition<infer Request, infer Response>
    ? Method extends { readonly responseStream: true }
      ? StreamHandler<Request, Response>
      : UnaryHandler<Request, Response>
    : never;

/** One handler for each method of a generated service definition, such as `InvoiceServiceService`. */
export type Handlers<Definition> = {
  readonly [Name in keyof Definition]: Handler<Definition[Name]>;
};

/** A service with its handlers. The server knows nothing of their types: `implement` checks them. */
export interface ServedService {
  readonly definition: Readonly<Record<string, ServedMethod>>;
  readonly handlers: Readonly<Record<string, ServedHandler>>;
}

/** Any method: what goes in and comes out is known to its handler alone. */
export interface ServedMethod {
  readonly path: string;
  readonly requestStream: false;
  readonly responseStream: boolean;
  /** What ts-proto generates hands its argument to `decode`, which takes a reader as well. */
  requestDeserialize(value: Buffer | BinaryReader): unknown;
  responseSerialize(value: unknown): Buffer;
}

/** The form of a method lets functions stand here whatever their request is. */
export type ServedHandler = {
  handle(request: unknown, context: CallContext): Promise<unknown> | AsyncIterable<unknown>;
}['handle'];

/** Pairs a generated service definition with its handlers. */
export function implement<Definition extends ServedService['definition']>(
  definition: Definition,
  handlers: Handlers<Definition> & ServedService['handlers'],
): ServedService {
  return { definition, handlers };
}
