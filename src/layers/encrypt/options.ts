import { checkContext } from '../../context.ts';
import { isSuiteName, SUITE_NAMES, type SuiteName } from '../../crypto/suite.ts';
import type { DataKeyLimits } from '../../keys/data-keys/types.ts';
import type { DekStore } from '../../keys/dek-store.ts';
import type { Keyring } from '../../keys/keyring.ts';
import type { MaybePromise, SessionCall } from '../../layer.ts';
import { checkOptions, invalidOption, parseCount, parseDuration, type Duration } from '../../options.ts';
import type { Accepting } from './record.ts';
import type { IntegrityFinding } from './sequence/findings.ts';
import type { UndecryptablePolicy } from './undecryptable.ts';

/** Plaintext is accepted for a while; see {@link EncryptOptions.unsafeAllowPlaintext}. */
export interface AllowPlaintextOptions {
  /** The date when it ends: a `Date`, an ISO 8601 text, or Unix milliseconds. */
  readonly until: Date | string | number;
  /**
   * Whether unsealed envelopes (of a stack with `expire` and without `encrypt`) are opened; by default they are plain
   * text, because a user may have pasted one. Only an expiry of their headers is used.
   */
  readonly envelopes?: boolean;
  /** Called with the number of plaintext records that one read accepted. */
  readonly onPlaintext?: (count: number, sessionId: string) => void;
}

/** Limits of data keys, each with a default. */
export interface DataKeyOptions {
  /** A session gets a new data key after this time. @defaultValue `'1d'` */
  readonly maxAge?: Duration;
  /** … or after this many entries sealed by this process. @defaultValue 1_048_576 */
  readonly maxMessages?: number;
  /** … or after this many bytes of plaintext sealed by this process. @defaultValue 1_073_741_824 (1 GiB) */
  readonly maxBytes?: number;
  /**
   * How long an opened data key is used before it is loaded from its store and unwrapped again. It bounds how long
   * this process uses a key that another one destroyed or disabled. @defaultValue `'5m'`
   */
  readonly cacheFor?: Duration;
  /**
   * How many opened data keys are kept, about 8 KiB each; an evicted key is overwritten. A session whose key was
   * evicted continues with the same one, which is unwrapped again: with a KMS use a number above that of the
   * sessions that alternate in one process. @defaultValue 10_000
   */
  readonly maxCached?: number;
  /**
   * How many data keys one read may need. Each one that is not in memory is loaded, and a writer of the database
   * controls how many the records name. @defaultValue 10_000
   */
  readonly maxPerRead?: number;
}

/** Options of {@link encrypt}. */
export interface EncryptOptions {
  /** The keyring, or a function that returns it for a call: a keyring per tenant. */
  readonly keys: Keyring | ((call: SessionCall) => MaybePromise<Keyring>);
  /** `'XC20P'` (XChaCha20-Poly1305) or `'XAES-256-GCM'`. Both are read. @defaultValue `'XC20P'` */
  readonly suite?: SuiteName;
  /**
   * Where wrapped data keys are stored. @defaultValue the data key table of the store that the session belongs to;
   * without one `'inline'`, in each envelope
   */
  readonly dekStore?: DekStore | 'inline';
  /**
   * The context that entries are bound to in addition to their session id, for example `{ tenant }`. It is not
   * stored: an entry that was written with other values does not open.
   */
  readonly context?:
    | Readonly<Record<string, string>>
    | ((call: SessionCall) => MaybePromise<Readonly<Record<string, string>>>);
  /**
   * How a record that does not open is treated. By default `'SHREDDED'` is skipped and any other reason throws.
   * After a skip for another reason the session is read-only until all records can be read. `'KEY_UNAVAILABLE'`
   * always throws: the same read can succeed later.
   */
  readonly onUndecryptable?: UndecryptablePolicy;
  /**
   * Accepts plaintext records until a date, during a migration. Unsafe, because a writer of the database can then
   * insert messages.
   */
  readonly unsafeAllowPlaintext?: AllowPlaintextOptions;
  /** Limits of data keys. */
  readonly dataKeys?: DataKeyOptions;
  /**
   * `'item'`: each record for itself. `'sequence'`: records are numbered, too, so that a read detects duplicates,
   * another order, gaps, and records that were removed and restored, among those of one writer. Concurrent writers
   * are not reported. Costs about 27 characters a record, some more after a removal. Deleting the newest or the
   * oldest records, or restoring an old state of the whole session, cannot be detected without an anchor outside
   * the store.
   * @defaultValue `'item'`
   */
  readonly integrity?: 'item' | 'sequence';
  /**
   * How a finding of `integrity: 'sequence'` is treated. By default duplicates, another order and restored records
   * throw `ERR_AUTHENTICATION`, and a gap is a process warning: another process that removes a record, or a purge
   * by another policy than the stored one, also leaves a gap.
   */
  readonly onIntegrity?: (finding: IntegrityFinding) => 'throw' | 'ignore';
}

