import { createServer, request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import type { Session } from '@openai/agents';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { originAt, parseHost, parsePort } from '../../src/cli/serve/address.ts';
import { createGate } from '../../src/cli/serve/gate.ts';
import { startViewer, type Viewer } from '../../src/cli/serve/server.ts';
import { audit, encrypt, generateKey, keyring, wrapStore, type Store } from '../../src/index.ts';
import { recordUsage } from '../../src/history/usage.ts';
import { complianceReport } from '../../src/report/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { reviewStore, SECRET, type ReviewStore } from '../report/review-store.ts';
import { temporaryFolder } from '../stores/folder.ts';
import { linesOf } from '../support/built-cli.ts';
import { expectGoodPage, hasChromium, useBrowser, VIEWS, watched } from '../support/chromium.ts';
import { CANARY, filledProject } from '../support/cli-project.ts';

const file = temporaryFolder();

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** A request with exactly these headers. */
function ask(
  url: string,
  {
    method = 'GET',
    headers = {},
    body,
  }: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  return new Promise((done, failed) => {
    const asked = request(url, { method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => done({ status: response.statusCode, headers: response.headers, text }));
    });
    asked.on('error', failed);
    asked.end(body);
  });
}

/** A person who has used the link. */
async function enter({ link }: Viewer) {
  const { headers } = await ask(link);
  const base = new URL(headers.location ?? '', link).href;
  const cookie = headers['set-cookie']?.[0]?.split(';', 1)[0] ?? '';
  const { origin } = new URL(link);
  const get = (path: string): Promise<Answer> => ask(new URL(path, base).href, { headers: { cookie } });
  const token = async (path: string): Promise<string> =>
    /name="token" value="([^"]+)"/.exec((await get(path)).text)?.[1] ?? '';
  const post = (fields: Record<string, string>, more: Record<string, string> = {}): Promise<Answer> =>
    ask(`${base}open`, {
      method: 'POST',
      headers: { cookie, origin, 'content-type': 'application/x-www-form-urlencoded', ...more },
      body: new URLSearchParams(fields).toString(),
    });
  return { base, cookie, origin, get, post, token };
}

