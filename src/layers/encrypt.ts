import type { AgentInputItem } from '@openai/agents';
import { counters } from '../crypto/counters.ts';
import { bindingContext } from '../crypto/derive.ts';
import { fromUtf8, toBase64url, utf8 } from '../crypto/encoding.ts';
import { constantTimeEqual } from '../crypto/equal.ts';
import { randomNonce } from '../crypto/nonce.ts';
import { isSuiteName, SUITE_NAMES, type SuiteName } from '../crypto/suite.ts';
import {
  carrierOf,
  envelopeText,
  formatEnvelope,
  formatHeader,
  openClear,
  parseEnvelope,
  readHeader,
  type Envelope,
} from '../envelope.ts';
import { isStrongroomError, StrongroomError, type ErrorCode } from '../errors.ts';
import { decodeItem, encodeItem } from '../item.ts';
import { createDataKeys, type DataKey, type DataKeyLimits, type DataKeyScope } from '../keys/data-keys.ts';
import type { DekStore } from '../keys/dek-store.ts';
import type { Keyring } from '../keys/keyring.ts';
import type { Entry, Header, MaybePromise, SessionCall, SessionLayer } from '../layer.ts';
import { warn } from '../warning.ts';
import { sealers } from './sealer.ts';
import { createSequenceWriter, SEQUENCE_FIELD, sequenceFindings, type IntegrityFinding } from './sequence.ts';
import { checkOptions, invalidOption, parseCount, parseDuration, type Duration } from '../options.ts';

export type { IntegrityFinding } from './sequence.ts';

/** Why a record does not open: an error code without `ERR_`. */
export type UndecryptableReason =
  | 'NOT_SEALED'
  | 'MALFORMED'
  | 'UNSUPPORTED'
  | 'KEY_UNKNOWN'
  | 'KEY_DISABLED'
  | 'KEY_UNAVAILABLE'
  | 'COMMITMENT'
  | 'AUTHENTICATION'
  | 'SHREDDED';

/** Which record does not open. Nothing of its content. */
export interface UndecryptableReference {
  readonly sessionId: string;
  /** Position in the records of this read, 0 for the oldest; absent when a single record was looked at. */
  readonly index?: number;
  /** How many records this read opened. */
  readonly count?: number;
  /** Id of the data key, when the record names one. */
  readonly did?: string;
  /** When the record says it was written, Unix milliseconds; not authenticated. */
  readonly writtenAt?: number;
  /** The error that is thrown unless the record is skipped. */
  readonly error: StrongroomError;
}

/** Plaintext is accepted for a while; see {@link EncryptOptions.unsafeAllowPlaintext}. */
export interface AllowPlaintextOptions {
  /** The date when it ends: a `Date`, an ISO 8601 text, or Unix milliseconds. */
  readonly until: Date | string | number;
  /**
   * Whether unsealed envelopes (of a stack with `expire` and without `encrypt`) are opened; by default they are plain
   * text, because a user may have pasted one. Nothing of their headers is believed but an expiry.
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
   * How long an opened data key is used before its store and its key-encryption key are asked again. It bounds how
   * long this process goes on with a key that another one destroyed or disabled. @defaultValue `'5m'`
   */
  readonly cacheFor?: Duration;
  /** How many opened data keys are kept; what is evicted is overwritten. @defaultValue 1_000 */
  readonly maxCached?: number;
}

