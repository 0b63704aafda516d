import { createHash } from 'node:crypto';
import { invoiceV1 } from '@billhook/contracts';
import {
  combine,
  optionalDescription,
  optionalEtag,
  optionalInvoiceId,
  optionalRequestId,
  optionalTimeMs,
  requiredAmount,
  requiredInvoiceId,
  requireValid,
  violation,
} from './fields.ts';
import { deriveInvoiceId, randomInvoiceId } from './invoice-ids.ts';
import type { InvoiceCommand } from '../domain/decide.ts';
import type { InvoiceChanges } from '../domain/invoice.ts';
import type { Field } from './fields.ts';

/** A mutation as it was asked for, with every field checked. */
export interface RequestedCommand {
  readonly invoiceId: string;
  readonly command: InvoiceCommand;
  /** "" when the call is not protected against repeats. */
  readonly requestId: string;
  /** The method and the request without its `request_id`, as bytes that are always the same. */
  readonly content: Buffer;
}

/** @throws ServiceError with every violation of the request; so do the two below. */
export function readCreateInvoice(
  request: invoiceV1.CreateInvoiceRequest,
  tenant: string,
): RequestedCommand {
  const { requestId, invoiceId, ...fields } = requireValid({
    requestId: optionalRequestId(request.requestId),
    invoiceId: optionalInvoiceId(request.invoiceId),
    amount: requiredAmount('amount', request.amount),
    dueAtMs: optionalTimeMs('due_date', request.dueDate),
    description: optionalDescription(request.description),
  });
  return {
    invoiceId: invoiceId === '' ? makeInvoiceId(tenant, requestId) : invoiceId,
    command: { kind: 'create', ...fields },
    requestId,
    content: contentOf('CreateInvoice', invoiceV1.CreateInvoiceRequest, request),
  };
}

export function readUpdateInvoice(request: invoiceV1.UpdateInvoiceRequest): RequestedCommand {
  const { requestId, invoiceId, changes, etag } = requireValid({
    requestId: optionalRequestId(request.requestId),
    invoiceId: requiredInvoiceId(request.invoiceId),
    changes: readChanges(request),
    etag: optionalEtag(request.etag),
  });
  return {
    invoiceId,
    command: { kind: 'update', changes, etag },
    requestId,
    content: contentOf('UpdateInvoice', invoiceV1.UpdateInvoiceRequest, request),
  };
}

export function readPayInvoice(request: invoiceV1.PayInvoiceRequest): RequestedCommand {
  const { requestId, invoiceId, ...fields } = requireValid({
    requestId: optionalRequestId(request.requestId),
    invoiceId: requiredInvoiceId(request.invoiceId),
    amountReceived: requiredAmount('amount_received', request.amountReceived),
    paidAtMs: optionalTimeMs('paid_at', request.paidAt),
    etag: optionalEtag(request.etag),
  });
  return {
    invoiceId,
    command: { kind: 'pay', ...fields },
    requestId,
    content: contentOf('PayInvoice', invoiceV1.PayInvoiceRequest, request),
  };
}

/** What tells a repeat of a call from another call under the same `request_id`. */
export function hashContent(content: Uint8Array): Buffer {
  return createHash('sha256').update(content).digest();
}

function makeInvoiceId(tenant: string, requestId: string): string {
  return requestId === '' ? randomInvoiceId() : deriveInvoiceId(tenant, requestId);
}

const CHANGEABLE_FIELDS = ['amount', 'due_date', 'description'] as const;
const UNKNOWN_PATH_DESCRIPTION = `must name nothing but ${CHANGEABLE_FIELDS.join(', ')}, or "*"`;
type ChangeableField = (typeof CHANGEABLE_FIELDS)[number];

/** Only the fields that are to change are looked at: what stands beside the mask is ignored. */
function readChanges(request: invoiceV1.UpdateInvoiceRequest): Field<InvoiceChanges> {
  const mask = readMask(request);
  const named = mask.kind === 'valid' ? mask.value : populatedFields(request);
  const changes = combine({
    ...(named.has('amount') ? { amount: requiredAmount('amount', request.amount) } : {}),
    ...(named.has('due_date') ? { dueAtMs: optionalTimeMs('due_date', request.dueDate) } : {}),
    ...(named.has('description') ? { description: optionalDescription(request.description) } : {}),
  });
  const both = combine({ mask, changes });
  return both.kind === 'valid' ? { kind: 'valid', value: both.value.changes } : both;
}

/** Without a mask (an empty one counts as none) the populated fields change. */
function readMask(request: invoiceV1.UpdateInvoiceRequest): Field<ReadonlySet<ChangeableField>> {
  const paths = request.updateMask ?? [];
  if (paths.length === 0) {
    return { kind: 'valid', value: populatedFields(request) };
  }
  const fields = CHANGEABLE_FIELDS.filter((field) => paths.includes(field) || paths.includes('*'));
  return paths.every((path) => path === '*' || fields.some((field) => field === path))
    ? { kind: 'valid', value: new Set(fields) }
    : violation('update_mask', 'UNKNOWN_PATH', UNKNOWN_PATH_DESCRIPTION);
}

function populatedFields(request: invoiceV1.UpdateInvoiceRequest): ReadonlySet<ChangeableField> {
  const { amount, dueDate: due_date, description } = request;
  const values: Record<ChangeableField, unknown> = { amount, due_date, description };
  return new Set(CHANGEABLE_FIELDS.filter((field) => values[field] !== undefined));
}

interface Encoder<Message> {
  encode(message: Message): { finish(): Uint8Array };
}

/**
 * A re-encoding of what was understood, so that the order of fields on the wire and unknown fields
 * make no difference. The method's name is part of it: the same `request_id` on another method is
 * another content.
 */
function contentOf<Message extends { readonly requestId: string }>(
  method: string,
  encoder: Encoder<Message>,
  request: Message,
): Buffer {
  const bytes = encoder.encode({ ...request, requestId: '' }).finish();
  return Buffer.concat([Buffer.from(`${method}\0`), bytes]);
}
