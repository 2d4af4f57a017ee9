import type { IncomingMessage } from 'node:http';
import { toBase64url } from '../../crypto/encoding.ts';
import { constantTimeEqual } from '../../crypto/equal.ts';
import { randomBytes } from '../../crypto/random.ts';

/** How long the link can be used. */
const LINK_FOR = 10 * 60_000;
/** A person who does not ask for anything for this long has to start again. */
const IDLE_FOR = 30 * 60_000;
const SESSION_FOR = 8 * 3_600_000;

/** The decision about a request. */
export type Admission =
  | { readonly as: 'person'; readonly path: string; readonly query: URLSearchParams }
  /** The link was used: sets the cookie and sends the person to the first page. */
  | { readonly as: 'entering'; readonly cookie: string }
  | { readonly as: 'refused'; readonly status: number; readonly text: string };

/** Decides who may ask, before anything of a request is used. */
export interface Gate {
  /** The link that works once. */
  readonly link: string;
  /** The path of all pages, `/<random>/`. */
  readonly base: string;
  /** In every form: a page of another origin cannot know it. */
  readonly formToken: string;
  admit(request: IncomingMessage): Admission;
}

/**
 * @param origin The one origin of this server.
 * @param now Unix milliseconds.
 */
export function createGate(origin: string, now: () => number): Gate {
  // Browsers send cookies to every port of an address. Under a path that nobody else knows, another server of this
  // machine does not get this one.
  const base = `/${secret()}/`;
  const link = secret();
  const cookie = secret();
  const formToken = secret();
  const linkUntil = now() + LINK_FOR;
  let isLinkUsed = false;
  let since: number | undefined;
  let lastUsed = 0;
  const { host } = new URL(origin);

  function refuseOthers({ headers, method = '' }: IncomingMessage): Admission | undefined {
    // A name that an attacker's name server points to this machine is not ours (DNS rebinding).
    if (headers.host !== host) return refused(421, `This viewer answers only at ${origin}.`);
    const site = headers['sec-fetch-site'];
    if (site !== undefined && site !== 'same-origin' && site !== 'none') {
      return refused(
        403,
        'A page of another origin asked for this. Open the link of the terminal by itself.',
      );
    }
    const from = headers.origin;
    if ((from !== undefined && from !== origin) || (method === 'POST' && from === undefined)) {
      return refused(403, 'A page of another origin asked for this.');
    }
    if (method !== 'GET' && method !== 'POST') return refused(405, 'This viewer only reads.');
    return undefined;
  }

  function enter(token: string): Admission {
    const isRight = constantTimeEqual(token, link);
    if (!isRight || isLinkUsed || now() > linkUntil) {
      return refused(
        403,
        'This link was used before, or is older than ten minutes. Start strongroom serve again.',
      );
    }
    isLinkUsed = true;
    since = now();
    lastUsed = since;
    return { as: 'entering', cookie: `strongroom=${cookie}; Path=${base}; HttpOnly; SameSite=Strict` };
  }

  function hasSession(header: string | undefined): boolean {
    const given = /(?:^|;\s*)strongroom=([^;]*)/.exec(header ?? '')?.[1] ?? '';
    const time = now();
    if (!constantTimeEqual(given, cookie) || since === undefined) return false;
    if (time - since > SESSION_FOR || time - lastUsed > IDLE_FOR) since = undefined;
    lastUsed = time;
    return since !== undefined;
  }

  return {
    link: `${origin}${base}enter?link=${link}`,
    base,
    formToken,
    admit(request) {
      const other = refuseOthers(request);
      if (other !== undefined) return other;
      const url = URL.parse(request.url ?? '', origin);
      if (url?.origin !== origin || !constantTimeEqual(url.pathname.slice(0, base.length), base)) {
        return refused(404, 'There is nothing here. Open the link of the terminal.');
      }
      const path = url.pathname.slice(base.length);
      const isGet = request.method === 'GET';
      if (path === 'enter' && isGet) return enter(url.searchParams.get('link') ?? '');
      if (!hasSession(request.headers.cookie)) {
        return refused(401, 'The session has ended. Start strongroom serve again, and open its link.');
      }
      if (!isGet && path !== 'open') return refused(405, 'This viewer only reads.');
      return { as: 'person', path: isGet ? path : `POST ${path}`, query: url.searchParams };
    },
  };
}

function refused(status: number, text: string): Admission {
  return { as: 'refused', status, text };
}

/** 256 random bits. */
function secret(): string {
  return toBase64url(randomBytes(32));
}
