import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from '@billhook/postgres';
import type { LocalCluster } from '../cluster/local-cluster.ts';
import type { Copy, Victim } from '../cluster/copy.ts';
import { deleteTopic } from '../cluster/topic.ts';
import { freezeInside } from './freeze-inside.ts';
import type { Fault } from './plan.ts';

/** A fault that has happened. */
export interface Struck {
  readonly fault: Fault;
  readonly beganAtMs: number;
  /** When the victim was back, or the deed was done. */
  readonly overAtMs: number;
  /** For `freeze-inside`: whether it was inside a transaction. */
  readonly inside: boolean | undefined;
  /** Of a copy that was asked to end; undefined also when a signal ended it. */
  readonly exitCode: number | undefined;
}

/** Lets a fault happen. Returns when it is over: the victim runs again, or is gone for good. */
export async function strike(
  fault: Fault,
  { local, pool }: { readonly local: LocalCluster; readonly pool: Pool },
): Promise<Struck> {
  const { action, victim: name, lastsMs } = fault;
  const victim = findVictim(local, name);
  const beganAtMs = Date.now();
  let inside: boolean | undefined;
  let exitCode: number | undefined;
  switch (action) {
    case 'kill':
      await victim.kill();
      await sleep(lastsMs);
      await startAgain(local, victim);
      break;
    case 'freeze':
      await victim.freeze();
      await sleep(lastsMs);
      await victim.thaw();
      break;
    case 'freeze-inside':
      inside = await freezeInside(victim, pool);
      await sleep(lastsMs);
      await victim.thaw();
      break;
    case 'restart':
      exitCode = await findCopy(local, name).stop('SIGTERM');
      await sleep(lastsMs);
      await startAgain(local, victim);
      break;
    case 'join':
      await startAgain(local, victim);
      break;
    case 'leave':
      exitCode = await findCopy(local, name).stop('SIGTERM');
      break;
    case 'delete-topic':
      await deleteTopic(local.topic);
  }
  return { fault, beganAtMs, overAtMs: Date.now(), inside, exitCode };
}

/** Deleting the topic hits nobody in particular. */
function findVictim(local: LocalCluster, name: string): Victim {
  return name === local.postgres.name
    ? local.postgres
    : name === local.broker.name || name === 'topic'
      ? local.broker
      : findCopy(local, name);
}

function findCopy({ cluster }: LocalCluster, name: string): Copy {
  const copy = cluster.copies.find((candidate) => candidate.name === name);
  if (copy === undefined) throw new Error(`there is no ${name}`);
  return copy;
}

async function startAgain(local: LocalCluster, victim: Victim): Promise<void> {
  const copy = local.cluster.copies.find((candidate) => candidate === victim);
  await (copy === undefined ? victim.start() : local.cluster.start([copy]));
}
