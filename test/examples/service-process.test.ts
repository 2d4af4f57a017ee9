import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { Client } from 'pg';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { createApp } from '../../examples/service/app.ts';
import { issueToken } from '../../examples/service/callers.ts';
import { fromEnvironment, tokenKey } from '../../examples/service/settings.ts';
import type { Store } from '../../src/index.ts';
import { temporaryFolder } from '../stores/folder.ts';
import { ownServer, withoutBinaries, type OwnServer } from '../stores/own-server.ts';
import { announce, uniqueName } from '../stores/servers.ts';
import { settings, startService, type Send, type ServiceProcess } from '../../tools/service-process.ts';
import { read } from './service-parts.ts';

const what = 'processes of the agent service';
const pathOf = temporaryFolder();
const file = pathOf('conversations.db');
const postgres = await announce('PostgreSQL', what);
const database = uniqueName('service');
const noRedis = withoutBinaries('Redis', what);

const environment = settings();
const ada = await issueToken(tokenKey(environment), { tenant: 'acme', user: 'ada' });
const running: ServiceProcess[] = [];
// The handlers in this process write their audit events, too.
vi.spyOn(console, 'log').mockReturnValue();
let redis: OwnServer | undefined;
afterAll(async () => {
  await Promise.all(running.map(async (service) => service.end('SIGKILL')));
  await redis?.destroy();
  if (!postgres.absent) await onPostgres(`DROP DATABASE IF EXISTS ${database}`);
});

async function start(more: Readonly<Record<string, string>>): Promise<ServiceProcess> {
  const service = await startService({ ...environment, ...more });
  running.push(service);
  return service;
}

/** The handler of a successor, in this process. */
function handler(more: Readonly<Record<string, string>>): { readonly send: Send; readonly store: Store } {
  const { service, store } = fromEnvironment({ ...environment, ...more });
  const app = createApp(service);
  return { send: async (path, init) => app.request(path, init), store };
}

async function ask(send: Send, input: string, id?: string): Promise<Response> {
  return send('/invocations', {
    method: 'POST',
    headers: { authorization: `Bearer ${ada}`, 'content-type': 'application/json' },
    body: JSON.stringify({ input, ...(id !== undefined && { custom_inputs: { session_id: id } }) }),
  });
}

async function onPostgres(statement: string): Promise<void> {
  const client = new Client(postgres.url);
  await client.connect();
  await client.query(statement);
  await client.end();
}

/** The process has got it when it accepts no connection any more. */
async function hasGotTheSignal({ send }: ServiceProcess): Promise<void> {
  await expect
    .poll(async () => Promise.resolve(send('/healthz')).then(String, () => 'refused'))
    .toBe('refused');
}

