import type { AgentInputItem, Session } from '@openai/agents';
import type { OperationIO } from '../engine/rare-calls.ts';
import { isStrongroomError, type ErrorCode } from '../errors.ts';
import type { CallOrigin } from '../layer.ts';
import { checkCall, originOf } from '../protocol/call-origin.ts';
import { slices } from '../slices.ts';
import type { Store } from '../stores/store.ts';
import { keyAccess, openOrShredded } from './access.ts';
import { asCall } from './as-call.ts';
import { isStore, isVault, sealedSessionsOf } from './targets.ts';

/** The result or progress of {@link verifySessions}. */
export interface VerifyReport {
  readonly sessions: number;
  /** Records that were opened, or whose data key was destroyed, or that did not open. */
  readonly records: number;
  /** Records whose data key was destroyed. */
  readonly shredded: number;
  /** How many records, or reads of a whole session, failed. */
  readonly failed: number;
  /** Why, at most 1,000 of them. */
  readonly failures: readonly UnreadableRecord[];
}

/** A record that does not open. */
export interface UnreadableRecord {
  readonly sessionId: string;
  /** Its position from 0 in the stored history; absent when the session as a whole cannot be read, or is refused although each record opens. */
  readonly index?: number;
  readonly code: ErrorCode;
}

/** Options of {@link verifySessions}. */
export interface VerifyOptions extends CallOrigin {
  /** Ends the run between two sessions. */
  readonly signal?: AbortSignal;
  /** Called after each session. */
  readonly onProgress?: (progress: VerifyReport) => void;
}

const MAX_FAILURES = 1_000;

/**
 * Opens every record, expired ones too, and then reads each session as a whole, which checks what `integrity:
 * 'sequence'` promises. Nothing is changed, and no content leaves the function: for a restored backup, or before a
 * key leaves the configuration.
 *
 * @param target A wrapped session or a wrapped store with `encrypt()`. Vaults of `redact()` in the store are opened, too,
 * by the keys of its `encrypt()`: records of a vault with keys of its own are reported (`ERR_KEY_UNKNOWN`).
 * @throws `ERR_INVALID_OPTION`; `ERR_KEY_UNAVAILABLE` and `ERR_STORE` when it is better to try again later. Records
 * that do not open for another reason are reported.
 * @example
 * ```ts
 * import { encrypt, generateKey, keyring, wrapStore } from 'strongroom';
 * import { verifySessions } from 'strongroom/keys';
 * import { openSqlite } from 'strongroom/sqlite';
 *
 * const keys = keyring({ current: await generateKey() });
 * const sessions = wrapStore(openSqlite(':memory:'), [encrypt({ keys })]);
 * const { records, failures } = await verifySessions(sessions);
 * ```
 */
export async function verifySessions(
  target: Session | Store,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  return asCall(target, 'checkKeys', options, async (whole) => {
    checkCall('verifySessions', options, ['signal', 'onProgress']);
    const report = { sessions: 0, records: 0, shredded: 0, failed: 0 };
    const failures: UnreadableRecord[] = [];
    for await (const session of sealedSessionsOf('verifySessions', target)) {
      options.signal?.throwIfAborted();
      const work = async (io?: OperationIO): ReturnType<typeof verifySession> =>
        verifySession(session, originOf(options), io);
      const found = await (isStore(target)
        ? asCall(session, 'checkKeys', originOf(options), work)
        : work(whole));
      report.sessions++;
      report.records += found.records;
      report.shredded += found.shredded;
      report.failed += found.failures.length;
      failures.push(...found.failures.slice(0, MAX_FAILURES - failures.length));
      options.onProgress?.({ ...report, failures });
    }
    return { ...report, failures };
  });
}

async function verifySession(
  session: Session,
  origin: CallOrigin,
  io: OperationIO | undefined,
): Promise<{ records: number; shredded: number; failures: UnreadableRecord[] }> {
  const { inner, sealer, scope, sessionId } = await keyAccess('checkKeys', session, origin);
  let records: readonly AgentInputItem[] = [];
  const failures: UnreadableRecord[] = [];
  let shredded = 0;
  const attempt = async (work: () => Promise<unknown>, index?: number): Promise<void> => {
    try {
      if ((await work()) === 'shredded') shredded++;
    } catch (error) {
      if (!isStrongroomError(error) || error.retryable || error.code === 'ERR_CLOSED') throw error;
      failures.push({ sessionId, ...(index !== undefined && { index }), code: error.code });
    }
  };
  // A damaged record hides those beside it, but not the other sessions.
  await attempt(async () => {
    records = await inner.getItems();
  });
  for (const [index, record] of records.entries()) {
    if (slices.isOver()) await slices.next();
    await attempt(async () => openOrShredded(sealer, record, scope), index);
  }
  // Layers that stand over a conversation mean nothing to its vault.
  if (failures.length === 0 && io !== undefined && !isVault(sessionId))
    await attempt(async () => io.visibleItems());
  return { records: records.length, shredded, failures };
}
