import type { Aggregate } from '@billhook/event-store';
import type { Client } from '@billhook/postgres';
import { createSecret } from '@billhook/secrets';
import type { EndpointHeader, SecretBox } from '@billhook/secrets';
import { decide } from '../domain/decide.ts';
import type { EndpointCommand } from '../domain/decide.ts';
import type { Endpoint, EndpointEvent, EndpointKey } from '../domain/endpoint.ts';
import type { AddressedCommand, CommandAnswer } from '../grpc/subscription-service.ts';
import { encodeEndpointEvent } from '../protobuf/endpoint-events.ts';
import {
  deleteEndpoints,
  loadEndpoints,
  saveEndpoints,
  saveSubscriptions,
} from './endpoint-table.ts';
import type { TenantUrl } from './endpoint-table.ts';
import { deleteHeaders, loadHeaders, saveHeaders } from './header-table.ts';
import { LANE, SCHEMA } from './migrations.ts';
import { deleteSecrets, expireSecrets, insertSecrets } from './secret-table.ts';
import { createWorkingEndpoints } from './working-endpoints.ts';
import type { WorkingEndpoints } from './working-endpoints.ts';
import { createWorkingHeaders } from './working-headers.ts';
import type { WorkingHeaders } from './working-headers.ts';
import { createWorkingSecrets } from './working-secrets.ts';
import type { WorkingSecrets } from './working-secrets.ts';

export interface Working {
  readonly endpoints: WorkingEndpoints;
  readonly secrets: WorkingSecrets;
  readonly headers: WorkingHeaders;
}

/** What the event store needs to know of endpoints. Secrets are made in the same transaction. */
export function createEndpointAggregate(
  secretBox: SecretBox,
): Aggregate<AddressedCommand, Working, CommandAnswer> {
  return {
    load: (client, commands) => loadWorking(client, secretBox, commands),
    version: (working, { tenant, streamId }) =>
      working.endpoints.version({ tenant, endpointId: streamId }),
    decide(working, addressed, { recordedAtMs, clockMs }) {
      const { endpoints, secrets } = working;
      const { tenant, command } = addressed;
      const found = findEndpoint(endpoints, addressed);
      const decision = decide(command, {
        endpoint: found,
        urlHolder: findUrlHolder(endpoints, addressed),
        headers: findHeaders(working, addressed),
        clockMs,
      });
      if (decision.kind === 'refused') {
        return decision;
      }
      const endpointId = found?.endpointId ?? addressed.streamId;
      let endpoint = found;
      for (const event of decision.events) {
        endpoints.apply({ tenant, endpointId }, event, recordedAtMs);
        endpoint = endpoints.byId({ tenant, endpointId }) ?? endpoint;
      }
      if (endpoint === undefined) {
        throw new Error(`A command on endpoint ${endpointId} was accepted and made none`);
      }
      replaceHeaders(working, command, { endpointId, events: decision.events });
      const newSecret = makeSecret(secrets, { secretBox, endpointId, events: decision.events });
      const events = decision.events.map((event) => ({
        type: event.type,
        data: encodeEndpointEvent(event),
        streamId: endpointId,
      }));
      const answer = { endpoint, events: decision.events, newSecret };
      return { kind: 'accepted', events, answer };
    },
    save: saveWorking,
    encodeAnswer: refuseToRecord,
    decodeAnswer: refuseToRecord,
  };
}

/** Commands on endpoints are safe to repeat by themselves, so none carries a `request_id`. */
function refuseToRecord(): never {
  throw new Error('Answers may hold a secret, and are never recorded');
}

function findEndpoint(
  endpoints: WorkingEndpoints,
  { tenant, streamId, command }: AddressedCommand,
): Endpoint | undefined {
  return command.kind === 'register' || command.kind === 'unregister'
    ? endpoints.byUrl({ tenant, url: command.url })
    : endpoints.byId({ tenant, endpointId: streamId });
}

function findUrlHolder(
  endpoints: WorkingEndpoints,
  { tenant, command }: AddressedCommand,
): Endpoint | undefined {
  return command.kind === 'update' && command.changes.url !== undefined
    ? endpoints.byUrl({ tenant, url: command.changes.url })
    : undefined;
}

/** Only an endpoint that the caller may see: a command names any id. */
function findHeaders(
  { endpoints, headers }: Working,
  { tenant, streamId: endpointId, command }: AddressedCommand,
): readonly EndpointHeader[] {
  const isAsked = asksForHeaders(command) && endpoints.byId({ tenant, endpointId }) !== undefined;
  return isAsked ? headers.of(endpointId) : [];
}