describe('a process of the agent service', () => {
  it.each([
    { kind: 'SQLite', absent: false, ends: ['SIGTERM', 'SIGKILL'] as const, open: async () => file },
    {
      kind: 'PostgreSQL',
      absent: postgres.absent,
      ends: ['SIGKILL'] as const,
      open: async () => {
        await onPostgres(`CREATE DATABASE ${database}`);
        return Object.assign(new URL(postgres.url), { pathname: database }).href;
      },
    },
    {
      kind: 'Redis',
      absent: noRedis,
      ends: ['SIGKILL'] as const,
      open: async () => {
        redis = await ownServer('Redis');
        await redis.start();
        return redis.url;
      },
    },
  ])(
    'is followed by another that goes on with its conversation, on $kind',
    async ({ absent, ends, open }) => {
      if (absent) return;
      const target = await open();
      const said: string[] = [];
      const logs: string[] = [];
      let id: string | undefined;
      const saySomething = async (send: Send): Promise<void> => {
        expect(await (await send('/healthz')).json()).toEqual({ status: 'ok' });
        const input = `I saw kestrel-${said.length}z.`;
        const answer = await read(await ask(send, input, id));
        expect(answer.text).toBe(said.length === 0 ? 'Noted.' : `You told me: ${said.join(' ')}`);
        ({ id } = answer);
        said.push(input);
      };
      for (const signal of ends) {
        const service = await start({ DATABASE_URL: target });
        await saySomething(service.send);
        expect(await service.end(signal)).toBe(signal === 'SIGTERM' ? 0 : 'SIGKILL');
        expect(service.lines.includes('{"ended":true}')).toBe(signal === 'SIGTERM');
        logs.push(...service.lines);
      }
      const last = handler({ DATABASE_URL: target });
      await saySomething(last.send);
      await last.store.close();

      const folder = dirname(file);
      const files = readdirSync(folder).filter((name) => name.startsWith('conversations.db'));
      const written = [...files.map((name) => readFileSync(pathOf(name), 'latin1')), ...logs].join('\n');
      expect(written.includes('XC20P')).toBe(true);
      expect(written.includes('"operation":"addItems"')).toBe(true);
      expect(/kestrel|Noted|told me/.test(written)).toBe(false);
    },
  );

  it('finishes and stores a run in flight after SIGTERM, with a model behind HTTP that answers late', async () => {
    const target = { DATABASE_URL: pathOf('late.db') };
    const model = await lateModel();
    const service = await start({ ...target, OPENAI_API_KEY: 'none', OPENAI_BASE_URL: model.url });
    const answer = ask(service.send, 'I saw a kestrel.');
    const reply = await model.asked;
    const ended = service.end('SIGTERM');
    await hasGotTheSignal(service);
    expect(service.lines.join('\n')).not.toContain('ended');
    reply('Late.');
    const first = await read(await answer);
    expect(first.text).toBe('Late.');
    expect(await ended).toBe(0);
    await model.close();

    const next = handler(target);
    expect(await read(await ask(next.send, 'What?', first.id))).toEqual({
      text: 'You told me: I saw a kestrel.',
      id: first.id,
    });
    await next.store.close();
  });

  it('does not wait for requests that are half sent after SIGTERM, and loses no run in flight', async () => {
    const target = { DATABASE_URL: pathOf('half.db') };
    const model = await lateModel();
    const service = await start({ ...target, OPENAI_API_KEY: 'none', OPENAI_BASE_URL: model.url });
    const post = 'POST /invocations HTTP/1.1\r\nhost: localhost\r\n';
    const halves = await Promise.all([
      halfSent(service.port, ''),
      halfSent(service.port, post),
      halfSent(service.port, `${post}authorization: Bearer ${ada}\r\ncontent-length: 90\r\n\r\n{"input": `),
    ]);
    const answer = ask(service.send, 'I saw a kestrel.');
    const reply = await model.asked;
    const ended = service.end('SIGTERM');
    await hasGotTheSignal(service);
    reply('Late.');
    const first = await read(await answer);
    expect(first.text).toBe('Late.');
    expect(await ended).toBe(0);
    expect(service.lines.at(-1)).toBe('{"ended":true}');
    await Promise.all(halves.map(({ ended: cut }) => cut));
    await model.close();

    const next = handler(target);
    expect(await read(await ask(next.send, 'What?', first.id))).toMatchObject({
      text: 'You told me: I saw a kestrel.',
    });
    await next.store.close();
  });
});

/** Sends the beginning of a request and nothing more. @returns When it is sent: the end of the connection. */
async function halfSent(port: number, text: string): Promise<{ readonly ended: Promise<unknown> }> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  if (text !== '') await new Promise((sent) => socket.write(text, sent));
  return {
    ended: new Promise((done) =>
      socket
        .on('error', () => undefined)
        .resume()
        .once('close', done),
    ),
  };
}

/** An endpoint of the Responses API, as far as the SDK's client needs it for one text. */
async function lateModel(): Promise<{
  readonly url: string;
  readonly asked: Promise<(text: string) => void>;
  close(): Promise<void>;
}> {
  let ask = (_response: ServerResponse): void => undefined;
  const asked = new Promise<ServerResponse>((resolve) => (ask = resolve));
  const server = createServer((request, response) => {
    request.resume().on('end', () => ask(response));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const message = (text: string): object => ({
    type: 'message',
    id: 'msg_1',
    role: 'assistant',
    status: 'completed',
    content: [{ type: 'output_text', text, annotations: [] }],
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: asked.then((response) => (text: string) => {
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({
          id: 'resp_1',
          object: 'response',
          output: [message(text)],
          usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 },
        }),
      );
    }),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
