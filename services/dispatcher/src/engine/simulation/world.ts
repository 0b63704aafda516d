import type { AnswerRates } from './subscribers.ts';

/** How the world around the engines behaves. Rates are shares of 1. */
export interface Behaviour extends AnswerRates {
  /** Answers that take nearly as long as they may. */
  readonly slowRate: number;
  /** Recordings that are refused, half of them although they were committed. */
  readonly refusedRecordingRate: number;
  /** Statements that take seconds, because Postgres is away. */
  readonly slowStoreRate: number;
}

/** All is well. */
export const CALM: Behaviour = {
  failureRate: 0,
  hangRate: 0,
  goneRate: 0,
  slowRate: 0,
  refusedRecordingRate: 0,
  slowStoreRate: 0,
};

/** How large a simulation is, and how it behaves. */
export interface World {
  readonly lanes: number;
  readonly processes: number;
  readonly behaviour: Behaviour;
  readonly retryScheduleMs?: readonly number[];
}
