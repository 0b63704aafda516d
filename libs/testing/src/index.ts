export { createTestDatabase, useTestDatabase } from './database.ts';
export type { TestDatabase } from './database.ts';
export { startReceiver } from './receiver.ts';
export type {
  AnswerRequest,
  ReceivedRequest,
  Receiver,
  ReceiverAnswer,
  ReceiverOptions,
} from './receiver.ts';
