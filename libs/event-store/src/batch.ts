import { transactionInTwoSteps, type Client, type Pool } from '@billhook/postgres';
import { invalidField, type ServiceError } from '@billhook/runtime';

import { answerKey, readNowAndAnswers, type KnownAnswers } from './answers.ts';
import type { PendingCommand } from './command-queue.ts';
import { createEventId } from './event-id.ts';
import type { Aggregate, NewEvent, StoredEvent, Stream } from './event-store.ts';
import { laneOf } from './lane.ts';
import { lockLanes, writeBatch, type LaneState, type WrittenBatch } from './statements.ts';

/** An event over this size is refused. */
const MAX_EVENT_BYTES = 64 * 1024;

/** What became of one command of a committed batch. */
export type Outcome<Answer> =
  | { readonly kind: 'answered'; readonly answer: Answer }
  | { readonly kind: 'refused'; readonly error: ServiceError };

/** A command on which the aggregate failed: the batch goes on without it. */
export class GuiltyCommandError extends Error {
  readonly index: number;

  constructor(index: number, cause: unknown) {
    super('an aggregate failed on a command', { cause });
    this.index = index;
  }
}

export interface BatchOptions<Command extends Stream, Working, Answer> {
  readonly pool: Pool;
  readonly aggregate: Aggregate<Command, Working, Answer>;
  readonly schema: string;
  readonly lanes: number;
  readonly requestIdRetentionMs: number;
}

/** What a committed batch came to: an outcome for each command, and the events that it appended. */
export interface CommittedBatch<Answer> {
  readonly outcomes: readonly Outcome<Answer>[];
  readonly events: readonly StoredEvent[];
}

/**
 * Decides and appends a batch in one transaction (ARCHITECTURE.md, "One batch, one commit"): locks its
 * lanes, loads, decides each command in turn, writes all of it, commits.
 *
 * @throws GuiltyCommandError, what Postgres refused, or OutcomeUnknownError.
 */
export async function commitBatch<Command extends Stream, Working, Answer>(
  options: BatchOptions<Command, Working, Answer>,
  batch: readonly PendingCommand<Command, Answer>[],
): Promise<CommittedBatch<Answer>> {
  const { pool, aggregate, schema, requestIdRetentionMs: retentionMs } = options;
  return transactionInTwoSteps(pool, {
    async read(client) {
      // In this order: what is loaded is the state under the locks.
      const [lanes, { nowMs, answers }, working] = await Promise.all([
        lockLanes(client, schema, lanesOf(batch)),
        readNowAndAnswers(client, batch, { schema, retentionMs }),
        load(options, client, batch),
      ]);
      return { lockedLanes: lanes, nowMs, answers, working };
    },
    write(client, found) {
      const written: WrittenBatch = { events: [], answers: [], lanes: new Map() };
      const drafting = { ...options, ...found, written };
      const outcomes = batch.map((pending, index) => draftOrAccuse(drafting, pending, index));
      const appended = written.events.length > 0;
      const hasWritten = appended || written.answers.length > 0;
      const answers = [
        ...(hasWritten ? [writeBatch(client, schema, written)] : []),
        ...(appended ? aggregate.save(client, found.working) : []),
      ];
      return { result: { outcomes, events: written.events }, answers };
    },
  });
}

function lanesOf(batch: readonly PendingCommand<Stream, unknown>[]): number[] {
  return [...new Set(batch.map(({ lane }) => lane))].toSorted((one, other) => one - other);
}

function load<Command extends Stream, Working, Answer>(
  { aggregate }: BatchOptions<Command, Working, Answer>,
  client: Client,
  batch: readonly PendingCommand<Command, Answer>[],
): Promise<Working> {
  return aggregate.load(
    client,
    batch.map(({ request }) => request.command),
  );
}

interface Drafting<Command extends Stream, Working, Answer> extends BatchOptions<
  Command,
  Working,
  Answer
> {
  readonly working: Working;
  readonly answers: KnownAnswers;
  readonly nowMs: number;
  /** As the commands before left them. */
  readonly lockedLanes: ReadonlyMap<number, LaneState>;
  readonly written: WrittenBatch;
}

