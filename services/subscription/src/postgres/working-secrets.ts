import type { EndpointSecret } from './secret-table.ts';

/** The secrets that a batch makes. */
export interface WorkingSecrets {
  /** Adds the first secret of an endpoint, or the next one. */
  add(endpointId: string, ciphertext: Buffer): void;
  /** Lets all secrets that the endpoint has now end then, unless they end before. */
  expire(endpointId: string, validUntilMs: number): void;
  /** When the secrets end that were stored before the batch. */
  expiries(): readonly { readonly endpointId: string; readonly validUntilMs: number }[];
  /** What was added, the oldest first. */
  added(): readonly EndpointSecret[];
}

/** Makes a set without secrets. */
export function createWorkingSecrets(): WorkingSecrets {
  const expiries = new Map<string, number>();
  const added: EndpointSecret[] = [];
  return {
    add(endpointId, ciphertext) {
      added.push({ endpointId, ciphertext, validUntilMs: null });
    },
    expire(endpointId, validUntilMs) {
      expiries.set(endpointId, earlier(expiries.get(endpointId), validUntilMs));
      for (const [index, secret] of added.entries()) {
        if (secret.endpointId !== endpointId) continue;
        added[index] = { ...secret, validUntilMs: earlier(secret.validUntilMs, validUntilMs) };
      }
    },
    expiries: () =>
      [...expiries].map(([endpointId, validUntilMs]) => ({ endpointId, validUntilMs })),
    added: () => added,
  };
}

/** What has no end yet ends then. */
function earlier(endMs: number | null | undefined, otherMs: number): number {
  return Math.min(endMs ?? otherMs, otherMs);
}
