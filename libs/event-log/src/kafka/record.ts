import type { IHeaders, Message } from '@billhook/kafka';
import type { LogRecord } from '../event-log.ts';

/** What is read of a record, as KafkaJS hands it out. */
export interface KafkaRecord {
  readonly offset: string;
  readonly value: Buffer | null;
  readonly headers?: IHeaders | undefined;
}

/** A record that is no event as `encodeRecord` writes one. */
export class UndecodableRecordError extends Error {
  /** Where Kafka keeps it. */
  readonly offset: string;

  constructor(partition: number, offset: string, what: string) {
    super(`The record at offset ${offset} of partition ${partition} is no event: ${what}.`);
    this.name = 'UndecodableRecordError';
    this.offset = offset;
  }
}

/** Headers as CloudEvents' binary mode names them, and `billhook_` for what it has no name for. */
const HEADERS = {
  specification: 'ce_specversion',
  id: 'ce_id',
  source: 'ce_source',
  subject: 'ce_subject',
  type: 'ce_type',
  time: 'ce_time',
  contentType: 'content-type',
  tenant: 'billhook_tenant',
  version: 'billhook_version',
  position: 'billhook_position',
  traceparent: 'traceparent',
} as const;

const SPECIFICATION = '1.0';
const CONTENT_TYPE = 'application/protobuf';
const SOURCE = '/billhook/invoice';

const EVENT_ID = /^evt_[0-9a-f]{32}$/;
const WHOLE_NUMBER = /^[1-9][0-9]{0,15}$/;
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/**
 * Makes the message that carries an event in Kafka: its bytes as the value, and all else in headers
 * (CloudEvents 1.0, Kafka binding, binary mode). The offset is Kafka's to give.
 */
export function encodeRecord(record: LogRecord): Message {
  const headers: IHeaders = {
    [HEADERS.specification]: SPECIFICATION,
    [HEADERS.id]: record.id,
    [HEADERS.source]: SOURCE,
    [HEADERS.subject]: record.streamId,
    [HEADERS.type]: record.type,
    [HEADERS.time]: new Date(record.recordedAtMs).toISOString(),
    [HEADERS.contentType]: CONTENT_TYPE,
    [HEADERS.tenant]: record.tenant,
    [HEADERS.version]: String(record.version),
    [HEADERS.position]: String(record.position),
  };
  if (record.traceparent !== undefined) headers[HEADERS.traceparent] = record.traceparent;
  return { key: `${record.tenant}/${record.streamId}`, value: record.data, headers };
}

/**
 * Reads what `encodeRecord` wrote; whatever a stranger may have written is told apart from it.
 *
 * @param partition the lane.
 * @throws UndecodableRecordError if anything is missing or not as it must be. A `traceparent` that is
 *   invalid is as good as none, as its specification demands.
 */
export function decodeRecord(message: KafkaRecord, partition: number): LogRecord {
  const { offset, value } = message;
  const headers: IHeaders = message.headers ?? {};
  const refuse = (what: string): never => {
    throw new UndecodableRecordError(partition, offset, what);
  };
  const required = (name: string): string =>
    textOf(headers, name) ?? refuse(`it has no header ${name}`);
  const matching = (name: string, pattern: RegExp): string => {
    const text = required(name);
    return pattern.test(text) ? text : refuse(`its header ${name} is malformed`);
  };
  const whole = (name: string): number => {
    const number = Number(matching(name, WHOLE_NUMBER));
    return Number.isSafeInteger(number) ? number : refuse(`its header ${name} is too large`);
  };

  if (value === null) return refuse('it has no value');
  if (required(HEADERS.specification) !== SPECIFICATION)
    refuse('its CloudEvents version is unknown');
  if (required(HEADERS.contentType) !== CONTENT_TYPE) refuse('its content type is unknown');
  const recordedAtMs = Date.parse(matching(HEADERS.time, TIME));
  if (Number.isNaN(recordedAtMs)) refuse(`its header ${HEADERS.time} is no time`);
  const traceparent = textOf(headers, HEADERS.traceparent);
  return {
    lane: partition,
    position: whole(HEADERS.position),
    id: matching(HEADERS.id, EVENT_ID),
    tenant: required(HEADERS.tenant),
    streamId: required(HEADERS.subject),
    version: whole(HEADERS.version),
    type: required(HEADERS.type),
    data: value,
    recordedAtMs,
    traceparent:
      traceparent !== undefined && TRACEPARENT.test(traceparent) ? traceparent : undefined,
    offset: Number(offset),
  };
}

/** A record as an event, or why it is none. */
export function tryDecodeRecord(
  record: KafkaRecord,
  partition: number,
): LogRecord | UndecodableRecordError {
  try {
    return decodeRecord(record, partition);
  } catch (error) {
    if (error instanceof UndecodableRecordError) return error;
    throw error;
  }
}

/**
 * The records from an index on, with values of their own: KafkaJS's are parts of the whole response,
 * which one event that waits would keep in memory.
 */
export function detachRecords(records: readonly KafkaRecord[], from: number): KafkaRecord[] {
  const rest = records.slice(from);
  const bytes = rest.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
  const all = Buffer.allocUnsafeSlow(bytes);
  let end = 0;
  return rest.map(({ offset, headers, value }) => {
    const start = end;
    if (value !== null) end += value.copy(all, start);
    return { offset, headers, value: value === null ? null : all.subarray(start, end) };
  });
}

/** The position of a record, or undefined if it has none: less than `decodeRecord` checks. */
export function positionOf({ headers = {} }: KafkaRecord): number | undefined {
  const text = textOf(headers, HEADERS.position);
  return text !== undefined && WHOLE_NUMBER.test(text) ? Number(text) : undefined;
}

/** A header's text if it is there once and is not empty. */
function textOf(headers: IHeaders, name: string): string | undefined {
  const value = Object.hasOwn(headers, name) ? headers[name] : undefined;
  if (value === undefined || Array.isArray(value)) return undefined;
  const text = typeof value === 'string' ? value : value.toString();
  return text === '' ? undefined : text;
}
