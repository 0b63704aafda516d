export { readGatewayConfig, gatewayConfig } from './config.ts';
export type { GatewayConfig } from './config.ts';
export { startGatewayService } from './gateway-service.ts';
export type { GatewayDependencies } from './gateway-service.ts';
