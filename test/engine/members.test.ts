import * as sdk from '@openai/agents';
import { MemorySession, OpenAIConversationsSession, OpenAIResponsesCompactionSession } from '@openai/agents';
import { describe, expect, it, vi } from 'vitest';
import { wrapSession, type SessionLayer } from '../../src/index.ts';
import { MEMBERS } from '../../src/engine/members.ts';

const observing: SessionLayer = { name: 'observing', around: async (_call, next) => next() };
const stamping: SessionLayer = {
  name: 'stamping',
  stamps: true,
  write: (entries, call) =>
    entries.map((entry) => ({ ...entry, header: { ...entry.header, t: call.now() } })),
};
const comparing: SessionLayer = { name: 'comparing', compare: (item) => item };

const membersOf = (session: object): string[] =>
  Object.keys(MEMBERS)
    .filter((name) => name in session)
    .sort();

describe('members', () => {
  it('knows every session guard that the SDK exports', () => {
    const guards = Object.keys(sdk).filter((name) => /^is.*AwareSession$/.test(name));
    expect(guards.sort()).toEqual([
      'isOpenAIResponsesCompactionAwareSession',
      'isOpenAIResponsesCompactionOwnershipAwareSession',
      'isRunContextAwareSession',
      'isSessionHistoryRewriteAwareSession',
      'isSessionHistoryTransactionAwareSession',
    ]);
  });

  it('has the members of the inner session under layers that only observe', () => {
    const compaction = new OpenAIResponsesCompactionSession({ client: {} as never, model: 'gpt-5' });
    const conversations = new OpenAIConversationsSession({ client: {} as never });
    for (const inner of [new MemorySession(), conversations, compaction]) {
      expect(membersOf(wrapSession(inner, []))).toEqual(membersOf(inner));
      expect(membersOf(wrapSession(inner, [observing]))).toEqual(membersOf(inner));
    }
  });

  it("has no members under an envelope that would work on the inner session's own records only", () => {
    const conversations = wrapSession(new OpenAIConversationsSession({ client: {} as never }), [stamping]);
    expect(membersOf(conversations)).toEqual([
      'addItems',
      'clearSession',
      'getItems',
      'getSessionId',
      'popItem',
      'preserveReasoningItemIdsForPersistence',
      'replaceHistoryWithCompaction',
    ]);
    const memory = wrapSession(new MemorySession(), [stamping]);
    expect(membersOf(memory)).toContain('applyHistoryTransaction');
    expect(membersOf(memory)).toContain('applyHistoryMutations');
    const withoutTransactions = Object.assign(new MemorySession(), { applyHistoryTransaction: undefined });
    expect(membersOf(wrapSession(withoutTransactions, [stamping]))).not.toContain('applyHistoryMutations');
  });

  it('adds a comparison when a layer has one', () => {
    expect(membersOf(wrapSession(new MemorySession(), [comparing]))).toContain(
      'prepareHistoryItemsForPersistenceComparison',
    );
  });

  it('requests the run context when a layer wants it', () => {
    const wanting: SessionLayer = { ...observing, wantsRunContext: true };
    expect(wrapSession(new MemorySession(), [wanting]).acceptsRunContext).toBe(true);
    expect('acceptsRunContext' in wrapSession(new MemorySession(), [observing])).toBe(false);
  });

  it('keeps the brand, so that the SDK refuses the same sessions as without the wrapper', () => {
    const wrapped = wrapSession(new OpenAIConversationsSession({ client: {} as never }), [stamping]);
    expect(
      () =>
        new OpenAIResponsesCompactionSession({ client: {} as never, underlyingSession: wrapped as never }),
    ).toThrow(/does not support OpenAIConversationsSession as an underlying session/);
  });

  it('does not warn of the methods that the SDK keeps for itself', () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    wrapSession(new OpenAIResponsesCompactionSession({ client: {} as never, model: 'gpt-5' }), [observing]);
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });

  it('refuses layers that see items above a session that compacts itself', () => {
    const compaction = new OpenAIResponsesCompactionSession({ client: {} as never, model: 'gpt-5' });
    expect(() => wrapSession(compaction, [stamping])).toThrow(/Put the compaction session outside/);
    expect(() => wrapSession(wrapSession(compaction, [observing]), [comparing])).toThrow(/compacts itself/);
  });

  it('warns once of a method that it does not know, and does not pass it on', () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    class Odd extends MemorySession {
      addItemsQuickly(): void {}
    }
    expect('addItemsQuickly' in wrapSession(new Odd(), [observing])).toBe(false);
    wrapSession(new Odd(), [observing]);
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn.mock.calls[0]?.[0]).toMatch(/does not know the session member addItemsQuickly/);
    warn.mockRestore();
  });
});
