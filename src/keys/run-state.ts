import { bindingContext, deriveKeys, type BindingContext } from '../crypto/derive.ts';
import { fromUtf8, toBase64url, utf8 } from '../crypto/encoding.ts';
import { constantTimeEqual } from '../crypto/equal.ts';
import { randomBytes } from '../crypto/random.ts';
import { isSuiteName, SUITE_NAMES, type SuiteName } from '../crypto/suite.ts';
import { formatEnvelope, formatHeader, parseEnvelope } from '../envelope.ts';
import { StrongroomError } from '../errors.ts';
import { checkOptions, invalidOption } from '../options.ts';
import type { Keyring } from './keyring.ts';

/** Options of {@link openRunState}. */
export interface OpenRunStateOptions {
  /** The keyring of `encrypt()`, or another one. */
  readonly keys: Keyring;
  /**
   * What the state belongs to: a session id, a user, a ticket. Not stored; a state that was sealed for another id does
   * not open, so that nobody can have somebody else's run approved.
   */
  readonly id: string;
  /** As in `encrypt()`, for example `{ tenant }`. Not stored either. */
  readonly context?: Readonly<Record<string, string>>;
}

/** Options of {@link sealRunState}. */
export interface SealRunStateOptions extends OpenRunStateOptions {
  /** @defaultValue `'XC20P'` */
  readonly suite?: SuiteName;
  /** Unix milliseconds. @defaultValue `Date.now` */
  readonly clock?: () => number;
}

/** Run states and items of a session with the same id and context never open as one another. */
const PURPOSE = 'sr1/purpose';

/**
 * Seals a serialized `RunState`, which holds the whole history in clear, under a data key of its own.
 *
 * @param state What `RunState.toString()` gives, or the `RunState` itself.
 * @returns An `sr1` envelope with the data key inside: one line of ASCII for a queue, a database, a file.
 * @throws `ERR_INVALID_OPTION`; what wrapping a data key throws.
 * @example
 * ```ts
 * import { generateKey, keyring } from 'strongroom';
 * import { openRunState, sealRunState } from 'strongroom/keys';
 *
 * const keys = keyring({ current: await generateKey() });
 * const sealed = await sealRunState('{"$schemaVersion":"1.0"}', { keys, id: 'user-123' });
 * const state = await openRunState(sealed, { keys, id: 'user-123' }); // for RunState.fromString(agent, state)
 * ```
 */
export async function sealRunState(
  state: string | { toString(): string },
  options: SealRunStateOptions,
): Promise<string> {
  const context = check('sealRunState', options, ['suite', 'clock']);
  const { keys, suite = 'XC20P', clock = Date.now } = options;
  if (!isSuiteName(suite)) invalidOption('sealRunState', 'suite', `one of ${SUITE_NAMES.join(', ')}`, suite);
  const text = typeof state === 'string' ? state : String(state);
  if (!text.startsWith('{')) invalidOption('sealRunState', 'state', 'a RunState or its JSON', state);
  const dek = randomBytes(32);
  const derived = deriveKeys(dek, suite, context);
  try {
    const { wrapped } = await keys.wrap(dek, { contextHash: toBase64url(context.hash) });
    const segment = formatHeader({ s: suite, d: derived.did, t: Math.trunc(clock()) });
    const plaintext = utf8(text);
    const nonce = derived.nonce(segment, plaintext);
    const body = derived.aead.seal(nonce, plaintext, derived.associatedData(segment));
    return formatEnvelope(segment, body, wrapped);
  } finally {
    dek.fill(0);
    derived.wipe();
  }
}

/**
 * The serialized run state that {@link sealRunState} sealed.
 *
 * @throws `ERR_NOT_SEALED` `ERR_MALFORMED` `ERR_UNSUPPORTED` `ERR_KEY_UNKNOWN` `ERR_KEY_DISABLED`
 * `ERR_KEY_UNAVAILABLE` `ERR_COMMITMENT` (another id or context) `ERR_AUTHENTICATION`
 */
export async function openRunState(sealed: string, options: OpenRunStateOptions): Promise<string> {
  const context = check('openRunState', options);
  if (typeof sealed !== 'string') invalidOption('openRunState', 'sealed', 'a text of sealRunState()', sealed);
  const { header, headerSegment, body, wrapped } = parseEnvelope(sealed);
  if (header.s === 'none' || wrapped === undefined) {
    throw new StrongroomError(
      'ERR_NOT_SEALED',
      'openRunState: this is no run state that sealRunState() sealed: it has no data key. Seal states before storing them.',
    );
  }
  const { dek } = await options.keys.unwrap(wrapped, { contextHash: toBase64url(context.hash) });
  const derived = deriveKeys(dek, header.s as SuiteName, context);
  dek.fill(0);
  try {
    if (!constantTimeEqual(derived.did, header.d as string)) {
      throw new StrongroomError(
        'ERR_COMMITMENT',
        'openRunState: the state was sealed for another id or context, or its data key was swapped.',
      );
    }
    const text = derived.aead.open(body, derived.associatedData(headerSegment));
    if (text !== undefined) return fromUtf8(text);
    throw new StrongroomError(
      'ERR_AUTHENTICATION',
      'openRunState: the state was changed after it was sealed. Treat it as tampering.',
    );
  } finally {
    derived.wipe();
  }
}

function check(where: string, options: OpenRunStateOptions, more: readonly string[] = []): BindingContext {
  checkOptions(where, options, ['keys', 'id', 'context', ...more]);
  const { keys, id, context } = options;
  if (typeof keys?.unwrap !== 'function') invalidOption(where, 'keys', 'a keyring', keys);
  if (typeof id !== 'string' || id === '') invalidOption(where, 'id', 'a non-empty text', id);
  return bindingContext(id, { ...context, [PURPOSE]: 'run-state' });
}
