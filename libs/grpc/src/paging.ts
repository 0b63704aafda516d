import { createHash } from 'node:crypto';
import { invalidField } from '@billhook/runtime';

export interface PageSizeBounds {
  readonly default: number;
  readonly max: number;
}

/** Which list a token continues. A token of another list, or of another filter, is refused. */
export interface PageScope {
  /** Such as `invoices`. */
  readonly kind: string;
  /** What the caller filters by, and the tenant. */
  readonly filter: readonly string[];
}

const MAX_TOKEN_LENGTH = 2_048;
const SCOPE_BYTES = 9;

/**
 * Settles how many entries a page holds (https://google.aip.dev/158): none asked for is the default,
 * too many are as many as allowed.
 *
 * @throws ServiceError `INVALID_ARGUMENT` when the size is negative.
 */
export function pageSize(requested: number, bounds: PageSizeBounds): number {
  if (requested < 0) {
    throw invalidField('page_size', 'PAGE_SIZE_INVALID', 'must not be negative');
  }
  return requested === 0 ? bounds.default : Math.min(requested, bounds.max);
}

/** Writes down after what the next page begins, opaque to the caller. */
export function encodePageToken(scope: PageScope, after: readonly string[]): string {
  return Buffer.from(JSON.stringify([hashScope(scope), ...after])).toString('base64url');
}

/**
 * Reads a token that `encodePageToken` made for the same list. Anyone can make one up, so what it
 * names is checked as if each part were a field.
 *
 * @param patterns what each part has to match, in full: one for each.
 * @returns what was written down; undefined for an empty token, the first page.
 * @throws ServiceError `INVALID_ARGUMENT` when it is no such token.
 */
export function decodePageToken(
  scope: PageScope,
  token: string,
  patterns: readonly RegExp[],
): readonly string[] | undefined {
  if (token === '') {
    return undefined;
  }
  const [hash, ...after] = parseToken(token);
  const isValid =
    hash === hashScope(scope) &&
    after.length === patterns.length &&
    patterns.every((pattern, index) => pattern.test(after[index] ?? ''));
  if (!isValid) {
    throw invalidField(
      'page_token',
      'PAGE_TOKEN_INVALID',
      'must be the next_page_token of the page before, with the same filter',
    );
  }
  return after;
}

/** @returns nothing when the token is not one: an empty list matches no scope. */
function parseToken(token: string): readonly string[] {
  if (token.length > MAX_TOKEN_LENGTH) {
    return [];
  }
  try {
    const parsed: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    return Array.isArray(parsed) && parsed.every((entry) => typeof entry === 'string')
      ? parsed
      : [];
  } catch {
    return [];
  }
}

function hashScope(scope: PageScope): string {
  return createHash('sha256')
    .update(JSON.stringify([scope.kind, ...scope.filter]))
    .digest()
    .subarray(0, SCOPE_BYTES)
    .toString('base64url');
}
