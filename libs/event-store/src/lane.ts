import { createHash } from 'node:crypto';

/**
 * Says in which lane a stream is: the first four bytes of SHA-256(tenant, 0x00, stream id), as an
 * unsigned number, modulo the number of lanes (ARCHITECTURE.md, "Lanes"). It never changes.
 */
export function laneOf(tenant: string, streamId: string, lanes: number): number {
  const digest = createHash('sha256').update(`${tenant}\0${streamId}`).digest();
  return digest.readUInt32BE(0) % lanes;
}
