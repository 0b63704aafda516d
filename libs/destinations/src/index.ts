export { LOOPBACK_RANGES } from './address-policy.ts';
export type { AddressPolicy } from './address-policy.ts';
export { createDestinationPolicy } from './destination-policy.ts';
export type { DestinationPolicy, DestinationRules } from './destination-policy.ts';
export {
  createCheckedLookup,
  createGuardedLookup,
  DestinationRefusedError,
} from './guarded-lookup.ts';
export type { OriginRefusal } from './origin-policy.ts';
export { resolveDestination } from './resolve-destination.ts';
export type { Resolution, ResolveOptions } from './resolve-destination.ts';
export { NameNotResolvedError } from './lookup.ts';
export type { Lookup, LookupAddress } from './lookup.ts';
export { createNameLookup, MAX_NAME_LOOKUPS } from './name-lookup.ts';
export type { NameLookup, NameLookupOptions } from './name-lookup.ts';
export { MAX_URL_LENGTH, parseWebhookUrl } from './webhook-url.ts';
export type { ParsedWebhookUrl, WebhookUrlProblem } from './webhook-url.ts';
