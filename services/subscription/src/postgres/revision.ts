import type { Pool } from '@billhook/postgres';
import { LANE, SCHEMA } from './migrations.ts';

/** Reads the position of the lane: whatever was committed before the call is counted in. */
export async function readRevision(pool: Pool): Promise<bigint> {
  const { rows } = await pool.query<{ readonly position: bigint }>(query);
  const [lane] = rows;
  if (lane === undefined) {
    throw new Error(`Schema ${SCHEMA} has no lane ${LANE}`);
  }
  return lane.position;
}

const query = {
  name: 'read_revision',
  text: `select position from ${SCHEMA}.lane where lane = ${LANE}`,
};
