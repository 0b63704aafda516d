import { createStandalone } from './standalone.ts';
import type { System, SystemSettings } from './system.ts';

/** Makes a system for a test that holds whatever processes it is made of. It is not started yet. */
export function createSystem(settings: SystemSettings): Promise<System> {
  return createStandalone(settings);
}