/** Options of {@link encrypt}. */
export interface EncryptOptions {
  /** The keyring, or a function that gives it for a call: a keyring per tenant. */
  readonly keys: Keyring | ((call: SessionCall) => MaybePromise<Keyring>);
  /** `'XC20P'` (XChaCha20-Poly1305) or `'XAES-256-GCM'`. Both are read. @defaultValue `'XC20P'` */
  readonly suite?: SuiteName;
  /**
   * Where wrapped data keys live. @defaultValue the data key table of the store that the session belongs to; without
   * one `'inline'`, in each envelope
   */
  readonly dekStore?: DekStore | 'inline';
  /**
   * What entries are bound to beside their session id, for example `{ tenant }`. It is not stored: an entry that was
   * written with other values does not open.
   */
  readonly context?:
    | Readonly<Record<string, string>>
    | ((call: SessionCall) => MaybePromise<Readonly<Record<string, string>>>);
  /**
   * What happens with a record that does not open. By default `'SHREDDED'` is skipped and all else throws. After a
   * skip of anything else the session is read-only until it can be read whole. `'KEY_UNAVAILABLE'` always throws:
   * the same read can succeed later.
   */
  readonly onUndecryptable?: (
    reason: UndecryptableReason,
    reference: UndecryptableReference,
  ) => 'throw' | 'skip';
  /**
   * Accepts plaintext records until a date, for the time of a migration. Unsafe, because whoever can write to the
   * database can then insert messages.
   */
  readonly unsafeAllowPlaintext?: AllowPlaintextOptions;
  /** Limits of data keys. */
  readonly dataKeys?: DataKeyOptions;
  /**
   * `'item'`: each record for itself. `'sequence'`: records are numbered, too, so that a read finds duplicates, another
   * order and gaps among those of one writer. Concurrent writers are no finding. Costs about 27 characters a record. Deleting the newest records, or
   * restoring an old state of the whole session, cannot be seen without an anchor outside the store.
   * @defaultValue `'item'`
   */
  readonly integrity?: 'item' | 'sequence';
  /**
   * What happens with a finding of `integrity: 'sequence'`. By default duplicates and another order throw
   * `ERR_AUTHENTICATION`, and a gap is a process warning: a replacement that keeps later records, a purge, or another
   * process that removes a record leaves one, too.
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

/** How many data keys one read asks for at a time. */
const PARALLEL_KEYS = 16;

/**
 * Seals every item with an authenticated cipher under a data key of its session, and opens nothing that was changed,
 * moved from another session, or never sealed. Format `sr1`. Stands innermost: only `audit` and `observe` may stand
 * below it.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` for an option that cannot work.
 * @example
 * ```ts
 * import { MemorySession } from '@openai/agents';
 * import { encrypt, generateKey, keyring, wrapSession } from 'strongroom';
 *
 * const keys = keyring({ current: await generateKey() });
 * const session = wrapSession(new MemorySession(), [encrypt({ keys })]);
 * ```
 */
export function encrypt(options: EncryptOptions): SessionLayer {
  checkOptions('encrypt', options, OPTIONS);
  const { keys, context, dekStore, onUndecryptable, integrity = 'item', onIntegrity } = options;
  const suite = options.suite ?? 'XC20P';
  if (!isSuiteName(suite)) invalidOption('encrypt', 'suite', `one of ${SUITE_NAMES.join(', ')}`, suite);
  if (typeof keys !== 'function') checkKeyring(keys);
  if (context !== undefined && typeof context !== 'function') checkContext(context);
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
  const sequence = integrity === 'sequence' ? createSequenceWriter() : undefined;
  const warned = new Set<string>();
  const plaintext = checkPlaintext(options.unsafeAllowPlaintext);
  const dataKeys = createDataKeys(checkLimits(options.dataKeys));

  async function scopeOf(call: SessionCall): Promise<DataKeyScope> {
    const ring = typeof keys === 'function' ? checkKeyring(await keys(call)) : keys;
    const entries = typeof context === 'function' ? checkContext(await context(call)) : context;
    const stores = [
      ...(dekStore === undefined || dekStore === 'inline' ? [] : [dekStore]),
      ...(call.dekStore === undefined ? [] : [call.dekStore]),
    ];
    return {
      ring,
      sessionId: call.sessionId,
      context: bindingContext(call.sessionId, entries),
      stores,
      inline: dekStore === 'inline',
      now: timeOf(call),
    };
  }

  async function write(entries: readonly Entry[], call: SessionCall): Promise<readonly Entry[]> {
    if (entries.length === 0) return entries;
    const scope = await scopeOf(call);
    const key = await dataKeys.sealing(scope, suite);
    try {
      let bytes = 0;
      const sealed = entries.map((entry, index) => {
        const text = utf8(encodeItem(entry.item));
        bytes += text.length;
        return seal(key, suite, numbered(entry.header, call), text, scope.now, call.operationId, index);
      });
      counters.seals += entries.length;
      dataKeys.sealed(key, entries.length, bytes);
      return sealed;
    } finally {
      dataKeys.release(key);
    }
  }

  /** Entries that may leave before their neighbours (an inherited expiry, a replacement) are not numbered. */
  function numbered(header: Header, call: SessionCall): Header {
    if (sequence === undefined || header.g !== undefined || call.replaces !== undefined) return header;
    return { ...header, [SEQUENCE_FIELD]: sequence.next(call) };
  }

  function checkSequence(
    entries: readonly (Entry | undefined)[],
    records: readonly Entry[],
    call: SessionCall,
  ): void {
    // A record that was skipped is there all the same.
    const headers = entries.map((entry, index) => entry?.header ?? headerOf((records[index] as Entry).item));
    for (const finding of sequenceFindings(headers, call.sessionId)) {
      const decision = onIntegrity?.(finding) ?? (finding.kind === 'gap' ? 'warn' : 'throw');
      const where = `Record ${finding.index + 1} of ${headers.length} of session ${JSON.stringify(call.sessionId)}`;
      if (decision === 'warn') {
        if (!warned.has(call.sessionId)) {
          warned.add(call.sessionId);
          warn('STRONGROOM_GAP', `${where}: a record of the same writer is missing before it.`);
        }
      } else if (decision !== 'ignore') {
        throw new StrongroomError(
          'ERR_AUTHENTICATION',
          `${where} is out of sequence (${finding.kind}): records were ${MEANING[finding.kind]}. Treat it as tampering, ` +
            'or decide with onIntegrity.',
        );
      }
    }
  }

  async function read(entries: readonly Entry[], call: SessionCall): Promise<(Entry | undefined)[]> {
    const scope = await scopeOf(call);
    const accepting = plaintext !== undefined && scope.now < plaintext.until ? plaintext : undefined;
    const parsed = entries.map((entry) => attempt(() => classify(entry.item, accepting)));
    const wanted = new Map<string, Envelope>();
    let last: Sealed | undefined;
    for (const result of parsed) {
      if (!('envelope' in result)) continue;
      // Neighbours mostly have one data key, and its wrapped form is long.
      if (last === undefined || !sameKey(last.envelope, result.envelope)) {
        wanted.set(keyOf(result.envelope), result.envelope);
      }
      last = result;
    }
    const found = await openKeys(scope, wanted);
    try {
      let plain = 0;
      let previous: { envelope: Envelope; key: DataKey | Failure } | undefined;
      const opened = parsed.map((result, index): Entry | undefined => {
        const record = (entries[index] as Entry).item;
        if ('plain' in result) {
          plain++;
          return { ...result.plain, stored: record };
        }
        let entry: Entry | Failure;
        if ('failure' in result) {
          entry = result;
        } else {
          const { envelope } = result;
          const key =
            previous !== undefined && sameKey(previous.envelope, envelope)
              ? previous.key
              : (found.get(keyOf(envelope)) as DataKey | Failure);
          previous = { envelope, key };
          entry = 'failure' in key ? key : open(key, envelope, record);
        }
        if (!('failure' in entry)) return entry;
        skipOrThrow(entry.failure, record, { index, count: entries.length }, call);
        return undefined;
      });
      if (plain > 0) accepting?.onPlaintext?.(plain, call.sessionId);
      if (sequence !== undefined) checkSequence(opened, entries, call);
      return opened;
    } finally {
      for (const key of found.values()) if (!('failure' in key)) dataKeys.release(key);
    }
  }

  /** The data keys of these envelopes or why there is none, a few at a time. */
  async function openKeys(
    scope: DataKeyScope,
    wanted: ReadonlyMap<string, Envelope>,
  ): Promise<Map<string, DataKey | Failure>> {
    const found = new Map<string, DataKey | Failure>();
    const queue = [...wanted];
    let failed: unknown;
    const worker = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined && failed === undefined; next = queue.shift()) {
        const [name, { header, wrapped }] = next;
        try {
          found.set(name, await dataKeys.opening(scope, header.s as SuiteName, header.d as string, wrapped));
        } catch (error) {
          if (isUndecryptable(error)) found.set(name, { failure: error });
          else failed ??= error ?? new Error('rejected without a reason');
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(PARALLEL_KEYS, queue.length) }, worker));
    if (failed !== undefined) {
      for (const key of found.values()) if (!('failure' in key)) dataKeys.release(key);
      throw failed;
    }
    return found;
  }

  function open(key: DataKey, envelope: Envelope, record: AgentInputItem): Entry | Failure {
    const { header, headerSegment, body } = envelope;
    counters.opens++;
    const text = key.derived.aead.open(body, key.derived.associatedData(headerSegment));
    if (text === undefined) {
      return failed(
        'ERR_AUTHENTICATION',
        'it was changed after it was sealed. Treat it as tampering, and restore it from a backup.',
      );
    }
    if (header.t !== undefined) dataKeys.seen(key, header.t);
    try {
      return { item: decodeItem(fromUtf8(text)), header, stored: record };
    } catch {
      return failed(
        'ERR_MALFORMED',
        'it is authentic, but holds no JSON of an item: another version or program wrote it.',
      );
    }
  }

  function skipOrThrow(
    error: StrongroomError,
    record: AgentInputItem,
    place: { readonly index: number; readonly count: number } | undefined,
    call: SessionCall,
  ): void {
    const which = place === undefined ? 'A record' : `Record ${place.index + 1} of ${place.count}`;
    const located = new StrongroomError(
      error.code,
      `${which} of session ${JSON.stringify(call.sessionId)} does not open: ${error.message}`,
      { cause: error.cause ?? error },
    );
    const reason = error.code.slice('ERR_'.length) as UndecryptableReason;
    const header = headerOf(record);
    const decision = onUndecryptable?.(reason, {
      sessionId: call.sessionId,
      ...place,
      ...(header?.d !== undefined && { did: header.d }),
      ...(header?.t !== undefined && { writtenAt: header.t }),
      error: located,
    });
    const skip = onUndecryptable === undefined ? reason === 'SHREDDED' : decision === 'skip';
    if (!skip || reason === 'KEY_UNAVAILABLE') throw located;
    if (reason !== 'SHREDDED') call.skipped();
  }

  async function matches(
    record: AgentInputItem,
    operationId: string,
    count: number,
    call: SessionCall,
  ): Promise<number> {
    const header = headerOf(record);
    if (header?.o === undefined || header.s === 'none') return -1;
    let key: DataKey | undefined;
    try {
      const envelope = parseEnvelope(envelopeText(record) as string);
      key = await dataKeys.opening(
        await scopeOf(call),
        header.s as SuiteName,
        header.d as string,
        envelope.wrapped,
      );
      for (let index = 0; index < count; index++) {
        if (constantTimeEqual(key.derived.operationTag(operationId, index), header.o)) return index;
      }
      return -1;
    } catch (error) {
      // What cannot be opened is not taken for a match: the same policy as for reading decides whether that is enough.
      if (!isUndecryptable(error)) throw error;
      skipOrThrow(error, record, undefined, call);
      return -1;
    } finally {
      if (key !== undefined) dataKeys.release(key);
    }
  }

  const layer: SessionLayer = {
    name: 'encrypt',
    seals: true,
    unique: true,
    // Keys of tenants can come from the run's context, and what one tenant opened is not for another.
    ...((typeof keys === 'function' || typeof context === 'function') && {
      wantsRunContext: true,
      opensAs: async (call: SessionCall): Promise<readonly (string | object)[]> => {
        const scope = await scopeOf(call);
        return [scope.ring, toBase64url(scope.context.hash)];
      },
    }),
    write,
    read,
    matches,
    ...(sequence !== undefined && {
      mutation: (call: SessionCall) => {
        // Removing and replacing end a chain; so does an append that nobody acknowledged. What a replacement writes
        // itself is not numbered.
        if (call.kind !== 'addItems' && call.kind !== 'applyHistoryTransaction') sequence.restart(call);
        return {
          done: (appended?: readonly Entry[]) => {
            if (appended === undefined) sequence.restart(call);
          },
        };
      },
    }),
    refused(error, call) {
      if (!isStrongroomError(error) || error.code !== 'ERR_SHREDDED') return false;
      dataKeys.forget(call.sessionId);
      sequence?.restart(call);
      return true;
    },
  };
  sealers.set(layer, {
    scopeOf,
    accepts: (record, scope) => {
      const accepting = plaintext !== undefined && scope.now < plaintext.until ? plaintext : undefined;
      const result = classify(record, accepting);
      return 'plain' in result ? result.plain : undefined;
    },
    acceptsPlaintext: (scope) => plaintext !== undefined && scope.now < plaintext.until,
    async open(record, scope) {
      const result = classify(record, undefined) as Sealed;
      const { header, wrapped } = result.envelope;
      const key = await dataKeys.opening(scope, header.s as SuiteName, header.d as string, wrapped);
      try {
        const entry = open(key, result.envelope, record);
        if ('failure' in entry) throw entry.failure;
        return entry;
      } finally {
        dataKeys.release(key);
      }
    },
    async reseal(entries, scope) {
      const key = await dataKeys.fresh(scope, suite);
      try {
        counters.seals += entries.length;
        return entries.map(
          (entry, index) =>
            seal(key, suite, entry.header, utf8(encodeItem(entry.item)), scope.now, undefined, index).item,
        );
      } finally {
        dataKeys.release(key);
      }
    },
    forget: (sessionId) => dataKeys.forget(sessionId),
  });
  return layer;
}

