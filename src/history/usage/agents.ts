import { namesOfItem } from './item-names.ts';
import type { RunWithUsage } from './run.ts';

/** The members of an agent that are read; each may be missing. */
export interface SomeAgent {
  readonly name?: unknown;
  readonly model?: unknown;
}

interface Made {
  readonly rawItem: unknown;
  readonly agent: SomeAgent;
}

/** The agent of each response; `undefined` where the items of the run do not say it. */
export function agentsOfResponses(result: RunWithUsage): readonly (SomeAgent | undefined)[] {
  const items = madeItems(result);
  const only = onlyAgentOf(result);
  const byObject = new Map(items.map((made) => [made.rawItem, made]));
  const byName = new Map<string, Made[]>();
  for (const made of items) {
    for (const name of searchedNames(made.rawItem)) byName.set(name, [...(byName.get(name) ?? []), made]);
  }
  const used = new Set<Made>();
  const agentOf = (output: unknown): SomeAgent | undefined => {
    const made = byObject.get(output) ?? byNames(output);
    if (made !== undefined) used.add(made);
    return made?.agent;
  };
  /** Deserialization makes other objects of the outputs and of the items. Both have the order of the run. */
  const byNames = (output: unknown): Made | undefined => {
    const [whole = '', ...ids] = searchedNames(output);
    const same = byName.get(whole);
    if (same !== undefined) return same.find((made) => !used.has(made)) ?? same.at(-1);
    // The item was changed, as by a guardrail. An id that two agents used says nothing.
    const candidates = ids.map((name) => byName.get(name) ?? []);
    return candidates.find((found) => new Set(found.map(({ agent }) => agent)).size === 1)?.[0];
  };
  return (result.rawResponses ?? []).map(
    ({ output }) => output.map(agentOf).find((found) => found !== undefined) ?? only,
  );
}

/** The agent of a run that has one only. */
export function onlyAgentOf(result: RunWithUsage): SomeAgent | undefined {
  const agents = new Set(madeItems(result).map(({ agent }) => agent));
  return agents.size > 1 ? undefined : ([...agents][0] ?? result.lastAgent);
}

function madeItems({ newItems = [] }: RunWithUsage): Made[] {
  return newItems.flatMap((item) => {
    const { rawItem, agent, type } = item as {
      readonly rawItem?: unknown;
      readonly agent?: unknown;
      readonly type?: unknown;
    };
    // A request for an approval has the call once more.
    if (typeof agent !== 'object' || agent === null || type === 'tool_approval_item') return [];
    return [{ rawItem, agent }];
  });
}

/** The item as a whole, by its call, and by its id. */
function searchedNames(item: unknown): string[] {
  const { ids, texts } = namesOfItem(item);
  const [type = '', callId = '', id = ''] = ids;
  return [
    JSON.stringify([ids, texts]),
    ...(callId === '' ? [] : [JSON.stringify(['call', type, callId])]),
    ...(id === '' ? [] : [JSON.stringify(['id', type, id])]),
  ];
}
