export { createAppendBell } from './append-bell.ts';
export type { AppendBell, Appended } from './append-bell.ts';
export { createEventStore } from './create-event-store.ts';
export type { EventStoreOptions } from './create-event-store.ts';
export type {
  Aggregate,
  CommandRequest,
  Decision,
  EventStore,
  NewEvent,
  StoredEvent,
  Stream,
} from './event-store.ts';
export { laneOf } from './lane.ts';
export { eventStoreMigrations } from './migrations.ts';
export { prepareEventStore } from './prepare.ts';
export type { PrepareOptions } from './prepare.ts';
export { readAll, readStream } from './reading.ts';
