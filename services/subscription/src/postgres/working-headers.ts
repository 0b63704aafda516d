import type { EndpointHeader, SecretBox } from '@billhook/secrets';
import type { EncryptedHeaders } from './header-table.ts';

/** The headers that a batch asks for, as its commands have left them so far. */
export interface WorkingHeaders {
  /** The headers of an endpoint; none if none were loaded. */
  of(endpointId: string): readonly EndpointHeader[];
  /** Gives an endpoint other headers. */
  replace(endpointId: string, headers: readonly EndpointHeader[]): void;
  /** Those that were replaced, by others. */
  changed(): readonly EncryptedHeaders[];
  /** The ids of the endpoints that have none any more. */
  cleared(): readonly string[];
}

/** Makes the working set of a batch. */
export function createWorkingHeaders(
  secretBox: SecretBox,
  loaded: readonly EncryptedHeaders[],
): WorkingHeaders {
  const present = new Map(loaded.map(({ endpointId, ciphertext }) => [endpointId, ciphertext]));
  const replaced = new Set<string>();
  return {
    of(endpointId) {
      const ciphertext = present.get(endpointId);
      return ciphertext === undefined ? [] : secretBox.decryptHeaders(ciphertext, endpointId);
    },
    replace(endpointId, headers) {
      replaced.add(endpointId);
      if (headers.length === 0) {
        present.delete(endpointId);
      } else {
        present.set(endpointId, secretBox.encryptHeaders(headers, endpointId));
      }
    },
    changed: () =>
      [...replaced].flatMap((endpointId) => {
        const ciphertext = present.get(endpointId);
        return ciphertext === undefined ? [] : [{ endpointId, ciphertext }];
      }),
    cleared: () => [...replaced].filter((endpointId) => !present.has(endpointId)),
  };
}
