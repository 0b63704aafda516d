/** Where a delivery goes, taken apart once per endpoint. */
export interface Target {
  /** Scheme, host and port, such as `https://example.com:8443`: what shares connections. */
  readonly origin: string;
  /** Path and query. */
  readonly path: string;
}

/**
 * Takes an endpoint's URL apart.
 *
 * @param url in its WHATWG serialisation, as it was registered.
 */
export function createTarget(url: string): Target {
  const { origin, pathname, search } = new URL(url);
  return { origin, path: pathname + search };
}
