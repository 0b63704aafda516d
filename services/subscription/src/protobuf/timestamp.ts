import type { Timestamp } from '@billhook/contracts';

const MS_PER_SECOND = 1_000;
const NANOS_PER_MS = 1_000_000;

/** Writes milliseconds since 1970 as a time. */
export function writeTimestampMs(timeMs: number): Timestamp {
  const seconds = Math.floor(timeMs / MS_PER_SECOND);
  return {
    seconds: BigInt(seconds),
    nanos: (timeMs - seconds * MS_PER_SECOND) * NANOS_PER_MS,
  };
}

/** Reads a time that this service wrote, to the millisecond. */
export function readTimestampMs({ seconds, nanos }: Timestamp): number {
  return Number(seconds) * MS_PER_SECOND + Math.floor(nanos / NANOS_PER_MS);
}
