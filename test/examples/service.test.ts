import { RunContext, type ModelProvider } from '@openai/agents';
import { importJWK, SignJWT } from 'jose';
import { ScriptedModel, assistantMessage, modelStreamResponder } from '@openai/agents/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { issueToken } from '../../examples/service/callers.ts';
import { fromEnvironment } from '../../examples/service/settings.ts';
import { sessionId } from '../../src/history/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { ADA, BO, OTHER_ADA, eventsOf, makeKeys, read, serviceOver, TOKEN_KEY } from './service-parts.ts';

const keys = await makeKeys();
const stores: ReturnType<typeof openSqlite>[] = [];
afterEach(async () => {
  await Promise.all(stores.splice(0).map(async (store) => store.close()));
});

function newStore(): ReturnType<typeof openSqlite> {
  const store = openSqlite(':memory:');
  stores.push(store);
  return store;
}

const turn = (input: string, id?: string, more: object = {}): object => ({
  input,
  ...(id !== undefined && { custom_inputs: { session_id: id } }),
  ...more,
});

/** A token of Ada that is signed with the right key. */
async function signed(claim: (token: SignJWT) => SignJWT): Promise<string> {
  const token = new SignJWT({ tenant: ADA.tenant }).setProtectedHeader({ alg: 'HS256' }).setSubject(ADA.user);
  return claim(token).sign(await importJWK(TOKEN_KEY, 'HS256'));
}

async function refused(response: Response): Promise<{ status: number; code: string; message: string }> {
  const { error } = (await response.json()) as { error: { code: string; message: string } };
  return { status: response.status, ...error };
}

