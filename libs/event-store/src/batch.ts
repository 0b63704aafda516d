import { transaction, type Client, type Pool } from '@billhook/postgres';
import { invalidField, ServiceError } from '@billhook/runtime';

import { answerKey, readNowAndAnswers, type KnownAnswers } from './answers.ts';
import type { PendingCommand } from './command-queue.ts';
import { createEventId } from './event-id.ts';
import type { Aggregate, Decision, NewEvent, Stream } from './event-store.ts';
import { lockLanes, writeBatch, type LaneState, type WrittenBatch } from './statements.ts';

/** An event over this size is refused (design.md, "Events and their store"). */
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
  readonly requestIdRetentionMs: number;
}

/**
 * Decides and appends a batch in one transaction (design.md, "One batch, one commit"): locks its
 * lanes, loads, decides each command in turn, writes all of it, commits.
 *
 * @returns an outcome for each command, and whether anything was appended.
 * @throws GuiltyCommandError, what Postgres refused, or OutcomeUnknownError.
 */
export async function commitBatch<Command extends Stream, Working, Answer>(
  options: BatchOptions<Command, Working, Answer>,
  batch: readonly PendingCommand<Command, Answer>[],
): Promise<{ readonly outcomes: readonly Outcome<Answer>[]; readonly appended: boolean }> {
  const { pool, aggregate, schema, requestIdRetentionMs: retentionMs } = options;
  return transaction(pool, async (client) => {
    const lanes = await lockLanes(client, schema, lanesOf(batch));
    const { nowMs, answers } = await readNowAndAnswers(client, batch, { schema, retentionMs });
    const working = await load(options, client, batch);
    const drafting: Drafting<Command, Working, Answer> = {
      aggregate,
      working,
      answers,
      lanes,
      recordedAtMs: Math.max(nowMs, ...[...lanes.values()].map((lane) => lane.recordedAtMs)),
      written: { events: [], answers: [], lanes: new Map() },
    };
    const outcomes = batch.map((pending, index) => draft(drafting, pending, index));
    const { written, recordedAtMs } = drafting;
    const appended = written.events.length > 0;
    if (appended || written.answers.length > 0) {
      await writeBatch(client, schema, { ...written, recordedAtMs });
    }
    if (appended) await aggregate.save(client, working);
    return { outcomes, appended };
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

interface Drafting<Command extends Stream, Working, Answer> {
  readonly aggregate: Aggregate<Command, Working, Answer>;
  readonly working: Working;
  readonly answers: KnownAnswers;
  readonly lanes: Map<number, LaneState>;
  readonly recordedAtMs: number;
  readonly written: Omit<WrittenBatch, 'recordedAtMs'>;
}

/** Answers a repeat from what was recorded, and decides on anything else. */
function draft<Command extends Stream, Working, Answer>(
  drafting: Drafting<Command, Working, Answer>,
  pending: PendingCommand<Command, Answer>,
  index: number,
): Outcome<Answer> {
  const { command, requestId, requestHash = Buffer.alloc(0) } = pending.request;
  const { aggregate, working, answers, recordedAtMs } = drafting;
  const key = requestId === undefined ? undefined : answerKey(command, requestId);
  const known = key === undefined ? undefined : answers.get(key);
  if (known !== undefined) {
    if (!known.requestHash.equals(requestHash)) return { kind: 'refused', error: reused() };
    return { kind: 'answered', answer: aggregate.decodeAnswer(known.answer) };
  }
  let decision: Decision<Answer>;
  try {
    decision = aggregate.decide(working, command, { recordedAtMs });
    if (decision.kind === 'accepted') decision.events.forEach(requireSize);
  } catch (error) {
    throw new GuiltyCommandError(index, error);
  }
  if (decision.kind === 'refused') return decision;
  append(drafting, pending, decision.events);
  if (requestId !== undefined && key !== undefined) {
    const answer = aggregate.encodeAnswer(decision.answer);
    answers.set(key, { requestHash, answer });
    drafting.written.answers.push({ ...command, requestId, requestHash, answer });
  }
  return { kind: 'answered', answer: decision.answer };
}

/** Gives each event its place in its lane and its stream. */
function append<Command extends Stream, Working, Answer>(
  { aggregate, working, lanes, written }: Drafting<Command, Working, Answer>,
  pending: PendingCommand<Command, Answer>,
  events: readonly NewEvent[],
): void {
  const lane = lanes.get(pending.lane);
  if (lane === undefined) throw new Error(`Lane ${pending.lane} is not locked.`);
  const { tenant } = pending.request.command;
  const counts = new Map<string, number>();
  for (const { streamId = pending.request.command.streamId } of events) {
    counts.set(streamId, (counts.get(streamId) ?? 0) + 1);
  }
  for (const { type, data, streamId = pending.request.command.streamId } of events) {
    const left = counts.get(streamId) ?? 0;
    counts.set(streamId, left - 1);
    lane.position += 1;
    written.lanes.set(pending.lane, lane.position);
    written.events.push({
      lane: pending.lane,
      position: lane.position,
      id: createEventId(),
      tenant,
      streamId,
      // The aggregate counts these events already.
      version: aggregate.version(working, { tenant, streamId }) - left + 1,
      type,
      data,
      traceparent: pending.request.traceparent,
    });
  }
}

function requireSize({ type, data }: NewEvent): void {
  if (data.length > MAX_EVENT_BYTES) throw new Error(`An event ${type} is over its size.`);
}

function reused(): ServiceError {
  return invalidField(
    'request_id',
    'REQUEST_ID_REUSED',
    'was used for another request; choose a new one for each request',
  );
}
