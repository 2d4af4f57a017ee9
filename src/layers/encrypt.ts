import type { AgentInputItem } from '@openai/agents';
import { checkContext } from '../context.ts';
import { counters } from '../crypto/counters.ts';
import { bindingContext } from '../crypto/derive.ts';
import { toBase64url, utf8 } from '../crypto/encoding.ts';
import { constantTimeEqual } from '../crypto/equal.ts';
import type { SuiteName } from '../crypto/suite.ts';
import { envelopeText, parseEnvelope, type Envelope } from '../protocol/envelope.ts';
import { StrongroomError } from '../errors.ts';
import { encodeItem } from '../protocol/item.ts';
import { isGone } from '../keys/data-keys/look-up.ts';
import { createDataKeys } from '../keys/data-keys.ts';
import type { Entry, Header, HiddenEntry, SessionCall, SessionLayer } from '../layer.ts';
import { openEntry, sealEntry } from './encrypt/entry.ts';
import { mapInSlices } from '../slices.ts';
import { checkEncryptOptions, checkKeyring, type EncryptOptions } from './encrypt/options.ts';
import {
  classify,
  headerOf,
  headerOfEntry,
  keyOf,
  nameOf,
  referenceOf,
  sameKey,
  type KeyReference,
  type Sealed,
} from './encrypt/record.ts';
import { sealers } from './encrypt/sealer.ts';
import { SEQUENCE_FIELD } from './encrypt/sequence/field.ts';
import { createSequenceReport } from './encrypt/sequence/report.ts';
import { createSequenceWriter } from './encrypt/sequence/writer.ts';
import { attempt, isUndecryptable, skipOrThrow, type Failure } from './encrypt/undecryptable.ts';
import { GUARD, isGuarding } from '../session-contract.ts';
import { heldError } from '../keys/dek-store.ts';
import type { DataKey, DataKeyScope } from '../keys/data-keys/types.ts';

