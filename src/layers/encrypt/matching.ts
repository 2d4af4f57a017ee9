import type { AgentInputItem } from '@openai/agents';
import { constantTimeEqual } from '../../crypto/equal.ts';
import type { DataKeys } from '../../keys/data-keys.ts';
import type { DataKey } from '../../keys/data-keys/types.ts';
import type { SessionCall } from '../../layer.ts';
import { envelopeText, parseEnvelope } from '../../protocol/envelope.ts';
import { headerOf } from './record.ts';
import type { ScopeOf } from './scope.ts';
import { isUndecryptable, skipOrThrow, type UndecryptablePolicy } from './undecryptable.ts';
import { openingIn, wantedKey } from './wanted-keys.ts';

/** Which of an operation's records a record is, by the tag in its header. */
export type Matches = (
  record: AgentInputItem,
  operationId: string,
  count: number,
  call: SessionCall,
) => Promise<number>;

export function createMatches(
  onUndecryptable: UndecryptablePolicy | undefined,
  dataKeys: DataKeys,
  scopeOf: ScopeOf,
): Matches {
  return async (record, operationId, count, call) => {
    const header = headerOf(record);
    if (header?.o === undefined || header.s === 'none') return -1;
    let key: DataKey | undefined;
    try {
      const envelope = parseEnvelope(envelopeText(record) as string);
      key = await openingIn(dataKeys, await scopeOf(call), wantedKey(envelope, record));
      for (let index = 0; index < count; index++) {
        if (constantTimeEqual(key.derived.operationTag(operationId, index), header.o)) return index;
      }
      return -1;
    } catch (error) {
      // An unreadable record does not match; the policy of reads decides whether it throws.
      if (!isUndecryptable(error)) throw error;
      skipOrThrow(onUndecryptable, error, record, undefined, call);
      return -1;
    } finally {
      if (key !== undefined) dataKeys.release(key);
    }
  };
}
