import { once } from 'node:events';
import type { EventEmitter } from 'node:events';
import type {
  Deadline,
  handleServerStreamingCall,
  handleUnaryCall,
  Metadata,
  ServerWritableStream,
  StatusObject,
} from '@grpc/grpc-js';
import type { Monitoring } from '@billhook/metrics';
import { ServiceError } from '@billhook/runtime';
import type { Log } from '@billhook/runtime';
import { readTenant, readTraceparent } from './call-context.ts';
import { createCallMeter } from './call-metrics.ts';
import type { CallMeter } from './call-metrics.ts';
import { decodeRequest } from './request.ts';
import type { CallContext, ServedHandler, ServedMethod } from './service.ts';
import { toStatus } from './status.ts';

/** What a call of either kind tells of itself. */
type AnyCall = EventEmitter & { readonly metadata: Metadata; getDeadline(): Deadline };

type StreamCall = ServerWritableStream<Buffer, Buffer>;

/** The calls that a server is answering. */
export interface Calls {
  answerUnary(method: ServedMethod, handler: ServedHandler): handleUnaryCall<Buffer, Buffer>;
  answerStream(
    method: ServedMethod,
    handler: ServedHandler,
  ): handleServerStreamingCall<Buffer, Buffer>;
  /** Ends the streams, which would go on for ever, with `UNAVAILABLE`. */
  endStreams(): void;
  /** Resolves when the calls that are under way now have been answered. */
  drained(): Promise<void>;
}

/** Makes the bridge between grpc-js, which sees bytes only, and the handlers. */
export function createCalls(deps: { readonly log: Log; readonly monitoring: Monitoring }): Calls {
  const { log, monitoring } = deps;
  const active = new Set<Promise<void>>();
  const streams = new Set<AbortController>();
  let ending = false;

  const track = (answer: Promise<void>) => {
    const tracked = answer.finally(() => active.delete(tracked));
    active.add(tracked);
  };

  const sendStream = async (
    call: StreamCall,
    { method, handler }: Answering,
    abort: AbortController,
  ) => {
    streams.add(abort);
    try {
      if (ending) {
        throw stoppingError();
      }
      const request = decodeRequest(method, call.request);
      for await (const message of asStream(handler(request, readContext(call, abort.signal)))) {
        await write(call, method.responseSerialize(message), abort.signal);
      }
      abort.signal.throwIfAborted();
      call.end();
    } finally {
      streams.delete(abort);
    }
  };

  return {
    answerUnary: (method, handler) => {
      const answering = { method, handler, log, meter: createCallMeter(monitoring, method) };
      return (call, callback) => {
        const work = async ({ signal }: AbortController) => {
          const request = decodeRequest(method, call.request);
          const response = await handler(request, readContext(call, signal));
          callback(null, method.responseSerialize(response));
        };
        track(carryOut(call, answering, { work, fail: callback }));
      };
    },
    answerStream: (method, handler) => {
      const answering = { method, handler, log, meter: createCallMeter(monitoring, method) };
      return (call) => {
        const work = (abort: AbortController) => sendStream(call, answering, abort);
        const fail = (error: StatusObject & Error) => call.emit('error', error);
        track(carryOut(call, answering, { work, fail }));
      };
    },
    endStreams: () => {
      ending = true;
      for (const abort of streams) {
        abort.abort(stoppingError());
      }
    },
    drained: async () => {
      await Promise.all(active);
    },
  };
}

/** A method with what answers it and what counts its calls. */
interface Answering {
  readonly method: ServedMethod;
  readonly handler: ServedHandler;
  readonly meter: CallMeter;
  readonly log: Log;
}

/** Does the work of a call. What it throws is explained to the caller. */
async function carryOut(
  call: AnyCall,
  { method, meter, log }: Answering,
  how: {
    readonly work: (abort: AbortController) => Promise<void>;
    readonly fail: (error: StatusObject & Error) => void;
  },
): Promise<void> {
  const { abort, release } = abortWithCall(call);
  const { signal } = abort;
  const ended = meter();
  try {
    await how.work(abort);
    ended(signal.aborted ? codeOf(undefined, signal) : 'OK');
  } catch (error) {
    how.fail(explain(error, { method, log, signal }));
    ended(codeOf(error, signal));
  } finally {
    release();
  }
}

function stoppingError(): ServiceError {
  return new ServiceError('UNAVAILABLE', 'SERVER_STOPPING', 'the server is stopping');
}

function readContext(call: AnyCall, signal: AbortSignal): CallContext {
  return {
    tenant: readTenant(call.metadata),
    signal,
    deadlineMs: Number(call.getDeadline()),
    traceparent: readTraceparent(call.metadata),
  };
}

/** A timer of Node runs on another clock than the wall's, and may be a little ahead of it. */
const TIMER_AHEAD_MS = 5;

/** grpc-js says `cancelled` when the caller is gone, when the deadline is past, and after the end. */
function abortWithCall(call: AnyCall): {
  readonly abort: AbortController;
  readonly release: () => void;
} {
  const abort = new AbortController();
  const onCancelled = () => {
    const late = Date.now() + TIMER_AHEAD_MS >= Number(call.getDeadline());
    abort.abort(late ? deadlineError() : undefined);
  };
  call.on('cancelled', onCancelled);
  return { abort, release: () => call.off('cancelled', onCancelled) };
}

function deadlineError(): ServiceError {
  return new ServiceError('DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED', 'the deadline is past');
}

function asStream(answer: Promise<unknown> | AsyncIterable<unknown>): AsyncIterable<unknown> {
  if (Symbol.asyncIterator in answer) {
    return answer;
  }
  throw new TypeError('the handler of a stream must return an async iterable');
}

/** Waits while the network takes no more. After a cancellation grpc-js would never say `drain`. */
async function write(call: StreamCall, bytes: Buffer, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (!call.write(bytes)) {
    await once(call, 'drain', { signal });
  }
}

/** Only a ServiceError is meant for the caller; of anything else the log alone knows more. */
function explain(
  error: unknown,
  call: { readonly method: ServedMethod; readonly log: Log; readonly signal: AbortSignal },
): StatusObject & Error {
  const { method, log, signal } = call;
  const cause: unknown = signal.aborted ? signal.reason : error;
  if (cause instanceof ServiceError) {
    return Object.assign(new Error(cause.message), toStatus(cause));
  }
  if (!signal.aborted) {
    log.error({ err: error, method: method.path }, 'a call failed');
  }
  const internal = new ServiceError('INTERNAL', 'INTERNAL', 'internal error');
  return Object.assign(new Error(internal.message), toStatus(internal));
}

/** How a call ended that did not end well, for those who count. */
function codeOf(error: unknown, signal: AbortSignal): string {
  const cause: unknown = signal.aborted ? signal.reason : error;
  if (cause instanceof ServiceError) return cause.code;
  return signal.aborted ? 'CANCELLED' : 'INTERNAL';
}
