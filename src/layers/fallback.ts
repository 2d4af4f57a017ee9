import type { AgentInputItem, Session } from '@openai/agents';
import { openDerived } from '../derived-id.ts';
import { createByHistory } from '../engine/by-history.ts';
import { innerSession } from '../engine/inner.ts';
import { errorName } from '../error-name.ts';
import { StrongroomError } from '../errors.ts';
import type { SessionCall, SessionLayer } from '../layer.ts';
import { checkOptions, dropPromise, invalidOption } from '../options.ts';
import { describedLayers } from '../session-contract.ts';
import { warn } from '../warning.ts';
import { isUnavailable } from './fallback/unavailable.ts';

/** Where {@link fallback} reads when the session is unavailable: one session, or a session for each id. */
export type Backup = Session | ((sessionId: string) => Session);

/** Options of {@link fallback}. */
export interface FallbackOptions {
  /**
   * What a read does when the session and the backup are both unavailable. `'throw'`: it rejects with the error of the
   * session. `'start-fresh'`: it returns an empty history, with a process warning (`STRONGROOM_FALLBACK`) and an audit event
   * whose `servedFrom` is `'nothing'`.
   *
   * @defaultValue 'throw'
   */
  readonly whenAllFail?: 'throw' | 'start-fresh';
}

/**
 * Reads a second session when the first is unavailable: its database does not answer, refuses connections or takes too
 * long. It never does so after a failure of a key, of authentication or of access, nor after a record that does not open,
 * nor when another layer refused the read or failed on its result: those errors reach the caller.
 *
 * The backup is read directly, without the layers of this stack. Pass a session that is wrapped in the same layers,
 * such as one of a replica or of a copy that `transfer()` updates. In a stack that seals, a backup that is not
 * sealed is refused.
 *
 * Only reads fall back. Writes go to the session alone, and fail while it is unavailable. A run that read the backup may
 * append, but a call that removes or replaces history is refused with `ERR_READ_ONLY`, because its view of the
 * history may be old or empty: until the same run, or for calls without a run context the same process, has read
 * the session itself.
 *
 * It may stand anywhere in a stack; below `audit()`, so that the audit event states where a read was served from.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`. Reads reject with `ERR_LAYER_ORDER` when the stack seals and the
 * backup does not.
 *
 * @example
 * ```ts
 * import { audit, encrypt, fallback, wrapStore, type Keyring, type Store } from 'strongroom';
 *
 * export function withReplica(primary: Store, replica: Store, keys: Keyring): Store {
 *   const copies = wrapStore(replica, [encrypt({ keys })]);
 *   return wrapStore(primary, [
 *     audit({ sink: (event) => console.log(JSON.stringify(event)) }),
 *     fallback((id) => copies.session(id)),
 *     encrypt({ keys }),
 *   ]);
 * }
 * ```
 */
export function fallback(backup: Backup, options: FallbackOptions = {}): SessionLayer {
  checkOptions('fallback', options, ['whenAllFail']);
  const { whenAllFail = 'throw' } = options;
  if (whenAllFail !== 'throw' && whenAllFail !== 'start-fresh') {
    invalidOption('fallback', 'whenAllFail', "'throw' or 'start-fresh'", whenAllFail);
  }
  if (typeof backup !== 'function') assertSession(backup);
  /** For each history, the readers whose last read of it was not served by the session. */
  const stale = createByHistory<WeakSet<object>>(({ inner }) => inner);

  function remember(call: SessionCall): void {
    const readers = stale.get(call) ?? new WeakSet();
    stale.set(call, readers.add(readerOf(call)));
  }

  function backupOf(call: SessionCall): Session {
    const session: unknown = typeof backup === 'function' ? openDerived(call.sessionId, backup) : backup;
    dropPromise(session);
    assertSession(session);
    if (call.sealed && !isSealed(session)) {
      throw new StrongroomError(
        'ERR_LAYER_ORDER',
        `fallback: the backup of session ${JSON.stringify(call.sessionId)} has no encrypt() of its own, and the stack that reads it seals. Give the backup as a session that is wrapped in the same layers.`,
      );
    }
    return session;
  }

  async function readBackup(call: SessionCall, session: Session): Promise<AgentInputItem[]> {
    const items = await innerSession(session).getItems(call.limit, call.runContext);
    remember(call);
    call.result.items = items.length;
    call.result.servedFrom = 'backup';
    return items;
  }

  function startFresh(call: SessionCall, errors: readonly unknown[]): AgentInputItem[] {
    warn(
      'STRONGROOM_FALLBACK',
      `fallback: session ${JSON.stringify(call.sessionId)} and its backup are unavailable (${errors.map((error) => errorName(error) ?? 'Error').join(', ')}), so this read starts with an empty history. What is stored stays as it is.`,
    );
    remember(call);
    call.result.items = 0;
    call.result.servedFrom = 'nothing';
    return [];
  }

  return {
    name: 'fallback',
    unique: true,
    wantsRunContext: true,
    async around<T>(call: SessionCall, next: () => Promise<T>): Promise<T> {
      if (call.kind !== 'getItems') return next();
      // Also without a failure: an unusable backup is detected before it is needed.
      const session = backupOf(call);
      let failure: unknown;
      try {
        const items = await next();
        stale.get(call)?.delete(readerOf(call));
        return items;
      } catch (error) {
        if (call.result.unanswered !== true || !isUnavailable(error)) throw error;
        failure = error;
      }
      try {
        return (await readBackup(call, session)) as T;
      } catch (error) {
        if (!isUnavailable(error)) throw error;
        if (whenAllFail === 'throw') throw failure;
        return startFresh(call, [failure, error]) as T;
      }
    },
    removing(call) {
      const { sessionId, kind } = call;
      // Whole sessions, and what rules decide, depend on no read.
      if (kind === 'deleteSession' || kind === 'retention' || stale.get(call)?.has(readerOf(call)) !== true)
        return;
      throw new StrongroomError(
        'ERR_READ_ONLY',
        `fallback: ${kind} on session ${JSON.stringify(sessionId)} is refused, because the last read was served from elsewhere and this call would remove what it did not see. Read the session again when it is available.`,
        { written: 'no' },
      );
    },
  };
}

const WITHOUT_RUN = {};

/** A run; calls without a run context count as one reader. */
function readerOf({ runContext }: SessionCall): object {
  return runContext ?? WITHOUT_RUN;
}

function assertSession(value: unknown): asserts value is Session {
  if (typeof (value as Partial<Session> | null | undefined)?.getItems === 'function') return;
  invalidOption('fallback', 'backup', 'a session, or a function that gives one for an id', value);
}

/** By the description of its layers: the wrapper can be of another copy of this package. */
function isSealed(session: Session): boolean {
  return describedLayers(session).some(({ kinds }) => kinds.includes('seals'));
}
