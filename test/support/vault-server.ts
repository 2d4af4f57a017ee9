/**
 * A local server that speaks the documented HTTP API of the transit engine (`encrypt`, `decrypt`) of Vault and OpenBao:
 * **neither of them**. Stricter than they are: fields that the documentation does not name are refused.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const TOKEN = 'hvs.test-token-known-to-everybody';

/** What the next call meets: an answer with this status and these errors, or a fault of the network. */
export type VaultFault =
  | 'silent'
  | 'reset'
  | 'page of a proxy'
  | 'incomplete'
  | { readonly status: number; readonly errors?: readonly string[] };

export interface VaultCall {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface VaultServer extends AsyncDisposable {
  readonly address: string;
  readonly calls: VaultCall[];
  /** Taken by one call each. */
  readonly faults: VaultFault[];
  /** Met by every call while it is set. */
  fault: VaultFault | undefined;
  /** The transit key `conversations`. */
  readonly key: { versions: Buffer[]; minDecryptionVersion: number; derived: boolean };
  namespace: string | undefined;
  deleteKey(): void;
}

const FIELDS = {
  encrypt: ['plaintext', 'context', 'associated_data', 'key_version', 'nonce', 'type'],
  decrypt: ['ciphertext', 'context', 'associated_data', 'nonce'],
} as const;

class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export async function vaultServer(): Promise<VaultServer> {
  const key = { versions: [randomBytes(32)], minDecryptionVersion: 1, derived: true };
  let deleted = false;
  const calls: VaultCall[] = [];
  const faults: VaultFault[] = [];
  const server = createServer((request, response) => void serve(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const self: VaultServer = {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    faults,
    fault: undefined,
    key,
    namespace: undefined,
    deleteKey() {
      deleted = true;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const send = (status: number, body: unknown): void => {
      response.writeHead(status, {
        'content-type': 'application/json',
        location: 'http://127.0.0.1:1/elsewhere',
      });
      response.end(JSON.stringify(body));
    };
    try {
      if (request.headers['x-vault-request'] !== 'true') throw new Refusal(400, 'missing X-Vault-Request');
      if (request.headers['x-vault-namespace'] !== self.namespace)
        throw new Refusal(404, 'no handler for route');
      if (request.headers['x-vault-token'] !== TOKEN) throw new Refusal(403, 'permission denied');
      const path = request.url ?? '';
      const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Record<string, unknown>;
      calls.push({ path, body });
      const operation = /^\/v1\/transit\/(encrypt|decrypt)\/conversations$/.exec(
        path,
      )?.[1] as keyof typeof FIELDS;
      if (operation === undefined || request.method !== 'POST') {
        if (/^\/v1\/transit\/(?:encrypt|decrypt)\//.test(path))
          throw new Refusal(400, 'encryption key not found');
        throw new Refusal(404, `no handler for route ${JSON.stringify(path)}. route entry not found.`);
      }
      for (const field of Object.keys(body)) {
        if (!(FIELDS[operation] as readonly string[]).includes(field))
          throw new Refusal(400, `unknown field ${field}`);
      }
      const fault = faults.shift() ?? self.fault;
      if (fault === 'silent') return;
      if (fault === 'reset') {
        request.socket.destroy();
        return;
      }
      if (fault === 'page of a proxy') {
        response.writeHead(502, { 'content-type': 'text/html' });
        response.end('<html>Bad gateway</html>');
        return;
      }
      if (typeof fault === 'object') {
        send(fault.status, { errors: fault.errors ?? [] });
        return;
      }
      if (deleted) throw new Refusal(400, 'encryption key not found');
      const data = operation === 'encrypt' ? encryption(body) : decryption(body);
      send(200, {
        request_id: '00000000',
        lease_id: '',
        renewable: false,
        data: fault === 'incomplete' ? {} : data,
      });
    } catch (error) {
      if (error instanceof Refusal) send(error.status, { errors: [error.message] });
      else send(500, { errors: ['internal error'] });
    }
  }

  function derive(version: number, context: unknown): Uint8Array {
    const secret = key.versions[version - 1] as Buffer;
    if (!key.derived) return secret;
    if (typeof context !== 'string' || context === '') {
      throw new Refusal(400, "missing 'context' for key derivation; the key was created using a derived key");
    }
    return new Uint8Array(hkdfSync('sha256', secret, '', Buffer.from(context, 'base64'), 32));
  }

  function encryption(body: Record<string, unknown>): Record<string, unknown> {
    const version = key.versions.length;
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', derive(version, body['context']), iv);
    const sealed = Buffer.concat([
      iv,
      cipher.update(Buffer.from(body['plaintext'] as string, 'base64')),
      cipher.final(),
      cipher.getAuthTag(),
    ]);
    return { ciphertext: `vault:v${version}:${sealed.toString('base64')}`, key_version: version };
  }

  function decryption(body: Record<string, unknown>): Record<string, unknown> {
    const match = /^vault:v(\d+):(.*)$/.exec(String(body['ciphertext']));
    if (match === null) throw new Refusal(400, 'invalid ciphertext: no prefix');
    const version = Number(match[1]);
    if (version > key.versions.length) throw new Refusal(400, 'invalid ciphertext: version is too new');
    if (version < key.minDecryptionVersion) {
      throw new Refusal(400, 'ciphertext or signature version is disallowed by policy (too old)');
    }
    const sealed = Buffer.from(match[2] as string, 'base64');
    if (sealed.length < 28) throw new Refusal(400, 'invalid ciphertext: unable to decrypt');
    const decipher = createDecipheriv(
      'aes-256-gcm',
      derive(version, body['context']),
      sealed.subarray(0, 12),
    );
    decipher.setAuthTag(sealed.subarray(-16));
    try {
      const plaintext = Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
      return { plaintext: plaintext.toString('base64') };
    } catch {
      throw new Refusal(400, 'cipher: message authentication failed');
    }
  }

  return self;
}
