/** A mutation that was answered OK. */
export interface Acknowledged {
  readonly invoiceId: string;
  /** The invoice's event number, 1, 2, 3, ... */
  readonly sequence: number;
}

/** A webhook that came to an endpoint, in the order in which they came there. */
export interface Arrival {
  /** Any name of the endpoint. */
  readonly endpoint: string;
  readonly invoiceId: string;
  readonly sequence: number;
  readonly webhookId: string;
  /** Differs where the bodies do. */
  readonly bodyHash: string;
  /** Whether the endpoint answered 2xx. */
  readonly accepted: boolean;
  readonly arrivedAtMs: number;
}

export interface Evidence {
  readonly acknowledged: readonly Acknowledged[];
  readonly endpoints: readonly string[];
  readonly arrivals: readonly Arrival[];
  /** When the system was killed, ascending. */
  readonly killedAtMs: readonly number[];
}

/** An event that came to an endpoint again after the endpoint had accepted it. */
export interface Duplicate {
  readonly delivery: string;
  readonly invoiceId: string;
  readonly acceptedAtMs: number;
  readonly repeatedAtMs: number;
  /** How many kills lie between the two. Without any, nothing explains it. */
  readonly killsBetween: number;
  /** From when it was accepted to the kill that followed; undefined without one. */
  readonly acceptedBeforeKillMs: number | undefined;
}

/** What was found. Each finding names its delivery as `endpoint/invoice/sequence`. */
export interface Findings {
  /** Acknowledged, and never accepted by the endpoint (G1). */
  readonly missing: readonly string[];
  /** Sent although an earlier event of the invoice had not been accepted (G3). */
  readonly reordered: readonly string[];
  /** Sent with another id or another body than before (G2). */
  readonly differing: readonly string[];
  readonly duplicates: readonly Duplicate[];
}

/** Compares what was promised with what came. Every mutation matches every endpoint. */
export function audit({ acknowledged, endpoints, arrivals, killedAtMs }: Evidence): Findings {
  const reordered: string[] = [];
  const differing: string[] = [];
  const duplicates: Duplicate[] = [];
  const firstOf = new Map<string, Arrival>();
  const accepted = new Map<string, Arrival>();
  const eventOfId = new Map<string, string>();

  for (const arrival of arrivals) {
    const event = `${arrival.invoiceId}/${arrival.sequence}`;
    const delivery = nameOf(arrival.endpoint, arrival);
    const first = firstOf.get(event) ?? arrival;
    firstOf.set(event, first);
    const eventWithId = eventOfId.get(arrival.webhookId) ?? event;
    eventOfId.set(arrival.webhookId, eventWithId);
    if (!isSame(first, arrival) || eventWithId !== event) differing.push(delivery);

    const before = { ...arrival, sequence: arrival.sequence - 1 };
    if (before.sequence > 0 && !accepted.has(nameOf(arrival.endpoint, before))) {
      reordered.push(delivery);
    }
    const earlier = accepted.get(delivery);
    if (earlier !== undefined) duplicates.push(explain(delivery, [earlier, arrival], killedAtMs));
    if (arrival.accepted) accepted.set(delivery, arrival);
  }

  const missing = endpoints
    .flatMap((endpoint) => acknowledged.map((event) => nameOf(endpoint, event)))
    .filter((delivery) => !accepted.has(delivery));
  return { missing, reordered, differing, duplicates };
}

function nameOf(endpoint: string, { invoiceId, sequence }: Acknowledged): string {
  return `${endpoint}/${invoiceId}/${sequence}`;
}

function isSame(one: Arrival, other: Arrival): boolean {
  return one.webhookId === other.webhookId && one.bodyHash === other.bodyHash;
}

function explain(
  delivery: string,
  [earlier, later]: readonly [Arrival, Arrival],
  killedAtMs: readonly number[],
): Duplicate {
  const between = killedAtMs.filter(
    (killMs) => killMs >= earlier.arrivedAtMs && killMs <= later.arrivedAtMs,
  );
  const [kill] = between;
  return {
    delivery,
    invoiceId: later.invoiceId,
    acceptedAtMs: earlier.arrivedAtMs,
    repeatedAtMs: later.arrivedAtMs,
    killsBetween: between.length,
    acceptedBeforeKillMs: kill === undefined ? undefined : kill - earlier.arrivedAtMs,
  };
}