function seal(
  key: DataKey,
  suite: SuiteName,
  stamps: Header,
  plaintext: Uint8Array,
  now: number,
  operationId: string | undefined,
  index: number,
): Entry {
  const { derived } = key;
  const { o: _o, ...rest } = stamps;
  const header: Header = {
    ...rest,
    s: suite,
    d: key.did,
    t: stamps.t ?? now,
    ...(operationId !== undefined && { o: derived.operationTag(operationId, index) }),
  };
  const headerSegment = formatHeader(header);
  const nonce =
    operationId === undefined
      ? randomNonce()
      : derived.operationNonce(operationId, index, headerSegment, plaintext);
  const body = derived.aead.seal(nonce, plaintext, derived.associatedData(headerSegment));
  const carrier = carrierOf(formatEnvelope(headerSegment, body, key.inline));
  return { item: carrier, header, stored: carrier };
}

/** Why a record does not open. */
interface Failure {
  readonly failure: StrongroomError;
}

function failed(code: ErrorCode, message: string): Failure {
  return { failure: new StrongroomError(code, message) };
}

const MEANING = { duplicate: 'repeated', reorder: 'put in another order', gap: 'removed' } as const;

interface Plain {
  readonly plain: { readonly item: AgentInputItem; readonly header: Header };
}

