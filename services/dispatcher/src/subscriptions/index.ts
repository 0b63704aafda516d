export { createRevisionBarrier } from './barrier.ts';
export type { RevisionBarrier } from './barrier.ts';
export { createGrpcSource, createSubscriptionClient } from './grpc-source.ts';
export type { SubscriptionClient } from './grpc-source.ts';
export { createSubscriptionView } from './view.ts';
export type { MatchedEvent, SubscriptionView, ViewChanges } from './view.ts';
export { startWatch } from './watch.ts';
export type { SubscriptionSource, SubscriptionWatch } from './watch.ts';
export type { EncryptedSecret, WatchedEndpoint, WatchedSubscription } from './watched-endpoint.ts';
