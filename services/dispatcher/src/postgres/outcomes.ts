import type { AttemptOutcome } from '../engine/delivery.ts';

/** The HTTP status; absent without an answer. */
export function statusOf(outcome: AttemptOutcome): number | undefined {
  return 'status' in outcome ? outcome.status : undefined;
}

/** What the delivery log says of an attempt that failed. */
export function detailOf(outcome: AttemptOutcome): string | undefined {
  switch (outcome.kind) {
    case 'delivered':
      return undefined;
    case 'rejected':
      return outcome.snippet;
    case 'unreachable':
    case 'refused':
      return outcome.detail;
  }
}
