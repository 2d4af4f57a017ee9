import type {
  AgentInputItem,
  MemorySession,
  OpenAIConversationsSession,
  OpenAIResponsesCompactionSession,
  RunContext,
  Session,
} from '@openai/agents';
import { describe, expectTypeOf, it } from 'vitest';
import type { Wrapped } from '../../src/index.ts';

class ContextAware implements Session {
  readonly acceptsRunContext = true as const;
  getSessionId(): Promise<string> {
    return Promise.resolve('id');
  }
  getItems(_limit?: number, _runContext?: RunContext<unknown>): Promise<AgentInputItem[]> {
    return Promise.resolve([]);
  }
  addItems(_items: AgentInputItem[], _runContext?: RunContext<unknown>): Promise<void> {
    return Promise.resolve();
  }
  popItem(): Promise<AgentInputItem | undefined> {
    return Promise.resolve(undefined);
  }
  clearSession(): Promise<void> {
    return Promise.resolve();
  }
  extra(): number {
    return 1;
  }
}

describe('Wrapped', () => {
  it('is a Session whatever it wraps', () => {
    expectTypeOf<Wrapped<Session>>().toExtend<Session>();
    expectTypeOf<Wrapped<MemorySession>>().toExtend<Session>();
    expectTypeOf<Wrapped<ContextAware>>().toExtend<Session>();
  });
  it('keeps transactions as the inner session has them', () => {
    expectTypeOf<Wrapped<MemorySession>['applyHistoryTransaction']>().toEqualTypeOf<
      MemorySession['applyHistoryTransaction']
    >();
    expectTypeOf<Wrapped<ContextAware>>().not.toHaveProperty('applyHistoryTransaction');
  });
  it('makes optional what the layers decide about', () => {
    expectTypeOf<undefined>().toExtend<Wrapped<MemorySession>['applyHistoryMutations']>();
    expectTypeOf<Wrapped<ContextAware>['acceptsRunContext']>().toEqualTypeOf<true | undefined>();
  });
  it('does not have members that the SDK does not know', () => {
    expectTypeOf<Wrapped<ContextAware>>().not.toHaveProperty('extra');
  });
  it('keeps the brand, so that the SDK refuses a wrapped Conversations session under compaction', () => {
    type Underlying = NonNullable<
      NonNullable<ConstructorParameters<typeof OpenAIResponsesCompactionSession>[0]>['underlyingSession']
    >;
    expectTypeOf<Wrapped<OpenAIConversationsSession>>().not.toExtend<Underlying>();
    expectTypeOf<Wrapped<MemorySession>>().toExtend<Underlying>();
  });
});
