import {
  decodeRecord,
  UndecodableRecordError,
  type EventLogReader,
  type LogRecord,
} from '@billhook/event-log';
import { readRecords, type Kafka, type KafkaMessage, type PartitionEnds } from '@billhook/kafka';
import type { Log } from '@billhook/runtime';
import { START, type RelayCursor } from '../postgres/relay-cursors.ts';
import { halt, type LedLane } from './led-lane.ts';

const LOOK_TIMEOUT_MS = 15_000;

/** What a partition holds at its two ends; absent when it is empty. */
interface Edges {
  readonly ends: PartitionEnds;
  readonly first: KafkaMessage | undefined;
  readonly last: KafkaMessage | undefined;
}

/** Compares cursors with what the topic holds, and both with the store. */
export interface LaneChecker {
  /**
   * Checks lanes whose cursors may not be where their partitions end. Each is `idle` afterwards, with
   * the cursor to go on from, or `halted`; one of which nothing could be learnt stays `unchecked`.
   *
   * @param ends of all partitions, read after the lanes were taken.
   */
  check(
    lanes: readonly LedLane[],
    ends: readonly PartitionEnds[],
    signal: AbortSignal,
  ): Promise<void>;
}

/**
 * Makes the checker. What it may find:
 * - the partition ends where the cursor says: nothing is to be done;
 * - it goes on behind it: a leader ended before its cursor was saved, or one that is none any more
 *   repeated something. What is there and follows the cursor needs not be sent again;
 * - it ends before: the topic was made anew, or lost its tail. What is missing is sent again, and
 *   everything if even its beginning is missing. A batch that was sent meanwhile does not count;
 * - it ends with an event that the store has not, or another one at that position: the store lost
 *   what was relayed already, and nothing that could be sent would be right.
 */
export function createLaneChecker(deps: {
  readonly kafka: Kafka;
  readonly topic: string;
  readonly store: EventLogReader;
  readonly log: Log;
}): LaneChecker {
  const { kafka, topic, store, log } = deps;

  async function lookAt(
    lanes: readonly LedLane[],
    ends: readonly PartitionEnds[],
  ): Promise<Map<number, Edges>> {
    const first = new Map<number, number>();
    const last = new Map<number, number>();
    for (const led of lanes) {
      const { low, high } = soundEnds(led, ends) ?? { low: 0, high: 0 };
      if (high === low) continue;
      first.set(led.lane, low);
      last.set(led.lane, high - 1);
    }
    const firsts = await readRecords(kafka, { topic, offsets: first, timeoutMs: LOOK_TIMEOUT_MS });
    const lasts = await readRecords(kafka, { topic, offsets: last, timeoutMs: LOOK_TIMEOUT_MS });
    const edges = new Map<number, Edges>();
    for (const led of lanes) {
      const { lane } = led;
      const ofLane = soundEnds(led, ends);
      const [head, tail] = [firsts.get(lane), lasts.get(lane)];
      if (ofLane === undefined) continue;
      if (ofLane.high > ofLane.low && (head === undefined || tail === undefined)) continue;
      edges.set(lane, { ends: ofLane, first: head, last: tail });
    }
    return edges;
  }

  /** Says whether the store has this very event. */
  async function isStored({ lane, position, id }: LogRecord, signal: AbortSignal) {
    const [slice] = await store.read([{ lane, after: position, limit: 1 }], signal);
    return slice?.predecessor.kind === 'event' && slice.predecessor.id === id;
  }

  async function settle(led: LedLane, edges: Edges, signal: AbortSignal): Promise<void> {
    const { lane, cursor } = led;
    const first = edges.first && decodeRecord(edges.first, lane);
    const last = edges.last && decodeRecord(edges.last, lane);
    if (last !== undefined && !(await isStored(last, signal))) {
      const { position, id } = last;
      const reason = `the topic ends with ${id} at position ${position}, the store does not`;
      return halt(led, reason, log);
    }
    const expected = cursor.offset + 1;
    led.isCompared = true;
    if (edges.ends.high === expected && last?.id === cursor.eventId) return resume(led);
    const isBehind = edges.ends.high < expected;
    if (isBehind) {
      log.warn(
        { lane, topicEnd: edges.ends.high, expected },
        'the topic was made anew or lost its tail: what is missing is sent again',
      );
    }
    if (last === undefined || first?.position !== 1 || followsHole(last, led.cursor))
      led.cursor = START;
    else if (isBehind || last.position > cursor.position) led.cursor = cursorAt(last);
    resume(led);
  }

  return {
    async check(lanes, ends, signal) {
      const doubtful: LedLane[] = [];
      for (const led of lanes) {
        const high = ends[led.lane]?.high;
        const fits = high === led.cursor.offset + 1 && led.strayFrom === undefined;
        if (fits && led.isCompared) resume(led);
        else doubtful.push(led);
      }
      if (doubtful.length === 0) return;
      const edges = await lookAt(doubtful, ends);
      for (const led of doubtful) {
        const ofLane = edges.get(led.lane);
        if (ofLane === undefined) continue;
        try {
          await settle(led, ofLane, signal);
        } catch (error) {
          if (!(error instanceof UndecodableRecordError)) throw error;
          halt(led, error.message, log);
        }
      }
    },
  };
}

function resume(led: LedLane): void {
  led.phase = 'idle';
  led.strayFrom = undefined;
}

/** A partition's ends, without what was sent to it when it had become shorter already. */
function soundEnds(led: LedLane, ends: readonly PartitionEnds[]): PartitionEnds | undefined {
  const ofLane = ends[led.lane];
  if (ofLane === undefined) return undefined;
  const { low, high } = ofLane;
  return { low, high: Math.max(low, Math.min(high, led.strayFrom ?? high)) };
}

/**
 * Whether something is missing before a record for certain: positions are gapless, so that none is kept
 * before its own offset, and none that follows the cursor before the cursor's offset.
 */
function followsHole({ position, offset = 0 }: LogRecord, cursor: RelayCursor): boolean {
  const isTooEarly = position - 1 > offset;
  return isTooEarly || (position > cursor.position && offset <= cursor.offset);
}

function cursorAt({ position, id, offset }: LogRecord) {
  return { position, eventId: id, offset: offset ?? -1 };
}
