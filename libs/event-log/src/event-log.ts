/** An event as every log hands it out. */
export interface LogRecord {
  readonly lane: number;
  /** Its place in the lane: 1, 2, 3, ... without a gap. */
  readonly position: number;
  /** `evt_` and 32 hex digits. */
  readonly id: string;
  readonly tenant: string;
  readonly streamId: string;
  /** Its place in the stream: 1, 2, 3, ... */
  readonly version: number;
  /** Such as `invoice_created`. */
  readonly type: string;
  readonly data: Buffer;
  readonly recordedAtMs: number;
  readonly traceparent: string | undefined;
  /** Where the log itself keeps it (Kafka's offset); absent when the position says it all. */
  readonly offset: number | undefined;
}

/** Asks for the events of a lane after a position; 0 is the position before the first event. */
export interface LaneRequest {
  readonly lane: number;
  readonly after: number;
  /**
   * Where the log kept the event at `after`, if that is known. It is a hint that makes the event quick
   * to find; the position decides.
   */
  readonly offset?: number | undefined;
  /** The most events that are wanted, at least 1. */
  readonly limit: number;
}

/** What a log holds at a position that a reader continues from. */
export type Predecessor =
  | { readonly kind: 'event'; readonly id: string }
  /** The log ends before it. */
  | { readonly kind: 'none' }
  /** It is not there, though later ones are: the log lost its beginning, or has a hole. */
  | { readonly kind: 'missing' }
  /** It is still being looked for. No events come with it, and the same is to be asked again. */
  | { readonly kind: 'unknown' };

/** What a log found behind the events of a slice, and cannot hand out as an event. */
export interface BrokenEvent {
  readonly position: number;
  readonly reason: 'undecodable' | 'another_event';
  readonly cause: Error;
}

/** The answer to a `LaneRequest`. */
export interface LaneSlice {
  readonly lane: number;
  readonly after: number;
  /**
   * What stands at `after`. It is how a reader notices that the log lost a tail, or has another
   * one, also when nothing follows.
   */
  readonly predecessor: Predecessor;
  /**
   * What follows. It may be less than the log has; it is empty only if nothing follows, or nothing
   * has arrived yet.
   */
  readonly events: readonly LogRecord[];
  /** What follows these events: the lane cannot be read on. */
  readonly broken?: BrokenEvent;
}

/** The events of all lanes, as one process reads them. */
export interface EventLogReader {
  /**
   * Reads several lanes at once.
   *
   * @returns a slice for each request, in their order. It rejects when the log does not answer
   *   or the signal aborts; the same may be asked again.
   */
  read(requests: readonly LaneRequest[], signal: AbortSignal): Promise<LaneSlice[]>;
  /**
   * Waits until something may have been appended since the wait before began: at most `timeoutMs`,
   * and no longer than the signal or the reader live. One wait at a time.
   */
  waitForMore(signal: AbortSignal, timeoutMs: number): Promise<void>;
  /** Ends waits and connections. A read after it rejects. */
  close(): Promise<void>;
}
