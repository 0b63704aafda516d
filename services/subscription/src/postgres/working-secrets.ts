import type { EndpointSecret } from './secret-table.ts';

/** The secrets that a batch makes. */
export interface WorkingSecrets {
  /** Adds the first secret of an endpoint, or the next one. */
  add(endpointId: string, ciphertext: Buffer): void;
  /** Lets the secret that the endpoint has now end then. */
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
      const index = added.findLastIndex((secret) => secret.endpointId === endpointId);
      const latest = added[index];
      if (latest === undefined) {
        expiries.set(endpointId, validUntilMs);
      } else {
        added[index] = { ...latest, validUntilMs };
      }
    },
    expiries: () =>
      [...expiries].map(([endpointId, validUntilMs]) => ({ endpointId, validUntilMs })),
    added: () => added,
  };
}
