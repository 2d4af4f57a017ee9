import type { MaybePromise } from '../../maybe-promise.ts';
import type { Discarding, SendCommand } from './client.ts';
import type { Duplicable } from './tracking.ts';

/** Where connections come from. */
export interface Source extends Discarding {
  /** At once where there is a connection. */
  readonly connect: () => MaybePromise<SendCommand>;
  readonly close: () => Promise<void>;
  /** Registers a callback for each new connection, also one of the client itself. */
  readonly onConnection: (made: () => void) => void;
  readonly isCluster?: boolean;
  /** The connected client, to make another connection to the same target; absent when that cannot listen. */
  readonly duplicable?: () => Duplicable | undefined;
}
