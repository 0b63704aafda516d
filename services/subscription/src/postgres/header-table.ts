import type { Client, Pool } from '@billhook/postgres';
import { fromUuid, toUuid } from './ids.ts';
import { SCHEMA } from './migrations.ts';

/** All headers of an endpoint's own, encrypted as one. */
export interface EncryptedHeaders {
  readonly endpointId: string;
  readonly ciphertext: Buffer;
}

/** Reads the headers of endpoints; one that has none is left out. */
export async function loadHeaders(
  client: Client,
  endpointIds: readonly string[],
): Promise<readonly EncryptedHeaders[]> {
  const { rows } = await client.query<HeadersRow>({
    name: 'load_headers',
    text: `
select endpoint_id, ciphertext from ${SCHEMA}.headers where endpoint_id = any($1::uuid[])`,
    values: [endpointIds.map(toUuid)],
  });
  return rows.map(toHeaders);
}

/** Gives endpoints these headers in place of those before. */
export async function saveHeaders(
  client: Client,
  headers: readonly EncryptedHeaders[],
): Promise<void> {
  await client.query({
    name: 'save_headers',
    text: `
insert into ${SCHEMA}.headers (endpoint_id, ciphertext)
select * from unnest($1::uuid[], $2::bytea[])
on conflict (endpoint_id) do update set ciphertext = excluded.ciphertext`,
    values: [
      headers.map(({ endpointId }) => toUuid(endpointId)),
      headers.map(({ ciphertext }) => ciphertext),
    ],
  });
}

/** Takes all headers from endpoints. */
export async function deleteHeaders(client: Client, endpointIds: readonly string[]): Promise<void> {
  await client.query({
    name: 'delete_headers',
    text: `delete from ${SCHEMA}.headers where endpoint_id = any($1::uuid[])`,
    values: [endpointIds.map(toUuid)],
  });
}

/** Reads headers behind an endpoint's id, in the order of the ids; `null` stands for the start. */
export async function selectHeaders(
  pool: Pool,
  range: { readonly after: string | null; readonly limit: number },
): Promise<readonly EncryptedHeaders[]> {
  const { rows } = await pool.query<HeadersRow>({
    name: 'select_headers',
    text: `
select endpoint_id, ciphertext from ${SCHEMA}.headers
where $1::uuid is null or endpoint_id > $1 order by endpoint_id limit $2`,
    values: [range.after === null ? null : toUuid(range.after), range.limit],
  });
  return rows.map(toHeaders);
}

/** The same headers under another key, and the bytes that they are to replace. */
export interface RenewedHeaders extends EncryptedHeaders {
  readonly before: Buffer;
}

/** Stores headers under another key, unless an update has replaced them meanwhile. */
export async function replaceHeaders(
  pool: Pool,
  renewed: readonly RenewedHeaders[],
): Promise<void> {
  await pool.query({
    name: 'replace_headers',
    text: `
update ${SCHEMA}.headers set ciphertext = renewed.ciphertext
from unnest($1::uuid[], $2::bytea[], $3::bytea[]) as renewed (endpoint_id, before, ciphertext)
where headers.endpoint_id = renewed.endpoint_id and headers.ciphertext = renewed.before`,
    values: [
      renewed.map(({ endpointId }) => toUuid(endpointId)),
      renewed.map(({ before }) => before),
      renewed.map(({ ciphertext }) => ciphertext),
    ],
  });
}

interface HeadersRow {
  readonly endpoint_id: string;
  readonly ciphertext: Buffer;
}

function toHeaders({ endpoint_id, ciphertext }: HeadersRow): EncryptedHeaders {
  return { endpointId: fromUuid(endpoint_id), ciphertext };
}
