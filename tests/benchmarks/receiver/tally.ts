import { Webhook } from 'standardwebhooks';
import { readStampMicros } from '../load/stamp.ts';
import { microsecondsNow } from '../measuring/clock.ts';
import { summariseLatencies } from '../measuring/spread.ts';
import type { Latencies } from '../measuring/spread.ts';
import type { RawRequest } from './requests.ts';

/** How far the requests of a round have come. */
export interface Count {
  readonly requests: number;
  /** On the clock of `microsecondsNow`; NaN before the first one. */
  readonly firstAtMicros: number;
  readonly lastAtMicros: number;
  /** Of the endpoints that are expected: how many requests the one got that got the fewest. */
  readonly fewest: number;
}

/** What came in a round. */
export interface Report extends Count {
  readonly checkedSignatures: number;
  /** From the stamp in the body to the request. */
  readonly latencies: Latencies;
}

/** Counts what comes. */
export interface Tally {
  /** Adds endpoints, with their secrets. */
  expect(secrets: readonly (readonly [path: string, secret: string])[]): void;
  /** Takes endpoints away. */
  forget(paths: readonly string[]): void;
  take(request: RawRequest): void;
  count(): Count;
  /** @throws when a signature was wrong. */
  report(): Report;
  /** What the report sums up, one for each request, in milliseconds. */
  latencies(): readonly number[];
  /** Begins a new round. */
  reset(): void;
}

/** One of so many requests has its signature checked, and the first one of each round. */
const CHECK_EVERY = 500;

export function createTally(): Tally {
  const secrets = new Map<string, string>();
  const counts = new Map<string, number>();
  let latenciesMs: number[] = [];
  let forged: string | undefined;
  let checkedSignatures = 0;
  let requests = 0;
  let firstAtMicros = Number.NaN;
  let lastAtMicros = Number.NaN;

  function check({ path, head, body }: RawRequest): void {
    checkedSignatures += 1;
    try {
      new Webhook(secrets.get(path) ?? '').verify(body.toString(), readHeaders(head));
    } catch (error) {
      forged = `${path}: ${String(error)}`;
    }
  }

  function count(): Count {
    let fewest = Infinity;
    for (const path of secrets.keys()) fewest = Math.min(fewest, counts.get(path) ?? 0);
    return { requests, firstAtMicros, lastAtMicros, fewest };
  }

  return {
    expect(added) {
      for (const [path, secret] of added) secrets.set(path, secret);
    },
    forget(paths) {
      for (const path of paths) secrets.delete(path);
    },
    take(request) {
      lastAtMicros = microsecondsNow();
      if (requests === 0) firstAtMicros = lastAtMicros;
      if (requests % CHECK_EVERY === 0) check(request);
      requests += 1;
      counts.set(request.path, (counts.get(request.path) ?? 0) + 1);
      const stamp = readStampMicros(request.body);
      if (stamp !== undefined) latenciesMs.push((lastAtMicros - stamp) / 1_000);
    },
    count,
    report() {
      if (forged !== undefined) throw new Error(`a signature is wrong: ${forged}`);
      return { ...count(), checkedSignatures, latencies: summariseLatencies(latenciesMs) };
    },
    latencies: () => latenciesMs,
    reset() {
      counts.clear();
      latenciesMs = [];
      checkedSignatures = 0;
      requests = 0;
      firstAtMicros = Number.NaN;
      lastAtMicros = Number.NaN;
    },
  };
}

function readHeaders(head: string): Record<string, string> {
  const [, ...lines] = head.split('\r\n');
  return Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
}
