import { invalidOption, parseCount, parseDuration, type Duration } from '../../options.ts';
import { clockOf, processReference, SERVER_BOUND } from '../../clock.ts';
import type { Announcements } from '../announcements.ts';
import type { StoreCheckup } from '../checkup.ts';
import type { StoreSession } from '../session.ts';
import { createStore, type Store } from '../store.ts';
import { createRunner, type FailureKind, type SqlPool, type SqlRunner } from './client.ts';
import type { SqlDialect } from './dialect.ts';
import { patientPool } from './patient-pool.ts';
import { sqlDriver, type SqlDriverOptions } from './driver.ts';

/** The options that every SQL store has, documented at its own. */
export interface SqlStoreOptions {
  readonly createTables?: boolean;
  readonly timeout?: Duration;
  readonly operationLog?: number;
  readonly clock?: () => number;
}

/** The parts of an SQL store. */
export interface SqlStoreParts<P extends SqlPool> {
  readonly dialect: SqlDialect;
  readonly kindOf: (error: unknown) => FailureKind;
  /** The connections, made by the first call that needs one. */
  readonly open: (timeout: number) => () => Promise<P>;
  /** Creates missing tables, and migrates those of an earlier version. */
  readonly setUp: (runner: SqlRunner) => Promise<void>;
  /** Refuses tables of another version. */
  readonly checkVersion: (runner: SqlRunner) => Promise<void>;
  /**
   * Refuses, or warns of, a server that does not keep acknowledged writes. Not used for a database in this process.
   */
  readonly checkSettings: (runner: SqlRunner) => Promise<void>;
  readonly checkup: (runner: SqlRunner) => Promise<StoreCheckup>;
  /** See {@link SqlDriverOptions.append}. */
  readonly append: (runner: SqlRunner) => SqlDriverOptions['append'];
  /** Over connections to a database that is set up. */
  readonly announcements?: (prepared: () => Promise<P>) => Announcements;
}

/**
 * A store that connects and sets up at its first call.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`.
 */
export function openSqlStore<P extends SqlPool>(
  options: SqlStoreOptions,
  parts: SqlStoreParts<P>,
): Store<StoreSession> {
  const { dialect, kindOf } = parts;
  const { name } = dialect;
  const { createTables = true, operationLog = 256 } = options;
  if (typeof createTables !== 'boolean') invalidOption(name, 'createTables', 'true or false', createTables);
  const now = clockOf(name, options.clock);
  const timeout = parseDuration(name, 'timeout', options.timeout ?? '30s');
  const open = parts.open(timeout);
  const isFull = (error: unknown): boolean => kindOf(error).full === true;

  let pool: P | undefined;
  let ready: Promise<P> | undefined;
  const connect = async (): Promise<P> => (pool ??= patientPool(await open(), timeout, isFull));
  const begin = dialect.begin(timeout);
  const bare = createRunner(name, connect, begin, kindOf);
  const checkSettings = async (): Promise<P> => {
    const connections = await connect();
    if (connections.inProcess !== true) await parts.checkSettings(bare);
    return connections;
  };
  const setUp = async (): Promise<P> => {
    await (createTables ? parts.setUp(bare) : parts.checkVersion(bare));
    return await checkSettings();
  };
  // Several first calls set up once; a set-up that failed is tried again by the next call.
  const prepared = (): Promise<P> =>
    (ready ??= setUp().catch((error: unknown) => {
      ready = undefined;
      throw error;
    }));
  const runner = createRunner(name, prepared, begin, kindOf);

  const ofProcess = options.clock === undefined ? processReference() : undefined;
  const announcements = parts.announcements?.(prepared);
  const driver = sqlDriver(dialect, runner, {
    operationLog: parseCount(name, 'operationLog', operationLog),
    now,
    append: parts.append(runner),
    announcements,
    ping: async () => {
      await runner.read('SELECT 1');
      await checkSettings();
    },
    checkup: () => parts.checkup(runner),
    reference: async () => {
      if ((await prepared()).inProcess) return await ofProcess?.();
      const { rows } = await runner.read(`SELECT ${dialect.clock} AS now`);
      return { time: Number(rows[0]?.['now']), of: 'the clock of the database', bound: SERVER_BOUND };
    },
    close: async () => {
      await announcements?.close();
      await ready?.catch(() => undefined);
      await pool?.close();
    },
  });
  return createStore(driver, now);
}
