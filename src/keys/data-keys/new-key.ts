import { deriveKeys, type DerivedKeys } from '../../crypto/derive.ts';
import { randomBytes } from '../../crypto/random.ts';
import { loadSuite, type SuiteName } from '../../crypto/suite.ts';
import type { DekStore } from '../dek-store.ts';
import { storeRow } from './key-row.ts';
import { openedKey, type OpenedKey } from './opened-keys.ts';
import type { DataKeyScope, KeyRow } from './types.ts';

/**
 * A new data key, wrapped by the current key and stored durably before its first use: the other order would lose
 * data in a crash.
 *
 * @param carries The first write under the key includes its row, so that it need not be durable before.
 * @throws `ERR_STORE`, `ERR_LOAD`, and the errors of wrapping. Then nothing was sealed with it.
 */
export async function makeDataKey(
  scope: DataKeyScope,
  suite: SuiteName,
  place: DekStore | 'inline',
  carries: boolean,
): Promise<OpenedKey> {
  const loading = loadSuite(suite);
  if (loading !== undefined) await loading;
  const dek = randomBytes(32);
  let derived: DerivedKeys | undefined;
  try {
    derived = deriveKeys(dek, suite, scope.context);
    const { wrapped, kid } = await scope.ring.wrap(dek, { contextHash: scope.context.name });
    const { sessionId, now } = scope;
    const row: KeyRow | undefined =
      place === 'inline'
        ? undefined
        : { record: { sessionId, did: derived.did, kid, wrapped, createdAt: now }, state: 'new' };
    if (place !== 'inline' && row !== undefined && !(carries && place === scope.guarding)) {
      await storeRow(place, row);
    }
    const usage = { bornAt: now, messages: 0, bytes: 0 };
    return openedKey({
      did: derived.did,
      kid,
      derived,
      place,
      wrapped,
      row,
      sessionId,
      openOnly: false,
      now,
      usage,
    });
  } catch (error) {
    derived?.wipe();
    throw error;
  } finally {
    dek.fill(0);
  }
}
