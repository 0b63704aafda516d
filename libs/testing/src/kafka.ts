import { randomBytes } from 'node:crypto';
import { describe, inject } from 'vitest';

declare module 'vitest' {
  // oxlint-disable-next-line typescript/consistent-type-definitions -- vitest merges this interface.
  export interface ProvidedContext {
    /** `host:port` of the brokers of this test run, as a comma list; null where none can be had. */
    readonly kafkaBrokers: string | null;
    /** Why tests can start no broker of their own, in a sentence; null where they can. */
    readonly whyNoOwnKafka: string | null;
  }
}

/** Describes what needs a broker: without one its tests are reported as skipped. */
export function describeKafka(name: string, tests: (brokers: readonly string[]) => void): void {
  const brokers = inject('kafkaBrokers');
  describe.skipIf(brokers === null)(name, () => tests((brokers ?? '').split(',')));
}

/**
 * Describes what kills brokers, and so starts them itself: the one that KAFKA_BROKERS names is not its to
 * kill. Where none can be started its tests are reported as skipped, with the reason.
 */
export function describeOwnKafka(name: string, tests: () => void): void {
  const why = inject('whyNoOwnKafka');
  describe.skipIf(why !== null)(why === null ? name : `${name} (skipped: ${why})`, tests);
}

/** A name for a topic, group or client that nobody else has. */
export function uniqueName(prefix: string): string {
  return `${prefix}-${randomBytes(8).toString('hex')}`;
}
