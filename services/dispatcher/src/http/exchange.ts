import { systemClock } from '@billhook/runtime';
import { describeFailure, isClosed, NotSentError } from './failure.ts';
import { readRetryAfterMs, toSnippet } from './rejection.ts';
import type { Dispatcher } from 'undici';
import type { AttemptOutcome } from '../engine/delivery.ts';
import type { Failure } from './failure.ts';
import type { Target } from './target.ts';

/** One POST. */
export interface SendRequest {
  readonly target: Target;
  /** Names and values in turn. */
  readonly headers: string[];
  readonly body: Buffer;
  /** Asked right before it is written: a connection may take its time. True unless given. */
  readonly mayBegin?: (() => boolean) | undefined;
  /** For the whole exchange; the sender's own unless given. */
  readonly timeoutMs?: number | undefined;
}

/** The connection that carries an exchange, as far as the exchange needs it. */
export interface Carrier {
  /** Whether an earlier exchange used the same connection. */
  readonly isReused: boolean;
  /** All bytes that came over it; undefined while it is being made. */
  readonly bytesRead: number | undefined;
  /** The exchange is over, and the connection may carry another. */
  release(): void;
  /** Whatever happens there, it is of no use any more. */
  discard(): void;
  /** Takes the exchange to a new connection. */
  replace(exchange: Exchange): void;
}

/** What bounds an exchange, and who hears of its end. */
export interface ExchangeOptions {
  readonly timeoutMs: number;
  readonly maxResponseBytes: number;
  /** Called once. */
  readonly onSettled: (exchange: Exchange, outcome: AttemptOutcome) => void;
}

type Stage = 'queued' | 'connecting' | 'waiting' | 'reading' | 'done';

const TIMED_OUT: Readonly<Record<Exclude<Stage, 'done'>, string>> = {
  queued: 'timed out waiting for a free connection',
  connecting: 'timed out connecting',
  waiting: 'timed out waiting for the response',
  reading: 'timed out reading the response',
};

/** The longest beginning of a response that is kept, of those that were not 2xx. */
const SNIPPET_BYTES = 256;
/**
 * The most that may come over the wire for one response: headers and body have their own, lower
 * limits, but a flood of 1xx responses or of chunk extensions passes these.
 */
const MAX_WIRE_BYTES = 128 * 1024;
const FIRST_FINAL_STATUS = 200;
const FIRST_REDIRECT_STATUS = 300;

