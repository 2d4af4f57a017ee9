import { deriveKeys, type DerivedKeys } from '../../crypto/derive.ts';
import { randomBytes } from '../../crypto/random.ts';
import type { SuiteName } from '../../crypto/suite.ts';
import { StrongroomError } from '../../errors.ts';
import type { DekRecord, DekStore } from '../dek-store.ts';
import { ask } from './look-up.ts';
import { openedKey, type OpenedKey } from './opened-keys.ts';
import type { DataKeyScope } from './types.ts';

/**
 * A new data key, wrapped by the current key and durable where it is to live: the other order would lose data in a crash.
 *
 * @throws `ERR_STORE`, and what wrapping throws. Nothing was sealed with it then.
 */
export async function makeDataKey(
  scope: DataKeyScope,
  suite: SuiteName,
  place: DekStore | 'inline',
): Promise<OpenedKey> {
  const dek = randomBytes(32);
  let derived: DerivedKeys | undefined;
  try {
    derived = deriveKeys(dek, suite, scope.context);
    const { wrapped, kid } = await scope.ring.wrap(dek, { contextHash: scope.context.name });
    const { sessionId, now } = scope;
    if (place !== 'inline') await store(place, { sessionId, did: derived.did, kid, wrapped, createdAt: now });
    const usage = { bornAt: now, messages: 0, bytes: 0 };
    return openedKey({
      did: derived.did,
      kid,
      derived,
      place,
      wrapped,
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

async function store(place: DekStore, record: DekRecord): Promise<void> {
  if (await ask(async () => place.put(record))) return;
  throw new StrongroomError(
    'ERR_STORE',
    'The DEK store reports that it already holds a data key that was just generated. Nothing was sealed with it. Repeat the call; if it fails again, check the random generator of this machine.',
  );
}
