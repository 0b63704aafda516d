import type { Metadata } from '@grpc/grpc-js';
import { invalidField } from '@billhook/runtime';

export const TENANT_METADATA_KEY = 'billhook-tenant';
export const TRACEPARENT_METADATA_KEY = 'traceparent';

/** Serves a local start, where nobody names a tenant. */
export const DEFAULT_TENANT = 'default';

const TENANT = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

/** Version 00 of https://www.w3.org/TR/trace-context/; ids of zeros alone are invalid there. */
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/**
 * Reads the tenant of a call.
 *
 * @throws ServiceError when it is named twice, or breaks the pattern.
 */
export function readTenant(metadata: Metadata): string {
  const [tenant, ...others] = metadata.get(TENANT_METADATA_KEY);
  if (tenant === undefined) {
    return DEFAULT_TENANT;
  }
  // grpc-js joins a header that is sent twice with a comma, which the pattern refuses as well.
  if (others.length > 0 || typeof tenant !== 'string' || !TENANT.test(tenant)) {
    throw invalidField(
      TENANT_METADATA_KEY,
      'TENANT_INVALID',
      `the metadata must hold one tenant that matches ${TENANT.source}`,
    );
  }
  return tenant;
}

/** An invalid `traceparent` is as good as none, as its specification demands. */
export function readTraceparent(metadata: Metadata): string | undefined {
  const [traceparent, ...others] = metadata.get(TRACEPARENT_METADATA_KEY);
  const valid =
    others.length === 0 && typeof traceparent === 'string' && TRACEPARENT.test(traceparent);
  return valid ? traceparent : undefined;
}
