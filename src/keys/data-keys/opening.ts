import { deriveKeys, type DerivedKeys } from '../../crypto/derive.ts';
import { constantTimeEqual } from '../../crypto/equal.ts';
import { loadSuite, type SuiteName } from '../../crypto/suite.ts';
import { StrongroomError } from '../../errors.ts';
import { providerError } from '../provider-error.ts';
import type { Keyring, UnwrappedKey } from '../keyring.ts';
import type { Epochs } from './epochs.ts';
import { findWrapped, type FoundKey } from './look-up.ts';
import { once } from './once.ts';
import { openedKey, used, type OpenedKey, type OpenedKeys } from './opened-keys.ts';
import { createRefusals } from './refusals.ts';
import type { ScopeNames } from './scope-names.ts';
import type { DataKeyScope } from './types.ts';

/** Existing data keys: from memory, or found and unwrapped. */
export interface Opening {
  /** The key of this name if it is in memory and its key-encryption key may still be used. */
  readonly kept: (scope: DataKeyScope, name: string) => OpenedKey | undefined;
  /** The data key of this id. `inline` is the wrapped key that the envelope carries, if it does. */
  readonly opening: (
    scope: DataKeyScope,
    suite: SuiteName,
    did: string,
    inline: string | undefined,
  ) => Promise<OpenedKey>;
}

export function createOpening(
  names: ScopeNames,
  opened: OpenedKeys,
  epochs: Epochs,
  maxPerRead: number,
): Opening {
  const refusals = createRefusals(maxPerRead);
  const loading = new Map<string, Promise<OpenedKey>>();

  function kept(scope: DataKeyScope, name: string): OpenedKey | undefined {
    const key = opened.find(name, scope.now);
    if (key === undefined || opensWith(scope.ring, key.kid)) return key;
    // Its key-encryption key was disabled or destroyed, and the data key may have been wrapped by another one since.
    opened.delete(name);
    return undefined;
  }

  async function opening(
    scope: DataKeyScope,
    suite: SuiteName,
    did: string,
    inline: string | undefined,
  ): Promise<OpenedKey> {
    const name = names.key(scope, suite, did, inline);
    for (;;) {
      const key =
        kept(scope, name) ?? (await once(loading, name, () => load(scope, suite, did, inline, name)));
      // Other keys may have evicted it from a small cache before its use.
      if (!key.wiped) return used(key);
    }
  }

  async function load(
    scope: DataKeyScope,
    suite: SuiteName,
    did: string,
    inline: string | undefined,
    name: string,
  ): Promise<OpenedKey> {
    const found = await findWrapped(scope, did, inline);
    const key = await refusals.unless(name, found.wrapped, scope.now, () => open(scope, suite, did, found));
    opened.add(name, key);
    return key;
  }

  async function open(
    scope: DataKeyScope,
    suite: SuiteName,
    did: string,
    { wrapped, place, createdAt }: FoundKey,
  ): Promise<OpenedKey> {
    const { sessionId, now } = scope;
    const binding = { contextHash: scope.context.name };
    const loading = loadSuite(suite);
    if (loading !== undefined) await loading;
    let unwrapped: UnwrappedKey;
    try {
      unwrapped = await scope.ring.unwrap(wrapped, binding);
    } catch (cause) {
      throw providerError(undefined, 'unwrap', cause);
    }
    const { dek, kid, openOnly } = unwrapped;
    let derived: DerivedKeys;
    try {
      if (dek.length !== 32) wrongDataKey();
      derived = deriveKeys(dek, suite, scope.context);
    } finally {
      dek.fill(0);
    }
    if (!constantTimeEqual(derived.did, did)) {
      derived.wipe();
      wrongDataKey();
    }
    // Its usage from before its eviction still counts.
    const epoch = epochs.find(names.epoch(scope, suite, place));
    const usage = epoch?.did === did ? epoch.usage : { bornAt: createdAt, messages: 0, bytes: 0 };
    return openedKey({ did, kid, derived, place, wrapped, sessionId, openOnly, now, usage });
  }

  return { kept, opening };
}

function opensWith(ring: Keyring, kid: string): boolean {
  try {
    ring.checkOpens(kid);
    return true;
  } catch {
    return false;
  }
}

function wrongDataKey(): never {
  throw new StrongroomError(
    'ERR_COMMITMENT',
    'The record was sealed for a different session or context, such as another tenant. Compare the ' +
      '`context` of encrypt() and the session id with those used for writing. If they are the same, the record ' +
      'was moved or its data key was replaced: treat it as tampering.',
  );
}
