export { call, createGrpcClient, openStream } from './client.ts';
export type {
  CallOptions,
  GrpcClient,
  StreamMethod,
  StreamOptions,
  UnaryMethod,
} from './client.ts';
export { requirePattern, requireText } from './fields.ts';
export type { PatternRule, TextRule } from './fields.ts';
export { decodePageToken, encodePageToken, pageSize } from './paging.ts';
export type { PageScope, PageSizeBounds } from './paging.ts';
export { RemoteError } from './remote-error.ts';
export type { RemoteErrorCode } from './remote-error.ts';
export { MAX_REQUEST_BYTES, startGrpcServer } from './server.ts';
export type { GrpcServer, GrpcServerOptions } from './server.ts';
export { implement } from './service.ts';
export type {
  CallContext,
  Handlers,
  ServedService,
  StreamHandler,
  UnaryHandler,
} from './service.ts';
export { DEFAULT_TENANT, TENANT_METADATA_KEY } from './call-context.ts';
