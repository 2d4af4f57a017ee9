import {
  Agent,
  handoff,
  MemorySession,
  RunContext,
  Runner,
  RunState,
  tool,
  Usage,
  type Session,
} from '@openai/agents';
import {
  assistantMessage,
  functionCall,
  modelError,
  modelResponse,
  ScriptedModel,
} from '@openai/agents/testing';
import { describe, expect, it } from 'vitest';
import { page, sessionStats, turns } from '../../src/history/index.ts';
import { attribute, encrypt, expire, generateKey, keyring, redact, wrapSession } from '../../src/index.ts';
import { exportSession } from '../../src/operations/index.ts';
import { user } from '../history/support/random-history.ts';

const keys = keyring({ current: await generateKey() });

const lookUp = tool({
  name: 'look_up',
  description: 'looks up',
  parameters: { type: 'object', properties: {}, required: [], additionalProperties: true },
  strict: false,
  execute: () => 'found',
});

/** Triage looks up, hands over to billing, which looks up and answers. */
function agents(approve = false) {
  const response = (item: object) => modelResponse({ output: [item] as never, usage: new Usage() });
  const send = tool({
    name: 'send',
    description: 'sends',
    parameters: { type: 'object', properties: {}, required: [], additionalProperties: true },
    strict: false,
    needsApproval: approve,
    execute: () => 'sent',
  });
  const billing = new Agent({
    name: 'billing',
    tools: [send],
    model: new ScriptedModel([
      response(functionCall('send', {}, { callId: 'c3' })),
      response(assistantMessage('done')),
      response(assistantMessage('again')),
    ]),
  });
  const triage = new Agent({
    name: 'triage',
    tools: [lookUp],
    handoffs: [handoff(billing)],
    model: new ScriptedModel([
      response(functionCall('look_up', {}, { callId: 'c1' })),
      response(functionCall('transfer_to_billing', {}, { callId: 'c2' })),
    ]),
  });
  return { triage, billing };
}

const EXPECTED = [undefined, 'triage', 'triage', 'triage', 'triage', 'billing', 'billing', 'billing'];

async function namesOf(session: Session): Promise<(string | undefined)[]> {
  return (await page(session, { limit: 100 })).details.map(({ agent }) => agent);
}

