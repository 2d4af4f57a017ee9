import assert from 'node:assert/strict';
import {
  applySessionHistoryMutations,
  isSessionHistoryRewriteAwareSession,
  isSessionHistoryTransactionAwareSession,
  type AgentInputItem,
  type Session,
  type SessionHistoryTransactionArgs,
} from '@openai/agents';
import { cloneItem } from '../../src/protocol/item.ts';
import type { Step } from '../support/arbitraries.ts';
import { calls, type Calls } from '../support/calls.ts';
import type { Inner, InnerCase } from '../support/inners.ts';
import type { StackCase } from '../support/stacks.ts';

interface Operation {
  readonly args: SessionHistoryTransactionArgs;
  readonly by: number;
  /** Whether all that it wrote is still there, so that another process can find it. */
  whole: boolean;
}

/**
 * Plays a life of a session over two wrappers, which share nothing but the inner session, as two processes do, and
 * over a plain list. Both must agree after every step, byte for byte.
 */
export async function playAgainstList(
  innerCase: InnerCase,
  stack: StackCase,
  steps: readonly Step[],
): Promise<void> {
  const inner = innerCase.open();
  try {
    await new Life(innerCase, inner, stack).play(steps);
  } finally {
    await inner.close?.();
  }
}

class Life {
  readonly #innerCase: InnerCase;
  readonly #inner: Inner;
  readonly #stack: StackCase;
  readonly #wrappers: Calls[];
  #model: AgentInputItem[] = [];
  #operations: Operation[] = [];
  #lastId = 0;

  constructor(innerCase: InnerCase, inner: Inner, stack: StackCase) {
    this.#innerCase = innerCase;
    this.#inner = inner;
    this.#stack = stack;
    this.#wrappers = [this.#open(), this.#open()];
  }

  #open(): Calls {
    return calls(this.#stack.wrap(this.#inner.session), this.#inner.runContext);
  }

