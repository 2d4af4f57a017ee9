import type { Opened } from '../../config/define-config.ts';
import type { ErrorCode } from '../../errors.ts';
import type { Keyring } from '../../keys/keyring.ts';
import { keyAccess } from '../../operations/access.ts';
import { problemOf } from '../../operations/check-keys.ts';
import { keyPlacesOf, wrappedKeysOf } from '../../operations/key-places.ts';
import type { Store } from '../../stores/store.ts';
import { layersOfStore } from '../../wrap-store.ts';
import { counted, shown } from '../output.ts';
import type { Report } from './finding.ts';

/** Stored data keys that no key of the configuration opens, or that an old one still wraps. */
export async function checkStoredKeys(
  { store, keys }: Opened,
  signal: AbortSignal,
  report: Report,
): Promise<void> {
  if (!layersOfStore(store).some(({ name }) => name === 'encrypt')) return;
  const ringOf = createRingOf(store);
  const problems = new Map<
    string,
    { kid: string; code: ErrorCode; sessions: Set<string>; dataKeys: number }
  >();
  const old = new Map<string, number>();
  for await (const { kid, sessionId } of wrappedKeysOf('checkKeys', await keyPlacesOf('checkKeys', store))) {
    signal.throwIfAborted();
    const ring = await ringOf(sessionId);
    const code = problemOf(ring, kid);
    if (code !== undefined) {
      const name = JSON.stringify([kid, code]);
      const found = problems.get(name) ?? { kid, code, sessions: new Set(), dataKeys: 0 };
      problems.set(name, found);
      found.sessions.add(sessionId);
      found.dataKeys++;
    } else if (kid !== ring.current) old.set(kid, (old.get(kid) ?? 0) + 1);
  }
  for (const { kid, code, sessions, dataKeys } of problems.values()) {
    const needed = `${counted(dataKeys, 'data key')} of ${counted(sessions.size, 'session')} need the key ${shown(kid)}`;
    // A configuration that only writes has no private key, and lacks none.
    if (code === 'ERR_KEY_UNAVAILABLE') {
      report(
        'note',
        'keys.publicOnly',
        `${needed}, of which the configuration has the public half only.`,
        'Nothing, if that is meant. To read them, put the private JWK in its place.',
      );
    } else {
      report(
        'error',
        'keys.unknown',
        `${needed}, which the configuration cannot use (${code}).`,
        'Add the key to keys.previous from a backup. Without it these sessions cannot be read.',
      );
    }
  }
  for (const [kid, dataKeys] of old) {
    report(
      'note',
      'keys.old',
      `${counted(dataKeys, 'data key')} are still wrapped by the key ${shown(kid)}, which is not the current one.`,
      'Run strongroom rotate before that key leaves the configuration.',
    );
  }
  if (keys?.writeOnly === true) {
    report(
      'note',
      'keys.writeOnly',
      'The current key is a public one: this configuration writes, and cannot read what it wrote.',
      'Nothing, if that is meant.',
    );
  }
}

/** The keyring of a session: with a function for `keys` each tenant has one of its own. */
function createRingOf(store: Store): (sessionId: string) => Promise<Keyring> {
  let last: { readonly id: string; readonly ring: Keyring } | undefined;
  return async (id) => {
    if (last?.id === id) return last.ring;
    const { scope } = await keyAccess('checkKeys', store.session(id, { derived: true }));
    last = { id, ring: scope.ring };
    return scope.ring;
  };
}