interface Sealed {
  readonly envelope: Envelope;
}

/** What a record is: sealed, or plaintext that is accepted for now. */
function classify(record: AgentInputItem, accepting: Accepting | undefined): Plain | Sealed {
  const plain: Plain = { plain: { item: record, header: {} } };
  const text = envelopeText(record);
  if (text === undefined) {
    if (accepting !== undefined) return plain;
    return notSealed('it is plain text where a sealed record is required');
  }
  // Pasted text may begin like an envelope; it is none of ours unless it has a header.
  if (accepting !== undefined && readHeader(text) === undefined) return plain;
  const envelope = parseEnvelope(text);
  if (envelope.header.s !== 'none') return { envelope };
  if (accepting === undefined) return notSealed('its envelope is not sealed');
  if (!accepting.envelopes) return plain;
  const { e } = envelope.header;
  return { plain: { item: decodeClear(envelope), header: e === undefined ? {} : { e } } };
}

function decodeClear(envelope: Envelope): AgentInputItem {
  try {
    return decodeItem(openClear(envelope));
  } catch {
    throw new StrongroomError('ERR_MALFORMED', 'its unsealed envelope holds no JSON of an item.');
  }
}

function notSealed(what: string): never {
  throw new StrongroomError(
    'ERR_NOT_SEALED',
    `${what}: an old row, or one that somebody inserted. Migrate old rows with migrate(), or allow them until a date ` +
      'with unsafeAllowPlaintext.',
  );
}

