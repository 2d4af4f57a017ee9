import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { isStrongroomError } from '../../errors.ts';
import { after, type MaybePromise } from '../../maybe-promise.ts';
import { storeError, withOutcome, type Outcome } from '../failure.ts';
import { inTime, TimeoutError } from '../in-time.ts';
import { sharedTimer } from '../shared-timer.ts';
import type { Script } from './scripts.ts';

export type RedisArgument = string | Buffer;

/** Sends one command; bulk strings come back as `Buffer`. */
export interface SendCommand {
  /** @param until When its caller stops waiting, by `performance.now()`. */
  (command: readonly RedisArgument[], until?: number): Promise<unknown>;
  /** Sends commands to each primary of a cluster. Absent with one server. */
  readonly primaries?: () => Promise<readonly SendCommand[]>;
}

/** The command did not leave this process. */
export class NotSentError extends Error {}

/** Commands and scripts with a time limit and our errors. */
export interface RedisCommands {
  read(...command: RedisArgument[]): Promise<unknown>;
  write(...command: RedisArgument[]): Promise<unknown>;
  /** The answers of each primary of a cluster, or of the one server. */
  readEach(...command: RedisArgument[]): Promise<unknown[]>;
  /** The keys that match, of all of them. */
  keysLike(pattern: string): AsyncIterable<string>;
  /**
   * An idempotent write, as part of a call.
   *
   * @param outcome The outcome of the call as a whole when this write fails.
   */
  entry(outcome: Outcome, ...command: RedisArgument[]): Promise<unknown>;
  /** @param reads Whether it changes nothing. */
  script(
    script: Script,
    keys: readonly string[],
    args: readonly RedisArgument[],
    reads?: boolean,
  ): Promise<unknown>;
}

const WHERE = 'openRedis';

/** First words of an error reply. */
const REPLIES: Readonly<Record<string, string>> = {
  CLUSTERDOWN: 'no server of the cluster serves the slot of this session at present',
  CROSSSLOT:
    'the two sessions live in different slots of a Redis Cluster: archive to a session of the same store elsewhere',
  LOADING: 'the database is loading its data from disk',
  MASTERDOWN: 'the database is a replica that has lost its primary',
  MISCONF: 'the database cannot write to its disk',
  MOVED: 'this is one node of a Redis Cluster. Pass an array of its nodes: openRedis([url, …])',
  NOAUTH: 'the database requires a password',
  NOPERM: 'the database user may not do this',
  NOREPLICAS: 'the database has fewer replicas than it requires for a write',
  OOM: 'the memory of the database is full',
  READONLY: 'the database is a read-only replica',
  TRYAGAIN:
    'the slot of the session is migrating to another node of the cluster, and the migration does not end',
  WRONGPASS: 'the database refused the user or the password',
  WRONGTYPE: 'a key with this prefix has another type: choose another prefix',
};

/** The server did nothing, and will accept the command soon; or another one will, at the same address. */
const SOON = ['LOADING', 'MASTERDOWN', 'CLUSTERDOWN', 'TRYAGAIN'];
/** It refuses writes: after a failover its address may lead to a server that accepts them. */
const ELSEWHERE = ['READONLY', 'NOREPLICAS'];
/** Errors of servers to which a connection is useless. */
const MOVED_ON = ['LOADING', 'MASTERDOWN', ...ELSEWHERE];

/** Whether a command is repeated, and the meaning of its failure. */
interface Kind {
  /** It can be sent again when it is unknown whether it arrived. */
  readonly repeatable: boolean;
  /** @param own The outcome of this command alone. */
  outcome(own: Outcome): Outcome | undefined;
}

const READ: Kind = { repeatable: true, outcome: () => undefined };
const WRITE: Kind = { repeatable: false, outcome: (own) => own };

/** How a useless connection is discarded. */
export interface Discarding {
  /** A call got no answer on it, or got no connection (`undefined`): it may be dead without an error. */
  readonly abandon: (connection: SendCommand | undefined) => void;
  /**
   * Its server refused a command that another one at the address may accept; commands in flight on it still get
   * their answers.
   */
  readonly replace: (connection: SendCommand) => void;
}

