import type { EngineLimits } from '../limits.ts';
import type { Manners } from './servers/receivers.ts';

/** How the world around the engines behaves. Rates are shares of 1. */
export interface Behaviour extends Manners {
  /** Recordings that are refused, half of them although they were committed. */
  readonly refusedRecordingRate: number;
  /** Statements that take seconds, because Postgres is away. */
  readonly slowStoreRate: number;
  /** Readings of the log that bring less than was asked for, or nothing. */
  readonly shortReadRate: number;
}

/** All is well. */
export const CALM: Behaviour = {
  failureRate: 0,
  hangRate: 0,
  deafRate: 0,
  overloadRate: 0,
  judgedRate: 0,
  goneRate: 0,
  slowRate: 0,
  refusedRecordingRate: 0,
  slowStoreRate: 0,
  shortReadRate: 0,
};

/** How large a simulation is, and how it behaves. */
export interface World {
  readonly lanes: number;
  readonly processes: number;
  readonly behaviour: Behaviour;
  readonly retryScheduleMs?: readonly number[];
  readonly retentionMs?: number;
  readonly limits?: Partial<EngineLimits>;
}
