import type { Appended } from '@billhook/event-store';
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
 * Remembers the revision until something was appended. It is right only in a process that is the only one
 * to append: of what others append it does not hear.
 *
 * @param onAppended has its listener called after each append, before anybody knows of it.
 */
export function rememberRevision(
  read: () => Promise<bigint>,
  onAppended: (listener: (appended: Appended) => void) => void,
): () => Promise<bigint> {
  let known: bigint | undefined;
  let appends = 0;
  let isCertain = true;
  onAppended((appended) => {
    known = undefined;
    appends += 1;
    // A commit that nobody answered may still be under way. A later append held the same lock after it.
    isCertain = appended !== 'unknown';
  });
  return async () => {
    if (known !== undefined) return known;
    const before = appends;
    const revision = await read();
    if (isCertain && appends === before) known = revision;
    return revision;
  };
}

const query = {
  name: 'read_revision',
  text: `select position from ${SCHEMA}.lane where lane = ${LANE}`,
};
