import { ServiceError } from '@billhook/runtime';

import type { CommandRequest } from './event-store.ts';

/** A command that waits for its batch. */
export interface PendingCommand<Command, Answer> {
  readonly request: CommandRequest<Command>;
  readonly lane: number;
  resolve(answer: Answer): void;
  reject(error: ServiceError): void;
}

export interface QueueLimits {
  readonly maxCommands: number;
  readonly maxBytes: number;
  readonly maxBatchCommands: number;
  readonly maxBatchBytes: number;
}

/** Commands in the order in which they came, within bounds. */
export class CommandQueue<Command, Answer> {
  private waiting: PendingCommand<Command, Answer>[] = [];
  private sumBytes = 0;
  private awaited: { readonly commands: number; readonly onReached: () => void } | undefined;
  readonly limits: QueueLimits;

  constructor(limits: QueueLimits) {
    this.limits = limits;
  }

  get length(): number {
    return this.waiting.length;
  }

  get bytes(): number {
    return this.sumBytes;
  }

  /** @throws ServiceError `RESOURCE_EXHAUSTED` when too much waits already. */
  push(pending: PendingCommand<Command, Answer>): void {
    const { maxCommands, maxBytes } = this.limits;
    if (this.waiting.length >= maxCommands || this.sumBytes + pending.request.bytes > maxBytes) {
      const message = 'too many changes are waiting; try again later';
      throw new ServiceError('RESOURCE_EXHAUSTED', 'QUEUE_FULL', message);
    }
    this.waiting.push(pending);
    this.sumBytes += pending.request.bytes;
    if (this.waiting.length >= (this.awaited?.commands ?? Infinity)) this.awaited?.onReached();
  }

  /** Waits until so many commands are there, but no longer than `timeoutMs`. One wait at a time. */
  async reaches(commands: number, timeoutMs: number): Promise<void> {
    if (this.waiting.length >= commands) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    this.awaited = { commands, onReached: resolve };
    await promise;
    this.awaited = undefined;
    clearTimeout(timer);
  }

  /** Takes the next batch. Commands whose time ran out are refused instead. */
  takeBatch(nowMs: number): PendingCommand<Command, Answer>[] {
    const { maxBatchCommands, maxBatchBytes } = this.limits;
    const batch: PendingCommand<Command, Answer>[] = [];
    let batchBytes = 0;
    let taken = 0;
    for (const pending of this.waiting) {
      const { bytes } = pending.request;
      const isFull = batch.length >= maxBatchCommands || batchBytes + bytes > maxBatchBytes;
      if (isFull && batch.length > 0) break;
      taken += 1;
      this.sumBytes -= bytes;
      if (isTooLate(pending.request, nowMs)) {
        pending.reject(tooLate());
        continue;
      }
      batch.push(pending);
      batchBytes += bytes;
    }
    this.waiting = this.waiting.slice(taken);
    return batch;
  }
}

function isTooLate(request: CommandRequest<unknown>, nowMs: number): boolean {
  return (request.deadlineMs ?? Infinity) <= nowMs || (request.signal?.aborted ?? false);
}

function tooLate(): ServiceError {
  const message = 'nobody waits for the answer any more; nothing was changed';
  return new ServiceError('DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED', message);
}
