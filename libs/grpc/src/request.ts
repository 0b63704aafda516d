import { isUtf8 } from 'node:buffer';
import { createFileRegistry, fromBinary, ScalarType } from '@bufbuild/protobuf';
import type { DescField, DescMessage, FileRegistry } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { readDescriptorSet } from '@billhook/contracts';
import { invalidField, ServiceError } from '@billhook/runtime';
import type { ServedMethod } from './service.ts';

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Decodes a request. The generated code would put U+FFFD in the place of invalid UTF-8, and so store
 * another text than the caller sent; here it is refused.
 *
 * @throws ServiceError when the bytes are no such message, with the field when its text is invalid.
 */
export function decodeRequest(method: ServedMethod, bytes: Buffer): unknown {
  const reader = new BinaryReader(bytes, (text) => strictUtf8.decode(text));
  try {
    const request = method.requestDeserialize(reader);
    // The generated code takes a tag of zero for the end, and would drop what follows.
    if (reader.pos !== reader.len) {
      throw new RangeError('bytes are left behind the request');
    }
    return request;
  } catch (error) {
    throw explain(error, findInvalidText(method, bytes));
  }
}

function explain(cause: unknown, invalidTextField: string | undefined): ServiceError {
  if (invalidTextField !== undefined) {
    return invalidField(invalidTextField, 'TEXT_NOT_UTF8', 'must be valid UTF-8');
  }
  const message = 'the request cannot be decoded';
  return new ServiceError('INVALID_ARGUMENT', 'REQUEST_MALFORMED', message, { cause });
}

/** Reads the request again, by its descriptor, for the path of the field that holds no UTF-8. */
function findInvalidText(method: ServedMethod, bytes: Buffer): string | undefined {
  const [, service = '', name = ''] = method.path.split('/');
  const input = loadRegistry()
    .getService(service)
    ?.methods.find((candidate) => candidate.name === name)?.input;
  try {
    return input === undefined ? undefined : findInvalidField(input, bytes);
  } catch {
    // The bytes are broken in another way, before any such field.
    return undefined;
  }
}

function findInvalidField(message: DescMessage, bytes: Uint8Array): string | undefined {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const field = message.fields.find((candidate) => candidate.number === number);
    if (field === undefined || wireType !== WireType.LengthDelimited) {
      reader.skip(wireType, number);
      continue;
    }
    const invalid = findInvalidValue(field, reader.bytes());
    if (invalid !== undefined) {
      return invalid;
    }
  }
  return undefined;
}

function findInvalidValue(field: DescField, value: Uint8Array): string | undefined {
  if (field.message !== undefined) {
    const inner = findInvalidField(field.message, value);
    return inner === undefined ? undefined : `${field.name}.${inner}`;
  }
  const isText =
    (field.fieldKind === 'scalar' || field.fieldKind === 'list') &&
    field.scalar === ScalarType.STRING;
  return isText && !isUtf8(value) ? field.name : undefined;
}

let registry: FileRegistry | undefined;

/** Read when the first request fails, and kept. */
function loadRegistry(): FileRegistry {
  registry ??= createFileRegistry(fromBinary(FileDescriptorSetSchema, readDescriptorSet()));
  return registry;
}
