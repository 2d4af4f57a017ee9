import { checkContext, type Context } from '../context.ts';
import { bindingContext, deriveKeys, type BindingContext } from '../crypto/derive.ts';
import { fromUtf8, utf8 } from '../crypto/encoding.ts';
import { constantTimeEqual } from '../crypto/equal.ts';
import { randomBytes } from '../crypto/random.ts';
import { isSuiteName, loadSuite, SUITE_NAMES, type SuiteName } from '../crypto/suite.ts';
import { formatEnvelope, formatHeader, parseEnvelope } from '../protocol/envelope.ts';
import { clockOf } from '../clock.ts';
import { StrongroomError } from '../errors.ts';
import type { Header } from '../layer.ts';
import { checkOptions, invalidOption, parseDuration, type Duration } from '../options.ts';
import { askProvider } from '../keys/provider-error.ts';
import type { Keyring } from '../keys/keyring.ts';

interface RunStateOptions {
  /** The keyring of `encrypt()`, or another one. */
  readonly keys: Keyring;
  /**
   * The owner of the state: a session id, a user, a ticket. Not stored; a state that was sealed for another id does
   * not open, so that a user cannot approve the run of another user.
   */
  readonly id: string;
  /** As in `encrypt()`, for example `{ tenant }`. Not stored either. */
  readonly context?: Context;
  /** Unix milliseconds. @defaultValue `Date.now` */
  readonly clock?: () => number;
}

/** Options of {@link openRunState} and {@link readRunState}. */
export interface OpenRunStateOptions extends RunStateOptions {
  /** Refuses states that were sealed longer ago, even if their own lifetime is longer. @defaultValue no limit */
  readonly maxAge?: Duration;
}

/** Options of {@link sealRunState}. */
export interface SealRunStateOptions extends RunStateOptions {
  /** @defaultValue `'XC20P'` */
  readonly suite?: SuiteName;
  /**
   * The state does not open any more after this time. It is written into the authenticated header, so that it
   * applies to every opener. @defaultValue no limit
   */
  readonly expireAfter?: Duration;
}

/** The result of {@link readRunState}. */
export interface OpenedRunState {
  /** For `RunState.fromString(agent, state)`. */
  readonly state: string;
  /** When it was sealed, Unix milliseconds. */
  readonly sealedAt: number;
  /** When its lifetime ends, Unix milliseconds; `undefined` without one. */
  readonly expiresAt: number | undefined;
}

/** Separates run states from items of a session with the same id and context: neither opens as the other. */
const PURPOSE = 'sr1/purpose';

/**
 * Seals a serialized `RunState`, which holds the whole history in clear, under a new data key.
 *
 * @param state The result of `RunState.toString()`, or the `RunState` itself.
 * @returns An `sr1` envelope with the data key inside: one line of ASCII for a queue, a database, a file.
 * @throws `ERR_INVALID_OPTION`; the errors of wrapping a data key.
 * @example
 * ```ts
 * import { generateKey, keyring } from 'strongroom';
 * import { openRunState, sealRunState } from 'strongroom/keys';
 *
 * const keys = keyring({ current: await generateKey() });
 * const sealed = await sealRunState('{"$schemaVersion":"1.0"}', { keys, id: 'user-123', expireAfter: '7d' });
 * const state = await openRunState(sealed, { keys, id: 'user-123' }); // for RunState.fromString(agent, state)
 * ```
 */
