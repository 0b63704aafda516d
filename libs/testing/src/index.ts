export { createTestDatabase, useTestDatabase } from './database.ts';
export type { TestDatabase } from './database.ts';
export { readHostileDestinations, readPublicDestinations } from './destinations.ts';
export type { DestinationEntry } from './destinations.ts';
export { startDnsServer } from './dns-server.ts';
export type { AnswerDnsQuestion, DnsAnswer, DnsQuestion, DnsServer } from './dns-server.ts';
export { startPostgresProxy } from './postgres-proxy.ts';
export type { CommitFate, PostgresProxy } from './postgres-proxy.ts';
export { startReceiver } from './receiver.ts';
export type {
  AnswerRequest,
  ReceivedRequest,
  Receiver,
  ReceiverAnswer,
  ReceiverOptions,
} from './receiver.ts';
export { describeKafka, describeOwnKafka, uniqueName } from './kafka.ts';
