import type { EventLogReader } from '@billhook/event-log';

/** A reader that is opened when it is first needed. */
export interface LateReader {
  get(): Promise<EventLogReader>;
  close(): Promise<void>;
}

/** How long who reads anywhere in a log waits for it: the log may have to search for its place first. */
export const SEARCH_TIMEOUT_MS = 5_000;
/** How often the log is looked at meanwhile. */
export const LOOK_EVERY_MS = 250;

/** Makes one. When opening fails, it is opened anew the next time. */
export function openLate(open: () => Promise<EventLogReader>): LateReader {
  let opened: Promise<EventLogReader> | undefined;
  return {
    async get() {
      opened ??= open();
      try {
        return await opened;
      } catch (error) {
        opened = undefined;
        throw error;
      }
    },
    async close() {
      await opened?.then((log) => log.close());
    },
  };
}
