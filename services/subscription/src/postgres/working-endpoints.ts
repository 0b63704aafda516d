import { evolve } from '../domain/endpoint.ts';
import type { Endpoint, EndpointEvent, EndpointKey } from '../domain/endpoint.ts';
import type { TenantUrl } from './endpoint-table.ts';

/** The endpoints that a batch touches, as its commands have left them so far. */
export interface WorkingEndpoints {
  byId(key: EndpointKey): Endpoint | undefined;
  byUrl(tenantUrl: TenantUrl): Endpoint | undefined;
  /** How many events the endpoint has, also once it is removed. */
  version(key: EndpointKey): number;
  /** Takes the next event of the lane in. */
  apply(key: EndpointKey, event: EndpointEvent, recordedAtMs: number): void;
  /** The endpoints that changed and are still there, each once. */
  changed(): readonly Endpoint[];
  /** The ids of those that were removed. */
  removed(): readonly string[];
}

/**
 * Makes the working set of a batch.
 *
 * @param revision of the event before the first one that is applied.
 */
export function createWorkingEndpoints(
  loaded: readonly Endpoint[],
  revision: number,
): WorkingEndpoints {
  const endpoints = new Map(loaded.map((endpoint) => [nameOf(endpoint), endpoint]));
  const holders = new Map(loaded.map((endpoint) => [urlNameOf(endpoint), nameOf(endpoint)]));
  const versions = new Map(loaded.map((endpoint) => [nameOf(endpoint), endpoint.version]));
  const touched = new Map<string, string>();
  let lastRevision = revision;

  return {
    byId: (key) => endpoints.get(nameOf(key)),
    byUrl: (tenantUrl) => endpoints.get(holders.get(urlNameOf(tenantUrl)) ?? ''),
    version: (key) => versions.get(nameOf(key)) ?? 0,
    apply(key, event, recordedAtMs) {
      const name = nameOf(key);
      const before = endpoints.get(name);
      lastRevision += 1;
      const after = evolve(before, { ...key, event, recordedAtMs, revision: lastRevision });
      if (before !== undefined) {
        endpoints.delete(name);
        holders.delete(urlNameOf(before));
      }
      if (after !== undefined) {
        endpoints.set(name, after);
        holders.set(urlNameOf(after), name);
      }
      versions.set(name, (versions.get(name) ?? 0) + 1);
      touched.set(name, key.endpointId);
    },
    changed: () => [...touched.keys()].flatMap((name) => endpoints.get(name) ?? []),
    removed: () =>
      [...touched].filter(([name]) => !endpoints.has(name)).map(([, endpointId]) => endpointId),
  };
}

/** Neither tenants nor ids hold a space. */
function nameOf({ tenant, endpointId }: EndpointKey): string {
  return `${tenant} ${endpointId}`;
}

function urlNameOf({ tenant, url }: TenantUrl): string {
  return `${tenant} ${url}`;
}
