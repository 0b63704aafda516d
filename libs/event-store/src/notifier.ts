import { notifyText } from '@billhook/postgres';
import type { Pool } from '@billhook/postgres';
import type { Log } from '@billhook/runtime';

/** Tells readers in other processes that something was appended. */
export interface Notifier {
  notify(): void;
  /** Waits for what is under way. */
  stop(): Promise<void>;
}

/** At once, and then at most so often: a notification for each append costs 70 % of them. */
const AT_MOST_EVERY_MS = 5;

/**
 * Makes a notifier. A notification is no part of an append, and is not waited for; one that is lost
 * is made good by the readers' slow poll.
 */
export function createNotifier(
  deps: { readonly pool: Pool; readonly log: Log },
  { channel, payload }: { readonly channel: string; readonly payload?: string | undefined },
): Notifier {
  const notify = notifyText(channel, payload);
  let underWay: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let wanted = false;
  let stopped = false;

  /** Nothing needs to reach the disk for a notification. */
  async function send(): Promise<void> {
    try {
      await deps.pool.query(`begin; set local synchronous_commit = off; ${notify}; commit`);
    } catch (error) {
      deps.log.debug({ err: error }, 'a notification was not sent');
    }
  }

  function begin(): void {
    wanted = false;
    underWay = send().finally(() => {
      underWay = undefined;
      if (!stopped) timer = setTimeout(rest, AT_MOST_EVERY_MS);
    });
  }

  function rest(): void {
    timer = undefined;
    if (wanted) begin();
  }

  return {
    notify() {
      if (underWay === undefined && timer === undefined && !stopped) begin();
      else wanted = true;
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await underWay;
      if (wanted) await send();
    },
  };
}
