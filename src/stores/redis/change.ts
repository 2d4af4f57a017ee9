import { isStrongroomError, StrongroomError } from '../../errors.ts';
import { heldError } from '../../keys/dek-store.ts';
import { lostTurnError, type Fence } from '../../session-contract.ts';
import type { Change, Claim, StoreDriver, View } from '../driver.ts';
import { lostHistoryError, notEmptyError, saying, withOutcome } from '../failure.ts';
import { newMark } from '../marks.ts';
import { didsOf, neededDids } from '../record.ts';
import { leavesNothing, removes } from '../removal.ts';
import type { Deletion } from './deletion.ts';
import { encodeAppend } from './element.ts';
import { assertNotHeldAbove } from './hold-above.ts';
import { entriesOf, type IndexEntries } from './index-entries.ts';
import { movedTo, outOfStep, type Lists } from './lists.ts';
import { lifeOf } from './life.ts';
import { look, type Looked } from './look.ts';
import type { RedisParts } from './parts.ts';
import { signed, throwRefusal } from './refusals.ts';
import { CHANGE } from './scripts.ts';
import { versionOf } from './version.ts';

/** The application of a decided change. */
interface Application {
  readonly from: 'start' | 'end';
  readonly count: number | 'all';
  readonly fence: Fence | undefined;
  readonly change: Change;
  readonly claim: Claim;
}

/** Applies a decided change; returns whether the history still had the version that was read. */
type Apply = (
  sessionId: string,
  looked: Pick<Looked, 'version' | 'length'>,
  view: View,
  application: Application,
) => Promise<boolean>;

const ATTEMPTS = 200;
/** Attempts after which a change renames the list, so that concurrent appends need several steps. */
const PATIENCE = 3;

/**
 * Reads the data of the decision with a version, and applies the change with a script that does nothing when the
 * version has changed: then it is decided again.
 */
export function redisChange(
  parts: RedisParts,
  { index, indexLike, confirm }: IndexEntries,
  { drop }: Deletion,
  operationLog: number,
): StoreDriver['change'] {
  const { commands, keysOf, indexed, lists: names } = parts;
  const { of: listsOf } = names;

  const apply: Apply = async (sessionId, looked, view, application) => {
    const { change, claim } = application;
    const { insert, operation, archive, share, mark = newMark() } = change;
    const other = archive?.sessionId ?? share?.sessionId;
    const settings = settingsOf(looked, view, application, operationLog);
    if (settings.removes) await assertNotHeldAbove(parts, sessionId);
    const lists = await listsOf(sessionId);
    const target = other === undefined ? undefined : await listsOf(other);
    const stored = new Set(view.records);
    // Records that stay may have a destroyed data key.
    const fresh = insert.filter((record) => !stored.has(record));
    const dids = [...didsOf(fresh)];
    const entries = { ...entriesOf(insert, claim.subject), dids };
    const covered = indexed.covers(sessionId, entries) === lists.list;
    if (!covered && !settings.nothing) await index(sessionId, entries, 'no');
    const archived = { ...entriesOf(archive?.records ?? []), dids: [] };
    if (archive !== undefined) await index(archive.sessionId, archived, 'no');
    if (share !== undefined) await indexLike(share.sessionId, sessionId);
    const life = await lifeOf(parts, sessionId, entries.latest);

    const options = {
      ...settings,
      list: lists.list,
      next: lists.next,
      id: sessionId,
      generation: String(mark),
      dids: signed(dids, neededDids(fresh)),
      life,
      ...(parts.shares && { prefix: parts.prefix }),
      [share === undefined ? 'archive' : 'share']: target && {
        id: other,
        list: target.list,
        next: target.next,
        count: share?.count,
        life: await lifeOf(parts, other ?? '', archived.latest),
      },
    };
    const { meta, ops, deks, turn, holds } = keysOf(sessionId);
    const changing = commands.script(
      CHANGE,
      [lists.items, lists.nextItems, meta, ops, deks, turn, holds, ...archiveKeys(other, target)],
      [
        JSON.stringify(options),
        ...encodeAppend(insert, mark),
        ...encodeAppend(archive?.records ?? [], newMark()),
      ],
    );
    const answer = await changing.catch((error: unknown) => {
      if (archive === undefined || operation === undefined || !isCrossSlot(error)) throw error;
      return undefined;
    });
    if (answer === undefined) {
      return await applyApart(parts, { apply, change: changeSession }, sessionId, looked, view, application);
    }
    const [state, detail, name] = (answer as Buffer[]).map(String);
    if (state === 'stale') {
      indexed.name(sessionId, detail as string);
      return false;
    }
    if (state === 'taken') throw notEmptyError(sessionId, other as string);
    if (other !== undefined && state === 'moved') {
      indexed.name(other, movedTo(answer) as string);
      return false;
    }
    if (archive !== undefined && state === 'gone') throw lostHistoryError('openRedis', archive.sessionId);
    throwRefusal(sessionId, state as string, detail as string);
    if (state === 'held') throw heldError(sessionId, detail as string);
    if (state === 'lost') throw lostTurnError(sessionId);
    if (settings.nothing) indexed.name(sessionId, detail as string);
    else if (!covered) await confirm(sessionId, detail as string, entries, claim.presumed);
    // It has another name when its keys end earlier than before.
    else indexed.name(sessionId, detail as string);
    if (archive !== undefined) await confirm(archive.sessionId, name as string, archived);
    if (share !== undefined) {
      await confirm(share.sessionId, '', entriesOf([]));
      await indexLike(share.sessionId, sessionId);
    }
    return true;
  };

  function archiveKeys(sessionId: string | undefined, lists: Lists | undefined): string[] {
    if (sessionId === undefined || lists === undefined) return [];
    const { meta, ops, deks, holds } = keysOf(sessionId);
    return [lists.items, lists.nextItems, meta, ops, deks, holds];
  }

  const changeSession: StoreDriver['change'] = async (
    sessionId,
    { records: count, from = 'end', operation = '', fence },
    decide,
    claim = {},
  ) => {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (attempt > PATIENCE) await outOfStep(attempt);
      const looked = await saying('no', () =>
        look(parts, sessionId, from, count === 'all' ? -1 : count, operation, attempt >= PATIENCE),
      );
      const view: View = {
        records: looked.records,
        operation: looked.digest === '' ? undefined : looked.digest,
      };
      const change = await decide(view);
      if (change === undefined) return;
      const done = await saying('no', () =>
        change.drop
          ? drop(sessionId, looked.version)
          : apply(sessionId, looked, view, { from, count, fence, change, claim }),
      );
      if (done) return;
    }
    throw new StrongroomError(
      'ERR_CONFLICT',
      `Other writers changed session ${JSON.stringify(sessionId)} ${ATTEMPTS} times in a row. Nothing was changed; try again.`,
    );
  };

  return changeSession;
}

