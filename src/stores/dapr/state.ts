import { StrongroomError } from '../../errors.ts';

/** The state API of a sidecar, as far as a store needs it: version 1.0 over HTTP. */
export interface StateApi {
  /** The value and its etag, read from where the last write went; `undefined` where there is none. */
  read(key: string): Promise<{ readonly value: string; readonly etag: string } | undefined>;
  /** The values that there are, in one request. May come from a replica that is behind. */
  readMany(keys: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** Writes values under keys that nobody else writes. */
  write(values: ReadonlyMap<string, string>): Promise<void>;
  /**
   * Writes a value if the etag is still that of the stored one; without an etag, if there is none. `false` when it is not.
   *
   * @param ttl Seconds after which the component deletes it, if it can.
   */
  swap(key: string, value: string, etag: string | undefined, ttl?: number): Promise<boolean>;
  remove(keys: readonly string[]): Promise<void>;
}

export interface StateOptions {
  readonly url: string;
  readonly store: string;
  readonly apiToken: string | undefined;
  /** Milliseconds. */
  readonly timeout: number;
  readonly fetch: typeof fetch;
}

/** How many deletions run at once: the API has none for several keys. */
const PARALLEL = 16;
/** Dapr refuses bodies of more than 4 MB by default. */
const BODY = 3_000_000;

export function stateApi({ url, store, apiToken, timeout, fetch }: StateOptions): StateApi {
  const base = `${url}/v1.0/state/${encodeURIComponent(store)}`;

  async function call(
    method: string,
    path: string,
    body?: unknown,
    accepted: readonly number[] = [],
  ): Promise<{ readonly status: number; readonly text: string; readonly etag: string | null }> {
    const response = await fetch(`${base}${path}`, {
      method,
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(apiToken !== undefined && { 'dapr-api-token': apiToken }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      // A redirect would send the token to another host.
      redirect: 'manual',
      signal: AbortSignal.timeout(timeout),
    });
    const text = await response.text();
    const { status } = response;
    if ((status >= 200 && status < 300) || accepted.includes(status))
      return { status, text, etag: response.headers.get('etag') };
    throw new Error(`Dapr answered ${status}${codeIn(text)} to a ${method} request of its state API.`);
  }

  return {
    async read(key) {
      const { status, text, etag } = await call('GET', `/${encodeURIComponent(key)}?consistency=strong`);
      if (status === 204 || text === '') return undefined;
      if (etag === null || etag === '') throw unsupported(store, 'returns no etag');
      return { value: stringIn(text), etag };
    },
    async readMany(keys) {
      if (keys.length === 0) return new Map();
      const { text } = await call('POST', '/bulk', { keys, parallelism: 10 });
      const rows: unknown = JSON.parse(text);
      if (!Array.isArray(rows)) throw new Error('Dapr gave no list for a bulk request.');
      const found = new Map<string, string>();
      for (const row of rows as readonly { key?: unknown; data?: unknown; error?: unknown }[]) {
        if (typeof row.error === 'string' && row.error !== '')
          throw new Error('Dapr could not read one of the keys of a bulk request.');
        if (typeof row.key === 'string' && typeof row.data === 'string') found.set(row.key, row.data);
      }
      return found;
    },
    async write(values) {
      let batch: object[] = [];
      let size = 0;
      const send = async (): Promise<void> => {
        if (batch.length > 0) await call('POST', '', batch);
        batch = [];
        size = 0;
      };
      for (const [key, value] of values) {
        if (size + value.length > BODY) await send();
        batch.push({ key, value, options: { consistency: 'strong' } });
        size += value.length;
      }
      await send();
    },
    async swap(key, value, etag, ttl) {
      const options = { concurrency: 'first-write', consistency: 'strong' };
      const item = {
        key,
        value,
        options,
        ...(etag !== undefined && { etag }),
        ...(ttl !== undefined && { metadata: { ttlInSeconds: String(ttl) } }),
      };
      const { status } = await call('POST', '', [item], [409]);
      return status !== 409;
    },
    async remove(keys) {
      const rest = [...keys];
      const next = async (): Promise<void> => {
        for (let key = rest.pop(); key !== undefined; key = rest.pop())
          await call('DELETE', `/${encodeURIComponent(key)}?consistency=strong`, undefined, [404]);
      };
      await Promise.all(Array.from({ length: Math.min(PARALLEL, rest.length) }, next));
    },
  };
}

export function unsupported(store: string, what: string): StrongroomError {
  return new StrongroomError(
    'ERR_UNSUPPORTED',
    `openDapr: the component ${JSON.stringify(store)} ${what}. Use one that supports etags with first-write, such as those of PostgreSQL, MySQL and Redis, or open the database itself.`,
  );
}

/** Components may keep a value as text or as JSON. */
function stringIn(text: string): string {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'string') throw new Error('Dapr gave a value that this store did not write.');
  return value;
}

/** Only the code: the message can quote the value. */
function codeIn(text: string): string {
  const code = /"errorCode"\s*:\s*"([A-Z0-9_]{1,64})"/.exec(text)?.[1];
  return code === undefined ? '' : ` (${code})`;
}
