export type { EndpointHeader } from './headers.ts';
export { createKey, createSecret } from './secret.ts';
export { createSecretBox, SecretBoxError } from './secret-box.ts';
export type { SecretBox } from './secret-box.ts';
