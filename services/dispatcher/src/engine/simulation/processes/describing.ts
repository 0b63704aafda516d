import type { Effect } from '../../effect.ts';
import type { LaneRecording, RowKey } from '../../recording.ts';

/** Says in a line what an effect is. */
export function describeEffect(effect: Effect): string {
  switch (effect.kind) {
    case 'send': {
      const { event, endpointLane, attempt } = effect.delivery;
      const { id } = endpointLane.endpoint;
      return `send ${id} ${event.lane}:${event.position} ${event.invoiceId} attempt ${attempt}`;
    }
    case 'record': {
      const { number, lanes } = effect.recording;
      return `record ${number}: ${lanes.map(describeLane).join('; ')}`;
    }
    case 'claim': {
      const claims = effect.claims.map(({ endpointLane, limit }) => {
        return `${endpointLane.endpoint.id} ${endpointLane.window.lane} up to ${limit}`;
      });
      return `claim ${claims.join(', ')}`;
    }
    case 'refill': {
      const refills = effect.refills.map(({ lane, after, limit, endpointIds }) => {
        return `${lane}:${after}+${limit} for ${[...endpointIds].join(' ')}`;
      });
      return `refill ${refills.join(', ')}`;
    }
    case 'find': {
      const answers = effect.searches.map(({ answer: { endpointId, lane, position } }) => {
        return `${endpointId} ${lane}:${position}`;
      });
      return `find ${answers.join(', ')}`;
    }
    case 'answered_late': {
      const { endpointId, lane, position, attempt, outcome } = effect.answer;
      return `leave ${outcome.kind} ${endpointId} ${lane}:${position} attempt ${attempt}`;
    }
    case 'report_gone':
      return `report ${effect.endpointId} gone at revision ${effect.revision}`;
    case 'release':
    case 'lost':
      return `${effect.kind} lane ${effect.lane} epoch ${effect.epoch}`;
  }
}

function key({ endpointId, position }: RowKey): string {
  return `${endpointId}:${position}`;
}

/** What is written about a lane, without what is empty. */
function describeLane(written: LaneRecording): string {
  const { lane, epoch, progress, settledAhead, attempts, settledRows, retriedRows } = written;
  const { parkedRows, movedCursors, cancelEndpoints, expireEndpoints, listEndpoints } = written;
  const parts: readonly (readonly [string, readonly string[]])[] = [
    [
      'attempts',
      attempts.map(({ event, endpointId, settlement, reason, outcome }) => {
        const { position } = event;
        return `${key({ position, endpointId })} ${settlement ?? reason ?? outcome?.kind}`;
      }),
    ],
    ['ahead', settledAhead.map(key)],
    ['settled', settledRows.map(key)],
    ['retried', retriedRows.map((row) => `${key(row)}${row.inFlight ? ' in flight' : ''}`)],
    [
      'parked',
      parkedRows.map(({ event, endpointId, inFlight }) => {
        const { position } = event;
        return `${key({ position, endpointId })}${inFlight ? ' in flight' : ''}`;
      }),
    ],
    [
      'cursors',
      movedCursors.map(({ endpointId, cursor }) => `${endpointId}:${cursor?.position ?? 'ended'}`),
    ],
    ['cancel', cancelEndpoints],
    ['expire', expireEndpoints],
    ['list', listEndpoints],
  ];
  const told = parts.filter(([, items]) => items.length > 0);
  const texts = told.map(([name, items]) => `${name} [${items.join(', ')}]`);
  return [`lane ${lane} epoch ${epoch} to ${progress}`, ...texts].join(' ');
}
