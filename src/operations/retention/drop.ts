import { ancestorsOf, holdsConversation, rootOf } from '../../derived-id.ts';
import type { DropCondition } from '../../stores/maintenance.ts';
import type { RetentionTarget } from './target.ts';

/** Deletions of sessions with what belongs to them. No store deletes several sessions in one transaction. */
export interface Dropping {
  readonly target: RetentionTarget;
  readonly dryRun: boolean;
  readonly signal: AbortSignal | undefined;
  /** Called for each session with items that was deleted; in a dry run, that would have been. */
  readonly dropped: (id: string) => void;
  /** Whether it was called for this one. */
  readonly isGone: (id: string) => boolean;
}

/**
 * Deletes a session whose first item was written at this time or before, with its derived sessions. The deepest are
 * first: after a crash the session is still there, and the next run finds all of it. It does not become younger when
 * somebody appends, so one look is enough before the derived sessions go.
 *
 * @throws {@link StrongroomError} `ERR_HELD` under a hold on any session of its conversation.
 */
export async function dropOld(dropping: Dropping, id: string, firstBefore: number): Promise<void> {
  const { target, dryRun, signal } = dropping;
  const { maintenance } = target;
  const tree = present(dropping, await maintenance.tree(id));
  await maintenance.assertNotHeld([...tree, id, rootOf(id)]);
  if (!dryRun) {
    const records = await maintenance.records(id);
    if (!records.some(({ writtenAt }) => writtenAt <= firstBefore)) return;
  }
  for (const each of tree) {
    signal?.throwIfAborted();
    await drop(dropping, each, async () => {
      await target.erase(each);
      return true;
    });
  }
  await dropIf(dropping, id, { firstBefore });
}

/**
 * Deletes a conversation to which nothing was written after this time, or what is left of one that is gone. Each session is looked at
 * again in the transaction that deletes it, and the first one that is younger ends the deletion: somebody has
 * continued.
 *
 * @param hasRoot Whether the conversation itself has items.
 * @throws {@link StrongroomError} `ERR_HELD` under a hold on any session of the conversation.
 */
export async function dropSilent(
  dropping: Dropping,
  root: string,
  hasRoot: boolean,
  lastBefore: number,
): Promise<void> {
  const { target, dryRun, signal } = dropping;
  const { maintenance } = target;
  const derived = present(dropping, await maintenance.derived(root));
  await maintenance.assertNotHeld([...derived, root]);
  const order = byUse(hasRoot ? [...derived, root] : derived);
  if (!dryRun) {
    // Most people who continue are noticed here, before the first deletion.
    for (const id of [root, ...derived]) {
      const records = await maintenance.records(id);
      if (records.some(({ writtenAt }) => writtenAt > lastBefore)) return;
    }
  }
  for (const id of order) {
    signal?.throwIfAborted();
    if (!(await dropIf(dropping, id, { lastBefore, orEmpty: id !== root }))) return;
  }
}

/** A dry run leaves the ones that it counted. */
function present({ dryRun, isGone }: Dropping, ids: readonly string[]): readonly string[] {
  return dryRun ? ids.filter((id) => !isGone(id)) : ids;
}

function dropIf(dropping: Dropping, id: string, condition: DropCondition): Promise<boolean> {
  const { maintenance, remove } = dropping.target;
  return drop(dropping, id, () => remove(id, async () => maintenance.dropIf(id, condition)));
}

/** @param work Says whether it deleted the session. */
async function drop(
  { target, dryRun, dropped }: Dropping,
  id: string,
  work: () => Promise<boolean>,
): Promise<boolean> {
  const isEmpty = await target.maintenance.isEmpty(id);
  if (!dryRun && !(await work())) return false;
  if (!isEmpty) dropped(id);
  return true;
}

/**
 * The deepest first, and data keys, vaults and registers of branches directly after the session that needs them: when the
 * deletion ends because somebody continues in a session, what this session needs is still there.
 */
function byUse(ids: readonly string[]): readonly string[] {
  const users = deepestFirst(ids.filter(holdsConversation));
  const needed = deepestFirst(ids.filter((id) => !holdsConversation(id)));
  const userOf = (id: string): string | undefined => ancestorsOf(id).find(holdsConversation);
  const order = users.flatMap((user) => [user, ...needed.filter((id) => userOf(id) === user)]);
  return [...order, ...needed.filter((id) => !order.includes(id))];
}

/** Those of one depth by their ids: databases list them in any order, and a dry run names them in that of the run. */
function deepestFirst(ids: readonly string[]): string[] {
  const depth = (id: string): number => ancestorsOf(id).length;
  return ids.toSorted().toSorted((one, other) => depth(other) - depth(one));
}
