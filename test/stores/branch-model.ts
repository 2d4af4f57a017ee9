import type { AgentInputItem } from '@openai/agents';
import type { BranchInfo } from '../../src/history/index.ts';
import { AFTER, type BranchSight, type BranchStep } from './branch-actor.ts';

interface ModelItem {
  readonly item: AgentInputItem;
  /** Unix milliseconds from which on it is hidden. */
  readonly expires: number;
}

interface ModelBranch {
  items: ModelItem[];
  readonly created?: number;
  readonly from?: string;
}

const MAIN = 'main';

/** Plain lists, and what the documents say of branches, expiry and holds. */
export class BranchModel {
  #branches = new Map<string, ModelBranch>([[MAIN, { items: [] }]]);
  #current = MAIN;
  /** By id: the branch that is held. */
  readonly #holds = new Map<string, string>();
  /** Ids of all holds that were placed: the record of a hold stays after its release. */
  readonly #taken = new Set<string>();
  #now = 0;

  /** The code of the error that the step must have. */
  act(step: BranchStep, now: number): string | undefined {
    this.#now = now;
    const branch = this.#branch(this.#current);
    switch (step.do) {
      case 'add':
        branch.items.push(...step.items.map((item) => ({ item, expires: now + AFTER })));
        return undefined;
      case 'undo': {
        const shown = this.#visible(branch);
        const start = shown.findLastIndex(({ item }) => isQuestion(item));
        return this.#remove(branch, start < 0 ? undefined : shown[start]);
      }
      case 'pop':
        return this.#remove(branch, this.#visible(branch).at(-1));
      case 'clear':
        if (this.#isHeld(this.#current)) return 'ERR_HELD';
        branch.items = [];
        return undefined;
      case 'branch': {
        if (this.#branches.has(step.name)) return 'ERR_CONFLICT';
        const shown = this.#visible(branch);
        const starts = [...shown.keys()].filter((at) => isQuestion((shown[at] as ModelItem).item));
        const items = shown.slice(0, starts[step.turns] ?? shown.length);
        this.#branches.set(step.name, { items, created: now, from: this.#current });
        return undefined;
      }
      case 'switch':
        if (!this.#branches.has(step.name)) return 'ERR_INVALID_OPTION';
        this.#current = step.name;
        return undefined;
      case 'delete':
        if (step.name === MAIN || !this.#branches.has(step.name)) return 'ERR_INVALID_OPTION';
        if (step.name === this.#current && !step.force) return 'ERR_CONFLICT';
        if (this.#isHeld(step.name)) return 'ERR_HELD';
        this.#branches.delete(step.name);
        if (step.name === this.#current) this.#current = MAIN;
        return undefined;
      case 'purge':
        for (const [name, each] of this.#branches) if (!this.#isHeld(name)) each.items = this.#visible(each);
        return undefined;
      case 'hold':
        if (this.#taken.has(step.id)) return 'ERR_CONFLICT';
        this.#taken.add(step.id);
        this.#holds.set(step.id, step.name);
        return undefined;
      case 'release':
        this.#holds.delete(step.id);
        return undefined;
      case 'erase':
        if (this.#holds.size > 0) return 'ERR_HELD';
        this.#branches = new Map([[MAIN, { items: [] }]]);
        this.#current = MAIN;
        return undefined;
      default: {
        const { summary, keep } = step;
        if (branch.items.length > 0 && this.#isHeld(this.#current)) return 'ERR_HELD';
        const shown = this.#visible(branch);
        const expires = Math.min(now + AFTER, ...shown.map((each) => each.expires));
        const item: AgentInputItem = { type: 'message', role: 'system', content: summary };
        branch.items = [{ item, expires }, ...(keep === 0 ? [] : shown.slice(-keep))];
        return undefined;
      }
    }
  }

  /** Whether the step can be taken: nobody places a hold on what is not there. */
  allows(step: BranchStep): boolean {
    if (step.do === 'hold') return this.#branches.has(step.name);
    if (step.do === 'release') return this.#holds.get(step.id) === step.name;
    return true;
  }

  sight(code: string | undefined): Omit<BranchSight, 'sessions'> {
    const list = [...this.#branches].map(([name, branch]): BranchInfo => {
      const items = this.#visible(branch);
      const turns = items.filter(({ item }) => isQuestion(item)).length;
      const facts = { name, current: name === this.#current, items: items.length, turns };
      if (branch.created === undefined || branch.from === undefined) return facts;
      return { ...facts, created: branch.created, from: branch.from };
    });
    const all = Object.fromEntries([...this.#branches].map(([name, branch]) => [name, this.#shown(branch)]));
    return { code, shown: this.#shown(this.#branch(this.#current)), list, all };
  }

  #branch(name: string): ModelBranch {
    return this.#branches.get(name) as ModelBranch;
  }

  #visible({ items }: ModelBranch): ModelItem[] {
    return items.filter(({ expires }) => expires > this.#now);
  }

  #shown(branch: ModelBranch): AgentInputItem[] {
    return this.#visible(branch).map(({ item }) => item);
  }

  #isHeld(name: string): boolean {
    return [...this.#holds.values()].some((held) => held === name || held === MAIN);
  }

  /** This item and what follows it. */
  #remove(branch: ModelBranch, from: ModelItem | undefined): string | undefined {
    if (from === undefined) return undefined;
    if (this.#isHeld(this.#current)) return 'ERR_HELD';
    branch.items = branch.items.slice(0, branch.items.indexOf(from));
    return undefined;
  }
}

function isQuestion(item: AgentInputItem): boolean {
  return 'role' in item && item.role === 'user';
}