export function redisCommands(
  send: () => MaybePromise<SendCommand>,
  timeout: number,
  { abandon, replace }: Discarding = { abandon: () => undefined, replace: () => undefined },
): RedisCommands {
  const failure = (error: unknown, kind: Kind): unknown => {
    const message = error instanceof Error ? error.message : '';
    // A script is not rolled back when one of its commands is refused.
    if (message.includes('The user executing the script')) {
      return storeError(WHERE, REPLIES['NOPERM'] as string, error, kind.outcome('unknown'));
    }
    const reply = replyOf(error);
    const known = message.includes('No space left on device')
      ? 'the disk of the database is full'
      : isFull(error)
        ? 'the database has no connection left: let fewer clients connect, or raise maxclients'
        : REPLIES[reply];
    if (known !== undefined) return storeError(WHERE, known, error, kind.outcome('no'));
    const what =
      error instanceof TimeoutError
        ? 'the database did not answer in time'
        : reply === '' || !isReply(error)
          ? 'the connection to the database failed'
          : `the database answered with the error ${reply}`;
    return storeError(WHERE, what, error, kind.outcome('unknown'));
  };

  const inTheWholeTime = sharedTimer(timeout);

  /** A command that was never sent is repeated until the time is over: the client reconnects meanwhile. */
  async function run(
    work: (send: SendCommand, until: number) => Promise<unknown>,
    kind: Kind,
  ): Promise<unknown> {
    const deadline = performance.now() + timeout;
    let isFirst = true;
    let unsent: unknown;
    let moved = false;
    let connection: SendCommand | undefined;
    for (let wait = 5; ; wait = Math.min(wait * 2, 200)) {
      let sent = false;
      try {
        const sending = after(send(), (found) => {
          // On a connection that comes too late the command must not run: its caller has got a time-out.
          if (performance.now() >= deadline) throw new TimeoutError(`No connection in ${timeout} ms.`);
          sent = true;
          return work((connection = found), deadline);
        }) as Promise<unknown>;
        if (isFirst) return await inTheWholeTime(sending);
        return await inTime(sending, Math.max(deadline - performance.now(), 1));
      } catch (thrown) {
        // An error of the connection, or of a step before any call.
        if (isStrongroomError(thrown)) throw sent ? thrown : withOutcome(thrown, kind.outcome('no'));
        // After a time-out the error of an earlier attempt is more useful. Not for a write whose last attempt may
        // have reached the server.
        const error =
          thrown instanceof TimeoutError && (kind.repeatable || !sent) ? (unsent ?? thrown) : thrown;
        if (neverSent(error)) unsent = error;
        const reply = replyOf(error);
        if (MOVED_ON.includes(reply) && connection !== undefined) replace(connection);
        // If a server refuses writes permanently, every call would take its whole time limit.
        const elsewhere: boolean = ELSEWHERE.includes(reply) && !moved;
        moved ||= elsewhere;
        const repeatable =
          neverSent(error) ||
          (kind.repeatable && disconnected(error)) ||
          SOON.includes(reply) ||
          elsewhere ||
          isFull(error);
        isFirst = false;
        const late = thrown instanceof TimeoutError || performance.now() + wait > deadline;
        if (late && (thrown instanceof TimeoutError || neverSent(error))) abandon(connection);
        if (!repeatable || late) {
          throw neverSent(error)
            ? storeError(WHERE, 'the connection to the database failed', error, kind.outcome('no'))
            : failure(error, kind);
        }
        await delay(wait);
      }
    }
  }

  return {
    read: (...command) => run((sendCommand, until) => sendCommand(command, until), READ),
    write: (...command) => run((sendCommand, until) => sendCommand(command, until), WRITE),
    readEach: (...command) =>
      run(
        async (sendCommand, until) =>
          Promise.all((await primariesOf(sendCommand)).map((node) => node(command, until))),
        READ,
      ) as Promise<unknown[]>,
    async *keysLike(pattern) {
      for (const node of (await run(primariesOf, READ)) as readonly SendCommand[]) {
        for (let cursor = '0'; ;) {
          const step = ['SCAN', cursor, 'MATCH', pattern, 'COUNT', '1000'];
          const [next, keys] = (await run((_, until) => node(step, until), READ)) as [Buffer, Buffer[]];
          yield* keys.map(textOf);
          cursor = textOf(next);
          if (cursor === '0') break;
        }
      }
    },
    entry: (outcome, ...command) =>
      run((sendCommand, until) => sendCommand(command, until), {
        repeatable: true,
        outcome: () => outcome,
      }),
    script(script, keys, args, reads = false) {
      const command = ['EVALSHA', digestOf(script), String(keys.length), ...keys, ...args];
      return run(
        (sendCommand, until) =>
          sendCommand(command, until).catch((error: unknown) => {
            if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
            return sendCommand(['EVAL', script.source, ...command.slice(2)], until);
          }),
        reads ? READ : WRITE,
      );
    },
  };
}

async function primariesOf(connection: SendCommand): Promise<readonly SendCommand[]> {
  return (await connection.primaries?.()) ?? [connection];
}

/** A bulk string, or a number of RESP 3. */
export function textOf(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString('utf8') : `${value as string | number}`;
}

const digests = new WeakMap<Script, string>();

/** The digest by which the server identifies it. */
function digestOf(script: Script): string {
  let digest = digests.get(script);
  if (digest === undefined) {
    digest = createHash('sha1').update(script.source).digest('hex');
    digests.set(script, digest);
  }
  return digest;
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.constructor.name : '';
}

/** Whether the server answered. */
export function isReply(error: unknown): boolean {
  return ['ErrorReply', 'SimpleError', 'BlobError', 'ReplyError'].includes(nameOf(error));
}

/** The server sends this on a new connection and closes it: nothing was done. */
function isFull(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('ERR max number of clients reached');
}

/** The error of a command that was refused in a script, which is in the text of the script's error before Redis 7. */
const IN_SCRIPT = new RegExp(`@user_script: ?\\d+: -?(${[...SOON, ...ELSEWHERE].join('|')}) `);

/** The first word of an error reply; the second one when the first is generic. */
function replyOf(error: unknown): string {
  const message = error instanceof Error ? error.message : '';
  return (IN_SCRIPT.exec(message) ?? /^(?:ERR )?([A-Z]+)\b/.exec(message))?.[1] ?? '';
}

function neverSent(error: unknown): boolean {
  const code = (error as { code?: unknown } | undefined)?.code;
  const message = error instanceof Error ? error.message : '';
  return (
    error instanceof NotSentError ||
    // ioredis, without its queue.
    message.startsWith("Stream isn't writeable") ||
    ['AbortError', 'ClientOfflineError', 'ClientClosedError', 'ReconnectStrategyError'].includes(
      nameOf(error),
    ) ||
    code === 'ECONNREFUSED'
  );
}

function disconnected(error: unknown): boolean {
  return !isReply(error) && !(error instanceof TimeoutError);
}