/**
 * The archive is in another slot of a cluster, where the same script cannot reach it: it is written first, once for each
 * operation. A crash in between leaves the records in both; repeating the operation completes it.
 */
async function applyApart(
  parts: RedisParts,
  { apply, change: changeSession }: { readonly apply: Apply; readonly change: StoreDriver['change'] },
  sessionId: string,
  looked: Pick<Looked, 'version' | 'length'>,
  view: View,
  application: Application,
): Promise<boolean> {
  const { archive, ...change } = application.change;
  const { key = '', digest = '' } = change.operation ?? {};
  // A change that would be refused must not be in the archive.
  await assertNotHeldAbove(parts, sessionId);
  const [hold] = (await parts.commands.read('HKEYS', parts.keysOf(sessionId).holds)) as Buffer[];
  if (hold !== undefined) throw heldError(sessionId, hold.toString());
  if ((await versionOf(parts, sessionId))[0] !== looked.version) return false;
  const logged = { key: `archive ${key} of ${sessionId}`, digest };
  await changeSession(archive?.sessionId as string, { records: 0, operation: logged.key }, ({ operation }) =>
    operation === undefined
      ? { remove: 'none', insert: archive?.records ?? [], operation: logged }
      : undefined,
  );
  try {
    return await apply(sessionId, looked, view, { ...application, change });
  } catch (error) {
    // The archive has them.
    throw isStrongroomError(error) && error.written !== 'yes' ? withOutcome(error, 'unknown') : error;
  }
}

/** The arguments of the script for the change, except the names of the lists. `undefined` members are omitted. */
function settingsOf(
  looked: Pick<Looked, 'version' | 'length'>,
  view: View,
  { from, count, fence, change, claim }: Application,
  operationLog: number,
): { readonly removes: boolean; readonly nothing: boolean; readonly [setting: string]: unknown } {
  const { remove, insert, operation } = change;
  const some = typeof remove === 'object' ? remove : undefined;
  // Appends since then do not change the data of the decision.
  const appends = count === 0 || (from === 'start' && view.records.length === count);
  const first = from === 'start' ? 0 : looked.length - view.records.length;
  return {
    version: appends ? looked.version.split(':')[0] : looked.version,
    appends,
    subject: claim.subject,
    inserted: insert.length,
    remove: some === undefined ? remove : 'some',
    index: some && first + some.start,
    count: some?.count,
    forget: change.forgetOperations === true,
    operation: operation?.key,
    digest: operation?.digest,
    log: operation && operationLog,
    owner: fence?.owner,
    removes: removes(change, view, count === 'all'),
    nothing: leavesNothing(change),
  };
}

/** A cluster refused it because of where its keys are, and did nothing. */
function isCrossSlot(error: unknown): boolean {
  const { cause } = error as { readonly cause?: unknown };
  return cause instanceof Error && cause.message.startsWith('CROSSSLOT');
}
