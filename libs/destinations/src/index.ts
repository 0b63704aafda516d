export { createAddressPolicy, LOOPBACK_RANGES } from './address-policy.ts';
export type { AddressPolicy, AddressVerdict } from './address-policy.ts';
export {
  createCheckedLookup,
  createGuardedLookup,
  DestinationRefusedError,
} from './guarded-lookup.ts';
export { resolveDestination } from './resolve-destination.ts';
export type { Resolution, ResolveOptions } from './resolve-destination.ts';
export { NameNotResolvedError } from './lookup.ts';
export type { Lookup, LookupAddress } from './lookup.ts';
export { createNameLookup } from './name-lookup.ts';
export type { NameLookupOptions } from './name-lookup.ts';
export { MAX_URL_LENGTH, parseWebhookUrl } from './webhook-url.ts';
export type { ParsedWebhookUrl, WebhookUrlProblem } from './webhook-url.ts';
