import type { Client } from '@billhook/postgres';

/** A lane and the epoch under which somebody believes to own it. */
export interface OwnedLane {
  readonly lane: number;
  readonly epoch: number;
}

/**
 * Says which lanes are still owned by `ownerId` under the epochs named, and keeps them so until
 * the client's transaction ends. Call it before the first write of a transaction, and write
 * nothing for the lanes that it leaves out.
 *
 * The rows are locked `for key share`: that lets renewals pass, which only move the counter, and
 * makes take-overs wait, which lock `for update`. So whatever is committed under an epoch is
 * visible to the next owner before it begins.
 *
 * @returns the lanes that still hold.
 */
export async function fence(
  client: Client,
  options: { readonly schema: string; readonly ownerId: string },
  owned: readonly OwnedLane[],
): Promise<Set<number>> {
  const result = await client.query<{ lane: number; epoch: bigint }>({
    name: `fence_lanes_${options.schema}`,
    text: `select lane, epoch from ${options.schema}.lane_lease
           where owner = $1 and lane = any($2::int[])
           order by lane
           for key share`,
    values: [options.ownerId, owned.map((lane) => lane.lane)],
  });
  const epochs = new Map(result.rows.map((row) => [row.lane, Number(row.epoch)]));
  return new Set(
    owned.filter(({ lane, epoch }) => epochs.get(lane) === epoch).map(({ lane }) => lane),
  );
}
