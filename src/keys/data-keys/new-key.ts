import { deriveKeys, type DerivedKeys } from '../../crypto/derive.ts';
import { randomScratch } from '../../crypto/random.ts';
import { loadSuite, type SuiteName } from '../../crypto/suite.ts';
import { after, ending, type MaybePromise } from '../../maybe-promise.ts';
import type { DekStore } from '../dek-store.ts';
import { WRAP_BYTES, wrapNow } from '../wrap-now.ts';
import { storeRow } from './key-row.ts';
import { openedKey, type OpenedKey } from './opened-keys.ts';
import type { DataKeyScope, KeyRow } from './types.ts';

const DEK_BYTES = 32;

/**
 * A new data key, wrapped by the current key and stored durably before its first use: the other order would lose
 * data in a crash.
 *
 * @param carries The first write under the key includes its row, so that it need not be durable before.
 * @throws `ERR_STORE`, `ERR_LOAD`, and the errors of wrapping. Then nothing was sealed with it.
 */
export function makeDataKey(
  scope: DataKeyScope,
  suite: SuiteName,
  place: DekStore | 'inline',
  carries: boolean,
): MaybePromise<OpenedKey> {
  return after(loadSuite(suite), () => {
    // One call of the system's generator for the key and for its wrapping.
    const drawn = randomScratch(DEK_BYTES + WRAP_BYTES);
    // A copy: a provider that looks at its buffer must not find other bytes there.
    const dek = new Uint8Array(drawn.subarray(0, DEK_BYTES));
    let derived: DerivedKeys | undefined;
    return ending(
      () => {
        const keys = (derived = deriveKeys(dek, suite, scope.context));
        const binding = { contextHash: scope.context.name };
        return after(wrapNow(scope.ring, dek, binding, drawn.subarray(DEK_BYTES)), ({ wrapped, kid }) => {
          const { did } = keys;
          const { sessionId, now } = scope;
          const row: KeyRow | undefined =
            place === 'inline'
              ? undefined
              : { record: { sessionId, did, kid, wrapped, createdAt: now }, state: 'new' };
          const isBefore = place !== 'inline' && row && !(carries && place === scope.guarding);
          const usage = { bornAt: now, messages: 0, bytes: 0 };
          const given = {
            did,
            kid,
            derived: keys,
            place,
            wrapped,
            row,
            sessionId,
            openOnly: false,
            now,
            usage,
          };
          return after(isBefore ? storeRow(place, row) : undefined, () => openedKey(given));
        });
      },
      (failed) => {
        drawn.fill(0);
        dek.fill(0);
        if (failed) derived?.wipe();
      },
    );
  });
}
