import type { SecretBox } from '@billhook/secrets';

import { createTarget, type Target } from '../http/target.ts';
import type { WatchedEndpoint } from '../subscriptions/watched-endpoint.ts';
import { createSigningKey, type SigningKey } from '../webhook/signature.ts';

/** Where an endpoint is called, with which headers, and what its deliveries are signed with. */
export interface SigningTarget {
  readonly address: Target;
  /** The headers of its own: names and values in turn. */
  readonly headers: readonly string[];
  /** The newest first. */
  readonly keys: readonly SigningKey[];
}

/**
 * Prepares endpoints for being called, once for as long as they do not change.
 *
 * @returns a function that throws when a secret or the headers cannot be read with the keys that are
 *   configured.
 */
export function createTargets(secretBox: SecretBox): (endpoint: WatchedEndpoint) => SigningTarget {
  const targets = new WeakMap<WatchedEndpoint, SigningTarget>();
  return (endpoint) => {
    let target = targets.get(endpoint);
    if (target === undefined) {
      target = prepare(endpoint, secretBox);
      targets.set(endpoint, target);
    }
    return target;
  };
}

function prepare(endpoint: WatchedEndpoint, secretBox: SecretBox): SigningTarget {
  const { url, endpointId, secrets, encryptedHeaders } = endpoint;
  const headers =
    encryptedHeaders === undefined ? [] : secretBox.decryptHeaders(encryptedHeaders, endpointId);
  return {
    address: createTarget(url),
    headers: headers.flatMap(({ name, value }) => [name, value]),
    keys: secrets.map(({ ciphertext, validUntilMs }) =>
      createSigningKey(secretBox.decrypt(ciphertext, endpointId), validUntilMs),
    ),
  };
}
