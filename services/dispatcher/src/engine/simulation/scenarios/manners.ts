import { CALM } from '../world.ts';
import type { Manners } from '../servers/receivers.ts';

const NAMED: Readonly<Record<string, Manners>> = {
  calm: CALM,
  failing: { ...CALM, failureRate: 1 },
  flaky: { ...CALM, failureRate: 0.4 },
  flapping: { ...CALM, flapMs: 1_500 },
  hanging: { ...CALM, hangRate: 1 },
  'hanging at times': { ...CALM, hangRate: 0.15 },
  'losing answers': { ...CALM, deafRate: 0.3 },
  overloaded: { ...CALM, overloadRate: 0.5, failureRate: 0.1 },
  judging: { ...CALM, judgedRate: 0.4 },
  gone: { ...CALM, goneRate: 0.2 },
  slow: { ...CALM, answerMs: 1_500 },
  'slow at the deadline': { ...CALM, slowRate: 0.3, answerMs: 200 },
  'everything at times': {
    ...CALM,
    failureRate: 0.1,
    hangRate: 0.05,
    deafRate: 0.05,
    overloadRate: 0.05,
    judgedRate: 0.05,
    goneRate: 0.02,
    slowRate: 0.05,
    answerMs: 100,
  },
};

/** Receivers of every kind, by what is said of them. */
export const MANNERS: ReadonlyMap<string, Manners> = new Map(Object.entries(NAMED));