  /** Another process takes the place of this one; it knows nothing of what that one did. */
  #reopen(by: number): void {
    this.#wrappers[by] = this.#open();
    this.#operations = this.#operations.map((operation) =>
      operation.by === by ? { ...operation, by: -1 } : operation,
    );
  }

  async play(steps: readonly Step[]): Promise<void> {
    for (const [index, step] of steps.entries()) {
      await this.#perform(step, this.#wrappers[step.by] as Calls);
      // Each wrapper is asked in turn, so that a cache in the other one grows stale first.
      const asked = this.#wrappers[index % 2] as Calls;
      if (this.#stack.shown !== undefined) this.#model = this.#model.map(this.#stack.shown);
      else if (this.#stack.hides === 'personal data') {
        this.#model = asked.session.prepareHistoryItemsForPersistenceComparison?.(this.#model) ?? this.#model;
      }
      same(await asked.getItems(), this.#model, `after step ${index} (${step.do})`);
    }
    for (const wrapper of this.#wrappers) same(await wrapper.getItems(), this.#model, 'at the end');
  }

  async #perform(step: Step, wrapper: Calls): Promise<void> {
    switch (step.do) {
      case 'add':
        await wrapper.addItems(step.items.map(cloneItem));
        this.#model.push(...step.items);
        return;
      case 'read': {
        const expected = step.limit <= 0 ? [] : this.#model.slice(-step.limit);
        same(await wrapper.getItems(step.limit), expected, `limit ${step.limit}`);
        return;
      }
      case 'pop': {
        const popped = await wrapper.popItem();
        const expected = this.#model.pop();
        same(popped === undefined ? [] : [popped], expected === undefined ? [] : [expected], 'popItem');
        this.#removed();
        return;
      }
      case 'clear':
        await wrapper.clearSession();
        this.#model = [];
        this.#operations = [];
        return;
      case 'reopen':
        this.#reopen(step.by);
        return;
      case 'paste': {
        // A user pastes what stands in the database, into a message of every shape.
        const record = (await this.#inner.raw()).at(-1);
        if (record === undefined) return;
        const pasted = envelopeOf(record) ?? JSON.stringify(record);
        const items: AgentInputItem[] = [
          { role: 'user', content: pasted },
          { type: 'message', role: 'user', content: [{ type: 'input_text', text: pasted }] },
        ];
        await wrapper.addItems(items.map(cloneItem));
        this.#model.push(...items);
        return;
      }
      case 'compact': {
        const items: AgentInputItem[] = [
          { type: 'compaction', encrypted_content: 'opaque' },
          ...step.items.filter((item) => item.type !== 'compaction'),
        ];
        if (wrapper.session.replaceHistoryWithCompaction === undefined) return;
        await wrapper.replaceHistoryWithCompaction(items.map(cloneItem));
        // The SDK lets a service append instead: what lies before the marker does not count any more.
        this.#model = this.#innerCase.reshapes === true ? [...this.#model, ...items] : items;
        this.#removed();
        return;
      }
      case 'mutate': {
        if (!isSessionHistoryRewriteAwareSession(wrapper.session)) return;
        const replacement = {
          type: 'function_call',
          callId: step.callId,
          name: 'changed',
          arguments: '{}',
        } as const;
        const mutations = [{ type: 'replace_function_call', callId: step.callId, replacement } as const];
        await wrapper.session.applyHistoryMutations({ mutations });
        this.#model = applySessionHistoryMutations(this.#model, mutations);
        this.#removed();
        return;
      }
      default:
        await this.#transact(step, wrapper.session);
    }
  }

  async #transact(step: Step, session: Session): Promise<void> {
    if (!isSessionHistoryTransactionAwareSession(session)) return;
    const apply = async (args: SessionHistoryTransactionArgs): Promise<void> => {
      await session.applyHistoryTransaction(cloneItem(args));
    };
    const operation = this.#operations.at(-1);
    switch (step.do) {
      case 'append': {
        const args = this.#args({ type: 'append_items', items: step.items });
        await apply(args);
        this.#model.push(...step.items);
        this.#operations.push({ args, by: step.by, whole: true });
        return;
      }
      case 'replace': {
        const last = Math.min(step.last, this.#model.length);
        const at = this.#model.length - last;
        const args = this.#args({
          type: 'replace_suffix',
          expectedSuffix: this.#model.slice(at),
          replacement: step.items,
        });
        await apply(args);
        this.#model = [...this.#model.slice(0, at), ...step.items];
        this.#removed();
        this.#operations.push({ args, by: step.by, whole: true });
        return;
      }
      case 'mismatch':
        await assert.rejects(
          apply(
            this.#args({
              type: 'replace_suffix',
              expectedSuffix: [
                { role: 'user', content: 'never written by anybody' },
                ...this.#model.slice(-1),
              ],
              replacement: step.items,
            }),
          ),
          /suffix no longer matches/,
        );
        return;
      case 'repeat':
        if (operation === undefined) return;
        // Whoever did it knows; another process can find it while all of it is there; else it may only refuse.
        if (operation.by === step.by || operation.whole) await apply(operation.args);
        else await apply(operation.args).catch(() => undefined);
        return;
      case 'conflict':
        if (operation === undefined) return;
        await this.#conflict(operation, step.by, apply);
        return;
      default:
        return;
    }
  }

  /** Another transaction under a used id is refused; nothing changes in any case. */
  async #conflict(
    operation: Operation,
    by: number,
    apply: (args: SessionHistoryTransactionArgs) => Promise<void>,
  ): Promise<void> {
    const attempt = apply({
      operationId: operation.args.operationId,
      transaction: { type: 'append_items', items: [{ role: 'user', content: 'something else' }] },
    });
    if (operation.by === by || operation.whole)
      await assert.rejects(attempt, /already applied with a different/);
    // The store knows that the id was used; what for, nobody can tell any more.
    else await attempt.catch(() => undefined);
  }

  #args(transaction: SessionHistoryTransactionArgs['transaction']): SessionHistoryTransactionArgs {
    return { operationId: `operation-${++this.#lastId}`, transaction };
  }

  /** Something was removed or rewritten: what earlier operations wrote may not be whole any more. */
  #removed(): void {
    for (const operation of this.#operations) operation.whole = false;
  }
}

function envelopeOf(record: AgentInputItem): string | undefined {
  if (!('role' in record) || !Array.isArray(record.content)) return undefined;
  const [part] = record.content;
  return part !== undefined && 'text' in part ? part.text : undefined;
}

/** Equal to the byte: same items, same keys in the same order, nothing more. */
function same(actual: readonly AgentInputItem[], expected: readonly AgentInputItem[], when: string): void {
  assert.equal(JSON.stringify(actual), JSON.stringify(expected), `the session differs from the list ${when}`);
}