/**
 * One exchange with a receiver: the handler that undici tells of its progress.
 *
 * ```
 * queued -> connecting -> waiting -> reading -> done
 *               ^            |
 *               +-- resent --+
 * ```
 * - `queued`: all connections to the origin are taken.
 * - `connecting`: given to a connection, which may first have to be made.
 * - `waiting`: the request is on its way, no header of a response is complete.
 * - `reading`: the status is known, the body is still coming.
 *
 * From any stage it is `done` when something fails or the deadline passes. A status of 2xx counts
 * only with its body, because until then the receiver may still fail. Any other counts at once:
 * whatever follows, the delivery was not accepted, and 410 or `Retry-After` has been said.
 */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly request: SendRequest;
  readonly deadlineMs: number;
  /** Connections begun for it. */
  connects = 0;

  private readonly options: ExchangeOptions;
  private readonly startedAtMs = performance.now();
  private stage: Stage = 'queued';
  private carrier: Carrier | undefined;
  private isResent = false;
  private hasResponseBegun = false;
  private status = 0;
  private retryAfter: string | undefined;
  private bodyBytes = 0;
  private snippet: Buffer | undefined;
  private firstSeenBytes: number | undefined;

  constructor(request: SendRequest, options: ExchangeOptions) {
    this.request = request;
    this.options = options;
    this.deadlineMs = this.startedAtMs + options.timeoutMs;
  }

  get isDone(): boolean {
    return this.stage === 'done';
  }

  /** Gives it to a connection. */
  carryBy(carrier: Carrier): void {
    this.carrier = carrier;
    this.stage = 'connecting';
    this.firstSeenBytes = undefined;
  }

  /**
   * Ends it if its deadline has passed, or if more comes over the wire than any response needs.
   * Called every few milliseconds for all exchanges together, which costs less than a timer each.
   *
   * @param nowMs on the clock of `performance.now()`.
   */
  check(nowMs: number): void {
    if (this.stage === 'done') return;
    if (nowMs >= this.deadlineMs) {
      this.fail({ kind: 'unreachable', detail: TIMED_OUT[this.stage], timedOut: true });
    } else if (this.wireBytes() > MAX_WIRE_BYTES) {
      this.breakOff('response too long');
    }
  }

  /** Ends it early because the sender closes. */
  shutDown(): void {
    this.breakOff('shut down');
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.request.mayBegin?.() === false) controller.abort(new NotSentError());
    else this.stage = 'waiting';
  }

  onResponseStarted(): void {
    this.hasResponseBegun = true;
  }

  /** Also called for 1xx, which say nothing yet. */
  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    if (this.isDone || status < FIRST_FINAL_STATUS) return;
    this.stage = 'reading';
    this.status = status;
    const retryAfter = headers['retry-after'];
    this.retryAfter = typeof retryAfter === 'string' ? retryAfter : retryAfter?.[0];
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.isDone) return;
    this.bodyBytes += chunk.length;
    if (!this.isAccepted()) this.keepSnippet(chunk);
    if (this.bodyBytes > this.options.maxResponseBytes) this.settle(this.answered(), 'discard');
  }

  onResponseEnd(): void {
    if (!this.isDone) this.settle(this.answered(), 'release');
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.isDone) return;
    if (this.stage === 'connecting') {
      // It may still be on the way through `send`, which never answers before it has returned.
      queueMicrotask(() => this.fail(describeFailure(error)));
    } else if (this.mayResend(error)) {
      this.isResent = true;
      this.carrier?.replace(this);
    } else {
      this.fail(describeFailure(error));
    }
  }

  /**
   * A receiver may close an idle connection at the very moment in which it is used again; nothing is
   * wrong with it then, and it need not wait for the retry schedule. If it did read the request, it
   * gets it twice, with the same `webhook-id`: delivery is at least once in any case.
   */
  private mayResend(error: Error): boolean {
    const isFresh = this.carrier?.isReused !== true;
    return !this.isResent && !isFresh && !this.hasResponseBegun && isClosed(error);
  }

  private breakOff(detail: string): void {
    this.fail({ kind: 'unreachable', detail });
  }

  private fail(failure: Failure): void {
    if (this.isDone) return;
    const hasAnswer = this.stage === 'reading' && !this.isAccepted();
    const outcome = hasAnswer ? this.answered() : { ...failure, durationMs: this.durationMs() };
    this.settle(outcome, 'discard');
  }

  private answered(): AttemptOutcome {
    const { status, retryAfter } = this;
    const durationMs = this.durationMs();
    if (this.isAccepted()) return { kind: 'delivered', status, durationMs };
    const retryAfterMs = readRetryAfterMs({ status, retryAfter }, systemClock());
    const snippet = toSnippet(this.snippet ?? Buffer.alloc(0));
    return { kind: 'rejected', status, durationMs, retryAfterMs, snippet };
  }

  /** Leaves the connection first: whoever hears of the end may send again, and finds it free. */
  private settle(outcome: AttemptOutcome, leave: 'release' | 'discard'): void {
    const { carrier } = this;
    this.stage = 'done';
    this.carrier = undefined;
    carrier?.[leave]();
    this.options.onSettled(this, outcome);
  }

  private isAccepted(): boolean {
    return this.status >= FIRST_FINAL_STATUS && this.status < FIRST_REDIRECT_STATUS;
  }

  private durationMs(): number {
    return Math.round(performance.now() - this.startedAtMs);
  }

  /** Copied, because the chunk belongs to the connection. */
  private keepSnippet(chunk: Buffer): void {
    const kept = this.snippet ?? Buffer.alloc(0);
    if (kept.length >= SNIPPET_BYTES) return;
    this.snippet = Buffer.concat([kept, chunk.subarray(0, SNIPPET_BYTES - kept.length)]);
  }

  /** What came over the wire since the first check that found a connection under this exchange. */
  private wireBytes(): number {
    const bytesRead = this.stage === 'queued' ? undefined : this.carrier?.bytesRead;
    if (bytesRead === undefined) return 0;
    this.firstSeenBytes ??= bytesRead;
    return bytesRead - this.firstSeenBytes;
  }
}
