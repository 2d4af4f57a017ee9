import { checkOptions, invalidOption, parseCount, parseDuration, type Duration } from '../options.ts';
import { daprDriver } from './dapr/driver.ts';
import { stateApi } from './dapr/state.ts';
import { createStore } from './index.ts';
import type { StoreSession } from './session.ts';
import type { Store } from './store.ts';

export * from './entry.ts';

/** Options of {@link openDapr}. */
export interface DaprOptions {
  /** The sidecar. Default: `DAPR_HTTP_ENDPOINT`, else `http://127.0.0.1:` with `DAPR_HTTP_PORT` or 3500. */
  readonly endpoint?: string;
  /** Default: `DAPR_API_TOKEN`. */
  readonly apiToken?: string;
  /** Begins the keys of this store. Letters, digits, `_` and `-`. Default `'strongroom-'`. */
  readonly prefix?: string;
  /** How long a request may take. Default `'30s'`. */
  readonly timeout?: Duration;
  /** How many operations of a session are remembered for idempotence. Default 256. */
  readonly operationLog?: number;
  /** Unix milliseconds: when items without a time of their own were written, what is expired. Default `Date.now`. */
  readonly clock?: () => number;
  /** Your own `fetch`. Default: that of the runtime. */
  readonly fetch?: typeof fetch;
}

const WHERE = 'openDapr';

/**
 * Many sessions in a state store of Dapr, through the HTTP API of the sidecar. Needs a component with etags and
 * `first-write`, which is tried at the first call, and strong consistency; it needs no transactions. Any number of
 * processes can use one store, but all changes pass one key, one after the other: for much traffic open the database itself.
 *
 * Tested against a sidecar of the tests that implements the documented API, not against Dapr.
 *
 * @param component The name of the state store component.
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`. Later calls: `ERR_UNSUPPORTED` for a component without these
 * properties, `ERR_STORE` with the error as `cause`, `ERR_CONFLICT`, `ERR_CLOSED`.
 *
 * @example
 * ```ts
 * import { openDapr } from 'strongroom/dapr';
 *
 * await using store = openDapr('statestore');
 * await store.session('user-123').addItems([{ role: 'user', content: 'Hello' }]);
 * ```
 */
export function openDapr(component: string, options: DaprOptions = {}): Store<StoreSession> {
  checkOptions(WHERE, options, [
    'endpoint',
    'apiToken',
    'prefix',
    'timeout',
    'operationLog',
    'clock',
    'fetch',
  ]);
  if (typeof component !== 'string' || component === '')
    invalidOption(WHERE, 'component', 'the name of a state store component', component);
  const { prefix = 'strongroom-', timeout = '30s', operationLog = 256, clock } = options;
  const { env } = process;
  const { apiToken = env['DAPR_API_TOKEN'] } = options;
  if (apiToken !== undefined && !/^[\x21-\x7e]+$/.test(apiToken))
    invalidOption(WHERE, 'apiToken', 'printable ASCII characters without spaces', apiToken);
  if (typeof prefix !== 'string' || !/^[\w-]{1,64}$/.test(prefix))
    invalidOption(WHERE, 'prefix', 'at most 64 letters, digits, _ and -', prefix);
  const send = options.fetch ?? globalThis.fetch;
  if (typeof send !== 'function') invalidOption(WHERE, 'fetch', 'a function', send);
  const endpoint =
    options.endpoint ?? env['DAPR_HTTP_ENDPOINT'] ?? `http://127.0.0.1:${env['DAPR_HTTP_PORT'] ?? 3500}`;
  const state = stateApi({
    url: checkEndpoint(endpoint),
    store: component,
    apiToken,
    timeout: parseDuration(WHERE, 'timeout', timeout),
    fetch: send,
  });
  parseCount(WHERE, 'operationLog', operationLog);
  return createStore(daprDriver(state, component, prefix), {
    operationLog,
    ...(clock !== undefined && { clock }),
  });
}

function checkEndpoint(endpoint: unknown): string {
  let url: URL | undefined;
  try {
    url = new URL(endpoint as string);
  } catch {
    // The message of URL quotes its argument.
  }
  if (
    url === undefined ||
    !/^https?:$/.test(url.protocol) ||
    url.username !== '' ||
    url.password !== '' ||
    url.search !== '' ||
    url.hash !== ''
  ) {
    return invalidOption(
      WHERE,
      'endpoint',
      'an http: or https: URL without user, query and fragment',
      endpoint,
    );
  }
  return url.href.replace(/\/+$/, '');
}
