import type { Server } from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer, loadSync } from '@grpc/proto-loader';
import type { AnyDefinition, PackageDefinition, ServiceDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { protoPath as healthProtoPath } from 'grpc-health-check';
import { readDescriptorSet } from '@billhook/contracts';

const HEALTH_SERVICE = 'grpc.health.v1.Health';

/**
 * Adds server reflection for the named services, and for health.
 *
 * The definitions of proto-loader give their files anew, joined by package, and a client cannot find
 * what they import (grpc-node issues 2958 and 3018). So each gets the files as buf wrote them.
 */
export function addReflection(server: Server, serviceNames: readonly string[]): void {
  const descriptorSet = readDescriptorSet();
  const files = splitDescriptorSet(descriptorSet);
  const contracts = loadFileDescriptorSetFromBuffer(descriptorSet, { keepCase: true });
  const definitions = { ...loadHealth(), ...withFiles(contracts, files) };
  const services = [...serviceNames, HEALTH_SERVICE];
  new ReflectionService(definitions, { services }).addToServer(server);
}

function withFiles(definition: PackageDefinition, files: Buffer[]): PackageDefinition {
  return Object.fromEntries(
    Object.entries(definition).map(([name, entry]) => [
      name,
      isTypeDefinition(entry) ? { ...entry, fileDescriptorProtos: files } : entry,
    ]),
  );
}

/** Services are the entries without a format. */
function isTypeDefinition(
  entry: AnyDefinition,
): entry is Exclude<AnyDefinition, ServiceDefinition> {
  return typeof entry['format'] === 'string';
}

/** A `google.protobuf.FileDescriptorSet` is nothing but its files, as repeated field 1. */
function splitDescriptorSet(descriptorSet: Buffer): Buffer[] {
  const reader = new BinaryReader(descriptorSet);
  const files: Buffer[] = [];
  while (reader.pos < reader.len) {
    reader.tag();
    files.push(Buffer.from(reader.bytes()));
  }
  return files;
}

/** The health service's file has no imports, and so needs one correction only. */
function loadHealth(): PackageDefinition {
  const health = loadSync(healthProtoPath, { keepCase: true });
  const files = Object.values(health).filter(isTypeDefinition)[0]?.fileDescriptorProtos ?? [];
  return withFiles(health, files.map(correctMapEntries));
}

/** proto-loader names the entry type of a map `Field`, where every reader expects `FieldEntry`. */
function correctMapEntries(bytes: Buffer): Buffer {
  const file = fromBinary(FileDescriptorProtoSchema, bytes);
  for (const message of file.messageType) {
    for (const entry of message.nestedType.filter((nested) => nested.options?.mapEntry)) {
      const field = message.field.find(({ typeName }) => typeName === entry.name);
      entry.name = `${entry.name}Entry`;
      if (field !== undefined) {
        field.typeName = entry.name;
      }
    }
  }
  return Buffer.from(toBinary(FileDescriptorProtoSchema, file));
}