export async function sealRunState(
  state: string | { toString(): string },
  options: SealRunStateOptions,
): Promise<string> {
  const context = check('sealRunState', options, ['suite', 'expireAfter']);
  const { keys, suite = 'XC20P', expireAfter } = options;
  if (!isSuiteName(suite)) invalidOption('sealRunState', 'suite', `one of ${SUITE_NAMES.join(', ')}`, suite);
  const text = typeof state === 'string' ? state : String(state);
  if (!text.startsWith('{')) invalidOption('sealRunState', 'state', 'a RunState or its JSON', state);
  const lifetime =
    expireAfter === undefined ? undefined : parseDuration('sealRunState', 'expireAfter', expireAfter);
  const now = clockOf('sealRunState', options.clock)();
  await loadSuite(suite);
  const dek = randomBytes(32);
  const derived = deriveKeys(dek, suite, context);
  try {
    const { wrapped } = await keys.wrap(dek, { contextHash: context.name });
    const segment = formatHeader({
      s: suite,
      d: derived.did,
      t: now,
      ...(lifetime !== undefined && { e: now + Math.ceil(lifetime) }),
    });
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
 * `ERR_KEY_UNAVAILABLE` `ERR_COMMITMENT` (another id or context) `ERR_AUTHENTICATION` `ERR_EXPIRED` `ERR_CLOCK`
 */
export async function openRunState(sealed: string, options: OpenRunStateOptions): Promise<string> {
  return (await open('openRunState', sealed, options)).state;
}

/**
 * The same as {@link openRunState}, with the times of the authenticated header.
 *
 * @throws the errors of {@link openRunState}.
 * @example
 * ```ts
 * import type { Keyring } from 'strongroom';
 * import { readRunState } from 'strongroom/keys';
 *
 * export async function waitingSince(sealed: string, keys: Keyring): Promise<Date> {
 *   const { sealedAt } = await readRunState(sealed, { keys, id: 'ticket-1', maxAge: '30d' });
 *   return new Date(sealedAt);
 * }
 * ```
 */
export async function readRunState(sealed: string, options: OpenRunStateOptions): Promise<OpenedRunState> {
  return open('readRunState', sealed, options);
}

async function open(where: string, sealed: string, options: OpenRunStateOptions): Promise<OpenedRunState> {
  const context = check(where, options, ['maxAge']);
  const maxAge = options.maxAge === undefined ? Infinity : parseDuration(where, 'maxAge', options.maxAge);
  if (typeof sealed !== 'string') invalidOption(where, 'sealed', 'a text of sealRunState()', sealed);
  const { header, headerSegment, body, wrapped } = parseEnvelope(sealed);
  if (header.s === 'none' || wrapped === undefined) {
    throw new StrongroomError(
      'ERR_NOT_SEALED',
      `${where}: this is not a run state that sealRunState() sealed: it has no data key. Seal states before you store them.`,
    );
  }
  const suite = header.s as SuiteName;
  await loadSuite(suite);
  const { dek } = await askProvider(undefined, 'unwrap', async () =>
    options.keys.unwrap(wrapped, { contextHash: context.name }),
  );
  const derived = deriveKeys(dek, suite, context);
  dek.fill(0);
  try {
    if (!constantTimeEqual(derived.did, header.d as string)) {
      throw new StrongroomError(
        'ERR_COMMITMENT',
        `${where}: the state was sealed for a different id or context, or its data key was replaced. Compare the ` +
          'id and context with those passed to sealRunState() first.',
      );
    }
    const text = derived.aead.open(body, derived.associatedData(headerSegment));
    if (text === undefined) {
      throw new StrongroomError(
        'ERR_AUTHENTICATION',
        `${where}: the state was changed after it was sealed. Treat it as tampering, and start the run again.`,
      );
    }
    checkAge(where, header, maxAge, clockOf(where, options.clock)());
    return { state: fromUtf8(text), sealedAt: header.t as number, expiresAt: header.e };
  } finally {
    derived.wipe();
  }
}

/** The same tolerance as for items: clocks of two machines differ a little. */
const MAX_SKEW = 60_000;

function checkAge(where: string, { t = 0, e = Infinity }: Header, maxAge: number, now: number): void {
  if (t > now + MAX_SKEW) {
    throw new StrongroomError(
      'ERR_CLOCK',
      `${where}: the state was sealed in the future. Correct the clock of the machine that sealed it, or of this one.`,
    );
  }
  if (now >= Math.min(e, t + maxAge)) {
    throw new StrongroomError(
      'ERR_EXPIRED',
      `${where}: the state has expired. Start the run again, or seal states with a longer expireAfter.`,
    );
  }
}

function check(where: string, options: RunStateOptions, more: readonly string[]): BindingContext {
  checkOptions(where, options, ['keys', 'id', 'context', 'clock', ...more]);
  const { keys, id, context = {}, clock } = options;
  if (typeof keys?.unwrap !== 'function') invalidOption(where, 'keys', 'a keyring', keys);
  if (typeof id !== 'string' || id === '') invalidOption(where, 'id', 'a non-empty text', id);
  clockOf(where, clock);
  return bindingContext(id, { ...checkContext(where, context), [PURPOSE]: 'run-state' });
}
