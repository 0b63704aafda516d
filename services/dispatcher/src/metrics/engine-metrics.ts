import type { HaltReason } from '@billhook/event-log';
import type { GaugeOf, Monitoring } from '@billhook/metrics';

import { now } from '../dispatching/engine-loop.ts';
import type { HaltedLane } from '../dispatching/halted-lanes.ts';
import type { EngineCensus } from '../engine/census.ts';
import type { Engine } from '../engine/engine.ts';
import type { EngineLimits } from '../engine/limits.ts';
import type { SubscriptionView } from '../subscriptions/view.ts';
import type { WatchedEndpoint } from '../subscriptions/watched-endpoint.ts';

export interface EngineMetricsDependencies {
  readonly engine: Engine;
  readonly limits: EngineLimits;
  readonly view: SubscriptionView;
  readonly halted: () => ReadonlyMap<number, HaltedLane>;
}

interface Look {
  readonly census: EngineCensus;
  readonly halted: ReadonlyMap<string, number>;
  readonly endpoints: ReadonlyMap<string, number>;
}

/**
 * Shows how the engine stands: what it holds against its limits, its lanes, and its endpoints. It is
 * looked at when somebody asks for the metrics.
 */
export function addEngineMetrics(monitoring: Monitoring, deps: EngineMetricsDependencies): void {
  const { engine, view, limits } = deps;
  const look = (): Look => ({
    census: engine.census(now()),
    halted: countReasons(deps.halted().values()),
    endpoints: countStates(view.endpoints()),
  });
  monitoring.addGauges(look, [...budgetGauges(limits), ...laneGauges, ...endpointGauges]);
  monitoring.addGauge(
    {
      name: 'billhook_dispatcher_revision',
      help: 'The revision of the set of endpoints as this process knows it.',
    },
    () => view.revision(),
  );
}

/** What is used of each limit, and the limit beside it, so that an alarm can be a ratio of both. */
function budgetGauges(limits: EngineLimits): GaugeOf<Look>[] {
  return [
    {
      name: 'billhook_dispatcher_in_flight',
      help: 'Sends under way.',
      read: ({ census }) => census.inFlight,
    },
    {
      name: 'billhook_dispatcher_in_flight_limit',
      help: 'So many sends may be under way.',
      read: () => limits.maxInFlight,
    },
    {
      name: 'billhook_dispatcher_origin_in_flight',
      help: 'Sends under way to the scheme, host and port with the most.',
      read: ({ census }) => census.inFlightToOrigin,
    },
    {
      name: 'billhook_dispatcher_origin_in_flight_limit',
      help: 'So many sends may be under way to one scheme, host and port.',
      read: () => limits.maxInFlightPerOrigin,
    },
    {
      name: 'billhook_dispatcher_endpoint_in_flight',
      help: 'Sends under way to the endpoint with the most.',
      read: ({ census }) => census.inFlightToEndpoint,
    },
    {
      name: 'billhook_dispatcher_endpoint_in_flight_limit',
      help: 'So many sends may be under way to one endpoint, or fewer, as it takes them.',
      read: () => limits.maxInFlightPerEndpoint,
    },
    {
      name: 'billhook_dispatcher_queued',
      help: 'Deliveries that were read and wait in memory for their turn to be sent.',
      read: ({ census }) => census.queued,
    },
    {
      name: 'billhook_dispatcher_queued_limit',
      help: 'With so many queued nothing is read; it rises and falls with what is sent in a second.',
      read: ({ census }) => census.queuedLimit,
    },
    {
      name: 'billhook_dispatcher_ready',
      help: 'Those among the queued that wait for nothing but their turn.',
      read: ({ census }) => census.ready,
    },
    {
      name: 'billhook_dispatcher_ready_limit',
      help: 'With more than half as many of these nothing is read, and a read brings no more than so many.',
      read: () => limits.maxReady,
    },
    {
      name: 'billhook_dispatcher_claimed',
      help: 'Parked deliveries that were taken up and wait in memory for their turn to be sent.',
      read: ({ census }) => census.claimed,
    },
    {
      name: 'billhook_dispatcher_claimed_limit',
      help: 'With so many of them no more are taken up.',
      read: () => limits.maxClaimed,
    },
    {
      name: 'billhook_dispatcher_claimed_bytes',
      help: 'Bytes of the bodies of the deliveries that were taken up.',
      read: ({ census }) => census.claimedBytes,
    },
    {
      name: 'billhook_dispatcher_claimed_limit_bytes',
      help: 'With so many bytes of these bodies no more are taken up.',
      read: () => limits.maxClaimedBytes,
    },
    {
      name: 'billhook_dispatcher_endpoint_claimed',
      help: 'Parked deliveries that were taken up of the endpoint with the most.',
      read: ({ census }) => census.claimedOfEndpoint,
    },
    {
      name: 'billhook_dispatcher_endpoint_claimed_limit',
      help: 'So many of one endpoint are taken up, or fewer, as it takes them.',
      read: () => limits.maxClaimedPerEndpoint,
    },
    {
      name: 'billhook_dispatcher_held',
      help: 'Deliveries in memory.',
      read: ({ census }) => census.held,
    },
    {
      name: 'billhook_dispatcher_held_limit',
      help: 'With so many deliveries in memory nothing is read.',
      read: () => limits.maxHeld,
    },
    {
      name: 'billhook_dispatcher_held_bytes',
      help: 'Bytes of the bodies of the deliveries in memory.',
      read: ({ census }) => census.heldBytes,
    },
    {
      name: 'billhook_dispatcher_held_limit_bytes',
      help: 'With so many bytes of bodies in memory nothing is read.',
      read: () => limits.maxHeldBytes,
    },
    {
      name: 'billhook_dispatcher_unrecorded',
      help: 'Attempts that wait for the next recording.',
      read: ({ census }) => census.unrecorded,
    },
    {
      name: 'billhook_dispatcher_unrecorded_limit',
      help: 'With so many attempts that wait for it nothing is read or taken up.',
      read: () => limits.maxUnrecorded,
    },
    {
      name: 'billhook_dispatcher_window_events',
      help: 'Events above progress in the lane with the most.',
      read: ({ census }) => census.windowEvents,
    },
    {
      name: 'billhook_dispatcher_window_events_limit',
      help: 'With so many events above its progress a lane is not read.',
      read: () => limits.maxWindowEvents,
    },
    {
      name: 'billhook_dispatcher_blocked_pairs',
      help: 'Pairs of endpoint and invoice that are known to have parked deliveries.',
      read: ({ census }) => census.blockedPairs,
    },
    {
      name: 'billhook_dispatcher_blocked_pairs_limit',
      help: 'With so many known, an endpoint that gets another one lags.',
      read: () => limits.maxBlockedPairsInAll,
    },
    {
      name: 'billhook_dispatcher_endpoint_blocked_pairs',
      help: 'Pairs with parked deliveries of the endpoint in a lane with the most.',
      read: ({ census }) => census.blockedPairsOfEndpoint,
    },
    {
      name: 'billhook_dispatcher_endpoint_blocked_pairs_limit',
      help: 'With more of them an endpoint lags in the lane.',
      read: () => limits.maxBlockedPairs,
    },
    {
      name: 'billhook_dispatcher_lane_parked',
      help: 'Parked deliveries in the lane with the most.',
      read: ({ census }) => census.parkedInLane,
    },
    {
      name: 'billhook_dispatcher_lane_parked_limit',
      help: 'With so many in a lane, endpoints that lag in it keep a cursor.',
      read: () => limits.maxRowsPerLane,
    },
    {
      name: 'billhook_dispatcher_endpoint_parked',
      help: 'Parked deliveries of the endpoint in a lane with the most.',
      read: ({ census }) => census.parkedOfEndpoint,
    },
    {
      name: 'billhook_dispatcher_endpoint_parked_limit',
      help: 'With so many in a lane, an endpoint that lags in it keeps a cursor, unless all wait for their next attempt.',
      read: () => limits.maxRowsPerEndpointLane,
    },
    {
      name: 'billhook_dispatcher_refills',
      help: 'Lanes that are being read again from cursors.',
      read: ({ census }) => census.refills,
    },
    {
      name: 'billhook_dispatcher_refills_limit',
      help: 'So many lanes are read again at a time.',
      read: () => limits.maxRefills,
    },
  ];
}

