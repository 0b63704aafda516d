import { microsecondsNow } from '../measuring/clock.ts';

/** Invoice ids that no other run has, and that say when the invoice was to be created. */
export type Stamp = (atMicros?: number) => string;

/** Where the body of a webhook holds the id. */
const STAMPED = /"invoice_id":"[^-"]+-(\d+)-/;

let stamps = 0;

/** Makes the ids of one stretch of load. Their lengths stay the same. */
export function createStamp(): Stamp {
  stamps += 1;
  const run = `b${process.pid.toString(36)}x${stamps}`;
  let made = 0;
  return (atMicros = microsecondsNow()) => {
    made += 1;
    return `${run}-${atMicros}-${made}`;
  };
}

/** @returns undefined if the body has no stamp. */
export function readStampMicros(body: Buffer): number | undefined {
  const micros = STAMPED.exec(body.toString('latin1'))?.[1];
  return micros === undefined ? undefined : Number(micros);
}
