import type { AgentInputItem } from '@openai/agents';
import type { Entry } from '../layer.ts';
import { invalidOption } from '../options.ts';
import type { Context, Parts } from './parts.ts';

/** `getItems`: the last visible items, and what the next write needs to know of them. */
export function createReads({ inner, stack, pipeline, memory, calls }: Parts): {
  getItems(limit: number | undefined, runContext: Context): Promise<AgentInputItem[]>;
} {
  async function getItems(limit: number | undefined, runContext: Context): Promise<AgentInputItem[]> {
    if (limit !== undefined && stack.transforms && !(Number.isInteger(limit) || limit === Infinity)) {
      return invalidOption('getItems', 'limit', 'a whole number', limit);
    }
    if (limit !== undefined && limit <= 0) return [];
    if (limit === Infinity) return getItems(undefined, runContext);
    const details = { ...(limit !== undefined && { limit }), runContext };
    return calls.read('getItems', details, async (call) => {
      if (!stack.transforms) {
        const items = await inner.getItems(limit, runContext);
        call.result.items = items.length;
        return items;
      }
      const opened = await pipeline.read(limit, call, false);
      const skipped = call.skippedRecords || opened.some((record) => record.skipped === true);
      if (skipped) calls.setReadOnly(true);
      else if (limit === undefined) calls.setReadOnly(false);
      if (limit === undefined && stack.stamped) memory.rememberFullRead(opened);
      let seen = opened.filter((record) => record.visible !== undefined);
      if (limit !== undefined && seen.length > limit) seen = seen.slice(-limit);
      const items = seen.map((record) => (record.visible as Entry).item);
      memory.remember([...items], seen);
      call.result.items = items.length;
      return items;
    });
  }

  return { getItems };
}
