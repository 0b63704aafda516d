import { setTimeout as sleep } from 'node:timers/promises';

import type { LaneLeases } from '@billhook/lane-leases';
import {
  OutcomeUnknownError,
  transaction,
  transactionInTwoSteps,
  type Pool,
} from '@billhook/postgres';
import type { Log } from '@billhook/runtime';

import type { LaneRecorded, LaneRecording, Recording } from '../engine/recording.ts';
import { wasRecorded } from './lanes.ts';
import { isPlain, plainlyRecorded, writePlain, writeRecording } from './record.ts';

/** The wait before a recording is tried again, while Postgres is away. */
const RETRY_AFTER_MS = { first: 50, longest: 1_000 };

/** Writes recordings, one at a time. */
export interface Recorder {
  /**
   * Writes a recording in one transaction, each lane under its fence. While Postgres is away it
   * goes on trying. A recording that may have been committed unheard is looked for before it is
   * written again; when it is found, its lanes count as refused, and are loaded anew.
   *
   * @throws when the signal aborts.
   */
  write(recording: Recording, signal: AbortSignal): Promise<LaneRecorded[]>;
}

/** Makes a recorder. */
export function createRecorder(deps: {
  readonly pool: Pool;
  readonly leases: LaneLeases;
  readonly log: Log;
}): Recorder {
  const { pool, leases, log } = deps;

  function attempt(recording: Recording, isRepeat: boolean): Promise<LaneRecorded[]> {
    if (!isRepeat && recording.lanes.every(isPlain)) return attemptPlain(recording);
    return transaction(pool, async (client) => {
      const held = await leases.fence(client, recording.lanes);
      if (isRepeat && (await wasRecorded(client, recording))) return recording.lanes.map(refusal);
      const { lanes, refused } = divide(recording, held);
      if (lanes.length === 0) return refused;
      return [...refused, ...(await writeRecording(client, recording.number, lanes))];
    });
  }

  function attemptPlain(recording: Recording): Promise<LaneRecorded[]> {
    return transactionInTwoSteps(pool, {
      read: (client) => leases.fence(client, recording.lanes),
      write(client, held) {
        const { lanes, refused } = divide(recording, held);
        return {
          result: [...refused, ...lanes.map(plainlyRecorded)],
          answers: lanes.length === 0 ? [] : writePlain(client, recording.number, lanes),
        };
      },
    });
  }

  return {
    async write(recording, signal) {
      let isRepeat = false;
      for (let failures = 1; ; failures += 1) {
        try {
          return await attempt(recording, isRepeat);
        } catch (error) {
          isRepeat ||= error instanceof OutcomeUnknownError;
          if (failures === 1) log.warn({ err: error }, 'deliveries could not be recorded');
          const waitMs = Math.min(RETRY_AFTER_MS.longest, RETRY_AFTER_MS.first * 2 ** failures);
          await sleep(waitMs, undefined, { signal });
        }
      }
    },
  };
}

/** Parts the lanes whose fences hold from those that are refused. */
function divide(
  { lanes }: Recording,
  held: ReadonlySet<number>,
): { readonly lanes: LaneRecording[]; readonly refused: LaneRecorded[] } {
  return {
    lanes: lanes.filter(({ lane }) => held.has(lane)),
    refused: lanes.filter(({ lane }) => !held.has(lane)).map(refusal),
  };
}

function refusal({ lane }: { readonly lane: number }): LaneRecorded {
  return { kind: 'refused', lane };
}
