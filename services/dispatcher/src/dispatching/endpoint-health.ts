import { call } from '@billhook/grpc';
import type { Pool } from '@billhook/postgres';
import type { Log } from '@billhook/runtime';

import {
  deleteHealth,
  noteHealth,
  resetHealth,
  type HealthNote,
} from '../postgres/endpoint-health.ts';
import type { SubscriptionClient } from '../subscriptions/grpc-source.ts';
import type { SubscriptionView, ViewChanges } from '../subscriptions/view.ts';
import type { WatchedEndpoint } from '../subscriptions/watched-endpoint.ts';

const REPORT_TIMEOUT_MS = 5_000;
/** Reports under way; others are left to the next time. */
const MAX_REPORTS = 16;

/** Keeps when each endpoint last worked, and reports those that have only failed for long. */
export interface EndpointHealth {
  /** An attempt ended. */
  note(endpointId: string, isSuccess: boolean): void;
  /** Endpoints were enabled, changed their address, or are gone. */
  changed(changes: ViewChanges): void;
  /** Writes what was noted since the last time, and begins to report: it waits for no answer. */
  flush(signal: AbortSignal): Promise<void>;
}

interface Noted {
  lastSuccessMs: number | undefined;
  failingSinceMs: number | undefined;
}

/** Makes it. `failingForMs`: an endpoint that did nothing but fail for so long is reported. */
export function createEndpointHealth(
  deps: {
    readonly pool: Pool;
    readonly view: SubscriptionView;
    readonly subscriptions: SubscriptionClient;
    readonly log: Log;
  },
  { failingForMs }: { readonly failingForMs: number },
): EndpointHealth {
  const { pool, view, subscriptions, log } = deps;
  let noted = new Map<string, Noted>();
  const seen = new Map<string, Pick<WatchedEndpoint, 'url' | 'state'>>();
  let fresh = new Set<string>();
  let gone = new Set<string>();

  /** The revision from which on what is noted happened. */
  let notedSince = view.revision();
  const reporting = new Set<string>();

  async function report(endpointId: string, revision: number, signal: AbortSignal): Promise<void> {
    const endpoint = view.endpoint(endpointId);
    // It is reported again when it fails again.
    if (endpoint?.state !== 'active' || reporting.size >= MAX_REPORTS) return;
    if (reporting.has(endpointId)) return;
    reporting.add(endpointId);
    log.warn({ endpoint: endpointId }, 'the endpoint has only failed for long: it is reported');
    try {
      await call(
        subscriptions.disableEndpoint,
        { endpointId, reason: 'failing', revision: BigInt(revision) },
        { tenant: endpoint.tenant, timeoutMs: REPORT_TIMEOUT_MS, signal },
      );
    } catch (error) {
      if (signal.aborted) return;
      log.warn({ err: error, endpoint: endpointId }, 'an endpoint could not be reported');
    } finally {
      reporting.delete(endpointId);
    }
  }

  return {
    note(endpointId, isSuccess) {
      let note = noted.get(endpointId);
      if (note === undefined) {
        note = { lastSuccessMs: undefined, failingSinceMs: undefined };
        noted.set(endpointId, note);
      }
      if (!isSuccess) {
        note.failingSinceMs ??= Date.now();
      } else if (note.failingSinceMs !== undefined || note.lastSuccessMs === undefined) {
        // Successes in a row need no clock: it is written down once a minute.
        note.lastSuccessMs = Date.now();
        note.failingSinceMs = undefined;
      }
    },
    changed({ changed, removed }) {
      for (const { endpointId, url, state } of changed) {
        const before = seen.get(endpointId);
        seen.set(endpointId, { url, state });
        const isEnabled = before?.state === 'disabled' && state === 'active';
        if (!isEnabled && (before === undefined || before.url === url)) continue;
        fresh.add(endpointId);
        noted.delete(endpointId);
      }
      for (const { endpointId } of removed) {
        seen.delete(endpointId);
        gone.add(endpointId);
      }
    },
    async flush(signal) {
      const [notes, reset, deleted, revision] = [noted, fresh, gone, notedSince];
      notedSince = view.revision();
      noted = new Map();
      fresh = new Set();
      gone = new Set();
      if (reset.size > 0) await resetHealth(pool, [...reset]);
      if (deleted.size > 0) await deleteHealth(pool, [...deleted]);
      const known = [...notes].filter(([id]) => view.endpoint(id) !== undefined);
      if (known.length === 0) return;
      const rows = known.map(([endpointId, note]): HealthNote => ({ endpointId, ...note }));
      for (const endpointId of await noteHealth(pool, rows, failingForMs)) {
        void report(endpointId, revision, signal);
      }
    },
  };
}
