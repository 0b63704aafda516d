export { readGatewayConfig, toGatewayConfig } from './config.ts';
export type { GatewayConfig } from './config.ts';
export { startGatewayService } from './service.ts';
export type { GatewayDependencies } from './service.ts';