function asksForHeaders(command: EndpointCommand): boolean {
  return command.kind === 'update' && command.changes.headers !== undefined;
}

/** Keeps the values of which the events tell no more than the names. */
function replaceHeaders(
  { headers }: Working,
  command: EndpointCommand,
  made: { readonly endpointId: string; readonly events: readonly EndpointEvent[] },
): void {
  const isNew = made.events.some(
    (event) => event.type === 'endpoint_updated' && event.changes.headerNames !== undefined,
  );
  if (isNew && command.kind === 'update') {
    headers.replace(made.endpointId, command.changes.headers ?? []);
  }
}

/** Makes the secret that the events ask for, if they do. */
function makeSecret(
  secrets: WorkingSecrets,
  made: {
    readonly secretBox: SecretBox;
    readonly endpointId: string;
    readonly events: readonly EndpointEvent[];
  },
): string | undefined {
  const { secretBox, endpointId, events } = made;
  for (const event of events) {
    if (event.type === 'secret_rotated') {
      secrets.expire(endpointId, event.previousValidUntilMs);
    }
    if (event.type === 'secret_rotated' || event.type === 'endpoint_created') {
      const secret = createSecret();
      secrets.add(endpointId, secretBox.encrypt(secret, endpointId));
      return secret;
    }
  }
  return undefined;
}

async function loadWorking(
  client: Client,
  secretBox: SecretBox,
  commands: readonly AddressedCommand[],
): Promise<Working> {
  const keys = commands.flatMap((addressed) => keyOf(addressed) ?? []);
  const urls = commands.flatMap((addressed) => urlOf(addressed) ?? []);
  const withHeaders = commands.filter(({ command }) => asksForHeaders(command));
  const loaded = await loadEndpoints(client, { keys, urls });
  const headers =
    withHeaders.length === 0
      ? []
      : await loadHeaders(
          client,
          withHeaders.map(({ streamId }) => streamId),
        );
  const revision = await readLockedRevision(client);
  return {
    endpoints: createWorkingEndpoints(loaded, revision),
    secrets: createWorkingSecrets(),
    headers: createWorkingHeaders(secretBox, headers),
  };
}

function keyOf({ tenant, streamId, command }: AddressedCommand): EndpointKey | undefined {
  return command.kind === 'register' || command.kind === 'unregister'
    ? undefined
    : { tenant, endpointId: streamId };
}

function urlOf({ tenant, command }: AddressedCommand): TenantUrl | undefined {
  switch (command.kind) {
    case 'register':
    case 'unregister':
      return { tenant, url: command.url };
    case 'update':
      return command.changes.url === undefined ? undefined : { tenant, url: command.changes.url };
    case 'pause':
    case 'resume':
    case 'enable':
    case 'disable':
    case 'rotate_secret':
      return undefined;
  }
}

/** The lane is locked, so that its position stays what it is until the events are written. */
async function readLockedRevision(client: Client): Promise<number> {
  const { rows } = await client.query<{ readonly position: bigint }>({
    name: 'read_locked_revision',
    text: `select position from ${SCHEMA}.lane where lane = ${LANE}`,
  });
  return Number(rows[0]?.position);
}

function saveWorking(client: Client, { endpoints, secrets, headers }: Working): Promise<unknown>[] {
  const removed = endpoints.removed();
  const changed = endpoints.changed();
  const expiries = secrets.expiries();
  const gone = new Set(removed);
  const added = secrets.added().filter(({ endpointId }) => !gone.has(endpointId));
  const withHeaders = headers.changed().filter(({ endpointId }) => !gone.has(endpointId));
  const withoutHeaders = [...headers.cleared(), ...removed];
  const answers: Promise<unknown>[] = [];
  if (removed.length > 0) {
    answers.push(deleteEndpoints(client, removed), deleteSecrets(client, removed));
  }
  if (changed.length > 0) {
    answers.push(saveEndpoints(client, changed), saveSubscriptions(client, changed));
  }
  if (expiries.length > 0) answers.push(expireSecrets(client, expiries));
  if (added.length > 0) answers.push(insertSecrets(client, added));
  if (withHeaders.length > 0) answers.push(saveHeaders(client, withHeaders));
  if (withoutHeaders.length > 0) answers.push(deleteHeaders(client, withoutHeaders));
  return answers;
}
