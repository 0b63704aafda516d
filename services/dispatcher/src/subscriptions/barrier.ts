import { unlessAborted, type Log } from '@billhook/runtime';
import { backOff } from './backoff.ts';
import type { SubscriptionSource, SubscriptionWatch } from './watch.ts';

/** Makes sure that the view shows every registration that came before. */
export interface RevisionBarrier {
  /**
   * Asks for the current revision and waits until the view has reached it. Whatever was registered
   * or unregistered before the call is in the view when it resolves. While nobody can answer it
   * goes on asking: delivery waits, and nothing is skipped.
   *
   * @returns the revision that was asked for. It rejects only when the signal aborts.
   */
  awaitCurrent(signal: AbortSignal): Promise<number>;
}

/** A view that makes no step for so long, though it is behind, is watched anew. */
const STALLED_AFTER_MS = 500;

const ASK_BACKOFF = { firstMs: 50, longestMs: 1_000 };

/** Builds the barrier in front of a view that is being watched. */
export function createRevisionBarrier(deps: {
  readonly source: SubscriptionSource;
  readonly watch: SubscriptionWatch;
  readonly log: Log;
}): RevisionBarrier {
  const { source, watch, log } = deps;
  const askCurrentRevision = shareCalls(() => source.currentRevision());
  /** Said once, however many wait for it. */
  let isSilent = false;

  async function askUntilAnswered(signal: AbortSignal): Promise<number> {
    for (let failures = 1; ; failures += 1) {
      // Nobody would be there for the answer, nor for the failure once the client is closed.
      signal.throwIfAborted();
      try {
        const revision = await unlessAborted(askCurrentRevision(), signal);
        isSilent = false;
        return revision;
      } catch (error) {
        signal.throwIfAborted();
        if (!isSilent) {
          isSilent = true;
          log.warn({ err: error }, 'the current revision of the subscriptions is not known');
        }
        await backOff(ASK_BACKOFF, failures, signal);
      }
    }
  }

  return {
    async awaitCurrent(signal) {
      const revision = await askUntilAnswered(signal);
      for (;;) {
        const activity = watch.activity();
        if (await watch.reaches(revision, STALLED_AFTER_MS, signal)) return revision;
        // A long snapshot is no stall, and whoever else waits may have reopened the stream already.
        if (watch.activity() === activity) watch.reopen();
      }
    },
  };
}

/**
 * Lets those who ask at the same time share one call. A call that is already under way when
 * somebody comes does not serve them: its answer may be older than what they must see. So there
 * are at most two: the one under way, and the one that begins after it for all who came meanwhile.
 */
function shareCalls<Answer>(call: () => Promise<Answer>): () => Promise<Answer> {
  let underWay: Promise<void> = Promise.resolve();
  let next: Promise<Answer> | undefined;
  return () => {
    next ??= underWay.then(() => {
      next = undefined;
      const answer = call();
      underWay = answer.then(ignore, ignore);
      return answer;
    });
    return next;
  };
}

function ignore(): void {}
