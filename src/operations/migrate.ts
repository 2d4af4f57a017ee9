import type { Session } from '@openai/agents';
import { writeWith } from '../engine/layer-hooks.ts';
import { placesOf } from '../engine/places.ts';
import { isStrongroomError, StrongroomError } from '../errors.ts';
import type { Entry, CallOrigin } from '../layer.ts';
import { checkCall, originOf } from '../protocol/call-origin.ts';
import type { Store } from '../stores/store.ts';
import { sealers } from '../layers/encrypt/sealer.ts';
import { innermostOf, layersOf } from '../wrap-session.ts';
import { keyAccess, replaceRecords, type KeyAccess } from './access.ts';
import { asCall, asCallOfEach } from './as-call.ts';
import { isVault, sealedSessionsOf } from './targets.ts';
import { asRedactOpens } from './vault-stack.ts';

/** The result or progress of {@link migrate}. */
export interface MigrateReport {
  /** Sessions that were processed. */
  readonly sessions: number;
  /** Plaintext records that were sealed. */
  readonly sealed: number;
  /** Records that were sealed before. */
  readonly already: number;
  /** Sessions that keep their plaintext, because a legal hold is open: run it again after the release. */
  readonly held: readonly string[];
}

/** Options of {@link migrate}. */
export interface MigrateOptions extends CallOrigin {
  /** Ends the run between two sessions; another run continues. */
  readonly signal?: AbortSignal;
  /** Called after each session. */
  readonly onProgress?: (progress: MigrateReport) => void;
}

/**
 * Seals the plaintext records of existing sessions, each session in one transaction: a crash leaves it old or new, and
 * a second run finishes. Every record passes all layers of the stack as if it were written now: `redact` redacts it,
 * `expire` stamps it. Live traffic can continue, because `encrypt()` must have `unsafeAllowPlaintext` during this
 * time. Check the plain rows before: an inserted row is sealed like an old one.
 *
 * Vaults of `redact()` in the store are sealed, too, by the `encrypt()` that `redact()` opens them with, and pass no other
 * layer. One that it opens without `encrypt()` stays as it is.
 *
 * @param target A session or store that was wrapped in a stack with `encrypt({ unsafeAllowPlaintext })`.
 * @throws `ERR_NOT_SEALED` without that option or after its date; `ERR_UNSUPPORTED` for a session without transactions
 * that has plaintext; the errors of the layers: then nothing of that session was changed.
 * @example
 * ```ts
 * import { MemorySession } from '@openai/agents';
 * import { encrypt, generateKey, keyring, wrapSession } from 'strongroom';
 * import { migrate } from 'strongroom/keys';
 *
 * const keys = keyring({ current: await generateKey() });
 * const until = new Date('2027-01-31');
 * const session = wrapSession(new MemorySession(), [encrypt({ keys, unsafeAllowPlaintext: { until } })]);
 * await migrate(session);
 * ```
 */
export async function migrate(target: Session | Store, options: MigrateOptions = {}): Promise<MigrateReport> {
  return asCall(target, 'migrate', options, async () => {
    checkCall('migrate', options, ['signal', 'onProgress']);
    const report = { sessions: 0, sealed: 0, already: 0, held: [] as string[] };
    for await (const session of sealedSessionsOf('migrate', target)) {
      options.signal?.throwIfAborted();
      let counts: Counts | undefined;
      try {
        counts = await asCallOfEach(target, session, 'migrate', options, async () =>
          migrateSession(session, originOf(options)),
        );
      } catch (error) {
        if (!isStrongroomError(error) || error.code !== 'ERR_HELD') throw error;
        report.held.push(await session.getSessionId());
        continue;
      }
      if (counts === undefined) continue;
      report.sessions++;
      report.sealed += counts.sealed;
      report.already += counts.already;
      options.onProgress?.({ ...report, held: [...report.held] });
    }
    return report;
  });
}

interface Counts {
  readonly sealed: number;
  readonly already: number;
}

/** Turns entries, as they were stored in clear, into those to store. */
type Sealing = (entries: readonly Entry[]) => Promise<readonly Entry[]>;

/** `undefined` for a vault that the application keeps in clear. */
async function migrateSession(session: Session, origin: CallOrigin): Promise<Counts | undefined> {
  if (isVault(await innermostOf(session).getSessionId())) return migrateVault(session, origin);
  const access = await keyAccess('migrate', session, origin);
  const { sealer, scope, call } = access;
  if (!sealer.acceptsPlaintext(scope)) {
    throw new StrongroomError(
      'ERR_NOT_SEALED',
      'migrate: encrypt() does not accept plaintext. Give it unsafeAllowPlaintext: { until } for the migration.',
    );
  }
  const layers = layersOf(session);
  const { above, codecs, below } = placesOf(layers);
  return sealPlain(access, async (plain) => {
    let entries = plain;
    for (const layer of above) entries = await writeWith(layer, entries, call);
    // What must be stored before the records and last as long, such as the values of their tokens.
    for (const layer of layers) await layer.settled?.(entries, call);
    for (const layer of [...codecs, ...below]) entries = await writeWith(layer, entries, call);
    return entries;
  });
}

/** Seals the records of a vault and changes nothing else: redaction would remove the values that it is there for. */
async function migrateVault(session: Session, origin: CallOrigin): Promise<Counts | undefined> {
  const { call } = await keyAccess('migrate', session, origin);
  const vault = await asRedactOpens(session, call);
  const seal = layersOf(vault).find((layer) => sealers.has(layer));
  if (seal === undefined) return undefined;
  const access = await keyAccess('migrate', vault, origin);
  try {
    return await sealPlain(access, async (entries) => writeWith(seal, entries, access.call));
  } catch (cause) {
    if (!isStrongroomError(cause) || cause.code !== 'ERR_NOT_SEALED') throw cause;
    throw new StrongroomError(
      'ERR_NOT_SEALED',
      `migrate: the vault ${JSON.stringify(access.sessionId)} has records in clear, and its encrypt() does not accept them. Give this ` +
        'encrypt(), too, unsafeAllowPlaintext: { until } for the migration.',
      { cause },
    );
  }
}

/** Replaces the records of a session that are in clear. */
async function sealPlain(access: KeyAccess, seal: Sealing): Promise<Counts> {
  const { sealer, scope } = access;
  let counts = { sealed: 0, already: 0 };
  await replaceRecords('migrate', access, async (records) => {
    const plain = records.map((record): Entry | undefined => {
      const entry = sealer.accepts(record, scope);
      return entry === undefined ? undefined : { ...entry, stored: record };
    });
    const entries = plain.flatMap((entry) =>
      entry === undefined ? [] : [{ item: entry.item, header: entry.header }],
    );
    counts = { sealed: entries.length, already: records.length - entries.length };
    if (entries.length === 0) return undefined;
    const sealed = (await seal(entries)).values();
    return records.map((record, index) =>
      plain[index] === undefined ? record : (sealed.next().value as Entry).item,
    );
  });
  return counts;
}
