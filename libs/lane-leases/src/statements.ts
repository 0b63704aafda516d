import type { Pool } from '@billhook/postgres';
import type { OwnedLane } from './fence.ts';
import type { LeaseRow, MemberRow } from './lease-book.ts';

/** The statements on the lease tables. Each is one round trip and one transaction of its own. */
export interface LeaseStatements {
  /** Makes the rows of lanes that have none yet. */
  addLanes(laneCount: number): Promise<void>;
  /** Moves the counters of all lanes on that the owner holds, and says which they are. */
  renew(): Promise<OwnedLane[]>;
  /**
   * Counts the owner among those who share the lanes. Its counter must be one that it never had:
   * others forget a member whose counter stands still, and must see that it is back.
   */
  join(counter: number): Promise<void>;
  /** Takes the owner out of those who share the lanes. */
  leave(): Promise<void>;
  readLanes(): Promise<LeaseRow[]>;
  readMembers(): Promise<MemberRow[]>;
  /** Takes the lanes over that still look as they were seen and that no transaction fences. */
  take(seen: readonly LeaseRow[]): Promise<OwnedLane[]>;
  /** Takes every lane over whoever holds it, once the transactions that fence it have ended. */
  takeAll(): Promise<void>;
  /** Frees the lanes that the owner still holds under the epochs named. */
  release(owned: readonly OwnedLane[]): Promise<void>;
  /** Removes members whose counters still stand where they were seen. */
  forget(seen: readonly MemberRow[]): Promise<void>;
  /** Removes all other members. */
  forgetOthers(): Promise<void>;
}

interface LaneEpoch {
  readonly lane: number;
  readonly epoch: bigint;
}

/** A query that fails when its answer is late: a lost connection must not outlast a lease. */
interface BoundedQuery {
  readonly name: string;
  readonly text: string;
  readonly values: unknown[];
  readonly query_timeout: number;
}

/** Binds the statements to a schema and an owner. */
export function createLeaseStatements(
  pool: Pool,
  options: { readonly schema: string; readonly ownerId: string; readonly timeoutMs: number },
): LeaseStatements {
  const { schema, ownerId, timeoutMs } = options;
  const query = (name: string, text: string, values: unknown[]): BoundedQuery => ({
    name: `${name}_${schema}`,
    text,
    values,
    query_timeout: timeoutMs,
  });
  const run = async (name: string, text: string, values: unknown[] = []): Promise<void> => {
    await pool.query(query(name, text, values));
  };
  const owned = async (name: string, text: string, values: unknown[]): Promise<OwnedLane[]> => {
    const result = await pool.query<LaneEpoch>(query(name, text, values));
    return result.rows.map((row) => ({ lane: row.lane, epoch: Number(row.epoch) }));
  };
  return {
    addLanes: (laneCount) => run('add_lanes', addLanesText(schema), [laneCount]),
    renew: () => owned('renew_lanes', renewText(schema), [ownerId]),
    join: (counter) => run('join_lanes', joinText(schema), [ownerId, counter]),
    leave: () =>
      run('leave_lanes', `delete from ${schema}.lane_member where owner = $1`, [ownerId]),
    async readLanes() {
      const text = `select lane, owner, epoch, counter from ${schema}.lane_lease order by lane`;
      const result = await pool.query<LaneEpoch & { owner: string; counter: bigint }>(
        query('read_lanes', text, []),
      );
      return result.rows.map((row) => ({
        lane: row.lane,
        owner: row.owner,
        epoch: Number(row.epoch),
        counter: Number(row.counter),
      }));
    },
    async readMembers() {
      const text = `select owner, counter from ${schema}.lane_member order by owner`;
      const result = await pool.query<{ owner: string; counter: bigint }>(
        query('read_members', text, []),
      );
      return result.rows.map((row) => ({ owner: row.owner, counter: Number(row.counter) }));
    },
    take: (seen) =>
      owned('take_lanes', takeText(schema), [
        ownerId,
        seen.map((row) => row.lane),
        seen.map((row) => row.epoch),
        seen.map((row) => row.counter),
      ]),
    takeAll: () => run('take_all_lanes', takeAllText(schema), [ownerId]),
    release: (lanes) =>
      run('release_lanes', releaseText(schema), [
        ownerId,
        lanes.map((lane) => lane.lane),
        lanes.map((lane) => lane.epoch),
      ]),
    forget: (seen) =>
      run('forget_members', forgetText(schema), [
        seen.map((row) => row.owner),
        seen.map((row) => row.counter),
      ]),
    forgetOthers: () =>
      run('forget_others', `delete from ${schema}.lane_member where owner <> $1`, [ownerId]),
  };
}

function addLanesText(schema: string): string {
  return `insert into ${schema}.lane_lease (lane)
          select generate_series(0, $1::int - 1)
          on conflict do nothing`;
}

/** The rows are locked in order, so that no two statements wait for each other. */
function renewText(schema: string): string {
  return `update ${schema}.lane_lease as lease set counter = lease.counter + 1
          from (select lane from ${schema}.lane_lease
                where owner = $1 order by lane for no key update) as held
          where lease.lane = held.lane
          returning lease.lane, lease.epoch`;
}

function joinText(schema: string): string {
  return `insert into ${schema}.lane_member (owner, counter) values ($1, $2)
          on conflict (owner) do update set counter = excluded.counter`;
}

/**
 * A lane that somebody fences or renews at this moment is left for the next round: a candidate
 * that waited could miss the renewals of its own lanes.
 */
function takeText(schema: string): string {
  return `with taken as (
            select lease.lane
            from ${schema}.lane_lease as lease
            join unnest($2::int[], $3::bigint[], $4::bigint[]) as seen (lane, epoch, counter)
              on seen.lane = lease.lane
             and seen.epoch = lease.epoch
             and seen.counter = lease.counter
            order by lease.lane
            for update of lease skip locked)
          update ${schema}.lane_lease as lease
          set owner = $1, epoch = lease.epoch + 1, counter = lease.counter + 1
          from taken
          where lease.lane = taken.lane
          returning lease.lane, lease.epoch`;
}

function takeAllText(schema: string): string {
  return `with taken as (
            select lane from ${schema}.lane_lease order by lane for update)
          update ${schema}.lane_lease as lease
          set owner = $1, epoch = lease.epoch + 1, counter = lease.counter + 1
          from taken
          where lease.lane = taken.lane`;
}

function releaseText(schema: string): string {
  return `update ${schema}.lane_lease as lease set owner = ''
          from (select lease.lane
                from ${schema}.lane_lease as lease
                join unnest($2::int[], $3::bigint[]) as given (lane, epoch)
                  on given.lane = lease.lane and given.epoch = lease.epoch
                where lease.owner = $1
                order by lease.lane
                for no key update of lease) as held
          where lease.lane = held.lane`;
}

function forgetText(schema: string): string {
  return `delete from ${schema}.lane_member as member
          using unnest($1::text[], $2::bigint[]) as seen (owner, counter)
          where member.owner = seen.owner and member.counter = seen.counter`;
}
