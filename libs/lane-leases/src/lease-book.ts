/** A lane's row as it was read. An empty owner means that the lane is free. */
export interface LeaseRow {
  readonly lane: number;
  readonly owner: string;
  readonly epoch: number;
  readonly counter: number;
}

/** A process that shares the lanes, as its row was read. */
export interface MemberRow {
  readonly owner: string;
  readonly counter: number;
}

/** What one reading of both tables showed, and when on this process's monotonic clock. */
export interface Observation {
  readonly lanes: readonly LeaseRow[];
  readonly members: readonly MemberRow[];
  /** When the reading was asked for. */
  readonly askedAtMs: number;
  /** When its answer was here. */
  readonly answeredAtMs: number;
}

/** What should change, from where this process stands. */
export interface LeasePlan {
  /** Lanes to take over, as they were seen; they may be taken only if they still look so. */
  readonly take: readonly LeaseRow[];
  /** How many lanes this process should hold. */
  readonly share: number;
  /** Members that stopped moving their counter. */
  readonly forget: readonly MemberRow[];
}

/** What a process knows of the other processes, from the counters that it saw move. */
export interface LeaseBook {
  /** Takes a reading in. `heldCount` is the number of lanes that this process holds. */
  judge(observation: Observation, heldCount: number): LeasePlan;
}

/**
 * Makes an empty book. Nobody's clock is compared with anybody else's: a counter counts as stopped
 * when it did not change for `leaseMs` between the answer that first showed its value and the
 * question whose answer still shows it, both on this process's monotonic clock.
 */
export function createLeaseBook(options: {
  readonly ownerId: string;
  readonly leaseMs: number;
}): LeaseBook {
  const { ownerId, leaseMs } = options;
  let lanesSeen = new Map<number, Sighting>();
  let membersSeen = new Map<string, Sighting>();

  return {
    judge(observation, heldCount) {
      lanesSeen = resight(
        lanesSeen,
        observation.lanes.map((row) => [row.lane, `${row.owner}/${row.epoch}/${row.counter}`]),
        observation.answeredAtMs,
      );
      membersSeen = resight(
        membersSeen,
        observation.members.map((row) => [row.owner, String(row.counter)]),
        observation.answeredAtMs,
      );
      const stopped = (sighting: Sighting | undefined) =>
        sighting !== undefined && observation.askedAtMs - sighting.sinceMs >= leaseMs;

      const forget = observation.members.filter(
        (row) => row.owner !== ownerId && stopped(membersSeen.get(row.owner)),
      );
      const live = observation.members
        .filter((row) => !forget.includes(row))
        .map((row) => row.owner);
      const share = fairShare(ownerId, live, observation.lanes.length);
      const takeable = observation.lanes.filter(
        (row) => row.owner === '' || (row.owner !== ownerId && stopped(lanesSeen.get(row.lane))),
      );
      return {
        take: takeable.slice(0, Math.max(0, share - heldCount)),
        share,
        forget,
      };
    },
  };
}

/** The value under which something was last seen, and since when it has had it. */
interface Sighting {
  readonly value: string;
  readonly sinceMs: number;
}

/** Keeps the sightings whose value is still the same, and begins the others anew. */
function resight<Key>(
  known: ReadonlyMap<Key, Sighting>,
  seen: readonly (readonly [Key, string])[],
  nowMs: number,
): Map<Key, Sighting> {
  return new Map(
    seen.map(([key, value]) => {
      const before = known.get(key);
      return [key, before?.value === value ? before : { value, sinceMs: nowMs }];
    }),
  );
}

/**
 * The number of lanes for one of the live processes. All who see the same members agree: the
 * lanes that remain after an even division go to the first ones in the order of their ids.
 */
function fairShare(ownerId: string, live: readonly string[], laneCount: number): number {
  const owners = [...new Set([...live, ownerId])].toSorted();
  const remainder = laneCount % owners.length;
  return Math.floor(laneCount / owners.length) + (owners.indexOf(ownerId) < remainder ? 1 : 0);
}
