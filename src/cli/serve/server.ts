import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { constantTimeEqual } from '../../crypto/equal.ts';
import { errorName } from '../../error-name.ts';
import { isStrongroomError } from '../../errors.ts';
import type { CallOrigin } from '../../layer.ts';
import { STYLE_SOURCE } from '../../report/page/document.ts';
import type { ComplianceReport } from '../../report/index.ts';
import type { Store } from '../../stores/store.ts';
import { messageWithCauses } from '../causes.ts';
import { originAt } from './address.ts';
import { createGate, type Admission, type Gate } from './gate.ts';
import { openedConversations } from './opened.ts';
import { conversationPage, listPage, messagePage, reportPage, type Frame } from './pages.ts';
import { createReading } from './reading.ts';

/** What the viewer shows. */
export interface ViewerOptions {
  /** In its layers. */
  readonly store: Store;
  readonly origin: CallOrigin;
  readonly report: () => Promise<ComplianceReport>;
  readonly address: string;
  /** 0: any free one. */
  readonly port: number;
  /** Unix milliseconds. Default: the clock of the machine. */
  readonly now?: () => number;
}

/** A viewer that listens. */
export interface Viewer {
  /** The link that works once. */
  readonly link: string;
  close(): Promise<void>;
}

const POLICY = [
  "default-src 'none'",
  `style-src ${STYLE_SOURCE}`,
  'img-src data:',
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': POLICY,
  'Cache-Control': 'no-store',
  'Content-Type': 'text/html; charset=utf-8',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  // With no-referrer, browsers send forms without their origin.
  'Referrer-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
};

/** An answer: a page, or the path of another one. */
type Answer =
  { readonly status: number; readonly page: string } | { readonly to: string; readonly cookie?: string };

/** Starts the viewer. Rejects when the port is taken. */
export async function startViewer(options: ViewerOptions): Promise<Viewer> {
  const { address, port, now = Date.now } = options;
  let answer: ((request: IncomingMessage) => Promise<Answer>) | undefined;
  const server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000 }, (request, response) => {
    // Nothing is connected before the port is known.
    void answer?.(request).then((found) => send(response, found));
  });
  await listen(server, address, port);
  const origin = originAt(address, (server.address() as AddressInfo).port);
  const gate = createGate(origin, now);
  answer = createAnswers(options, gate, now);
  return {
    link: gate.link,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, address: string, port: number): Promise<void> {
  return new Promise((done, failed) => {
    server.once('error', failed);
    server.listen({ host: address, port }, () => done());
  });
}

function createAnswers(
  { store, origin, report }: ViewerOptions,
  gate: Gate,
  now: () => number,
): (request: IncomingMessage) => Promise<Answer> {
  const reading = createReading(store, origin);
  const opened = openedConversations(now);
  const frame: Frame = { base: gate.base, formToken: gate.formToken, actor: origin.actor };
  let running: Promise<ComplianceReport> | undefined;

  async function conversation(id: string, branch: string | undefined, problem?: string): Promise<Answer> {
    const sealed = await reading.sealed(id);
    if (sealed === undefined) return message(404, 'Not found', 'There is no such conversation.');
    const reason = reading.closed === undefined ? opened.reasonFor(id) : undefined;
    if (reason === undefined) {
      const state = { closed: reading.closed, ...(problem !== undefined && { problem }) };
      return { status: problem === undefined ? 200 : 400, page: conversationPage(frame, sealed, state) };
    }
    if (branch !== undefined && !sealed.branches.some(({ name }) => name === branch)) {
      return message(404, 'Not found', 'There is no such branch.');
    }
    const content = await reading.open(id, branch, reason);
    return { status: 200, page: conversationPage(frame, sealed, { opened: content, branch, reason }) };
  }

  /** The one request that is not a GET: it changes what this viewer shows, and nothing in the store. */
  async function openOrClose(request: IncomingMessage): Promise<Answer> {
    const form = await formOf(request);
    if (form === undefined || !constantTimeEqual(form.get('token') ?? '', gate.formToken)) {
      return message(
        403,
        'Refused',
        'This form is not from this viewer. Go back, load the page again, and repeat.',
      );
    }
    const id = form.get('id') ?? '';
    if (form.has('close')) opened.close(id);
    else if (reading.closed === undefined) {
      const problem = opened.open(id, form.get('reason') ?? '');
      if (problem !== undefined) return conversation(id, undefined, problem);
    }
    return { to: `${gate.base}conversation?${new URLSearchParams({ id }).toString()}` };
  }

  async function answerPerson(
    { path, query }: Admission & { as: 'person' },
    request: IncomingMessage,
  ): Promise<Answer> {
    if (path === '') {
      // An empty field of the form.
      const subject = query.get('subject') || undefined;
      return { status: 200, page: listPage(frame, await reading.list(subject), subject) };
    }
    if (path === 'report') {
      // One at a time: each reads the whole store.
      running ??= report().finally(() => (running = undefined));
      return { status: 200, page: reportPage(frame, await running) };
    }
    if (path === 'conversation') return conversation(query.get('id') ?? '', query.get('branch') ?? undefined);
    if (path === 'POST open') return openOrClose(request);
    return message(404, 'Not found', 'There is no such page.');
  }

  return async (request) => {
    try {
      const admission = gate.admit(request);
      if (admission.as === 'refused') return message(admission.status, 'Refused', admission.text);
      if (admission.as === 'entering') return { to: gate.base, cookie: admission.cookie };
      return await answerPerson(admission, request);
    } catch (error) {
      return failed(error);
    }
  };
}

function message(status: number, title: string, text: string): Answer {
  return { status, page: messagePage(title, text) };
}

/** Messages of our errors hold no content; those of others could. */
function failed(error: unknown): Answer {
  if (!isStrongroomError(error)) {
    return message(500, 'Failed', `This page could not be made: ${errorName(error) ?? 'an unknown error'}.`);
  }
  const isDenied = error.code === 'ERR_ACCESS_DENIED';
  return message(
    isDenied ? 403 : 500,
    isDenied ? 'Not allowed' : 'Failed',
    `${error.code}: ${messageWithCauses(error)}`,
  );
}

const MOST_BYTES = 16_384;

/** The fields of a form; `undefined` for anything else, and for one that is too long. */
async function formOf(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  if (request.headers['content-type'] !== 'application/x-www-form-urlencoded') return undefined;
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk as string;
    if (text.length > MOST_BYTES) return undefined;
  }
  return new URLSearchParams(text);
}

function send(response: ServerResponse, answer: Answer): void {
  if ('to' in answer) {
    response.writeHead(303, {
      ...HEADERS,
      Location: answer.to,
      ...(answer.cookie !== undefined && { 'Set-Cookie': answer.cookie }),
    });
    response.end();
    return;
  }
  response.writeHead(answer.status, answer.status === 405 ? { ...HEADERS, Allow: 'GET' } : HEADERS);
  response.end(answer.page);
}
