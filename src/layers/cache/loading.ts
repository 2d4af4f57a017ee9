import type { AgentInputItem } from '@openai/agents';
import type { Entry, HiddenEntry, HistoryVersion, LayerIO, SessionCall, SessionLayer } from '../../layer.ts';
import { mapInSlices } from '../../slices.ts';
import type { ActivityOf } from './activities.ts';
import { compare, endsWithKnown } from './changes.ts';
import { bytesOf, handOutAll, isSkipped, openUnknown } from './known.ts';
import type { LayersBelow } from './layers-below.ts';
import type { List, Lists } from './lists.ts';
import type { CacheSettings } from './options.ts';

/** Reads: from memory where nothing has changed, otherwise anew, opening only what is not known. */
export function createLoad(
  { mode, freeze }: CacheSettings,
  lists: Lists,
  activityOf: ActivityOf,
  below: LayersBelow,
): NonNullable<SessionLayer['load']> {
  async function load(call: SessionCall, io: LayerIO): Promise<readonly (Entry | HiddenEntry)[]> {
    const activity = activityOf(call);
    const { generation, active } = activity;
    const named = below.keyOf(call);
    const key = typeof named === 'string' ? named : await named;
    const now = call.now();
    let list = lists.current(key, generation, now);
    if (list !== undefined && !(await below.stillOpens(list, call))) {
      lists.delete(key);
      list = undefined;
    }
    // Without a seal two equal records cannot be told apart, so an end that is as it was proves nothing.
    const verifies = mode === 'verify' || (mode === 'tail' && !call.sealed && io.version === undefined);
    const versions = mode === 'tail' ? io.version : undefined;
    let version: HistoryVersion | undefined;
    if (list !== undefined && !verifies) {
      const length = list.known.length;
      let unchanged = mode === 'owner';
      if (versions !== undefined) {
        const answer = await compare(list, versions);
        version = answer.version;
        unchanged = answer.follows;
        if (unchanged) Object.assign(list, { version, steps: [], stepCount: 0, checked: length });
      } else if (mode === 'tail') unchanged = await endsWithKnown(list, length, io);
      if (unchanged) {
        return answer(list, length, call, io);
      }
    }
    // Read before the records: what is added in between makes the kept version older than its records, never newer.
    if (call.limit === undefined) version ??= await versions?.read();
    const records = await io.raw(call.limit);
    const known = await openUnknown(records, list?.known ?? [], io, freeze);
    const examples = new Map<string, Entry>();
    if (call.limit === undefined) await mapInSlices(known, below.addingTo(examples, call));
    // A change in progress, or one since the beginning: what was read may be the state before or after it.
    const undisturbed = active === 0 && activity.generation === generation;
    if (call.limit === undefined && undisturbed) {
      lists.dropOver(now);
      lists.set(key, {
        known,
        examples,
        checked: known.length,
        version,
        steps: [],
        stepCount: 0,
        items: known.length,
        bytes: bytesOf(known),
        generation,
        openedAt: list === undefined ? now : Math.min(now, list.openedAt),
        session: call.inner,
      });
    }
    return handOutAll(known, call, freeze);
  }

  async function answer(
    list: List,
    length: number,
    call: SessionCall,
    io: LayerIO,
  ): Promise<readonly (Entry | HiddenEntry)[]> {
    const from = call.limit === undefined ? 0 : Math.max(0, length - call.limit);
    const known = list.known.slice(from, length);
    if (!known.some(({ entry }) => isSkipped(entry))) return handOutAll(known, call, freeze);
    const records = known.map(({ entry }) => entry.stored as AgentInputItem);
    return handOutAll(await openUnknown(records, known, io, freeze), call, freeze);
  }

  return load;
}
