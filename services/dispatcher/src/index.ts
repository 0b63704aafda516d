export { dispatcherConfig } from './config.ts';
export type { DispatcherConfig, DispatcherPlace } from './config.ts';
export { startDispatcherService } from './dispatcher-service.ts';
