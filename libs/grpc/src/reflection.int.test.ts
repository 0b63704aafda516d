import { Client, credentials } from '@grpc/grpc-js';
import { create, createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import type { FileRegistry } from '@bufbuild/protobuf';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import type { FileDescriptorProto } from '@bufbuild/protobuf/wkt';
import { describe, expect, test } from 'vitest';
import { afterTest, startTestServer } from './servers.fixture.ts';

/** Fields of grpc.reflection.v1, which speaks for itself without its proto at hand. */
const FILE_CONTAINING_SYMBOL = 4;
const LIST_SERVICES = 7;
const FILE_DESCRIPTOR_RESPONSE = 4;
const LIST_SERVICES_RESPONSE = 6;

describe('reflection', () => {
  test('lists the services of the server, and health', async () => {
    const { address } = await startTestServer();
    const response = await ask(address, LIST_SERVICES, '*');
    const services = fieldsOf(response, LIST_SERVICES_RESPONSE)
      .flatMap((list) => fieldsOf(list, 1))
      .flatMap((service) => fieldsOf(service, 1))
      .map((name) => Buffer.from(name).toString());
    expect(services.toSorted()).toEqual([
      'billhook.invoice.v1.InvoiceService',
      'billhook.subscription.v1.SubscriptionService',
      'grpc.health.v1.Health',
    ]);
  });

  test('gives a contract together with all that it imports', async () => {
    const { address } = await startTestServer();
    const registry = await describeSymbol(address, 'billhook.invoice.v1.InvoiceService');
    const invoice = registry.getMessage('billhook.invoice.v1.Invoice');
    expect(invoice?.fields.find(({ name }) => name === 'amount')?.message).toBe(
      registry.getMessage('google.type.Money'),
    );
    expect(invoice?.field['description']?.proto.proto3Optional).toBe(true);
  });

  test('gives the contract of health, with the names that clients expect', async () => {
    const { address } = await startTestServer();
    const [file] = await filesOf(address, 'grpc.health.v1.Health');
    const list = file?.messageType.find(({ name }) => name === 'HealthListResponse');
    expect(list?.nestedType).toMatchObject([
      { name: 'StatusesEntry', options: { mapEntry: true } },
    ]);
    expect(list?.field).toMatchObject([{ name: 'statuses', typeName: 'StatusesEntry' }]);
  });
});

async function describeSymbol(address: string, symbol: string): Promise<FileRegistry> {
  const file = await filesOf(address, symbol);
  const files = new Map(file.map((descriptor) => [descriptor.name, descriptor]));
  const missing = file.flatMap(({ dependency }) => dependency.filter((name) => !files.has(name)));
  expect(missing).toEqual([]);
  return createFileRegistry(create(FileDescriptorSetSchema, { file: inOrder(file, files) }));
}

async function filesOf(address: string, symbol: string): Promise<FileDescriptorProto[]> {
  const response = await ask(address, FILE_CONTAINING_SYMBOL, symbol);
  return fieldsOf(response, FILE_DESCRIPTOR_RESPONSE)
    .flatMap((files) => fieldsOf(files, 1))
    .map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
}

/** A registry wants what is imported before what imports it. */
function inOrder<File extends { readonly dependency: readonly string[] }>(
  roots: readonly File[],
  files: ReadonlyMap<string, File>,
): File[] {
  const ordered = new Set<File>();
  const add = (file: File): void => {
    for (const name of file.dependency) {
      const imported = files.get(name);
      if (imported !== undefined) {
        add(imported);
      }
    }
    ordered.add(file);
  };
  roots.forEach(add);
  return [...ordered];
}

async function ask(address: string, field: number, text: string): Promise<Uint8Array> {
  const client = new Client(address, credentials.createInsecure());
  afterTest(() => client.close());
  const stream = client.makeBidiStreamRequest(
    '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
    (bytes: Buffer) => bytes,
    (bytes: Buffer) => bytes,
  );
  const request = new BinaryWriter().tag(field, WireType.LengthDelimited).string(text).finish();
  stream.write(Buffer.from(request));
  stream.end();
  const responses: Uint8Array[] = [];
  for await (const response of stream) {
    responses.push(response);
  }
  return responses[0] ?? new Uint8Array();
}

/** The values of a length-delimited field. */
function fieldsOf(message: Uint8Array, wanted: number): Uint8Array[] {
  const reader = new BinaryReader(message);
  const values: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === wanted) {
      values.push(reader.bytes());
    } else {
      reader.skip(wireType, number);
    }
  }
  return values;
}