describe('a conversation of the agent service', () => {
  it('begins without an id, and goes on with the id of its answer', async () => {
    const service = serviceOver(newStore(), keys);
    const response = await service.ask(ADA, turn('My name is Ada.'));
    const answer = (await response.json()) as { custom_outputs: { session_id: string } };
    const id = answer.custom_outputs.session_id;
    expect(id).toMatch(/^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    expect(answer).toEqual({
      object: 'response',
      output: [
        {
          type: 'message',
          id: expect.stringMatching(/^msg_/),
          role: 'assistant',
          status: 'completed',
          content: [{ type: 'output_text', text: 'Noted.', annotations: [] }],
        },
      ],
      custom_outputs: { session_id: id },
    });
    const second = await read(await service.ask(ADA, turn('What is my name?', id)));
    expect(second).toEqual({ text: 'You told me: My name is Ada.', id });
  });

  it('takes messages of the user as the Responses API has them', async () => {
    const service = serviceOver(newStore(), keys);
    const input = [
      { role: 'user', content: 'One.' },
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Two.' }] },
    ];
    expect((await read(await service.ask(ADA, { input }))).text).toBe('You told me: One.');
  });

  it('has a subject and an audit trail without content', async () => {
    const store = newStore();
    const service = serviceOver(store, keys);
    const { id } = await read(await service.ask(ADA, turn('My name is Ada.')));
    const owner = sessionId(ADA.tenant, ADA.user);
    const found: string[] = [];
    for await (const session of store.sessions({ subject: owner })) found.push(session.id);
    expect(found).toEqual([sessionId(ADA.tenant, ADA.user, id)]);
    expect(service.events.map(({ actor, operation, outcome }) => [actor, operation, outcome])).toEqual([
      [owner, 'getItems', 'success'],
      [owner, 'addItems', 'success'],
    ]);
    expect(JSON.stringify(service.events)).not.toContain('name is');
  });

  it('is redacted before it is stored', async () => {
    const service = serviceOver(newStore(), keys);
    const { id } = await read(await service.ask(ADA, turn('Write to carol@example.org.')));
    const { text } = await read(await service.ask(ADA, turn('Where?', id)));
    expect(text).toBe('You told me: Write to <EMAIL_ADDRESS>.');
  });

  it('takes two requests at once one after the other, and loses neither', async () => {
    const service = serviceOver(newStore(), keys);
    const { id } = await read(await service.ask(ADA, turn('Zero.')));
    const both = await Promise.all(
      ['One.', 'Two.'].map(async (input) => read(await service.ask(ADA, turn(input, id)))),
    );
    const { text } = await read(await service.ask(ADA, turn('What?', id)));
    expect(['You told me: Zero. One. Two.', 'You told me: Zero. Two. One.']).toContain(text);
    expect(both.map(({ text }) => text)).toContain('You told me: Zero.');
  });
});

describe('the agent service refuses', () => {
  it.each([
    ['another user of the tenant', BO],
    ['a user of the same name of another tenant', OTHER_ADA],
  ])('the id of a conversation to %s, with the words for an id that nobody has', async (_, stranger) => {
    const service = serviceOver(newStore(), keys);
    const { id } = await read(await service.ask(ADA, turn('My name is Ada.')));
    const foreign = await refused(await service.ask(stranger, turn('What is my name?', id)));
    const invented = await refused(await service.ask(stranger, turn('What is my name?', sessionId())));
    expect(foreign).toEqual({
      status: 404,
      code: 'unknown_session',
      message: 'You have no conversation with this custom_inputs.session_id. Omit it to begin one.',
    });
    expect(foreign).toEqual(invented);
    // The refused run stored nothing, and the owner goes on.
    expect((await read(await service.ask(ADA, turn('What is my name?', id)))).text).toBe(
      'You told me: My name is Ada.',
    );
  });

  it('a session to a run of another caller, by authorize(), whatever code opened it', async () => {
    const service = serviceOver(newStore(), keys);
    const { id } = await read(await service.ask(ADA, turn('My name is Ada.')));
    const session = service.conversations.of(ADA, id);
    for (const context of [new RunContext(BO), new RunContext(OTHER_ADA), undefined]) {
      await expect(
        (session.getItems as (limit?: number, context?: object) => Promise<unknown>)(undefined, context),
      ).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' });
    }
    expect(service.events.at(-1)).toMatchObject({ outcome: 'failure', error: 'ERR_ACCESS_DENIED' });
  });

  it('to open what a tenant stored with the key of another', async () => {
    const store = newStore();
    const { id } = await read(await serviceOver(store, keys).ask(ADA, turn('My name is Ada.')));
    const { acme, globex } = keys as Required<typeof keys>;
    const swapped = serviceOver(store, { acme: globex as never, globex: acme as never });
    expect(await refused(await swapped.ask(ADA, turn('What is my name?', id)))).toEqual({
      status: 500,
      code: 'internal',
      message: 'The service failed. Its log has the kind of the error.',
    });
    expect(swapped.errors).toMatchObject([{ code: 'ERR_KEY_UNKNOWN' }]);
  });

  it('to seal for a tenant with the key of another', async () => {
    const store = newStore();
    const { id } = await read(await serviceOver(store, keys).ask(OTHER_ADA, turn('My name is Ada.')));
    const others = await makeKeys();
    const service = serviceOver(store, {
      ...others,
      globex: (keys as Required<typeof keys>).globex as never,
    });
    expect((await read(await service.ask(OTHER_ADA, turn('What is my name?', id)))).text).toBe(
      'You told me: My name is Ada.',
    );
  });

  it.each([
    ['no JSON', '{', 'The body is not JSON'],
    ['an empty body', '', 'The body is not JSON'],
    ['null', 'null', 'The body: '],
    ['no input', {}, 'input: must be a text'],
    ['an empty input', { input: '' }, 'input: must be a text'],
    ['an empty list', { input: [] }, 'input: must be a text'],
    ['a message of the assistant', { input: [{ role: 'assistant', content: 'x' }] }, 'input: must be a text'],
    ['a message of the system', { input: [{ role: 'system', content: 'x' }] }, 'input: must be a text'],
    ['an unknown field', { input: 'x', sesion: 1 }, 'The body: Unrecognized key'],
    [
      'an unknown custom input',
      { input: 'x', custom_inputs: { user: 'bo' } },
      'custom_inputs: Unrecognized key',
    ],
    ['an id that is a number', turn('x', 7 as never), 'custom_inputs.session_id: '],
    ['an id of another kind', turn('x', 'acme:bo:1'), 'a UUID of version 7; it has 9 characters'],
    ['a UUID of version 4', turn('x', crypto.randomUUID()), 'a UUID of version 7; it has 36 characters'],
    ['an oversized id', turn('x', 'a'.repeat(5_000)), 'a UUID of version 7; it has 5000 characters'],
  ])('%s, and says what to send', async (_, body, message) => {
    const service = serviceOver(newStore(), keys);
    const found = await refused(await service.ask(ADA, body));
    expect(found).toMatchObject({ status: 400, code: 'invalid_request' });
    expect(found.message).toContain(message);
    expect(service.events).toEqual([]);
  });

  it('a body above a mebibyte', async () => {
    const service = serviceOver(newStore(), keys);
    expect(await refused(await service.ask(ADA, turn('x'.repeat(2 ** 20))))).toMatchObject({
      status: 413,
      code: 'too_large',
    });
  });

  it('a tenant without a key, and callers without a valid token', async () => {
    const service = serviceOver(newStore(), keys);
    expect(await refused(await service.ask({ tenant: 'initech', user: 'ada' }, turn('x')))).toMatchObject({
      status: 403,
      code: 'forbidden',
    });
    const forged = await issueToken({ kty: 'oct', k: Buffer.alloc(32, 8).toString('base64url') }, ADA);
    const tokens = await Promise.all([
      signed((token) => token.setAudience('another-service').setExpirationTime('1h')),
      signed((token) => token.setAudience('agent-service').setExpirationTime('-1s')),
      signed((token) => token.setAudience('agent-service')),
    ]);
    for (const token of tokens) {
      const headers = { authorization: `Bearer ${token}` };
      const response = await service.app.request('/invocations', { method: 'POST', headers, body: '{}' });
      expect(await refused(response)).toMatchObject({ status: 401, code: 'unauthenticated' });
    }
    for (const headers of [{}, { authorization: 'Bearer x' }, { authorization: `Bearer ${forged}` }]) {
      const response = await service.app.request('/invocations', { method: 'POST', headers, body: '{}' });
      expect(await refused(response)).toMatchObject({ status: 401, code: 'unauthenticated' });
    }
    expect(await refused(await service.ask({ tenant: 'acme', user: 'a b' }, turn('x')))).toMatchObject({
      status: 401,
      message: expect.stringContaining('"sub" and "tenant"'),
    });
  });

  it('runs while it is ending, waits for those in flight, and says so in its health', async () => {
    const { provider, release, asked } = slowModel();
    const service = serviceOver(newStore(), keys, provider);
    const running = service.ask(ADA, turn('Slowly.', undefined, { stream: true }));
    await asked;
    expect(await (await service.app.request('/healthz')).json()).toEqual({ status: 'ok' });
    let ended = false;
    const finished = service.runs.finish().then(() => (ended = true));
    expect(await refused(await service.ask(ADA, turn('x')))).toMatchObject({
      status: 503,
      code: 'shutting_down',
    });
    expect(await refused(await service.app.request('/healthz'))).toMatchObject({ status: 503 });
    expect(ended).toBe(false);
    release();
    expect((await read(await running)).text).toBe('Done.');
    await finished;
  });

  it('to be healthy without its database', async () => {
    const store = newStore();
    const service = serviceOver(store, keys);
    await store.close();
    expect((await service.app.request('/healthz')).status).not.toBe(200);
  });
});

describe('a stream of the agent service', () => {
  it('has the text as it comes, then the message with the id, then its end', async () => {
    const service = serviceOver(newStore(), keys);
    const response = await service.ask(ADA, turn('My name is Ada.', undefined, { stream: true }));
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const body = await response.text();
    expect(body.endsWith('data: [DONE]\n\n')).toBe(true);
    const [delta, done, ...more] = eventsOf(body);
    expect(delta).toMatchObject({ type: 'response.output_text.delta', delta: 'Noted.' });
    expect(done).toMatchObject({
      type: 'response.output_item.done',
      item: { id: delta?.['item_id'], content: [{ text: 'Noted.' }] },
      custom_outputs: { session_id: expect.any(String) },
    });
    expect(more).toEqual([]);
  });

  it('that fails before its first event has a status', async () => {
    const service = serviceOver(newStore(), keys);
    expect(await refused(await service.ask(BO, turn('x', sessionId(), { stream: true })))).toMatchObject({
      status: 404,
      code: 'unknown_session',
    });
    await service.runs.finish();
  });

  it('that fails later ends with an event that says nothing of the cause', async () => {
    const { provider, release, asked } = slowModel(() => {
      throw new Error('the provider repeats: my name is Ada');
    });
    const service = serviceOver(newStore(), keys, provider);
    const response = service.ask(ADA, turn('x', undefined, { stream: true }));
    await asked;
    release();
    const body = await (await response).text();
    expect(eventsOf(body).at(-1)).toEqual({
      type: 'error',
      code: 'internal',
      message: 'The service failed. Its log has the kind of the error.',
    });
    expect(body).not.toContain('name is Ada');
    await service.runs.finish();
  });

  it.each(['the request is aborted', 'the body is cancelled'])(
    'ends its run when %s, and the next request need not wait for its turn',
    async (how) => {
      const { provider, asked } = slowModel();
      const store = newStore();
      const before = serviceOver(store, keys);
      const { id } = await read(await before.ask(ADA, turn('Zero.')));
      const service = serviceOver(store, keys, provider);
      const leaving = new AbortController();
      const response = await service.ask(ADA, turn('One.', id, { stream: true }), leaving.signal);
      await asked;
      if (how === 'the request is aborted') leaving.abort();
      else await response.body?.cancel();
      // Resolves only when the run has ended: the model never answers.
      await service.runs.finish();
      const { text } = await read(await before.ask(ADA, turn('Two.', id)));
      expect(text).toBe('You told me: Zero. One.');
    },
  );
});

/** A model that streams the beginning of its answer, and the rest, or an error, when it is released. */
function slowModel(failure?: () => never): {
  readonly provider: ModelProvider;
  readonly release: () => void;
  readonly asked: Promise<void>;
} {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  let ask = (): void => undefined;
  const asked = new Promise<void>((resolve) => (ask = resolve));
  const model = new ScriptedModel([
    modelStreamResponder(async function* ({ request: { signal } }) {
      yield { type: 'output_text_delta', delta: 'Do' };
      ask();
      // Like a provider's client, which ends its request with the signal of the run.
      const aborted = new Promise<never>((_, reject) =>
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true }),
      );
      await Promise.race([released, aborted]);
      failure?.();
      yield { type: 'output_text_delta', delta: 'ne.' };
      yield {
        type: 'response_done',
        response: {
          id: 'response-1',
          usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 },
          output: [assistantMessage('Done.')],
        },
      };
    }),
  ]);
  return { provider: { getModel: () => model }, release, asked };
}

