import type { AgentInputItem } from '@openai/agents';
import { counters } from '../../crypto/counters.ts';
import { utf8 } from '../../crypto/encoding.ts';
import type { SuiteName } from '../../crypto/suite.ts';
import type { DataKeys } from '../../keys/data-keys.ts';
import type { DataKey, DataKeyScope } from '../../keys/data-keys/types.ts';
import type { Entry, Header, MaybePromise, SessionCall } from '../../layer.ts';
import { after, ending } from '../../maybe-promise.ts';
import { encodeItem } from '../../protocol/item.ts';
import { takesParts } from '../../protocol/sealed-record.ts';
import { GUARD, isGuarding } from '../../session-contract.ts';
import { countWork } from '../../protocol/work.ts';
import { mapInSlices } from '../../slices.ts';
import { createSeal } from './entry.ts';
import type { ScopeOf } from './scope.ts';
import { SEQUENCE_FIELD } from './sequence/field.ts';
import type { SequenceWriter } from './sequence/writer.ts';

/** Seals entries to records. */
export interface Writing {
  readonly write: (entries: readonly Entry[], call: SessionCall) => MaybePromise<readonly Entry[]>;
  /**
   * Records of these entries under a new data key. Stamps stay; operation tags are dropped, they belong to the old
   * key.
   */
  readonly reseal: (entries: readonly Entry[], scope: DataKeyScope) => Promise<AgentInputItem[]>;
}

export function createWriting(
  suite: SuiteName,
  dataKeys: DataKeys,
  scopeOf: ScopeOf,
  sequence: SequenceWriter | undefined,
): Writing {
  const write: Writing['write'] = (entries, call) => {
    if (entries.length === 0) return entries;
    const asParts = takesParts(call);
    return after(scopeOf(call), (scope) =>
      after(dataKeys.sealing(scope, suite, asParts), (key) => sealAll(entries, call, scope, key, asParts)),
    );
  };

  function sealAll(
    entries: readonly Entry[],
    call: SessionCall,
    scope: DataKeyScope,
    key: DataKey,
    asParts: boolean,
  ): MaybePromise<readonly Entry[]> {
    const { operationId } = call;
    let bytes = 0;
    const work = (): MaybePromise<readonly Entry[]> => {
      const headers = numbered(entries, call);
      const write = { suite, now: scope.now, operationId, count: entries.length, asParts };
      const seal = createSeal(key, write, (index) => {
        const plaintext = utf8(encodeItem((entries[index] as Entry).item));
        bytes += plaintext.length;
        return { stamps: headers[index] as Header, plaintext };
      });
      return mapInSlices(entries, (_, index) => seal(index), 1);
    };
    // The key is given back when the work is over, however it ends.
    return after(
      ending(work, () => dataKeys.release(key)),
      (sealed) => {
        counters.seals += entries.length;
        countWork(call, 'sealed', entries.length);
        dataKeys.sealed(key, entries.length, bytes);
        guard(key, scope);
        return sealed;
      },
    );
  }

  /** The headers of the written entries, each with its number. */
  function numbered(entries: readonly Entry[], call: SessionCall): readonly Header[] {
    const headers = entries.map(({ header }) => header);
    const fields = sequence?.number(headers, call);
    return fields === undefined
      ? headers.map(withoutNumber)
      : headers.map((header, index) => ({ ...header, [SEQUENCE_FIELD]: fields[index] as string }));
  }

  async function reseal(entries: readonly Entry[], scope: DataKeyScope): Promise<AgentInputItem[]> {
    const key = await dataKeys.fresh(scope, suite);
    try {
      counters.seals += entries.length;
      guard(key, scope);
      const { now } = scope;
      const write = { suite, now, operationId: undefined, count: entries.length, asParts: false };
      const seal = createSeal(key, write, (index) => {
        const { header, item } = entries[index] as Entry;
        return { stamps: header, plaintext: utf8(encodeItem(item)) };
      });
      return await mapInSlices(entries, (_, index) => seal(index).item, 1);
    } finally {
      dataKeys.release(key);
    }
  }

  return { write, reseal };
}

/** A kept item has its earlier header; its number was that of another record. */
function withoutNumber(header: Header): Header {
  if (!(SEQUENCE_FIELD in header)) return header;
  const { [SEQUENCE_FIELD]: _number, ...rest } = header;
  return rest;
}

/** Records under this key are written only if the key still exists. */
function guard({ did, place }: DataKey, { guarding }: DataKeyScope): void {
  if (place === guarding && isGuarding(guarding)) guarding[GUARD](did);
}
