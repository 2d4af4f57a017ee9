import { RunContext, type AgentInputItem } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import { StrongroomError } from '../../src/errors.ts';
import { audit, type AuditEvent, type AuditLayer, type AuditOptions } from '../../src/layers/audit.ts';
import { handMadeCall, userMessage, warningsOf } from './hand-made-call.ts';

const around = async <T>(layer: AuditLayer, call = handMadeCall(), next: () => Promise<T>): Promise<T> => {
  if (layer.around === undefined) throw new Error('audit has an around hook');
  return layer.around(call, next);
};

describe('audit', () => {
  test('a read gives one event with session, operation, counts, outcome and duration', async () => {
    const events: AuditEvent[] = [];
    const layer = audit({ sink: (event) => void events.push(event) });
    const call = handMadeCall({ operationId: 'operation-1' });
    const items: AgentInputItem[] = [userMessage('the secret')];

    const result = await around(layer, call, async () => {
      call.result.items = items.length;
      return items;
    });

    expect(result).toBe(items);
    expect(events).toEqual([
      {
        time: 1_000_000,
        sessionId: 'session-1',
        operation: 'getItems',
        operationId: 'operation-1',
        itemsOut: 1,
        outcome: 'success',
        durationMs: expect.any(Number),
      },
    ]);
    expect(events[0]?.durationMs).toBeGreaterThanOrEqual(0);
    expect(Object.isFrozen(events[0])).toBe(true);
  });

  test('a write states how many items came in', async () => {
    const events: AuditEvent[] = [];
    const layer = audit({ sink: { write: (event) => void events.push(event) } });
    const call = handMadeCall({ kind: 'addItems', itemCount: 3 });
    await around(layer, call, async () => void (call.result.items = 3));
    expect(events).toMatchObject([{ operation: 'addItems', itemsIn: 3, itemsOut: 3, outcome: 'success' }]);
  });

  test('an object sink keeps its this', async () => {
    class Sink {
      readonly events: AuditEvent[] = [];
      write(event: AuditEvent): void {
        this.events.push(event);
      }
    }
    const sink = new Sink();
    await around(audit({ sink }), handMadeCall(), async () => undefined);
    expect(sink.events).toHaveLength(1);
  });

  test.each([
    [new StrongroomError('ERR_READ_ONLY', 'the secret'), 'ERR_READ_ONLY'],
    [new RangeError('the secret'), 'RangeError'],
    [Object.assign(new Error('x'), { code: 'the secret' }), 'Error'],
    [Object.assign(new Error('x'), { name: 'the secret' }), 'Error'],
    [
      Object.defineProperty(new Error('x'), 'name', {
        get: () => {
          throw new Error('hostile');
        },
      }),
      'Error',
    ],
    ['the secret', 'string'],
    [undefined, 'undefined'],
  ])('a failure is rethrown unchanged and recorded by its name only: %#', async (error, name) => {
    const events: AuditEvent[] = [];
    const layer = audit({ sink: (event) => void events.push(event) });
    const failing = around(layer, handMadeCall(), async () => {
      throw error;
    });
    await expect(failing).rejects.toBe(error);
    expect(events).toMatchObject([{ outcome: 'failure', error: name }]);
    expect(events[0]).not.toHaveProperty('itemsOut');
    expect(JSON.stringify(events)).not.toContain('secret');
  });

  test('the actor comes from the run context', async () => {
    const events: AuditEvent[] = [];
    const layer = audit({
      sink: (event) => void events.push(event),
      actor: (call) => (call.runContext?.context as { userId: string } | undefined)?.userId,
    });
    await around(
      layer,
      handMadeCall({ runContext: new RunContext({ userId: 'u-7' }) }),
      async () => undefined,
    );
    await around(layer, handMadeCall(), async () => undefined);
    expect(layer.wantsRunContext).toBe(true);
    expect(events.map((event) => event.actor)).toEqual(['u-7', undefined]);
    expect(events[1]).not.toHaveProperty('actor');
  });

  test.each<[string, () => string | undefined]>([
    [
      'throws',
      () => {
        throw new Error('no user');
      },
    ],
    ['returns no string', () => 7 as never],
  ])('an actor that %s costs the event its actor and gives one warning', async (_how, actor) => {
    const events: AuditEvent[] = [];
    const layer = audit({ sink: (event) => void events.push(event), actor });
    const warnings = await warningsOf(async () => {
      await around(layer, handMadeCall(), async () => undefined);
      await around(layer, handMadeCall(), async () => undefined);
    });
    expect(events).toHaveLength(2);
    expect(events[0]).not.toHaveProperty('actor');
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.message).toMatch(/^audit: the actor failed \((Error|TypeError)\)\./);
  });

  test.each<[string, AuditOptions['sink']]>([
    [
      'throws',
      () => {
        throw new Error('the secret');
      },
    ],
    ['rejects', async () => Promise.reject(new Error('the secret'))],
    ['changes the event', (event) => void ((event as { actor?: string }).actor = 'somebody else')],
  ])(
    'a sink that %s fails no call and gives one warning without a message of its own',
    async (_how, sink) => {
      const layer = audit({ sink });
      const warnings = await warningsOf(async () => {
        expect(await around(layer, handMadeCall(), async () => 1)).toBe(1);
        expect(await around(layer, handMadeCall(), async () => 2)).toBe(2);
        await layer.flush();
      });
      expect(warnings).toEqual([
        {
          code: 'STRONGROOM_AUDIT',
          message: expect.stringMatching(/^audit: the sink failed \(\w*Error\)\./),
        },
      ]);
      expect(JSON.stringify(warnings)).not.toContain('secret');
    },
  );

  test('a call does not wait for a slow sink, and flush does', async () => {
    let settle: () => void = () => undefined;
    const slow = new Promise<void>((resolve) => {
      settle = resolve;
    });
    const layer = audit({ sink: async () => slow });
    expect(await around(layer, handMadeCall(), async () => 'result')).toBe('result');

    let flushed = false;
    const flushing = layer.flush().then(() => {
      flushed = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(flushed).toBe(false);
    settle();
    await flushing;
    expect(flushed).toBe(true);
  });

  test('a call whose clock is unusable is recorded all the same', async () => {
    const events: AuditEvent[] = [];
    const layer = audit({ sink: (event) => void events.push(event) });
    const broken = handMadeCall({
      now: () => {
        throw new StrongroomError('ERR_CLOCK', 'no time');
      },
    });
    await around(layer, broken, async () => undefined);
    expect(events).toMatchObject([{ outcome: 'success', time: expect.any(Number) }]);
  });

  test.each<[unknown, RegExp]>([
    [undefined, /audit: options must be an object, got undefined/],
    [{}, /audit: sink must be a function or an object with a method write, got undefined/],
    [{ sink: { write: 1 } }, /audit: sink must be/],
    [{ sink: () => undefined, actor: 'me' }, /audit: actor must be a function, got a string/],
    [{ sink: () => undefined, sinks: [] }, /audit: unknown option "sinks"/],
  ])('bad options are refused: %#', (options, message) => {
    expect(() => audit(options as AuditOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringMatching(message) }),
    );
  });
});