describe('the handler on other hosts', () => {
  const tokenKey = { kty: 'oct', k: Buffer.alloc(32, 1).toString('base64url') };
  const body = '{"input":"x"}';

  async function withSettings<T>(load: () => Promise<T>): Promise<T> {
    vi.stubEnv('SERVICE_KEYS', JSON.stringify(keys));
    vi.stubEnv('SERVICE_TOKEN_KEY', JSON.stringify(tokenKey));
    vi.stubEnv('DATABASE_URL', ':memory:');
    vi.stubEnv('OPENAI_API_KEY', undefined);
    vi.spyOn(console, 'log').mockReturnValue();
    return load();
  }
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
  });

  it('answers an event of a function URL, as Lambda passes it', async () => {
    const { handler } = await withSettings(async () => import('../../examples/service/lambda.ts'));
    const event = {
      version: '2.0',
      rawPath: '/invocations',
      rawQueryString: '',
      headers: { host: 'f', authorization: `Bearer ${await issueToken(tokenKey, ADA)}` },
      requestContext: { domainName: 'f', http: { method: 'POST', path: '/invocations' } },
      isBase64Encoded: false,
      body,
    };
    const answer = await handler(event as never, {} as never);
    expect(answer).toMatchObject({ statusCode: 200, body: expect.stringContaining('Noted.') });
  });

  it('answers a request of a route of Next.js', async () => {
    const { POST } = await withSettings(async () => import('../../examples/service/next.ts'));
    const headers = { authorization: `Bearer ${await issueToken(tokenKey, ADA)}` };
    const request = new Request('http://127.0.0.1/invocations', { method: 'POST', headers, body });
    expect((await read(await POST(request))).text).toBe('Noted.');
  });

  it.each(['SERVICE_KEYS', 'SERVICE_TOKEN_KEY'])(
    'does not begin without %s, and says how to make it',
    (name) => {
      const all = {
        SERVICE_KEYS: '{}',
        SERVICE_TOKEN_KEY: JSON.stringify(tokenKey),
        DATABASE_URL: ':memory:',
      };
      expect(() => fromEnvironment({ ...all, [name]: undefined })).toThrow(
        `${name} is not set. Run setup.ts once`,
      );
    },
  );
});
