import { setTimeout as sleep } from 'node:timers/promises';
import { audit } from '../kills/audit.ts';
import type { Acknowledged } from '../kills/audit.ts';
import { startMutations } from '../kills/mutations.ts';
import { describe, explain, judge } from './judge.ts';
import type { Aftermath, Explanation } from './judge.ts';
import { watchLanes } from './lane-moves.ts';
import { startLaneRounds, timeToNormalMs } from './lane-rounds.ts';
import type { LaneRounds } from './lane-rounds.ts';
import { planFaults } from './plan.ts';
import type { Fault } from './plan.ts';
import { findResent } from './resent.ts';
import { COPIES, LANES, openSite } from './site.ts';
import type { Site } from './site.ts';
import { strike } from './strike.ts';
import type { Struck } from './strike.ts';
import { readTopic } from './topic-content.ts';

export interface ChaosOptions {
  readonly seed: number;
  readonly faults: number;
  /** For the state and the log of this run. Other users must be able to enter it. */
  readonly folder: string;
  /** Told what happens. */
  readonly say: (line: string) => void;
}

/** What a run came to. */
export interface ChaosResult {
  /** What is wrong, in sentences; nothing is if there are none. */
  readonly complaints: readonly string[];
  readonly acknowledged: number;
  readonly missing: number;
  readonly outOfOrder: number;
  readonly duplicates: number;
  readonly faults: readonly Aftermath[];
  readonly explanation: Explanation;
}

const TENANT = 'default';

/** A load that two cores carry with ease: what is to be seen are the faults. */
const LOAD = { clients: 8, pauseMs: 100, callTimeoutMs: 2_000 };

const NORMAL_TIMEOUT_MS = 60_000;
const DRAIN_TIMEOUT_MS = 120_000;

/** Lets faults happen to a cluster under load, one after the other, and audits what came of it. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { folder, say } = options;
  const plan = planFaults({ ...options, copies: COPIES });
  await using site = await openSite(folder);
  const { local, billhook, endpoints, pool, lost } = site;
  const lanes = watchLanes(pool);
  const mutations = startMutations(billhook.invoices, LOAD);
  const rounds = startLaneRounds({ mutations, endpoints }, LANES);
  const faults = await strikeAll(plan, { site, rounds, say });
  await rounds.finish();
  await mutations.finish();
  endpoints.mend();
  const { acknowledged, refusals } = mutations;
  say(`waiting until ${acknowledged.length} events are at ${endpoints.names.length} endpoints`);
  await endpoints.waitForAll(acknowledged, DRAIN_TIMEOUT_MS);
  await lanes.close();
  const inKafka = await readTopic(local.topic);
  const exitCode = await local.cluster.stop('SIGTERM');
  const resent = await findResent(pool);

  const { arrivals, names } = endpoints;
  const findings = audit({ acknowledged, endpoints: names, arrivals, killedAtMs: [] });
  const missingInKafka = acknowledged.map(nameInTopic).filter((name) => !inKafka.has(name));
  const evidence = { faults, moves: lanes.moves, lanes: LANES, tenant: TENANT };
  const explanation = explain(findings.duplicates, evidence);
  return {
    complaints: judge({
      findings,
      explanation,
      resent,
      faults,
      missingInKafka,
      refusals,
      lost,
      exitCode,
      endpoints: names.length,
    }),
    acknowledged: acknowledged.length,
    missing: findings.missing.length + missingInKafka.length,
    outOfOrder: findings.reordered.length,
    duplicates: findings.duplicates.length,
    faults,
    explanation,
  };
}

/** Each fault waits until delivery is normal after the one before, unless that one is hurried. */
async function strikeAll(
  plan: readonly Fault[],
  {
    site,
    rounds,
    say,
  }: { readonly site: Site; readonly rounds: LaneRounds } & Pick<ChaosOptions, 'say'>,
): Promise<readonly Aftermath[]> {
  await rounds.awaitNormal(NORMAL_TIMEOUT_MS);
  const aftermaths: Aftermath[] = [];
  let unsettled: Struck[] = [];
  for (const [index, fault] of plan.entries()) {
    await sleep(fault.calmMs);
    unsettled.push(await strike(fault, site));
    if (fault.hurried && index < plan.length - 1) continue;
    const isNormal = await rounds.awaitNormal(NORMAL_TIMEOUT_MS);
    const normalAtMs = isNormal ? Date.now() : undefined;
    for (const struck of unsettled) {
      const span = { beganAtMs: struck.beganAtMs, normalAtMs: normalAtMs ?? Date.now() };
      const aftermath = {
        ...struck,
        normalAtMs,
        timeToNormalMs: timeToNormalMs(rounds.rounds, span),
      };
      aftermaths.push(aftermath);
      say(`${aftermaths.length}/${plan.length} ${tell(aftermath)}`);
    }
    unsettled = [];
  }
  return aftermaths;
}

function tell({ fault, inside, normalAtMs, timeToNormalMs: timeMs }: Aftermath): string {
  const where =
    inside === undefined ? '' : inside ? ', inside a transaction' : ', outside after all';
  const outcome = normalAtMs === undefined ? 'not normal again in time' : `${timeMs} ms to normal`;
  return `${describe(fault)}${where}: ${outcome}`;
}

function nameInTopic({ invoiceId, sequence }: Acknowledged): string {
  return `${TENANT}/${invoiceId}/${sequence}`;
}
