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

/**
 * Remembers the revision until something is committed. It is right only in a process that is the only one
 * to append: of what others append it does not hear. A commit that appends nothing counts as well. It may
 * have found what a commit before it appended unheard, such as one that was not answered in time.
 *
 * @param onCommitted has its listener called after each commit, before anybody is answered.
 */
export function rememberRevision(
  read: () => Promise<bigint>,
  onCommitted: (listener: () => void) => void,
): () => Promise<bigint> {
  let known: bigint | undefined;
  let commits = 0;
  onCommitted(() => {
    known = undefined;
    commits += 1;
  });
  return async () => {
    if (known !== undefined) return known;
    const before = commits;
    const revision = await read();
    if (commits === before) known = revision;
    return revision;
  };
}

const query = {
  name: 'read_revision',
  text: `select position from ${SCHEMA}.lane where lane = ${LANE}`,
};
