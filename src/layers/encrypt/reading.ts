import type { AgentInputItem } from '@openai/agents';
import type { SuiteName } from '../../crypto/suite.ts';
import type { StrongroomError } from '../../errors.ts';
import type { DataKeys } from '../../keys/data-keys.ts';
import type { DataKey, DataKeyScope } from '../../keys/data-keys/types.ts';
import type { Entry, MaybePromise, SessionCall } from '../../layer.ts';
import { after } from '../../maybe-promise.ts';
import type { Envelope } from '../../protocol/envelope.ts';
import { partsOf } from '../../protocol/sealed-record.ts';
import { countWork } from '../../protocol/work.ts';
import { mapInSlices } from '../../slices.ts';
import { openEntry } from './entry.ts';
import type { EncryptSettings } from './options.ts';
import { acceptingAt, classify, keyOf, referenceOf, sameKey, type Plain } from './record.ts';
import type { ScopeOf } from './scope.ts';
import { attempt, skipOrThrow, type Failure } from './undecryptable.ts';
import { openKeys, releaseAll, wantedKey, type WantedKey } from './wanted-keys.ts';

/** Opens sealed records to entries. */
export interface Reading {
  readonly read: (entries: readonly Entry[], call: SessionCall) => Promise<(Entry | undefined)[]>;
  readonly stillOpens: (entries: readonly Entry[], call: SessionCall) => MaybePromise<boolean>;
}

/** What a record is, or why that is not known. */
type Class = Envelope | Plain | Failure;

export function createReading(
  { onUndecryptable, plaintext, limits }: EncryptSettings,
  dataKeys: DataKeys,
  scopeOf: ScopeOf,
): Reading {
  async function read(entries: readonly Entry[], call: SessionCall): Promise<(Entry | undefined)[]> {
    const scope = await scopeOf(call);
    const accepting = acceptingAt(plaintext, scope.now);
    const classified = (record: AgentInputItem): Class => attempt(() => classify(record, accepting));
    // Most are in parts, for which no function has to be made.
    const parsed = await mapInSlices(entries, ({ item }): Class => partsOf(item) ?? classified(item), 1);
    const wanted = new Map<string, WantedKey>();
    let last: Envelope | undefined;
    for (let index = 0; index < parsed.length; index++) {
      const result = parsed[index] as Class;
      if ('plain' in result || 'failure' in result) continue;
      // Neighbours mostly have the same data key, and its wrapped form is long.
      if (last === undefined || !sameKey(last, result)) {
        wanted.set(keyOf(result), wantedKey(result, entries[index]?.item));
      }
      last = result;
    }
    const found = await openKeys(dataKeys, limits.maxPerRead, scope, wanted, stopsReading);
    try {
      let plain = 0;
      let count = 0;
      let previous: Envelope | undefined;
      let key: DataKey | Failure | undefined;
      const open = (result: Class, index: number): Entry | undefined => {
        const record = (entries[index] as Entry).item;
        if ('plain' in result) {
          plain++;
          return { ...result.plain, stored: record };
        }
        let entry: Entry | Failure;
        if ('failure' in result) {
          entry = result;
        } else {
          if (previous === undefined || !sameKey(previous, result)) key = found.get(keyOf(result));
          previous = result;
          const own = key as DataKey | Failure;
          entry = 'failure' in own ? own : openEntry(own, result, record);
        }
        if (!('failure' in entry)) {
          count++;
          return entry;
        }
        skipOrThrow(onUndecryptable, entry.failure, record, { index, count: entries.length }, call);
        return undefined;
      };
      const opened = await mapInSlices(parsed, open, 1);
      countWork(call, 'opened', count);
      if (plain > 0) accepting?.onPlaintext?.(plain, call.sessionId);
      return opened;
    } finally {
      releaseAll(dataKeys, found);
    }
  }

  /** Keys can be disabled or destroyed, and plaintext is accepted until a date. */
  const stillOpens = (entries: readonly Entry[], call: SessionCall): MaybePromise<boolean> =>
    after(scopeOf(call), (scope) => opensUnder(scope, entries));

  function opensUnder(scope: DataKeyScope, entries: readonly Entry[]): MaybePromise<boolean> {
    const accepting = acceptingAt(plaintext, scope.now);
    const wanted = new Map<string, WantedKey>();
    for (const entry of entries) {
      const reference = referenceOf(entry);
      if (reference === undefined) {
        if (accepting === undefined) return false;
        continue;
      }
      const { header, wrapped } = reference;
      const key = wantedKey(reference, entry.stored);
      const isKept =
        key.origin === undefined &&
        dataKeys.isOpen(scope, header.s as SuiteName, header.d as string, wrapped);
      if (!isKept) wanted.set(keyOf(reference), key);
    }
    return wanted.size === 0 || allOpen(scope, wanted);
  }

  async function allOpen(scope: DataKeyScope, wanted: ReadonlyMap<string, WantedKey>): Promise<boolean> {
    let all = true;
    for (const key of (await openKeys(dataKeys, limits.maxPerRead, scope, wanted, () => true)).values()) {
      if ('failure' in key) all = false;
      else dataKeys.release(key);
    }
    return all;
  }

  /** Whether a read ends with this failure, so that it need not load the other keys. */
  function stopsReading({ code }: StrongroomError): boolean {
    return code === 'ERR_KEY_UNAVAILABLE' || (onUndecryptable === undefined && code !== 'ERR_SHREDDED');
  }

  return { read, stillOpens };
}
