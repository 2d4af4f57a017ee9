/** The part of the settings of a connection that a pooler can refuse. */
interface Limited {
  statement_timeout?: number | false | undefined;
}

/** The time limit for statements that is sent when a connection begins, unless it is refused. */
export interface ServerLimit {
  /** Whether connections are opened with it. */
  readonly isTold: () => boolean;
  /** Opens a connection, without the limit when it is refused, and from then on. */
  readonly open: <T>(connect: () => Promise<T>) => Promise<T>;
}

/**
 * PgBouncer refuses unknown parameters (`ignore_startup_parameters` is empty by default), and names them. Setting
 * the limit later does not work: in transaction mode other programs would get the connection with our limit.
 *
 * @param settings All that connections are made with.
 */
export function serverLimit(settings: readonly Limited[]): ServerLimit {
  let isTold = true;
  return {
    isTold: () => isTold,
    async open(connect) {
      try {
        return await connect();
      } catch (error) {
        if (!isRefusal(error)) throw error;
        isTold = false;
        for (const each of settings) delete each.statement_timeout;
        return await connect();
      }
    },
  };
}

/** PgBouncer: 08P01, "unsupported startup parameter: statement_timeout"; others have other words, and name it as well. */
function isRefusal(error: unknown): boolean {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  return (
    (code === '08P01' || code === '0A000') && /startup parameter|statement_timeout/.test(String(message))
  );
}
