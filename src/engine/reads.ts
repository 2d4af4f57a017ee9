import type { AgentInputItem } from '@openai/agents';
import type { Entry, MaybePromise } from '../layer.ts';
import { after } from '../maybe-promise.ts';
import { readLimit } from '../protocol/arguments.ts';
import { copyShared, sharingOf } from '../protocol/shared-entries.ts';
import { mapInSlices } from '../slices.ts';
import type { ActiveCall } from './active-call.ts';
import { hasSkipped } from './calls.ts';
import { readNow, type Context, type Parts } from './parts.ts';
import type { Opened } from './records.ts';

/** `getItems`: the last visible items, and the state that the next write needs. */
export function createReads({ inner, stack, pipeline, histories, calls }: Parts): {
  getItems(limit: number | undefined, runContext: Context): Promise<AgentInputItem[]>;
} {
  function getItems(given: number | undefined, runContext: Context): Promise<AgentInputItem[]> {
    const checked = readNow(() => readLimit(given));
    const details = {
      limit: given === Infinity ? undefined : given,
      runContext,
      checked,
    };
    return calls.read('getItems', details, (call) => {
      const limit = checked();
      if (limit === 0) {
        call.result.items = 0;
        return [];
      }
      if (stack.transforms)
        return after(pipeline.read(limit, call, false), (read) => shown(read, limit, call));
      return inner.getItems(limit, runContext).then((items) => {
        call.result.items = items.length;
        return items;
      });
    });
  }

  function shown(
    opened: readonly Opened[],
    limit: number | undefined,
    call: ActiveCall,
  ): MaybePromise<AgentInputItem[]> {
    const { memory } = histories.of(call);
    let seen = opened;
    if (!opened.every(isVisible)) seen = opened.filter(isVisible);
    // A visible record was not skipped.
    if (call.skippedRecords || (seen !== opened && hasSkipped(opened))) histories.setRecords(call, 'skipped');
    else if (limit === undefined) histories.setRecords(call, 'opened');
    if (limit === undefined && stack.stamped) memory.rememberFullRead(opened);
    if (limit !== undefined && seen.length > limit) seen = seen.slice(-limit);
    const shared = sharingOf(call)?.given === true;
    const toItem = ({ visible, bottom }: Opened): AgentInputItem => {
      const entry = visible as Entry;
      return shared ? copyShared(entry, bottom as Entry) : entry.item;
    };
    return after(mapInSlices(seen, toItem), (items) => {
      memory.remember(items.slice(), seen);
      call.result.items = items.length;
      return items;
    });
  }

  return { getItems };
}

function isVisible({ visible }: Opened): boolean {
  return visible !== undefined;
}