const laneGauges: readonly GaugeOf<Look>[] = [
  {
    name: 'billhook_dispatcher_lanes',
    help: 'Lanes that this process owns.',
    read: ({ census }) => census.lanes.length,
  },
  {
    name: 'billhook_dispatcher_halted_lanes',
    help: 'Lanes that are not read on because something would be skipped, by the reason.',
    label: 'reason',
    read: ({ halted }) => halted,
  },
  {
    name: 'billhook_dispatcher_lane_progress',
    help: 'The position up to which everything of a lane is settled or parked.',
    label: 'lane',
    read: ({ census }) => new Map(census.lanes.map(({ lane, progress }) => [lane, progress])),
  },
  {
    name: 'billhook_dispatcher_lane_read_position',
    help: 'The position up to which a lane was read.',
    label: 'lane',
    read: ({ census }) =>
      new Map(census.lanes.map(({ lane, readPosition }) => [lane, readPosition])),
  },
  {
    name: 'billhook_dispatcher_lane_lag_seconds',
    help: 'The age of the oldest event that was read and progress has not passed; 0 without one.',
    label: 'lane',
    read: ({ census }) => new Map(census.lanes.map(({ lane, lagMs }) => [lane, lagMs / 1_000])),
  },
  {
    name: 'billhook_dispatcher_parked',
    help: 'Parked deliveries in the lanes of this process.',
    read: ({ census }) => census.parked,
  },
];

const endpointGauges: readonly GaugeOf<Look>[] = [
  {
    name: 'billhook_dispatcher_endpoints',
    help: 'Endpoints of all tenants, by their state; every dispatcher knows all of them.',
    label: 'state',
    read: ({ endpoints }) => endpoints,
  },
  {
    name: 'billhook_dispatcher_lagging_endpoints',
    help: 'Endpoints that lag in a lane of this process.',
    read: ({ census }) => census.endpoints.lagging,
  },
  {
    name: 'billhook_dispatcher_cursor_endpoints',
    help: 'Endpoints with so large a backlog that they keep a cursor in a lane of this process.',
    read: ({ census }) => census.endpoints.withCursor,
  },
  {
    name: 'billhook_dispatcher_circuits',
    help: 'Endpoints whose circuit is not closed in this process.',
    label: 'state',
    read: ({ census: { endpoints } }) =>
      new Map([
        ['open', endpoints.open],
        ['half_open', endpoints.halfOpen],
      ]),
  },
];

function countReasons(halted: Iterable<HaltedLane>): ReadonlyMap<string, number> {
  const counts: Record<HaltReason, number> = {
    gap: 0,
    another_event: 0,
    lost_tail: 0,
    went_back: 0,
    undecodable: 0,
  };
  for (const { reason } of halted) counts[reason] += 1;
  return new Map(Object.entries(counts));
}

function countStates(endpoints: Iterable<WatchedEndpoint>): ReadonlyMap<string, number> {
  const counts: Record<WatchedEndpoint['state'], number> = { active: 0, paused: 0, disabled: 0 };
  for (const { state } of endpoints) counts[state] += 1;
  return new Map(Object.entries(counts));
}
