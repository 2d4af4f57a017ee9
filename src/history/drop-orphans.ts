import type { AgentInputItem } from '@openai/agents';
import { createStructure } from './structure.ts';

/**
 * The items without those that a provider refuses: results without their call, calls without a result, reasoning
 * without the item that followed it, and items of a missing program. For histories that are broken already, by an
 * interrupted run or a wrong cut. The rest are the same objects in the same order.
 *
 * Errors of the Responses API that it prevents: `No tool call found for function call output with call_id …`, `No
 * tool output found for function call …`, `Item 'rs_…' of type 'reasoning' was provided without its required
 * following item.`
 *
 * @param items A whole model input, or a history whose calls are all meant to be answered in it.
 *
 * @example
 * ```ts
 * import type { SessionInputCallback } from '@openai/agents';
 * import { dropOrphans } from 'strongroom/history';
 *
 * export const repaired: SessionInputCallback = (history, newItems) => [...dropOrphans(history), ...newItems];
 * ```
 */
export function dropOrphans(items: readonly AgentInputItem[]): AgentInputItem[] {
  const structure = createStructure();
  for (const item of items) structure.add(item);
  const orphans = structure.orphans(items.length);
  return items.filter((_item, index) => !orphans.has(index));
}
