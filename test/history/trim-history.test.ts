import type { AgentInputItem } from '@openai/agents';
import { describe, expect, it, vi } from 'vitest';
import { trimHistory, type TrimHistoryOptions, type TrimReport } from '../../src/index.ts';
import { planTrim } from '../../src/history/plan-trim.ts';
import { assistant, call, reasoning, result, system, user } from './support/random-history.ts';

/** Ten tokens an item, so that budgets can be read. */
const ten = (): number => 10;

const turns = (count: number): AgentInputItem[] =>
  Array.from({ length: count }, (_, turn) => [user(`question ${turn}`), assistant(`answer ${turn}`)]).flat();

const send = async (
  history: AgentInputItem[],
  options: TrimHistoryOptions,
  input: AgentInputItem[] = [user('new')],
): Promise<AgentInputItem[]> => [...(await trimHistory(options)(history, input))];

describe('trimHistory()', () => {
  it('returns a history that fits untouched, the same objects in the same order', async () => {
    const history = turns(3);
    const input = [user('new')];
    const sent = await send(history, { maxItems: 6 }, input);
    expect(sent).toHaveLength(7);
    for (const [index, item] of [...history, ...input].entries()) expect(sent[index]).toBe(item);
  });

  it('cuts to half of the budget, between turns, once the budget is exceeded', async () => {
    const history = turns(6);
    expect(await send(history, { maxItems: 10 })).toEqual([...history.slice(8), user('new')]);
    expect(await send(history, { maxTurns: 5 })).toEqual([...history.slice(8), user('new')]);
    expect(await send(history, { maxTokens: 100, tokenCounter: ten })).toEqual([
      ...history.slice(8),
      user('new'),
    ]);
  });

  it('applies the tightest of several budgets', () => {
    const history = turns(6);
    const plan = planTrim(history, { maxItems: 100, maxTurns: 2, maxTokens: 1_000_000 });
    expect(plan.after.turns).toBeLessThanOrEqual(2);
    expect(plan.budget).toEqual({ items: 100, turns: 2, tokens: 1_000_000 });
  });

  it('leaves up to `keep` of the budget after a cut', () => {
    const history = turns(11);
    expect(planTrim(history, { maxTurns: 10, keep: 0.8 }).after.turns).toBe(8);
    expect(planTrim(history, { maxTurns: 10, keep: 1 }).after.turns).toBe(10);
    expect(planTrim(history, { maxTurns: 10, keep: 0.2 }).after.turns).toBe(2);
  });

  it('takes a share of a context window, less the reserved tokens', () => {
    const history = turns(6);
    const options = { fraction: 0.5, contextWindow: 400, reserveTokens: 80, tokenCounter: ten };
    expect(planTrim(history, options).budget.tokens).toBe(120);
    expect(planTrim(history, options).dropped).toEqual([]);
    expect(planTrim(history, { ...options, maxTokens: 150 }).budget.tokens).toBe(70);
  });

  it('keeps system messages wherever they stand, in order, and counts them', () => {
    const history = [system('one'), ...turns(3), system('two'), ...turns(3)];
    const plan = planTrim(history, { maxItems: 6 });
    expect(plan.kept.slice(0, 2)).toEqual([system('one'), system('two')]);
    expect(plan.after.items).toBeLessThanOrEqual(6);
  });

  it('keeps a compaction item first and drops what it replaces', () => {
    const compaction: AgentInputItem = { type: 'compaction', encrypted_content: 'sealed' };
    const history = [...turns(1), compaction, ...turns(5)];
    const plan = planTrim(history, { maxItems: 5 });
    expect(plan.kept[0]).toBe(compaction);
    expect(plan.dropped.slice(0, 2).map(({ reason }) => reason)).toEqual(['compaction', 'compaction']);
    expect(plan.dropped[2]?.reason).toBe('budget');
  });

  it.each([Promise.resolve(true), 1, undefined])(
    'refuses a pin that returns %o, which would pin nothing',
    (answer) => {
      expect(() => planTrim([user('a'), user('b')], { maxItems: 1, pin: () => answer as never })).toThrow(
        expect.objectContaining({
          code: 'ERR_INVALID_OPTION',
          message: expect.stringContaining('pin must be a function that returns true or false at once'),
        }),
      );
    },
  );

  it('keeps a pinned item with its whole call', () => {
    const history = [
      user('a'),
      reasoning('rs'),
      call('c1'),
      call('c2'),
      result('c1'),
      result('c2'),
      assistant('b'),
      ...turns(6),
    ];
    const plan = planTrim(history, { maxItems: 8, pin: (_item, index) => index === 4 });
    expect(plan.kept.slice(0, 5)).toEqual(history.slice(1, 6));
    expect(plan.after.items).toBeLessThanOrEqual(8);
  });

  it('drops a result without its call, a call without a result, and reasoning without the next item', () => {
    const history = [result('gone'), user('a'), call('open'), user('b'), reasoning('rs'), user('c')];
    const plan = planTrim(history, { maxItems: 100 });
    expect(plan.kept).toEqual([user('a'), user('b'), user('c')]);
    expect(plan.dropped).toEqual([
      { index: 0, type: 'function_call_result', callId: 'gone', tokens: 0, reason: 'orphan' },
      { index: 2, type: 'function_call', callId: 'open', tokens: 0, reason: 'orphan' },
      { index: 4, type: 'reasoning', tokens: 0, reason: 'orphan' },
    ]);
  });

  it('keeps an open call that the new input answers', async () => {
    const history = [user('a'), reasoning('rs'), call('open')];
    expect(await send(history, { maxItems: 3 }, [result('open')])).toEqual([...history, result('open')]);
  });

  describe('when the last turn alone is larger than the budget', () => {
    const steps = Array.from({ length: 5 }, (_, step) => [call(`c${step}`), result(`c${step}`)]).flat();
    const history = [...turns(2), user('do it'), ...steps, assistant('done')];

    it('keeps its last steps and the message that asked for them', () => {
      const plan = planTrim(history, { maxItems: 6 });
      expect(plan.kept).toEqual([user('do it'), ...steps.slice(6), assistant('done')]);
      expect(plan).toMatchObject({ overflow: true, after: { items: 6, turns: 1 } });
    });

    it('keeps the whole turn with onOverflow keep, and says that it is over the budget', () => {
      const plan = planTrim(history, { maxItems: 6, onOverflow: 'keep' });
      expect(plan.kept).toEqual(history.slice(4));
      expect(plan.overflow).toBe(true);
    });

    it('fails the run with onOverflow throw', async () => {
      await expect(send(history, { maxItems: 6, onOverflow: 'throw' })).rejects.toMatchObject({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringContaining('is larger than the budget (6 items)'),
      });
      await expect(send(turns(9), { maxItems: 6, onOverflow: 'throw' })).resolves.toHaveLength(7);
    });

    it('never splits one call from its result, even if that leaves nothing', () => {
      const huge = [user('read it'), call('c'), result('c', 'x'.repeat(600_000)), assistant('read')];
      const plan = planTrim(huge, { maxTokens: 1_000 });
      expect(plan.kept).toEqual([user('read it'), assistant('read')]);
    });
  });

  it('keeps the last turn whole where it fits the budget but not the low mark', () => {
    const last = [user('last'), call('c'), result('c'), assistant('d')];
    const plan = planTrim([...turns(2), ...last], { maxItems: 5 });
    expect(plan.kept).toEqual(last);
    expect(plan.overflow).toBe(false);
  });

  it('keeps the prefix the same between cuts, and reports when it changes', () => {
    const history = turns(40);
    let moves = 0;
    let before: readonly AgentInputItem[] = [];
    for (let turn = 1; turn <= 40; turn++) {
      const plan = planTrim(history.slice(0, 2 * turn), { maxTurns: 10 });
      const same = before.every((item, index) => plan.kept[index] === item);
      expect(same).toBe(!plan.moved);
      if (plan.moved) moves++;
      before = plan.kept;
    }
    expect(moves).toBe(5);
  });

  it('asks the counter once for each object, and only when tokens matter', async () => {
    const tokenCounter = vi.fn(ten);
    const history = turns(50);
    await send(history, { maxItems: 10, tokenCounter });
    expect(tokenCounter).not.toHaveBeenCalled();
    await send(history, { maxTokens: 100, tokenCounter });
    expect(tokenCounter).toHaveBeenCalledTimes(100);
    await send([...history, user('more'), assistant('more')], { maxTokens: 100, tokenCounter });
    expect(tokenCounter).toHaveBeenCalledTimes(102);
  });

  it('reports dropped items and reasons, without content, and ignores an error of the callback', async () => {
    const reports: TrimReport[] = [];
    await send(turns(6), { maxItems: 10, onTrim: (report) => reports.push(report) });
    expect(reports).toHaveLength(1);
    expect(reports[0]).toMatchObject({
      before: { items: 12, turns: 6, tokens: 0 },
      after: { items: 4, turns: 2, tokens: 0 },
      cutIndex: 8,
      moved: true,
      overflow: false,
    });
    expect(JSON.stringify(reports)).not.toContain('question');
    await send(turns(2), { maxItems: 10, onTrim: (report) => reports.push(report) });
    expect(reports).toHaveLength(1);

    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const failing = (): never => {
      throw new Error('secret');
    };
    await expect(send(turns(6), { maxItems: 10, onTrim: failing })).resolves.toHaveLength(5);
    expect(warned).toHaveBeenCalledWith(expect.stringContaining('onTrim threw'), expect.anything());
    expect(JSON.stringify(warned.mock.calls)).not.toContain('secret');
    warned.mockRestore();
  });

  it.each([
    [{}, 'give at least one budget'],
    [{ keep: 0.5 }, 'give at least one budget'],
    [{ maxTokens: 0 }, 'maxTokens must be a positive whole number'],
    [{ maxTurns: 1.5 }, 'maxTurns must be a positive whole number'],
    [{ maxItems: '8' }, 'maxItems must be a positive whole number'],
    [{ maxItems: 8, keep: 0 }, 'keep must be a number above 0 and up to 1'],
    [{ maxItems: 8, keep: 1.1 }, 'keep must be a number above 0 and up to 1'],
    [{ fraction: 0.5 }, 'contextWindow must be given together with fraction'],
    [{ fraction: 2, contextWindow: 10 }, 'fraction must be a number above 0 and up to 1'],
    [{ maxItems: 8, contextWindow: 10 }, 'contextWindow must be given only together with fraction'],
    [{ maxItems: 8, reserveTokens: 10 }, 'reserveTokens must be given only together with a token budget'],
    [{ maxTokens: 8, reserveTokens: 8 }, 'leaves nothing of the token budget'],
    [{ maxTokens: 8, reserveTokens: -1 }, 'reserveTokens must be a positive whole number'],
    [{ maxTokens: 8, tokenCounter: 4 }, 'tokenCounter must be a function'],
    [{ maxTokens: 8, onOverflow: 'drop' }, "onOverflow must be 'split', 'keep' or 'throw'"],
    [{ maxItems: 8, onTrim: true }, 'onTrim must be a function'],
    [{ maxItems: 8, pin: [] }, 'pin must be a function'],
    [{ maxMessages: 8 }, 'unknown option "maxMessages"'],
    [null, 'options must be an object'],
  ])('refuses the options %j', (options, message) => {
    expect(() => trimHistory(options as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringContaining(message) }),
    );
  });

  it.each([[-1], [Number.NaN], ['4'], [Promise.resolve(4)], [undefined]])(
    'refuses a counter that returns %s',
    async (tokens) => {
      await expect(
        send(turns(2), { maxTokens: 8, tokenCounter: () => tokens as number }),
      ).rejects.toMatchObject({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringContaining('tokenCounter must return a number'),
      });
    },
  );
});
