/** Makes certificates for tests: the least X.509 that TLS accepts, with a fresh key each time. */
import { generateKeyPairSync, sign } from 'node:crypto';

export interface Certificate {
  /** PEM. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
}

const ECDSA_WITH_SHA256 = '06082a8648ce3d040302';
const COMMON_NAME = '0603550403';
const SUBJECT_ALT_NAME = '0603551d11';
const DAY_MS = 86_400_000;

/**
 * Makes a certificate that is signed by itself, valid since ten days ago.
 *
 * @param name the DNS name that it is for.
 * @param daysLeft how long it is still valid; negative when it is not any more.
 */
export function createCertificate(name: string, daysLeft: number): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const now = Date.now();
  const algorithm = sequence(Buffer.from(ECDSA_WITH_SHA256, 'hex'));
  const commonName = sequence(Buffer.from(COMMON_NAME, 'hex'), element(0x0c, Buffer.from(name)));
  const subject = sequence(element(0x31, commonName));
  const alternatives = sequence(element(0x82, Buffer.from(name)));
  const extension = sequence(Buffer.from(SUBJECT_ALT_NAME, 'hex'), element(0x04, alternatives));
  const content = sequence(
    element(0xa0, element(0x02, Buffer.from([2]))),
    element(0x02, Buffer.from([1])),
    algorithm,
    subject,
    sequence(time(now - 10 * DAY_MS), time(now + daysLeft * DAY_MS)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    element(0xa3, sequence(extension)),
  );
  const signature = element(0x03, Buffer.from([0]), sign('sha256', content, privateKey));
  return {
    cert: toPem(sequence(content, algorithm, signature)),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
}

function toPem(der: Buffer): string {
  const lines = der.toString('base64').replace(/.{64}/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

function time(timeMs: number): Buffer {
  const digits = new Date(timeMs).toISOString().replace(/[-:T]|\.\d+/g, '');
  return element(0x18, Buffer.from(digits));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return element(0x30, ...parts);
}

/** One element of DER: tag, length, content. Lengths from 128 on stand in two bytes. */
function element(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const prefix = length < 128 ? [tag, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(prefix), content]);
}
