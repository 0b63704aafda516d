import { checkSlice } from '../check-slice.ts';
import type { KnownEvent, SliceCheck } from '../check-slice.ts';
import type { EventLogReader, LogRecord } from '../event-log.ts';

const never = new AbortController().signal;
const LIMIT = 100;
const ASK_EVERY_MS = 250;

type Halted = Extract<SliceCheck<LogRecord>, { kind: 'halted' }>;

/** Reads one lane as a dispatcher does: it keeps where it stands, and asks again while it is halted. */
export interface LaneFollower {
  /** All that was taken so far. */
  readonly taken: readonly LogRecord[];
  /** Reads on until so much was taken in all. */
  until(count: number): Promise<void>;
  /** Reads on until the lane is halted, for that reason if one is given, and says how. */
  untilHalted(reason?: Halted['reason']): Promise<Halted>;
  /** Reads once. */
  once(): Promise<SliceCheck<LogRecord>>;
}

export function followLane(
  reader: EventLogReader,
  from: { readonly lane: number; readonly after?: number; readonly offset?: number | undefined },
): LaneFollower {
  const { lane } = from;
  const taken: LogRecord[] = [];
  let known: KnownEvent | undefined;
  let { after = 0, offset } = from;

  async function once(): Promise<SliceCheck<LogRecord>> {
    const [slice] = await reader.read([{ lane, after, offset, limit: LIMIT }], never);
    if (slice === undefined) throw new Error('The log answered nothing.');
    const check = checkSlice(known, slice, (record) => record);
    known = check.known;
    const last = check.events.at(-1);
    if (last !== undefined) ({ position: after, offset } = last);
    taken.push(...check.events);
    return check;
  }

  return {
    taken,
    once,
    async until(count) {
      while (taken.length < count) {
        const { events } = await once();
        if (events.length === 0) await reader.waitForMore(never, ASK_EVERY_MS);
      }
    },
    async untilHalted(reason) {
      for (;;) {
        const check = await once();
        if (check.kind === 'halted' && (reason ?? check.reason) === check.reason) return check;
        await reader.waitForMore(never, ASK_EVERY_MS);
      }
    },
  };
}
