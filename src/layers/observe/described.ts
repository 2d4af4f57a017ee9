import { toBase64url, utf8 } from '../../crypto/encoding.ts';
import { sha256 } from '../../crypto/hash.ts';
import { defined, type Defined } from '../../defined.ts';
import { lineageOf } from '../../derived-id.ts';
import type { SessionCall } from '../../layer.ts';
import { STORE_NAME } from '../../session-contract.ts';

/** How telemetry contains the session id. */
export type ShownId = 'hash' | 'plain' | 'omit';

/** A call without content, as attributes of a span. */
export type Described = Defined<{
  'strongroom.operation': string;
  'gen_ai.conversation.id': string | undefined;
  'strongroom.session.type': string | undefined;
  'strongroom.session.kind': string | undefined;
  'strongroom.items.in': number | undefined;
}>;

const HASH_CHARACTERS = 16;
/** Names of classes and of stores; a driver of a user can have any text as its name. */
const NAME = /^[A-Za-z][\w.-]{0,63}$/;

export function describeCall(call: SessionCall, shown: ShownId): Described {
  const { kind, sessionId, itemCount } = call;
  const isOfSession = sessionId !== '';
  return defined({
    'strongroom.operation': kind,
    'gen_ai.conversation.id': isOfSession ? shownId(sessionId, shown) : undefined,
    'strongroom.session.type': isOfSession ? typeOf(call) : undefined,
    'strongroom.session.kind': isOfSession ? (lineageOf(sessionId)?.kind ?? 'conversation') : undefined,
    'strongroom.items.in': itemCount,
  });
}

export function shownId(sessionId: string, shown: ShownId): string | undefined {
  if (shown === 'omit') return undefined;
  return shown === 'plain' ? sessionId : toBase64url(sha256(utf8(sessionId))).slice(0, HASH_CHARACTERS);
}

/** `sqlite` for a session of `openSqlite`, the name of its class for a session that is not of a store of ours. */
function typeOf({ inner }: SessionCall): string {
  const { [STORE_NAME]: store } = inner as { readonly [STORE_NAME]?: string };
  const name: unknown = store?.replace(/^open(?=[A-Z])/, '').toLowerCase() ?? inner.constructor?.name;
  return typeof name === 'string' && NAME.test(name) ? name : '_OTHER';
}