const OPTIONS = [
  'keys',
  'suite',
  'dekStore',
  'context',
  'onUndecryptable',
  'unsafeAllowPlaintext',
  'dataKeys',
  'integrity',
  'onIntegrity',
] as const;

/** {@link EncryptOptions}, checked, with their defaults. */
export interface EncryptSettings {
  readonly keys: EncryptOptions['keys'];
  readonly context: EncryptOptions['context'];
  readonly dekStore: EncryptOptions['dekStore'];
  readonly onUndecryptable: EncryptOptions['onUndecryptable'];
  readonly onIntegrity: EncryptOptions['onIntegrity'];
  readonly suite: SuiteName;
  readonly plaintext: Accepting | undefined;
  readonly limits: DataKeyLimits;
  readonly sequence: boolean;
}

/** @throws {@link StrongroomError} `ERR_INVALID_OPTION`. */
export function checkEncryptOptions(options: EncryptOptions): EncryptSettings {
  checkOptions('encrypt', options, OPTIONS);
  const { keys, context, dekStore, onUndecryptable, integrity = 'item', onIntegrity } = options;
  const suite = options.suite ?? 'XC20P';
  if (!isSuiteName(suite)) invalidOption('encrypt', 'suite', `one of ${SUITE_NAMES.join(', ')}`, suite);
  if (typeof keys !== 'function') checkKeyring(keys);
  if (dekStore !== undefined && dekStore !== 'inline') checkDekStore(dekStore);
  if (onUndecryptable !== undefined && typeof onUndecryptable !== 'function') {
    invalidOption('encrypt', 'onUndecryptable', 'a function', onUndecryptable);
  }
  if (integrity !== 'item' && integrity !== 'sequence') {
    invalidOption('encrypt', 'integrity', "'item' or 'sequence'", integrity);
  }
  if (onIntegrity !== undefined && typeof onIntegrity !== 'function') {
    invalidOption('encrypt', 'onIntegrity', 'a function', onIntegrity);
  }
  return {
    keys,
    context:
      context === undefined || typeof context === 'function' ? context : checkContext('encrypt', context),
    dekStore,
    onUndecryptable,
    onIntegrity,
    suite,
    plaintext: checkPlaintext(options.unsafeAllowPlaintext),
    limits: checkLimits(options.dataKeys),
    sequence: integrity === 'sequence',
  };
}

export function checkKeyring(value: unknown): Keyring {
  const ring = value as Partial<Keyring> | null | undefined;
  if (
    typeof ring !== 'object' ||
    typeof ring?.unwrap !== 'function' ||
    typeof ring.wrap !== 'function' ||
    typeof ring.checkOpens !== 'function'
  ) {
    invalidOption('encrypt', 'keys', 'a keyring, or a function that returns one', value);
  }
  return ring as Keyring;
}

function checkDekStore(value: unknown): void {
  const store = value as Record<string, unknown> | null;
  const methods = ['put', 'get', 'list', 'replaceWrapped', 'destroy'];
  if (typeof store !== 'object' || !methods.every((method) => typeof store?.[method] === 'function')) {
    invalidOption('encrypt', 'dekStore', "'inline' or a DekStore, such as memoryDekStore() returns", value);
  }
}

function checkPlaintext(options: AllowPlaintextOptions | undefined): Accepting | undefined {
  if (options === undefined) return undefined;
  const where = 'encrypt: unsafeAllowPlaintext';
  checkOptions(where, options, ['until', 'envelopes', 'onPlaintext']);
  const { envelopes = false, onPlaintext } = options;
  const until = new Date(options.until).getTime();
  if (options.until === undefined || options.until === null || Number.isNaN(until)) {
    invalidOption(where, 'until', 'a date', options.until);
  }
  if (typeof envelopes !== 'boolean') invalidOption(where, 'envelopes', 'true or false', envelopes);
  if (onPlaintext !== undefined && typeof onPlaintext !== 'function') {
    invalidOption(where, 'onPlaintext', 'a function', onPlaintext);
  }
  return { until, envelopes, onPlaintext };
}

function checkLimits(options: DataKeyOptions = {}): DataKeyLimits {
  const where = 'encrypt: dataKeys';
  checkOptions(where, options, ['maxAge', 'maxMessages', 'maxBytes', 'cacheFor', 'maxCached', 'maxPerRead']);
  return {
    maxAge: parseDuration(where, 'maxAge', options.maxAge ?? '1d'),
    maxMessages: parseCount(where, 'maxMessages', options.maxMessages ?? 2 ** 20),
    maxBytes: parseCount(where, 'maxBytes', options.maxBytes ?? 2 ** 30),
    cacheFor: parseDuration(where, 'cacheFor', options.cacheFor ?? '5m'),
    maxCached: parseCount(where, 'maxCached', options.maxCached ?? 10_000),
    maxPerRead: parseCount(where, 'maxPerRead', options.maxPerRead ?? 10_000),
  };
}
