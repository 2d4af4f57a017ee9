import type { RunConfig, Session } from '@openai/agents';
import type { JWK } from 'jose';
import { StrongroomError } from '../errors.ts';
import { keyring, type Keyring } from '../keys/keyring.ts';
import type { KeyProvider } from '../keys/provider.ts';
import type { Layers } from '../layer.ts';
import type { ReceiptKey } from '../operations/erasure/jws.ts';
import { checkRetentionOptions, type RetentionOptions } from '../operations/retention/options.ts';
import { checkOptions, checkPlainObject, invalidOption } from '../options.ts';
import type { Store } from '../stores/store.ts';
import type { Wrapped } from '../wrap-session.ts';
import { wrapStore } from '../wrap-store.ts';
import { loadKeyAt, type KeyReference } from './key-reference.ts';

const WHERE = 'defineConfig';

/** The keys of a configuration: as `keyring()` takes them, by reference. */
export interface ConfigKeys {
  /** The key that wraps new data keys. */
  readonly current: KeyReference;
  /** Keys that only unwrap. */
  readonly previous?: readonly KeyReference[];
  /** Keys that are out of use for now. */
  readonly disabled?: readonly KeyReference[];
  /** Ids of keys that no longer exist. */
  readonly destroyed?: readonly string[];
}

/** What {@link ConfigOptions.layers} gets. */
export interface ConfigParts<S extends Session = Session> {
  /** The keyring of `keys`. */
  readonly keys: Keyring;
  /** The store, without layers: for a vault or an archive in the same database. */
  readonly store: Store<S>;
}

/** Options of {@link defineConfig}. */
export interface ConfigOptions<S extends Session = Session> {
  /** Opens the store. It is called for each {@link Config.open}. */
  readonly store: () => Store<S>;
  /** Needed when `layers` uses `keys`. */
  readonly keys?: ConfigKeys;
  /** The stack, outermost first. Default: no layers. */
  readonly layers?: (parts: ConfigParts<S>) => Layers;
  /** The rules of `strongroom purge` and of `retention(store, config.retention)`. */
  readonly retention?: RetentionOptions;
  /** The private key that signs receipts of erasures, as a JWK (EC, OKP or RSA). */
  readonly receiptKey?: KeyReference;
  /** The file of JSON lines that the sink of `audit()` writes, for `strongroom report`. */
  readonly auditLog?: string | URL;
  /** The settings of `new Runner(config.run)`, so that `strongroom doctor` sees them: see `complianceRunConfig()`. */
  readonly run?: Partial<RunConfig>;
}

/** What {@link defineConfig} makes. */
export interface Config<S extends Session = Session> {
  /**
   * Opens the store in its layers. Each call opens it anew: an application calls it once, and closes the store.
   *
   * @throws {@link StrongroomError} `ERR_INVALID_OPTION` for a key that is not there, and the errors of the store and
   * the layers.
   */
  open(): Store<Wrapped<S>>;
  readonly retention: RetentionOptions | undefined;
  readonly auditLog: string | URL | undefined;
  readonly run: Partial<RunConfig> | undefined;
}

/** What the command line opens of a configuration. */
export interface Opened {
  /** In its layers. */
  readonly store: Store;
  /** The same without layers. */
  readonly bare: Store;
  /** Of `keys`; `undefined` where the configuration has none. */
  readonly keys: Keyring | undefined;
}

interface Openers {
  readonly open: (keyless: boolean) => Opened;
  readonly receiptKey: () => ReceiptKey | undefined;
}

const openers = new WeakMap<object, Openers>();
const BRAND = Symbol.for('strongroom.config');

/**
 * One description of a store, its layers, its keys and its rules, for the application and for the command line
 * `strongroom`: make it the default export of `strongroom.config.ts` (or `.mjs`), and import it in the application,
 * so that both always agree. Nothing is opened, and no key is read, before {@link Config.open}.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`.
 * @example
 * ```ts
 * import { cache, complianceRunConfig, encrypt, expire, redact } from 'strongroom';
 * import { defineConfig } from 'strongroom/config';
 * import { openSqlite } from 'strongroom/sqlite';
 *
 * export default defineConfig({
 *   store: () => openSqlite('conversations.db'),
 *   keys: { current: { env: 'STRONGROOM_KEY' } },
 *   layers: ({ keys }) => [redact(), expire({ after: '30d' }), cache({ maxItems: 50_000 }), encrypt({ keys })],
 *   retention: { expired: true, maxIdle: '90d' },
 *   run: complianceRunConfig(),
 * });
 * ```
 */
