/**
 * A local server that speaks the protocol of AWS KMS for `Encrypt` and `Decrypt`: **not AWS**. What it takes and gives
 * is read from the API model that Amazon publishes with its client (the schemas of `@aws-sdk/client-kms`): unknown and
 * missing parameters, wrong types and wrong signatures are refused.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as model from '@aws-sdk/client-kms';

export const REGION = 'eu-central-1';
export const CREDENTIALS: { accessKeyId: string; secretAccessKey: string } = {
  accessKeyId: 'AKIDTESTONLY',
  secretAccessKey: 'test-secret-known-to-everybody',
};
export const KEY_ARN: string = `arn:aws:kms:${REGION}:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
export const OTHER_ARN: string = `arn:aws:kms:${REGION}:111122223333:key/ffffffff-12ab-34cd-56ef-1234567890ab`;

/** What the next call meets: an error by its name, or a fault of the network or of the answer. */
export type AwsFault =
  | 'silent'
  | 'reset'
  | 'another key'
  | 'incomplete'
  | { readonly error: string; readonly status?: number; readonly message?: string };

export interface AwsCall {
  readonly operation: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface AwsKmsServer extends AsyncDisposable {
  readonly endpoint: string;
  readonly calls: AwsCall[];
  /** Taken by one call each. */
  readonly faults: AwsFault[];
  /** Met by every call while it is set. */
  fault: AwsFault | undefined;
  disable(arn: string): void;
}

type Schema = readonly [number, string, string, unknown, readonly string[], readonly unknown[], number?];

class KmsError extends Error {
  readonly status: number;

