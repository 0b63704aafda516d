import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AddressPolicy } from './address-policy.ts';
import { systemLookup } from './lookup.ts';
import type { Lookup, LookupAddress } from './lookup.ts';

export type Resolution =
  /** Every address of the name may be reached. */
  | { readonly kind: 'allowed'; readonly addresses: readonly LookupAddress[] }
  /** At least one address may not be reached. */
  | { readonly kind: 'refused'; readonly address: string; readonly reason: string }
  /** Nobody knows the name, or nobody answered in time. */
  | { readonly kind: 'unresolved'; readonly cause: unknown };

export interface ResolveOptions {
  readonly timeoutMs: number;
  readonly lookup?: Lookup;
}

/**
 * Finds the addresses of a host, and judges every one of them: a connection may take any.
 *
 * @param hostname a name or an IP address, without brackets.
 */
export async function resolveDestination(
  hostname: string,
  policy: AddressPolicy,
  options: ResolveOptions,
): Promise<Resolution> {
  const family = isIP(hostname);
  if (family !== 0) {
    return judgeAddresses([{ address: hostname, family }], policy);
  }
  const { timeoutMs, lookup = systemLookup } = options;
  try {
    return judgeAddresses(await withTimeout(lookup(hostname), timeoutMs), policy);
  } catch (cause) {
    return { kind: 'unresolved', cause };
  }
}

/** @returns refused when one of them is, unresolved when there is none. */
export function judgeAddresses(
  addresses: readonly LookupAddress[],
  policy: AddressPolicy,
): Resolution {
  for (const { address } of addresses) {
    const verdict = policy.check(address);
    if (verdict.kind === 'refused') {
      return { kind: 'refused', address, reason: verdict.reason };
    }
  }
  return addresses.length === 0
    ? { kind: 'unresolved', cause: new Error('The name has no address') }
    : { kind: 'allowed', addresses };
}

/** A lookup of the operating system cannot be called off: its answer is no longer waited for. */
async function withTimeout<Value>(promise: Promise<Value>, timeoutMs: number): Promise<Value> {
  const answered = new AbortController();
  const timeout = sleep(timeoutMs, undefined, { signal: answered.signal }).then(() => {
    throw new Error(`The name was not resolved within ${timeoutMs} ms`);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    answered.abort();
    // Whichever came second is of no interest any more, but must not count as uncaught.
    timeout.catch(() => undefined);
    promise.catch(() => undefined);
  }
}
