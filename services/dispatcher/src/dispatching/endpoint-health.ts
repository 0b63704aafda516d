import { writeTimestampMs } from '@billhook/contracts';
import { call } from '@billhook/grpc';
import type { Pool } from '@billhook/postgres';
import type { Log } from '@billhook/runtime';

import {
  deleteHealth,
  noteHealth,
  resetHealth,
  type FailingEndpoint,
  type HealthNote,
} from '../postgres/endpoint-health.ts';
import type { SubscriptionClient } from '../subscriptions/grpc-source.ts';
import type { SubscriptionView, ViewChanges } from '../subscriptions/view.ts';

const REPORT_TIMEOUT_MS = 5_000;
/** Reports under way; others are left to the next time. */
const MAX_REPORTS = 16;
/** Successes that are written at once in one round; others are left to the next one. */
const RECOVERED_AT_MOST = 1_000;

/** Keeps when each endpoint last worked, and reports those that have only failed for long. */
export interface EndpointHealth {
  /** An attempt ended. */
  note(endpointId: string, isSuccess: boolean): void;
  /** Endpoints are gone. */
  changed(changes: Pick<ViewChanges, 'removed'>): void;
  /**
   * Writes the successes that must not wait for the next flush: those of endpoints that may stand there
   * as having failed for days. Who is killed before would leave them so.
   */
  writeRecovered(): Promise<void>;
  /** Writes what was noted since the last time, and begins to report: it waits for no answer. */
  flush(signal: AbortSignal): Promise<void>;
}

const NOBODY: ReadonlySet<string> = new Set();

interface Noted {
  lastSuccessMs: number | undefined;
  failingSinceMs: number | undefined;
}

/**
 * Makes it. What was before an endpoint's renewal is judged by the time of that, which the view has, so
 * that it does not count either for a process that starts after it.
 *
 * @param failingForMs an endpoint that did nothing but fail for so long is reported.
 */
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
  let gone = new Set<string>();
  /** Endpoints that had a success when they were last written: what stands there is not old. */
  const hadSuccess = new Set<string>();

  /** The revision from which on what is noted happened. */
  let notedSince = view.revision();
  const reporting = new Set<string>();

  async function report(
    { endpointId, failingSinceMs }: FailingEndpoint,
    revision: number,
    signal: AbortSignal,
  ): Promise<void> {
    const endpoint = view.endpoint(endpointId);
    // It is reported again when it fails again.
    if (signal.aborted) return;
    if (endpoint?.state !== 'active' || reporting.size >= MAX_REPORTS) return;
    // A subscription service of the version before would disable what was just enabled.
    if (endpoint.renewedAtMs === 0) return;
    if (reporting.has(endpointId)) return;
    reporting.add(endpointId);
    log.warn({ endpoint: endpointId }, 'the endpoint has only failed for long: it is reported');
    try {
      await call(
        subscriptions.disableEndpoint,
        {
          endpointId,
          reason: 'failing',
          revision: BigInt(revision),
          failingSinceTime: writeTimestampMs(failingSinceMs),
        },
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
    changed({ removed }) {
      for (const { endpointId } of removed) gone.add(endpointId);
    },
    async writeRecovered() {
      const recovered = new Map<string, Noted>();
      for (const [endpointId, note] of noted) {
        if (note.lastSuccessMs === undefined || hadSuccess.has(endpointId)) continue;
        if (view.endpoint(endpointId) === undefined) continue;
        recovered.set(endpointId, note);
        if (recovered.size >= RECOVERED_AT_MOST) break;
      }
      // It stays noted: the next flush writes it once more, with what came after it.
      await write(recovered, NOBODY);
    },
    async flush(signal) {
      const [notes, deleted, revision] = [noted, gone, notedSince];
      notedSince = view.revision();
      noted = new Map();
      gone = new Set();
      try {
        for (const failing of await write(notes, deleted)) void report(failing, revision, signal);
      } catch (error) {
        notedSince = revision;
        noted = merge(notes, noted);
        gone = new Set([...deleted, ...gone]);
        throw error;
      }
    },
  };

  async function write(
    notes: ReadonlyMap<string, Noted>,
    deleted: ReadonlySet<string>,
  ): Promise<FailingEndpoint[]> {
    if (deleted.size > 0) await deleteHealth(pool, [...deleted]);
    for (const endpointId of deleted) hadSuccess.delete(endpointId);
    const rows = [...notes].flatMap(([endpointId, note]) => healthNote(endpointId, note) ?? []);
    if (rows.length === 0) return [];
    await resetHealth(pool, rows);
    const failing = await noteHealth(pool, rows, failingForMs);
    for (const { endpointId, lastSuccessMs } of rows) {
      if (lastSuccessMs === undefined) hadSuccess.delete(endpointId);
      else hadSuccess.add(endpointId);
    }
    return failing;
  }

  /** What is to be noted of an endpoint, if it is still there and anything counts. */
  function healthNote(endpointId: string, note: Noted): HealthNote | undefined {
    const endpoint = view.endpoint(endpointId);
    if (endpoint === undefined) return undefined;
    const { renewedAtMs } = endpoint;
    const { lastSuccessMs } = note;
    const failingSinceMs =
      (note.failingSinceMs ?? 0) < renewedAtMs ? undefined : note.failingSinceMs;
    if (failingSinceMs === undefined && lastSuccessMs === undefined) return undefined;
    return { endpointId, renewedAtMs, lastSuccessMs, failingSinceMs };
  }
}

/** What was noted before, and after that. */
function merge(
  before: ReadonlyMap<string, Noted>,
  after: ReadonlyMap<string, Noted>,
): Map<string, Noted> {
  const merged = new Map(before);
  for (const [endpointId, later] of after) {
    const earlier = before.get(endpointId);
    const failsStill = later.lastSuccessMs === undefined && earlier?.failingSinceMs !== undefined;
    merged.set(endpointId, {
      lastSuccessMs: later.lastSuccessMs ?? earlier?.lastSuccessMs,
      failingSinceMs: failsStill ? earlier.failingSinceMs : later.failingSinceMs,
    });
  }
  return merged;
}
