import type { Monitoring } from '@billhook/metrics';
import { REMEDY } from './lost-beginning.ts';
import type { Relay } from './relay.ts';

/**
 * Shows the relay: the lanes that it leads and that are halted, up to where each is relayed, how much
 * is still to be relayed, and whether Kafka takes it.
 */
export function addRelayMetrics(monitoring: Monitoring, relay: Relay): void {
  const { addGauge, addLabelledGauge, addCheck } = monitoring;
  addGauge({ name: 'billhook_relay_lanes', help: 'Lanes that this process relays.' }, () => {
    return relay.state().lanes.length;
  });
  addGauge(
    {
      name: 'billhook_relay_halted_lanes',
      help: 'Lanes that are not relayed because the store and the topic disagree.',
    },
    () => relay.state().lanes.filter(({ haltReason }) => haltReason !== undefined).length,
  );
  addGauge(
    {
      name: 'billhook_relay_incomplete_lanes',
      help: 'Lanes of which the topic lost the beginning; they are relayed.',
    },
    () => relay.state().lanes.filter(({ lacksBeginning }) => lacksBeginning).length,
  );
  addGauge(
    {
      name: 'billhook_relay_lag_events',
      help:
        'Events of the lanes it relays that are in the store and not in Kafka yet; ' +
        'NaN while that is not known.',
    },
    () => relay.readLag(),
  );
  addGauge(
    { name: 'billhook_relay_up', help: '1 while Kafka takes events, 0 while it does not.' },
    () => (relay.state().topic.kind === 'ready' ? 1 : 0),
  );
  addLabelledGauge(
    {
      name: 'billhook_relay_position',
      help: 'The position up to which Kafka acknowledged a lane.',
      label: 'lane',
    },
    () => new Map(relay.state().lanes.map(({ lane, cursor }) => [lane, cursor.position])),
  );
  addCheck(() => problemOf(relay));
}

/** Says in words what keeps the relay from its work. */
export function problemOf(relay: Relay): string | undefined {
  const { topic, lanes } = relay.state();
  if (topic.kind === 'away') return `events are not relayed: ${topic.reason}`;
  const halted = lanes.find(({ haltReason }) => haltReason !== undefined);
  if (halted !== undefined) return `lane ${halted.lane} is not relayed: ${halted.haltReason}`;
  const incomplete = lanes.find(({ lacksBeginning }) => lacksBeginning);
  return incomplete && `the topic lost the beginning of lane ${incomplete.lane}: ${REMEDY}`;
}