describe.each([
  ['sealed', () => [redact(), expire({ after: '30d' }), encrypt({ keys })]],
  ['in clear', () => []],
])('attribute() %s', (_name, below) => {
  it.each([false, true])('names the agent of each item, streamed: %s', async (stream) => {
    const runner = new Runner({ tracingDisabled: true });
    const session = wrapSession(new MemorySession(), [attribute({ events: runner }), ...below()]);
    const { triage, billing } = agents();
    if (stream) await (await runner.run(triage, 'my bill', { session, stream: true })).completed;
    else await runner.run(triage, 'my bill', { session });
    expect(await namesOf(session)).toEqual(EXPECTED);
    await runner.run(billing, 'once more', { session });
    expect((await namesOf(session)).slice(8)).toEqual([undefined, 'billing']);
    expect(await turns(session)).toMatchObject([
      { agents: ['triage', 'billing'], items: 8 },
      { agents: ['billing'], items: 2 },
    ]);
    expect((await sessionStats(session)).agents).toEqual({ triage: 4, billing: 4 });
  });

  it('listens to agents without a runner', async () => {
    const { triage, billing } = agents();
    const session = wrapSession(new MemorySession(), [attribute({ events: [triage, billing] }), ...below()]);
    await new Runner({ tracingDisabled: true }).run(triage, 'my bill', { session });
    expect(await namesOf(session)).toEqual(EXPECTED);
  });

  it('names them in a run that is resumed from its serialized state', async () => {
    const runner = new Runner({ tracingDisabled: true });
    const session = wrapSession(new MemorySession(), [attribute({ events: runner }), ...below()]);
    const { triage } = agents(true);
    const first = await runner.run(triage, 'my bill', { session });
    const state = await RunState.fromString(triage, first.state.toString());
    for (const interruption of state.getInterruptions()) state.approve(interruption);
    await runner.run(triage, state, { session });
    expect(await namesOf(session)).toEqual(EXPECTED);
  });

  describe('in a run context that the application gives to several runs', () => {
    const handover = functionCall('transfer_to_billing', {}, { callId: 'c' });

    it.each(['runner', 'agents', 'both'])('names a later run anew, listening to: %s', async (sources) => {
      const model = new ScriptedModel([
        [handover],
        [assistantMessage('billing')],
        [assistantMessage('triage')],
      ]);
      const billing = new Agent({ name: 'billing', model });
      const triage = new Agent({ name: 'triage', model, handoffs: [billing] });
      const runner = new Runner({ tracingDisabled: true });
      const events = { runner: [runner], agents: [triage, billing], both: [runner, triage, billing] }[
        sources
      ];
      const session = wrapSession(new MemorySession(), [attribute({ events: events ?? [] }), ...below()]);
      const context = new RunContext({});
      await runner.run(triage, 'one', { session, context });
      await runner.run(triage, 'two', { session, context });
      expect(await namesOf(session)).toEqual([undefined, 'triage', 'triage', 'billing', undefined, 'triage']);
    });

    it('names a run anew after one that failed', async () => {
      const runner = new Runner({ tracingDisabled: true });
      const session = wrapSession(new MemorySession(), [attribute({ events: runner }), ...below()]);
      const model = new ScriptedModel([
        [handover],
        modelError(new Error('down')),
        [assistantMessage('billing')],
      ]);
      const billing = new Agent({ name: 'billing', model });
      const triage = new Agent({ name: 'triage', model, handoffs: [billing] });
      const context = new RunContext({});
      await expect(runner.run(triage, 'one', { session, context })).rejects.toThrow('down');
      const before = (await namesOf(session)).length;
      await runner.run(billing, 'again', { session, context });
      expect((await namesOf(session)).slice(before)).toEqual([undefined, 'billing']);
    });

    it('names a run as before after a run in one of its tools', async () => {
      const runner = new Runner({ tracingDisabled: true });
      const session = wrapSession(new MemorySession(), [attribute({ events: runner }), ...below()]);
      const inside = new ScriptedModel([[handover], [assistantMessage('billing')]]);
      const billing = new Agent({ name: 'billing', model: inside });
      const helper = new Agent({ name: 'helper', model: inside, handoffs: [billing] });
      const ask = tool({
        name: 'ask',
        description: 'asks',
        parameters: { type: 'object', properties: {}, required: [], additionalProperties: true },
        strict: false,
        execute: async (_input, context) =>
          (await runner.run(helper, 'inside', { context: context as RunContext })).finalOutput,
      });
      const model = new ScriptedModel([
        [functionCall('ask', {}, { callId: 'a' }), functionCall('look_up', {}, { callId: 'b' })],
        [functionCall('transfer_to_other', {}, { callId: 'd' })],
        [assistantMessage('other')],
      ]);
      const other = new Agent({ name: 'other', model });
      const main = new Agent({ name: 'main', model, tools: [ask, lookUp], handoffs: [other] });
      await runner.run(main, 'go', { session });
      expect(await namesOf(session)).toEqual([undefined, ...Array<string>(6).fill('main'), 'other']);
    });
  });

  it('keeps names when items are written back, and gives none to items of other runs', async () => {
    const runner = new Runner({ tracingDisabled: true });
    const session = wrapSession(new MemorySession(), [attribute({ events: runner }), ...below()]);
    await runner.run(agents().triage, 'my bill', { session });
    await session.addItems([user('by hand')]);
    await new Runner({ tracingDisabled: true }).run(
      new Agent({
        name: 'unheard',
        model: new ScriptedModel([modelResponse({ output: [assistantMessage('x')], usage: new Usage() })]),
      }),
      'hello',
      { session },
    );
    expect((await namesOf(session)).slice(8)).toEqual([undefined, undefined, undefined]);
    const items = await session.getItems();
    await session.clearSession();
    await session.addItems(items);
    expect((await namesOf(session)).slice(0, 8)).toEqual(EXPECTED);
  });
});

describe('attribute()', () => {
  it('is in exports', async () => {
    const runner = new Runner({ tracingDisabled: true });
    const session = wrapSession(new MemorySession(), [attribute({ events: runner }), encrypt({ keys })]);
    await runner.run(agents().triage, 'my bill', { session });
    const document = await exportSession(session, { open: true });
    expect(document.details?.map(({ agent }) => agent)).toEqual(EXPECTED);
    expect(document.details?.every(({ at }) => typeof at === 'number')).toBe(true);
    expect(JSON.parse(JSON.stringify(document))).toMatchObject({ details: document.details });
  });

  it('has its name authenticated', async () => {
    const inner = new MemorySession();
    const runner = new Runner({ tracingDisabled: true });
    const session = wrapSession(inner, [attribute({ events: runner }), encrypt({ keys })]);
    await runner.run(agents().triage, 'my bill', { session });
    const items = JSON.stringify(await inner.getItems());
    const [, head] = /sr1\.([\w-]+)\./.exec(items.slice(items.lastIndexOf('sr1.'))) ?? [];
    const forged = Buffer.from(
      Buffer.from(head as string, 'base64url')
        .toString()
        .replace('"billing"', '"triage"'),
    ).toString('base64url');
    await inner.clearSession();
    await inner.addItems(JSON.parse(items.replace(head as string, forged)));
    await expect(page(session)).rejects.toMatchObject({ code: 'ERR_AUTHENTICATION' });
  });

  it.each([[{}], [{ events: [] }], [{ events: 3 }], [{ events: new Runner(), more: 1 }]])(
    'refuses %o',
    (options) => {
      expect(() => attribute(options as never)).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_OPTION' }),
      );
    },
  );
});
