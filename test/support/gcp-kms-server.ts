/**
 * A local server that speaks the REST form of Google Cloud KMS for `Encrypt` and `Decrypt`: **not Google**. Written from
 * the published API (`google/cloud/kms/v1/service.proto`); unknown fields and wrong checksums are refused.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const KEY_NAME: string =
  'projects/clinic/locations/europe-west3/keyRings/agents/cryptoKeys/conversations';
export const OTHER_NAME: string = `${KEY_NAME}-other`;
export const TOKEN: string = 'ya29.test-token-known-to-everybody';

export type GcpFault =
  | 'silent'
  | 'reset'
  | 'another key'
  | 'incomplete'
  | 'wrong checksum'
  | 'checksum not received'
  | { readonly status: number; readonly error: string; readonly message?: string };

export interface GcpCall {
  readonly operation: string;
  readonly name: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface GcpKmsServer extends AsyncDisposable {
  readonly port: number;
  readonly calls: GcpCall[];
  /** Taken by one call each. */
  readonly faults: GcpFault[];
  /** Met by every call while it is set. */
  fault: GcpFault | undefined;
  /** Makes a new primary version. */
  rotate(): void;
  disable(): void;
}

class Refusal extends Error {
  readonly status: number;
  readonly error: string;

  constructor(status: number, error: string, message: string) {
    super(message);
    this.status = status;
    this.error = error;
  }
}

const DATA = { encrypt: 'plaintext', decrypt: 'ciphertext' } as const;

export async function gcpKmsServer(): Promise<GcpKmsServer> {
  const keys = new Map([KEY_NAME, OTHER_NAME].map((name) => [name, [randomBytes(32)]]));
  let enabled = true;
  const calls: GcpCall[] = [];
  const faults: GcpFault[] = [];
  const server = createServer((request, response) => void serve(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const self: GcpKmsServer = {
    port: (server.address() as AddressInfo).port,
    calls,
    faults,
    fault: undefined,
    rotate: () => void keys.get(KEY_NAME)?.push(randomBytes(32)),
    disable: () => void (enabled = false),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const send = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    try {
      if (request.headers.authorization !== `Bearer ${TOKEN}`)
        throw new Refusal(401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.');
      const { pathname } = new URL(request.url ?? '', 'http://server');
      const [, name = '', operation = ''] = /^\/v1\/(.+):(encrypt|decrypt)$/.exec(pathname) ?? [];
      if (request.method !== 'POST' || name === '') throw new Refusal(404, 'NOT_FOUND', 'no such method');
      const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Record<string, unknown>;
      calls.push({ operation, name, body });
      const fault = faults.shift() ?? self.fault;
      if (fault === 'silent') return;
      if (fault === 'reset') return void request.socket.destroy();
      if (typeof fault === 'object')
        throw new Refusal(fault.status, fault.error, fault.message ?? 'secret words');
      send(200, answer(operation as keyof typeof DATA, name, body, fault));
    } catch (error) {
      const {
        status,
        error: code,
        message,
      } = error instanceof Refusal ? error : new Refusal(500, 'INTERNAL', 'internal');
      send(status, { error: { code: status, message, status: code } });
    }
  }

  function answer(
    operation: keyof typeof DATA,
    name: string,
    body: Readonly<Record<string, unknown>>,
    fault: Exclude<GcpFault, object> | undefined,
  ): object {
    const fields = [DATA[operation], 'additionalAuthenticatedData'];
    for (const field of Object.keys(body)) {
      if (!fields.includes(field.replace(/Crc32c$/, '')))
        throw new Refusal(400, 'INVALID_ARGUMENT', `Unknown name "${field}"`);
    }
    const [data, aad] = fields.map((field) => {
      const bytes = Buffer.from((body[field] as string | undefined) ?? '', 'base64');
      // An int64 is a text in JSON.
      if (body[`${field}Crc32c`] !== String(checksum(bytes)))
        throw new Refusal(400, 'INVALID_ARGUMENT', `The checksum in field ${field}_crc32c did not match`);
      return bytes;
    }) as [Buffer, Buffer];
    const versions = keys.get(name);
    if (versions === undefined) throw new Refusal(404, 'NOT_FOUND', `CryptoKey ${name} not found.`);
    if (!enabled) {
      const text = `${name}/cryptoKeyVersions/1 is not enabled, current state is: DISABLED.`;
      throw new Refusal(400, 'FAILED_PRECONDITION', text);
    }
    const received = fault !== 'checksum not received';
    const sum = (bytes: Buffer): string => String(checksum(bytes) + (fault === 'wrong checksum' ? 1 : 0));
    if (operation === 'encrypt') {
      const ciphertext = sealed(versions, data, aad);
      if (fault === 'incomplete') return { name: `${name}/cryptoKeyVersions/1` };
      return {
        name: `${fault === 'another key' ? OTHER_NAME : name}/cryptoKeyVersions/${versions.length}`,
        ciphertext: ciphertext.toString('base64'),
        ciphertextCrc32c: sum(ciphertext),
        verifiedPlaintextCrc32c: received,
        verifiedAdditionalAuthenticatedDataCrc32c: received,
        protectionLevel: 'SOFTWARE',
      };
    }
    const plaintext = opened(versions, data, aad);
    if (fault === 'incomplete') return {};
    return {
      plaintext: plaintext.toString('base64'),
      plaintextCrc32c: sum(plaintext),
      usedPrimary: true,
      protectionLevel: 'SOFTWARE',
    };
  }

  return self;
}

/** One byte for the version, as no other part of the answer of a decryption tells it. */
function sealed(versions: readonly Buffer[], data: Buffer, aad: Buffer): Buffer {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', versions.at(-1) as Buffer, iv).setAAD(aad);
  return Buffer.concat([
    Buffer.of(versions.length),
    iv,
    cipher.update(data),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
}

function opened(versions: readonly Buffer[], data: Buffer, aad: Buffer): Buffer {
  try {
    const key = versions[(data[0] as number) - 1] as Buffer;
    const decipher = createDecipheriv('aes-256-gcm', key, data.subarray(1, 13), { authTagLength: 16 });
    decipher.setAAD(aad).setAuthTag(data.subarray(-16));
    return Buffer.concat([decipher.update(data.subarray(13, -16)), decipher.final()]);
  } catch {
    throw new Refusal(
      400,
      'INVALID_ARGUMENT',
      "Decryption failed: verify that 'name' refers to the correct CryptoKey.",
    );
  }
}

/** CRC-32C by a table, unlike the one under test. */
const TABLE = Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? 0x82f63b78 ^ (value >>> 1) : value >>> 1;
  return value >>> 0;
});

function checksum(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = ((TABLE[(crc ^ byte) & 255] as number) ^ (crc >>> 8)) >>> 0;
  return (crc ^ 0xffffffff) >>> 0;
}