function headerOf(record: AgentInputItem): Header | undefined {
  const text = envelopeText(record);
  return text === undefined ? undefined : readHeader(text);
}

/** Data keys differ by all that finds them; a suite changed in the header must not find the same one. */
function keyOf({ header, wrapped }: Envelope): string {
  return wrapped === undefined ? `${header.s}.${header.d}` : `${header.s}.${header.d}.${wrapped}`;
}

function sameKey(one: Envelope, other: Envelope): boolean {
  return one.header.d === other.header.d && one.header.s === other.header.s && one.wrapped === other.wrapped;
}

const UNDECRYPTABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_NOT_SEALED',
  'ERR_MALFORMED',
  'ERR_UNSUPPORTED',
  'ERR_KEY_UNKNOWN',
  'ERR_KEY_DISABLED',
  'ERR_KEY_UNAVAILABLE',
  'ERR_COMMITMENT',
  'ERR_AUTHENTICATION',
  'ERR_SHREDDED',
]);

function isUndecryptable(error: unknown): error is StrongroomError {
  return isStrongroomError(error) && UNDECRYPTABLE.has(error.code);
}

/** The result, or the error when it is one of a record that does not open. */
function attempt<T>(action: () => T): T | Failure {
  try {
    return action();
  } catch (error) {
    if (isUndecryptable(error)) return { failure: error };
    throw error;
  }
}

