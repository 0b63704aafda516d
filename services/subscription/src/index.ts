export { subscriptionConfig } from './config.ts';
export type { SubscriptionConfig, SubscriptionStorage } from './config.ts';
export { startSubscriptionService } from './subscription-service.ts';
