import type { Client } from '@billhook/postgres';
import type { ServiceError } from '@billhook/runtime';

import type { Appended } from './append-bell.ts';

/** A stream of events: one invoice, one endpoint. */
export interface Stream {
  readonly tenant: string;
  readonly streamId: string;
}

/** An event that a command decided on. */
export interface NewEvent {
  /** Such as `invoice_created`. */
  readonly type: string;
  readonly data: Uint8Array;
  /** Absent: the stream of the command. Another one must be in the same lane. */
  readonly streamId?: string;
}

/** What became of a command. */
export type Decision<Answer> =
  | { readonly kind: 'accepted'; readonly events: readonly NewEvent[]; readonly answer: Answer }
  | { readonly kind: 'refused'; readonly error: ServiceError };

/** When a decision is made, milliseconds since 1970. */
export interface DecisionTime {
  /** What its events are dated: never earlier than those before them in their lane. */
  readonly recordedAtMs: number;
  /** The clock of Postgres as it is; it may step back. */
  readonly clockMs: number;
}

/** What a domain brings: how the state of a batch is loaded, decided on and saved. */
export interface Aggregate<Command extends Stream, Working, Answer> {
  /** Loads the state that the commands need, set-based, while their lanes are locked. */
  load(client: Client, commands: readonly Command[]): Promise<Working>;
  /** How many events the stream has, as the commands before left it. */
  version(working: Working, stream: Stream): number;
  /** Decides, and evolves `working` when the command is accepted. It must not wait. */
  decide(working: Working, command: Command, now: DecisionTime): Decision<Answer>;
  /**
   * Sends what writes what changed, set-based. It must not wait: the commit follows at once.
   *
   * @returns the answers to come.
   */
  save(client: Client, working: Working): readonly Promise<unknown>[];
  encodeAnswer(answer: Answer): Uint8Array;
  decodeAnswer(bytes: Uint8Array): Answer;
}

/** A command with what the store needs to know of it. */
export interface CommandRequest<Command> {
  readonly command: Command;
  /** Protects against repeats, within the stream. */
  readonly requestId?: string;
  /** Tells whether a repeat asks for the same; given with `requestId`. */
  readonly requestHash?: Buffer;
  /** How much of the queue it takes. */
  readonly bytes: number;
  /** Milliseconds since 1970; after it nobody waits for the answer. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  readonly traceparent?: string;
}

/** Takes commands, decides and appends. */
export interface EventStore<Command, Answer> {
  /**
   * Waits until the command is decided and what it decided is committed.
   *
   * @throws ServiceError: what the aggregate refused; `RESOURCE_EXHAUSTED` when too much waits;
   *   `UNAVAILABLE` when Postgres is away or the outcome of the commit is unknown;
   *   `DEADLINE_EXCEEDED` when its time ran out before it was decided; `INVALID_ARGUMENT` when its
   *   `requestId` was used for something else.
   */
  execute(request: CommandRequest<Command>): Promise<Answer>;
  /**
   * Has the listener called after each commit, and each that may have been made, before anybody is
   * answered: with what it appended, which may be nothing.
   */
  onCommitted(listener: (appended: Appended) => void): void;
  /** Refuses what comes from now on, and finishes what waits. */
  stop(): Promise<void>;
}

/** An event as it is stored. */
export interface StoredEvent {
  readonly lane: number;
  /** Its place in the lane: 1, 2, 3, ... */
  readonly position: number;
  /** `evt_` and 32 hex digits. */
  readonly id: string;
  readonly tenant: string;
  readonly streamId: string;
  /** Its place in the stream: 1, 2, 3, ... */
  readonly version: number;
  readonly type: string;
  readonly data: Buffer;
  readonly recordedAtMs: number;
  readonly traceparent: string | undefined;
}
