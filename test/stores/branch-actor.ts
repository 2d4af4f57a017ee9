import type { AgentInputItem, Session } from '@openai/agents';
import { isStrongroomError } from '../../src/errors.ts';
import { branches, undoTurn, type Branches, type BranchInfo } from '../../src/history/index.ts';
import {
  audit,
  cache,
  encrypt,
  exclusive,
  expire,
  minimize,
  redact,
  wrapStore,
  type IntegrityFinding,
  type Layers,
} from '../../src/index.ts';
import { observe } from '../../src/layers/observe.ts';
import { hold, release } from '../../src/operations/index.ts';
import { fixedKeyring } from '../../src/testing/index.ts';
import { label } from '../support/custom-layers.ts';
import { openStore } from './open-store.ts';

/** One thing that somebody does to a conversation with branches. */
export type BranchStep =
  | { readonly do: 'add'; readonly items: readonly AgentInputItem[] }
  | { readonly do: 'undo' }
  | { readonly do: 'pop' }
  | { readonly do: 'clear' }
  | { readonly do: 'branch'; readonly name: string; readonly turns: number }
  | { readonly do: 'switch'; readonly name: string }
  | { readonly do: 'delete'; readonly name: string; readonly force: boolean }
  | { readonly do: 'purge' }
  | { readonly do: 'hold'; readonly name: string; readonly id: string }
  | { readonly do: 'release'; readonly name: string; readonly id: string }
  | { readonly do: 'erase' }
  | { readonly do: 'compact'; readonly summary: string; readonly keep: number };

/** What is left after it: the code of its error, what the current branch shows, and all branches where they were asked for. */
export interface BranchSight {
  readonly code: string | undefined;
  readonly shown: readonly AgentInputItem[];
  readonly list?: readonly BranchInfo[] | undefined;
  readonly all?: Readonly<Record<string, readonly AgentInputItem[]>> | undefined;
  /** Ids of all sessions of the conversation in the database. */
  readonly sessions?: readonly string[] | undefined;
}

export interface BranchDeed {
  /** The id of the conversation. */
  readonly chat: string;
  readonly step: BranchStep;
  /** Unix milliseconds. */
  readonly now: number;
  /** Looks at all branches. */
  readonly whole: boolean;
}

/** A process, as far as the test can tell. */
export interface BranchActor {
  act(deed: BranchDeed): Promise<BranchSight>;
  close(): Promise<void>;
}

/** Milliseconds. Keys in Redis end by the clock of the server: far later than a life takes, so that only the clock of the test counts. */
export const AFTER = 3_600_000;

/** Another process that removes a record leaves a gap, see SECURITY.md. */
const onIntegrity = ({ kind }: IntegrityFinding): 'throw' | 'ignore' => (kind === 'gap' ? 'ignore' : 'throw');

export function branchActor(target: string, name: string): BranchActor {
  let now = 0;
  const clock = (): number => now;
  const store = openStore(target, name, clock);
  const layers: Layers = [
    audit({ sink: () => undefined }),
    observe(),
    redact(),
    minimize({ images: true }),
    label(),
    expire({ after: AFTER, clock, maxAhead: 'any' }),
    exclusive(),
    cache({ maxItems: 1_000 }),
    encrypt({ keys: fixedKeyring(), integrity: 'sequence', onIntegrity }),
  ];
  const sessions = wrapStore(store, layers);

  async function perform(chat: string, tree: Branches, follower: Session, step: BranchStep): Promise<void> {
    switch (step.do) {
      case 'add':
        return follower.addItems([...step.items]);
      case 'undo':
        return void (await undoTurn(follower));
      case 'pop':
        return void (await follower.popItem());
      case 'clear':
        return follower.clearSession();
      case 'branch':
        return void (await tree.create(step.name, { turns: step.turns }));
      case 'switch':
        return void (await tree.switch(step.name));
      case 'delete':
        return tree.delete(step.name, { force: step.force });
      case 'purge':
        return void (await store.purgeExpired({ maxAhead: 'any' }));
      case 'hold':
        return void (await hold(tree.session(step.name), { id: step.id, reason: 'a case' }));
      case 'release':
        return void (await release(tree.session(step.name), step.id));
      case 'erase':
        return void (await sessions.deleteSession(chat));
      case 'compact': {
        const kept = step.keep === 0 ? [] : await follower.getItems(step.keep);
        const summary: AgentInputItem = { type: 'message', role: 'system', content: step.summary };
        // A session of a store has it.
        return (follower as unknown as Compacting).replaceHistoryWithCompaction([summary, ...kept]);
      }
    }
  }

  return {
    async act({ chat, step, now: at, whole }) {
      now = at;
      const tree = branches(sessions, chat);
      const follower = tree.follow();
      let code: string | undefined;
      try {
        await perform(chat, tree, follower, step);
      } catch (error) {
        if (!isStrongroomError(error)) throw error;
        ({ code } = error);
      }
      const shown = await follower.getItems();
      if (!whole) return { code, shown };
      const list = await tree.list();
      const all: Record<string, readonly AgentInputItem[]> = {};
      for (const branch of list) all[branch.name] = await tree.session(branch.name).getItems();
      const ids: string[] = [];
      for await (const { id } of store.sessions({ derived: 'all' })) if (id.endsWith(chat)) ids.push(id);
      return { code, shown, list, all, sessions: ids };
    },
    close: () => store.close(),
  };
}

interface Compacting {
  replaceHistoryWithCompaction(items: AgentInputItem[]): Promise<void>;
}
