import type { SessionLayer } from '../../layer.ts';
import { isThenable } from '../../maybe-promise.ts';
import type { ActivityOf } from './activities.ts';
import { createKeeping } from './known.ts';
import type { LayersBelow } from './layers-below.ts';
import { sumsOf, type Lists } from './lists.ts';
import type { CacheSettings } from './options.ts';

/**
 * A list is dropped before every change; after an acknowledged append that no other change overlapped it is kept
 * again.
 */
export function createMutation(
  settings: CacheSettings,
  lists: Lists,
  activityOf: ActivityOf,
  below: LayersBelow,
): NonNullable<SessionLayer['mutation']> {
  return (call) => {
    const activity = activityOf(call);
    activity.active += 1;
    // No list is valid from here on.
    activity.generation += 1;
    const { generation } = activity;
    let key: string | undefined;
    // A read that began before, or begins before the end, keeps no list: none of a session without lists needs a name.
    const named = activity.hasLists ? below.keyOf(call) : undefined;
    if (isThenable(named))
      void named.then(
        (found) => {
          key = found;
        },
        // A layer that fails here fails the call itself.
        () => undefined,
      );
    else key = named;
    return {
      done(appended) {
        activity.active -= 1;
        const before = key === undefined ? undefined : lists.get(key);
        if (key === undefined || before === undefined) return;
        if (
          // A repeated transaction is acknowledged too, and appends nothing.
          appended === undefined ||
          call.kind !== 'addItems' ||
          // Another change overlapped this one or came since: the list lacks its records.
          before.generation !== generation - 1 ||
          activity.generation !== generation
        ) {
          lists.delete(key);
          return;
        }
        const added = appended.map(createKeeping(settings, call).keep);
        const last = appended.at(-1)?.stored;
        const step = last === undefined ? undefined : call.version?.stepOf(last);
        const { known, examples, checked, version, steps, openedAt, session } = before;
        for (const record of added) known.push(record);
        if (step !== undefined) steps.push(step);
        added.forEach(below.addingTo(examples, call));
        const { items, bytes, skips, marked } = sumsOf(added, settings, before);
        lists.set(key, {
          known,
          examples,
          checked,
          // Without its step the current version is unknown.
          version: last !== undefined && step === undefined ? undefined : version,
          steps,
          stepCount: steps.length,
          items,
          bytes,
          skips,
          marked,
          generation,
          openedAt,
          session,
        });
      },
    };
  };
}