  constructor(name: string, message: string, status: number = 400) {
    super(message);
    this.name = name;
    this.status = status;
  }
}

export async function awsKmsServer(): Promise<AwsKmsServer> {
  const keys = new Map([KEY_ARN, OTHER_ARN].map((arn) => [arn, { key: randomBytes(32), enabled: true }]));
  const calls: AwsCall[] = [];
  const faults: AwsFault[] = [];
  const server = createServer((request, response) => void serve(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const self: AwsKmsServer = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    faults,
    fault: undefined,
    disable(arn) {
      keyOf(arn).enabled = false;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    try {
      const raw = Buffer.concat(chunks);
      checkSignature(request, raw);
      const operation = /^TrentService\.(Encrypt|Decrypt)$/.exec(
        String(request.headers['x-amz-target']),
      )?.[1];
      if (request.method !== 'POST' || request.url !== '/' || operation === undefined) {
        throw new KmsError('UnknownOperationException', 'unknown operation', 404);
      }
      if (request.headers['content-type'] !== 'application/x-amz-json-1.1') {
        throw new KmsError('SerializationException', 'content type');
      }
      const body = JSON.parse(raw.toString('utf8')) as Record<string, unknown>;
      calls.push({ operation, body });
      const encrypting = operation === 'Encrypt';
      checkShape(encrypting ? model.EncryptRequest$ : model.DecryptRequest$, body);
      const fault = faults.shift() ?? self.fault;
      if (fault === 'silent') return;
      if (fault === 'reset') {
        request.socket.destroy();
        return;
      }
      if (typeof fault === 'object')
        throw new KmsError(fault.error, fault.message ?? 'injected', fault.status);
      const answer = encrypting ? encryption(body) : decryption(body);
      if (fault === 'another key') answer['KeyId'] = OTHER_ARN;
      if (fault === 'incomplete') delete answer[encrypting ? 'CiphertextBlob' : 'Plaintext'];
      checkShape(encrypting ? model.EncryptResponse$ : model.DecryptResponse$, answer);
      send(response, 200, answer);
    } catch (error) {
      const known = error instanceof KmsError ? error : new KmsError('SerializationException', String(error));
      send(response, known.status, { __type: known.name, message: known.message });
    }
  }

  function keyOf(id: unknown): { key: Buffer; enabled: boolean; arn: string } {
    for (const [arn, key] of keys)
      if (arn === id || arn.endsWith(`:key/${String(id)}`)) return Object.assign(key, { arn });
    throw new KmsError('NotFoundException', 'key does not exist');
  }

  function usable(id: unknown): { key: Buffer; arn: string } {
    const key = keyOf(id);
    if (!key.enabled) throw new KmsError('DisabledException', `${key.arn} is disabled.`);
    return key;
  }

  function encryption(body: Record<string, unknown>): Record<string, unknown> {
    const { key, arn } = usable(body['KeyId']);
    const plaintext = Buffer.from(body['Plaintext'] as string, 'base64');
    if (plaintext.length < 1 || plaintext.length > 4_096)
      throw new KmsError('ValidationException', 'Plaintext');
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(contextBytes(body));
    const sealed = Buffer.concat([cipher.update(plaintext), cipher.final()]);
    const blob = Buffer.concat([Buffer.from(`${arn}\n`), iv, cipher.getAuthTag(), sealed]);
    return { KeyId: arn, CiphertextBlob: blob.toString('base64'), EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' };
  }

  function decryption(body: Record<string, unknown>): Record<string, unknown> {
    const blob = Buffer.from(body['CiphertextBlob'] as string, 'base64');
    if (blob.length < 1 || blob.length > 6_144) throw new KmsError('ValidationException', 'CiphertextBlob');
    const end = blob.indexOf('\n');
    const arn = blob.subarray(0, Math.max(end, 0)).toString();
    if (!keys.has(arn)) throw new KmsError('InvalidCiphertextException', 'ciphertext');
    if (body['KeyId'] !== undefined && keyOf(body['KeyId']).arn !== arn) {
      throw new KmsError(
        'IncorrectKeyException',
        'The key ID in the request does not identify a key that can do it.',
      );
    }
    const { key } = usable(arn);
    const rest = blob.subarray(end + 1);
    const decipher = createDecipheriv('aes-256-gcm', key, rest.subarray(0, 12)).setAAD(contextBytes(body));
    try {
      decipher.setAuthTag(rest.subarray(12, 28));
      const plaintext = Buffer.concat([decipher.update(rest.subarray(28)), decipher.final()]);
      return {
        KeyId: arn,
        Plaintext: plaintext.toString('base64'),
        EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      };
    } catch {
      throw new KmsError('InvalidCiphertextException', 'ciphertext');
    }
  }

  return self;
}

/** Additional data is the encryption context, in an order of its own. */
function contextBytes(body: Record<string, unknown>): Buffer {
  const entries = Object.entries((body['EncryptionContext'] ?? {}) as Record<string, string>);
  return Buffer.from(JSON.stringify(entries.sort(([one], [other]) => (one < other ? -1 : 1))));
}

/** Every parameter is one of the model and has its type, and the required ones (the first of the list) are there. */
function checkShape(schema: unknown, body: Readonly<Record<string, unknown>>): void {
  const [, , name, , members, types, required = 0] = schema as Schema;
  for (const member of members.slice(0, required)) {
    if (body[member] === undefined)
      throw new KmsError('ValidationException', `${name}: ${member} is missing`);
  }
  for (const [member, value] of Object.entries(body)) {
    const place = members.indexOf(member);
    if (place < 0) throw new KmsError('SerializationException', `${name}: ${member} is unknown`);
    if (!fits(types[place], value))
      throw new KmsError('SerializationException', `${name}: ${member} has a wrong type`);
  }
}

/** Type numbers of the client's schemas: 0 string, 2 boolean, 21 blob, 64 + list, 128 + map; an array adds traits. */
function fits(type: unknown, value: unknown): boolean {
  if (typeof type === 'function') return fits((type as () => unknown)(), value);
  // A simple type with a name and traits of its own: [0, namespace, name, traits, type].
  if (Array.isArray(type)) return fits(type[0] === 0 && type.length === 5 ? type[4] : type[0], value);
  if (type === 0) return typeof value === 'string';
  if (type === 2) return typeof value === 'boolean';
  if (type === 21)
    return typeof value === 'string' && Buffer.from(value, 'base64').toString('base64') === value;
  if (type === 64) return Array.isArray(value) && value.every((entry) => typeof entry === 'string');
  if (type === 128) {
    return (
      typeof value === 'object' &&
      value !== null &&
      Object.values(value).every((entry) => typeof entry === 'string')
    );
  }
  return false;
}

/** Signature Version 4, computed again from the request. */
function checkSignature(request: IncomingMessage, body: Buffer): void {
  const pattern =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/kms\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/;
  const match = pattern.exec(request.headers.authorization ?? '');
  const date = String(request.headers['x-amz-date']);
  const [, id, day, region, signed, signature] = match ?? [];
  if (
    id !== CREDENTIALS.accessKeyId ||
    region !== REGION ||
    day !== date.slice(0, 8) ||
    signed === undefined
  ) {
    throw new KmsError(
      'UnrecognizedClientException',
      'The security token included in the request is invalid.',
    );
  }
  const names = signed.split(';');
  const needed = ['content-type', 'host', 'x-amz-date', 'x-amz-target'];
  if (!needed.every((name) => names.includes(name))) throw new KmsError('IncompleteSignature', 'headers');
  const time = Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  if (!(Math.abs(Date.now() - time) < 300_000)) throw new KmsError('InvalidSignatureException', 'expired');
  const canonical = [
    request.method,
    '/',
    '',
    ...names.map((name) => `${name}:${String(request.headers[name]).trim()}`),
    '',
    signed,
    createHash('sha256').update(body).digest('hex'),
  ].join('\n');
  const scope = `${day}/${region}/kms/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', date, scope, createHash('sha256').update(canonical).digest('hex')].join(
    '\n',
  );
  const hmac = (key: string | Buffer, data: string): Buffer =>
    createHmac('sha256', key).update(data).digest();
  const key = hmac(
    hmac(hmac(hmac(`AWS4${CREDENTIALS.secretAccessKey}`, day), region), 'kms'),
    'aws4_request',
  );
  if (hmac(key, text).toString('hex') !== signature) {
    throw new KmsError('InvalidSignatureException', 'The request signature we calculated does not match.');
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, {
    'content-type': 'application/x-amz-json-1.1',
    'x-amzn-requestid': '00000000-0000-0000-0000-000000000000',
  });
  response.end(JSON.stringify(body));
}
