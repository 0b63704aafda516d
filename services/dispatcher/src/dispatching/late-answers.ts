import { setTimeout as sleep } from 'node:timers/promises';

import type { Pool } from '@billhook/postgres';
import type { Log } from '@billhook/runtime';

import type { LateAnswer } from '../engine/effect.ts';
import { insertAnswers } from '../postgres/late-answers.ts';

/** Leaves answers that came too late for this process to the owners of their lanes. */
export interface LateAnswers {
  /** Takes an answer in. It is written soon, together with others. */
  leave(answer: LateAnswer): void;
  /** How many are not written yet. */
  waiting(): number;
}

const WRITE_AT_MOST = 500;
/** Beyond it, what comes is dropped: what it answers may be sent again. */
export const MAX_WAITING = 20_000;
const WRITE_AGAIN_AFTER_MS = 200;

/**
 * Makes the writer. Answers of one moment are written together, and while Postgres is away they wait.
 *
 * @param signal aborted when nothing further is to be tried.
 */
export function createLateAnswers(
  deps: { readonly pool: Pool; readonly log: Log },
  signal: AbortSignal,
): LateAnswers {
  const { pool, log } = deps;
  let queue: LateAnswer[] = [];
  let inHand = 0;
  let dropped = 0;
  let isWriting = false;

  async function write(): Promise<void> {
    for (let failures = 0; queue.length > 0 && !signal.aborted;) {
      const batch = queue.slice(0, WRITE_AT_MOST);
      queue = queue.slice(WRITE_AT_MOST);
      inHand = batch.length;
      try {
        // One that is written twice counts once: it is for one attempt.
        await insertAnswers(pool, batch);
        failures = 0;
      } catch (error) {
        queue = [...batch, ...queue];
        failures += 1;
        if (failures === 1) log.warn({ err: error }, 'late answers could not be written');
        await sleep(WRITE_AGAIN_AFTER_MS, undefined, { signal }).catch(() => undefined);
      } finally {
        inHand = 0;
      }
    }
  }

  return {
    leave(answer) {
      if (queue.length >= MAX_WAITING) {
        dropped += 1;
        if (dropped === 1) log.warn({ waiting: queue.length }, 'late answers are dropped');
        return;
      }
      queue.push(answer);
      if (isWriting) return;
      isWriting = true;
      // What comes within the same turn of the event loop goes into the same batch.
      setImmediate(() => {
        void write().finally(() => {
          isWriting = false;
        });
      });
    },
    waiting: () => queue.length + inHand,
  };
}
