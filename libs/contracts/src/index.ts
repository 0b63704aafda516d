import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export * as invoiceV1 from './generated/billhook/invoice/v1/invoice_service.ts';
export * as invoiceEventsV1 from './generated/billhook/invoice/events/v1/events.ts';
export * as subscriptionV1 from './generated/billhook/subscription/v1/subscription_service.ts';
export * as subscriptionEventsV1 from './generated/billhook/subscription/events/v1/events.ts';
export * as deliveryV1 from './generated/billhook/delivery/v1/delivery_service.ts';
export * as googleRpc from './generated/google/rpc/error_details.ts';
export { Status } from './generated/google/rpc/status.ts';
export { Money } from './generated/google/type/money.ts';
export { Duration } from './generated/google/protobuf/duration.ts';
export { Timestamp } from './generated/google/protobuf/timestamp.ts';
export { readDurationMs, writeDurationMs } from './duration.ts';
export { readTimestampMs, writeTimestampMs } from './timestamp.ts';

/** The folder of the `.proto` files, for clients that load them at run time. */
export const protoRoot = fileURLToPath(new URL('../../../proto', import.meta.url));

/**
 * Reads the descriptors of every `.proto` file and its imports.
 *
 * @returns a serialised `google.protobuf.FileDescriptorSet`, as `buf build` writes it.
 */
export function readDescriptorSet(): Buffer {
  return readFileSync(new URL('./generated/descriptors.binpb', import.meta.url));
}
