import { createServer, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

/** What the sidecar does with the next request that fits, instead of or after its work. */
export interface SidecarFault {
  /** `'refuse'`: 500 and nothing is done. `'lose'`: it is done, and the connection breaks. `'hang'`: it is done, and no answer comes. */
  readonly kind: 'refuse' | 'lose' | 'hang';
  readonly method: string;
  /** In the path and the body. */
  readonly about: string;
}

/** How far a component keeps what the API allows it to leave out. */
export interface SidecarOptions {
  readonly etags?: 'kept' | 'ignored' | 'absent';
  readonly firstWrite?: boolean;
  /** The status of an etag that does not match; earlier versions of Dapr answer 500. */
  readonly mismatch?: 409 | 500;
  readonly apiToken?: string;
}

export interface DaprSidecar {
  readonly table: Map<string, { value: unknown; etag: string; ttl?: string }>;
  readonly requests: { readonly method: string; readonly path: string; readonly body: string }[];
  readonly faults: SidecarFault[];
  /** The same without a socket. */
  readonly fetch: typeof fetch;
}

/**
 * The state API of a Dapr sidecar, written from its reference: save, get, bulk get and delete, etags, `concurrency`,
 * `consistency` and `ttlInSeconds`. Unknown fields, methods and values are refused.
 */
export function daprSidecar(options: SidecarOptions = {}): DaprSidecar {
  const { etags = 'kept', firstWrite = true, mismatch = 409, apiToken } = options;
  const table: DaprSidecar['table'] = new Map();
  const requests: DaprSidecar['requests'][number][] = [];
  const faults: SidecarFault[] = [];
  let version = 0;

  function answer(method: string, url: URL, body: string, headers: Headers): Response {
    if (apiToken !== undefined && headers.get('dapr-api-token') !== apiToken)
      return problem(401, 'ERR_API_TOKEN');
    const [, api, kind, store, ...rest] = url.pathname.split('/').map(decodeURIComponent);
    if (api !== 'v1.0' || kind !== 'state') return problem(404, 'ERR_METHOD_NOT_FOUND');
    if (store !== 'statestore') return problem(400, 'ERR_STATE_STORE_NOT_FOUND');
    const [key] = rest;
    for (const [name, value] of url.searchParams) {
      if (name !== 'consistency' || !['strong', 'eventual'].includes(value))
        return problem(400, 'ERR_MALFORMED_REQUEST');
    }
    if (method === 'POST' && key === 'bulk') return bulk(JSON.parse(body));
    if (method === 'POST' && key === undefined) return save(JSON.parse(body));
    if (method === 'GET' && key !== undefined && body === '') {
      const found = table.get(key);
      if (found === undefined) return new Response(null, { status: 204 });
      return new Response(JSON.stringify(found.value), {
        headers: { 'content-type': 'application/json', ...(etags !== 'absent' && { etag: found.etag }) },
      });
    }
    if (method === 'DELETE' && key !== undefined && body === '') {
      table.delete(key);
      return new Response(null, { status: 204 });
    }
    return problem(405, 'ERR_METHOD_NOT_ALLOWED');
  }

  function bulk(request: unknown): Response {
    const { keys, parallelism, ...unknown } = request as { keys: string[]; parallelism?: number };
    if (!Array.isArray(keys) || Object.keys(unknown).length > 0 || !Number.isInteger(parallelism))
      return problem(400, 'ERR_MALFORMED_REQUEST');
    const rows = keys.map((key) => {
      const found = table.get(key);
      return found === undefined ? { key } : { key, data: found.value, etag: found.etag };
    });
    // Reads run in parallel: the order is not that of the request.
    return new Response(JSON.stringify(rows.reverse()), { headers: { 'content-type': 'application/json' } });
  }

  function save(request: unknown): Response {
    if (!Array.isArray(request)) return problem(400, 'ERR_MALFORMED_REQUEST');
    for (const each of request as readonly Record<string, unknown>[]) {
      const { key, value, etag, metadata, options: given = {}, ...unknown } = each;
      const { concurrency, consistency, ...others } = given as Record<string, unknown>;
      const extra = Object.keys({ ...unknown, ...others });
      if (typeof key !== 'string' || key.includes('||') || value === undefined || extra.length > 0)
        return problem(400, 'ERR_MALFORMED_REQUEST');
      if (consistency !== 'strong') return problem(400, 'ERR_MALFORMED_REQUEST');
      const found = table.get(key);
      const isFirst = concurrency === 'first-write' && etag === undefined;
      const differs = etag !== undefined && etags === 'kept' && found?.etag !== etag;
      if (differs || (isFirst && firstWrite && found !== undefined))
        return problem(mismatch, 'ERR_STATE_SAVE');
      const { ttlInSeconds: ttl } = (metadata ?? {}) as Record<string, string>;
      table.set(key, { value, etag: String(++version), ...(ttl !== undefined && { ttl }) });
    }
    return new Response(null, { status: 204 });
  }

  return {
    table,
    requests,
    faults,
    fetch: async (input, init) => {
      const url = new URL(input);
      const { method = 'GET', body = '', headers, signal } = init ?? {};
      const text = (body ?? '') as string;
      requests.push({ method, path: url.pathname, body: text });
      const at = faults.findIndex(
        (each) => each.method === method && (url.pathname + text).includes(each.about),
      );
      const [fault] = at < 0 ? [] : faults.splice(at, 1);
      if (fault?.kind === 'refuse') return problem(500, 'ERR_STATE_STORE_FAILED');
      const response = answer(method, url, text, new Headers(headers));
      if (fault?.kind === 'lose') throw new TypeError('fetch failed');
      if (fault?.kind === 'hang') {
        await new Promise((_, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason as Error));
        });
      }
      // Requests of several clients are served by turns.
      await new Promise((resolve) => setImmediate(resolve));
      return response;
    },
  };
}

function problem(status: number, errorCode: string): Response {
  return new Response(JSON.stringify({ errorCode, message: 'secret words of a value' }), { status });
}

/** The sidecar behind a socket of this machine. */
export async function listening(
  sidecar: DaprSidecar,
): Promise<{ readonly endpoint: string } & AsyncDisposable> {
  const server = createServer((request, response) => {
    void (async () => {
      const body = await textOf(request);
      const headers = new Headers(
        Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
      );
      try {
        const answer = await sidecar.fetch(`http://sidecar${request.url}`, {
          method: request.method ?? '',
          headers,
          body,
        });
        response.writeHead(answer.status, Object.fromEntries(answer.headers));
        response.end(await answer.text());
      } catch {
        request.socket.destroy();
      }
    })();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
