import { StrongroomError } from '../../errors.ts';
import { isReply, NotSentError, type RedisArgument, type SendCommand } from './client.ts';

/** The part of an `ioredis` client that is used, of `Redis` or `Cluster`. */
export interface IoRedisClient {
  callBuffer(command: string, ...args: RedisArgument[]): Promise<unknown>;
  readonly options?: IoRedisOptions & { readonly redisOptions?: IoRedisOptions | undefined };
  /** Of a `Cluster`. */
  nodes?(role: 'master'): IoRedisClient[];
}

/** Options of {@link IoRedisClient} that change the answers, or the server that is asked. */
export interface IoRedisOptions {
  readonly stringNumbers?: boolean | undefined;
  readonly scaleReads?: unknown;
}

/** The command object of `ioredis`, for `sendCommand`. */
interface Command {
  readonly promise: Promise<unknown>;
  reject: (error: Error) => void;
  /** Called when the bytes are sent to a connection. */
  toWritable: (stream: unknown) => string | Buffer;
}

type Method = (...args: RedisArgument[]) => Promise<unknown>;

/** @param timeout Milliseconds after which a command that still waits in the client is not carried out any more. */
export function ioCommands(client: IoRedisClient, timeout: number): SendCommand {
  const { stringNumbers, redisOptions, scaleReads } = client.options ?? {};
  if (client.nodes !== undefined && scaleReads !== undefined && scaleReads !== 'master') {
    throw new StrongroomError(
      'ERR_UNSUPPORTED',
      `openRedis: the client reads from replicas (scaleReads), which can lack acknowledged writes. Pass a client with scaleReads: 'master'.`,
    );
  }
  const call = callerOf(client, timeout);
  const isText = (stringNumbers ?? redisOptions?.stringNumbers) === true;
  const send: SendCommand = isText ? async (command) => numbersOf(await call(command)) : call;
  if (client.nodes === undefined) return send;
  const primaries = async (): Promise<SendCommand[]> => {
    const nodes = client.nodes?.('master') ?? [];
    if (nodes.length === 0) throw new NotSentError('The client knows no node of the cluster.');
    return Promise.resolve(nodes.map((node) => ioCommands(node, timeout)));
  };
  return Object.assign(send, { primaries });
}

/**
 * By the method of each command: `callBuffer` loses the command's name under `enableAutoPipelining`. And without that: a pipeline
 * is sent again as a whole.
 */
function callerOf(client: IoRedisClient, timeout: number): SendCommand {
  // `sendCommand` takes a command of the class of ioredis; the type of ours names the members that it reads.
  const sending = client as unknown as { sendCommand(command: Command): Promise<unknown> };
  const caller = Object.create(client, {
    options: { value: { ...client.options, enableAutoPipelining: false } },
    sendCommand: {
      value: (command: Command) => sendOnce(command, timeout, () => sending.sendCommand(command)),
    },
  }) as IoRedisClient & Record<string, Method | undefined>;
  return ([command, ...args]) => {
    const name = String(command);
    const method = caller[`${name.toLowerCase()}Buffer`];
    return method === undefined ? caller.callBuffer(name, ...args) : method.apply(caller, args);
  };
}

/** Sent instead of a command that may have been carried out. */
const NOTHING = '*1\r\n$4\r\nPING\r\n';

/**
 * When a connection breaks, `ioredis` sends commands without an answer again on the next connection
 * (`autoResendUnfulfilledCommands`, and `retryDelayOnFailover` of a cluster): an append that was carried out would
 * be duplicated. So a command that was sent is sent again only after the server refused it, and never after its
 * caller got an error. The caller knows which commands can be repeated.
 */
function sendOnce(command: Command, timeout: number, send: () => Promise<unknown>): Promise<unknown> {
  const deadline = performance.now() + timeout;
  let isWritten = false;
  let isOver = false;
  /** The last answer of a cluster to it. */
  let answer: Error | undefined;
  const { toWritable, reject } = command;
  const fail = (error: Error): void => {
    isOver = true;
    const notSent = (): Error => new NotSentError(error.message, { cause: answer ?? error });
    reject.call(command, isWritten || isReply(error) ? error : notSent());
  };
  command.toWritable = (stream) => {
    if (isWritten && !isOver) fail(new Error('The connection closed before the answer arrived.'));
    if (performance.now() > deadline && !isOver) fail(new Error('The caller stopped waiting.'));
    if (isOver) return NOTHING;
    isWritten = true;
    return toWritable.call(command, stream);
  };
  command.reject = fail;
  const promise = send();
  // A cluster has replaced it by its own function, which sends again after a delay.
  const { reject: retry } = command;
  command.reject = (error) => {
    if (isWritten && !isReply(error)) return fail(error);
    isWritten = false;
    if (isReply(error)) answer = error;
    retry.call(command, error);
  };
  return promise;
}

/** Bulk strings are buffers, so text of digits alone was a number. */
function numbersOf(reply: unknown): unknown {
  if (Array.isArray(reply)) return reply.map(numbersOf);
  return typeof reply === 'string' && /^-?\d+$/.test(reply) ? Number(reply) : reply;
}