function draftOrAccuse<Command extends Stream, Working, Answer>(
  drafting: Drafting<Command, Working, Answer>,
  pending: PendingCommand<Command, Answer>,
  index: number,
): Outcome<Answer> {
  try {
    return draft(drafting, pending);
  } catch (error) {
    throw new GuiltyCommandError(index, error);
  }
}

/** Answers a repeat from what was recorded, and decides on anything else. */
function draft<Command extends Stream, Working, Answer>(
  drafting: Drafting<Command, Working, Answer>,
  pending: PendingCommand<Command, Answer>,
): Outcome<Answer> {
  const { command, requestId, requestHash = Buffer.alloc(0) } = pending.request;
  const { aggregate, working, answers, nowMs, written } = drafting;
  const key = requestId === undefined ? undefined : answerKey(command, requestId);
  const known = key === undefined ? undefined : answers.get(key);
  if (known !== undefined) {
    if (!known.requestHash.equals(requestHash)) return { kind: 'refused', error: reused() };
    return { kind: 'answered', answer: aggregate.decodeAnswer(known.answer) };
  }
  const lane = drafting.lockedLanes.get(pending.lane);
  if (lane === undefined) throw new Error(`lane ${pending.lane} is not there`);
  // The clock may step back, the log does not.
  const recordedAtMs = Math.max(nowMs, lane.recordedAtMs);
  const decision = aggregate.decide(working, command, { recordedAtMs, clockMs: nowMs });
  if (decision.kind === 'refused') return decision;
  append(drafting, pending, { events: decision.events, lane, recordedAtMs });
  if (requestId !== undefined && key !== undefined) {
    const answer = aggregate.encodeAnswer(decision.answer);
    const { tenant, streamId } = command;
    answers.set(key, { requestHash, answer });
    const encoded = Buffer.from(answer);
    written.answers.push({
      tenant,
      streamId,
      requestId,
      requestHash,
      answer: encoded,
      recordedAtMs,
    });
  }
  return { kind: 'answered', answer: decision.answer };
}

/** Gives each event its place in its lane and its stream. */
function append<Command extends Stream, Working, Answer>(
  { aggregate, working, written, lanes }: Drafting<Command, Working, Answer>,
  { request: { command, traceparent }, lane: laneNumber }: PendingCommand<Command, Answer>,
  decided: {
    readonly events: readonly NewEvent[];
    readonly lane: LaneState;
    readonly recordedAtMs: number;
  },
): void {
  const { events, lane, recordedAtMs } = decided;
  const { tenant } = command;
  const left = new Map<string, number>();
  for (const { streamId = command.streamId } of events) {
    left.set(streamId, (left.get(streamId) ?? 0) + 1);
  }
  for (const { type, data, streamId = command.streamId } of events) {
    requireSize(type, data);
    if (streamId !== command.streamId) requireLane({ tenant, streamId }, lanes, laneNumber);
    const stillToCome = left.get(streamId) ?? 0;
    left.set(streamId, stillToCome - 1);
    lane.position += 1;
    written.lanes.set(laneNumber, { position: lane.position, recordedAtMs });
    written.events.push({
      lane: laneNumber,
      position: lane.position,
      id: createEventId(),
      tenant,
      streamId,
      // The aggregate counts these events already.
      version: aggregate.version(working, { tenant, streamId }) - stillToCome + 1,
      type,
      data: Buffer.from(data),
      recordedAtMs,
      traceparent,
    });
  }
}

function requireSize(type: string, data: Uint8Array): void {
  if (data.length > MAX_EVENT_BYTES) throw new Error(`An event ${type} is over its size.`);
}

/** The positions of a lane that is not locked cannot be moved on. */
function requireLane({ tenant, streamId }: Stream, lanes: number, lane: number): void {
  if (laneOf(tenant, streamId, lanes) === lane) return;
  throw new Error(`An event of ${tenant}/${streamId} is in another lane than its command.`);
}

function reused(): ServiceError {
  return invalidField(
    'request_id',
    'REQUEST_ID_REUSED',
    'was used for another request; choose a new one for each request',
  );
}
