import { createDataKeys } from '../keys/data-keys.ts';
import { isGone } from '../keys/data-keys/look-up.ts';
import { heldError, openHoldOn } from '../keys/dek-store.ts';
import type { SessionCall, SessionLayer } from '../layer.ts';
import { withOrigins } from '../protocol/record-origin.ts';
import { withParts } from '../protocol/sealed-record.ts';
import { createMatches } from './encrypt/matching.ts';
import { checkEncryptOptions, type EncryptOptions } from './encrypt/options.ts';
import { createReading } from './encrypt/reading.ts';
import { nameOf } from './encrypt/record.ts';
import { createScopeOf } from './encrypt/scope.ts';
import { createSealer, sealers } from './encrypt/sealer.ts';
import { sequenceHooks } from './encrypt/sequence/hooks.ts';
import { createSequenceWriter } from './encrypt/sequence/writer.ts';
import { createWriting } from './encrypt/writing.ts';

export type { AllowPlaintextOptions, DataKeyOptions, EncryptOptions } from './encrypt/options.ts';
export type { IntegrityFinding } from './encrypt/sequence/findings.ts';
export type {
  UndecryptablePolicy,
  UndecryptableReason,
  UndecryptableReference,
} from './encrypt/undecryptable.ts';

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
  const settings = checkEncryptOptions(options);
  const { keys, context, dekStore, onUndecryptable, suite, limits } = settings;
  const sequence = settings.sequence ? createSequenceWriter() : undefined;
  const dataKeys = createDataKeys(limits);
  const scopeOf = createScopeOf(settings);
  const writing = createWriting(suite, dataKeys, scopeOf, sequence);

  const layer: SessionLayer = withParts({
    name: 'encrypt',
    seals: true,
    unique: true,
    // Keys of tenants can depend on the run's context, and one tenant must not get entries that another opened.
    ...((typeof keys === 'function' || typeof context === 'function') && {
      wantsRunContext: true,
      opensAs: async (call: SessionCall): Promise<readonly (string | object)[]> => {
        const scope = await scopeOf(call);
        return [scope.ring, scope.context.name];
      },
    }),
    write: writing.write,
    ...createReading(settings, dataKeys, scopeOf),
    matches: createMatches(onUndecryptable, dataKeys, scopeOf),
    async removing({ sessionId }) {
      // A store with items and data keys checks its own holds, in the transaction that removes.
      if (typeof dekStore !== 'object') return;
      const hold = await openHoldOn(dekStore, sessionId);
      if (hold !== undefined) throw heldError(sessionId, hold);
    },
    opensBy: nameOf,
    ...(sequence !== undefined && sequenceHooks(sequence, settings.onIntegrity)),
    refused(error, call) {
      // The data key was destroyed, or its store lost it: a new one seals.
      if (!isGone(error)) return false;
      dataKeys.forget(call.sessionId);
      sequence?.restart(call);
      return true;
    },
  });
  sealers.set(layer, createSealer(settings, dataKeys, scopeOf, writing));
  // An inline key cannot be wrapped anew in a record that two sessions have.
  return dekStore === 'inline' ? layer : withOrigins(layer);
}
