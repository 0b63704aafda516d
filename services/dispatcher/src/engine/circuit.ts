import { jitter } from './retry-schedule.ts';

/**
 * The circuit breaker of an endpoint (Nygard, "Release It!"): an endpoint that keeps failing is called
 * no more for a while, and then with one delivery to see whether it works again.
 *
 * ```
 *             too many failures in a row            its time has come
 *   closed ------------------------------> open ------------------------> half_open
 *     ^  ^                                  |  ^                           |     |
 *     |  +------- an answer that counts ----+  +---- the probe failed -----+     |
 *     +--------------------------- an answer that counts ------------------------+
 * ```
 * An open circuit writes nothing and uses up no attempts: what waits, waits.
 */
export type Circuit =
  | { readonly state: 'closed'; readonly failures: number }
  | (Broken & { readonly state: 'open'; readonly probeAtMs: number })
  | (Broken & {
      readonly state: 'half_open';
      /** The probe has been sent, when all that was sent before had been answered. */
      readonly isProbed: boolean;
    });

interface Broken {
  /** What the last failure was, in words. */
  readonly reason: string;
  /** When it opened first, wall clock. */
  readonly sinceMs: number;
  /** How long it is open before the next probe. Doubled by each probe that fails. */
  readonly waitMs: number;
}

export interface CircuitRules {
  /** So many failures in a row open it. */
  readonly failures: number;
  /** At most the longest one. */
  readonly firstWaitMs: number;
  readonly longestWaitMs: number;
}

/** The circuit of each endpoint that works, and of which nothing is known. */
const SOUND: Circuit = { state: 'closed', failures: 0 };

/** Makes the circuit of an endpoint of which nothing is known. */
export function createCircuit(): Circuit {
  return SOUND;
}

/** A failure as the circuit sees it. */
export interface CircuitFailure {
  readonly reason: string;
  readonly now: { readonly wallMs: number; readonly monotonicMs: number };
  /** In [0, 1), for jitter. */
  readonly random: number;
}

/** The receiver answered in a way which says that it works. */
export function afterWorking(): Circuit {
  return SOUND;
}

/** A delivery is sent. Where the circuit is half open, it is the probe. */
export function afterSending(circuit: Circuit): Circuit {
  return circuit.state === 'half_open' ? { ...circuit, isProbed: true } : circuit;
}

/** The receiver failed. Of what was sent before it opened, that is nothing new. */
export function afterFailure(
  circuit: Circuit,
  { reason, now, random }: CircuitFailure,
  rules: CircuitRules,
): Circuit {
  const open = (sinceMs: number, waitMs: number): Circuit => ({
    state: 'open',
    reason,
    sinceMs,
    waitMs,
    probeAtMs: now.monotonicMs + jitter(waitMs, random),
  });
  switch (circuit.state) {
    case 'closed': {
      const failures = circuit.failures + 1;
      if (failures < rules.failures) return { state: 'closed', failures };
      return open(now.wallMs, rules.firstWaitMs);
    }
    case 'half_open':
      if (!circuit.isProbed) return circuit;
      return open(circuit.sinceMs, Math.min(rules.longestWaitMs, circuit.waitMs * 2));
    case 'open':
      return circuit;
  }
}

/** Other rules hold: its next probe is no further away than they allow. */
export function afterChange(circuit: Circuit, monotonicMs: number, rules: CircuitRules): Circuit {
  if (circuit.state === 'closed') return circuit;
  const waitMs = Math.min(circuit.waitMs, rules.longestWaitMs);
  if (circuit.state === 'half_open') return { ...circuit, waitMs };
  const probeAtMs = Math.min(circuit.probeAtMs, monotonicMs + rules.longestWaitMs);
  return { ...circuit, waitMs, probeAtMs };
}

/** Time has passed: an open circuit may be probed. */
export function afterWait(circuit: Circuit, monotonicMs: number): Circuit {
  if (circuit.state !== 'open' || monotonicMs < circuit.probeAtMs) return circuit;
  const { reason, sinceMs, waitMs } = circuit;
  return { state: 'half_open', reason, sinceMs, waitMs, isProbed: false };
}