function timeOf(call: SessionCall): number {
  const now = Math.trunc(call.now());
  if (!Number.isSafeInteger(now) || now < 0) {
    throw new StrongroomError('ERR_CLOCK', 'The clock of the stack gives no time in Unix milliseconds.');
  }
  return now;
}

function checkKeyring(value: unknown): Keyring {
  const ring = value as Partial<Keyring> | null | undefined;
  if (
    typeof ring !== 'object' ||
    typeof ring?.unwrap !== 'function' ||
    typeof ring.wrap !== 'function' ||
    typeof ring.checkOpens !== 'function'
  ) {
    invalidOption('encrypt', 'keys', 'a keyring, or a function that gives one', value);
  }
  return ring as Keyring;
}

function checkContext(value: unknown): Readonly<Record<string, string>> {
  if (
    typeof value !== 'object' ||
    value === null ||
    Array.isArray(value) ||
    !Object.values(value).every((entry) => typeof entry === 'string')
  ) {
    invalidOption('encrypt', 'context', 'an object of texts', value);
  }
  return value as Record<string, string>;
}

function checkDekStore(value: unknown): void {
  const store = value as Record<string, unknown> | null;
  const methods = ['put', 'get', 'list', 'replaceWrapped', 'destroy'];
  if (typeof store !== 'object' || !methods.every((method) => typeof store?.[method] === 'function')) {
    invalidOption('encrypt', 'dekStore', "'inline' or a DekStore, as memoryDekStore() makes", value);
  }
}

interface Accepting {
  readonly until: number;
  readonly envelopes: boolean;
  readonly onPlaintext: ((count: number, sessionId: string) => void) | undefined;
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
  checkOptions(where, options, ['maxAge', 'maxMessages', 'maxBytes', 'cacheFor', 'maxCached']);
  return {
    maxAge: parseDuration(where, 'maxAge', options.maxAge ?? '1d'),
    maxMessages: parseCount(where, 'maxMessages', options.maxMessages ?? 2 ** 20),
    maxBytes: parseCount(where, 'maxBytes', options.maxBytes ?? 2 ** 30),
    cacheFor: parseDuration(where, 'cacheFor', options.cacheFor ?? '5m'),
    maxCached: parseCount(where, 'maxCached', options.maxCached ?? 1_000),
  };
}
