import { inject } from 'vitest';
import { createClusterSystem } from './cluster.ts';
import { createStandalone } from './standalone.ts';
import type { System, SystemSettings } from './system.ts';

/** What a system is made of; each project of vitest.config.ts names one. */
type Topology = 'standalone' | 'cluster';

declare module 'vitest' {
  // oxlint-disable-next-line typescript/consistent-type-definitions -- vitest merges this interface.
  export interface ProvidedContext {
    readonly topology: Topology;
  }
}

/** Makes a system for a test that holds whatever processes it is made of. It is not started yet. */
export function createSystem(settings: SystemSettings): Promise<System> {
  switch (inject('topology')) {
    case 'standalone':
      return createStandalone(settings);
    case 'cluster':
      return createClusterSystem(settings);
  }
}

/** Says whether the topology of this project can be had here: a cluster needs a broker. */
export function canHaveSystem(): boolean {
  return inject('topology') === 'standalone' || inject('kafkaBrokers') !== null;
}