describe('the viewer', () => {
  let review: ReviewStore;
  let viewer: Viewer;
  let now = Date.now();

  const start = (
    store: Store<Session>,
    options: { actor?: string } = { actor: 'auditor' },
  ): Promise<Viewer> =>
    startViewer({
      store,
      origin: options,
      address: '127.0.0.1',
      port: 0,
      now: () => now,
      report: () => complianceReport(store, { rule: review.rule, keys: review.keys, ...options }),
    });
  const events = (): Record<string, unknown>[] => linesOf(readFileSync(review.log, 'utf8'));

  beforeAll(async () => {
    review = await reviewStore(file('.'));
    const usage = { requests: 1, inputTokens: 120, outputTokens: 30, totalTokens: 150 };
    await recordUsage(review.sessions.session('chat-58'), { state: { usage }, rawResponses: [] });
    viewer = await start(review.sessions);
  });
  afterAll(async () => {
    await viewer.close();
    await review.sessions.close();
  });

  it('is entered once, by its link, with a cookie that scripts and other sites do not get', async () => {
    const own = await start(review.sessions);
    const wrong = await ask(own.link.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')));
    expect(wrong).toMatchObject({ status: 403 });
    const entered = await ask(own.link);
    expect(entered.status).toBe(303);
    const { pathname } = new URL(own.link);
    expect(entered.headers['set-cookie']).toEqual([
      expect.stringMatching(
        new RegExp(
          `^strongroom=[\\w-]{43}; Path=${pathname.replace('enter', '')}; HttpOnly; SameSite=Strict$`,
        ),
      ),
    ]);
    const again = await ask(own.link);
    expect(again).toMatchObject({ status: 403 });
    expect(again.text).toContain('This link was used before, or is older than ten minutes.');
    await own.close();
  });

  it('has a link that ends after ten minutes, and a session that ends when nobody uses it for half an hour', async () => {
    const late = await start(review.sessions);
    now += 10 * 60_000 + 1;
    expect((await ask(late.link)).status).toBe(403);
    await late.close();
    const own = await start(review.sessions);
    const person = await enter(own);
    now += 30 * 60_000;
    expect((await person.get('')).status).toBe(200);
    now += 30 * 60_000 + 1;
    expect((await person.get('')).status).toBe(401);
    expect((await person.get('')).status).toBe(401);
    await own.close();
  });

  it('refuses other origins, hosts, methods, paths and people, without a word about the store', async () => {
    const own = await start(review.sessions);
    const { base, cookie, origin } = await enter(own);
    const { host } = new URL(origin);
    const tries: readonly [number, string, Parameters<typeof ask>[1]][] = [
      // DNS rebinding: the name of an attacker that leads here.
      [421, base, { headers: { cookie, host: 'attacker.example' } }],
      [421, base, { headers: { cookie, host: `localhost:${host.split(':')[1]}` } }],
      [421, base, { headers: { cookie, host: '127.0.0.1' } }],
      [403, base, { headers: { cookie, origin: 'http://attacker.example' } }],
      [403, base, { headers: { cookie, origin: 'null' } }],
      [403, base, { headers: { cookie, 'sec-fetch-site': 'cross-site' } }],
      // Another port of this machine is the same site.
      [403, base, { headers: { cookie, 'sec-fetch-site': 'same-site' } }],
      [403, `${base}open`, { method: 'POST', headers: { cookie } }],
      [405, base, { method: 'DELETE', headers: { cookie } }],
      [405, base, { method: 'PUT', headers: { cookie, origin } }],
      [405, base, { method: 'POST', headers: { cookie, origin } }],
      [401, base, {}],
      [401, base, { headers: { cookie: `${cookie}x` } }],
      [401, `${base}report`, { headers: { cookie: 'strongroom=' } }],
      [404, `${origin}/`, { headers: { cookie } }],
      [404, `${origin}/${'A'.repeat(43)}/`, { headers: { cookie } }],
    ];
    for (const [status, url, options] of tries) {
      const answer = await ask(url, options);
      expect({ url, options, status: answer.status }).toEqual({ url, options, status });
      expect(answer.text).not.toMatch(/chat-|person-/);
      expect(answer.text).not.toContain(SECRET);
    }
    expect((await ask(base, { headers: { cookie } })).status).toBe(200);
    await own.close();
  });

  it('sends every page with a policy that runs no script, loads nothing and cannot be framed', async () => {
    const own = await start(review.sessions);
    const { get } = await enter(own);
    for (const path of ['', 'report', 'conversation?id=chat-58', 'nowhere']) {
      const { headers, text } = await get(path);
      expect(headers['content-security-policy']).toMatch(
        /^default-src 'none'; style-src 'sha256-[\w+/=]{44}'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$/,
      );
      expect(headers).toMatchObject({
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'same-origin',
        'cross-origin-resource-policy': 'same-origin',
      });
      expect(text).not.toMatch(/<script|<img|<[^>]*\s(?:on\w+|style)=/);
    }
    await own.close();
  });

  it('shows no content without a reason; with one, each page is in the audit log before it is shown', async () => {
    const own = await start(review.sessions);
    const { get, post, token } = await enter(own);
    for (const path of [
      '',
      'report',
      'conversation?id=chat-58',
      'conversation?id=chat-58&branch=second-try',
    ]) {
      const { status, text } = await get(path);
      expect({ path, status }).toEqual({ path, status: 200 });
      expect(text).not.toContain(SECRET);
    }
    await review.flush();
    const before = events();
    expect(before.filter(({ operation, actor }) => actor === 'auditor' && operation === 'getItems')).toEqual(
      [],
    );
    const form = { token: await token('conversation?id=chat-58'), id: 'chat-58' };
    for (const reason of ['', '   ', '??', 'x'.repeat(501)]) {
      const refused = await post({ ...form, reason });
      expect(refused.status).toBe(400);
      expect(refused.text).toContain('Give a reason in words, at most 500 characters');
      expect(refused.text).not.toContain(SECRET);
    }
    expect(await post({ ...form, token: 'guessed', reason: 'because' })).toMatchObject({ status: 403 });
    expect(await post({ ...form, reason: 'because' }, { 'content-type': 'text/plain' })).toMatchObject({
      status: 403,
    });
    expect(await post({ ...form, reason: 'y'.repeat(20_000) })).toMatchObject({ status: 403 });
    expect((await get('conversation?id=chat-58')).text).not.toContain(SECRET);

    const accepted = await post({ ...form, reason: 'ticket 4711,\n a complaint' });
    expect(accepted).toMatchObject({
      status: 303,
      headers: { location: expect.stringContaining('conversation?id=chat-58') },
    });
    const opened = await get('conversation?id=chat-58');
    expect(opened.text).toContain(SECRET);
    expect(opened.text).toContain('&lt;script&gt;alert(3)&lt;/script&gt;');
    expect(opened.text).toContain('Opened with the reason “ticket 4711, a complaint”.');
    expect(opened.text).toContain('150 tokens');
    const made = events().slice(before.length);
    expect(made).toContainEqual(
      expect.objectContaining({
        operation: 'getItems',
        sessionId: 'chat-58',
        actor: 'auditor',
        purpose: 'ticket 4711, a complaint',
        outcome: 'success',
      }),
    );
    // The reason is for this conversation only.
    expect((await get('conversation?id=chat-57')).text).not.toContain(SECRET);
    const branch = await get('conversation?id=chat-58&branch=second-try');
    expect(branch.text).toContain('2 turns of the branch second-try');
    expect((await get('conversation?id=chat-58&branch=other')).status).toBe(404);
    expect((await get('conversation?id=~branch~second-try~chat-58')).status).toBe(404);

    expect((await post({ ...form, close: '1' })).status).toBe(303);
    expect((await get('conversation?id=chat-58')).text).not.toContain(SECRET);
    await post({ ...form, reason: 'ticket 4711' });
    now += 15 * 60_000;
    expect((await get('conversation?id=chat-58')).text).not.toContain(SECRET);
    await own.close();
  });

  it('finds conversations by subject', async () => {
    const own = await start(review.sessions);
    const { get } = await enter(own);
    const all = (await get('')).text;
    expect(all).toContain('&lt;img src=x onerror=alert(1)&gt;');
    const found = (await get(`?subject=${encodeURIComponent('"><script>alert(2)</script>')}`)).text;
    expect(found).toContain('1 conversation of this subject');
    expect(found).not.toContain('chat-58');
    expect((await get('?subject=nobody')).text).toContain('This subject has no conversations.');
    await own.close();
  });

  it('opens nothing when the stack has no audit log, when it does not take the event, or when authorize() refuses', async () => {
    const keys = keyring({ current: await generateKey() });
    const open = async (layers: Parameters<typeof wrapStore>[1]) => {
      const store = wrapStore(openSqlite(':memory:'), [...layers, encrypt({ keys })]);
      await store.session('a').addItems([{ role: 'user', content: SECRET }]);
      const own = await start(store);
      const { get, post, token } = await enter(own);
      const sealed = await get('conversation?id=a');
      await post({ token: await token('conversation?id=a'), id: 'a', reason: 'a good reason' });
      const opened = await get('conversation?id=a');
      await own.close();
      await store.close();
      return { sealed, opened };
    };
    const without = await open([]);
    expect(without.sealed.text).toContain('The stack of this configuration has no audit() layer');
    expect(without.opened.text).not.toContain(SECRET);
    let isFull = false;
    const full = await open([
      audit({
        sink: ({ purpose }) => {
          isFull ||= purpose !== undefined;
          if (isFull) throw new Error('disk full');
        },
      }),
    ]);
    expect(full.opened).toMatchObject({ status: 500 });
    expect(full.opened.text).toContain(
      'The audit log did not take the record of this call, so nothing is shown.',
    );
    expect(full.opened.text).not.toContain(SECRET);
    const mallory = await start(review.sessions, { actor: 'mallory' });
    const { get } = await enter(mallory);
    const denied = await get('');
    expect(denied).toMatchObject({ status: 403 });
    expect(denied.text).toContain('ERR_ACCESS_DENIED');
    await mallory.close();
  });

  describe.skipIf(!hasChromium)('in Chromium', () => {
    const browser = useBrowser();

    it('is read on a desk and on a phone: the list, a sealed and an opened conversation, and the report', async () => {
      const own = await start(review.sessions);
      const context = await (await browser()).newContext();
      const page = await context.newPage();
      const said = watched(page);
      const inAllViews = async (
        check: (page: Page) => Promise<unknown> = async () => undefined,
      ): Promise<void> => {
        for (const { width, scheme } of VIEWS) {
          await page.setViewportSize({ width, height: 900 });
          await page.emulateMedia({ colorScheme: scheme });
          await expectGoodPage(page, said);
          await check(page);
        }
      };
      await page.goto(own.link);
      await inAllViews();
      await page.getByRole('link', { name: 'chat-58' }).click();
      await inAllViews(async () => expect(await page.content()).not.toContain(SECRET));
      await page.getByLabel('Why do you need to read it?').fill('ticket 4712');
      await page.getByRole('button', { name: 'Open the conversation' }).click();
      await page.getByRole('heading', { name: 'Turn 1' }).waitFor();
      expect(await page.content()).toContain(SECRET);
      await inAllViews();
      await page.getByRole('link', { name: 'second-try' }).click();
      await page.getByRole('heading', { name: 'of the branch second-try' }).waitFor();
      await page.getByRole('link', { name: 'Report' }).click();
      await inAllViews();
      await context.close();
      await own.close();
    });

    it('gives a page of another origin nothing, not even in the browser of the person who is in', async () => {
      const own = await start(review.sessions);
      const context = await (await browser()).newContext();
      const page = await context.newPage();
      await page.goto(own.link);
      const base = page.url();
      const other = createServer((_request, response) => {
        response.setHeader('content-type', 'text/html');
        response.end(
          `<form method="post" action="${base}open"><input name="id" value="chat-58"><input name="reason" value="because I say so"><button>x</button></form><iframe src="${base}"></iframe>`,
        );
      });
      await new Promise<void>((done) => other.listen(0, '127.0.0.1', done));
      const { port } = other.address() as AddressInfo;
      for (const origin of [`http://127.0.0.1:${port}`, `http://localhost:${port}`]) {
        const tab = await context.newPage();
        await tab.goto(origin);
        const read = await tab.evaluate(
          `fetch(${JSON.stringify(base)}, { credentials: 'include' }).then((answer) => answer.text(), () => 'refused')`,
        );
        expect(read).toBe('refused');
        const framed = tab.frames()[1];
        expect((await framed?.content().catch(() => '')) ?? '').not.toContain('chat-58');
        await tab.getByRole('button').click();
        await tab.waitForURL(`${base}open`);
        expect(await tab.content()).toContain('A page of another origin asked for this.');
        await tab.close();
      }
      await page.goto(`${base}conversation?id=chat-58`);
      expect(await page.content()).not.toContain(SECRET);
      await new Promise((done) => other.close(done));
      await context.close();
      await own.close();
    });
  });
});

describe('the address', () => {
  it('is a loopback address unless another one is allowed', () => {
    expect(['127.0.0.1', '127.9.9.9', '::1', 'localhost'].map((host) => parseHost(host, false))).toEqual([
      '127.0.0.1',
      '127.9.9.9',
      '::1',
      '127.0.0.1',
    ]);
    for (const host of ['192.0.2.7', '0.0.0.0', '::', '2001:db8::1', '::ffff:192.0.2.7'])
      expect(() => parseHost(host, false)).toThrow(/is not a loopback address/);
    expect(parseHost('192.0.2.7', true)).toBe('192.0.2.7');
    expect(() => parseHost('0.0.0.0', true)).toThrow(/must be one address/);
    for (const host of ['example.org', '', '127.1', '0x7f.1'])
      expect(() => parseHost(host, true)).toThrow(/must be an IP address/);
  });
});

describe('the link', () => {
  // What a browser asks for: it writes addresses and default ports in one form.
  const asBrowser = (link: string): IncomingMessage => {
    const url = new URL(link);
    return { url: url.pathname + url.search, method: 'GET', headers: { host: url.host } } as IncomingMessage;
  };

  it.each([
    ['127.0.0.1', 80],
    ['::1', 80],
    ['::1', 4000],
    ['0:0:0:0:0:0:0:1', 4000],
    ['0000:0000:0000:0000:0000:0000:0000:0001', 80],
    ['::0001', 4000],
    ['::ffff:127.0.0.1', 4000],
    ['::FFFF:7F00:0001', 80],
  ])('is one that the gate of the server accepts: %s, port %i', (host, port) => {
    const gate = createGate(originAt(parseHost(host, false), port), Date.now);
    expect(gate.admit(asBrowser(gate.link))).toMatchObject({ as: 'entering' });
    expect(gate.link).toBe(new URL(gate.link).href);
  });

  it.each(['0:0:0:0:0:0:0:1', '::ffff:127.0.0.1'])('opens a viewer that listens at %s', async (host) => {
    const store = openSqlite(':memory:');
    const viewer = await startViewer({
      store,
      origin: { actor: 'auditor' },
      address: parseHost(host, false),
      port: 0,
      report: () => complianceReport(store),
    });
    expect(await ask(viewer.link)).toMatchObject({ status: 303 });
    await viewer.close();
    await store.close();
  });

  it('is refused where a browser could not open it', () => {
    for (const host of ['::1%lo', 'fe80::1%eth0'])
      expect(() => parseHost(host, true)).toThrow(/has a zone, which no link of a browser can have/);
    for (const host of ['0:0:0:0:0:0:0:0', '::0.0.0.0', '::ffff:0.0.0.0', '::ffff:0:0'])
      expect(() => parseHost(host, true)).toThrow(/must be one address/);
    for (const port of ['22', '6000', '6667', '10080'])
      expect(() => parsePort(port)).toThrow(`serve: browsers do not open port ${port}.`);
    expect(['0', '80', '443', '8080', '6001'].map(parsePort)).toEqual([0, 80, 443, 8080, 6001]);
  });
});

describe('strongroom serve', () => {
  it('prints a link, serves until Ctrl-C, and prints nothing of the store', async () => {
    const project = await filledProject({ one: 1 });
    const running = project.start(['serve', '--actor', 'anna']);
    await running.shows('"link"');
    running.process.kill('SIGINT');
    const { code, stdout, stderr } = await running.finished;
    expect(code).toBe(0);
    expect(linesOf(stdout)).toEqual([
      {
        event: 'serving',
        link: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{43}\/enter\?link=[\w-]{43}$/),
      },
    ]);
    expect(stdout + stderr).not.toContain(CANARY);
  });

  it('shows the link and how to end it in a terminal, until Ctrl-C there', async () => {
    const project = await filledProject({ one: 1 });
    const running = project.terminal(['serve', '--actor', 'anna']);
    await running.shows('Open this link: it works once, within ten minutes. Ctrl-C ends the viewer.');
    const link = /http:\/\/127\.0\.0\.1:\d+\/\S+/.exec(running.output())?.[0] ?? '';
    expect((await ask(link)).status).toBe(303);
    running.type('\u0003');
    const { code, stdout } = await running.finished;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{43}\/enter\?link=[\w-]{43}\r\n/);
    expect(stdout).not.toContain(CANARY);
  });

  it('refuses an address that others reach, a taken port, and a port that is none', async () => {
    const project = await filledProject({});
    const remote = await project.run(['serve', '--host', '192.0.2.7']);
    expect(remote.code).toBe(2);
    expect(remote.stderr).toContain('serve: 192.0.2.7 is not a loopback address');
    expect((await project.run(['serve', '--port', '70000'])).stderr).toContain(
      '--port must be a number from 0',
    );
    const other = createServer();
    await new Promise<void>((done) => other.listen(0, '127.0.0.1', done));
    const { port } = other.address() as AddressInfo;
    const taken = await project.run(['serve', '--port', String(port)]);
    expect(taken.stderr).toContain(`serve: cannot listen at 127.0.0.1, port ${port} (EADDRINUSE).`);
    await new Promise((done) => other.close(done));
  });
});
