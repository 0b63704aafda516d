import type { LogEvent } from './delivery.ts';
import type { EndpointView } from './endpoint.ts';
import type { GainedLane } from './lanes.ts';
import { DEFAULT_LIMITS, type EngineLimits } from './limits.ts';
import type { EngineOptions } from './state.ts';

interface OptionOverrides extends Partial<Omit<EngineOptions, 'limits'>> {
  readonly limits?: Partial<EngineLimits>;
}

/** Settings of an engine that knows no endpoint and tries nothing again, but for what is named. */
export function optionsOf({ limits, ...overrides }: OptionOverrides = {}): EngineOptions {
  return {
    retryScheduleMs: [],
    deliveryTimeoutMs: 1_000,
    retentionMs: 1_000,
    limits: { ...DEFAULT_LIMITS, ...limits },
    random: () => 0.5,
    revision: () => 1,
    view: () => undefined,
    matches: () => true,
    ...overrides,
  };
}

/** An endpoint that may be called. */
export function viewOf(endpointId: string, overrides: Partial<EndpointView> = {}): EndpointView {
  return {
    endpointId,
    tenant: 'one',
    state: 'active',
    url: 'http://host/',
    origin: 'http://host',
    ...overrides,
  };
}

/** An event of lane 0, of an invoice of its own. */
export function eventAt(position: number, overrides: Partial<LogEvent> = {}): LogEvent {
  return {
    lane: 0,
    position,
    id: `evt_${position}`,
    tenant: 'one',
    invoiceId: `invoice-${position}`,
    sequence: 1,
    type: 'invoice_created',
    recordedAtMs: 1_000_000,
    traceparent: undefined,
    offset: undefined,
    body: Buffer.alloc(2),
    ...overrides,
  };
}

/** A lane of which nothing was ever read. */
export function gainedLane(lane: number, overrides: Partial<GainedLane> = {}): GainedLane {
  return {
    lane,
    epoch: 1,
    progress: 0,
    mark: undefined,
    settledAhead: [],
    parked: [],
    cursors: [],
    lateAnswers: [],
    ...overrides,
  };
}
