import type { SecretBox } from '@billhook/secrets';

import { createTarget, type Target } from '../http/target.ts';
import type { WatchedEndpoint } from '../subscriptions/watched-endpoint.ts';
import { createSigningKey, type SigningKey } from '../webhook/signature.ts';

/** Where an endpoint is called, with which headers, and what its deliveries are signed with. */
export interface SigningTarget {
  readonly address: Target;
  /** The headers of its own: names and values in turn. */
  readonly headers: readonly string[];
  /** The newest first, with the time until which each is valid, wall clock. */
  readonly keys: readonly { readonly key: SigningKey; readonly validUntilMs: number }[];
  /** All of them, while none has ended. */
  readonly allKeys: readonly SigningKey[];
  readonly allValidUntilMs: number;
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
  const keys = secrets.map(({ ciphertext, validUntilMs = Infinity }) => ({
    key: createSigningKey(secretBox.decrypt(ciphertext, endpointId)),
    validUntilMs,
  }));
  return {
    address: createTarget(url),
    headers: headers.flatMap(({ name, value }) => [name, value]),
    keys,
    allKeys: keys.map(({ key }) => key),
    allValidUntilMs: Math.min(...keys.map(({ validUntilMs }) => validUntilMs)),
  };
}

/** The keys that sign now: more than one while a secret is being rotated. */
export function currentKeys(target: SigningTarget, nowMs: number): readonly SigningKey[] {
  if (nowMs < target.allValidUntilMs) return target.allKeys;
  return target.keys.filter(({ validUntilMs }) => nowMs < validUntilMs).map(({ key }) => key);
}