export function defineConfig<S extends Session>(options: ConfigOptions<S>): Config<S> {
  checkOptions(WHERE, options, ['store', 'keys', 'layers', 'retention', 'receiptKey', 'auditLog', 'run']);
  const { store, keys, layers = () => [], retention, receiptKey, auditLog, run } = options;
  if (typeof store !== 'function') {
    invalidOption(WHERE, 'store', 'a function that opens the store, such as () => openSqlite(path)', store);
  }
  if (typeof layers !== 'function') {
    invalidOption(WHERE, 'layers', 'a function that returns the layers', layers);
  }
  if (keys !== undefined) checkKeys(keys);
  if (retention !== undefined) checkRetentionOptions(retention);
  if (auditLog !== undefined && typeof auditLog !== 'string' && !(auditLog instanceof URL)) {
    invalidOption(WHERE, 'auditLog', 'a path or a file URL', auditLog);
  }
  if (run !== undefined) checkPlainObject(WHERE, 'run', 'settings of a Runner', run);

  const open = (keyless: boolean): Opened & { readonly store: Store<Wrapped<S>> } => {
    let ring: Keyring | undefined;
    const ringOf = (given: ConfigKeys): Keyring => (ring ??= keyless ? noKeys() : loadRing(given));
    const bare = store();
    const parts: ConfigParts<S> = {
      get keys() {
        if (keys !== undefined) return ringOf(keys);
        throw new StrongroomError(
          'ERR_INVALID_OPTION',
          `${WHERE}: layers uses keys, but the configuration has no keys. Add keys: { current: { env: 'STRONGROOM_KEY' } }.`,
        );
      },
      store: bare,
    };
    const opened = wrapStore(bare, layers(parts));
    return { store: opened, bare, keys: keys === undefined ? undefined : ringOf(keys) };
  };

  const config: Config<S> = { open: () => open(false).store, retention, auditLog, run };
  Object.defineProperty(config, BRAND, { value: true });
  openers.set(config, {
    open,
    receiptKey: () => (receiptKey === undefined ? undefined : loadKeyAt(WHERE, 'receiptKey', receiptKey)),
  });
  return config;
}

/** How the command line opens a configuration; `'foreign'` when another copy of the package made it. */
export function openersOf(config: unknown): Openers | 'foreign' | undefined {
  if (typeof config !== 'object' || config === null) return undefined;
  return openers.get(config) ?? (BRAND in config ? 'foreign' : undefined);
}

function checkKeys(keys: ConfigKeys): void {
  checkOptions(`${WHERE}: keys`, keys, ['current', 'previous', 'disabled', 'destroyed']);
  for (const name of ['previous', 'disabled', 'destroyed'] as const) {
    if (keys[name] !== undefined && !Array.isArray(keys[name]))
      invalidOption(`${WHERE}: keys`, name, 'an array', keys[name]);
  }
}

function loadRing({ current, previous = [], disabled = [], destroyed = [] }: ConfigKeys): Keyring {
  const load = (list: readonly KeyReference[], name: string): (JWK | KeyProvider)[] =>
    list.map((reference, index) => loadKeyAt(WHERE, `keys.${name}[${index}]`, reference));
  return keyring({
    current: loadKeyAt(WHERE, 'keys.current', current),
    previous: load(previous, 'previous'),
    disabled: load(disabled, 'disabled'),
    destroyed,
  });
}

/** For commands that need no key: they run where none is, and none is in their memory. */
function noKeys(): Keyring {
  const refuse = (): Promise<never> =>
    Promise.reject(
      new StrongroomError(
        'ERR_KEY_UNAVAILABLE',
        'This command was started without keys, and a layer asked for one. Report it: the command should ask for keys.',
        { retryable: false },
      ),
    );
  return keyring({
    current: { kid: 'no-key', alg: 'none', writeOnly: true, wrap: refuse, unwrap: refuse },
  });
}
