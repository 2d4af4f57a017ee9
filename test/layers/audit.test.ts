import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { RunContext, type AgentInputItem } from '@openai/agents';
import { afterEach, describe, expect, test, vi } from 'vitest';
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

  test('a write states the number of its items', async () => {
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

  describe('a sink that never settles', () => {
    afterEach(() => void vi.useRealTimers());
    const never = async (): Promise<never> => new Promise(() => undefined);

    test('is waited for until timeout: flush resolves with the number of lost events, and one warning states it', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      const layer = audit({ sink: never, timeout: '5s' });
      const warnings = await warningsOf(async () => {
        for (let call = 0; call < 3; call++) {
          expect(await around(layer, handMadeCall(), async () => call)).toBe(call);
          await vi.advanceTimersByTimeAsync(1_000);
        }
        let flushed: unknown;
        const flushing = layer.flush().then((result) => (flushed = result));
        await vi.advanceTimersByTimeAsync(3_999);
        expect(flushed).toBeUndefined();
        await vi.advanceTimersByTimeAsync(1);
        await flushing;
        expect(flushed).toEqual({ lost: 3 });
        expect(await layer.flush()).toEqual({ lost: 3 });
      });
      expect(warnings).toEqual([
        {
          code: 'STRONGROOM_AUDIT',
          message:
            'audit: the sink did not settle an event in 5000 ms. Events are being lost; further failures are not reported.',
        },
      ]);
      expect(vi.getTimerCount()).toBe(0);
    });

    test('waits thirty seconds by default', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      const layer = audit({ sink: never });
      await warningsOf(async () => {
        await around(layer, handMadeCall(), async () => undefined);
        let flushed = false;
        const flushing = layer.flush().then(() => (flushed = true));
        await vi.advanceTimersByTimeAsync(29_999);
        expect(flushed).toBe(false);
        await vi.advanceTimersByTimeAsync(1);
        await flushing;
      });
    });

    test('gets no more than maxInFlight events, and further ones when it has settled some', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      const settle: (() => void)[] = [];
      const sink = async (): Promise<void> => new Promise((resolve) => settle.push(resolve));
      const layer = audit({ sink, maxInFlight: 10 });
      const call = async (): Promise<unknown> => around(layer, handMadeCall(), async () => 'result');
      const warnings = await warningsOf(async () => {
        for (let n = 0; n < 1_000; n++) expect(await call()).toBe('result');
        expect(settle).toHaveLength(10);
        expect(vi.getTimerCount()).toBe(10);
        for (const end of settle.slice(0, 4)) end();
        await vi.advanceTimersByTimeAsync(0);
        for (let n = 0; n < 10; n++) await call();
        expect(settle).toHaveLength(14);
        await vi.advanceTimersByTimeAsync(30_000);
        await call();
        expect(settle).toHaveLength(15);
        settle.at(-1)?.();
      });
      expect(warnings.map(({ message }) => message)).toEqual([
        'audit: the sink has not settled 10 events. Events are being lost; further failures are not reported.',
        expect.stringContaining('did not settle an event in 30000 ms') as string,
      ]);
      expect(await layer.flush()).toEqual({ lost: 990 + 6 + 10 });
    });

    test('a late answer has no effect, and a failure counts once', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      let fail: ((error: Error) => void) | undefined;
      const sink = async (): Promise<never> => new Promise((_, reject) => (fail = reject));
      const layer = audit({ sink, timeout: 100 });
      const warnings = await warningsOf(async () => {
        await around(layer, handMadeCall(), async () => undefined);
        await vi.advanceTimersByTimeAsync(100);
        fail?.(new Error('late'));
        await vi.advanceTimersByTimeAsync(0);
      });
      expect(warnings).toHaveLength(1);
      expect(await layer.flush()).toEqual({ lost: 1 });
    });

    test('keeps no process alive, and flush does for as long as it waits', async () => {
      const program = `
        import { audit } from 'strongroom';
        const layer = audit({ sink: () => new Promise(() => undefined), timeout: Number(process.argv[2]) });
        const call = { kind: 'getItems', sessionId: 's', result: {}, now: () => 1 };
        await layer.around(call, async () => undefined);
        if (process.argv[3] === 'flush') process.stdout.write(JSON.stringify(await layer.flush()));
      `;
      const run = async (...args: string[]): Promise<string> => {
        const flags = [
          '--conditions=strongroom-source',
          '--no-warnings',
          '--input-type=module',
          '-e',
          program,
        ];
        return (await promisify(execFile)(process.execPath, [...flags, 'program', ...args])).stdout;
      };
      // Without unref() this would last for ten days.
      expect(await run('864000000')).toBe('');
      expect(await run('50', 'flush')).toBe('{"lost":1}');
    });

    test('a settled, a failing and a hanging one: flush reports the lost events', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      let calls = 0;
      const sink = async (): Promise<void> => {
        calls += 1;
        if (calls === 2) throw new Error('no');
        if (calls === 3) await never();
      };
      const layer = audit({ sink });
      await warningsOf(async () => {
        for (let n = 0; n < 3; n++) await around(layer, handMadeCall(), async () => undefined);
        const flushing = layer.flush();
        await vi.advanceTimersByTimeAsync(30_000);
        expect(await flushing).toEqual({ lost: 2 });
      });
    });

    test.each([
      { timeout: 0 },
      { timeout: 'soon' },
      { maxInFlight: 0 },
      { maxInFlight: 1.5 },
      { maxInFlight: Infinity },
    ])('bounds that are none are refused: %o', (bounds) => {
      expect(() => audit({ sink: never, ...(bounds as object) })).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_OPTION' }),
      );
    });
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
