/**
 * A local server that speaks the REST API of Azure Key Vault for `wrapkey`, `unwrapkey` and the read of a key, over TLS
 * and with its challenge: **not Azure**. Written from the published API; unknown fields are refused.
 */
import { execFileSync } from 'node:child_process';
import { constants, generateKeyPairSync, privateDecrypt, publicEncrypt, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const TOKEN: string = 'eyJ0.test-token-known-to-everybody';
const VERSIONS: readonly string[] = ['0'.repeat(32), '1'.repeat(32)];

export type AzureFault =
  | 'silent'
  | 'reset'
  | 'incomplete'
  | { readonly status: number; readonly code: string; readonly message?: string };

export interface AzureKeyVaultServer extends AsyncDisposable {
  readonly ca: string;
  /** Of two versions of one key. */
  readonly keyIds: readonly [string, string];
  readonly calls: {
    readonly operation: string;
    readonly keyId: string;
    readonly body: Readonly<Record<string, unknown>>;
  }[];
  /** Taken by one call each. */
  readonly faults: AzureFault[];
  /** Met by every call while it is set. */
  fault: AzureFault | undefined;
  disable(): void;
}

class Refusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** A certificate for this machine that only the client of the test trusts. */
function certificate(): { readonly cert: string; readonly key: string } {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-tls-'));
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const subject = ['-subj', '/CN=vault', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const made = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '2'];
  execFileSync('openssl', [...made, ...subject], { stdio: 'ignore' });
  const read = { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
  rmSync(folder, { recursive: true });
  return read;
}

let material: { readonly tls: ReturnType<typeof certificate>; readonly keys: readonly KeyPair[] } | undefined;
interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export async function azureKeyVaultServer(): Promise<AzureKeyVaultServer> {
  material ??= {
    tls: certificate(),
    keys: VERSIONS.map(() => generateKeyPairSync('rsa', { modulusLength: 2_048 })),
  };
  const { tls, keys } = material;
  let enabled = true;
  const calls: AzureKeyVaultServer['calls'][number][] = [];
  const faults: AzureFault[] = [];
  const server = createServer(tls, (request, response) => void serve(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const base = `https://127.0.0.1:${(server.address() as AddressInfo).port}/keys/conversations`;
  const keyIds = VERSIONS.map((version) => `${base}/${version}`) as [string, string];

  const self: AzureKeyVaultServer = {
    ca: tls.cert,
    keyIds,
    calls,
    faults,
    fault: undefined,
    disable: () => void (enabled = false),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const send = (status: number, body: unknown, headers: Record<string, string> = {}): void => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify(body));
    };
    try {
      const { authorization } = request.headers;
      if (authorization === undefined) {
        const challenge =
          'Bearer authorization="https://login.microsoftonline.com/tenant", resource="https://vault.azure.net"';
        return send(
          401,
          { error: { code: 'Unauthorized', message: 'no token' } },
          { 'www-authenticate': challenge },
        );
      }
      if (authorization !== `Bearer ${TOKEN}`)
        throw new Refusal(401, 'Unauthorized', 'the token is not valid');
      const { pathname, searchParams } = new URL(request.url ?? '', base);
      if (!searchParams.has('api-version')) throw new Refusal(400, 'BadParameter', 'no api-version');
      const [, version = '', operation] =
        /^\/keys\/conversations\/(\w{32})(?:\/(wrapkey|unwrapkey))?$/.exec(pathname) ?? [];
      const index = VERSIONS.indexOf(version);
      const pair = keys[index];
      if (pair === undefined) throw new Refusal(404, 'KeyNotFound', 'A key with this name was not found.');
      if (operation === undefined) {
        const { n, e } = pair.publicKey.export({ format: 'jwk' });
        const key = { kid: keyIds[index], kty: 'RSA', key_ops: ['wrapKey', 'unwrapKey'], n, e };
        return send(200, { key, attributes: { enabled } });
      }
      const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Record<string, unknown>;
      calls.push({ operation, keyId: keyIds[index] as string, body });
      const fault = faults.shift() ?? self.fault;
      if (fault === 'silent') return;
      if (fault === 'reset') return void request.socket.destroy();
      if (typeof fault === 'object')
        throw new Refusal(fault.status, fault.code, fault.message ?? 'secret words');
      if (!enabled) throw new Refusal(403, 'Forbidden', 'Operation is not allowed on a disabled key.');
      const value = answer(operation, pair, body);
      const kid = keyIds[index];
      send(200, fault === 'incomplete' ? { kid } : { kid, value });
    } catch (error) {
      const { status, code, message } =
        error instanceof Refusal ? error : new Refusal(500, 'Internal', 'internal');
      send(status, { error: { code, message } });
    }
  }

  return self;
}

function answer(
  operation: string,
  { publicKey, privateKey }: KeyPair,
  body: Readonly<Record<string, unknown>>,
): string {
  const { alg, value, ...unknown } = body;
  if (Object.keys(unknown).length > 0 || alg !== 'RSA-OAEP-256' || typeof value !== 'string')
    throw new Refusal(400, 'BadParameter', 'a property is not valid');
  const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
  const bytes = Buffer.from(value, 'base64url');
  if (operation === 'wrapkey')
    return publicEncrypt({ key: publicKey, ...padding }, bytes).toString('base64url');
  try {
    return privateDecrypt({ key: privateKey, ...padding }, bytes).toString('base64url');
  } catch {
    throw new Refusal(400, 'BadParameter', 'The parameter is incorrect.');
  }
}