export type { AllowPlaintextOptions, DataKeyOptions, EncryptOptions } from './encrypt/options.ts';
export type { IntegrityFinding } from './encrypt/sequence/findings.ts';
export type {
  UndecryptablePolicy,
  UndecryptableReason,
  UndecryptableReference,
} from './encrypt/undecryptable.ts';

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
  const { keys, context, dekStore, onUndecryptable, onIntegrity, suite, plaintext, limits, ...rest } =
    checkEncryptOptions(options);
  const sequence = rest.sequence ? createSequenceWriter() : undefined;
  const report = createSequenceReport(onIntegrity);
  const dataKeys = createDataKeys(limits);

  async function scopeOf(call: SessionCall): Promise<DataKeyScope> {
    const ring = typeof keys === 'function' ? checkKeyring(await keys(call)) : keys;
    const entries = typeof context === 'function' ? checkContext('encrypt', await context(call)) : context;
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
      guarding: isGuarding(call.dekStore) ? call.dekStore : undefined,
      now: timeOf(call),
    };
  }

  async function write(entries: readonly Entry[], call: SessionCall): Promise<readonly Entry[]> {
    if (entries.length === 0) return entries;
    const scope = await scopeOf(call);
    const key = await dataKeys.sealing(scope, suite);
    try {
      let bytes = 0;
      const headers = numbered(entries, call);
      const sealed = await mapInSlices(
        entries,
        (entry, index) => {
          const text = utf8(encodeItem(entry.item));
          bytes += text.length;
          return sealEntry(key, suite, headers[index] as Header, text, scope.now, call.operationId, index);
        },
        1,
      );
      counters.seals += entries.length;
      dataKeys.sealed(key, entries.length, bytes);
      guard(key, scope);
      return sealed;
    } finally {
      dataKeys.release(key);
    }
  }

  /** What this key seals is written only if the key is still there. */
  function guard({ did, place }: DataKey, { guarding }: DataKeyScope): void {
    if (place === guarding && isGuarding(guarding)) guarding[GUARD](did);
  }

  /** The headers of what is written, each with its number. */
  function numbered(entries: readonly Entry[], call: SessionCall): readonly Header[] {
    const headers = entries.map(({ header }) => header);
    const fields = sequence?.number(headers, call);
    return fields === undefined
      ? headers
      : headers.map((header, index) => ({ ...header, [SEQUENCE_FIELD]: fields[index] as string }));
  }

  async function read(entries: readonly Entry[], call: SessionCall): Promise<(Entry | undefined)[]> {
    const scope = await scopeOf(call);
    const accepting = acceptingAt(scope.now);
    const parsed = await mapInSlices(entries, (entry) => attempt(() => classify(entry.item, accepting)), 1);
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
    const found = await openKeys(scope, wanted, stopsReading);
    try {
      let plain = 0;
      let previous: { envelope: Envelope; key: DataKey | Failure } | undefined;
      const open = (result: (typeof parsed)[number], index: number): Entry | undefined => {
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
          entry = 'failure' in key ? key : openEntry(key, envelope, record);
        }
        if (!('failure' in entry)) return entry;
        skipOrThrow(onUndecryptable, entry.failure, record, { index, count: entries.length }, call);
        return undefined;
      };
      const opened = await mapInSlices(parsed, open, 1);
      if (plain > 0) accepting?.onPlaintext?.(plain, call.sessionId);
      return opened;
    } finally {
      for (const key of found.values()) if (!('failure' in key)) dataKeys.release(key);
    }
  }

  /** Keys can be disabled or destroyed, and plaintext is accepted until a date. */
  async function stillOpens(entries: readonly Entry[], call: SessionCall): Promise<boolean> {
    const scope = await scopeOf(call);
    const accepting = acceptingAt(scope.now);
    const wanted = new Map<string, KeyReference>();
    for (const entry of entries) {
      const reference = referenceOf(entry);
      if (reference !== undefined) wanted.set(keyOf(reference), reference);
      else if (accepting === undefined) return false;
    }
    let all = true;
    for (const key of (await openKeys(scope, wanted, () => true)).values()) {
      if ('failure' in key) all = false;
      else dataKeys.release(key);
    }
    return all;
  }

  const acceptingAt = (now: number): typeof plaintext =>
    plaintext !== undefined && now < plaintext.until ? plaintext : undefined;

  /** Whether a read ends with this failure, so that it need not ask for the other keys. */
  function stopsReading({ code }: StrongroomError): boolean {
    return code === 'ERR_KEY_UNAVAILABLE' || (onUndecryptable === undefined && code !== 'ERR_SHREDDED');
  }

  /**
   * The data keys of these envelopes or why there is none, a few at a time. After a failure that `stops`, those that come
   * later are left out; all that come earlier are there.
   */
  async function openKeys(
    scope: DataKeyScope,
    wanted: ReadonlyMap<string, KeyReference>,
    stops: (failure: StrongroomError) => boolean,
  ): Promise<Map<string, DataKey | Failure>> {
    if (wanted.size > limits.maxPerRead) throw tooManyKeys(scope.sessionId, wanted.size, limits.maxPerRead);
    let stopped = false;
    const found = new Map<string, DataKey | Failure>();
    // One iterator for all workers.
    const queue = wanted.entries();
    let failed: unknown;
    const worker = async (): Promise<void> => {
      for (const [name, { header, wrapped }] of queue) {
        if (failed !== undefined || stopped) return;
        try {
          found.set(name, await dataKeys.opening(scope, header.s as SuiteName, header.d as string, wrapped));
        } catch (error) {
          if (isUndecryptable(error)) {
            found.set(name, { failure: error });
            stopped ||= stops(error);
          } else failed ??= error ?? new Error('rejected without a reason');
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(PARALLEL_KEYS, wanted.size) }, worker));
    if (failed !== undefined) {
      for (const key of found.values()) if (!('failure' in key)) dataKeys.release(key);
      throw failed;
    }
    return found;
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
      skipOrThrow(onUndecryptable, error, record, undefined, call);
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
    async removing(call) {
      // Where items and data keys are in one database, it looks itself, in the transaction that removes.
      if (call.dekStore !== undefined) return;
      for (const { holds } of (await scopeOf(call)).stores) {
        const [open] = (await holds?.list({ sessionId: call.sessionId, open: true })) ?? [];
        if (open !== undefined) throw heldError(call.sessionId, open.id);
      }
    },
    opensBy: nameOf,
    stillOpens,
    ...(sequence !== undefined && {
      inspect: (entries: readonly (Entry | HiddenEntry)[], call: SessionCall) =>
        report(entries, call.sessionId, timeOf(call)),
      mutation: (call: SessionCall) => {
        // All that was there goes; over some sessions it stays, before what is written.
        if (call.kind === 'replaceHistoryWithCompaction') sequence.restart(call);
        return {
          done: (appended?: readonly Entry[], removed?: readonly (Entry | HiddenEntry)[]) => {
            // What takes the place of the oldest records has numbers of its own.
            if (call.kind === 'replacePrefix') return;
            if (appended === undefined && removed === undefined) sequence.restart(call);
            else if (call.kind === 'popItem') sequence.removed((removed ?? []).map(headerOfEntry), call);
          },
        };
      },
    }),
    refused(error, call) {
      // The data key was destroyed, or its store lost it: a new one seals.
      if (!isGone(error)) return false;
      dataKeys.forget(call.sessionId);
      sequence?.restart(call);
      return true;
    },
  };
  sealers.set(layer, {
    scopeOf,
    dekStore,
    accepts: (record, scope) => {
      const result = classify(record, acceptingAt(scope.now));
      return 'plain' in result ? result.plain : undefined;
    },
    acceptsPlaintext: (scope) => acceptingAt(scope.now) !== undefined,
    async open(record, scope) {
      const result = classify(record, undefined) as Sealed;
      const { header, wrapped } = result.envelope;
      const key = await dataKeys.opening(scope, header.s as SuiteName, header.d as string, wrapped);
      try {
        const entry = openEntry(key, result.envelope, record);
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
        guard(key, scope);
        return await mapInSlices(
          entries,
          (entry, index) =>
            sealEntry(key, suite, entry.header, utf8(encodeItem(entry.item)), scope.now, undefined, index)
              .item,
          1,
        );
      } finally {
        dataKeys.release(key);
      }
    },
    forget: (sessionId, did) => dataKeys.forget(sessionId, did),
  });
  return layer;
}

function tooManyKeys(sessionId: string, count: number, most: number): StrongroomError {
  return new StrongroomError(
    'ERR_UNSUPPORTED',
    `Reading session ${JSON.stringify(sessionId)} takes ${count} data keys, more than dataKeys.maxPerRead (${most}). ` +
      'Read a part of it with getItems(limit), run reencrypt() over it, or allow more.',
  );
}

function timeOf(call: SessionCall): number {
  const now = Math.trunc(call.now());
  if (!Number.isSafeInteger(now) || now < 0) {
    throw new StrongroomError('ERR_CLOCK', 'The clock of the stack gives no time in Unix milliseconds.');
  }
  return now;
}
