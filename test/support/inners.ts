import {
  MemorySession,
  OpenAIConversationsSession,
  RunContext,
  type AgentInputItem,
  type Session,
} from '@openai/agents';
import { memoryDriver } from '../../examples/support/memory-driver.ts';
import { createStore } from '../../src/stores/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { plainSession } from './plain-session.ts';
import { TenantSession } from './context-aware-session.ts';
import { fakeOpenAI } from './fake-openai.ts';

/** A session to wrap, opened for one test. */
export interface Inner {
  readonly session: Session;
  /** The context of the runs, where the session routes by it. */
  readonly context?: { readonly tenant: string };
  readonly runContext?: RunContext<unknown>;
  /** Everything that is stored, read past the layers. */
  raw(): Promise<AgentInputItem[]>;
  close?(): Promise<void>;
}

/** One row of the matrices. New stores join by a line in {@link INNERS}. */
export interface InnerCase {
  readonly name: string;
  readonly transactions: boolean;
  /** How many items one call takes. */
  readonly maxItemsPerCall?: number;
  /** Keeps items natively as its service likes them; only envelopes come back exactly. */
  readonly reshapes?: true;
  open(): Inner;
}

function simple(session: Session): Inner {
  return { session, raw: () => session.getItems() };
}

function tenants(): Inner {
  const session = new TenantSession();
  const context = { tenant: 'a' };
  const runContext = new RunContext<unknown>(context);
  return {
    session,
    context,
    runContext,
    raw: async () => {
      const others = [...session.buckets.keys()].filter((tenant) => tenant !== 'a');
      if (others.length > 0) throw new Error('Something was stored for another tenant.');
      return (await session.buckets.get('a')?.getItems()) ?? [];
    },
  };
}

function ownStore(): Inner {
  const store = createStore(memoryDriver());
  const session = store.session('own-1');
  return { session, raw: () => session.getItems(), close: () => store.close() };
}

function sqlite(): Inner {
  const store = openSqlite(':memory:');
  const session = store.session('sqlite-1');
  return { session, raw: () => session.getItems(), close: () => store.close() };
}

export const INNERS: readonly InnerCase[] = [
  { name: 'a plain session', transactions: false, open: () => simple(plainSession()) },
  { name: 'MemorySession', transactions: true, open: () => simple(new MemorySession()) },
  { name: 'an SQLite store', transactions: true, open: sqlite },
  { name: 'a store over a driver of the user', transactions: true, open: ownStore },
  { name: 'a context-aware session', transactions: false, open: tenants },
  {
    name: 'OpenAIConversationsSession',
    transactions: false,
    maxItemsPerCall: 20,
    reshapes: true,
    open: () => simple(new OpenAIConversationsSession({ client: fakeOpenAI().client })),
  },
];
