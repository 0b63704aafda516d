export { checkSlice } from './check-slice.ts';
export type { HaltReason, KnownEvent, SliceCheck } from './check-slice.ts';
export type {
  BrokenEvent,
  EventLogReader,
  LaneRequest,
  LaneSlice,
  LogRecord,
  Predecessor,
} from './event-log.ts';
export type { AppendBell } from '@billhook/event-store';
export { openPostgresEventLog } from './postgres/postgres-event-log.ts';
export type { PostgresEventLogOptions } from './postgres/postgres-event-log.ts';
export { decodeRecord, encodeRecord, UndecodableRecordError } from './kafka/record.ts';
export type { KafkaRecord } from './kafka/record.ts';
export { openKafkaEventLog } from './kafka/kafka-event-log.ts';
export type { KafkaEventLogOptions } from './kafka/kafka-event-log.ts';
export type { LaneBufferLimits } from './kafka/lane-buffer.ts';
