import { integers, words, type Client } from '@billhook/postgres';

import type { Cursor } from '../engine/endpoint-lane.ts';
import type { LaneRecording } from '../engine/recording.ts';
import { endpointIdOf, endpointUuid, eventIdOf, eventUuid } from './ids.ts';

/** Writes where cursors stand now, and takes away those that have ended. */
export async function moveCursors(client: Client, lanes: readonly LaneRecording[]): Promise<void> {
  const moved = lanes.flatMap(({ lane, movedCursors }) =>
    movedCursors.map(({ endpointId, cursor }) => ({ lane, endpointId, cursor })),
  );
  const standing = moved.filter(({ cursor }) => cursor !== undefined);
  const ended = moved.filter(({ cursor }) => cursor === undefined);
  if (standing.length > 0) {
    await client.query({
      name: 'move_cursors',
      text: `insert into dispatcher.cursor (lane, endpoint_id, position, event_id, event_offset)
             select * from unnest($1::int[], $2::uuid[], $3::bigint[], $4::uuid[], $5::bigint[])
             on conflict (lane, endpoint_id) do update
             set position = excluded.position, event_id = excluded.event_id,
               event_offset = excluded.event_offset`,
      values: [
        integers(standing.map(({ lane }) => lane)),
        words(standing.map(({ endpointId }) => endpointUuid(endpointId))),
        integers(standing.map(({ cursor }) => cursor?.position)),
        words(standing.map(({ cursor }) => cursor?.mark && eventUuid(cursor.mark.id))),
        integers(standing.map(({ cursor }) => cursor?.mark?.offset)),
      ],
    });
  }
  if (ended.length === 0) return;
  await client.query({
    name: 'end_cursors',
    text: `delete from dispatcher.cursor
           using unnest($1::int[], $2::uuid[]) as ended (lane, endpoint_id)
           where cursor.lane = ended.lane and cursor.endpoint_id = ended.endpoint_id`,
    values: [
      integers(ended.map(({ lane }) => lane)),
      words(ended.map(({ endpointId }) => endpointUuid(endpointId))),
    ],
  });
}

/** Reads the cursors of a lane. */
export async function readCursors(
  client: Client,
  lane: number,
): Promise<{ readonly endpointId: string; readonly cursor: Cursor }[]> {
  const result = await client.query<CursorColumns>(
    'select endpoint_id, position, event_id, event_offset from dispatcher.cursor where lane = $1',
    [lane],
  );
  return result.rows.map(({ endpoint_id, position, event_id, event_offset }) => ({
    endpointId: endpointIdOf(endpoint_id),
    cursor: {
      position: Number(position),
      mark:
        event_id === null
          ? undefined
          : {
              id: eventIdOf(event_id),
              offset: event_offset === null ? undefined : Number(event_offset),
            },
    },
  }));
}

interface CursorColumns {
  readonly endpoint_id: string;
  readonly position: bigint;
  readonly event_id: string | null;
  readonly event_offset: bigint | null;
}
